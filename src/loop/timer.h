/* SPDX-License-Identifier: MIT
 *
 * timer.h - many timeouts, nearly all of which never fire.
 *
 * A timeout is set anew with every request or message and runs out once in a blue
 * moon. So setting it again must cost no more than a store: the timer stays where it
 * is in the wheel, only its due time moves, and the wheel sends it on when it gets
 * there. Pure: time comes in as an argument, whoever owns the wheel runs it.
 *
 * A timer never fires before its due time and at most TIMER_TICK_MS after it, if the
 * wheel is run when timers_next_ms says so.
 *
 * Owner: `struct timers` its worker, `struct timer` the object it is embedded in, which
 * must clear it before its memory goes away. Neither may be moved. Thread: one.
 */
#ifndef ROOST_LOOP_TIMER_H
#define ROOST_LOOP_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TIMER_TICK_MS = 8, TIMER_LEVELS = 5, TIMER_SLOTS = 64 };

struct timer {
	struct timer *next;
	struct timer **prev; /* what points to us; NULL: not set */
	uint64_t due_ms;
	uint64_t after_ms; /* while due after this, the slot we are in is right */
	void (*fire)(struct timer *t);
};

struct timers {
	uint64_t cursor;             /* first tick not yet run */
	uint64_t busy[TIMER_LEVELS]; /* a clear bit: that slot is empty */
	struct timer *slots[TIMER_LEVELS][TIMER_SLOTS];
	struct timer *soon; /* fire at the next run, whatever the time */
	struct timer *far;  /* beyond the last level: 99 days and more */
};

void timers_init(struct timers *w, uint64_t now_ms);

/* `fire` is called when the timer has run out and is no longer set. It may set and
 * clear any timer and free its own owner. container_of gives the owner. */
void timer_init(struct timer *t, void (*fire)(struct timer *t));

/* The slow half of timer_set: puts the timer into its slot. */
void timers_place(struct timers *w, struct timer *t, uint64_t now_ms,
    uint64_t delay_ms);

/* Sets or sets anew. Delay 0: at the next run, not in the one going on. */
static inline void
timer_set(struct timers *w, struct timer *t, uint64_t now_ms, uint64_t delay_ms)
{
	uint64_t due = now_ms + delay_ms;
	bool ordinary = delay_ms - 1 < UINT64_MAX / 2; /* neither 0 nor for ever */

	if (ordinary && t->prev && due > t->after_ms)
		t->due_ms = due;
	else
		timers_place(w, t, now_ms, delay_ms);
}

/* Fine where it is not set. */
static inline void
timer_clear(struct timer *t)
{
	if (!t->prev)
		return;
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->prev = NULL;
}

static inline bool
timer_is_set(const struct timer *t)
{
	return t->prev != NULL;
}

/* Fires all that are due. Not to be called by a callback. */
void timers_run(struct timers *w, uint64_t now_ms);

/* How long until the wheel wants to be run again; it may then only have to move timers
 * on. 0: at once. UINT64_MAX: no timer is set. */
uint64_t timers_next_ms(struct timers *w, uint64_t now_ms);

#endif
