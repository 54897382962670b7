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
#include "base/clock.h"
#include "route/pins.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <stdlib.h>

/* WEAK_SLACK: how far, in per cent, the backend of a weak key may be above its fair
 * share. WEAK_FEW: an exchange goes by, so below that load it is never diverted from
 * its client's socket. */
enum { WEAK_SLACK = 25, WEAK_FEW = 16, REHOME_TRIES = 4 };

/* One request in hand. */
struct wish {
	struct chooser *chooser;
	const struct upstream *up;
	const struct client_key *key;
	bool websocket;
	const struct backend *except;
	uint64_t now_ms;
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

/* The policy's pick among the backends that are in this state; borrowed, or NULL. */
static struct backend *
pick_among(struct chooser *c, const struct upstream *up, enum backend_use use,
    const struct backend *except, uint64_t now_ms)
{
	size_t n = 0;
	bool room = chooser_reserve(c, up);

	for (size_t i = 0; i < up->n_backends; i++) {
		struct backend *b = up->backends[i];

		if (b == except || backend_use(b, now_ms) != use)
			continue;
		if (!room)
			return b; /* without memory any will do */
		c->options[n] = b;
		c->candidates[n++] = (struct candidate){
		    .weight = atomic_load_explicit(&b->weight, memory_order_relaxed),
		    .load = backend_load(b),
		    .turn = &c->turns[b->slot],
		};
	}
	if (n == 0)
		return NULL;
	n = balance_pick(up->conf->balance, c->candidates, n, &c->random);
	return c->options[n];
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
	struct chooser *c = w->chooser;
	struct backend *b = pick_among(c, w->up, BACKEND_USABLE, w->except, w->now_ms);

	if (!b && !w->websocket)
		b = pick_among(c, w->up, BACKEND_FULL, w->except, w->now_ms);
	/* one that is known to work will have a place sooner than a dead one lives */
	if (b || choose_may_wait(w->up, w->websocket, w->now_ms))
		return b;
	return pick_among(c, w->up, BACKEND_FAILING, w->except, w->now_ms);
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

/* The same for the backend of the client's pin. A client that is about to get an
 * identity of its own does not inherit a place on a backend that others empty. */
static bool
wish_admits_pin(const struct wish *w, const struct pin *pin)
{
	if (wish_admits(w, pin->backend))
		return true;
	if (pin->backend == w->except || (w->websocket && w->key->issue))
		return false;
	return (pin->sessions || pin->followers) &&
	       backend_use(pin->backend, w->now_ms) == BACKEND_DRAINING;
}

static unsigned
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
	unsigned load = load_that_counts(w, b);
	unsigned total_load = 0, total_weight = 0;

	if (!w->key->weak || (!w->websocket && load <= WEAK_FEW))
		return true;
	for (size_t i = 0; i < w->up->n_backends; i++) {
		const struct backend *other = w->up->backends[i];
		enum backend_use use = backend_use(other, w->now_ms);

		if (other == b || backend_use_is_serving(use)) {
			total_load += load_that_counts(w, other);
			total_weight += atomic_load(&other->weight);
		}
	}
	return !balance_is_over(load, atomic_load(&b->weight), total_load, total_weight,
	    WEAK_SLACK);
}

/* Which of its locks speaks for a live pin. */
static enum choose_by
pin_speaks_by(const struct pin *pin, uint64_t now_ms)
{
	if (pin->websocket_until_ms > now_ms)
		return CHOSE_WEBSOCKET_LOCK;
	if (pin->sessions || pin->followers)
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

		if (cookie_names(cookie, w->chooser->secret, b->upstream, b->name))
			return wish_admits(w, b) ? b : NULL;
	}
	return NULL;
}

/* Takes the backend's counters for this request. */
static bool
choice_take(const struct wish *w, struct choice *choice, struct backend *b,
    enum choose_by by)
{
	if (w->websocket && !backend_place_take(b))
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

	if (pin_applies &&
	    choice_take(w, choice, pin->backend, pin_speaks_by(pin, w->now_ms)))
		return true;
	if (!pin && (b = wish_hint(w)) && choice_take(w, choice, b, CHOSE_HINT))
		return true;
	for (size_t tries = 0; tries <= w->up->n_backends; tries++) {
		b = wish_policy(w);
		if (!b)
			return false;
		if (choice_take(w, choice, b, CHOSE_POLICY))
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
		    choice_take(w, &other, winner, CHOSE_HTTP_LOCK)) {
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

static struct hash128
anonymous_key(struct chooser *c)
{
	return (struct hash128){random_u64(&c->random), random_u64(&c->random)};
}

/* Gives the client an identity for this request. A fresh one is known to nobody else,
 * so there is nothing to bind until a session opens under it. */
static void
choice_identify(const struct wish *w, struct choice *choice, const struct pin *pin,
    bool crowded)
{
	if (w->key->issue) {
		cookie_new_id(choice->cookie_id);
		choice->key = client_key_of_id(w->up->id, choice->cookie_id);
		choice->has_follower = w->websocket && w->key->found;
		choice->follower = w->key->hash;
	} else if (w->key->found && !crowded) {
		choice->key = w->key->hash;
		choice_bind(w, choice, pin);
	} else {
		choice->key = anonymous_key(w->chooser);
	}
}

bool
choose(struct chooser *c, const struct upstream *up, const struct client_key *key,
    bool websocket, const struct backend *except, uint64_t now_ms,
    struct choice *choice_r)
{
	struct wish w = {c, up, key, websocket, except, now_ms};
	struct pin known;
	const struct pin *pin = NULL;
	bool admitted, modest, found;

	*choice_r = (struct choice){.backend = NULL};
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

struct claim
choose_session_opened(struct chooser *c, const struct upstream *up,
    const struct choice *choice, uint64_t now_ms)
{
	uint64_t lock_ms = up->conf->pin.websocket_ms;
	struct claim claim = {.key = choice->key, .follower = choice->follower};
	struct backend *b = choice->backend;

	claim.held = pins_session_open(c->pins, claim.key, b, now_ms, lock_ms, false);
	if (!claim.held) {
		claim.key = anonymous_key(c);
		claim.held =
		    pins_session_open(c->pins, claim.key, b, now_ms, lock_ms, false);
	}
	if (claim.held && choice->has_follower)
		claim.has_follower = pins_session_open(c->pins, claim.follower, b,
		    now_ms, lock_ms, true);
	if (claim.has_follower)
		pins_follow(c->pins, claim.key, claim.follower);
	return claim;
}

void
choose_session_closed(struct chooser *c, const struct upstream *up, struct claim *claim,
    bool clean, uint64_t now_ms)
{
	uint64_t http_ms = up->conf->pin.http_ms;

	if (claim->held)
		pins_session_close(c->pins, claim->key, clean, now_ms, http_ms, false);
	if (claim->has_follower)
		pins_session_close(c->pins, claim->follower, clean, now_ms, http_ms,
		    true);
	claim->held = false;
	claim->has_follower = false;
}

/* Moves the claim's pin from `from` to `to`; with it the follower's. The latter may
 * have been left behind when the pin was moved by somebody else, since a key remembers
 * only one follower and its sessions may have several. */
static bool
claim_move(struct chooser *c, const struct upstream *up, const struct claim *claim,
    struct backend *from, struct backend *to, uint64_t now_ms)
{
	uint64_t lock_ms = up->conf->pin.websocket_ms;
	bool moved = pins_move(c->pins, claim->key, from, to, now_ms, lock_ms);

	if (moved && claim->has_follower)
		pins_move(c->pins, claim->follower, from, to, now_ms, lock_ms);
	return moved;
}

/* Full, it holds the claim all the same: that was counted when the pin moved. */
static bool
holds_well(const struct backend *b, uint64_t now_ms)
{
	return backend_use_is_serving(backend_use(b, now_ms));
}

struct backend *
choose_rehome(struct chooser *c, const struct upstream *up, const struct claim *claim,
    struct backend *from, uint64_t now_ms)
{
	struct backend *to = NULL;

	for (int tries = 0; tries < REHOME_TRIES && !to; tries++) {
		struct pin pin;

		if (!claim->held || !pins_lookup(c->pins, claim->key, now_ms, &pin))
			return choose_policy(c, up, from, now_ms);
		if (pin.backend != from && holds_well(pin.backend, now_ms)) {
			if (claim->has_follower)
				pins_move(c->pins, claim->follower, from, pin.backend,
				    now_ms, up->conf->pin.websocket_ms);
			return pin.backend;
		}
		to = choose_policy(c, up, from, now_ms);
		if (!to) {
			backend_put(pin.backend);
			return NULL;
		}
		if (!claim_move(c, up, claim, pin.backend, to, now_ms)) {
			backend_put(to);
			to = NULL;
		}
		backend_put(pin.backend);
	}
	return to;
}

void
choose_rehome_undo(struct chooser *c, const struct upstream *up,
    const struct claim *claim, struct backend *from, struct backend *to,
    uint64_t now_ms, uint64_t hold_ms)
{
	if (claim->held && claim_move(c, up, claim, to, from, now_ms))
		pins_hold(c->pins, claim->key, now_ms + hold_ms);
}

struct backend *
choose_policy(struct chooser *c, const struct upstream *up,
    const struct backend *except, uint64_t now_ms)
{
	struct backend *b = pick_among(c, up, BACKEND_USABLE, except, now_ms);

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
