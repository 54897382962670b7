/* SPDX-License-Identifier: MIT
 *
 * headers.c - what is passed on of a head; see headers.h.
 *
 * One table says for each known header which way it must not go.
 */
#include "http/headers.h"

#include "base/strbuf.h"
#include "message/response.h"
#include "route/cookie.h"

enum { NOT_UP = 1, NOT_DOWN = 2, NOT_TRAILER = 4, NOWHERE = 7 };

static const uint8_t dropped[HEADER_COUNT] = {
    [HEADER_ACCEPT] = NOT_TRAILER,
    [HEADER_CACHE_CONTROL] = NOT_TRAILER,
    [HEADER_CONNECTION] = NOWHERE,
    [HEADER_CONTENT_LENGTH] = NOWHERE,
    [HEADER_COOKIE] = NOT_TRAILER,
    [HEADER_EXPECT] = NOT_UP | NOT_TRAILER, /* answered by roost */
    [HEADER_FORWARDED] = NOT_UP | NOT_TRAILER,
    [HEADER_HOST] = NOT_UP | NOT_TRAILER, /* written first */
    [HEADER_KEEP_ALIVE] = NOWHERE,
    [HEADER_PROXY_AUTHENTICATE] = NOWHERE,
    [HEADER_PROXY_AUTHORIZATION] = NOWHERE,
    [HEADER_PROXY_CONNECTION] = NOWHERE,
    [HEADER_ROOST_REHOMED_FROM] = NOWHERE,
    [HEADER_ROOST_SESSION] = NOWHERE,
    [HEADER_SEC_WEBSOCKET_EXTENSIONS] = NOT_UP | NOT_TRAILER,
    [HEADER_SET_COOKIE] = NOT_TRAILER,
    [HEADER_TE] = NOWHERE,
    [HEADER_TRAILER] = NOT_TRAILER,
    [HEADER_TRANSFER_ENCODING] = NOWHERE,
    [HEADER_UPGRADE] = NOWHERE,
    [HEADER_X_FORWARDED_FOR] = NOT_UP | NOT_TRAILER,
    [HEADER_X_FORWARDED_HOST] = NOT_UP | NOT_TRAILER,
    [HEADER_X_FORWARDED_PROTO] = NOT_UP | NOT_TRAILER,
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
write_passed(struct strbuf *out, const struct header *headers, unsigned n, uint8_t way)
{
	for (unsigned i = 0; i < n; i++)
		if (!(dropped[headers[i].id] & way) && !headers[i].nominated)
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

static void
write_forwarding(struct strbuf *out, const struct head *head,
    const struct forwarding *f)
{
	write_header(out, STR("X-Forwarded-For"), f->peer);
	if (f->tls)
		strbuf_lit(out, "X-Forwarded-Proto: https\r\n");
	else
		strbuf_lit(out, "X-Forwarded-Proto: http\r\n");
	if (head->authority.n)
		write_header(out, STR("X-Forwarded-Host"), head->authority);
	write_header(out, STR("X-Request-Id"), f->request_id);
}

void
headers_write_request(struct strbuf *out, const struct head *head,
    const struct forwarding *f)
{
	bool has_body = head->body != BODY_NONE;

	strbuf_str(out, head->method_text);
	strbuf_lit(out, " ");
	strbuf_str(out, head->target);
	strbuf_lit(out, " HTTP/1.1\r\n");
	write_header(out, STR("Host"),
	    head->authority.n ? head->authority : f->fallback_host);
	write_passed(out, head->headers, head->n_headers, NOT_UP);
	/* a length of 0 that the client said is passed on: some servers ask for it */
	if (has_body || head->first[HEADER_CONTENT_LENGTH] >= 0)
		write_framing(out, has_body ? head->body : BODY_LENGTH, head->length);
	if (head->upgrade)
		strbuf_lit(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	write_forwarding(out, head, f);
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
	if (a->tls)
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

void
headers_write_response(struct strbuf *out, const struct response *r,
    const struct answer *a)
{
	write_status(out, r);
	write_passed(out, r->headers, r->n_headers, NOT_DOWN);
	if (!a->describes_body)
		write_framing(out, a->body, a->length);
	else if (r->first[HEADER_CONTENT_LENGTH] >= 0)
		write_header(out, STR("Content-Length"),
		    response_value(r, HEADER_CONTENT_LENGTH));
	write_cookie(out, r, a);
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
	write_passed(out, r->headers, r->n_headers, NOT_DOWN);
	strbuf_lit(out, "\r\n");
}

void
headers_write_upgrade(struct strbuf *out, const struct response *r,
    const struct answer *a)
{
	write_status(out, r);
	write_passed(out, r->headers, r->n_headers, NOT_DOWN);
	write_cookie(out, r, a);
	strbuf_lit(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
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
			if (!(dropped[headers[i].id] & NOT_TRAILER))
				write_header(out, headers[i].name, headers[i].value);
	strbuf_fini(&lines);
}
