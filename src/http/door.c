/* SPDX-License-Identifier: MIT
 *
 * door.c - a client connection between requests and around exchanges; see door.h.
 *
 * Bytes are read into the loop's scratch buffer and, in the ordinary case, consumed
 * from there: head parsed in place, body passed on. Only what cannot be consumed yet is
 * copied into the door's own buffer, and reading stops when that has grown.
 */
#include "http/door.h"

#include "base/log.h"
#include "http/access_log.h"
#include "http/exchange.h"
#include "http/reply.h"
#include "message/head.h"
#include "upstream/pool.h"
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

enum {
	PIPELINE_MAX = 16384, /* bytes of later requests that may wait */
	LINGER_MS = 2000,
	LINGER_BYTES = 1 << 20, /* what a refused client may still send */
	FRESH_MS = 1000, /* while stopping: for who has just come to ask something */
};

/* ---- life ---- */

static void
bury(struct grave *grave)
{
	struct door *d = container_of(grave, struct door, grave);

	strbuf_fini(&d->in);
	free(d);
}

static void
leave_front(struct door *d)
{
	struct front *f = d->front;

	DL_DELETE(f->doors, d);
	f->n_doors--;
	d->state = DOOR_CLOSED;
	count_add(&f->loop->counters, COUNT_CONNECTIONS, (uint64_t)-1);
	timer_clear(&d->timer);
	stream_close(&d->stream);
	entrance_put(d->entrance);
	d->entrance = NULL;
	loop_bury(f->loop, &d->grave, bury);
}

void
door_close(struct door *d, enum reason why)
{
	struct exchange *exchange = d->exchange;

	if (d->state == DOOR_CLOSED)
		return;
	if (exchange) {
		d->exchange = NULL;
		exchange_abort(exchange, why);
	}
	log_about_at(LEVEL_DEBUG, TOPIC_HTTP,
	    &(struct log_about){.client = d->client_text}, "connection closed (%s)",
	    reason_text(why));
	leave_front(d);
}

void
door_leave(struct door *d)
{
	d->exchange = NULL;
	leave_front(d);
}

bool
door_send_out(struct door *d)
{
	const struct strbuf *out = &d->front->out;

	return !out->failed &&
	       stream_put(&d->stream, out->data, out->len) != STREAM_BROKEN;
}

/* ---- refusing and lingering ---- */

/* The last answer is written. Where the client may still be sending, closing at once
 * would make the kernel reset the connection and with it destroy the answer. */
static void
linger(struct door *d, bool client_may_send)
{
	d->state = DOOR_LINGER;
	d->discard_left = client_may_send ? LINGER_BYTES : 0;
	strbuf_reset(&d->in);
	if (!client_may_send && stream_queued(&d->stream) == 0) {
		door_close(d, REASON_DONE);
		return;
	}
	loop_timer(d->front->loop, &d->timer, LINGER_MS);
	if (stream_queued(&d->stream) == 0)
		stream_shut(&d->stream);
	stream_read_on(&d->stream);
}

static void
refuse(struct door *d, enum reason why)
{
	struct reply reply = {
	    .why = why,
	    .minor = 1,
	    .pages = d->front->view->snapshot->config,
	};
	struct strbuf *out = &d->front->out;

	count_add(&d->front->loop->counters, COUNT_REFUSED, 1);
	log_kind(KIND_REFUSED, &(struct log_about){.client = d->client_text},
	    "request refused (%s)", reason_text(why));
	door_record_refusal(d, why);
	strbuf_reset(out);
	reply_write(out, &reply);
	if (door_send_out(d))
		linger(d, true);
	else
		door_close(d, why);
}

/* Nothing is asked and nothing on its way. */
static bool
is_idle(const struct door *d)
{
	return d->state <= DOOR_HEAD && d->in.len == 0 &&
	       stream_queued(&d->stream) == 0;
}

static void
on_timeout(struct timer *t)
{
	struct door *d = container_of(t, struct door, timer);

	if (d->state == DOOR_HEAD && is_idle(d) && !stream_is_quiet(&d->stream))
		return; /* just in time: what came is about to be read */
	switch (d->state) {
	case DOOR_PREFACE: door_close(d, REASON_HEADER_TIMEOUT); break;
	case DOOR_HEAD:
		if (d->in.len)
			refuse(d, REASON_HEADER_TIMEOUT);
		else
			door_close(d, REASON_KEEPALIVE_TIMEOUT);
		break;
	case DOOR_LINGER: door_close(d, REASON_DONE); break;
	case DOOR_EXCHANGE: /* the exchange has timers of its own */
	case DOOR_CLOSED: break;
	}
}

/* ---- consuming ---- */

static void
start_exchange(struct door *d, const struct head *head)
{
	count_add(&d->front->loop->counters, COUNT_EXCHANGES, 1);
	d->state = DOOR_EXCHANGE;
	d->exchange = exchange_new(d);
	if (!d->exchange) {
		refuse(d, REASON_NO_MEMORY);
		return;
	}
	exchange_start(d->exchange, head);
}

/* Consumes a request head at p. Returns the bytes consumed; 0: more is needed, or the
 * door is no longer in state HEAD. */
static size_t
consume_head(struct door *d, const char *p, size_t n)
{
	struct head head;
	enum reason why;
	size_t used;

	switch (head_parse(p, n, &head, &used, &why)) {
	case PARSE_DONE:
		start_exchange(d, &head);
		d->head_us = 0;
		return used;
	case PARSE_BAD: refuse(d, why); return 0;
	case PARSE_MORE: break;
	}
	return 0;
}

/* Consumes what it can of p[0..n) and returns how much that was. */
static size_t
door_consume(struct door *d, const char *p, size_t n)
{
	size_t at = 0, used = 1;

	d->consuming = true;
	while (used && at < n) {
		if (d->state == DOOR_PREFACE) {
			if (!door_take_preface(d, p + at, n - at, &used))
				break;
			at += used;
			used = 1;
			continue;
		}
		if (d->state == DOOR_HEAD && stream_queued(&d->stream) == 0)
			used = consume_head(d, p + at, n - at);
		else if (d->state == DOOR_EXCHANGE)
			used = exchange_take_body(d->exchange, p + at, n - at);
		else
			used = d->state == DOOR_LINGER ? n - at : 0;
		at += used;
	}
	if (d->state == DOOR_EXCHANGE)
		exchange_flush(d->exchange);
	d->consuming = false;
	return at;
}

/* What it means that the client's connection has ended now. */
static enum reason
end_reason(const struct door *d)
{
	if (d->state == DOOR_LINGER)
		return REASON_DONE;
	if (d->state <= DOOR_HEAD && d->in.len == 0)
		return REASON_CLIENT_CLOSED;
	return REASON_CLIENT_GONE;
}

/* What could not be consumed is in d->in. Decides whether to go on reading. */
static void
settle(struct door *d)
{
	bool full = d->in.len >= PIPELINE_MAX;

	if (d->state == DOOR_CLOSED || d->state == DOOR_LINGER)
		return;
	if (d->half_closed) {
		/* what is here is all there will be */
		if (d->state != DOOR_EXCHANGE && stream_queued(&d->stream) == 0)
			door_close(d, end_reason(d));
		return;
	}
	if (d->in.len == 0)
		strbuf_fini(&d->in); /* an idle connection holds no buffer */
	if (d->state == DOOR_HEAD && d->in.len && stream_queued(&d->stream) == 0)
		full = false; /* head_parse limits a head's size itself */
	if (d->state == DOOR_EXCHANGE && exchange_wants_body(d->exchange))
		/* the body has to wait: so does the client */
		full = d->in.len > 0 && !exchange_takes_body(d->exchange);
	if (full)
		stream_read_off(&d->stream);
	else
		stream_read_on(&d->stream);
}

/* The part of a head that is here waits for the rest, but not for ever. */
static void
await_head(struct door *d)
{
	if (d->state != DOOR_HEAD || d->in.len == 0 || d->head_timed)
		return;
	d->head_timed = true;
	if (d->header_ms)
		loop_timer(d->front->loop, &d->timer, d->header_ms);
}

/* Goes on with what waits in d->in. */
static void
consume_waiting(struct door *d)
{
	size_t used;

	if (d->consuming)
		return; /* further up the stack; it goes on by itself */
	used = d->in.len ? door_consume(d, d->in.data, d->in.len) : 0;
	if (d->state == DOOR_CLOSED || d->state == DOOR_LINGER)
		return;
	if (used)
		strbuf_drop(&d->in, used);
	await_head(d);
	settle(d);
}

static void
take(struct door *d, const char *p, size_t n)
{
	/* straight from the scratch buffer, unless older bytes come first */
	size_t used = d->in.len ? 0 : door_consume(d, p, n);
	bool waiting = d->in.len > 0;

	if (d->state == DOOR_CLOSED || d->state == DOOR_LINGER)
		return;
	strbuf_append(&d->in, p + used, n - used);
	if (d->in.failed) {
		door_close(d, REASON_NO_MEMORY);
	} else if (waiting) {
		consume_waiting(d);
	} else {
		await_head(d);
		settle(d);
	}
}

/* The client is still talking: nobody listens, up to a point. */
static void
discard(struct door *d, size_t n)
{
	if (d->discard_left <= n)
		door_close(d, REASON_DONE);
	else
		d->discard_left -= (uint32_t)n;
}

static void
on_readable(struct stream *s)
{
	struct door *d = container_of(s, struct door, stream);
	uint8_t *scratch = d->front->loop->scratch;
	ssize_t n = stream_read(s, scratch, LOOP_READ);

	if (n == STREAM_AGAIN)
		return;
	if (n == STREAM_END && d->state == DOOR_EXCHANGE &&
	    exchange_client_ended(d->exchange)) {
		d->half_closed = true;
		stream_read_off(s);
		return;
	}
	if (n <= 0) {
		door_close(d, end_reason(d));
		return;
	}
	if (!d->head_us && access_is_on(d->front->access))
		d->head_us = loop_turn_us(d->front->loop);
	if (d->state == DOOR_LINGER)
		discard(d, (size_t)n);
	else
		take(d, (const char *)scratch, (size_t)n);
}

static void
on_drained(struct stream *s)
{
	struct door *d = container_of(s, struct door, stream);

	if (d->state == DOOR_LINGER && d->discard_left == 0)
		door_close(d, REASON_DONE);
	else if (d->state == DOOR_LINGER)
		stream_shut(s);
	else if (d->state == DOOR_EXCHANGE)
		exchange_client_drained(d->exchange);
	else if (d->state == DOOR_HEAD)
		consume_waiting(d);
}

static void
on_broken(struct stream *s)
{
	struct door *d = container_of(s, struct door, stream);

	door_close(d, REASON_CLIENT_GONE);
}

static const struct stream_ops stream_ops = {
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_broken = on_broken,
};

/* ---- stopping ---- */

/* An idle connection of a front that stops. A request that is on its way meets a closed
 * door; so who is talked to often gets the time to hear of it in a response. */
static void
let_go(struct door *d, uint64_t idle_ms)
{
	struct loop *loop = d->front->loop;

	if (!d->served)
		idle_ms = FRESH_MS;
	else if (idle_ms)
		idle_ms = random_below(&loop->random, (uint32_t)idle_ms) + 1;
	else if (d->in.len == 0 && stream_is_quiet(&d->stream))
		door_close(d, REASON_SHUTDOWN);
	if (idle_ms)
		loop_timer(loop, &d->timer, idle_ms);
}

/* ---- for exchange.c ---- */

void
door_resume(struct door *d)
{
	if (d->state == DOOR_EXCHANGE)
		consume_waiting(d);
}

void
door_exchange_done(struct door *d, bool keep_alive, bool all_read)
{
	d->exchange = NULL;
	d->served = true;
	if (!keep_alive) {
		linger(d, !all_read || d->in.len);
		return;
	}
	d->state = DOOR_HEAD;
	d->head_timed = false;
	if (d->front->stopping)
		let_go(d, d->front->idle_ms); /* too late to say so in that response */
	else if (d->keepalive_ms)
		loop_timer(d->front->loop, &d->timer, d->keepalive_ms);
	if (!d->consuming && d->state != DOOR_CLOSED)
		consume_waiting(d);
}

/* ---- the front ---- */

static void
on_waiting(struct timer *t)
{
	exchange_serve_waiting(container_of(t, struct front, waiting_timer));
}

void
front_init(struct front *f)
{
	timer_init(&f->waiting_timer, on_waiting);
}

struct entrance *
front_open(struct front *f, size_t place)
{
	struct entrance *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->front = f;
	e->refs = 1;
	entrance_follow(e, place);
	return e;
}

void
entrance_follow(struct entrance *e, size_t place)
{
	struct view *view = e->front->view;

	e->conf = &view->snapshot->config->listeners[place];
	view_get(view);
	view_put(e->view);
	e->view = view;
}

void
entrance_put(struct entrance *e)
{
	if (--e->refs)
		return;
	view_put(e->view);
	free(e);
}

void
front_set_view(struct front *f, struct view *view)
{
	const struct config *config = view->snapshot->config;

	view_put(f->view);
	f->view = view;
	f->header_ms = 0;
	for (size_t i = 0; i < config->n_upstreams; i++)
		if (config->upstreams[i].timeouts.header_ms > f->header_ms)
			f->header_ms = config->upstreams[i].timeouts.header_ms;
}

static void
shed(struct front *f, int fd)
{
	count_add(&f->loop->counters, COUNT_NO_MEMORY, 1);
	close(fd);
}

void
front_accept(void *entrance, int fd, const struct addr *peer)
{
	struct entrance *e = entrance;
	struct front *f = e->front;
	struct door *d = calloc(1, sizeof *d);

	if (!d) {
		shed(f, fd);
		return;
	}
	stream_init(&d->stream, f->loop, fd, &stream_ops);
	timer_init(&d->timer, on_timeout);
	d->front = f;
	d->entrance = e;
	e->refs++;
	d->peer = *peer;
	door_set_client(d, peer);
	d->state = door_expects_preface(d) ? DOOR_PREFACE : DOOR_HEAD;
	d->header_ms = f->header_ms;
	DL_PREPEND(f->doors, d);
	f->n_doors++;
	count_add(&f->loop->counters, COUNT_CONNECTIONS, 1);
	if (f->header_ms)
		loop_timer(f->loop, &d->timer, f->header_ms);
	if (!stream_read_on(&d->stream))
		door_close(d, REASON_NO_MEMORY);
}

void
front_stop(struct front *f, uint64_t idle_ms)
{
	struct door *d, *next;

	f->stopping = true;
	f->idle_ms = idle_ms;
	for (d = f->doors; d; d = next) {
		next = d->next;
		if (is_idle(d))
			let_go(d, idle_ms);
	}
}

void
front_fini(struct front *f)
{
	while (f->doors)
		door_close(f->doors, REASON_SHUTDOWN);
	graveyard_bury(&f->loop->graveyard);
	exchange_free_spare(f);
	timer_clear(&f->waiting_timer);
	view_put(f->view);
	f->view = NULL;
	strbuf_fini(&f->out);
}
