/* SPDX-License-Identifier: MIT
 *
 * surplus.c - takes what backends hold beyond their fair share, from clients whose lock
 * has run out.
 *
 * Standing still matters as much as moving. A surplus move is made only where it lowers
 * the sum of load^2 / weight over the upstream; that sum cannot fall for ever, so a
 * set of clients that does not change is moved a finite number of times, locks or not.
 *
 * Thread: the control thread only.
 */
#include "route/planner_private.h"

#include "balance/balance.h"
#include "route/choose.h"
#include "route/pins.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <limits.h>

enum {
	SURPLUS_EVERY_MS = 1000,
	SURPLUS_PER_MS = 50 /* looks get rarer by 1 ms for so many sessions */
};

/* Who may come and go has no share, and keeps what it has. */
static bool
seat_counts(const struct turn *t, const struct seat *seat)
{
	return seat->use == BACKEND_USABLE && seat_is_trusted(seat, t->now_ms);
}

/* What the backends that stay hold together. */
struct totals {
	unsigned load, weight, percent;
};

static struct totals
turn_totals(const struct turn *t)
{
	struct totals sum = {.percent = t->up->conf->rehome.threshold_percent};

	for (size_t i = 0; i < t->watch->n_seats; i++) {
		const struct seat *seat = &t->watch->seats[i];

		if (seat_counts(t, seat)) {
			sum.load += seat_load(seat);
			sum.weight += seat->share;
		}
	}
	return sum;
}

/* Is it a backup that nobody needs? */
static bool
seat_is_spare(const struct seat *seat, const struct totals *sum)
{
	return seat->backup && seat->share == 0 && sum->weight;
}

/* A spare backup keeps nobody, however few they are. */
static unsigned
seat_surplus(const struct seat *seat, const struct totals *sum)
{
	unsigned load = seat_load(seat);

	if (seat_is_spare(seat, sum))
		return load;
	return balance_surplus(load, seat->share, sum->load, sum->weight, sum->percent);
}

static struct seat *
surplus_worst(const struct turn *t, const struct totals *sum, unsigned *surplus_r)
{
	struct watch *w = t->watch;
	struct seat *worst = NULL;

	*surplus_r = 0;
	for (size_t i = 0; i < w->n_seats; i++) {
		struct seat *seat = &w->seats[i];
		unsigned surplus;

		if (!seat_counts(t, seat) || seat->spent)
			continue;
		surplus = seat_surplus(seat, sum);
		if (surplus > *surplus_r) {
			worst = seat;
			*surplus_r = surplus;
		}
	}
	return worst;
}

/* How many a backend may still take without getting a surplus itself; at least one,
 * since small shares are less than one. Those of a spare backup have to go in any case:
 * where policy hash says, or there may be many sessions of one client. */
static unsigned
surplus_room(const struct seat *from, const struct seat *to, const struct totals *sum)
{
	uint64_t limit = (uint64_t)sum->load * to->share * (100 + sum->percent) /
			 (100 * (uint64_t)sum->weight);
	uint64_t load = seat_load(to);

	if (seat_is_spare(from, sum))
		return UINT_MAX;
	return limit > load + 1 ? (unsigned)(limit - load) : 1;
}

/* Does moving n sessions lower the sum of load^2 / weight? Times two, and multiplied
 * by both weights. */
static bool
surplus_improves(const struct seat *from, const struct seat *to, unsigned n)
{
	uint64_t from_load = seat_load(from);
	uint64_t to_load = seat_load(to);
	uint64_t from_weight = from->share, to_weight = to->share;

	return to_weight && 2 * from_load >= n &&
	       (2 * to_load + n) * from_weight < (2 * from_load - n) * to_weight;
}

static bool
surplus_move_one(struct turn *t, struct hash128 key, struct seat *seat,
    const struct totals *sum, unsigned *surplus)
{
	struct seat *to = turn_target_for(t, key, seat, true);
	struct pin pin;

	if (!to || to == seat ||
	    !pins_lookup(t->planner->chooser->pins, key, t->now_ms, &pin))
		return false;
	backend_put(pin.backend);
	if (pin.sessions > *surplus || pin.sessions > surplus_room(seat, to, sum) ||
	    !surplus_improves(seat, to, pin.sessions) ||
	    !turn_move(t, key, seat, to, MOVE_SURPLUS))
		return false;
	*surplus -= pin.sessions;
	return true;
}

/* False: nothing could be taken from it. */
static bool
surplus_move_batch(struct turn *t, struct seat *seat, const struct totals *sum,
    unsigned surplus)
{
	struct seat *to = turn_target(t, seat->backend);
	unsigned at_most = to ? surplus_room(seat, to, sum) : 0;
	struct hash128 keys[BATCH];
	bool moved = false;
	size_t n;

	if (at_most == 0 || !turn_has_room(t, to))
		return false;
	if (at_most > surplus)
		at_most = surplus;
	n = pins_collect(t->planner->chooser->pins, seat->backend, t->now_ms, at_most,
	    t->up->conf->rehome.min_stay_ms, keys, BATCH);
	for (size_t i = 0; i < n && turn_has_token(t); i++)
		moved |= surplus_move_one(t, keys[i], seat, sum, &surplus);
	return moved;
}

void
turn_plan_surplus(struct turn *t)
{
	struct watch *w = t->watch;
	struct seat *seat;
	unsigned surplus;

	if (t->now_ms >= w->surplus_at_ms) {
		w->surplus_at_ms = t->now_ms + SURPLUS_EVERY_MS;
		w->surplus_lasts = true;
	}
	t->held_up = false;
	while (w->surplus_lasts && turn_has_token(t)) {
		struct totals sum = turn_totals(t);

		seat = surplus_worst(t, &sum, &surplus);
		if (!seat) {
			if (t->held_up)
				return; /* there is more for the next tick */
			/* The look may have been a walk through them all. */
			w->surplus_at_ms += sum.load / SURPLUS_PER_MS;
			w->surplus_lasts = false;
		} else if (!surplus_move_batch(t, seat, &sum, surplus))
			seat->spent = true;
	}
}

unsigned
turn_surplus_of(const struct turn *t, const struct seat *seat)
{
	struct totals sum = turn_totals(t);

	return seat_counts(t, seat) ? seat_surplus(seat, &sum) : 0;
}
