/* SPDX-License-Identifier: MIT
 *
 * cookie.c - the identity that roost issues; see cookie.h.
 *
 * Numbers are written as base64url digits, most significant first, which is shorter
 * than decimal and needs no padding. The tag covers fixed-width values only (names go
 * in as hashes), so no two different inputs look the same to it.
 *
 * Threads: any.
 */
#include "route/cookie.h"

#include "base/random.h"
#include <endian.h>

enum { DIGITS_TIME = 6, DIGITS_64 = 11 };

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
number_write(char *at, size_t n, uint64_t value)
{
	while (n--) {
		at[n] = digits[value & 63];
		value >>= 6;
	}
}

static int
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* False: not all digits, or beyond 64 bits. */
static bool
number_parse(const char *at, size_t n, uint64_t *value_r)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++) {
		int d = digit_value(at[i]);

		if (d < 0 || value >> 58)
			return false;
		value = value << 6 | (uint64_t)d;
	}
	*value_r = value;
	return true;
}

bool
cookie_parse(struct str value, struct cookie *cookie_r)
{
	uint64_t half;

	if (value.n != COOKIE_VALUE || value.p[COOKIE_ID] != '.' ||
	    value.p[COOKIE_ID + 1 + DIGITS_TIME] != '.')
		return false;
	cookie_r->id = (struct str){value.p, COOKIE_ID};
	return number_parse(value.p, DIGITS_64, &half) &&
	       number_parse(value.p + DIGITS_64, DIGITS_64, &half) &&
	       number_parse(value.p + COOKIE_ID + 1, DIGITS_TIME, &cookie_r->issued) &&
	       number_parse(value.p + COOKIE_VALUE - DIGITS_64, DIGITS_64,
		   &cookie_r->tag);
}

void
cookie_new_id(char id[COOKIE_ID + 1])
{
	uint64_t halves[2];

	random_secret(halves, sizeof halves);
	number_write(id, DIGITS_64, halves[0]);
	number_write(id + DIGITS_64, DIGITS_64, halves[1]);
	id[COOKIE_ID] = '\0';
}

static uint64_t
tag_of(const uint8_t secret[HASH_SECRET], struct str id, uint64_t issued,
    uint64_t upstream, uint64_t backend)
{
	uint64_t numbers[] = {
	    htole64(issued),
	    htole64(upstream),
	    htole64(backend),
	};
	char bytes[COOKIE_ID + sizeof(numbers)];

	memcpy(bytes, id.p, COOKIE_ID);
	memcpy(bytes + COOKIE_ID, numbers, sizeof(numbers));
	return hash_keyed(secret, bytes, sizeof(bytes));
}

void
cookie_write(char value[COOKIE_VALUE + 1], const uint8_t secret[HASH_SECRET],
    const char id[COOKIE_ID + 1], uint64_t now_s, uint64_t upstream, uint64_t backend)
{
	char *at = value;

	memcpy(at, id, COOKIE_ID);
	at += COOKIE_ID;
	*at++ = '.';
	number_write(at, DIGITS_TIME, now_s);
	at += DIGITS_TIME;
	*at++ = '.';
	number_write(at, DIGITS_64,
	    tag_of(secret, (struct str){id, COOKIE_ID}, now_s, upstream, backend));
	at[DIGITS_64] = '\0';
}

bool
cookie_names(const struct cookie *c, const uint8_t secret[HASH_SECRET],
    uint64_t upstream, uint64_t backend)
{
	return c->tag == tag_of(secret, c->id, c->issued, upstream, backend);
}

bool
cookie_find(struct str header, struct str name, struct str *value_r)
{
	while (header.n) {
		const char *end = memchr(header.p, ';', header.n);
		size_t n = end ? (size_t)(end - header.p) : header.n;
		struct str pair = str_trim((struct str){header.p, n});

		header.p += n + (end != NULL);
		header.n -= n + (end != NULL);
		if (pair.n > name.n && pair.p[name.n] == '=' &&
		    memcmp(pair.p, name.p, name.n) == 0) {
			*value_r =
			    (struct str){pair.p + name.n + 1, pair.n - name.n - 1};
			return true;
		}
	}
	return false;
}
