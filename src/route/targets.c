/* SPDX-License-Identifier: MIT
 *
 * targets.c - where would the planner send a client?
 *
 * Thread: the control thread only.
 */
#include "route/planner_private.h"

#include "balance/balance.h"
#include "route/choose.h"
#include "route/pins.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <stdlib.h>

static bool
candidates_reserve(struct planner *p, size_t n)
{
	struct candidate *room;
	struct seat **options;

	if (n <= p->cap_candidates)
		return true;
	room = realloc(p->candidates, n * sizeof(*room));
	if (!room)
		return false;
	p->candidates = room;
	options = realloc(p->options, n * sizeof(*options));
	if (!options)
		return false;
	p->options = options;
	p->cap_candidates = n;
	return true;
}

/* May a client of `from` go there? */
bool
turn_fits(const struct turn *t, const struct seat *seat, const struct backend *from)
{
	const struct backend *b = seat->backend;
	unsigned max = atomic_load(&b->max_sessions);

	return b != from && seat->present && backend_is_usable(b, t->now_ms) &&
	       (max == 0 || seat_load(seat) < max);
}

/* From the best to the last resort. */
enum kind { TRUSTED, FLAPPING, BACKUP, KINDS };

static enum kind
seat_kind(const struct seat *seat, uint64_t now_ms)
{
	if (seat->backup)
		return BACKUP;
	return seat_is_trusted(seat, now_ms) ? TRUSTED : FLAPPING;
}

/* Puts the candidates of a kind into p->options; `stay`: who stays there, may. */
static size_t
targets_gather(const struct turn *t, const struct backend *from, bool stay,
    enum kind kind)
{
	struct planner *p = t->planner;
	struct watch *w = t->watch;
	size_t n = 0;

	if (!candidates_reserve(p, w->n_seats))
		return 0;
	for (size_t i = 0; i < w->n_seats; i++) {
		struct seat *seat = &w->seats[i];

		if (seat_kind(seat, t->now_ms) == kind &&
		    ((stay && seat->backend == from) || turn_fits(t, seat, from)))
			p->options[n++] = seat;
	}
	return n;
}

static size_t
turn_targets(const struct turn *t, const struct backend *from, bool stay)
{
	size_t n = 0;

	for (int kind = TRUSTED; kind < KINDS && n == 0; kind++)
		n = targets_gather(t, from, stay, (enum kind)kind);
	return n;
}

static struct seat *
turn_pick(const struct turn *t, size_t n, enum balance_policy policy, uint64_t stable,
    bool stay)
{
	struct planner *p = t->planner;

	if (n == 0)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const struct backend *b = p->options[i]->backend;
		uint64_t identity = backend_identity(b);

		p->candidates[i] = (struct candidate){
		    .weight = backend_weight_now(b, t->now_ms),
		    .step = 1,
		    .load = stay ? 0 : seat_load(p->options[i]),
		    .lot = hash_stable(stable, &identity, sizeof(identity)),
		};
	}
	return p->options[balance_pick(policy, p->candidates, n, &p->chooser->random)];
}

/* The usable one with the least sessions for its weight, what was just moved included;
 * NULL: none but `from`. */
struct seat *
turn_target(const struct turn *t, const struct backend *from)
{
	return turn_pick(t, turn_targets(t, from, false), BALANCE_LEAST_SESSIONS, 0,
	    false);
}

/* Where a client of `from` should go. The policy hash has an opinion of its own, which
 * all nodes share. `stay`: it may stay, and goes only where it belongs, however the
 * loads are at this moment; else a surplus would send it to any place that has room. */
struct seat *
turn_target_for(const struct turn *t, struct hash128 key, const struct seat *from,
    bool stay)
{
	struct pin pin;

	if (t->up->conf->balance != BALANCE_HASH)
		return turn_target(t, from->backend);
	if (!pins_lookup(t->planner->chooser->pins, key, t->now_ms, &pin))
		return NULL;
	backend_put(pin.backend);
	return turn_pick(t, turn_targets(t, from->backend, stay), BALANCE_HASH,
	    pin.stable, stay);
}
