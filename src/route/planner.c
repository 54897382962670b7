/* SPDX-License-Identifier: MIT
 *
 * planner.c - which clients should move, where to, and how fast; see planner.h.
 *
 * At each tick, for each upstream: has a backend changed (watch.c)? Then what was asked
 * for is done (errands.c), and when nothing changes any more, who is on a leaving
 * backend goes (leaving.c), and who is too many on another (surplus.c), both to where
 * targets.c says.
 *
 * Thread: the control thread only.
 */
#include "route/planner_private.h"

#include "route/choose.h"
#include "route/pins.h"
#include "upstream/pace.h"
#include "upstream/upstream.h"
#include <stdlib.h>

enum {
	JITTER = 60 /* per cent of a slot: +-30 % of its middle */
};

struct planner *
planner_new(struct chooser *chooser,
    void (*on_move)(void *arg, const struct move *move), void *arg)
{
	struct planner *p = calloc(1, sizeof(*p));

	if (p) {
		p->chooser = chooser;
		p->on_move = on_move;
		p->arg = arg;
	}
	return p;
}

void
planner_free(struct planner *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_watches; i++)
		watch_fini(&p->watches[i]);
	for (size_t i = 0; i < p->n_errands; i++)
		errand_fini(&p->errands[i]);
	free(p->watches);
	free(p->errands);
	free(p->candidates);
	free(p->options);
	free(p);
}

/* The pace */

/* A dry run goes on until the plan is full. */
bool
turn_has_token(const struct turn *t)
{
	if (t->plan)
		return !t->plan->more;
	return pace_allows(t->up, NULL, t->now_ms * 1000);
}

bool
turn_has_room(struct turn *t, const struct seat *to)
{
	if (t->plan || pace_allows(t->up, to->backend, t->now_ms * 1000))
		return true;
	t->held_up = true;
	return false;
}

/* Evenly over the tick, each somewhere in its slot. */
static uint32_t
turn_delay_ms(struct turn *t)
{
	struct random *random = &t->planner->chooser->random;
	unsigned rate = t->up->conf->rehome.rate;
	uint32_t slot = rate ? 1000 / rate : 0;

	if (slot > TICK_MS)
		slot = TICK_MS;
	if (slot == 0)
		return random_below(random, TICK_MS);
	return t->moves * slot % TICK_MS +
	       random_below(random, slot * JITTER / 100 + 1);
}
/* Moving */

bool
turn_move(struct turn *t, struct hash128 key, struct seat *from, struct seat *to,
    enum move_why why)
{
	const struct config_upstream *conf = t->up->conf;
	struct move move = {.upstream_id = t->up->id,
	    .key = key,
	    .from = from->backend,
	    .to = to->backend,
	    .why = why};

	if (t->plan)
		return turn_note(t, key, from, to, why);
	if (!turn_has_room(t, to))
		return false;
	if (!pins_move(t->planner->chooser->pins, key, move.from, move.to, t->now_ms,
		conf->pin.websocket_ms))
		return false;
	pace_book_ms(t->up, move.to, t->now_ms * 1000);
	move.delay_ms = turn_delay_ms(t);
	t->moves++;
	t->planner->on_move(t->planner->arg, &move);
	return true;
}

/* The tick */

static unsigned
upstream_tick(struct planner *p, const struct upstream *up, uint64_t now_ms)
{
	struct turn t = {.planner = p, .up = up, .now_ms = now_ms};

	t.watch = watch_find(p, up->id);
	if (!t.watch)
		return 0;
	t.watch->seen = true;
	if (watch_refresh(t.watch, up, now_ms))
		watch_debounce(t.watch, up->conf->rehome.debounce_ms, now_ms);
	turn_run_errands(&t);
	if (up->conf->rehome.mode == REHOME_OFF || now_ms < t.watch->debounce_until_ms)
		return t.moves;
	turn_plan_leaving(&t);
	turn_plan_surplus(&t);
	return t.moves;
}

/* Upstreams that are gone: their sessions have nowhere to go. */
static void
watches_forget_unseen(struct planner *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_watches; i++) {
		if (p->watches[i].seen)
			p->watches[kept++] = p->watches[i];
		else
			watch_fini(&p->watches[i]);
	}
	p->n_watches = kept;
}

/* Workers move the pins of clients whose backend is lost to them. What else such a
 * client has, on any worker, follows. */
static void
gather_strays(struct planner *p, uint64_t now_ms)
{
	struct hash128 key;
	struct pin pin;

	while (pins_next_stray(p->chooser->pins, &key)) {
		if (!pins_lookup(p->chooser->pins, key, now_ms, &pin))
			continue;
		p->on_move(p->arg, &(struct move){.key = key,
				       .from = pin.backend,
				       .to = pin.backend,
				       .why = MOVE_LEAVING});
		backend_put(pin.backend);
	}
}

unsigned
planner_tick(struct planner *p, const struct snapshot *s, uint64_t now_ms)
{
	unsigned moves = 0;

	gather_strays(p, now_ms);
	for (size_t i = 0; i < p->n_watches; i++)
		p->watches[i].seen = false;
	for (size_t i = 0; i < s->n_upstreams; i++)
		moves += upstream_tick(p, &s->upstreams[i], now_ms);
	watches_forget_unseen(p);
	errands_forget_unseen(p, s);
	return moves;
}

const char *
move_why_name(enum move_why why)
{
	static const char *const names[] = {
	    [MOVE_LEAVING] = "leaving",
	    [MOVE_SURPLUS] = "surplus",
	    [MOVE_ASKED] = "asked",
	};

	return names[why];
}
