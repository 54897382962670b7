/* SPDX-License-Identifier: MIT
 *
 * record.c - what is told of an exchange that is over, or of a head that was none:
 * counts, and a line in the access log.
 *
 * Thread: the exchange's worker.
 */
#include "http/exchange_private.h"

#include "upstream/backend.h"
#include "upstream/pool.h"

static uint64_t
between(uint64_t from, uint64_t to)
{
	return from && to && to >= from ? to - from : UINT64_MAX;
}

static void
fill_times(const struct exchange *x, struct access_record *r)
{
	const struct exchange_times *t = &x->times;

	r->head_us = between(t->head, t->begun);
	r->queue_us = between(t->queued, t->chosen);
	r->connect_us = between(t->chosen, t->connected);
	r->first_byte_us = between(t->connected, t->first_byte);
	r->total_us = between(t->begun, clock_now_us());
}

/* ---- counts ---- */

void
exchange_count_failure(const struct exchange *x, enum reason why)
{
	tally(&exchange_counts(x)->failures[why], 1);
}

/* What a backend did; handshakes are no requests whose duration says anything. */
static void
count_answered(const struct exchange *x, struct upstream_counts *counts)
{
	const struct exchange_times *t = &x->times;

	if (!t->first_byte || x->status == 101)
		return;
	time_note(&counts->first_byte, short_times, t->first_byte - t->connected);
	time_note(&counts->total, short_times, exchange_turn_us(x) - t->begun);
}

static void
count_exchange(const struct exchange *x)
{
	struct upstream_counts *counts = exchange_counts(x);
	unsigned class = status_class(x->status);
	struct backend_counts *backend;

	if (!x->chosen) {
		tally(&counts->answers[class], 1);
		return;
	}
	backend = pools_counts(x->front->pools, x->choice.backend);
	tally(&backend->answers[class], 1);
	if (x->request_bytes)
		tally(&backend->bytes[FROM_CLIENT], x->request_bytes);
	tally(&backend->bytes[FROM_BACKEND], x->response_bytes);
	count_answered(x, counts);
}

/* ---- access log ---- */

static void
write_line(const struct exchange *x)
{
	struct access_record r = {
	    .status = x->status,
	    .reason = str_of(reason_label(x->why)),
	    .retries = x->tries,
	    .bytes_in = x->request_bytes,
	    .bytes_out = x->response_bytes,
	};

	access_note_fill(&x->note, &r);
	r.id = r.request_id;
	fill_times(x, &r);
	if (x->up)
		r.upstream = str_of(x->up->conf->name);
	if (x->chosen) {
		r.backend = str_of(x->choice.backend->name);
		r.chosen_by = str_of(choose_by_name(x->choice.by));
	}
	access_put(x->front->access, &r);
}

void
exchange_record(const struct exchange *x)
{
	count_exchange(x);
	if (x->noted && access_is_on(x->front->access))
		write_line(x);
}

/* Nothing is known of it but where it came from. */
void
door_record_refusal(const struct door *d, enum reason why)
{
	char peer[ADDR_TEXT];
	struct access_record r = access_record_empty();

	r.wall_ms = clock_wall_ms();
	r.client = str_of(d->client_text);
	r.peer = str_of(addr_print(&d->peer, false, peer));
	r.status = (unsigned)reason_status(why);
	r.reason = str_of(reason_label(why));
	r.head_us = between(d->head_us, clock_now_us());
	tally(&view_counts(d->front->view, NULL)->failures[why], 1);
	if (access_is_on(d->front->access))
		access_put(d->front->access, &r);
}
