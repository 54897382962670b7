/* SPDX-License-Identifier: MIT
 *
 * headers.c - what is passed on of a head; see headers.h.
 *
 * One table says for each known header which way it must not go.
 */
#include "http/headers.h"

#include "base/strbuf.h"
#include "http/compress.h"
#include "message/response.h"
#include "route/cookie.h"
#include "route/edits.h"

/* X_FAMILY, STANDARD, TRACE: dropped on the way up where nobody trusted said it. */
enum {
	NOT_UP = 1,
	NOT_DOWN = 2,
	NOT_TRAILER = 4,
	NOWHERE = NOT_UP | NOT_DOWN | NOT_TRAILER,
	X_FAMILY = 8,
	STANDARD = 16,
	TRACE = 32,
};

static const uint8_t dropped[HEADER_COUNT] = {
    [HEADER_ACCEPT] = NOT_TRAILER,
    [HEADER_CACHE_CONTROL] = NOT_TRAILER,
    [HEADER_CONNECTION] = NOWHERE,
    [HEADER_CONTENT_ENCODING] = NOT_TRAILER,
    [HEADER_CONTENT_LENGTH] = NOWHERE,
    [HEADER_CONTENT_TYPE] = NOT_TRAILER,
    [HEADER_COOKIE] = NOT_TRAILER,
    [HEADER_EXPECT] = NOT_UP | NOT_TRAILER, /* written where there is a body */
    [HEADER_FORWARDED] = STANDARD | NOT_TRAILER,
    [HEADER_HOST] = NOT_UP | NOT_TRAILER, /* written first */
    [HEADER_KEEP_ALIVE] = NOWHERE,
    [HEADER_PROXY_AUTHENTICATE] = NOWHERE,
    [HEADER_PROXY_AUTHORIZATION] = NOWHERE,
    [HEADER_PROXY_CONNECTION] = NOWHERE,
    [HEADER_ROOST_REHOMED_FROM] = NOWHERE,
    [HEADER_ROOST_SESSION] = NOWHERE,
    [HEADER_SEC_WEBSOCKET_EXTENSIONS] = NOT_UP | NOT_TRAILER,
    [HEADER_SET_COOKIE] = NOT_TRAILER,
    [HEADER_TE] = NOWHERE, /* "trailers" is written anew */
    [HEADER_TRACEPARENT] = TRACE | NOT_TRAILER,
    [HEADER_TRAILER] = NOT_TRAILER,
    [HEADER_TRANSFER_ENCODING] = NOWHERE,
    [HEADER_UPGRADE] = NOWHERE,
    [HEADER_X_FORWARDED_FOR] = X_FAMILY | NOT_TRAILER,
    [HEADER_X_FORWARDED_HOST] = X_FAMILY | NOT_TRAILER,
    [HEADER_X_FORWARDED_PROTO] = X_FAMILY | NOT_TRAILER,
    [HEADER_X_REQUEST_ID] = NOT_UP | NOT_TRAILER,
};

static void
write_header(struct strbuf *out, struct str name, struct str value)
{
	strbuf_str(out, name);
	strbuf_lit(out, ": ");
	strbuf_str(out, value);
	strbuf_lit(out, "\r\n");
}

static void
write_passed(struct strbuf *out, const struct header *headers, unsigned n, uint8_t way,
    const struct edits *edits)
{
	for (unsigned i = 0; i < n; i++)
		if (!(dropped[headers[i].id] & way) && !headers[i].nominated &&
		    (!edits || !edits_drop(edits, headers[i].name)))
			write_header(out, headers[i].name, headers[i].value);
}

static void
write_length(struct strbuf *out, uint64_t length)
{
	strbuf_lit(out, "Content-Length: ");
	strbuf_u64(out, length);
	strbuf_lit(out, "\r\n");
}

static void
write_framing(struct strbuf *out, enum body_kind body, uint64_t length)
{
	if (body == BODY_LENGTH)
		write_length(out, length);
	else if (body == BODY_CHUNKED)
		strbuf_lit(out, "Transfer-Encoding: chunked\r\n");
}

/* All values of a header as one list, and a comma for what comes behind it. */
static void
write_list_before(struct strbuf *out, const struct head *head, enum header_id id)
{
	for (int i = head->first[id]; i >= 0 && (unsigned)i < head->n_headers; i++)
		if (head->headers[i].id == id && head->headers[i].value.n) {
			strbuf_str(out, head->headers[i].value);
			strbuf_lit(out, ", ");
		}
}

static struct str
scheme_of(const struct forwarding *f)
{
	return f->https ? STR("https") : STR("http");
}

/* A line of roost's own: a route may drop it, or set another in its place. */
static inline bool
begin_own(struct strbuf *out, const struct forwarding *f, struct str name)
{
	if (f->edits && edits_drop(f->edits, name))
		return false;
	strbuf_str(out, name);
	strbuf_lit(out, ": ");
	return true;
}

static inline void
write_own(struct strbuf *out, const struct forwarding *f, struct str name,
    struct str value)
{
	if (value.n && begin_own(out, f, name)) {
		strbuf_str(out, value);
		strbuf_lit(out, "\r\n");
	}
}

/* What a trusted proxy said, or else what we know. */
static struct str
said_or(const struct head *head, const struct forwarding *f, enum header_id id,
    struct str known)
{
	return f->trusted && head->first[id] >= 0 ? head_value(head, id) : known;
}

static void
write_x_forwarded(struct strbuf *out, const struct head *head,
    const struct forwarding *f)
{
	if (begin_own(out, f, STR("X-Forwarded-For"))) {
		if (f->trusted)
			write_list_before(out, head, HEADER_X_FORWARDED_FOR);
		strbuf_str(out, f->peer);
		strbuf_lit(out, "\r\n");
	}
	write_own(out, f, STR("X-Forwarded-Proto"),
	    said_or(head, f, HEADER_X_FORWARDED_PROTO, scheme_of(f)));
	write_own(out, f, STR("X-Forwarded-Host"),
	    said_or(head, f, HEADER_X_FORWARDED_HOST, head->authority));
}

/* Colons and brackets need quotes (RFC 7239, 4 and 6). */
static void
write_forwarded(struct strbuf *out, const struct head *head, const struct forwarding *f)
{
	bool v6 = f->peer.n && memchr(f->peer.p, ':', f->peer.n);

	if (!begin_own(out, f, STR("Forwarded")))
		return;
	if (f->trusted)
		write_list_before(out, head, HEADER_FORWARDED);
	strbuf_puts(out, v6 ? "for=\"[" : "for=");
	strbuf_str(out, f->peer);
	strbuf_puts(out, v6 ? "]\"" : "");
	if (head->authority.n) {
		strbuf_lit(out, ";host=\"");
		strbuf_str(out, head->authority);
		strbuf_lit(out, "\"");
	}
	strbuf_lit(out, ";proto=");
	strbuf_str(out, scheme_of(f));
	strbuf_lit(out, "\r\n");
}

static bool
writes_x(const struct forwarding *f)
{
	return f->style == FORWARDED_X || f->style == FORWARDED_BOTH;
}

static bool
writes_standard(const struct forwarding *f)
{
	return f->style == FORWARDED_STANDARD || f->style == FORWARDED_BOTH;
}

static void
write_forwarding(struct strbuf *out, const struct head *head,
    const struct forwarding *f)
{
	if (writes_x(f))
		write_x_forwarded(out, head, f);
	if (writes_standard(f))
		write_forwarded(out, head, f);
	write_own(out, f, STR("X-Request-Id"), f->request_id);
	write_own(out, f, STR("traceparent"), f->traceparent);
}

/* What of the client's own header lines does not go up. */
static uint8_t
way_up(const struct forwarding *f)
{
	uint8_t way = NOT_UP;

	if (!f->trusted || writes_x(f))
		way |= X_FAMILY;
	if (!f->trusted || writes_standard(f))
		way |= STANDARD;
	if (f->traceparent.n)
		way |= TRACE;
	return way;
}

static void
write_host(struct strbuf *out, const struct head *head, const struct forwarding *f)
{
	strbuf_lit(out, "Host: ");
	if (!f->edits || !edits_host(f->edits, f->values, out))
		strbuf_str(out, head->authority.n ? head->authority : f->fallback_host);
	strbuf_lit(out, "\r\n");
}

static void
write_connection(struct strbuf *out, const struct head *head)
{
	if (head->upgrade)
		strbuf_lit(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	/* trailers are passed on, so a client that takes them may say so (RFC 9110,
	 * 10.1.4) */
	else if (head->first[HEADER_TE] >= 0 &&
		 headers_have_element(head->headers, head->n_headers, HEADER_TE,
		     STR("trailers")))
		strbuf_lit(out, "Connection: TE\r\nTE: trailers\r\n");
}

void
headers_write_request(struct strbuf *out, const struct head *head,
    const struct forwarding *f)
{
	bool has_body = head->body != BODY_NONE;

	strbuf_str(out, head->method_text);
	strbuf_lit(out, " ");
	if (!f->target.n && head->target.p[0] == '?')
		strbuf_lit(out, "/");
	strbuf_str(out, f->target.n ? f->target : head->target);
	strbuf_lit(out, " HTTP/1.1\r\n");
	write_host(out, head, f);
	write_passed(out, head->headers, head->n_headers, way_up(f), f->edits);
	/* a length of 0 that the client said is passed on: some servers ask for it */
	if (has_body || head->first[HEADER_CONTENT_LENGTH] >= 0)
		write_framing(out, has_body ? head->body : BODY_LENGTH, head->length);
	if (head_expects_continue(head))
		strbuf_lit(out, "Expect: 100-continue\r\n");
	write_connection(out, head);
	write_forwarding(out, head, f);
	if (f->edits)
		edits_write(f->edits, f->values, out);
}

/* May a shared cache keep this response? */
static bool
is_public(const struct response *r)
{
	for (unsigned i = 0; i < r->n_headers; i++) {
		struct str list = r->headers[i].value, e;

		if (r->headers[i].id != HEADER_CACHE_CONTROL)
			continue;
		while (str_next_element(&list, &e)) {
			if (str_ieq(e, STR("public")))
				return true;
			if (e.n > 9 && str_ieq((struct str){e.p, 9}, STR("s-maxage=")))
				return true;
		}
	}
	return false;
}

static void
write_cookie(struct strbuf *out, const struct response *r, const struct answer *a)
{
	if (!a->cookie || is_public(r))
		return;
	strbuf_lit(out, "Set-Cookie: " COOKIE_NAME "=");
	strbuf_puts(out, a->cookie);
	strbuf_lit(out, "; Path=/; HttpOnly; SameSite=Lax");
	if (a->https)
		strbuf_lit(out, "; Secure");
	strbuf_lit(out, "\r\n");
}

static void
write_status(struct strbuf *out, const struct response *r)
{
	strbuf_lit(out, "HTTP/1.1 ");
	strbuf_u64(out, r->status);
	strbuf_lit(out, " ");
	strbuf_str(out, r->reason);
	strbuf_lit(out, "\r\n");
}

/* A compressed body is another representation: it has no ranges of the old one, and its
 * strong validator is one no more (RFC 9110, 8.8.3.3). */
static void
write_recoded(struct strbuf *out, const struct response *r, const struct answer *a)
{
	for (unsigned i = 0; i < r->n_headers; i++) {
		const struct header *h = &r->headers[i];

		if ((dropped[h->id] & NOT_DOWN) || h->nominated ||
		    (a->edits && edits_drop(a->edits, h->name)) ||
		    str_ieq(h->name, STR("Accept-Ranges")))
			continue;
		strbuf_str(out, h->name);
		strbuf_lit(out, ": ");
		if (h->id == HEADER_ETAG && h->value.n && h->value.p[0] == '"')
			strbuf_lit(out, "W/");
		strbuf_str(out, h->value);
		strbuf_lit(out, "\r\n");
	}
	write_header(out, STR("Content-Encoding"),
	    str_of(compress_coding_name(a->coding)));
}

/* Do caches know already that encodings differ? */
static bool
says_it_varies(const struct response *r)
{
	for (unsigned i = 0; i < r->n_headers; i++) {
		struct str list = r->headers[i].value, e;

		if (!str_ieq(r->headers[i].name, STR("Vary")))
			continue;
		while (str_next_element(&list, &e))
			if (str_eq(e, STR("*")) || str_ieq(e, STR("Accept-Encoding")))
				return true;
	}
	return false;
}

void
headers_write_response(struct strbuf *out, const struct response *r,
    const struct answer *a)
{
	write_status(out, r);
	if (a->coding)
		write_recoded(out, r, a);
	else
		write_passed(out, r->headers, r->n_headers, NOT_DOWN, a->edits);
	if (a->varies && !says_it_varies(r))
		strbuf_lit(out, "Vary: Accept-Encoding\r\n");
	if (!a->describes_body)
		write_framing(out, a->body, a->length);
	else if (r->first[HEADER_CONTENT_LENGTH] >= 0 && !a->coding)
		write_header(out, STR("Content-Length"),
		    response_value(r, HEADER_CONTENT_LENGTH));
	write_cookie(out, r, a);
	if (a->edits)
		edits_write(a->edits, a->values, out);
	if (!a->keep_alive)
		strbuf_lit(out, "Connection: close\r\n");
	else if (a->minor == 0)
		strbuf_lit(out, "Connection: keep-alive\r\n");
	strbuf_lit(out, "\r\n");
}

void
headers_write_interim(struct strbuf *out, const struct response *r)
{
	write_status(out, r);
	write_passed(out, r->headers, r->n_headers, NOT_DOWN, NULL);
	strbuf_lit(out, "\r\n");
}

void
headers_write_upgrade(struct strbuf *out, const struct response *r,
    const struct answer *a)
{
	write_status(out, r);
	write_passed(out, r->headers, r->n_headers, NOT_DOWN, a->edits);
	write_cookie(out, r, a);
	if (a->edits)
		edits_write(a->edits, a->values, out);
	strbuf_lit(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

/* What frames, routes, authenticates, asks for or tells of the content, or steers a
 * cache must be known before the body (RFC 9110, 6.5.1); beside the ids of dropped[].
 */
static bool
is_too_late(struct str name)
{
	static const char *const names[] = {"Age", "Authorization", "Content-Range",
	    "Date", "Expires", "If-Match", "If-Modified-Since", "If-None-Match",
	    "If-Range", "If-Unmodified-Since", "Location", "Max-Forwards", "Pragma",
	    "Range", "Retry-After", "Vary", "Warning", "WWW-Authenticate"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (str_ieq(name, str_of(names[i])))
			return true;
	return false;
}

void
headers_write_trailers(struct strbuf *out, struct str section)
{
	struct header headers[HEAD_MAX_HEADERS];
	struct strbuf lines = STRBUF_INIT;
	enum reason why;
	unsigned n;
	size_t used;

	if (section.n == 0)
		return;
	/* the lines' parser wants the empty line that ends a section */
	strbuf_str(&lines, section);
	strbuf_lit(&lines, "\r\n");
	if (!lines.failed && header_lines_parse(lines.data, lines.len, headers,
				 HEAD_MAX_HEADERS, &n, &used, &why) == PARSE_DONE)
		for (unsigned i = 0; i < n; i++)
			if (!(dropped[headers[i].id] & NOT_TRAILER) &&
			    !is_too_late(headers[i].name))
				write_header(out, headers[i].name, headers[i].value);
	strbuf_fini(&lines);
}
