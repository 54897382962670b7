/* SPDX-License-Identifier: MIT
 *
 * errands.c - moves that the administrator asks for; see planner.h.
 *
 * One client is moved at once, with its place in the pace booked ahead. All clients of
 * a backend are an errand: each tick moves as many of them as the pace allows. Who was
 * bound to the backend before the request is told by the age of the pin, so nothing is
 * kept per client, and an errand ends when nobody of that age is left.
 *
 * Thread: the control thread only.
 */
#include "route/planner_private.h"

#include "base/log.h"
#include "route/choose.h"
#include "route/pins.h"
#include "upstream/pace.h"
#include <stdlib.h>

enum {
	ERRANDS_MAX = 64,
	ERRAND_MAX_MS = 600000 /* one that comes to no end */
};

void
errand_fini(struct errand *e)
{
	backend_put(e->from);
	backend_put(e->to);
}

static bool
errand_is_done(const struct errand *e, const struct turn *t)
{
	return t->now_ms >= e->asked_ms + STAY_MS;
}

/* NULL: there is no room now. */
static struct seat *
errand_target(const struct errand *e, const struct turn *t, struct hash128 key,
    const struct seat *from)
{
	struct seat *to;

	if (!e->to)
		return turn_target_for(t, key, from, false);
	to = seat_find(t->watch, e->to, 0);
	return to && turn_takes(t, key, from, to) ? to : NULL;
}

bool
errand_run(struct errand *e, struct turn *t, bool *done_r)
{
	uint64_t age = t->now_ms - e->asked_ms;
	struct seat *from = seat_find(t->watch, e->from, 0), *to;
	struct hash128 keys[BATCH];
	unsigned moved = 0;
	size_t n;

	*done_r = !from || age >= ERRAND_MAX_MS;
	if (*done_r)
		return false;
	n = pins_collect(t->planner->chooser->pins, e->from, t->now_ms, 0,
	    t->plan         ? 0
	    : age > STAY_MS ? age
			    : STAY_MS,
	    keys, BATCH);
	*done_r = n == 0 && errand_is_done(e, t);
	for (size_t i = 0; i < n && turn_has_token(t); i++) {
		to = errand_target(e, t, keys[i], from);
		moved += to && turn_move(t, keys[i], from, to, MOVE_ASKED);
	}
	e->moved += moved;
	return moved > 0;
}

static void
errand_log_end(const struct errand *e)
{
	const struct log_about about = backend_about(e->from);

	log_about_at(LEVEL_NOTICE, TOPIC_REHOME, &about,
	    "%u clients of backend %s/%s re-homed as asked", e->moved,
	    e->from->upstream, e->from->name);
}

void
turn_run_errands(struct turn *t)
{
	struct planner *p = t->planner;
	size_t kept = 0;

	for (size_t i = 0; i < p->n_errands; i++) {
		struct errand e = p->errands[i];
		bool mine = e.upstream_id == t->up->id;
		bool done = mine && t->up->conf->rehome.mode == REHOME_OFF;

		while (mine && !done && turn_has_token(t) && errand_run(&e, t, &done))
			;
		if (done) {
			errand_log_end(&e);
			errand_fini(&e);
		} else {
			p->errands[kept++] = e;
		}
	}
	p->n_errands = kept;
}

void
errands_forget_unseen(struct planner *p, const struct snapshot *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_errands; i++) {
		if (snapshot_upstream(s, p->errands[i].upstream_id))
			p->errands[kept++] = p->errands[i];
		else
			errand_fini(&p->errands[i]);
	}
	p->n_errands = kept;
}

struct backend *
planner_target(struct planner *p, const struct upstream *up, struct hash128 key,
    const struct backend *from, uint64_t now_ms)
{
	struct plan none = {.max = 0};
	struct turn t = {.planner = p, .up = up, .now_ms = now_ms};
	struct watch copy;
	struct seat *seat, *to = NULL;
	struct backend *b;

	if (!turn_init_dry(&t, &copy, &none)) {
		plan_fini(&none);
		return NULL;
	}
	seat = seat_find(t.watch, from, 0);
	if (seat)
		to = turn_target_for(&t, key, seat, false);
	b = to ? backend_get(to->backend) : NULL;
	watch_fini(&copy);
	plan_fini(&none);
	return b;
}

bool
planner_move_client(struct planner *p, const struct upstream *up, struct hash128 key,
    struct backend *from, struct backend *to, uint64_t now_ms, struct move *move_r)
{
	const struct config_upstream *conf = up->conf;

	if (!pins_move(p->chooser->pins, key, from, to, now_ms, conf->pin.websocket_ms))
		return false;
	*move_r = (struct move){.upstream_id = up->id,
	    .key = key,
	    .from = from,
	    .to = to,
	    .why = MOVE_ASKED};
	move_r->delay_ms = (uint32_t)pace_book_ms(up, to, now_ms * 1000);
	p->on_move(p->arg, move_r);
	return true;
}

static struct errand *
errand_of(struct planner *p, const struct upstream *up, struct backend *from)
{
	for (size_t i = 0; i < p->n_errands; i++)
		if (p->errands[i].from == from)
			return &p->errands[i];
	if (p->n_errands == ERRANDS_MAX)
		return NULL;
	if (!p->errands)
		p->errands = calloc(ERRANDS_MAX, sizeof(*p->errands));
	if (!p->errands)
		return NULL;
	p->errands[p->n_errands] =
	    (struct errand){.upstream_id = up->id, .from = backend_get(from)};
	return &p->errands[p->n_errands++];
}

bool
planner_move_backend(struct planner *p, const struct upstream *up, struct backend *from,
    struct backend *to, uint64_t now_ms)
{
	struct errand *e = errand_of(p, up, from);

	if (!e)
		return false;
	backend_put(e->to);
	e->to = to ? backend_get(to) : NULL;
	e->asked_ms = now_ms;
	e->moved = 0;
	return true;
}

const struct errand *
planner_errand(const struct planner *p, size_t i)
{
	return i < p->n_errands ? &p->errands[i] : NULL;
}
