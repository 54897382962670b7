/* SPDX-License-Identifier: MIT
 *
 * fields.c - the header lines of a request, a response or a trailer section.
 *
 * Bytes are read once, from left to right, and the first wrong one ends it; what lines
 * say together is judged only when all are there. So a prefix of the lines gives MORE
 * or the very BAD that the whole gives.
 *
 * Threads: any; there is no state.
 */
#include "message/fields.h"

#include "message/scan.h"

enum { MAX_OPTIONS = 32 }; /* of Connection: each is looked for in all headers */

#define GRAPH (CHAR_TARGET | CHAR_VALUE)
#define TCHAR (CHAR_TOKEN | GRAPH)
#define NAME (TCHAR | CHAR_HOST)

/* CHAR_TARGET is every visible byte but '#': clients do send the other ones that RFC
 * 3986 forbids. CHAR_HOST is RFC 3986's reg-name without '%', which stands with two
 * digits, and without the comma, by which two Host lines could have been joined. */
const uint8_t char_classes[256] = {
    ['\t'] = CHAR_VALUE,
    [' '] = CHAR_VALUE,
    ['!'] = NAME,
    ['"'] = GRAPH,
    ['#'] = CHAR_TOKEN | CHAR_VALUE,
    ['$'] = NAME,
    ['%'] = TCHAR,
    ['&' ... '\''] = NAME,
    ['(' ... ')'] = GRAPH | CHAR_HOST,
    ['*' ... '+'] = NAME,
    [','] = GRAPH,
    ['-' ... '.'] = NAME,
    ['/'] = GRAPH,
    ['0' ... '9'] = NAME,
    [':'] = GRAPH,
    [';'] = GRAPH | CHAR_HOST,
    ['<'] = GRAPH,
    ['='] = GRAPH | CHAR_HOST,
    ['>' ... '@'] = GRAPH,
    ['A' ... 'Z'] = NAME,
    ['[' ... ']'] = GRAPH,
    ['^'] = TCHAR,
    ['_'] = NAME,
    ['`'] = TCHAR,
    ['a' ... 'z'] = NAME,
    ['{'] = GRAPH,
    ['|'] = TCHAR,
    ['}'] = GRAPH,
    ['~'] = NAME,
    [0x80 ... 0xff] = CHAR_VALUE, /* obs-text */
};

static const struct str header_names[HEADER_COUNT] = {
#define ROW(id, text) [HEADER_##id] = {text, sizeof(text) - 1}
    ROW(ACCEPT, "accept"),
    ROW(ACCEPT_ENCODING, "accept-encoding"),
    ROW(CACHE_CONTROL, "cache-control"),
    ROW(CONNECTION, "connection"),
    ROW(CONTENT_ENCODING, "content-encoding"),
    ROW(CONTENT_LENGTH, "content-length"),
    ROW(CONTENT_TYPE, "content-type"),
    ROW(COOKIE, "cookie"),
    ROW(DATE, "date"),
    ROW(ETAG, "etag"),
    ROW(EXPECT, "expect"),
    ROW(FORWARDED, "forwarded"),
    ROW(HOST, "host"),
    ROW(KEEP_ALIVE, "keep-alive"),
    ROW(PROXY_AUTHENTICATE, "proxy-authenticate"),
    ROW(PROXY_AUTHORIZATION, "proxy-authorization"),
    ROW(PROXY_CONNECTION, "proxy-connection"),
    ROW(REFERER, "referer"),
    ROW(ROOST_REHOMED_FROM, "roost-rehomed-from"),
    ROW(ROOST_SESSION, "roost-session"),
    ROW(SEC_WEBSOCKET_ACCEPT, "sec-websocket-accept"),
    ROW(SEC_WEBSOCKET_EXTENSIONS, "sec-websocket-extensions"),
    ROW(SEC_WEBSOCKET_KEY, "sec-websocket-key"),
    ROW(SEC_WEBSOCKET_PROTOCOL, "sec-websocket-protocol"),
    ROW(SEC_WEBSOCKET_VERSION, "sec-websocket-version"),
    ROW(SET_COOKIE, "set-cookie"),
    ROW(TE, "te"),
    ROW(TRACEPARENT, "traceparent"),
    ROW(TRAILER, "trailer"),
    ROW(TRANSFER_ENCODING, "transfer-encoding"),
    ROW(UPGRADE, "upgrade"),
    ROW(USER_AGENT, "user-agent"),
    ROW(X_FORWARDED_FOR, "x-forwarded-for"),
    ROW(X_FORWARDED_HOST, "x-forwarded-host"),
    ROW(X_FORWARDED_PROTO, "x-forwarded-proto"),
    ROW(X_REQUEST_ID, "x-request-id"),
#undef ROW
};

/* As span for CHAR_VALUE, eight bytes at a time while none is a control byte. */
static inline const char *
span_value(const char *p, const char *end)
{
	const uint64_t ones = UINT64_MAX / 0xff, tops = ones * 0x80;

	while (end - p >= 8) {
		uint64_t bytes, del;

		memcpy(&bytes, p, sizeof(bytes));
		del = bytes ^ (ones * 0x7f);
		if ((((bytes - ones * 0x20) & ~bytes) | ((del - ones) & ~del)) & tops)
			break;
		p += 8;
	}
	return span(p, end, CHAR_VALUE);
}

/* The one known header that a name of this length and first letter can be. */
static enum header_id
header_candidate(size_t n, char first)
{
	switch (n) {
	case 2: return HEADER_TE;
	case 4:
		return first == 'd'   ? HEADER_DATE
		       : first == 'e' ? HEADER_ETAG
				      : HEADER_HOST;
	case 6:
		return first == 'a'   ? HEADER_ACCEPT
		       : first == 'c' ? HEADER_COOKIE
				      : HEADER_EXPECT;
	case 7:
		return first == 't'   ? HEADER_TRAILER
		       : first == 'r' ? HEADER_REFERER
				      : HEADER_UPGRADE;
	case 9: return HEADER_FORWARDED;
	case 10:
		return first == 'c'   ? HEADER_CONNECTION
		       : first == 'k' ? HEADER_KEEP_ALIVE
		       : first == 'u' ? HEADER_USER_AGENT
				      : HEADER_SET_COOKIE;
	case 11: return HEADER_TRACEPARENT;
	case 12: return first == 'c' ? HEADER_CONTENT_TYPE : HEADER_X_REQUEST_ID;
	case 13: return first == 'c' ? HEADER_CACHE_CONTROL : HEADER_ROOST_SESSION;
	case 14: return HEADER_CONTENT_LENGTH;
	case 15: return first == 'a' ? HEADER_ACCEPT_ENCODING : HEADER_X_FORWARDED_FOR;
	case 16:
		return first == 'p'   ? HEADER_PROXY_CONNECTION
		       : first == 'c' ? HEADER_CONTENT_ENCODING
				      : HEADER_X_FORWARDED_HOST;
	case 17:
		return first == 's'   ? HEADER_SEC_WEBSOCKET_KEY
		       : first == 't' ? HEADER_TRANSFER_ENCODING
				      : HEADER_X_FORWARDED_PROTO;
	case 18:
		return first == 'p' ? HEADER_PROXY_AUTHENTICATE
				    : HEADER_ROOST_REHOMED_FROM;
	case 19: return HEADER_PROXY_AUTHORIZATION;
	case 20: return HEADER_SEC_WEBSOCKET_ACCEPT;
	case 21: return HEADER_SEC_WEBSOCKET_VERSION;
	case 22: return HEADER_SEC_WEBSOCKET_PROTOCOL;
	case 24: return HEADER_SEC_WEBSOCKET_EXTENSIONS;
	default: return HEADER_OTHER;
	}
}

/* Eight letters of a name, in lower case. A dash stays one, and no other byte of a
 * token becomes a dash or a letter. */
static inline uint64_t
eight_lower(const char *p)
{
	uint64_t bytes;

	memcpy(&bytes, p, sizeof(bytes));
	return bytes | UINT64_C(0x2020202020202020);
}

/* Is the token `name` this known one, of the same length? */
static inline bool
is_known_name(struct str name, const char *known)
{
	size_t i = 0;

	if (name.n >= 8) {
		for (; i + 8 <= name.n; i += 8)
			if (eight_lower(name.p + i) != eight_lower(known + i))
				return false;
		return eight_lower(name.p + name.n - 8) ==
		       eight_lower(known + name.n - 8);
	}
	while (i < name.n && (name.p[i] | 0x20) == known[i])
		i++;
	return i == name.n;
}

enum header_id
header_id_of(struct str name)
{
	enum header_id id;
	char first;

	if (name.n == 0)
		return HEADER_OTHER;
	first = (char)(name.p[0] | 0x20);
	id = header_candidate(name.n, first);
	if (id == HEADER_OTHER || first != header_names[id].p[0] ||
	    name.n != header_names[id].n || !is_known_name(name, header_names[id].p))
		return HEADER_OTHER;
	return id;
}

/* A folded line begins with a blank, which no name does (RFC 9112, 5.2). */
static inline enum parse
header_line_parse(const char **at, const char *end, struct header *header)
{
	const char *name = *at, *colon = span(name, end, CHAR_TOKEN), *value,
		   *value_end;

	if (colon == end)
		return PARSE_MORE;
	if (*colon != ':' || colon == name)
		return PARSE_BAD;
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	value_end = *at = span_value(value, end);
	while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t'))
		value_end--;
	header->name = str_between(name, colon);
	header->value = str_between(value, value_end);
	return crlf_parse(at, end);
}

enum parse
header_lines_parse(const char *p, size_t n, struct header *headers, unsigned max,
    unsigned *n_r, size_t *used_r, enum reason *why_r)
{
	const char *at = p, *end = p + n;
	unsigned count = 0;
	enum parse verdict;

	while (at < end && *at != '\r') {
		struct header *header = &headers[count];

		if (count == max)
			return bad(REASON_HEAD_TOO_LARGE, why_r);
		verdict = header_line_parse(&at, end, header);
		if (verdict == PARSE_BAD)
			return bad(REASON_BAD_HEADER, why_r);
		if (verdict == PARSE_MORE)
			return PARSE_MORE;
		header->id = header_id_of(header->name);
		header->nominated = false;
		count++;
	}
	verdict = crlf_parse(&at, end);
	if (verdict == PARSE_BAD)
		return bad(REASON_BAD_HEADER, why_r);
	if (verdict == PARSE_DONE) {
		*n_r = count;
		*used_r = (size_t)(at - p);
	}
	return verdict;
}

bool
content_length_parse(struct str value, uint64_t *length_r)
{
	uint64_t length = 0;

	for (size_t i = 0; i < value.n; i++) {
		if (!is_digit(value.p[i]) ||
		    __builtin_mul_overflow(length, 10, &length) ||
		    __builtin_add_overflow(length, value.p[i] - '0', &length))
			return false;
	}
	*length_r = length;
	return value.n > 0 && length <= INT64_MAX;
}

bool
is_token(struct str s)
{
	return s.n > 0 && span(s.p, s.p + s.n, CHAR_TOKEN) == s.p + s.n;
}

/* Host, Content-Length and Transfer-Encoding rule the message itself: a client that
 * wants them dropped on the way is up to no good. */
static bool
option_apply(struct str option, struct header *headers, unsigned n,
    struct header_facts *facts)
{
	enum header_id id = header_id_of(option);

	if (!is_token(option) || id == HEADER_HOST || id == HEADER_CONTENT_LENGTH ||
	    id == HEADER_TRANSFER_ENCODING)
		return false;
	if (str_ieq(option, STR("close"))) {
		facts->close = true;
		return true;
	}
	if (id == HEADER_KEEP_ALIVE)
		facts->keep_alive = true;
	else if (id == HEADER_UPGRADE)
		facts->upgrade = true;
	for (unsigned i = 0; i < n; i++)
		if (headers[i].name.n == option.n && headers[i].id == id &&
		    str_ieq(headers[i].name, option))
			headers[i].nominated = true;
	return true;
}

static enum reason
connection_examine(struct header *headers, unsigned n, unsigned first,
    struct header_facts *facts)
{
	unsigned count = 0;

	for (unsigned i = first; i < n; i++) {
		struct str list = headers[i].value, option;

		if (headers[i].id != HEADER_CONNECTION)
			continue;
		while (str_next_element(&list, &option)) {
			if (++count > MAX_OPTIONS)
				return REASON_HEAD_TOO_LARGE;
			if (!option_apply(option, headers, n, facts))
				return REASON_BAD_HEADER;
		}
	}
	return REASON_NONE;
}

/* One line that says "chunked" and nothing else; more liberal readings of a list are
 * where two parsers come to differ. */
static enum reason
coding_examine(const struct header *headers, unsigned n, unsigned first,
    struct header_facts *facts)
{
	unsigned lines = 0;

	for (unsigned i = first; i < n; i++) {
		struct str list = headers[i].value, coding;

		if (headers[i].id != HEADER_TRANSFER_ENCODING)
			continue;
		while (str_next_element(&list, &coding))
			if (!str_ieq(coding, STR("chunked")))
				return REASON_BAD_CODING;
		lines++;
	}
	if (lines != 1 || !str_ieq(headers[first].value, STR("chunked")))
		return REASON_BAD_FRAMING;
	facts->chunked = true;
	return REASON_NONE;
}

static enum reason
framing_examine(const struct header *headers, unsigned n, const int16_t *first,
    unsigned minor, struct header_facts *facts)
{
	int16_t length = first[HEADER_CONTENT_LENGTH];
	int16_t coding = first[HEADER_TRANSFER_ENCODING];

	if (coding >= 0) {
		/* RFC 9112, 6.1: an HTTP/1.0 sender cannot mean it */
		if (length >= 0 || minor == 0)
			return REASON_BAD_FRAMING;
		return coding_examine(headers, n, (unsigned)coding, facts);
	}
	if (length >= 0) {
		if (!content_length_parse(headers[length].value, &facts->length))
			return REASON_BAD_LENGTH;
		facts->has_length = true;
	}
	return REASON_NONE;
}

enum reason
headers_examine(struct header *headers, unsigned n, unsigned minor,
    int16_t first_r[HEADER_COUNT], struct header_facts *facts_r)
{
	enum reason why = REASON_NONE;

	*facts_r = (struct header_facts){0};
	memset(first_r, 0xff, HEADER_COUNT * sizeof(*first_r));
	for (unsigned i = 0; i < n; i++) {
		enum header_id id = headers[i].id;

		if (id == HEADER_OTHER)
			continue;
		if (first_r[id] < 0)
			first_r[id] = (int16_t)i;
		else if (id == HEADER_HOST)
			return REASON_BAD_HOST;
		else if (id == HEADER_CONTENT_LENGTH)
			return REASON_BAD_LENGTH;
	}
	if (first_r[HEADER_CONNECTION] >= 0)
		why = connection_examine(headers, n,
		    (unsigned)first_r[HEADER_CONNECTION], facts_r);
	if (why == REASON_NONE)
		why = framing_examine(headers, n, first_r, minor, facts_r);
	facts_r->keep_alive = !facts_r->close && (minor == 1 || facts_r->keep_alive);
	return why;
}

bool
headers_have_element(const struct header *headers, unsigned n, enum header_id id,
    struct str element)
{
	for (unsigned i = 0; i < n; i++) {
		struct str list = headers[i].value, e;

		if (headers[i].id != id)
			continue;
		while (str_next_element(&list, &e))
			if (str_ieq(e, element))
				return true;
	}
	return false;
}
