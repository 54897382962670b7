/* SPDX-License-Identifier: MIT
 *
 * choose.c - which backend? See choose.h.
 *
 * A choice is made in four steps: what does the table know of this key, does that (or
 * the cookie, or the policy) name a backend for this request, take that backend's
 * counters, and bind the key. Between looking and binding another thread may have
 * bound the same key; pins_bind then says so, and its backend is taken instead, so that
 * the first two requests of a page do not end up in different places.
 *
 * Threads: a chooser belongs to one; what it looks at is shared.
 */
#include "route/choose.h"

#include "balance/balance.h"
#include "balance/latency.h"
#include "base/clock.h"
#include "route/pins.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <stdlib.h>

/* WEAK_SLACK: how far, in per cent, the backend of a weak key may be above its fair
 * share. WEAK_FEW: an exchange goes by, so below that load it is never diverted from
 * its client's socket. */
enum { WEAK_SLACK = 25, WEAK_FEW = 16 };

/* One request in hand. */
struct wish {
	struct chooser *chooser;
	const struct upstream *up;
	const struct client_key *key;
	bool websocket;
	const struct backend *except;
	uint64_t now_ms;
	uint64_t stable; /* of who asks; policy hash only */
	unsigned places; /* it asks for so many at once; 0: the usual one */
};

/* In this order the policy takes backends, the best only among their like. */
enum rank {
	RANK_USABLE,
	RANK_FULL, /* takes exchanges */
	RANK_BACKUP,
	RANK_BACKUP_FULL,
	RANK_AILING, /* would accept, and perhaps serve badly */
	RANK_BACKUP_AILING,
	RANK_FAILING,
	RANK_BACKUP_FAILING,
	RANK_NONE
};

void
chooser_init(struct chooser *c, struct pins *pins, const uint8_t *secret, uint64_t seed)
{
	*c = (struct chooser){.pins = pins, .secret = secret};
	random_seed(&c->random, seed);
}

void
chooser_fini(struct chooser *c)
{
	free(c->turns);
	free(c->candidates);
	free(c->options);
	*c = (struct chooser){.pins = NULL};
}

static bool
turns_reserve(struct chooser *c, const struct upstream *up)
{
	size_t need = c->n_turns;
	int32_t *turns;

	for (size_t i = 0; i < up->n_backends; i++) {
		if (up->backends[i]->slot >= need)
			need = up->backends[i]->slot + 1;
	}
	if (need == c->n_turns)
		return true;
	turns = realloc(c->turns, need * sizeof(*turns));
	if (!turns)
		return false;
	memset(turns + c->n_turns, 0, (need - c->n_turns) * sizeof(*turns));
	c->turns = turns;
	c->n_turns = need;
	return true;
}

/* Room for every backend of the upstream; after a few requests this does nothing. */
static bool
chooser_reserve(struct chooser *c, const struct upstream *up)
{
	size_t n = up->n_backends;
	struct candidate *candidates;
	struct backend **options;

	if (n > c->n_options) {
		candidates = realloc(c->candidates, n * sizeof(*candidates));
		if (!candidates)
			return false;
		c->candidates = candidates;
		options = realloc(c->options, n * sizeof(*options));
		if (!options)
			return false;
		c->options = options;
		c->n_options = n;
	}
	return turns_reserve(c, up);
}

static bool
is_backup(const struct backend *b)
{
	return atomic_load_explicit(&b->backup, memory_order_relaxed);
}

static enum rank
rank_of(const struct backend *b, bool websocket, uint64_t now_ms)
{
	enum backend_use use = backend_use(b, now_ms);

	if (websocket && backend_use_is_ailing(use) && !backend_has_places(b, 1))
		return RANK_NONE;
	switch (use) {
	case BACKEND_USABLE: return is_backup(b) ? RANK_BACKUP : RANK_USABLE;
	case BACKEND_FULL:
		if (websocket)
			return RANK_NONE;
		return is_backup(b) ? RANK_BACKUP_FULL : RANK_FULL;
	case BACKEND_EJECTED:
	case BACKEND_UNHEALTHY: return is_backup(b) ? RANK_BACKUP_AILING : RANK_AILING;
	case BACKEND_FAILING: return is_backup(b) ? RANK_BACKUP_FAILING : RANK_FAILING;
	default: return RANK_NONE;
	}
}

/* What the wish adds to a backend's load. */
static unsigned
wish_cost(const struct wish *w)
{
	const struct config_upstream *conf = w->up->conf;
	unsigned cost = w->websocket ? conf->session_cost : conf->exchange_cost;

	return cost ? cost : 1;
}

/* Only what the policy looks at. */
static void
candidate_fill(const struct wish *w, struct backend *b, struct candidate *candidate)
{
	uint64_t identity;

	candidate->weight = backend_weight_now(b, w->now_ms);
	switch (w->up->conf->balance) {
	case BALANCE_LEAST_SESSIONS: candidate->load = backend_load(b); break;
	case BALANCE_ROUND_ROBIN: candidate->turn = &w->chooser->turns[b->slot]; break;
	case BALANCE_P2C:
		candidate->load = backend_load(b);
		candidate->step = wish_cost(w);
		candidate->latency_us =
		    latency_now(atomic_load_explicit(&b->latency, memory_order_relaxed),
			w->now_ms);
		break;
	case BALANCE_HASH:
		candidate->load = backend_load(b);
		candidate->step = wish_cost(w);
		identity = backend_identity(b);
		candidate->lot = hash_stable(w->stable, &identity, sizeof(identity));
		break;
	}
}

static bool
has_room(const struct wish *w, const struct backend *b)
{
	return w->places <= 1 || backend_has_places(b, w->places);
}

/* Puts those of the best rank there is into options; returns how many. */
static size_t
gather(const struct wish *w, enum rank at_worst)
{
	struct chooser *c = w->chooser;
	enum rank best = at_worst;
	size_t n = 0;

	for (size_t i = 0; i < w->up->n_backends; i++) {
		struct backend *b = w->up->backends[i];
		enum rank rank = rank_of(b, w->websocket, w->now_ms);

		if (b == w->except || rank > best || !has_room(w, b))
			continue;
		if (rank < best)
			n = 0;
		best = rank;
		c->options[n++] = b;
	}
	return n;
}

/* Without memory any will do. */
static struct backend *
pick_any(const struct wish *w, enum rank at_worst)
{
	for (size_t i = 0; i < w->up->n_backends; i++) {
		struct backend *b = w->up->backends[i];

		if (b != w->except && rank_of(b, w->websocket, w->now_ms) <= at_worst)
			return b;
	}
	return NULL;
}

/* The policy's pick among the best there are; borrowed, or NULL. */
static struct backend *
wish_pick(const struct wish *w, enum rank at_worst)
{
	struct chooser *c = w->chooser;
	size_t n;

	if (!chooser_reserve(c, w->up))
		return pick_any(w, at_worst);
	n = gather(w, at_worst);
	if (n == 0)
		return NULL;
	for (size_t i = 0; i < n && n > 1; i++)
		candidate_fill(w, c->options[i], &c->candidates[i]);
	return c
	    ->options[balance_pick(w->up->conf->balance, c->candidates, n, &c->random)];
}

bool
choose_may_wait(const struct upstream *up, bool websocket, uint64_t now_ms)
{
	for (size_t i = 0; i < up->n_backends; i++) {
		enum backend_use use = backend_use(up->backends[i], now_ms);

		if (use == BACKEND_BUSY || (use == BACKEND_FULL && websocket))
			return true;
	}
	return false;
}

static struct backend *
wish_policy(const struct wish *w)
{
	struct backend *b = wish_pick(w, RANK_BACKUP_FULL);

	/* one that is known to work will have a place sooner than a dead one lives */
	if (b || choose_may_wait(w->up, w->websocket, w->now_ms))
		return b;
	return wish_pick(w, RANK_BACKUP_FAILING);
}

/* May this request go there? */
static bool
wish_admits(const struct wish *w, const struct backend *b)
{
	enum backend_use use = backend_use(b, w->now_ms);

	if (b == w->except)
		return false;
	return use == BACKEND_USABLE || (use == BACKEND_FULL && !w->websocket);
}

/* Is it a backup that this request does not need? */
static bool
wish_can_leave(const struct wish *w, const struct backend *b)
{
	for (size_t i = 0; i < w->up->n_backends && is_backup(b); i++) {
		if (rank_of(w->up->backends[i], w->websocket, w->now_ms) <= RANK_FULL)
			return true;
	}
	return false;
}

/* Is it more than an HTTP lock? That would never run out for a busy client. */
static bool
pin_is_held(const struct pin *pin, uint64_t now_ms)
{
	return pin->sessions || pin->followers || pin->exchanges || pin->awaited ||
	       pin->websocket_until_ms > now_ms;
}

/* The same for the backend of the client's pin. A client that is about to get an
 * identity of its own does not inherit a place on a backend that others empty. */
static bool
wish_admits_pin(const struct wish *w, const struct pin *pin)
{
	enum backend_use use;

	if (wish_admits(w, pin->backend))
		return pin_is_held(pin, w->now_ms) || !wish_can_leave(w, pin->backend);
	if (pin->backend == w->except || (w->websocket && w->key->issue))
		return false;
	use = backend_use(pin->backend, w->now_ms);
	if (use == BACKEND_FULL && pin->awaited)
		return true;
	return (pin->sessions || pin->followers) &&
	       (use == BACKEND_DRAINING || use == BACKEND_EJECTED);
}

static uint64_t
load_that_counts(const struct wish *w, const struct backend *b)
{
	if (!w->websocket)
		return backend_load(b);
	/* Not the exchanges: before its upgrade a client may have some in flight, and
	 * must not be driven away by them. */
	return atomic_load(&b->sessions) + atomic_load(&b->opening);
}

/* May a weak key have its way? One address can be a whole office. */
static bool
wish_is_modest(const struct wish *w, const struct backend *b)
{
	uint64_t load = load_that_counts(w, b), total_load = 0;
	unsigned total_weight = 0;

	if (!w->key->weak || (!w->websocket && backend_held(b) <= WEAK_FEW))
		return true;
	for (size_t i = 0; i < w->up->n_backends; i++) {
		const struct backend *other = w->up->backends[i];
		enum backend_use use = backend_use(other, w->now_ms);

		if (is_backup(other) != is_backup(b))
			continue;
		if (other == b || backend_use_is_serving(use)) {
			total_load += load_that_counts(w, other);
			total_weight += backend_weight_now(other, w->now_ms);
		}
	}
	return !balance_is_over(load, backend_weight_now(b, w->now_ms), total_load,
	    total_weight, WEAK_SLACK);
}

enum choose_by
choose_pin_speaks_by(const struct pin *pin, uint64_t now_ms)
{
	if (pin->websocket_until_ms > now_ms)
		return CHOSE_WEBSOCKET_LOCK;
	if (pin->sessions || pin->followers || pin->awaited)
		return CHOSE_SESSION;
	return CHOSE_HTTP_LOCK;
}

/* The backend that a cookie younger than the HTTP lock was issued with. */
static struct backend *
wish_hint(const struct wish *w)
{
	const struct cookie *cookie = &w->key->cookie;
	int64_t age;

	if (!w->key->has_hint)
		return NULL;
	age = clock_wall() - (int64_t)cookie->issued;
	if (age < 0)
		age = -age; /* issued by a node whose clock is ahead */
	if ((uint64_t)age * 1000 >= w->up->conf->pin.http_ms)
		return NULL;
	for (size_t i = 0; i < w->up->n_backends; i++) {
		struct backend *b = w->up->backends[i];

		if (cookie_names(cookie, w->chooser->secret, w->up->id,
			backend_identity(b)))
			return wish_admits(w, b) ? b : NULL;
	}
	return NULL;
}

/* Takes the backend's counters for this request. */
static bool
choice_take(const struct wish *w, struct choice *choice, struct backend *b,
    enum choose_by by, bool awaited)
{
	if (w->websocket && !backend_place_take(b, awaited))
		return false;
	if (!backend_exchange_begin(b)) {
		if (w->websocket)
			backend_place_end(b);
		return false;
	}
	choice->place = w->websocket;
	choice->backend = backend_get(b);
	choice->by = by;
	return true;
}

static void
choice_give_back(struct choice *choice)
{
	if (choice->place)
		backend_place_end(choice->backend);
	backend_exchange_end(choice->backend);
	backend_put(choice->backend);
	choice->backend = NULL;
	choice->place = false;
}

/* Would it go to its pin's backend, had that a place? */
static bool
wish_waits_for_pin(const struct wish *w, const struct pin *pin)
{
	return w->up->conf->limits.queue && pin->backend != w->except &&
	       backend_use(pin->backend, w->now_ms) == BACKEND_BUSY;
}

/* The pin, the hint, or the policy. A place may be gone by the time it is taken; the
 * backend is full then, and the policy passes it over. */
static bool
choice_find(const struct wish *w, struct choice *choice, const struct pin *pin,
    bool pin_applies)
{
	struct backend *b;

	if (pin_applies && choice_take(w, choice, pin->backend,
			       choose_pin_speaks_by(pin, w->now_ms), pin->awaited != 0))
		return true;
	if (!pin && (b = wish_hint(w)) && choice_take(w, choice, b, CHOSE_HINT, false))
		return true;
	for (size_t tries = 0; tries <= w->up->n_backends; tries++) {
		b = wish_policy(w);
		if (!b)
			return false;
		if (choice_take(w, choice, b, CHOSE_POLICY, false))
			return true;
	}
	return false;
}

/* Binds the key to the choice, or changes the choice to what another thread bound the
 * key to in the meantime. */
static void
choice_bind(const struct wish *w, struct choice *choice, const struct pin *pin)
{
	struct pins *pins = w->chooser->pins;
	struct backend *winner = pins_bind(pins, choice->key, choice->backend,
	    pin ? pin->backend : NULL, w->now_ms, false, &choice->bound);

	if (winner != choice->backend) {
		struct choice other = *choice;

		if (winner != w->except &&
		    choice_take(w, &other, winner, CHOSE_HTTP_LOCK, false)) {
			choice_give_back(choice);
			*choice = other;
		} else {
			pins_exchange_end(pins, choice->key, w->now_ms,
			    w->up->conf->pin.http_ms);
			choice->bound = false;
		}
	}
	backend_put(winner);
}

/* Gives the client an identity for this request. A fresh one is known to nobody else,
 * so there is nothing to bind until a session opens under it. */
static void
choice_identify(const struct wish *w, struct choice *choice, const struct pin *pin,
    bool crowded)
{
	if (w->key->issue) {
		if (choice->cookie_id[0] == '\0')
			cookie_new_id(choice->cookie_id);
		choice->key = client_key_of_id(w->up->id, choice->cookie_id);
		choice->has_follower = w->websocket && w->key->found;
		choice->follower = w->key->hash;
	} else if (w->key->found && !crowded) {
		choice->key = w->key->hash;
		choice_bind(w, choice, pin);
	} else {
		choice->key = choose_anonymous_key(w->chooser);
	}
}

/* For the policy hash: a client that gets an identity is chosen for by that already, so
 * that it stays where it is when it returns with it. */
static uint64_t
wish_stable(const struct wish *w, struct choice *choice)
{
	if (w->up->conf->balance != BALANCE_HASH)
		return 0;
	if (w->key->issue) {
		cookie_new_id(choice->cookie_id);
		return client_key_stable_of_id(w->up->id, choice->cookie_id);
	}
	return w->key->found ? w->key->stable : random_u64(&w->chooser->random);
}

bool
choose(struct chooser *c, const struct upstream *up, const struct client_key *key,
    bool websocket, const struct backend *except, uint64_t now_ms,
    struct choice *choice_r)
{
	struct wish w = {c, up, key, websocket, except, now_ms, 0, 0};
	struct pin known;
	const struct pin *pin = NULL;
	bool admitted, modest, found;

	*choice_r = (struct choice){.backend = NULL};
	w.stable = choice_r->stable = wish_stable(&w, choice_r);
	if (key->found && pins_lookup(c->pins, key->hash, now_ms, &known))
		pin = &known;
	admitted = pin && wish_admits_pin(&w, pin);
	modest = admitted && wish_is_modest(&w, pin->backend);
	found = !(pin && wish_waits_for_pin(&w, pin)) &&
		choice_find(&w, choice_r, pin, modest);
	if (found)
		choice_identify(&w, choice_r, pin, admitted && !modest);
	if (pin)
		backend_put(known.backend);
	return found;
}

void
choice_end(struct chooser *c, const struct upstream *up, struct choice *choice,
    uint64_t now_ms)
{
	if (!choice->backend)
		return;
	choice_give_back(choice);
	if (choice->bound)
		pins_exchange_end(c->pins, choice->key, now_ms, up->conf->pin.http_ms);
	choice->bound = false;
}

struct backend *
choose_policy(struct chooser *c, const struct upstream *up, uint64_t stable,
    unsigned sessions, const struct backend *except, uint64_t now_ms)
{
	struct wish w = {c, up, NULL, true, except, now_ms, stable, sessions};
	struct backend *b = wish_pick(&w, RANK_BACKUP);

	return b ? backend_get(b) : NULL;
}

struct backend *
choose_preview(struct chooser *c, const struct upstream *up,
    const struct client_key *key, bool websocket, uint64_t now_ms, enum choose_by *by_r)
{
	struct wish w = {c, up, key, websocket, NULL, now_ms, key->stable, 0};
	bool known = false;
	struct backend *b;
	struct pin pin;

	if (key->found && pins_lookup(c->pins, key->hash, now_ms, &pin)) {
		*by_r = choose_pin_speaks_by(&pin, now_ms);
		if (wish_admits_pin(&w, &pin) && wish_is_modest(&w, pin.backend))
			return pin.backend;
		backend_put(pin.backend);
		known = true;
	}
	*by_r = CHOSE_HINT;
	b = known ? NULL : wish_hint(&w);
	if (!b) {
		*by_r = CHOSE_POLICY;
		b = wish_policy(&w);
	}
	return b ? backend_get(b) : NULL;
}

const char *
choose_by_name(enum choose_by by)
{
	static const char *const names[] = {
	    [CHOSE_WEBSOCKET_LOCK] = "websocket_lock",
	    [CHOSE_SESSION] = "session",
	    [CHOSE_HTTP_LOCK] = "http_lock",
	    [CHOSE_HINT] = "hint",
	    [CHOSE_POLICY] = "policy",
	};

	return names[by];
}
