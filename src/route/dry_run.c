/* SPDX-License-Identifier: MIT
 *
 * dry_run.c - what the planner would move, without moving it; see planner.h.
 *
 * It is the planner's own code on a copy of the watch: seats remember what would have
 * come and gone (`shift`), moves are written down instead of made, and neither pace nor
 * debounce hold it up. So it can't say anything else than what a tick would do.
 *
 * Thread: the control thread only.
 */
#include "route/planner_private.h"

#include "route/choose.h"
#include "route/pins.h"
#include <stdlib.h>

static bool
plan_has(const struct plan *plan, struct hash128 key)
{
	for (size_t i = 0; i < plan->n; i++)
		if (hash128_eq(plan->moves[i].key, key))
			return true;
	return false;
}

bool
turn_note(struct turn *t, struct hash128 key, struct seat *from, struct seat *to,
    enum move_why why)
{
	struct plan *plan = t->plan;
	struct pin pin;
	bool points_there;

	if (plan_has(plan, key) ||
	    !pins_lookup(t->planner->chooser->pins, key, t->now_ms, &pin))
		return false;
	points_there = pin.backend == from->backend;
	backend_put(pin.backend);
	if (!points_there)
		return false;
	if (plan->n == plan->max) {
		plan->more = true;
		return false;
	}
	plan->moves[plan->n++] = (struct plan_move){
	    .key = key,
	    .from = backend_get(from->backend),
	    .to = backend_get(to->backend),
	    .why = why,
	    .sessions = pin.sessions,
	};
	from->shift -= pin.sessions;
	to->shift += pin.sessions;
	return true;
}

static bool
watch_copy(const struct watch *w, struct watch *copy_r)
{
	*copy_r = *w;
	copy_r->cap_seats = w->n_seats;
	copy_r->seats = malloc((w->n_seats + 1) * sizeof(*w->seats));
	if (!copy_r->seats) {
		copy_r->n_seats = 0;
		return false;
	}
	for (size_t i = 0; i < w->n_seats; i++) {
		copy_r->seats[i] = w->seats[i];
		backend_get(w->seats[i].backend);
	}
	return true;
}

bool
turn_init_dry(struct turn *t, struct watch *copy, struct plan *plan)
{
	const struct upstream *up = t->up;
	const struct watch *w = watch_find(t->planner, up->id);

	plan->moves = calloc(plan->max + 1, sizeof(*plan->moves));
	if (!w || !plan->moves || !watch_copy(w, copy))
		return false;
	if (watch_refresh(copy, up, t->now_ms))
		watch_debounce(copy, up->conf->rehome.debounce_ms, t->now_ms);
	if (copy->debounce_until_ms > t->now_ms)
		plan->debounce_ms = copy->debounce_until_ms - t->now_ms;
	copy->surplus_at_ms = 0;
	t->watch = copy;
	t->plan = plan;
	return true;
}

bool
planner_plan(struct planner *p, const struct upstream *up, uint64_t now_ms,
    struct plan *plan)
{
	struct turn t = {.planner = p, .up = up, .now_ms = now_ms};
	struct watch copy;

	if (!turn_init_dry(&t, &copy, plan))
		return false;
	if (up->conf->rehome.mode != REHOME_OFF) {
		turn_plan_leaving(&t);
		turn_plan_surplus(&t);
	}
	watch_fini(&copy);
	return true;
}

bool
planner_plan_backend(struct planner *p, const struct upstream *up, struct backend *from,
    struct backend *to, uint64_t now_ms, struct plan *plan)
{
	struct errand e = {.upstream_id = up->id, .from = from, .to = to};
	struct turn t = {.planner = p, .up = up, .now_ms = now_ms};
	struct watch copy;
	bool done;

	if (!turn_init_dry(&t, &copy, plan))
		return false;
	e.asked_ms = now_ms;
	while (turn_has_token(&t) && errand_run(&e, &t, &done))
		;
	watch_fini(&copy);
	return true;
}

void
plan_fini(struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		backend_put(plan->moves[i].from);
		backend_put(plan->moves[i].to);
	}
	free(plan->moves);
	plan->moves = NULL;
	plan->n = 0;
}
