/* SPDX-License-Identifier: MIT
 *
 * head.c - a strict check of an HTTP/1 request head.
 *
 * Three steps: the request line and the header lines are read from left to right, then
 * the whole is judged. The first two stop at the first wrong byte and the third runs
 * only on a complete head, so however the network cuts the bytes, a prefix gives MORE
 * or the very BAD that the whole head gives.
 *
 * Threads: any; there is no state.
 */
#include "message/head.h"

#include "message/scan.h"
#include <arpa/inet.h>

enum { MAX_METHOD = 64, MAX_PORT = 65535 };

static const struct {
	struct str text;
	bool idempotent;
} methods[] = {
#define ROW(name, idempotent) [METHOD_##name] = {{#name, sizeof(#name) - 1}, idempotent}
    ROW(GET, true),
    ROW(HEAD, true),
    ROW(POST, false),
    ROW(PUT, true),
    ROW(DELETE, true),
    ROW(OPTIONS, true),
    ROW(PATCH, false),
    ROW(TRACE, true),
#undef ROW
};

static enum method
method_of(struct str text)
{
	for (unsigned i = METHOD_GET; i < sizeof(methods) / sizeof(*methods); i++)
		if (str_eq(text, methods[i].text))
			return (enum method)i;
	return METHOD_OTHER;
}

bool
method_is_idempotent(enum method method)
{
	return methods[method].idempotent;
}

static enum parse
version_parse(const char **at, const char *end, unsigned *minor_r, enum reason *why_r)
{
	static const char expected[] = "HTTP/1.";
	const char *p = *at;

	for (unsigned i = 0; expected[i]; i++, p++) {
		if (p == end)
			return PARSE_MORE;
		if (*p != expected[i])
			return bad(i == 5 && is_digit(*p) ? REASON_BAD_VERSION
							  : REASON_BAD_REQUEST_LINE,
			    why_r);
	}
	if (p == end)
		return PARSE_MORE;
	if (*p != '0' && *p != '1')
		return bad(is_digit(*p) ? REASON_BAD_VERSION : REASON_BAD_REQUEST_LINE,
		    why_r);
	*minor_r = (unsigned)(*p - '0');
	*at = p + 1;
	return PARSE_DONE;
}

static enum parse
method_parse(const char **at, const char *end, struct head *head, enum reason *why_r)
{
	const char *start = *at, *p = span(start, end, CHAR_TOKEN);

	if (p - start > MAX_METHOD)
		return bad(REASON_BAD_METHOD, why_r);
	if (p == end)
		return PARSE_MORE;
	if (p == start || *p != ' ')
		return bad(REASON_BAD_REQUEST_LINE, why_r);
	head->method_text = str_between(start, p);
	head->method = method_of(head->method_text);
	/* a gateway is no tunnel for others */
	if (str_eq(head->method_text, STR("CONNECT")))
		return bad(REASON_BAD_METHOD, why_r);
	*at = p + 1;
	return PARSE_DONE;
}

static enum parse
target_parse(const char **at, const char *end, struct head *head, enum reason *why_r)
{
	const char *start = *at, *p = span(start, end, CHAR_TARGET);

	if (p - start > HEAD_MAX_TARGET)
		return bad(REASON_TARGET_TOO_LONG, why_r);
	if (p == end)
		return PARSE_MORE;
	if (p == start || *p == '\r' || *p == '\n')
		return bad(REASON_BAD_REQUEST_LINE, why_r);
	if (*p != ' ')
		return bad(REASON_BAD_TARGET, why_r);
	head->target = str_between(start, p);
	*at = p + 1;
	return PARSE_DONE;
}

static enum parse
request_line_parse(const char **at, const char *end, struct head *head,
    enum reason *why_r)
{
	enum parse verdict = method_parse(at, end, head, why_r);

	if (verdict == PARSE_DONE)
		verdict = target_parse(at, end, head, why_r);
	if (verdict == PARSE_DONE)
		verdict = version_parse(at, end, &head->minor, why_r);
	if (verdict == PARSE_DONE) {
		verdict = crlf_parse(at, end);
		if (verdict == PARSE_BAD)
			return bad(REASON_BAD_REQUEST_LINE, why_r);
	}
	return verdict;
}

static bool
port_is_valid(struct str port)
{
	uint64_t number;

	return port.n == 0 || (port.n <= 5 && content_length_parse(port, &number) &&
				  number <= MAX_PORT);
}

static bool
ipv6_is_valid(struct str text)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (text.n >= sizeof(copy))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	return inet_pton(AF_INET6, copy, &address) == 1;
}

/* The end of the host in an authority; NULL when it is malformed or empty. */
static const char *
host_end(const char *p, const char *end)
{
	const char *start = p;

	if (p < end && *p == '[') {
		const char *close = memchr(p, ']', (size_t)(end - p));

		return close && ipv6_is_valid(str_between(p + 1, close)) ? close + 1
									 : NULL;
	}
	for (;;) {
		p = span(p, end, CHAR_HOST);
		if (end - p < 3 || p[0] != '%' || !is_hex(p[1]) || !is_hex(p[2]))
			return p > start ? p : NULL;
		p += 3;
	}
}

/* host [ ":" port ], without user (RFC 9110, 4.2.4). */
static bool
authority_parse(struct str authority, struct str *host_r)
{
	const char *end = authority.p + authority.n, *p = host_end(authority.p, end);

	if (!p || (p < end && (*p != ':' || !port_is_valid(str_between(p + 1, end)))))
		return false;
	*host_r = str_between(authority.p, p);
	return true;
}

/* Cuts scheme and authority off an absolute-form target (RFC 9112, 3.2.2). */
static bool
absolute_form_cut(struct head *head)
{
	const char *p = head->target.p, *end = p + head->target.n, *start;

	if (head->target.n >= 7 && strncasecmp(p, "http://", 7) == 0)
		p += 7;
	else if (head->target.n >= 8 && strncasecmp(p, "https://", 8) == 0)
		p += 8, head->https = true;
	else
		return false;
	start = p;
	while (p < end && *p != '/' && *p != '?')
		p++;
	head->authority = str_between(start, p);
	if (!authority_parse(head->authority, &head->host))
		return false;
	if (p < end) {
		head->target = str_between(p, end);
		return true;
	}
	head->target =
	    head->method == METHOD_OPTIONS ? STR("*") : str_between(start - 1, start);
	return true;
}

static bool
target_split(struct head *head)
{
	const char *mark;

	head->authority = head->host = head->query = (struct str){NULL, 0};
	head->https = false;
	if (str_eq(head->target, STR("*"))) {
		if (head->method != METHOD_OPTIONS)
			return false;
	} else if (head->target.p[0] != '/' && !absolute_form_cut(head)) {
		return false;
	}
	head->path = head->target;
	mark = memchr(head->target.p, '?', head->target.n);
	if (mark) {
		head->path = str_between(head->target.p, mark);
		if (head->path.n == 0)
			head->path = STR("/");
		head->query = str_between(mark + 1, head->target.p + head->target.n);
	}
	return true;
}

/* An absolute-form target has the last word over Host (RFC 9112, 3.2.2). */
static enum reason
host_judge(struct head *head)
{
	struct str value = head_value(head, HEADER_HOST), host;

	if (value.n == 0)
		return head->minor == 0 ? REASON_NONE : REASON_BAD_HOST;
	if (!authority_parse(value, &host))
		return REASON_BAD_HOST;
	if (!head->authority.p) {
		head->authority = value;
		head->host = host;
	}
	return REASON_NONE;
}

/* HTTP/1.0 knows no 100, so there it is ignored (RFC 9110, 10.1.1). */
static enum reason
expect_judge(struct head *head)
{
	int first = head->first[HEADER_EXPECT];

	head->expect_continue = first >= 0 && head->minor == 1;
	for (unsigned i = first < 0 ? head->n_headers : (unsigned)first;
	     i < head->n_headers; i++)
		if (head->headers[i].id == HEADER_EXPECT &&
		    !str_ieq(head->headers[i].value, STR("100-continue")))
			return REASON_BAD_EXPECT;
	return REASON_NONE;
}

static enum reason
head_judge(struct head *head)
{
	struct header_facts facts;
	enum reason why;

	if (!target_split(head))
		return REASON_BAD_TARGET;
	why = headers_examine(head->headers, head->n_headers, head->minor, head->first,
	    &facts);
	if (why == REASON_NONE)
		why = host_judge(head);
	if (why == REASON_NONE)
		why = expect_judge(head);
	head->keep_alive = facts.keep_alive;
	head->body = facts.chunked      ? BODY_CHUNKED
		     : facts.has_length ? BODY_LENGTH
					: BODY_NONE;
	head->length = facts.length;
	head->upgrade = facts.upgrade && head->minor == 1 &&
			headers_have_element(head->headers, head->n_headers,
			    HEADER_UPGRADE, STR("websocket"));
	return why;
}

static enum parse
head_lines_parse(const char *p, size_t n, struct head *head, size_t *used_r,
    enum reason *why_r)
{
	const char *at = p, *end = p + n;
	enum parse verdict;
	size_t used;

	while (at < end && (*at == '\r' || *at == '\n')) {
		verdict = crlf_parse(&at, end);
		if (verdict == PARSE_BAD)
			return bad(REASON_BAD_REQUEST_LINE, why_r);
		if (verdict == PARSE_MORE)
			return PARSE_MORE;
	}
	verdict = request_line_parse(&at, end, head, why_r);
	if (verdict != PARSE_DONE)
		return verdict;
	verdict = header_lines_parse(at, (size_t)(end - at), head->headers,
	    HEAD_MAX_HEADERS, &head->n_headers, &used, why_r);
	if (verdict == PARSE_DONE)
		*used_r = (size_t)(at - p) + used;
	return verdict;
}

enum parse
head_parse(const char *p, size_t n, struct head *head_r, size_t *used_r,
    enum reason *why_r)
{
	enum parse verdict;
	enum reason why;

	if (n > HEAD_MAX_BYTES)
		n = HEAD_MAX_BYTES;
	verdict = head_lines_parse(p, n, head_r, used_r, why_r);
	if (verdict == PARSE_MORE && n == HEAD_MAX_BYTES)
		return bad(REASON_HEAD_TOO_LARGE, why_r);
	if (verdict != PARSE_DONE)
		return verdict;
	why = head_judge(head_r);
	return why == REASON_NONE ? PARSE_DONE : bad(why, why_r);
}

struct str
head_value(const struct head *head, enum header_id id)
{
	int16_t i = head->first[id];

	return i < 0 ? (struct str){NULL, 0} : head->headers[i].value;
}

struct str
head_find(const struct head *head, struct str name)
{
	for (unsigned i = 0; i < head->n_headers; i++)
		if (str_ieq(head->headers[i].name, name))
			return head->headers[i].value;
	return (struct str){NULL, 0};
}
