/* SPDX-License-Identifier: MIT
 *
 * strbuf.h - a growing string.
 *
 * Appending never fails on the spot: when memory or the limit runs out, `failed`
 * is set, later appends do nothing, and the caller looks once at the end. The
 * memory stays until strbuf_fini, so a recycled strbuf does not allocate.
 */
#ifndef ROOST_BASE_STRBUF_H
#define ROOST_BASE_STRBUF_H

#include "base/object.h"
#include "base/str.h"
#include <stdint.h>
#include <string.h>

struct strbuf {
	char *data; /* not NUL-terminated unless strbuf_cstr was called */
	size_t len;
	size_t cap;   /* data has one byte more, for strbuf_cstr */
	size_t limit; /* 0: none */
	bool failed;
};

#define STRBUF_INIT ((struct strbuf){0})

/* One over memory of the caller's, which never grows and needs no strbuf_fini. */
static inline struct strbuf
strbuf_over(char *memory, size_t size)
{
	return (struct strbuf){.data = memory, .cap = size - 1, .limit = size - 1};
}

void strbuf_fini(struct strbuf *sb);

/* Empties it and forgets a failure; keeps the memory. */
static inline void
strbuf_reset(struct strbuf *sb)
{
	sb->len = 0;
	sb->failed = false;
}

/* The first n bytes, at most len, have been dealt with: the rest moves up. */
static inline void
strbuf_drop(struct strbuf *sb, size_t n)
{
	memmove(sb->data, sb->data + n, sb->len - n);
	sb->len -= n;
}

/* Room for n more bytes. False (and failed set) when there is none. */
bool strbuf_reserve(struct strbuf *sb, size_t n);

static inline void
strbuf_append(struct strbuf *sb, const void *p, size_t n)
{
	if (n == 0 || sb->failed || (sb->cap - sb->len < n && !strbuf_reserve(sb, n)))
		return;
	memcpy(sb->data + sb->len, p, n);
	sb->len += n;
}

static inline void
strbuf_str(struct strbuf *sb, struct str s)
{
	strbuf_append(sb, s.p, s.n);
}

#define strbuf_lit(sb, literal) strbuf_append(sb, literal, sizeof(literal) - 1)

void strbuf_puts(struct strbuf *sb, const char *text);
void strbuf_u64(struct strbuf *sb, uint64_t value);
void strbuf_printf(struct strbuf *sb, const char *format, ...) PRINTF_LIKE(2, 3);

/* Bytes of the UTF-8 character at the beginning of s (1 for ASCII); 0: there is none.
 */
size_t utf8_char_length(struct str s);

/* Appends text as the inside of a JSON string: quotes, backslashes and control
 * bytes escaped, bytes that are not UTF-8 replaced by U+FFFD. */
void strbuf_json(struct strbuf *sb, struct str s);

/* NUL-terminates (not counted in len) and returns data; "" when it failed. */
const char *strbuf_cstr(struct strbuf *sb);

#endif
