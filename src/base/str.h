/* SPDX-License-Identifier: MIT
 *
 * str.h - a borrowed slice of bytes.
 *
 * Parsers point into the bytes they were given instead of copying them; a str
 * is valid as long as those bytes are. It is not NUL-terminated.
 */
#ifndef ROOST_BASE_STR_H
#define ROOST_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

static inline struct str
str_of(const char *text)
{
	return (struct str){text, text ? strlen(text) : 0};
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Equal but for the case of ASCII letters. */
static inline bool
str_ieq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

/* Without the blanks and tabs at both ends (OWS of RFC 9110, 5.6.3). */
static inline struct str
str_trim(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s.p++, s.n--;
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Of a hexadecimal digit in either case; -1: it is none. */
static inline int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Cuts the next element off a comma-separated list (RFC 9110, 5.6.1), trimmed;
 * empty elements are skipped. False when the list is used up. */
static inline bool
str_next_element(struct str *list, struct str *element_r)
{
	while (list->n) {
		const char *comma = memchr(list->p, ',', list->n);
		size_t n = comma ? (size_t)(comma - list->p) : list->n;
		struct str e = str_trim((struct str){list->p, n});

		list->p += n + (comma != NULL);
		list->n -= n + (comma != NULL);
		if (e.n) {
			*element_r = e;
			return true;
		}
	}
	return false;
}

#endif
