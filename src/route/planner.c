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
 * A dry run is the same code on a copy of the watch: seats remember what would have
 * come and gone (`shift`), and moves are written down instead of made.
 *
 * Thread: the control thread only, except pace_delay_ms.
 */
#include "route/planner_private.h"

#include "balance/balance.h"
#include "route/choose.h"
#include "route/pins.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <stdlib.h>

enum {
	SURPLUS_EVERY_MS = 1000,
	SURPLUS_PER_MS = 50,  /* looks get rarer by 1 ms for so many sessions */
	DEBOUNCE_AT_MOST = 4, /* times its length, however often things change */
	BATCH = 16,
	JITTER = 60 /* per cent of a slot: +-30 % of its middle */
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

void
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
	for (size_t i = 0; i < p->n_errands; i++)
		errand_fini(&p->errands[i]);
	free(p->watches);
	free(p->errands);
	free(p->candidates);
	free(p->options);
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

/* A dry run goes on until the plan is full. */
bool
turn_has_token(const struct turn *t)
{
	if (t->plan)
		return !t->plan->more;
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

static unsigned
seat_load(const struct seat *seat)
{
	int64_t load = atomic_load(&seat->backend->sessions) + seat->shift;

	return load > 0 ? (unsigned)load : 0;
}

struct seat *
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
	bool backup = atomic_load(&seat->backend->backup);
	bool changed;

	if (!seat->present)
		use = BACKEND_REMOVED;
	if (backend_use_is_serving(use))
		use = BACKEND_USABLE;
	changed = use != seat->use || weight != seat->weight || backup != seat->backup;
	seat->use = use;
	seat->weight = weight;
	seat->backup = backup;
	seat->share = backend_weight_now(seat->backend, now_ms);
	seat->spent = false;
	return changed;
}

/* While any other backend serves, backups have no share of the load: what they hold is
 * surplus, and nothing is moved there for balance. */
static void
watch_spare_backups(struct watch *w)
{
	bool spare = false;

	for (size_t i = 0; i < w->n_seats; i++)
		spare |= w->seats[i].use == BACKEND_USABLE && !w->seats[i].backup;
	for (size_t i = 0; i < w->n_seats && spare; i++) {
		if (w->seats[i].backup)
			w->seats[i].share = 0;
	}
}

/* True: something is not as it was at the last tick. */
bool
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
	watch_spare_backups(w);
	return changed;
}

void
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
	return backend_use_is_leaving(seat->use);
}

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

/* Puts the candidates into p->options, backups or the others; `stay`: who stays there,
 * may. */
static size_t
targets_gather(const struct turn *t, const struct backend *from, bool stay,
    bool backups)
{
	struct planner *p = t->planner;
	struct watch *w = t->watch;
	size_t n = 0;

	if (!candidates_reserve(p, w->n_seats))
		return 0;
	for (size_t i = 0; i < w->n_seats; i++) {
		struct seat *seat = &w->seats[i];

		if (seat->backup == backups &&
		    ((stay && seat->backend == from) || turn_fits(t, seat, from)))
			p->options[n++] = seat;
	}
	return n;
}

/* A backup where nothing else will do. */
static size_t
turn_targets(const struct turn *t, const struct backend *from, bool stay)
{
	size_t n = targets_gather(t, from, stay, false);

	return n ? n : targets_gather(t, from, stay, true);
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

bool
turn_move(struct turn *t, struct hash128 key, struct seat *from, struct seat *to,
    enum move_why why)
{
	const struct config_upstream *conf = t->up->conf;
	struct move move = {.upstream_id = t->up->id,
	    .key = key,
	    .from = from->backend,
	    .to = to->backend,
	    .why = why};

	if (t->plan)
		return turn_note(t, key, from, to, why);
	if (!pins_move(t->planner->chooser->pins, key, move.from, move.to, t->now_ms,
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
		uint32_t sessions = seat_load(seat);

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
		struct seat *to = turn_target_for(t, keys[i], seat, false);

		if (!to)
			return false;
		moved |= turn_move(t, keys[i], seat, to, MOVE_LEAVING);
	}
	seat->spent = !moved;
	return true;
}

void
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
			sum.load += seat_load(seat);
			sum.weight += seat->share;
		}
	}
	return sum;
}

/* A spare backup keeps nobody, however few they are. */
static unsigned
seat_surplus(const struct seat *seat, const struct totals *sum)
{
	unsigned load = seat_load(seat);

	if (seat->backup && seat->share == 0 && sum->weight)
		return load;
	return balance_surplus(load, seat->share, sum->load, sum->weight, sum->percent);
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
		surplus = seat_surplus(seat, sum);
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
surplus_room(const struct seat *to, const struct totals *sum)
{
	uint64_t limit = (uint64_t)sum->load * to->share * (100 + sum->percent) /
			 (100 * (uint64_t)sum->weight);
	uint64_t load = seat_load(to);

	return limit > load + 1 ? (unsigned)(limit - load) : 1;
}

/* Does moving n sessions lower the sum of load^2 / weight? Times two, and multiplied
 * by both weights. */
static bool
surplus_improves(const struct seat *from, const struct seat *to, unsigned n)
{
	uint64_t from_load = seat_load(from);
	uint64_t to_load = seat_load(to);
	uint64_t from_weight = from->share, to_weight = to->share;

	return to_weight && 2 * from_load >= n &&
	       (2 * to_load + n) * from_weight < (2 * from_load - n) * to_weight;
}

static bool
surplus_move_one(struct turn *t, struct hash128 key, struct seat *seat,
    const struct totals *sum, unsigned *surplus)
{
	struct seat *to = turn_target_for(t, key, seat, true);
	struct pin pin;

	if (!to || to == seat ||
	    !pins_lookup(t->planner->chooser->pins, key, t->now_ms, &pin))
		return false;
	backend_put(pin.backend);
	if (pin.sessions > *surplus || pin.sessions > surplus_room(to, sum) ||
	    !surplus_improves(seat, to, pin.sessions) ||
	    !turn_move(t, key, seat, to, MOVE_SURPLUS))
		return false;
	*surplus -= pin.sessions;
	return true;
}

/* False: nothing could be taken from it. */
static bool
surplus_move_batch(struct turn *t, struct seat *seat, const struct totals *sum,
    unsigned surplus)
{
	const struct seat *to = turn_target(t, seat->backend);
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

void
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

struct watch *
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
	turn_run_errands(&t);
	if (up->conf->rehome.mode == REHOME_OFF || now_ms < t.watch->debounce_until_ms)
		return t.moves;
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
	errands_forget_unseen(p, s);
	return moves;
}

const char *
move_why_name(enum move_why why)
{
	static const char *const names[] = {
	    [MOVE_LEAVING] = "leaving",
	    [MOVE_SURPLUS] = "surplus",
	    [MOVE_ASKED] = "asked",
	};

	return names[why];
}
