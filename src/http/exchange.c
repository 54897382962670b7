/* SPDX-License-Identifier: MIT
 *
 * exchange.c - the life of an exchange: routed, connected, tried again, ended.
 *
 * The request's body is in body.c, the response in relay.c.
 */
#include "http/exchange_private.h"

#include "base/log.h"
#include "http/reply.h"
#include "route/router.h"
#include "upstream/backend.h"
#include "upstream/pool.h"
#include <stdlib.h>

enum { SPARE_REQUEST_MAX = 16384 }; /* a larger head buffer is not kept for reuse */

/* ---- end ---- */

static void
recycle(struct grave *grave)
{
	struct exchange *x = container_of(grave, struct exchange, grave);

	if (x->request.cap > SPARE_REQUEST_MAX || x->in.cap) {
		strbuf_fini(&x->request);
		strbuf_fini(&x->in);
	}
	x->next_spare = x->front->spare;
	x->front->spare = x;
}

void
exchange_free_spare(struct front *f)
{
	while (f->spare) {
		struct exchange *x = f->spare;

		f->spare = x->next_spare;
		strbuf_fini(&x->request);
		strbuf_fini(&x->in);
		free(x);
	}
}

static void
end_choice(struct exchange *x)
{
	if (x->chosen)
		choice_end(x->front->chooser, x->up, &x->choice, clock_now_ms());
	x->chosen = false;
}

static void
drop_conn(struct exchange *x)
{
	struct conn *conn = x->conn;

	x->conn = NULL;
	if (conn)
		conn_close(conn);
}

/* The one way out of every exchange. Returns its door. */
static struct door *
end(struct exchange *x)
{
	struct door *d = x->door;

	magic_check(x, EXCHANGE_MAGIC);
	x->door = NULL;
	timer_clear(&x->timer);
	drop_conn(x);
	end_choice(x);
	if (x->upgrade)
		x->front->upgrade_ops->drop(x->upgrade);
	x->upgrade = NULL;
	view_put(x->view);
	x->view = NULL;
	loop_bury(x->front->loop, &x->grave, recycle);
	return d;
}

void
exchange_finish(struct exchange *x)
{
	bool all_read = x->request_state == REQUEST_SENT;
	bool keep_alive = x->keep_alive && all_read;
	struct conn *conn = x->conn;

	x->conn = NULL;
	if (conn && x->conn_reusable && all_read)
		pool_keep(conn, x->up->conf->timeouts.keepalive_ms);
	else if (conn)
		conn_close(conn);
	door_exchange_done(end(x), keep_alive, all_read);
}

void
exchange_abort(struct exchange *x, enum reason why)
{
	if (why == REASON_CLIENT_GONE)
		count_add(&x->front->loop->counters, COUNT_CLIENT_GONE, 1);
	end(x);
}

static void
log_failure(const struct exchange *x, enum reason why)
{
	const struct backend *b = x->chosen ? x->choice.backend : NULL;

	log_info(TOPIC_HTTP, "request %s of %s: failed%s (%s%s%s)", x->id,
	    x->door->peer_text, x->begun ? " in the middle of its response" : "",
	    reason_text(why), b ? ", backend " : "", b ? b->name : "");
}

static void
answer(struct exchange *x, enum reason why)
{
	struct reply reply = {
	    .why = why,
	    .request_id = {x->id, REQUEST_ID},
	    .minor = x->minor,
	    .html = x->html,
	    .head_only = x->method == METHOD_HEAD,
	    .keep_alive = x->keep_alive && x->request_state == REQUEST_SENT,
	};
	struct strbuf *out = &x->front->out;

	strbuf_reset(out);
	reply_write(out, &reply);
	if (!door_send_out(x->door)) {
		door_close(x->door, REASON_CLIENT_GONE);
		return;
	}
	drop_conn(x);
	x->keep_alive = reply.keep_alive;
	exchange_finish(x);
}

void
exchange_fail(struct exchange *x, enum reason why)
{
	count_add(&x->front->loop->counters, COUNT_FAILED, 1);
	log_failure(x, why);
	/* a request without a body has nothing left to read, wherever it failed */
	if (x->request_body == BODY_NONE)
		x->request_state = REQUEST_SENT;
	if (!x->begun) {
		x->head_pending = false;
		answer(x, why);
		return;
	}
	/* without a framing that shows the cut, only a reset tells it from the end */
	if (x->client_body == BODY_UNTIL_CLOSE)
		stream_reset_on_close(&x->door->stream);
	door_close(x->door, why);
}

/* ---- connecting ---- */

static void connect_backend(struct exchange *x);

static bool
may_try_again(const struct exchange *x)
{
	return x->tries < x->up->conf->retries && !x->begun && !x->body_taken &&
	       (!x->head_sent || method_is_idempotent(x->method));
}

static void
count_try(struct exchange *x)
{
	x->tries++;
	x->head_sent = false;
	x->body_blocked = false;
	x->request_state = REQUEST_CONNECTING;
	count_add(&x->front->loop->counters, COUNT_RETRIES, 1);
}

/* Nothing was sent: another backend may do, whatever the method. */
static void
connect_failed(struct exchange *x, enum reason why)
{
	struct backend *dead = backend_get(x->choice.backend);
	struct choice other;
	uint64_t now = clock_now_ms();

	if (may_try_again(x) && choose(x->front->chooser, x->up, &x->key,
				    x->upgrade != NULL, dead, now, &other)) {
		end_choice(x);
		x->choice = other;
		x->chosen = true;
		count_try(x);
		connect_backend(x);
	} else {
		exchange_fail(x, why);
	}
	backend_put(dead);
}

static void
on_connected(struct conn *c)
{
	exchange_request_ready(c->user);
}

static void
on_failed(struct conn *c, enum reason why)
{
	struct exchange *x = c->user;

	x->conn = NULL; /* it closes itself */
	connect_failed(x, why);
}

static void
on_readable(struct conn *c)
{
	exchange_read_response(c->user);
}

static void
on_drained(struct conn *c)
{
	exchange_backend_drained(c->user);
}

static void
on_broken(struct conn *c)
{
	/* it takes no more of the request, but may have answered: reading tells */
	struct exchange *x = c->user;

	x->body_blocked = true;
	x->conn_reusable = false;
}

static const struct conn_ops conn_ops = {
    .on_connected = on_connected,
    .on_failed = on_failed,
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_broken = on_broken,
};

static void
open_conn(struct exchange *x)
{
	enum reason why;

	x->conn = conn_open(x->front->pools, x->choice.backend,
	    x->up->conf->timeouts.connect_ms, &conn_ops, x, &why);
	if (!x->conn)
		connect_failed(x, why);
}

static void
connect_backend(struct exchange *x)
{
	x->conn = pool_take(x->front->pools, x->choice.backend,
	    !method_is_idempotent(x->method), &conn_ops, x);
	if (x->conn)
		exchange_request_ready(x);
	else
		open_conn(x);
}

void
exchange_backend_lost(struct exchange *x)
{
	bool was_reused = x->conn->reused;

	drop_conn(x);
	/* A kept connection may just have reached its end of life: the backend itself
	 * is well, and the client's lock on it holds. */
	if (was_reused && may_try_again(x)) {
		count_try(x);
		open_conn(x);
	} else {
		exchange_fail(x, REASON_BACKEND_LOST);
	}
}

/* ---- time ---- */

static void
on_timeout(struct timer *t)
{
	struct exchange *x = container_of(t, struct exchange, timer);

	if (exchange_is_over(x))
		return;
	if (x->response_state == RESPONSE_BODY)
		exchange_fail(x, REASON_RESPONSE_TIMEOUT);
	else if (x->request_state == REQUEST_BODY && !x->body_blocked)
		exchange_fail(x, REASON_BODY_TIMEOUT);
	else
		exchange_fail(x, REASON_FIRST_BYTE_TIMEOUT);
}

/* ---- beginning ---- */

static void
hex_id(struct random *random, char id[REQUEST_ID + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (int word = 0; word < 2; word++) {
		uint64_t bits = random_u64(random);

		for (int i = 0; i < 16; i++, bits >>= 4)
			id[word * 16 + i] = digits[bits & 15];
	}
	id[REQUEST_ID] = '\0';
}

struct exchange *
exchange_new(struct door *d)
{
	struct front *f = d->front;
	struct exchange *x = f->spare;
	struct strbuf request = STRBUF_INIT;

	if (x) {
		f->spare = x->next_spare;
		request = x->request;
		strbuf_reset(&request);
	} else {
		x = malloc(sizeof *x);
		if (!x)
			return NULL;
	}
	*x = (struct exchange){
	    .door = d,
	    .front = f,
	    .view = view_get(f->view),
	    .request = request,
	};
	magic_set(x, EXCHANGE_MAGIC);
	timer_init(&x->timer, on_timeout);
	hex_id(&f->loop->random, x->id);
	return x;
}

static void
remember_head(struct exchange *x, const struct head *head)
{
	x->method = head->method;
	x->minor = (uint8_t)head->minor;
	x->keep_alive = head->keep_alive;
	x->expect_continue = head->expect_continue;
	x->html = reply_wants_html(head_value(head, HEADER_ACCEPT));
	x->request_left = head->length;
	x->request_body = head->body;
	if (head->body == BODY_LENGTH && head->length == 0)
		x->request_body = BODY_NONE; /* nothing to wait for */
}

/* The request for the backend, whole; NONE, or why not. */
static enum reason
build_request(struct exchange *x, const struct head *head)
{
	const struct front *f = x->front;
	struct forwarding forwarding = {
	    .peer = str_of(x->door->peer_text),
	    .request_id = {x->id, REQUEST_ID},
	    .fallback_host = str_of(x->up->conf->name),
	};

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

static enum reason
prepare(struct exchange *x, const struct head *head)
{
	const struct snapshot *s = x->view->snapshot;
	const struct config_route *route =
	    router_find(s->router, head->host, head->path);
	enum reason why;

	if (!route)
		return REASON_NO_ROUTE;
	x->up = &s->upstreams[route->upstream_index];
	x->door->keepalive_ms = x->up->conf->timeouts.keepalive_ms;
	x->door->header_ms = x->up->conf->timeouts.header_ms;
	if (head->upgrade) {
		why = x->front->upgrade_ops->check(head);
		if (why != REASON_NONE)
			return why;
	}
	why = build_request(x, head);
	if (why != REASON_NONE)
		return why;
	x->key = client_key_of(x->up->conf, x->up->id, head, &x->door->peer);
	x->chosen = choose(x->front->chooser, x->up, &x->key, head->upgrade, NULL,
	    clock_now_ms(), &x->choice);
	x->key.has_hint = false; /* it points into the head */
	return x->chosen ? REASON_NONE : REASON_NO_BACKEND;
}

void
exchange_start(struct exchange *x, const struct head *head)
{
	enum reason why;

	remember_head(x, head);
	why = prepare(x, head);
	if (why != REASON_NONE)
		exchange_fail(x, why);
	else
		connect_backend(x);
}

/* ---- upgrade ---- */

void
exchange_upgrade(struct exchange *x, const struct response *r, struct str rest)
{
	struct front *f = x->front;
	struct door *d = x->door;
	char cookie[COOKIE_VALUE + 1];
	struct answer answer = {.minor = x->minor, .keep_alive = true};
	struct opening opening = {
	    .upgrade = x->upgrade,
	    .client = &d->stream,
	    .client_rest = {d->in.data, d->in.len},
	    .conn = x->conn,
	    .conn_rest = rest,
	    .choice = &x->choice,
	    .up = x->up,
	    .view = x->view,
	    .peer = &d->peer,
	};

	if (!x->upgrade || !f->upgrade_ops->accept(x->upgrade, r)) {
		exchange_fail(x, REASON_UPGRADE_ANSWER);
		return;
	}
	answer.cookie = exchange_cookie(x, cookie);
	strbuf_reset(&f->out);
	headers_write_upgrade(&f->out, r, &answer);
	if (!door_send_out(d)) {
		door_close(d, REASON_CLIENT_GONE);
		return;
	}
	x->upgrade = NULL;
	x->conn = NULL;
	f->upgrade_ops->open(f->upgrade_arg, &opening);
	end(x);
	door_leave(d);
}

const char *
exchange_cookie(const struct exchange *x, char value[COOKIE_VALUE + 1])
{
	if (x->choice.cookie_id[0] == '\0')
		return NULL;
	cookie_write(value, x->front->chooser->secret, x->choice.cookie_id,
	    (uint64_t)clock_wall(), x->up->conf->name, x->choice.backend->name);
	return value;
}
