/* SPDX-License-Identifier: MIT
 *
 * planner.h - which clients should move, where to, and how fast.
 *
 * Two causes: a backend is leaving (draining, removed, down, failing): all its clients
 * move, locked or not. Or a backend holds more than its fair share x (1 + threshold):
 * the surplus moves, but only clients whose lock has run out. Counts come from the
 * live sessions. Causes are debounced; moves are paced by a token bucket and spread.
 *
 * The planner moves the pin (route/pins.h) and says so; whoever holds the client's
 * sessions then carries them over. Thread: the control thread only.
 */
#ifndef ROOST_ROUTE_PLANNER_H
#define ROOST_ROUTE_PLANNER_H

#include "base/hash.h"
#include <stdbool.h>
#include <stdint.h>

struct backend;
struct chooser;
struct snapshot;
struct planner;

enum move_why { MOVE_LEAVING, MOVE_SURPLUS };

struct move {
	uint64_t upstream_id;
	struct hash128 key;
	struct backend *from, *to; /* borrowed for the call */
	enum move_why why;
	uint32_t delay_ms; /* wait that long before acting: spreads the moves of a tick
			      over it, +-30 % */
};

/* on_move is called from planner_tick, once per client to move; its pin points to
 * `to` already. */
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

/* A token bucket: how long must the next of `rate` (0: no limit) a second wait? Holds a
 * tenth of a second's worth. For the planner, and for sessions whose backend died. Any
 * thread. */
struct pace {
	_Atomic uint64_t next_us;
};
uint64_t pace_delay_ms(struct pace *pace, unsigned rate, uint64_t now_us);

#endif
