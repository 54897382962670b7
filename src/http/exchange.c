/* SPDX-License-Identifier: MIT
 *
 * exchange.c - the life of an exchange: begun, connected, tried again, ended.
 *
 * What its head decides is in prepare.c, the line for full backends in waiting.c, the
 * request's body in body.c, the response in relay.c.
 */
#include "http/exchange_private.h"

#include "base/log.h"
#include "http/compress.h"
#include "http/reply.h"
#include "net/listener.h"
#include "route/edits.h"
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
		strbuf_fini(&x->note.text);
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
		strbuf_fini(&x->note.text);
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
exchange_end(struct exchange *x, enum reason why)
{
	struct front *f = x->front;
	struct door *d = x->door;

	magic_check(x, EXCHANGE_MAGIC);
	x->why = why;
	exchange_record(x);
	x->door = NULL;
	timer_clear(&x->timer);
	exchange_leave_line(x);
	drop_conn(x);
	end_choice(x);
	exchange_release(x);
	if (x->upgrade)
		f->upgrade_ops->drop(x->upgrade);
	x->upgrade = NULL;
	compressor_free(x->compressor);
	x->compressor = NULL;
	view_put(x->view);
	x->view = NULL;
	loop_bury(f->loop, &x->grave, recycle);
	exchange_place_free(f);
	return d;
}

/* The response is out: keeps or closes both connections. */
static void
finish(struct exchange *x, enum reason why)
{
	bool all_read = x->request_state == REQUEST_SENT;
	bool keep_alive = x->keep_alive && all_read;
	struct conn *conn = x->conn;

	x->conn = NULL;
	if (conn && x->conn_reusable && all_read)
		pool_keep(conn, x->up->conf->timeouts.keepalive_ms);
	else if (conn)
		conn_close(conn);
	door_exchange_done(exchange_end(x, why), keep_alive, all_read);
}

void
exchange_finish(struct exchange *x)
{
	finish(x, REASON_NONE);
}

void
exchange_abort(struct exchange *x, enum reason why)
{
	if (why == REASON_CLIENT_GONE) {
		count_add(&x->front->loop->counters, COUNT_CLIENT_GONE, 1);
		exchange_count_failure(x, why);
	}
	exchange_end(x, x->why == REASON_NONE ? why : x->why);
}

static void
log_failure(const struct exchange *x, enum reason why)
{
	const struct log_about about = {
	    .request = x->id,
	    .client = x->client_text,
	    .upstream = x->up ? x->up->conf->name : NULL,
	    .backend = x->chosen ? x->choice.backend->name : NULL,
	};

	log_kind(KIND_FAILED, &about, "request failed%s (%s)",
	    x->begun ? " in the middle of its response" : "", reason_text(why));
}

/* Answers the client in roost's own name and ends the exchange. Only while it has seen
 * nothing of a response. */
static void
exchange_answer(struct exchange *x, struct reply *reply)
{
	struct strbuf *out = &x->front->out;
	size_t head;

	reply->request_id = exchange_id(x);
	reply->minor = x->minor;
	reply->html = x->html;
	reply->head_only = x->method == METHOD_HEAD;
	reply->keep_alive =
	    x->keep_alive && x->request_state == REQUEST_SENT && !x->front->stopping;
	strbuf_reset(out);
	head = reply_write(out, reply);
	x->head_pending = false;
	x->status = (uint16_t)reply_status(reply);
	x->response_bytes = out->len - head;
	exchange_release(x);
	if (!door_send_out(x->door)) {
		door_close(x->door, REASON_CLIENT_GONE);
		return;
	}
	drop_conn(x);
	x->keep_alive = reply->keep_alive;
	finish(x, reply->why);
}

void
exchange_fail(struct exchange *x, enum reason why)
{
	struct reply reply = {.why = why,
	    .retry_s = x->retry_s,
	    .pages = x->view->snapshot->config};

	count_add(&x->front->loop->counters, COUNT_FAILED, 1);
	exchange_count_failure(x, why);
	log_failure(x, why);
	if (x->chosen)
		outlier_failed(x->up, x->choice.backend, why, &x->front->loop->random);
	/* a request without a body has nothing left to read, wherever it failed */
	if (x->request_body == BODY_NONE)
		x->request_state = REQUEST_SENT;
	if (!x->begun) {
		exchange_answer(x, &reply);
		return;
	}
	x->why = why;
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
	x->times.connected = 0;
	x->times.sent = 0;
	x->head_sent = false;
	x->body_blocked = false;
	x->request_state = REQUEST_CONNECTING;
	count_add(&x->front->loop->counters, COUNT_RETRIES, 1);
	tally(&exchange_counts(x)->retries, 1);
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
connected(struct exchange *x)
{
	x->times.connected = exchange_turn_us(x);
	exchange_request_ready(x);
}

static void
on_connected(struct conn *c)
{
	struct exchange *x = c->user;

	time_note(&exchange_counts(x)->connect, short_times,
	    exchange_turn_us(x) - x->times.dialed);
	connected(x);
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

/* What the PROXY header for this client's own connection says; NULL: none is wanted. */
static const struct conn_hello *
hello_for(const struct exchange *x, struct conn_hello *hello)
{
	switch (x->up->conf->proxy_protocol) {
	case PROXY_OUT_OFF: return NULL;
	case PROXY_OUT_V1: hello->version = 1; break;
	case PROXY_OUT_V2: hello->version = 2; break;
	}
	hello->source = x->client;
	hello->destination = x->door->local;
	if (hello->destination.sa.sa_family == AF_UNSPEC)
		listener_addr(x->door->stream.io.fd, &hello->destination);
	return hello;
}

static void
open_conn(struct exchange *x)
{
	struct conn_hello hello;
	enum reason why;

	x->times.dialed = exchange_turn_us(x);
	x->conn = conn_open(x->front->pools, x->choice.backend, hello_for(x, &hello),
	    x->up->conf->timeouts.connect_ms, &conn_ops, x, &why);
	if (!x->conn)
		connect_failed(x, why);
}

static void
connect_backend(struct exchange *x)
{
	/* a connection that introduces its client is that client's alone */
	if (x->up->conf->proxy_protocol == PROXY_OUT_OFF)
		x->conn = pool_take(x->front->pools, x->choice.backend,
		    !method_is_idempotent(x->method), &conn_ops, x);
	if (x->conn)
		connected(x);
	else
		open_conn(x);
}

void
exchange_choose(struct exchange *x)
{
	bool ok = choose(x->front->chooser, x->up, &x->key, x->upgrade != NULL, NULL,
	    clock_now_ms(), &x->choice);

	x->key.has_hint = false; /* it points into the head */
	if (!ok && x->in_line)
		return; /* it goes on waiting */
	if (!ok) {
		exchange_wait(x);
		return;
	}
	exchange_leave_line(x);
	x->times.chosen = exchange_turn_us(x);
	if (x->times.queued)
		time_note(&exchange_counts(x)->queue, short_times,
		    x->times.chosen - x->times.queued);
	timer_clear(&x->timer);
	x->chosen = true;
	x->request_state = REQUEST_CONNECTING;
	connect_backend(x);
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
	if (x->request_state == REQUEST_WAITING)
		exchange_fail(x,
		    x->waits_for_seat ? REASON_CLIENT_SESSIONS : REASON_QUEUE_TIMEOUT);
	else if (x->response_state == RESPONSE_BODY)
		exchange_fail(x, REASON_RESPONSE_TIMEOUT);
	else if (x->request_state == REQUEST_BODY && !x->body_blocked &&
		 !x->expect_continue)
		exchange_fail(x, REASON_BODY_TIMEOUT);
	else {
		exchange_add_latency(x);
		exchange_fail(x, REASON_FIRST_BYTE_TIMEOUT);
	}
}

/* ---- beginning ---- */

struct exchange *
exchange_new(struct door *d)
{
	struct front *f = d->front;
	struct exchange *x = f->spare;
	struct strbuf request = STRBUF_INIT, text = STRBUF_INIT;

	if (x) {
		f->spare = x->next_spare;
		request = x->request;
		text = x->note.text;
		strbuf_reset(&request);
		strbuf_reset(&text);
	} else {
		x = malloc(sizeof *x);
		if (!x)
			return NULL;
	}
	/* the texts at its end are written before they are read */
	memset(x, 0, offsetof(struct exchange, id));
	x->door = d;
	x->front = f;
	x->view = view_get(f->view);
	x->request = request;
	x->note.text = text;
	x->number = ++f->last_number;
	magic_set(x, EXCHANGE_MAGIC);
	timer_init(&x->timer, on_timeout);
	return x;
}

/* A redirect to the {path} or {uri} as it came stays on this host: a client's "//name"
 * would be another one (RFC 3986, 4.2). */
static struct str
within_site(const struct exchange *x, struct str location)
{
	if (x->route->conf->redirect && x->route->conf->redirect[0] == '{')
		while (location.n > 1 && location.p[0] == '/' && location.p[1] == '/')
			location.p++, location.n--;
	return location;
}

static void
answer_by_route(struct exchange *x, enum reason why)
{
	struct strbuf location = STRBUF_INIT, headers = STRBUF_INIT;
	struct template_values values;
	struct reply reply = {.why = why, .route = x->route->conf};

	if (x->request_body == BODY_NONE)
		x->request_state = REQUEST_SENT;
	if (x->noted)
		exchange_values(x, &values);
	if (why == REASON_REDIRECTED)
		template_expand(x->route->redirect, &values, &location);
	edits_write(x->route->response_edits, &values, &headers);
	reply.location = within_site(x, (struct str){location.data, location.len});
	reply.headers = (struct str){headers.data, headers.len};
	if (location.failed || headers.failed)
		exchange_fail(x, REASON_NO_MEMORY);
	else
		exchange_answer(x, &reply);
	strbuf_fini(&location);
	strbuf_fini(&headers);
}

void
exchange_start(struct exchange *x, const struct head *head)
{
	enum reason why;

	x->times.head = x->door->head_us;
	x->times.begun = exchange_turn_us(x);
	why = exchange_prepare(x, head);
	if (why == REASON_NONE)
		why = exchange_take_seat(x);
	if (why == REASON_RESPONDED || why == REASON_REDIRECTED)
		answer_by_route(x, why);
	else if (why != REASON_NONE)
		exchange_fail(x, why);
	else if (!x->waits_for_seat)
		exchange_choose_in_turn(x);
}

bool
exchange_client_ended(struct exchange *x)
{
	if (!x->up || x->up->conf->half_close != HALF_CLOSE_SERVE ||
	    exchange_wants_body(x) || x->upgrade)
		return false;
	return true;
}

/* ---- upgrade ---- */

void
exchange_upgrade(struct exchange *x, const struct response *r, struct str rest)
{
	struct front *f = x->front;
	struct door *d = x->door;
	char cookie[COOKIE_VALUE + 1];
	struct answer answer = {.minor = x->minor,
	    .keep_alive = true,
	    .https = x->https,
	    .edits = x->route->response_edits};
	struct template_values values;
	struct opening opening = {
	    .upgrade = x->upgrade,
	    .client = &d->stream,
	    .client_rest = {d->in.data, d->in.len},
	    .conn = x->conn,
	    .conn_rest = rest,
	    .choice = &x->choice,
	    .up = x->up,
	    .view = x->view,
	    .route = x->route,
	    .client_addr = &x->client,
	    .local_addr = &d->local,
	    .seat = x->up->conf->client_limits.sessions ? &x->seat : NULL,
	};

	if (!x->upgrade || !f->upgrade_ops->accept(x->upgrade, r)) {
		exchange_fail(x, REASON_UPGRADE_ANSWER);
		return;
	}
	answer.cookie = exchange_cookie(x, cookie);
	answer.values = &values;
	if (answer.edits)
		exchange_values(x, &values);
	strbuf_reset(&f->out);
	headers_write_upgrade(&f->out, r, &answer);
	quota_leave(f->quota, &x->hold);
	if (!door_send_out(d)) {
		door_close(d, REASON_CLIENT_GONE);
		return;
	}
	x->upgrade = NULL;
	x->conn = NULL;
	x->status = 101;
	/* the session has a line of its own in the log */
	if (access_is_on(f->access))
		opening.note = access_note_copy(&x->note);
	x->noted = false;
	f->upgrade_ops->open(f->upgrade_arg, &opening);
	exchange_end(x, REASON_NONE);
	door_leave(d);
}

const char *
exchange_cookie(const struct exchange *x, char value[COOKIE_VALUE + 1])
{
	if (x->choice.cookie_id[0] == '\0')
		return NULL;
	cookie_write(value, x->front->chooser->secret, x->choice.cookie_id,
	    (uint64_t)clock_wall(), x->up->id, backend_identity(x->choice.backend));
	return value;
}
