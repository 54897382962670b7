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

/* Whom is a place looked for? */
struct mover {
	const struct backend *from;
	unsigned sessions;
	bool may_stay;
};

static bool
turn_fits(const struct turn *t, const struct seat *seat, const struct mover *who)
{
	const struct backend *b = seat->backend;
	unsigned max = atomic_load(&b->max_sessions);

	return b != who->from && seat->present && backend_is_usable(b, t->now_ms) &&
	       (max == 0 || seat_load(seat) + who->sessions <= max);
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

/* Puts the candidates of a kind into p->options. */
static size_t
targets_gather(const struct turn *t, const struct mover *who, enum kind kind)
{
	struct planner *p = t->planner;
	struct watch *w = t->watch;
	size_t n = 0;

	if (!candidates_reserve(p, w->n_seats))
		return 0;
	for (size_t i = 0; i < w->n_seats; i++) {
		struct seat *seat = &w->seats[i];

		if (seat_kind(seat, t->now_ms) == kind &&
		    ((who->may_stay && seat->backend == who->from) ||
			turn_fits(t, seat, who)))
			p->options[n++] = seat;
	}
	return n;
}

static size_t
turn_targets(const struct turn *t, const struct mover *who)
{
	size_t n = 0;

	for (int kind = TRUSTED; kind < KINDS && n == 0; kind++)
		n = targets_gather(t, who, (enum kind)kind);
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
static struct seat *
least_loaded(const struct turn *t, const struct mover *who)
{
	return turn_pick(t, turn_targets(t, who), BALANCE_LEAST_SESSIONS, 0, false);
}

struct seat *
turn_target(const struct turn *t, const struct backend *from)
{
	const struct mover who = {.from = from, .sessions = 1};

	return least_loaded(t, &who);
}

/* The policy hash has an opinion of its own, which all nodes share. Who may stay goes
 * only where it belongs, however the loads are at this moment; else a surplus would
 * send it to any place that has room. */
struct seat *
turn_target_for(const struct turn *t, struct hash128 key, const struct seat *from,
    bool may_stay)
{
	bool by_hash = t->up->conf->balance == BALANCE_HASH;
	struct mover who = {.from = from->backend, .may_stay = may_stay && by_hash};
	struct pin pin;

	if (!pins_lookup(t->planner->chooser->pins, key, t->now_ms, &pin))
		return NULL;
	backend_put(pin.backend);
	who.sessions = pin.sessions;
	if (!by_hash)
		return least_loaded(t, &who);
	return turn_pick(t, turn_targets(t, &who), BALANCE_HASH,
	    choose_stable(pin.stable, key), who.may_stay);
}

bool
turn_takes(const struct turn *t, struct hash128 key, const struct seat *from,
    const struct seat *to)
{
	struct mover who = {.from = from->backend};
	struct pin pin;

	if (!pins_lookup(t->planner->chooser->pins, key, t->now_ms, &pin))
		return false;
	backend_put(pin.backend);
	who.sessions = pin.sessions;
	return turn_fits(t, to, &who);
}
