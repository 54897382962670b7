/* SPDX-License-Identifier: MIT
 *
 * timer.c - a hierarchical timer wheel that lets due times slip.
 *
 * Time is counted in ticks of 8 ms. A slot of level 0 is one tick, a slot of level n
 * is 64^n ticks, and a level ends where a slot of the next one begins. A timer goes to
 * the level of the highest bit in which its tick differs from the cursor:
 *
 *	level 0   the ticks up to the next multiple of 64          512 ms
 *	level 1   then slots of 64 ticks                            33 s
 *	level 2   then slots of 64^2 ticks                          35 min
 *	level 3, 4 ...  far                                  37 h, 99 days ...
 *
 * When the cursor reaches the start of a slot of level 1 and above, the slot's timers
 * are placed anew, each some levels lower. So everything in a level comes after all
 * that is in the levels below it, and the first set bit of `busy` is the next event.
 *
 * Setting a timer later does not move it (see timer_set). Its due time is looked at
 * when its slot comes up: it then fires, or is placed anew. A connection with a 60 s
 * timeout is thus touched about once a minute, however many requests it serves.
 *
 * Clearing a timer does not know its slot and leaves the bit in `busy` behind; a bit
 * whose slot proves empty is cleared when it is looked at.
 */
#include "loop/timer.h"

#include <assert.h>

enum {
	LEVEL_BITS = 6,
	LEVEL_MASK = TIMER_SLOTS - 1,
	WHEEL_BITS = LEVEL_BITS * TIMER_LEVELS
};

static uint64_t
tick_of_now(uint64_t ms)
{
	return ms / TIMER_TICK_MS;
}

/* Rounded up: when this tick runs, the time has come. */
static uint64_t
tick_of_due(uint64_t ms)
{
	return ms / TIMER_TICK_MS + (ms % TIMER_TICK_MS != 0);
}

static void
list_push(struct timer **head, struct timer *t)
{
	t->next = *head;
	t->prev = head;
	if (t->next)
		t->next->prev = &t->next;
	*head = t;
}

/* Moves a whole list to a head of the caller's, where clearing its timers still works.
 */
static void
list_take(struct timer **from, struct timer **to)
{
	*to = *from;
	*from = NULL;
	if (*to)
		(*to)->prev = to;
}

static struct timer *
list_pop(struct timer **head)
{
	struct timer *t = *head;

	if (t)
		timer_clear(t);
	return t;
}

static void
push_soon(struct timers *w, struct timer *t)
{
	t->after_ms = UINT64_MAX;
	list_push(&w->soon, t);
}

/* Into a list that is looked at when tick `start` runs. A due time is served by it if
 * it rounds up to that tick or a later one. */
static void
push_at(struct timer **head, struct timer *t, uint64_t start)
{
	t->after_ms = (start - 1) * TIMER_TICK_MS;
	list_push(head, t);
}

/* The start of the slot that `tick` lies in, where slots have 2^bits ticks. */
static uint64_t
slot_start(uint64_t tick, unsigned bits)
{
	return tick >> bits << bits;
}

static void
place(struct timers *w, struct timer *t)
{
	uint64_t tick = tick_of_due(t->due_ms);
	uint64_t differs = tick ^ w->cursor;
	unsigned level, bits, slot;

	if (tick < w->cursor) {
		push_soon(w, t);
		return;
	}
	if (differs >> WHEEL_BITS) {
		push_at(&w->far, t,
		    slot_start(w->cursor, WHEEL_BITS) + (1ULL << WHEEL_BITS));
		return;
	}
	level = differs ? (63 - (unsigned)__builtin_clzll(differs)) / LEVEL_BITS : 0;
	bits = level * LEVEL_BITS;
	slot = tick >> bits & LEVEL_MASK;
	w->busy[level] |= 1ULL << slot;
	push_at(&w->slots[level][slot], t, slot_start(tick, bits));
}

static void
place_all(struct timers *w, struct timer **head)
{
	struct timer *list, *t;

	list_take(head, &list);
	while ((t = list_pop(&list)))
		place(w, t);
}

/* No slot may start between the old cursor and `tick`; those that start there are
 * emptied into lower levels. A slot of one level starts only where one of each
 * level below does. */
static void
cursor_move(struct timers *w, uint64_t tick)
{
	w->cursor = tick;
	for (unsigned level = 1; level < TIMER_LEVELS; level++) {
		unsigned bits = level * LEVEL_BITS;
		unsigned slot = tick >> bits & LEVEL_MASK;

		if (slot_start(tick, bits) != tick)
			return;
		w->busy[level] &= ~(1ULL << slot);
		place_all(w, &w->slots[level][slot]);
	}
	if (slot_start(tick, WHEEL_BITS) == tick)
		place_all(w, &w->far);
}

/* The first slot in use of a level, or -1. */
static int
level_first(struct timers *w, unsigned level)
{
	while (w->busy[level]) {
		int slot = __builtin_ctzll(w->busy[level]);

		if (w->slots[level][slot])
			return slot;
		w->busy[level] &= w->busy[level] - 1;
	}
	return -1;
}

/* The tick at which the next slot starts; UINT64_MAX: all are empty. */
static uint64_t
next_tick(struct timers *w)
{
	for (unsigned level = 0; level < TIMER_LEVELS; level++) {
		unsigned bits = level * LEVEL_BITS;
		int slot = level_first(w, level);

		if (slot >= 0)
			return slot_start(w->cursor, bits + LEVEL_BITS) | (uint64_t)slot
									      << bits;
	}
	if (w->far)
		return slot_start(w->cursor, WHEEL_BITS) + (1ULL << WHEEL_BITS);
	return UINT64_MAX;
}

/* After `fire` the timer's memory may be gone, and other timers of the list too. */
static void
fire_all(struct timers *w, struct timer **list, uint64_t now_ms)
{
	struct timer *t;

	while ((t = list_pop(list))) {
		if (t->due_ms > now_ms)
			place(w, t);
		else
			t->fire(t);
	}
}

static void
run_soon(struct timers *w)
{
	struct timer *list, *t;

	list_take(&w->soon, &list);
	while ((t = list_pop(&list)))
		t->fire(t);
}

/* Runs the tick at the cursor. The cursor is past it before anything fires, so that
 * what is set meanwhile never comes back into the list at hand. */
static void
run_tick(struct timers *w, uint64_t now_ms)
{
	unsigned slot = w->cursor & LEVEL_MASK;
	struct timer *list;

	w->busy[0] &= ~(1ULL << slot);
	list_take(&w->slots[0][slot], &list);
	cursor_move(w, w->cursor + 1);
	fire_all(w, &list, now_ms);
}

void
timers_init(struct timers *w, uint64_t now_ms)
{
	*w = (struct timers){.cursor = tick_of_now(now_ms) + 1};
}

void
timer_init(struct timer *t, void (*fire)(struct timer *t))
{
	*t = (struct timer){.fire = fire};
}

void
timers_place(struct timers *w, struct timer *t, uint64_t now_ms, uint64_t delay_ms)
{
	assert(t->fire);
	timer_clear(t);
	t->due_ms = delay_ms < UINT64_MAX - now_ms ? now_ms + delay_ms : UINT64_MAX;
	if (delay_ms == 0)
		push_soon(w, t);
	else
		place(w, t);
}

void
timers_run(struct timers *w, uint64_t now_ms)
{
	uint64_t last = tick_of_now(now_ms);

	run_soon(w);
	while (w->cursor <= last) {
		uint64_t tick = next_tick(w);

		if (tick > last) {
			cursor_move(w, last + 1);
			return;
		}
		if (tick > w->cursor)
			cursor_move(w, tick);
		if (w->slots[0][tick & LEVEL_MASK])
			run_tick(w, now_ms);
	}
}

uint64_t
timers_next_ms(struct timers *w, uint64_t now_ms)
{
	uint64_t tick, at_ms;

	if (w->soon)
		return 0;
	tick = next_tick(w);
	if (tick == UINT64_MAX)
		return UINT64_MAX;
	at_ms = tick * TIMER_TICK_MS;
	return at_ms > now_ms ? at_ms - now_ms : 0;
}
