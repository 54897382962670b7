/* SPDX-License-Identifier: MIT
 *
 * leaving.c - empties backends that drain, are gone, or are believed dead: all of their
 * clients go, locked or not, the fullest backend's first.
 *
 * Thread: the control thread only.
 */
#include "route/planner_private.h"

#include "route/choose.h"
#include "route/pins.h"
#include "upstream/backend.h"

static bool
seat_is_leaving(const struct seat *seat)
{
	return backend_use_is_leaving(seat->use);
}

static struct seat *
leaving_worst(const struct watch *w)
{
	struct seat *worst = NULL;
	uint32_t most = 0;

	for (size_t i = 0; i < w->n_seats; i++) {
		struct seat *seat = &w->seats[i];
		uint32_t sessions = seat_load(seat);

		if (seat_is_leaving(seat) && !seat->spent && sessions > most) {
			worst = seat;
			most = sessions;
		}
	}
	return worst;
}

static void
leaving_move_batch(struct turn *t, struct seat *seat)
{
	struct backend *from = seat->backend;
	struct hash128 keys[BATCH];
	size_t n = pins_collect(t->planner->chooser->pins, from, t->now_ms, 0, STAY_MS,
	    keys, BATCH);
	bool moved = false;

	for (size_t i = 0; i < n && turn_has_token(t); i++) {
		struct seat *to = turn_target_for(t, keys[i], seat, false);

		moved |= to && turn_move(t, keys[i], seat, to, MOVE_LEAVING);
	}
	seat->spent = !moved; /* nowhere to go, or nobody who may */
}

void
turn_plan_leaving(struct turn *t)
{
	struct seat *seat;

	while (turn_has_token(t) && (seat = leaving_worst(t->watch)))
		leaving_move_batch(t, seat);
}
