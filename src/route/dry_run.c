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
#include "upstream/pace.h"
#include <stdlib.h>

static bool
plan_has(const struct plan *plan, struct hash128 key)
{
	for (size_t i = 0; i < plan->n; i++)
		if (hash128_eq(plan->moves[i].key, key))
			return true;
	return false;
}

/* When its turn would come: behind those of the plan. */
static void
note_wait(const struct turn *t, struct plan_move *m)
{
	const struct config_rehome *conf = &t->up->conf->rehome;
	uint64_t after = 0, after_target = 0, turn_ms = 0, target_ms = 0;
	const struct plan *plan = t->plan;

	for (size_t i = 0; i < plan->n; i++) {
		after++;
		after_target += plan->moves[i].to == m->to;
	}
	if (conf->rate)
		turn_ms = after * 1000 / conf->rate;
	if (conf->target_rate)
		target_ms = after_target * 1000 / conf->target_rate;
	m->wait_ms = pace_wait_ms(t->up, m->to, t->now_ms * 1000) +
		     (turn_ms > target_ms ? turn_ms : target_ms);
	if (m->wait_ms)
		m->wait = target_ms > turn_ms ? WAIT_TARGET_RATE : WAIT_RATE;
	if (plan->debounce_ms > m->wait_ms)
		m->wait = WAIT_DEBOUNCE;
	if (m->why != MOVE_ASKED)
		m->wait_ms += plan->debounce_ms;
}

const char *
wait_why_name(enum wait_why wait)
{
	static const char *const names[] = {
	    [WAIT_NOTHING] = NULL,
	    [WAIT_DEBOUNCE] = "debounce",
	    [WAIT_RATE] = "rate",
	    [WAIT_TARGET_RATE] = "target_rate",
	};

	return names[wait];
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
	plan->moves[plan->n] = (struct plan_move){
	    .key = key,
	    .from = backend_get(from->backend),
	    .to = backend_get(to->backend),
	    .why = why,
	    .sessions = pin.sessions,
	};
	note_wait(t, &plan->moves[plan->n]);
	plan->n++;
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

/* What the plan leaves where it is too much, and why. */
static void
note_held(struct turn *t)
{
	struct plan *plan = t->plan;
	const struct watch *w = t->watch;

	plan->held = plan->more ? NULL : calloc(w->n_seats + 1, sizeof(*plan->held));
	for (size_t i = 0; plan->held && i < w->n_seats; i++) {
		struct plan_held *held = &plan->held[plan->n_held];

		held->surplus = turn_surplus_of(t, &w->seats[i]);
		if (held->surplus == 0)
			continue;
		held->backend = backend_get(w->seats[i].backend);
		pins_count_holds(t->planner->chooser->pins, held->backend, t->now_ms,
		    t->up->conf->rehome.min_stay_ms, &held->holds);
		plan->n_held++;
	}
	for (size_t i = 0; i < plan->n; i++) /* these are not held by anything */
		for (size_t j = 0; j < plan->n_held; j++)
			if (plan->moves[i].from == plan->held[j].backend &&
			    plan->held[j].holds.clients[HELD_BY_NOTHING])
				plan->held[j].holds.clients[HELD_BY_NOTHING]--;
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
		if (plan->tell_held)
			note_held(&t);
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
	for (size_t i = 0; i < plan->n_held; i++)
		backend_put(plan->held[i].backend);
	free(plan->moves);
	free(plan->held);
	plan->moves = NULL;
	plan->held = NULL;
	plan->n = plan->n_held = 0;
}
