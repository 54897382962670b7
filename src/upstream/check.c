/* SPDX-License-Identifier: MIT
 *
 * check.c - the words of a health check; see check.h.
 *
 * The answer is judged as early as it can be: by its head alone, unless a text must be
 * found in the body. Of the body no more is kept than the text could hide in.
 *
 * The key of the WebSocket handshake is the one of RFC 6455, 1.3, always: it shall show
 * that the other side speaks the protocol, and guards no secret.
 */
#include "upstream/check.h"

#include "config/form.h"
#include "message/response.h"
#include <stdarg.h>
#include <string.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* A Close, 1000, masked with zeroes (RFC 6455, 5.5.1). */
const char check_farewell[8] = "\x88\x82\0\0\0\0\x03\xe8";

void
check_init(struct check *c, const struct config_health *conf)
{
	*c = (struct check){.conf = conf, .at_most = CHECK_BODY_MAX};
}

void
check_fini(struct check *c)
{
	strbuf_fini(&c->raw);
	strbuf_fini(&c->seen);
}

static enum check_verdict __attribute__((format(printf, 2, 3)))
bad(struct check *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->why, sizeof c->why, format, args);
	va_end(args);
	return CHECK_BAD;
}

/* ---- request ---- */

/* The address without what is no host; a unix socket has none. */
static const char *
host_of(const char *address)
{
	struct str path;

	if (addr_unix_path(str_of(address), &path))
		return "localhost";
	return strncmp(address, "srv:", 4) == 0 ? address + 4 : address;
}

void
check_write_request(const struct config_health *conf, const char *address,
    struct strbuf *out)
{
	if (!conf->http && !conf->websocket)
		return;
	strbuf_printf(out,
	    "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: roost-health\r\n",
	    conf->http ? conf->http : conf->websocket,
	    conf->host ? conf->host : host_of(address));
	for (size_t i = 0; i < conf->n_headers; i++)
		strbuf_printf(out, "%s: %s\r\n", conf->headers[i].name,
		    conf->headers[i].value);
	if (conf->http)
		strbuf_printf(out, "Connection: close\r\n\r\n");
	else
		strbuf_printf(out,
		    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
		    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n");
}

/* ---- answer ---- */

/* A piece of the body, behind what is kept of those before. */
static enum check_verdict
take_text(struct check *c, const char *p, size_t n)
{
	const char *text = c->conf->body;
	size_t len = strlen(text);

	if (n > c->at_most)
		n = (size_t)c->at_most;
	c->at_most -= n;
	strbuf_append(&c->seen, p, n);
	if (c->seen.failed)
		return bad(c, "out of memory");
	if (c->seen.len >= len && memmem(c->seen.data, c->seen.len, text, len))
		return CHECK_GOOD;
	if (c->at_most == 0)
		return check_end(c);
	if (c->seen.len >= len)
		strbuf_drop(&c->seen, c->seen.len - len + 1);
	return CHECK_MORE;
}

static enum check_verdict
take_plain(struct check *c, const char *p, size_t n)
{
	enum check_verdict verdict;

	if (c->body != BODY_LENGTH)
		return take_text(c, p, n);
	if (n > c->left)
		n = (size_t)c->left;
	c->left -= n;
	verdict = take_text(c, p, n);
	return verdict == CHECK_MORE && c->left == 0 ? check_end(c) : verdict;
}

/* p is not within c->raw, where what is not whole waits for the next call. */
static enum check_verdict
take_chunks(struct check *c, const char *p, size_t n)
{
	enum check_verdict verdict;
	struct str data;
	size_t used;

	for (;; p += used, n -= used) {
		switch (chunk_next(&c->chunks, p, n, &used, &data)) {
		case CHUNK_MORE:
			strbuf_append(&c->raw, p + used, n - used);
			return c->raw.failed ? bad(c, "out of memory") : CHECK_MORE;
		case CHUNK_DATA: break;
		case CHUNK_END: return check_end(c);
		case CHUNK_BAD: return bad(c, "malformed body");
		}
		verdict = take_text(c, data.p, data.n);
		if (verdict != CHECK_MORE)
			return verdict;
	}
}

static enum check_verdict
take_chunked(struct check *c, const char *p, size_t n)
{
	struct strbuf all = c->raw;
	enum check_verdict verdict;

	if (all.len == 0)
		return take_chunks(c, p, n);
	c->raw = STRBUF_INIT;
	strbuf_append(&all, p, n);
	verdict =
	    all.failed ? bad(c, "out of memory") : take_chunks(c, all.data, all.len);
	strbuf_fini(&all);
	return verdict;
}

static enum check_verdict
take_body(struct check *c, const char *p, size_t n)
{
	if (c->body == BODY_NONE)
		return check_end(c);
	return c->body == BODY_CHUNKED ? take_chunked(c, p, n) : take_plain(c, p, n);
}

static enum check_verdict
judge_head(struct check *c, const struct response *r)
{
	const struct config_health *conf = c->conf;

	if (conf->websocket) {
		if (r->status != 101)
			return bad(c, "status %u instead of 101", r->status);
		if (!str_eq(response_value(r, HEADER_SEC_WEBSOCKET_ACCEPT),
			STR(ACCEPT)))
			return bad(c, "wrong answer to the WebSocket handshake");
		return CHECK_GOOD;
	}
	if (!form_status_set_has(str_of(conf->status), r->status))
		return bad(c, "status %u", r->status);
	if (!conf->body)
		return CHECK_GOOD;
	c->has_head = true;
	c->body = r->body;
	c->left = r->length;
	return CHECK_MORE;
}

/* Is a head likely to be whole? So that one that comes byte by byte is not parsed as
 * often. The first bytes are always looked at: they may be no HTTP at all. */
static bool
is_worth_parsing(const struct check *c, size_t fresh)
{
	size_t look = fresh + 3 < c->raw.len ? fresh + 3 : c->raw.len;

	return c->raw.len == fresh || c->raw.len > HEAD_MAX_BYTES ||
	       memmem(c->raw.data + c->raw.len - look, look, "\r\n\r\n", 4);
}

/* Takes the head that c->raw begins with. *whole_r false: there is more to come of it.
 */
static enum check_verdict
take_one_head(struct check *c, bool *whole_r)
{
	enum check_verdict verdict = CHECK_MORE;
	struct response r;
	size_t used = 0;

	*whole_r = false;
	switch (response_parse(c->raw.data, c->raw.len, METHOD_GET, &r, &used)) {
	case PARSE_MORE: return CHECK_MORE;
	case PARSE_BAD: return bad(c, "malformed response");
	case PARSE_DONE: break;
	}
	if (r.status >= 200 || r.status == 101)
		verdict = judge_head(c, &r);
	strbuf_drop(&c->raw, used);
	*whole_r = true;
	return verdict;
}

/* Passes over interim heads, of which there may be thousands. MORE and has_head not
 * set: the head that counts is not whole. */
static enum check_verdict
take_head(struct check *c)
{
	enum check_verdict verdict;
	bool whole;

	do
		verdict = take_one_head(c, &whole);
	while (verdict == CHECK_MORE && whole && !c->has_head && c->raw.len);
	return verdict;
}

/* What came behind the head, in the same bytes. */
static enum check_verdict
take_rest(struct check *c)
{
	struct strbuf rest = c->raw;
	enum check_verdict verdict;

	c->raw = STRBUF_INIT;
	verdict = take_body(c, rest.data, rest.len);
	strbuf_fini(&rest);
	return verdict;
}

enum check_verdict
check_take(struct check *c, const char *p, size_t n)
{
	enum check_verdict verdict;

	if (c->has_head)
		return take_body(c, p, n);
	strbuf_append(&c->raw, p, n);
	if (c->raw.failed)
		return bad(c, "out of memory");
	if (!is_worth_parsing(c, n))
		return CHECK_MORE;
	verdict = take_head(c);
	return verdict == CHECK_MORE && c->has_head ? take_rest(c) : verdict;
}

enum check_verdict
check_end(struct check *c)
{
	return c->has_head ? bad(c, "body lacks the text")
			   : bad(c, "closed without an answer");
}

bool
health_note(struct health *h, bool good, unsigned rise, unsigned fall)
{
	if (good != h->bad) { /* as is believed already */
		h->in_a_row = 0;
		return false;
	}
	if (++h->in_a_row < (good ? rise : fall))
		return false;
	h->in_a_row = 0;
	h->bad = !h->bad;
	return true;
}
