/* SPDX-License-Identifier: MIT
 *
 * scan.h - what the parsers of this folder share: classes of bytes, steps of a cursor.
 *
 * For their .c files only; others see str and enum parse.
 */
#ifndef ROOST_MESSAGE_SCAN_H
#define ROOST_MESSAGE_SCAN_H

#include "message/fields.h"

/* The rules of the grammar a byte may stand in. */
enum { CHAR_TOKEN = 1, CHAR_TARGET = 2, CHAR_VALUE = 4, CHAR_HOST = 8 };
extern const uint8_t char_classes[256]; /* in fields.c */

/* The first byte of [p, end) that is not of the class. */
static inline const char *
span(const char *p, const char *end, unsigned class)
{
	while (p < end && (char_classes[(unsigned char)*p] & class))
		p++;
	return p;
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline struct str
str_between(const char *p, const char *end)
{
	return (struct str){p, (size_t)(end - p)};
}

/* Steps over CRLF. A CR or LF alone is a line end for some and not for others, so it
 * is none for us. */
static inline enum parse
crlf_parse(const char **at, const char *end)
{
	const char *p = *at;

	if (p == end)
		return PARSE_MORE;
	if (p[0] != '\r')
		return PARSE_BAD;
	if (p + 1 == end)
		return PARSE_MORE;
	if (p[1] != '\n')
		return PARSE_BAD;
	*at = p + 2;
	return PARSE_DONE;
}

static inline bool
is_hex(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static inline enum parse
bad(enum reason why, enum reason *why_r)
{
	*why_r = why;
	return PARSE_BAD;
}

#endif
