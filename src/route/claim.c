/* SPDX-License-Identifier: MIT
 *
 * claim.c - what a session has of its client's pin: from its opening, through its
 * moves, to its end; see choose.h.
 *
 * Threads: as choose.c.
 */
#include "route/choose.h"

#include "route/pins.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"

/* So often may the pin be moved by somebody else while it is looked at. */
enum { REHOME_TRIES = 4 };

struct claim
choose_session_opened(struct chooser *c, const struct upstream *up,
    const struct choice *choice, uint64_t now_ms)
{
	uint64_t lock_ms = up->conf->pin.websocket_ms;
	struct claim claim = {.key = choice->key,
	    .follower = choice->follower,
	    .stable = choice->stable};
	struct backend *b = choice->backend;

	claim.held =
	    pins_session_open(c->pins, claim.key, b, now_ms, lock_ms, &claim.era);
	if (!claim.held) {
		claim.key = choose_anonymous_key(c);
		claim.held = pins_session_open(c->pins, claim.key, b, now_ms, lock_ms,
		    &claim.era);
	}
	if (claim.held && up->conf->balance == BALANCE_HASH)
		pins_set_stable(c->pins, claim.key, claim.stable);
	if (claim.held && choice->has_follower)
		claim.has_follower = pins_session_open(c->pins, claim.follower, b,
		    now_ms, lock_ms, NULL);
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
		pins_session_close(c->pins, claim->key, clean, now_ms, http_ms,
		    &claim->era);
	if (claim->has_follower)
		pins_session_close(c->pins, claim->follower, clean, now_ms, http_ms,
		    NULL);
	claim->held = false;
	claim->has_follower = false;
}

void
choose_session_sent_away(struct chooser *c, const struct upstream *up,
    struct claim *claim, uint64_t now_ms)
{
	if (claim->held)
		pins_session_away(c->pins, claim->key, now_ms, up->conf->pin.http_ms,
		    claim->era);
	claim->held = false;
	choose_session_closed(c, up, claim, false, now_ms);
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
	struct pin pin;

	if (moved && claim->has_follower)
		pins_move(c->pins, claim->follower, from, to, now_ms, lock_ms);
	if (moved && pins_lookup(c->pins, claim->key, now_ms, &pin)) {
		if (pin.sessions > 1)
			pins_note_stray(c->pins, claim->key);
		backend_put(pin.backend);
	}
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
	uint64_t stable = choose_stable(claim->stable, claim->key);
	struct backend *to = NULL;

	for (int tries = 0; tries < REHOME_TRIES && !to; tries++) {
		struct pin pin;

		if (!claim->held || !pins_lookup(c->pins, claim->key, now_ms, &pin))
			return choose_policy(c, up, stable, 1, from, now_ms);
		if (pin.backend != from && holds_well(pin.backend, now_ms)) {
			if (claim->has_follower)
				pins_move(c->pins, claim->follower, from, pin.backend,
				    now_ms, up->conf->pin.websocket_ms);
			return pin.backend;
		}
		to = choose_policy(c, up, stable, pin.sessions, from, now_ms);
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
choose_unsettled(struct chooser *c, struct claim *claim)
{
	if (claim->held)
		pins_unsettled(c->pins, claim->key, &claim->era);
}

void
choose_settled(struct chooser *c, struct claim *claim, const struct backend *home)
{
	if (claim->held)
		pins_settled(c->pins, claim->key, home, &claim->era);
}

bool
choose_points_to(struct chooser *c, const struct claim *claim, const struct backend *to,
    uint64_t now_ms)
{
	struct pin pin;

	if (!claim->held || !pins_lookup(c->pins, claim->key, now_ms, &pin))
		return false;
	backend_put(pin.backend);
	return pin.backend == to;
}

void
choose_rehome_done(struct chooser *c, const struct upstream *up,
    const struct claim *claim, struct backend *to, uint64_t now_ms)
{
	struct pin pin;

	if (!claim->held || !pins_lookup(c->pins, claim->key, now_ms, &pin))
		return;
	if (pin.backend != to && holds_well(pin.backend, now_ms))
		pins_note_stray(c->pins, claim->key);
	else if (pin.backend != to)
		claim_move(c, up, claim, pin.backend, to, now_ms);
	pins_arrived(c->pins, claim->key, to);
	backend_put(pin.backend);
}

bool
choose_rehome_undo(struct chooser *c, const struct upstream *up,
    const struct claim *claim, struct backend *from, struct backend *to,
    uint64_t now_ms, uint64_t hold_ms)
{
	if (claim->held && !pins_may_return(c->pins, claim->key, to))
		return false;
	if (claim->held && claim_move(c, up, claim, to, from, now_ms))
		pins_hold(c->pins, claim->key, now_ms, now_ms + hold_ms);
	return true;
}
