/* SPDX-License-Identifier: MIT
 *
 * planner_private.h - what the files of the planner share: watch.c (what has changed),
 * targets.c (where to), leaving.c and surplus.c (who), errands.c (moves that are asked
 * for), dry_run.c (moves that are not made) and planner.c, which makes them.
 */
#ifndef ROOST_ROUTE_PLANNER_PRIVATE_H
#define ROOST_ROUTE_PLANNER_PRIVATE_H

#include "route/planner.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"

enum {
	TICK_MS = 100,
	STAY_MS = 1000, /* bound shorter than that: not moved yet */
	BATCH = 16,     /* keys collected at once */
};

/* What a backend looked like at the last tick. */
struct seat {
	struct backend *backend; /* reference held */
	enum backend_use use;    /* a full one counts as usable */
	uint32_t weight;         /* as configured */
	uint32_t share;          /* the weight that counts now; 0: a spare backup */
	bool backup;
	bool present;  /* in the snapshot */
	bool spent;    /* nothing more to take from it in this tick */
	int64_t shift; /* sessions that a dry run has brought (or taken) */
	uint64_t returned_ms, wait_ms; /* it came back then; trusted so long after */
};

struct watch {
	uint64_t upstream_id;
	bool seen;
	struct seat *seats;
	size_t n_seats, cap_seats;
	uint64_t debounce_from_ms, debounce_until_ms;
	uint64_t surplus_at_ms; /* look for surplus then */
	bool surplus_lasts;     /* there was more than the rate allowed */
};

/* Owner: the daemon. Thread: the control thread. */
struct planner {
	struct chooser *chooser; /* borrowed */
	void (*on_move)(void *arg, const struct move *move);
	void *arg;
	struct watch *watches;
	size_t n_watches;
	struct errand *errands;
	size_t n_errands;
	struct candidate *candidates; /* scratch */
	struct seat **options;
	size_t cap_candidates;
};

/* One upstream in one tick. */
struct turn {
	struct planner *planner;
	struct watch *watch;
	const struct upstream *up;
	uint64_t now_ms;
	unsigned moves;
	bool held_up;      /* a target could not take one more in this tick */
	struct plan *plan; /* NULL: it is not a dry run */
};

/* ---- planner.c ---- */

/* May it move one more now? A dry run goes on until the plan is full. */
bool turn_has_token(const struct turn *t);

/* And to that backend? Notes it where not. */
bool turn_has_room(struct turn *t, const struct seat *to);

/* False: its pin points elsewhere by now, or the pace to `to` has no room. */
bool turn_move(struct turn *t, struct hash128 key, struct seat *from, struct seat *to,
    enum move_why why);

/* ---- watch.c ---- */

/* What it holds, for a dry run what it would hold. */
unsigned seat_load(const struct seat *seat);

/* Has it been in service long enough for clients to be moved there? */
bool seat_is_trusted(const struct seat *seat, uint64_t now_ms);

/* `likely`: where to look first. */
struct seat *seat_find(struct watch *w, const struct backend *b, size_t likely);

/* The watch of an upstream, a new one where there was none. NULL: no memory. */
struct watch *watch_find(struct planner *p, uint64_t upstream_id);

/* True: something is not as it was at the last tick. */
bool watch_refresh(struct watch *w, const struct upstream *up, uint64_t now_ms);
void watch_debounce(struct watch *w, uint64_t debounce_ms, uint64_t now_ms);
void watch_fini(struct watch *w);

/* ---- targets.c ---- */

/* Where some small client of `from` would go by load. */
struct seat *turn_target(const struct turn *t, const struct backend *from);

/* Where this one would go. With may_stay it may be `from` itself. */
struct seat *turn_target_for(const struct turn *t, struct hash128 key,
    const struct seat *from, bool may_stay);

/* Has `to` room for that client of `from`? */
bool turn_takes(const struct turn *t, struct hash128 key, const struct seat *from,
    const struct seat *to);

/* ---- leaving.c, surplus.c ---- */

void turn_plan_leaving(struct turn *t);
void turn_plan_surplus(struct turn *t);

/* What of a seat's load is surplus. */
unsigned turn_surplus_of(const struct turn *t, const struct seat *seat);

/* ---- errands.c ---- */

void errand_fini(struct errand *e);
void turn_run_errands(struct turn *t);

/* Moves a batch. False: nothing can be moved now; *done_r: nor later. */
bool errand_run(struct errand *e, struct turn *t, bool *done_r);

/* Of upstreams that are gone. */
void errands_forget_unseen(struct planner *p, const struct snapshot *s);

/* ---- dry_run.c ---- */

/* What turn_move does in a dry run. */
bool turn_note(struct turn *t, struct hash128 key, struct seat *from, struct seat *to,
    enum move_why why);

/* A turn on a copy of the watch, as it would be at a tick now; watch_fini(copy) ends
 * it. False: no memory. */
bool turn_init_dry(struct turn *t, struct watch *copy, struct plan *plan) MUST_CHECK;

#endif
