/* SPDX-License-Identifier: MIT
 *
 * waiting.c - exchanges that wait for a place on a backend, or for their client's seat.
 *
 * Each worker has one line, longest waiting first, with a limit per upstream. A place
 * that becomes free on this worker is given on at the end of the turn, or before a
 * newcomer asks; one that another worker frees is found by looking again every LOOK_MS.
 * Behind the first LOOK_AT of the line nobody is tried but at those looks: all of the
 * front may wait for one busy backend that their pins name.
 */
#include "http/exchange_private.h"

#include "upstream/view.h"
#include <limits.h>
#include <utlist.h>

enum { LOOK_MS = 20, LOOK_AT = 64 };

static void
add_waiting(const struct exchange *x, int n)
{
	struct view_upstream *u = &x->view->upstreams[x->up->index];

	u->n_waiting += (unsigned)n;
	tally(&u->counts->waiting, (uint64_t)n);
}

static void
join_line(struct exchange *x, uint64_t ms)
{
	struct front *f = x->front;

	DL_APPEND(f->waiting, x);
	add_waiting(x, 1);
	x->in_line = true;
	if (!x->times.queued)
		x->times.queued = exchange_turn_us(x);
	exchange_await(x, ms);
	if (!timer_is_set(&f->waiting_timer))
		loop_timer(f->loop, &f->waiting_timer, LOOK_MS);
}

void
exchange_leave_line(struct exchange *x)
{
	if (!x->in_line)
		return;
	x->in_line = false;
	DL_DELETE(x->front->waiting, x);
	add_waiting(x, -1);
}

void
exchange_wait(struct exchange *x)
{
	const struct config_limits *limits = &x->up->conf->limits;

	if (!choose_may_wait(x->up, x->upgrade != NULL, clock_now_ms()))
		exchange_fail(x, REASON_NO_BACKEND);
	else if (x->view->upstreams[x->up->index].n_waiting >= limits->queue)
		exchange_fail(x, REASON_QUEUE_FULL);
	else
		join_line(x, limits->queue_timeout_ms);
}

void
exchange_place_free(struct front *f)
{
	if (!f->waiting)
		return;
	f->place_free = true;
	loop_timer(f->loop, &f->waiting_timer, 0);
}

void
exchange_serve_waiting(struct front *f)
{
	unsigned left = f->place_free ? LOOK_AT : UINT_MAX;
	struct exchange *x, *next;

	f->place_free = false;
	for (x = f->waiting; x && left; x = next, left--) {
		next = x->next;
		if (!x->waits_for_seat)
			exchange_choose(x);
	}
	if (f->waiting)
		loop_timer(f->loop, &f->waiting_timer, LOOK_MS);
}

void
exchange_choose_in_turn(struct exchange *x)
{
	if (x->front->place_free)
		exchange_serve_waiting(x->front);
	exchange_choose(x);
}

/* ---- seats ---- */

enum reason
exchange_take_seat(struct exchange *x)
{
	const struct config_client_limits *limits = &x->up->conf->client_limits;
	const struct front *f = x->front;

	if (!x->upgrade || !limits->sessions)
		return REASON_NONE;
	x->seat.ops = f->seat_ops;
	x->seat.worker = f->seat_arg;
	x->seat.who = x->number;
	switch (quota_sit(f->quota, limits, x->limited, &x->seat)) {
	case QUOTA_FULL: return REASON_CLIENT_SESSIONS;
	case QUOTA_WAIT: x->waits_for_seat = true; break;
	case QUOTA_SEATED: break;
	}
	if (x->waits_for_seat) {
		x->key.has_hint = false; /* it points into the head */
		join_line(x, x->up->conf->limits.queue_timeout_ms);
	}
	return REASON_NONE;
}

static struct exchange *
find_waiting(struct front *f, uint64_t number)
{
	struct exchange *x;

	DL_FOREACH (f->waiting, x)
		if (x->number == number)
			return x;
	return NULL;
}

void
exchange_seated(struct front *f, uint64_t number)
{
	struct exchange *x = find_waiting(f, number);

	if (!x || !x->waits_for_seat)
		return;
	x->waits_for_seat = false;
	exchange_leave_line(x);
	exchange_choose(x);
}

void
exchange_unseat(struct front *f, uint64_t number)
{
	struct door *d;

	DL_FOREACH (f->doors, d)
		if (d->exchange && d->exchange->number == number) {
			exchange_fail(d->exchange, REASON_CLIENT_SESSIONS);
			return;
		}
}
