/* SPDX-License-Identifier: MIT
 *
 * response.c - a strict check of an HTTP/1 response head.
 *
 * Strict because the connection is used again: a response whose end is read wrongly
 * would hand the rest to another client.
 *
 * Threads: any; there is no state.
 */
#include "message/response.h"

#include "message/scan.h"

/* The status line up to its code: '#' is any digit, '?' a minor version. */
static const char status_line[] = "HTTP/1.? ###";
enum { MINOR_AT = 7, STATUS_AT = 9, STATUS_LINE = sizeof(status_line) - 1 };

static bool
byte_fits(char c, char pattern)
{
	switch (pattern) {
	case '#': return is_digit(c);
	case '?': return c == '0' || c == '1';
	default: return c == pattern;
	}
}

/* The blank before an empty reason may be missing: many servers leave it out. */
static enum parse
status_line_parse(const char **at, const char *end, struct response *r)
{
	const char *p = *at, *reason;

	for (unsigned i = 0; i < STATUS_LINE; i++) {
		if (p + i == end)
			return PARSE_MORE;
		if (!byte_fits(p[i], status_line[i]))
			return PARSE_BAD;
	}
	r->minor = (unsigned)(p[MINOR_AT] - '0');
	r->status = 0;
	for (unsigned i = STATUS_AT; i < STATUS_LINE; i++)
		r->status = r->status * 10 + (unsigned)(p[i] - '0');
	if (r->status < 100)
		return PARSE_BAD;
	p += STATUS_LINE;
	reason = p;
	if (p < end && *p == ' ')
		p = span(++reason, end, CHAR_VALUE);
	r->reason = str_between(reason, p);
	*at = p;
	return crlf_parse(at, end);
}

static enum parse
response_lines_parse(const char *p, size_t n, struct response *r, size_t *used_r)
{
	const char *at = p, *end = p + n;
	enum parse verdict = status_line_parse(&at, end, r);
	enum reason why;
	size_t used;

	if (verdict != PARSE_DONE)
		return verdict;
	verdict = header_lines_parse(at, (size_t)(end - at), r->headers,
	    HEAD_MAX_HEADERS, &r->n_headers, &used, &why);
	if (verdict == PARSE_DONE)
		*used_r = (size_t)(at - p) + used;
	return verdict;
}

/* RFC 9112, 6.3. After a 101 the connection speaks no HTTP. A 1xx or 204 that
 * announces a body will perhaps send one, where the next response is expected. */
static void
body_decide(struct response *r, enum method method, const struct header_facts *facts)
{
	bool bodiless = r->status < 200 || r->status == 204;

	r->length = 0;
	r->keep_alive = facts->keep_alive;
	if (bodiless || r->status == 304 || method == METHOD_HEAD) {
		r->body = BODY_NONE;
		if (r->status == 101 ||
		    (bodiless && (facts->chunked || facts->length > 0)))
			r->keep_alive = false;
	} else if (facts->chunked) {
		r->body = BODY_CHUNKED;
	} else if (facts->has_length) {
		r->body = BODY_LENGTH;
		r->length = facts->length;
	} else {
		r->body = BODY_UNTIL_CLOSE;
		r->keep_alive = false;
	}
}

enum parse
response_parse(const char *p, size_t n, enum method method, struct response *response_r,
    size_t *used_r)
{
	struct header_facts facts;
	enum parse verdict;

	if (n > HEAD_MAX_BYTES)
		n = HEAD_MAX_BYTES;
	verdict = response_lines_parse(p, n, response_r, used_r);
	if (verdict == PARSE_MORE && n == HEAD_MAX_BYTES)
		return PARSE_BAD;
	if (verdict != PARSE_DONE)
		return verdict;
	if (headers_examine(response_r->headers, response_r->n_headers,
		response_r->minor, response_r->first, &facts) != REASON_NONE)
		return PARSE_BAD;
	body_decide(response_r, method, &facts);
	return PARSE_DONE;
}

struct str
response_value(const struct response *r, enum header_id id)
{
	int16_t i = r->first[id];

	return i < 0 ? (struct str){NULL, 0} : r->headers[i].value;
}
