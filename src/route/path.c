/* SPDX-License-Identifier: MIT
 *
 * path.c - paths of requests, as they are compared and as they are written.
 *
 * Everything is decoded first and resolved then, as servers do it: %2e%2e is a dot
 * segment and %2F ends one.
 *
 * Threads: any; there is no state.
 */
#include "route/path.h"

#include "base/strbuf.h"

bool
path_is_odd(struct str path)
{
	const char *p = path.p, *end = p + path.n;

	if (path.n == 0)
		return false;
	if (memchr(p, '%', path.n))
		return true;
	while (p < end && (p = memchr(p, '/', (size_t)(end - p))) && ++p < end)
		if (*p == '/' || *p == '.')
			return true;
	return false;
}

static size_t
path_decode(struct str path, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < path.n; i++) {
		int high = -1, low = -1;

		if (path.p[i] == '%' && path.n - i > 2) {
			high = hex_value(path.p[i + 1]);
			low = hex_value(path.p[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			out[n++] = (char)(high * 16 + low);
			i += 2;
		} else {
			out[n++] = path.p[i];
		}
	}
	return n;
}

/* The segment that begins behind the slash at p[at]. */
static struct str
segment_at(const char *p, size_t n, size_t at)
{
	const char *start = p + at + 1, *end = memchr(start, '/', n - at - 1);

	return (struct str){start, end ? (size_t)(end - start) : n - at - 1};
}

/* Takes empty and dot segments out of a path that begins with a slash; in place. */
static size_t
segments_resolve(char *p, size_t n)
{
	size_t kept = 0;

	for (size_t at = 0; at < n;) {
		struct str s = segment_at(p, n, at);
		bool up = str_eq(s, STR(".."));

		at += s.n + 1;
		if (s.n && !up && !str_eq(s, STR("."))) {
			p[kept++] = '/';
			memmove(p + kept, s.p, s.n);
			kept += s.n;
			continue;
		}
		while (up && kept && p[--kept] != '/')
			;
		if (at >= n) /* what it stood for is a directory */
			p[kept++] = '/';
	}
	return kept;
}

size_t
path_normalise(struct str path, char *out)
{
	if (path.n == 0)
		return 0;
	if (path.p[0] != '/') {
		memcpy(out, path.p, path.n);
		return path.n;
	}
	return segments_resolve(out, path_decode(path, out));
}

/* May a byte stand in a path as it is (RFC 3986, 3.3)? */
static bool
is_path_byte(char c)
{
	static const char never[] = "\"#%<>?[\\]^`{|}";

	return c > 0x20 && c < 0x7f && !memchr(never, c, sizeof(never) - 1);
}

void
path_encode(struct str path, bool keep_codes, struct strbuf *out)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < path.n; i++) {
		unsigned char c = (unsigned char)path.p[i];
		char code[3] = {'%', digits[c >> 4], digits[c & 15]};

		if (is_path_byte(path.p[i]) || (keep_codes && c == '%'))
			strbuf_append(out, &path.p[i], 1);
		else
			strbuf_append(out, code, sizeof(code));
	}
}

bool
path_may_stray(struct str rest, char *buf)
{
	size_t n = path_decode(rest, buf);

	if (rest.n > 1 && rest.p[1] == '/')
		return true;
	for (size_t at = 0; at < n;) {
		struct str s = segment_at(buf, n, at);

		if (str_eq(s, STR(".")) || str_eq(s, STR("..")))
			return true;
		at += s.n + 1;
	}
	return false;
}
