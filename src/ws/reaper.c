/* SPDX-License-Identifier: MIT
 *
 * reaper.c - looks now and then whether a silent session was overlooked.
 *
 * Timers find what is dead (watch.c); this finds what they missed, which is a bug, and
 * says so by a counter that has to stay 0. It goes through the sessions in slices, one
 * a turn, so that even 100,000 of them do not hold up the loop. Sessions that come
 * meanwhile stand in front of where it began, and wait for the next round.
 *
 * Owner and thread: the registry's.
 */
#include "ws/registry.h"

#include "base/log.h"
#include "ws/session_private.h"

enum {
	SLICE = 500,    /* sessions a turn */
	ASLEEP_MS = 500 /* so late ourselves: the timers are late as well, not lost */
};

static void
look_at(struct session *s, uint64_t now)
{
	if ((s->state != SESSION_CONNECTED && s->state != SESSION_RECONNECTING) ||
	    !watch_is_overdue(s, now))
		return;
	count_add(&s->registry->loop->counters, COUNT_SWEEP_FOUND, 1);
	session_log_kind(KIND_SWEPT, s, "silent, and no timer found it");
	session_close(s, REASON_STALE, CLOSE_GOING_AWAY, "stale");
}

static void
nearer_sweep(struct registry *r, const struct session *s)
{
	uint64_t ms = s->up->conf->heartbeat.sweep_ms;

	if (ms && (r->sweep_ms == 0 || ms < r->sweep_ms))
		r->sweep_ms = ms;
}

static void
look_at_slice(struct registry *r)
{
	uint64_t now = clock_now_ms();

	for (unsigned i = 0; i < SLICE && r->sweep_at; i++) {
		struct session *s = r->sweep_at;

		r->sweep_at = s->next;
		nearer_sweep(r, s);
		look_at(s, now);
	}
}

static void
on_time(struct timer *t)
{
	struct registry *r = container_of(t, struct registry, sweep);

	if (clock_now_ms() > t->due_ms + ASLEEP_MS) {
		loop_timer(r->loop, t, ASLEEP_MS);
		return;
	}
	if (!r->sweep_at) {
		r->sweep_at = r->sessions;
		r->sweep_ms = 0;
	}
	look_at_slice(r);
	if (r->sweep_at)
		loop_timer(r->loop, t, 0);
	else if (r->sweep_ms)
		loop_timer(r->loop, t, r->sweep_ms);
}

void
reaper_init(struct registry *r)
{
	timer_init(&r->sweep, on_time);
}

void
reaper_start(struct registry *r, const struct session *s)
{
	uint64_t ms = s->up->conf->heartbeat.sweep_ms;

	if (ms && (!timer_is_set(&r->sweep) || r->sweep.due_ms > clock_now_ms() + ms))
		loop_timer(r->loop, &r->sweep, ms);
}

void
reaper_delay(struct registry *r)
{
	if (timer_is_set(&r->sweep))
		loop_timer(r->loop, &r->sweep, 2 * ASLEEP_MS);
}

void
reaper_forget(struct registry *r, const struct session *s)
{
	if (r->sweep_at == s)
		r->sweep_at = s->next;
}
