/* SPDX-License-Identifier: MIT
 *
 * strbuf.c - a growing string.
 *
 * The memory doubles, so a string built byte by byte costs a constant per byte, and
 * always has one byte beyond cap, so that closing it with NUL cannot fail.
 */
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAP = 127 };

void
strbuf_fini(struct strbuf *sb)
{
	free(sb->data);
	sb->data = NULL;
	sb->len = sb->cap = 0;
	sb->failed = false;
}

static bool
strbuf_fail(struct strbuf *sb)
{
	sb->failed = true;
	return false;
}

static bool
strbuf_grow(struct strbuf *sb, size_t need)
{
	size_t cap = sb->cap ? sb->cap : FIRST_CAP;
	char *data;

	while (cap < need)
		cap = cap < SIZE_MAX / 4 ? cap * 2 + 1 : need;
	if (sb->limit && cap > sb->limit)
		cap = sb->limit;
	data = realloc(sb->data, cap + 1);
	if (!data)
		return strbuf_fail(sb);
	sb->data = data;
	sb->cap = cap;
	return true;
}

bool
strbuf_reserve(struct strbuf *sb, size_t n)
{
	size_t most = sb->limit ? sb->limit : SIZE_MAX / 2;

	if (sb->failed)
		return false;
	if (sb->len > most || n > most - sb->len)
		return strbuf_fail(sb);
	return n <= sb->cap - sb->len || strbuf_grow(sb, sb->len + n);
}

void
strbuf_puts(struct strbuf *sb, const char *text)
{
	strbuf_append(sb, text, strlen(text));
}

void
strbuf_u64(struct strbuf *sb, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	strbuf_append(sb, digits + at, sizeof(digits) - at);
}

void
strbuf_printf(struct strbuf *sb, const char *format, ...)
{
	size_t room = sb->cap - sb->len;
	va_list args, again;
	int n;

	if (sb->failed)
		return;
	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(sb->data ? sb->data + sb->len : NULL, sb->data ? room + 1 : 0,
	    format, args);
	if (n < 0)
		sb->failed = true;
	else if ((size_t)n <= room)
		sb->len += (size_t)n;
	else if (strbuf_reserve(sb, (size_t)n)) {
		vsnprintf(sb->data + sb->len, (size_t)n + 1, format, again);
		sb->len += (size_t)n;
	}
	va_end(again);
	va_end(args);
}

static bool
is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Length of the UTF-8 character of two bytes or more at p (RFC 3629, 4); 0: none. */
static size_t
utf8_length(const unsigned char *p, size_t n)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n < length)
		return 0;
	/* what the second byte must not be: overlong, a surrogate, beyond U+10FFFF */
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (!is_continuation(p[i]))
			return 0;
	return length;
}

size_t
utf8_char_length(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	return s.n == 0 ? 0 : *p < 0x80 ? 1 : utf8_length(p, s.n);
}

static void
json_escape(struct strbuf *sb, unsigned char c)
{
	static const char from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
	const char *found = c ? strchr(from, c) : NULL;

	if (found) {
		char pair[2] = {'\\', to[found - from]};

		strbuf_append(sb, pair, sizeof(pair));
	} else if (c < 0x80) {
		strbuf_printf(sb, "\\u%04x", c);
	} else {
		strbuf_lit(sb, "\xef\xbf\xbd"); /* U+FFFD */
	}
}

static bool
json_is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void
strbuf_json(struct strbuf *sb, struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t done = 0, at = 0;

	while (at < s.n) {
		size_t length =
		    json_is_plain(p[at]) ? 1 : utf8_length(p + at, s.n - at);

		if (length) {
			at += length;
			continue;
		}
		strbuf_append(sb, p + done, at - done);
		json_escape(sb, p[at]);
		done = ++at;
	}
	strbuf_append(sb, p + done, at - done);
}

const char *
strbuf_cstr(struct strbuf *sb)
{
	if (sb->failed || !sb->data)
		return "";
	sb->data[sb->len] = '\0';
	return sb->data;
}
