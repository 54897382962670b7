/* SPDX-License-Identifier: MIT
 *
 * planner.c - which clients should move, where to, and how fast; see planner.h.
 *
 * For each upstream the planner keeps a watch: what its backends looked like at the
 * last tick (so that a change is noticed whatever caused it), backends that left the
 * configuration but still hold sessions, and the pace.
 *
 * Standing still matters as much as moving. A surplus move is made only where it lowers
 * the sum of load^2 / weight over the upstream; that sum cannot fall for ever, so a
 * set of clients that does not change is moved a finite number of times, locks or not.
 *
 * Thread: the control thread only, except pace_delay_ms.
 */
#include "route/planner.h"

#include "balance/balance.h"
#include "route/choose.h"
#include "route/pins.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <stdlib.h>

enum {
	TICK_MS = 100,
	SURPLUS_EVERY_MS = 1000,
	SURPLUS_PER_MS = 50,  /* looks get rarer by 1 ms for so many sessions */
	STAY_MS = 1000,       /* bound shorter than that: not moved yet */
	DEBOUNCE_AT_MOST = 4, /* times its length, however often things change */
	BATCH = 16,
	JITTER = 60 /* per cent of a slot: +-30 % of its middle */
};

/* What a backend looked like at the last tick. */
struct seat {
	struct backend *backend; /* reference held */
	enum backend_use use;    /* a full one counts as usable */
	uint32_t weight;
	bool present; /* in the snapshot */
	bool spent;   /* nothing more to take from it in this tick */
};

struct watch {
	uint64_t upstream_id;
	bool seen;
	struct seat *seats;
	size_t n_seats, cap_seats;
	uint64_t debounce_from_ms, debounce_until_ms;
	uint64_t surplus_at_ms; /* look for surplus then */
	bool surplus_lasts;     /* there was more than the rate allowed */
	struct pace pace;
};

/* Owner: the daemon. Thread: the control thread. */
struct planner {
	struct chooser *chooser; /* borrowed */
	void (*on_move)(void *arg, const struct move *move);
	void *arg;
	struct watch *watches;
	size_t n_watches;
	struct candidate *candidates; /* scratch */
	size_t cap_candidates;
};

/* One upstream in one tick. */
struct turn {
	struct planner *planner;
	struct watch *watch;
	const struct upstream *up;
	uint64_t now_ms;
	unsigned moves;
};

struct planner *
planner_new(struct chooser *chooser,
    void (*on_move)(void *arg, const struct move *move), void *arg)
{
	struct planner *p = calloc(1, sizeof(*p));

	if (p) {
		p->chooser = chooser;
		p->on_move = on_move;
		p->arg = arg;
	}
	return p;
}

static void
watch_fini(struct watch *w)
{
	for (size_t i = 0; i < w->n_seats; i++)
		backend_put(w->seats[i].backend);
	free(w->seats);
}

void
planner_free(struct planner *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_watches; i++)
		watch_fini(&p->watches[i]);
	free(p->watches);
	free(p->candidates);
	free(p);
}

/* The pace */

uint64_t
pace_delay_ms(struct pace *pace, unsigned rate, uint64_t now_us)
{
	uint64_t burst = TICK_MS * 1000, interval, next, from;

	if (rate == 0)
		return 0;
	interval = 1000000 / rate;
	next = atomic_load(&pace->next_us);
	do {
		from = next;
		if (now_us > burst && from < now_us - burst)
			from = now_us - burst;
	} while (!atomic_compare_exchange_weak(&pace->next_us, &next, from + interval));
	return from > now_us ? (from - now_us + 999) / 1000 : 0;
}

static bool
turn_has_token(const struct turn *t)
{
	return t->up->conf->rehome.rate == 0 ||
	       atomic_load(&t->watch->pace.next_us) <= t->now_ms * 1000;
}

/* Evenly over the tick, each somewhere in its slot. */
static uint32_t
turn_delay_ms(struct turn *t)
{
	struct random *random = &t->planner->chooser->random;
	unsigned rate = t->up->conf->rehome.rate;
	uint32_t slot = rate ? 1000 / rate : 0;

	if (slot > TICK_MS)
		slot = TICK_MS;
	if (slot == 0)
		return random_below(random, TICK_MS);
	return t->moves * slot % TICK_MS +
	       random_below(random, slot * JITTER / 100 + 1);
}

/* Watching for changes */

static struct seat *
seat_find(struct watch *w, const struct backend *b, size_t likely)
{
	if (likely < w->n_seats && w->seats[likely].backend == b)
		return &w->seats[likely];
	for (size_t i = 0; i < w->n_seats; i++) {
		if (w->seats[i].backend == b)
			return &w->seats[i];
	}
	return NULL;
}

static struct seat *
seat_add(struct watch *w, struct backend *b)
{
	if (w->n_seats == w->cap_seats) {
		size_t cap = w->cap_seats ? w->cap_seats * 2 : 4;
		struct seat *seats = realloc(w->seats, cap * sizeof(*seats));

		if (!seats)
			return NULL; /* found again at the next tick */
		w->seats = seats;
		w->cap_seats = cap;
	}
	w->seats[w->n_seats] = (struct seat){.backend = backend_get(b)};
	return &w->seats[w->n_seats++];
}

/* Notes which backends the snapshot has; true: there is one more than before. */
static bool
watch_mark_present(struct watch *w, const struct upstream *up)
{
	bool changed = false;

	for (size_t i = 0; i < w->n_seats; i++)
		w->seats[i].present = false;
	for (size_t i = 0; i < up->n_backends; i++) {
		struct seat *seat = seat_find(w, up->backends[i], i);

		if (!seat) {
			seat = seat_add(w, up->backends[i]);
			changed = true;
		}
		if (seat)
			seat->present = true;
	}
	return changed;
}

static bool
seat_refresh(struct seat *seat, uint64_t now_ms)
{
	enum backend_use use = backend_use(seat->backend, now_ms);
	uint32_t weight = atomic_load(&seat->backend->weight);
	bool changed;

	if (!seat->present)
		use = BACKEND_REMOVED;
	if (backend_use_is_serving(use))
		use = BACKEND_USABLE;
	changed = use != seat->use || weight != seat->weight;
	seat->use = use;
	seat->weight = weight;
	seat->spent = false;
	return changed;
}

/* True: something is not as it was at the last tick. */
static bool
watch_refresh(struct watch *w, const struct upstream *up, uint64_t now_ms)
{
	bool changed = watch_mark_present(w, up);
	size_t kept = 0;

	for (size_t i = 0; i < w->n_seats; i++) {
		struct seat seat = w->seats[i];

		changed |= seat_refresh(&seat, now_ms);
		if (!seat.present && atomic_load(&seat.backend->sessions) == 0) {
			backend_put(seat.backend);
			continue;
		}
		w->seats[kept++] = seat;
	}
	w->n_seats = kept;
	return changed;
}

static void
watch_debounce(struct watch *w, uint64_t debounce_ms, uint64_t now_ms)
{
	uint64_t at_most;

	if (now_ms >= w->debounce_until_ms)
		w->debounce_from_ms = now_ms;
	at_most = w->debounce_from_ms + DEBOUNCE_AT_MOST * debounce_ms;
	w->debounce_until_ms = now_ms + debounce_ms;
	if (w->debounce_until_ms > at_most)
		w->debounce_until_ms = at_most;
	w->surplus_at_ms = w->debounce_until_ms;
}

/* Moving */

static bool
seat_is_leaving(const struct seat *seat)
{
	return seat->use != BACKEND_USABLE && seat->use != BACKEND_UNRESOLVED;
}

static bool
candidates_reserve(struct planner *p, size_t n)
{
	struct candidate *room;

	if (n <= p->cap_candidates)
		return true;
	room = realloc(p->candidates, n * sizeof(*room));
	if (!room)
		return false;
	p->candidates = room;
	p->cap_candidates = n;
	return true;
}

/* The usable backend with the least sessions for its weight, what was just moved
 * included; NULL: none but `from`. */
static struct backend *
turn_target(const struct turn *t, const struct backend *from)
{
	struct planner *p = t->planner;
	struct watch *w = t->watch;
	size_t n = 0, at;

	if (!candidates_reserve(p, w->n_seats))
		return NULL;
	/* One candidate per seat: those that will not do get more load than any. */
	for (size_t i = 0; i < w->n_seats; i++) {
		const struct backend *b = w->seats[i].backend;
		bool fit =
		    b != from && w->seats[i].present && backend_is_usable(b, t->now_ms);

		n += fit;
		p->candidates[i] = (struct candidate){
		    .weight = fit ? w->seats[i].weight : 0,
		    .load = fit ? atomic_load(&b->sessions) : UINT32_MAX,
		};
	}
	if (n == 0)
		return NULL;
	at = balance_pick(BALANCE_LEAST_SESSIONS, p->candidates, w->n_seats,
	    &p->chooser->random);
	return w->seats[at].backend;
}

static bool
turn_move(struct turn *t, struct hash128 key, struct backend *from, struct backend *to,
    enum move_why why)
{
	const struct config_upstream *conf = t->up->conf;
	struct move move = {.upstream_id = t->up->id,
	    .key = key,
	    .from = from,
	    .to = to,
	    .why = why};

	if (!pins_move(t->planner->chooser->pins, key, from, to, t->now_ms,
		conf->pin.websocket_ms))
		return false;
	pace_delay_ms(&t->watch->pace, conf->rehome.rate, t->now_ms * 1000);
	move.delay_ms = turn_delay_ms(t);
	t->moves++;
	t->planner->on_move(t->planner->arg, &move);
	return true;
}

/* Leaving backends */

static struct seat *
leaving_worst(const struct watch *w)
{
	struct seat *worst = NULL;
	uint32_t most = 0;

	for (size_t i = 0; i < w->n_seats; i++) {
		struct seat *seat = &w->seats[i];
		uint32_t sessions = atomic_load(&seat->backend->sessions);

		if (seat_is_leaving(seat) && !seat->spent && sessions > most) {
			worst = seat;
			most = sessions;
		}
	}
	return worst;
}

/* False: there is nowhere to go. */
static bool
leaving_move_batch(struct turn *t, struct seat *seat)
{
	struct backend *from = seat->backend;
	struct hash128 keys[BATCH];
	size_t n = pins_collect(t->planner->chooser->pins, from, t->now_ms, 0, STAY_MS,
	    keys, BATCH);
	bool moved = false;

	for (size_t i = 0; i < n && turn_has_token(t); i++) {
		struct backend *to = turn_target(t, from);

		if (!to)
			return false;
		moved |= turn_move(t, keys[i], from, to, MOVE_LEAVING);
	}
	seat->spent = !moved;
	return true;
}

static void
turn_plan_leaving(struct turn *t)
{
	struct seat *seat;

	while (turn_has_token(t) && (seat = leaving_worst(t->watch))) {
		if (!leaving_move_batch(t, seat))
			return;
	}
}

/* Surplus */

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

		if (seat->use == BACKEND_USABLE) {
			sum.load += atomic_load(&seat->backend->sessions);
			sum.weight += seat->weight;
		}
	}
	return sum;
}

static struct seat *
surplus_worst(const struct watch *w, const struct totals *sum, unsigned *surplus_r)
{
	struct seat *worst = NULL;

	*surplus_r = 0;
	for (size_t i = 0; i < w->n_seats; i++) {
		struct seat *seat = &w->seats[i];
		unsigned surplus;

		if (seat->use != BACKEND_USABLE || seat->spent)
			continue;
		surplus = balance_surplus(atomic_load(&seat->backend->sessions),
		    seat->weight, sum->load, sum->weight, sum->percent);
		if (surplus > *surplus_r) {
			worst = seat;
			*surplus_r = surplus;
		}
	}
	return worst;
}

/* How many a backend may still take without getting a surplus itself; at least one,
 * since small shares are less than one. */
static unsigned
surplus_room(const struct backend *to, const struct totals *sum)
{
	uint64_t weight = atomic_load(&to->weight);
	uint64_t limit =
	    sum->load * weight * (100 + sum->percent) / (100 * (uint64_t)sum->weight);
	uint64_t load = atomic_load(&to->sessions);

	return limit > load + 1 ? (unsigned)(limit - load) : 1;
}

/* Does moving n sessions lower the sum of load^2 / weight? Times two, and multiplied
 * by both weights. */
static bool
surplus_improves(const struct backend *from, const struct backend *to, unsigned n)
{
	uint64_t from_load = atomic_load(&from->sessions);
	uint64_t to_load = atomic_load(&to->sessions);
	uint64_t from_weight = atomic_load(&from->weight);
	uint64_t to_weight = atomic_load(&to->weight);

	return to_weight && 2 * from_load >= n &&
	       (2 * to_load + n) * from_weight < (2 * from_load - n) * to_weight;
}

static bool
surplus_move_one(struct turn *t, struct hash128 key, struct seat *seat,
    const struct totals *sum, unsigned *surplus)
{
	struct backend *from = seat->backend;
	struct backend *to = turn_target(t, from);
	struct pin pin;

	if (!to || !pins_lookup(t->planner->chooser->pins, key, t->now_ms, &pin))
		return false;
	backend_put(pin.backend);
	if (pin.sessions > *surplus || pin.sessions > surplus_room(to, sum) ||
	    !surplus_improves(from, to, pin.sessions) ||
	    !turn_move(t, key, from, to, MOVE_SURPLUS))
		return false;
	*surplus -= pin.sessions;
	return true;
}

/* False: nothing could be taken from it. */
static bool
surplus_move_batch(struct turn *t, struct seat *seat, const struct totals *sum,
    unsigned surplus)
{
	const struct backend *to = turn_target(t, seat->backend);
	unsigned at_most = to ? surplus_room(to, sum) : 0;
	struct hash128 keys[BATCH];
	bool moved = false;
	size_t n;

	if (at_most == 0)
		return false;
	if (at_most > surplus)
		at_most = surplus;
	n = pins_collect(t->planner->chooser->pins, seat->backend, t->now_ms, at_most,
	    STAY_MS, keys, BATCH);
	for (size_t i = 0; i < n && turn_has_token(t); i++)
		moved |= surplus_move_one(t, keys[i], seat, sum, &surplus);
	return moved;
}

static void
turn_plan_surplus(struct turn *t)
{
	struct watch *w = t->watch;
	struct seat *seat;
	unsigned surplus;

	if (t->now_ms >= w->surplus_at_ms) {
		w->surplus_at_ms = t->now_ms + SURPLUS_EVERY_MS;
		w->surplus_lasts = true;
	}
	while (w->surplus_lasts && turn_has_token(t)) {
		struct totals sum = turn_totals(t);

		seat = surplus_worst(w, &sum, &surplus);
		if (!seat) {
			/* The look may have been a walk through them all. */
			w->surplus_at_ms += sum.load / SURPLUS_PER_MS;
			w->surplus_lasts = false;
		} else if (!surplus_move_batch(t, seat, &sum, surplus))
			seat->spent = true;
	}
}

/* The tick */

static struct watch *
watch_find(struct planner *p, uint64_t upstream_id)
{
	struct watch *watches;

	for (size_t i = 0; i < p->n_watches; i++) {
		if (p->watches[i].upstream_id == upstream_id)
			return &p->watches[i];
	}
	watches = realloc(p->watches, (p->n_watches + 1) * sizeof(*watches));
	if (!watches)
		return NULL;
	p->watches = watches;
	watches[p->n_watches] = (struct watch){.upstream_id = upstream_id};
	return &watches[p->n_watches++];
}

static unsigned
upstream_tick(struct planner *p, const struct upstream *up, uint64_t now_ms)
{
	struct turn t = {.planner = p, .up = up, .now_ms = now_ms};

	t.watch = watch_find(p, up->id);
	if (!t.watch)
		return 0;
	t.watch->seen = true;
	if (watch_refresh(t.watch, up, now_ms))
		watch_debounce(t.watch, up->conf->rehome.debounce_ms, now_ms);
	if (up->conf->rehome.mode == REHOME_OFF || now_ms < t.watch->debounce_until_ms)
		return 0;
	turn_plan_leaving(&t);
	turn_plan_surplus(&t);
	return t.moves;
}

/* Upstreams that are gone: their sessions have nowhere to go. */
static void
watches_forget_unseen(struct planner *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_watches; i++) {
		if (p->watches[i].seen)
			p->watches[kept++] = p->watches[i];
		else
			watch_fini(&p->watches[i]);
	}
	p->n_watches = kept;
}

unsigned
planner_tick(struct planner *p, const struct snapshot *s, uint64_t now_ms)
{
	unsigned moves = 0;

	for (size_t i = 0; i < p->n_watches; i++)
		p->watches[i].seen = false;
	for (size_t i = 0; i < s->n_upstreams; i++)
		moves += upstream_tick(p, &s->upstreams[i], now_ms);
	watches_forget_unseen(p);
	return moves;
}
