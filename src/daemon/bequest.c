/* SPDX-License-Identifier: MIT
 *
 * bequest.c - the old process tells the new one what it knows (estate.h).
 *
 *   HEAD > AMENDMENTS > BACKENDS > PINS > NEWS: what has changed, until we end
 *
 * It goes in packets over the link of the upgrade, as fast as the new one takes them,
 * and in between the loop turns, so that neither requests nor health checks wait. When
 * it is all said we go on: at first every tenth of a second, once more just before the
 * new one takes over, and then for as long as we have sessions, whose ends change their
 * pins.
 *
 * Should the new process fail, the next one hears everything from the start.
 *
 * Owner and thread: the control thread.
 */
#include "daemon/control.h"

#include "base/strbuf.h"
#include "config/config.h"
#include "daemon/estate.h"
#include "loop/bridge.h"
#include "loop/loop.h"
#include "route/pins.h"
#include "upstream/amend.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	NEWS_MS = 100,
	PACKETS = 8, /* in one turn of the loop, about a millisecond */
	ROWS = 64,   /* looked at under one lock */
};

enum step { STEP_HEAD, STEP_AMENDMENTS, STEP_BACKENDS, STEP_PINS, STEP_NEWS };

struct bequest {
	struct control *control;
	enum step step;
	bool said;   /* all that there was at first */
	size_t next; /* in a step: what is said next */
	struct event *writable;
	struct timer timer;
	struct amendments *amendments; /* a reference: those that were told */
	uint64_t *told; /* ids of the backends that were, by their slots */
	size_t n_told;
	struct strbuf packet; /* waits for room in the socket */
	struct pin_row rows[ROWS];
	size_t n_rows, row;
};

/* ---- what is said ---- */

static void
write_head(const struct control *c, struct strbuf *out)
{
	uint64_t stays_ms = c->snapshot->config->upgrade.grace_ms;
	struct estate_head head = {
	    .stays_ms = stays_ms < UINT32_MAX ? (uint32_t)stays_ms : UINT32_MAX};

	hash_table_secrets(head.secrets);
	estate_write_head(&head, out);
}

static void
write_backend(struct backend *b, struct strbuf *out)
{
	const struct outlier *o = &b->outlier;
	char place[ADDR_TEXT] = "";
	struct addr addr;

	if (backend_address_is_name(b->address) && backend_addr(b, &addr))
		addr_print(&addr, true, place);
	estate_write_backend(
	    &(struct estate_backend){
		.number = b->slot,
		.upstream = b->upstream,
		.name = b->name,
		.address = b->address,
		.place = place,
		.announced_weight = b->announced_weight,
		.unhealthy_since_ms = atomic_load(&b->unhealthy_since_ms),
		.refused = atomic_load(&b->refused),
		.failures = atomic_load(&b->failures),
		.errors = atomic_load(&o->errors),
		.closes = atomic_load(&o->closes),
		.slow = atomic_load(&o->slow),
		.ejections = atomic_load(&o->ejections),
		.failing_until_ms = atomic_load(&b->failing_until_ms),
		.ejected_until_ms = atomic_load(&o->ejected_until_ms),
		.up_since_ms = atomic_load(&b->up_since_ms),
		.latency = atomic_load(&b->latency),
	    },
	    out);
}

static uint32_t
left_ms(uint64_t until_ms, uint64_t now_ms)
{
	uint64_t left = until_ms > now_ms ? until_ms - now_ms : 0;

	return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

static void
write_pin(const struct pin_row *row, uint64_t now_ms, struct strbuf *out)
{
	const struct pin *pin = &row->pin;

	estate_add_pin(
	    &(struct estate_pin){
		.key = row->key,
		.stable = pin->stable,
		.backend = pin->backend->slot,
		.websocket_left_ms = left_ms(pin->websocket_until_ms, now_ms),
		.http_left_ms = left_ms(pin->http_until_ms, now_ms),
		.age_ms = left_ms(now_ms, pin->since_ms),
		.seats = pin->sessions + pin->awaited,
		.followers = pin->followers > 0,
		.exchanges = pin->exchanges > 0,
	    },
	    out);
}

/* ---- in which order ---- */

/* Has the new process heard of it? */
static bool
is_told(const struct bequest *q, const struct backend *b)
{
	return b->slot < q->n_told && q->told[b->slot] == b->id;
}

/* It hears of it now. False: no memory to know that. */
static bool
tell(struct bequest *q, struct backend *b)
{
	if (b->slot >= q->n_told) {
		size_t n = b->slot * 2 + 16;
		uint64_t *more = realloc(q->told, n * sizeof *more);

		if (!more)
			return false;
		memset(more + q->n_told, 0, (n - q->n_told) * sizeof *more);
		q->told = more;
		q->n_told = n;
	}
	q->told[b->slot] = b->id;
	write_backend(b, &q->packet);
	return true;
}

static struct backend *
nth_backend(const struct snapshot *s, size_t n)
{
	for (size_t i = 0; i < s->n_upstreams; i++) {
		if (n < s->upstreams[i].n_backends)
			return s->upstreams[i].backends[n];
		n -= s->upstreams[i].n_backends;
	}
	return NULL;
}

static void
go_to(struct bequest *q, enum step step)
{
	q->step = step;
	q->next = 0;
}

static uint32_t
n_amendments(const struct bequest *q)
{
	return q->amendments ? (uint32_t)q->amendments->n : 0;
}

/* First how many, then each. */
static void
say_amendment(struct bequest *q)
{
	if (q->next == 0) {
		amendments_put(q->amendments);
		q->amendments = amendments_get(q->control->snapshot->amendments);
		estate_write_count(n_amendments(q), &q->packet);
	} else {
		estate_write_amendment(q->amendments->all[q->next - 1], &q->packet);
	}
	if (q->next++ == n_amendments(q))
		go_to(q, STEP_BACKENDS);
}

static void
say_backend(struct bequest *q)
{
	struct backend *b = nth_backend(q->control->snapshot, q->next++);

	if (!b)
		go_to(q, STEP_PINS);
	else if (!is_told(q, b))
		(void)tell(q, b);
}

static bool
have_row(struct bequest *q)
{
	bool more = true;

	while (q->row == q->n_rows && more) {
		q->row = 0;
		q->n_rows = pins_news(q->control->pins, q->rows, ROWS, &more);
	}
	return q->row < q->n_rows;
}

/* As many as fit, or the backend that the next one is bound to. False: there are none.
 */
static bool
say_pins(struct bequest *q)
{
	uint64_t now = clock_now_ms();

	while (have_row(q) && estate_has_room(&q->packet)) {
		const struct pin_row *row = &q->rows[q->row];
		struct backend *b = row->pin.backend;

		if (!is_told(q, b) && (q->packet.len || tell(q, b)))
			break;
		if (is_told(q, b))
			write_pin(row, now, &q->packet);
		backend_put(b);
		q->row++;
	}
	return q->packet.len > 0;
}

/* False: nothing is to be said now. */
static bool
say_next(struct bequest *q)
{
	switch (q->step) {
	case STEP_HEAD:
		write_head(q->control, &q->packet);
		go_to(q, STEP_AMENDMENTS);
		break;
	case STEP_AMENDMENTS: say_amendment(q); break;
	case STEP_BACKENDS: say_backend(q); break;
	case STEP_PINS:
		if (say_pins(q))
			break;
		estate_write_end(&q->packet);
		q->said = true;
		go_to(q, STEP_NEWS);
		break;
	case STEP_NEWS:
		if (q->amendments != q->control->snapshot->amendments)
			go_to(q, STEP_AMENDMENTS);
		else
			return say_pins(q);
	}
	return true;
}

/* ---- saying it ---- */

static bool
send_packet(struct bequest *q, int flags)
{
	struct strbuf *packet = &q->packet;
	bool is_sound = !packet->failed && packet->len <= ESTATE_PACKET;

	if (packet->len && is_sound &&
	    send(q->control->upgrade.link, packet->data, packet->len,
		flags | MSG_NOSIGNAL) < 0)
		return false;
	strbuf_reset(packet);
	return true;
}

static void
pump(struct bequest *q)
{
	struct loop *loop = q->control->loop;

	for (int i = 0; i < PACKETS; i++) {
		if (q->packet.len == 0 && !say_next(q)) {
			loop_timer(loop, &q->timer, NEWS_MS);
			return;
		}
		if (!send_packet(q, MSG_DONTWAIT)) {
			if (errno == EAGAIN)
				event_add(q->writable, NULL);
			return; /* or nobody hears it; the link ends in a moment */
		}
	}
	event_add(q->writable, NULL);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	pump(arg);
}

static void
on_news(struct timer *t)
{
	pump(container_of(t, struct bequest, timer));
}

bool
bequest_begin(struct control *c)
{
	struct bequest *q = calloc(1, sizeof *q);

	bequest_end(c);
	if (!q)
		return false;
	q->control = c;
	timer_init(&q->timer, on_news);
	q->writable = event_new(bridge_base(c->bridge), c->upgrade.link, EV_WRITE,
	    on_writable, q);
	if (!q->writable) {
		free(q);
		return false;
	}
	c->upgrade.bequest = q;
	pump(q);
	return true;
}

void
bequest_hurry(struct control *c)
{
	struct bequest *q = c->upgrade.bequest;

	if (!q || !q->said)
		return; /* the new one did not wait for it */
	while (q->packet.len || say_next(q))
		if (!send_packet(q, 0))
			return;
}

void
bequest_end(struct control *c)
{
	struct bequest *q = c->upgrade.bequest;

	if (!q)
		return;
	c->upgrade.bequest = NULL;
	timer_clear(&q->timer);
	event_free(q->writable);
	while (q->row < q->n_rows)
		backend_put(q->rows[q->row++].pin.backend);
	amendments_put(q->amendments);
	strbuf_fini(&q->packet);
	free(q->told);
	free(q);
	pins_news_again(c->pins);
}
