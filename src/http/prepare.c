/* SPDX-License-Identifier: MIT
 *
 * prepare.c - everything a head decides before a backend is asked: who the client is,
 * which route it takes, whether it may, and what the backend will get to read.
 *
 * The head lies in the door's read buffer and is gone afterwards; what is needed later
 * is taken down here.
 */
#include "http/exchange_private.h"

#include "http/compress.h"
#include "http/reply.h"
#include "message/forwarded.h"
#include "route/edits.h"
#include "route/router.h"
#include "upstream/backend.h"
#include <inttypes.h>
#include <stdio.h>

enum { UPGRADES_KEY = 1, TRACEPARENT = 55 };

/* ---- who ---- */

static void
find_client(struct exchange *x, const struct head *head)
{
	const struct door *d = x->door;
	const struct config_listener *listener = d->entrance->conf;

	x->client = d->client;
	if (d->trusted) {
		x->https = forwarded_is_https(head);
		if (forwarded_client(head, listener->trusted, listener->n_trusted,
			&x->client)) {
			addr_print(&x->client, false, x->client_text);
			return;
		}
	}
	memcpy(x->client_text, d->client_text, sizeof x->client_text);
}

/* Eight digits at once: each byte of x becomes a nibble, then its digit. */
static uint64_t
hex_digits(uint32_t bits)
{
	const uint64_t ones = UINT64_MAX / 0xff;
	uint64_t x = bits, letters;

	x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
	x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x | x << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	letters = (x + 6 * ones) >> 4 & ones; /* 1 for ten and more */
	return x + '0' * ones + letters * ('a' - '0' - 10);
}

/* A multiple of 16 random digits. */
static void
hex_id(struct random *random, char *out, unsigned digits)
{
	for (unsigned i = 0; i < digits; i += 16) {
		uint64_t bits = random_u64(random);
		uint64_t text[] = {hex_digits((uint32_t)bits),
		    hex_digits((uint32_t)(bits >> 32))};

		memcpy(out + i, text, sizeof text);
	}
	out[digits] = '\0';
}

/* Of a proxy that is trusted the id is kept, so that its log and ours agree. */
static void
identify(struct exchange *x, const struct head *head)
{
	struct str id = head_value(head, HEADER_X_REQUEST_ID);

	if (x->door->trusted && request_id_is_good(id)) {
		memcpy(x->id, id.p, id.n);
		x->id[id.n] = '\0';
		x->id_len = (uint8_t)id.n;
		return;
	}
	hex_id(&x->front->loop->random, x->id, REQUEST_ID);
	x->id_len = REQUEST_ID;
}

static void
remember_head(struct exchange *x, const struct head *head)
{
	x->method = head->method;
	x->minor = (uint8_t)head->minor;
	x->keep_alive = head->keep_alive;
	x->expect_continue = head_expects_continue(head);
	x->html = reply_wants_html(head_value(head, HEADER_ACCEPT));
	x->request_left = head->length;
	x->request_body = head->body;
	if (head->body == BODY_LENGTH && head->length == 0)
		x->request_body = BODY_NONE; /* nothing to wait for */
	if (x->request_body == BODY_NONE)
		x->request_state = REQUEST_SENT; /* for an answer of our own */
}

/* ---- where ---- */

static bool
is_noted(const struct exchange *x)
{
	const struct route *route = x->route;

	return access_is_on(x->front->access) ||
	       (route &&
		   (route->request_edits || route->response_edits || route->redirect));
}

/* What the log, and names in templates, will want to know of the head. */
static void
note_head(struct exchange *x, const struct head *head)
{
	struct str trace = {NULL, 0};
	char peer[ADDR_TEXT];

	if (!is_noted(x))
		return;
	traceparent_is_good(head_value(head, HEADER_TRACEPARENT), &trace);
	access_note_take(&x->note, head, str_of(x->client_text),
	    str_of(addr_print(&x->door->peer, false, peer)), exchange_id(x), trace);
	x->noted = true;
}

void
exchange_values(const struct exchange *x, struct template_values *values)
{
	struct access_record r = {.minor = 0};
	const char *query;

	*values = (struct template_values){.of[TEMPLATE_SCHEME] = STR("http")};
	if (!x->noted)
		return;
	access_note_fill(&x->note, &r);
	if (x->https)
		values->of[TEMPLATE_SCHEME] = STR("https");
	values->of[TEMPLATE_HOST] = r.host;
	values->of[TEMPLATE_URI] = r.target;
	values->of[TEMPLATE_PATH] = r.target;
	query = r.target.n ? memchr(r.target.p, '?', r.target.n) : NULL;
	if (query) {
		size_t n = (size_t)(query - r.target.p);

		values->of[TEMPLATE_PATH].n = n;
		values->of[TEMPLATE_QUERY] =
		    (struct str){query + 1, r.target.n - n - 1};
	}
	values->of[TEMPLATE_METHOD] = r.method;
	values->of[TEMPLATE_CLIENT] = str_of(x->client_text);
	values->of[TEMPLATE_REQUEST_ID] = exchange_id(x);
	if (x->up)
		values->of[TEMPLATE_UPSTREAM] = str_of(x->up->conf->name);
	if (x->chosen)
		values->of[TEMPLATE_BACKEND] = str_of(x->choice.backend->name);
}

/* The route's own answer, or its upstream. */
static enum reason
follow_route(struct exchange *x)
{
	const struct config_route *conf = x->route->conf;

	if (conf->respond)
		return REASON_RESPONDED;
	if (conf->redirect)
		return REASON_REDIRECTED;
	x->up = &x->view->snapshot->upstreams[conf->upstream_index];
	x->door->keepalive_ms = x->up->conf->timeouts.keepalive_ms;
	x->door->header_ms = x->up->conf->timeouts.header_ms;
	return REASON_NONE;
}

/* ---- whether ---- */

static enum reason
judge_body(const struct exchange *x)
{
	uint64_t max = x->up->conf->limits.max_body;

	if (max && x->request_body == BODY_LENGTH && x->request_left > max)
		return REASON_BODY_TOO_LARGE;
	return REASON_NONE;
}

/* New sessions of the whole upstream, whoever opens them. */
static enum reason
judge_upgrades(struct exchange *x)
{
	struct config_client_limits limits = {.rate = x->up->conf->limits.upgrades};
	struct hash128 key = {x->up->id, UPGRADES_KEY};
	struct quota_hold none = {NULL};
	unsigned retry_s = 1;
	enum reason why;

	if (!limits.rate)
		return REASON_NONE;
	why = quota_enter(x->front->quota, &limits, key, false, clock_now_ms(), &none,
	    &retry_s);
	quota_leave(x->front->quota, &none);
	x->retry_s = (uint16_t)retry_s;
	return why == REASON_NONE ? why : REASON_UPGRADES;
}

static struct hash128
limited_key(const struct exchange *x)
{
	const struct config_client_limits *limits = &x->up->conf->client_limits;
	struct str address = addr_bytes(&x->client);

	if (limits->by == LIMIT_BY_CLIENT && x->key.found)
		return x->key.hash;
	return hash_table_key(x->up->id, address.p, address.n);
}

static enum reason
judge_client(struct exchange *x, bool websocket)
{
	const struct config_client_limits *limits = &x->up->conf->client_limits;
	unsigned retry_s = 1;
	enum reason why;

	if (!quota_applies(limits))
		return REASON_NONE;
	x->limited = limited_key(x);
	why = quota_enter(x->front->quota, limits, x->limited, websocket,
	    clock_now_ms(), &x->hold, &retry_s);
	x->retry_s = (uint16_t)retry_s;
	return why;
}

static enum reason
judge(struct exchange *x, const struct head *head)
{
	enum reason why = judge_body(x);

	if (why == REASON_NONE && head->upgrade)
		why = x->front->upgrade_ops->check(head, x->route);
	if (why == REASON_NONE && head->upgrade)
		why = judge_upgrades(x);
	if (why == REASON_NONE)
		why = judge_client(x, head->upgrade);
	return why;
}

/* ---- what the backend gets ---- */

/* A trace that begins here: sampled, since whoever asks for one wants to see it. */
static struct str
new_trace(struct exchange *x, const struct head *head, char room[TRACEPARENT + 1])
{
	struct random *random = &x->front->loop->random;
	struct str id;

	if (x->up->conf->trace_context != TRACE_CREATE ||
	    traceparent_is_good(head_value(head, HEADER_TRACEPARENT), &id))
		return (struct str){NULL, 0};
	memcpy(room, "00-", 3);
	hex_id(random, room + 3, 32);
	room[35] = '-';
	hex_id(random, room + 36, 16);
	memcpy(room + 52, "-01", 4);
	return (struct str){room, TRACEPARENT};
}

static enum reason
build_request(struct exchange *x, const struct head *head)
{
	const struct front *f = x->front;
	struct strbuf *target = &x->front->out; /* free until there is an answer */
	struct template_values values;
	char trace[TRACEPARENT + 1];
	struct forwarding forwarding = {
	    .style = x->up->conf->forwarded,
	    .trusted = x->door->trusted,
	    .https = x->https,
	    .peer = str_of(x->door->client_text),
	    .request_id = exchange_id(x),
	    .traceparent = new_trace(x, head, trace),
	    .fallback_host = str_of(x->up->conf->name),
	    .edits = x->route->request_edits,
	    .values = &values,
	};

	if (forwarding.edits)
		exchange_values(x, &values);
	if (x->route->conf->rewrite) {
		strbuf_reset(target);
		route_rewrite(x->route, head, target);
		if (target->failed)
			return REASON_NO_MEMORY;
		forwarding.target = (struct str){target->data, target->len};
	}
	headers_write_request(&x->request, head, &forwarding);
	if (head->upgrade) {
		x->upgrade =
		    f->upgrade_ops->begin(f->upgrade_arg, x->up, head, &x->request);
		if (!x->upgrade)
			return REASON_NO_MEMORY;
	}
	strbuf_lit(&x->request, "\r\n");
	return x->request.failed ? REASON_NO_MEMORY : REASON_NONE;
}

/* What the client takes, all of its lines together. */
static unsigned
accepted_coding(struct exchange *x, const struct head *head)
{
	struct strbuf *list = &x->front->out; /* free until there is an answer */
	unsigned codings = x->route->conf->compress.codings;

	if (!codings || head->first[HEADER_ACCEPT_ENCODING] < 0)
		return 0;
	strbuf_reset(list);
	for (unsigned i = 0; i < head->n_headers; i++)
		if (head->headers[i].id == HEADER_ACCEPT_ENCODING) {
			strbuf_str(list, head->headers[i].value);
			strbuf_lit(list, ",");
		}
	if (list->failed)
		return 0;
	return compress_negotiate((struct str){list->data, list->len}, codings);
}

enum reason
exchange_prepare(struct exchange *x, const struct head *head)
{
	enum reason why = REASON_NO_ROUTE;

	remember_head(x, head);
	find_client(x, head);
	identify(x, head);
	x->route = router_find(x->view->snapshot->router, head);
	note_head(x, head);
	if (head->https && !x->https) /* RFC 9110, 7.4 */
		return REASON_MISDIRECTED;
	if (x->route)
		why = follow_route(x);
	if (why != REASON_NONE)
		return why;
	x->key = client_key_of(x->up->conf, x->up->id, head, &x->client);
	x->accept_coding = accepted_coding(x, head);
	why = judge(x, head);
	if (why == REASON_NONE)
		why = build_request(x, head);
	/* from here on the head is still there only for the first choice */
	if (why == REASON_NONE)
		x->request_state = REQUEST_WAITING;
	return why;
}
