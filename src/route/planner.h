/* SPDX-License-Identifier: MIT
 *
 * planner.h - which clients should move, where to, and how fast.
 *
 * Three causes: a backend is leaving (draining, removed, down, failing): all its
 * clients move, locked or not. Or a backend holds more than its fair share x (1 +
 * threshold): the surplus moves, but only clients whose lock has run out. Counts come
 * from the live sessions. Or the administrator asks for it, of one client or of all of
 * a backend, locked or not. Causes are debounced (but for the last, which is no
 * flapping); moves are paced (upstream/pace.h) and spread.
 *
 * The planner moves the pin (route/pins.h) and says so; whoever holds the client's
 * sessions then carries them over. Thread: the control thread only.
 */
#ifndef ROOST_ROUTE_PLANNER_H
#define ROOST_ROUTE_PLANNER_H

#include "base/hash.h"
#include "base/object.h"
#include "route/pins.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend;
struct chooser;
struct snapshot;
struct planner;
struct upstream;

enum move_why { MOVE_LEAVING, MOVE_SURPLUS, MOVE_ASKED };

const char *move_why_name(enum move_why why); /* leaving, surplus, asked */

struct move {
	uint64_t upstream_id;
	struct hash128 key;
	struct backend *from, *to; /* borrowed for the call */
	enum move_why why;
	uint32_t delay_ms; /* wait that long before acting: spreads the moves of a tick
			      over it, +-30 % */
};

/* on_move is called from planner_tick, once per client to move; its pin points to
 * `to` already. With from == to it was a worker that moved the pin, and what else the
 * client has must follow. */
struct planner *planner_new(struct chooser *chooser,
    void (*on_move)(void *arg, const struct move *move), void *arg);
void planner_free(struct planner *p);

/* Looks at every upstream of the snapshot whose mode is not off and plans what the
 * rate allows; call it every 100 ms. A change of a backend's use, weight or presence
 * since the last call starts the debounce of its upstream, again with each change but
 * four times as long at most; while a debounce runs, that upstream waits. Surplus is
 * looked for after that and once a second (less often among 100,000s of sessions). A
 * client that was moved, or whose move was undone, is left in peace for a second.
 * Returns the number of moves. */
unsigned planner_tick(struct planner *p, const struct snapshot *s, uint64_t now_ms);

/* Moves that would be made. Owner: the caller. */
struct plan_move {
	struct hash128 key;
	struct backend *from, *to; /* references held */
	enum move_why why;
	uint32_t sessions;
	uint64_t wait_ms; /* not before, as things are */
	enum wait_why { WAIT_NOTHING, WAIT_DEBOUNCE, WAIT_RATE, WAIT_TARGET_RATE } wait;
};

/* A backend that keeps more than its share for now, by clients that may not go. */
struct plan_held {
	struct backend *backend; /* a reference */
	uint32_t surplus;        /* sessions that should go and are not in the plan */
	struct pin_holds holds;
};

struct plan {
	struct plan_move *moves;
	size_t n, max;        /* max: the caller's, how many it wants to know */
	bool more;            /* there would be more than max */
	uint64_t debounce_ms; /* nothing moves before */
	bool tell_held;       /* the caller's: it wants to know who is held, too */
	struct plan_held *held;
	size_t n_held;
};

const char *wait_why_name(enum wait_why wait); /* NULL, debounce, rate, target_rate */

/* The dry run: what would be moved now, had it neither pace nor debounce; nothing is
 * moved or remembered. Which clients of a surplus go, and where among equals, is drawn
 * anew when it happens; how many and from where is not. False: no memory. Give the plan
 * to plan_fini in any case. */
bool planner_plan(struct planner *p, const struct upstream *up, uint64_t now_ms,
    struct plan *plan) MUST_CHECK;

/* The same for planner_move_backend. */
bool planner_plan_backend(struct planner *p, const struct upstream *up,
    struct backend *from, struct backend *to, uint64_t now_ms,
    struct plan *plan) MUST_CHECK;
void plan_fini(struct plan *plan);

/* Where this client of `from` would be moved: as the policy hash says, or else the
 * usable backend with the least sessions for its weight; with a reference, or NULL:
 * there is no other that has room. */
struct backend *planner_target(struct planner *p, const struct upstream *up,
    struct hash128 key, const struct backend *from, uint64_t now_ms);

/* Moves this client now, whatever its locks; the pace counts it, and its sessions
 * follow when the pace has room for them (move_r->delay_ms). False: its pin does not
 * point to `from`. */
bool planner_move_client(struct planner *p, const struct upstream *up,
    struct hash128 key, struct backend *from, struct backend *to, uint64_t now_ms,
    struct move *move_r);

/* From now on the ticks move the clients that hold sessions on `from` now, as the pace
 * allows, to `to`, or where the load is least (NULL). Those who come later stay. What
 * was asked of the same backend before is forgotten. False: too many such requests, or
 * no memory. */
bool planner_move_backend(struct planner *p, const struct upstream *up,
    struct backend *from, struct backend *to, uint64_t now_ms) MUST_CHECK;

/* A request of that kind that is not finished. */
struct errand {
	uint64_t upstream_id;
	struct backend *from, *to; /* references held; to: or NULL */
	uint64_t asked_ms;
	unsigned moved; /* so far */
};

/* The i-th, or NULL. Valid until the next call of anything here. */
const struct errand *planner_errand(const struct planner *p, size_t i);

#endif
