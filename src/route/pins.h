/* SPDX-License-Identifier: MIT
 *
 * pins.h - what binds a client key to a backend, with its locks.
 *
 * A pin exists for a client that holds a session, recently held one, or came back with
 * its identity. It carries two locks: the WebSocket lock (set when a session opens) and
 * the HTTP lock (since the end of the client's last exchange; an exchange in flight
 * holds it). The table also owns backend->sessions: the sessions of a pin always
 * count on the backend it points to, and change over with it.
 *
 * A client that was sent away, to come back to another backend, is awaited there for
 * some seconds: backend->awaited counts its sessions until they are opened again, and
 * meanwhile nobody moves it again.
 *
 * A pin moves at once and its sessions follow in their own time; until all of them
 * have, they are apart. Each move begins an era of the pin, and each session knows the
 * last one in which it was where the pin points: so both sides agree on who is still to
 * come, however the news of several moves overtake each other.
 *
 * Threads: any; one lock per shard, held only inside pins.c, never while calling out.
 * A client key (hash128) contains the upstream's id, so one table serves all.
 */
#ifndef ROOST_ROUTE_PINS_H
#define ROOST_ROUTE_PINS_H

#include "base/hash.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend;
struct pins;

struct pins *pins_new(uint64_t max);
void pins_free(struct pins *pins);
void pins_set_max(struct pins *pins, uint64_t max);

/* A copy of what the table knows. */
struct pin {
	struct backend *backend; /* with a reference of the caller's: backend_put it */
	uint32_t sessions;       /* sessions of this client */
	uint32_t followers;      /* sessions of stronger keys that this one follows */
	uint32_t exchanges;      /* in flight */
	uint32_t awaited;        /* sessions that were sent away and will come back */
	uint32_t apart;          /* sessions that are not where it points (yet) */
	uint64_t websocket_until_ms; /* 0 or past: no lock */
	uint64_t http_until_ms;
	uint64_t since_ms; /* bound to this backend since */
	uint64_t stable;   /* what pins_set_stable said, or 0 */
};

/* False: no such pin (expired ones count as absent). */
bool pins_lookup(struct pins *pins, struct hash128 key, uint64_t now_ms,
    struct pin *pin_r);

/* An exchange (or a handshake) of the key begins: binds the key to `proposed` unless
 * another thread just bound it to a usable backend and something holds it there (a
 * session, a lock or an exchange): then that one wins. `force` overrides, and where
 * sessions exist they change over too; without it a binding that holds sessions is
 * never changed here. `expected` is what the caller saw and did not want (NULL:
 * nothing): a binding to that, without sessions, is replaced without question.
 * Returns the backend in force with a reference for the caller. *held_r: the binding
 * counts this exchange, which must be ended by pins_exchange_end. Otherwise (sessions
 * elsewhere, no memory, a full table) proposed is returned, unbound. */
struct backend *pins_bind(struct pins *pins, struct hash128 key,
    struct backend *proposed, const struct backend *expected, uint64_t now_ms,
    bool force, bool *held_r);

/* That exchange is over: starts the HTTP lock anew. */
void pins_exchange_end(struct pins *pins, struct hash128 key, uint64_t now_ms,
    uint64_t http_ms);

/* A session opens on the backend the key is bound to (binding it to `backend` if it is
 * bound to nothing), and starts the WebSocket lock unless one is running. Returns false
 * when the key is bound to another backend or memory is out: then nothing is counted
 * and the caller must use another key. The session keeps *era_r. NULL: a follower;
 * another key counts this session on the backend, this one only remembers it. Sessions,
 * which cost more than pins, get theirs even beyond the table's maximum; followers do
 * not. */
bool pins_session_open(struct pins *pins, struct hash128 key, struct backend *backend,
    uint64_t now_ms, uint64_t websocket_ms, uint16_t *era_r);

/* That session is on `backend`, and nothing moves it. */
void pins_settled(struct pins *pins, struct hash128 key, const struct backend *backend,
    uint16_t *era);

/* That session has lost its backend: wherever the pin points, it is not there. */
void pins_unsettled(struct pins *pins, struct hash128 key, uint16_t *era);

/* From now on, until its last session ends, moves of `key` take `follower` along where
 * both point to the same backend. */
void pins_follow(struct pins *pins, struct hash128 key, struct hash128 follower);

/* Remembers the stable hash of the client behind a key, by which the policy hash finds
 * another backend for it. */
void pins_set_stable(struct pins *pins, struct hash128 key, uint64_t stable);

/* The session ends. After a clean end of the last one the lock falls back to an HTTP
 * lock; after another end the rest of the window stays (and is an HTTP lock's at
 * least). `era`: as pins_session_open had it. */
void pins_session_close(struct pins *pins, struct hash128 key, bool clean,
    uint64_t now_ms, uint64_t http_ms, const uint16_t *era);

/* The session ends because its client is sent to where the pin points now: a place is
 * kept there until it comes, for PINS_AWAIT_MS at most. */
enum { PINS_AWAIT_MS = 10000 };
void pins_session_away(struct pins *pins, struct hash128 key, uint64_t now_ms,
    uint64_t http_ms, uint16_t era);

/* Re-homing: if the key points to `from`, points it to `to`, carries its sessions'
 * count over and starts a new WebSocket lock. False: it no longer points to from. */
bool pins_move(struct pins *pins, struct hash128 key, struct backend *from,
    struct backend *to, uint64_t now_ms, uint64_t websocket_ms);

/* A session of the key is about to be on `backend`. From then on, as long as the pin
 * points there, a move of it may not be taken back: pins_may_return is false. */
void pins_arrived(struct pins *pins, struct hash128 key, const struct backend *backend);
bool pins_may_return(struct pins *pins, struct hash128 key, const struct backend *to);

/* The pin was moved for the sake of one of its sessions, by a worker that cannot reach
 * the others: whoever can (the planner) asks for such keys, one after the other. */
void pins_note_stray(struct pins *pins, struct hash128 key);
bool pins_next_stray(struct pins *pins, struct hash128 *key_r);

/* Until then pins_collect passes the key over: an attempt to move it has failed. */
void pins_hold(struct pins *pins, struct hash128 key, uint64_t now_ms,
    uint64_t until_ms);

/* Collects up to max keys that hold sessions of their own on `backend` and were bound
 * to it for at least `stay_ms`. With max_sessions (0: any) only those that hold no
 * more, none of them apart, whose WebSocket lock has run out and which have no exchange
 * in flight. Returns how many. Order: arbitrary. */
size_t pins_collect(struct pins *pins, const struct backend *backend, uint64_t now_ms,
    unsigned max_sessions, uint64_t stay_ms, struct hash128 *keys_r, size_t max);

/* Why pins_collect with max_sessions passes a client over now. */
enum pin_hold {
	HELD_BY_LOCK,
	HELD_BY_STAY,
	HELD_BY_REQUEST,
	HELD_BY_MOVE, /* it is under way, or awaited */
	HELD_BY_FAILURE,
	HELD_BY_NOTHING,
	PIN_HOLDS
};

struct pin_holds {
	size_t clients[PIN_HOLDS];
	uint64_t until_ms[PIN_HOLDS]; /* the first of them; 0: nobody can tell */
};

/* Counts those with sessions on `backend`; a walk through all pins, like a list. */
void pins_count_holds(struct pins *pins, const struct backend *backend, uint64_t now_ms,
    uint64_t stay_ms, struct pin_holds *holds_r);

/* One of a list. */
struct pin_row {
	struct hash128 key;
	struct pin pin;
};

/* Up to max pins on these backends, arbitrary ones in no order; each holds a reference
 * to its backend. *complete_r: there are no others. At most some 100,000 pins are
 * looked at, a few at a time under their lock. Returns how many. */
size_t pins_list(struct pins *pins, struct backend *const *backends, size_t n_backends,
    uint64_t now_ms, struct pin_row *rows_r, size_t max, bool *complete_r);

/* ---- from one process to the next; see pins_pass.c ---- */

/* Up to max pins that have changed since they were passed on, of one shard; each holds
 * a reference to its backend. Those of anonymous keys, which nobody will ask for again,
 * are left out. Returns how many; *more_r: call again. One thread only. */
size_t pins_news(struct pins *pins, struct pin_row *rows_r, size_t max, bool *more_r);

/* Whoever they were passed on to has not taken them: all are news again. */
void pins_news_again(struct pins *pins);

/* Takes in one as the process before tells it, for the first time or again. Sessions
 * that it has there are awaited here, until until_ms, or for PINS_AWAIT_MS once it has
 * them no more; exchanges in flight and followers hold the pin as long. What became of
 * the pin here stays where both know of it. */
void pins_inherit(struct pins *pins, const struct pin_row *row, uint64_t now_ms,
    uint64_t until_ms);

/* Removes what nothing holds any more; called about every second. Returns how many.
 * Where locks of very different lengths lie in each other's way, some may wait for a
 * later call (about half a minute); lookups never see them. */
size_t pins_sweep(struct pins *pins, uint64_t now_ms);

size_t pins_count(const struct pins *pins);

/* What the pins of the table live by, and how many had to make room so far. */
struct pins_census {
	size_t held;      /* by sessions or exchanges */
	size_t websocket; /* by a WebSocket lock that ran when they were last touched */
	size_t http;      /* by an HTTP lock, or are about to go */
	uint64_t evicted;
};

void pins_census(struct pins *pins, struct pins_census *census_r);

/* Do the backends' counts say exactly how many sessions the pins hold (and await)
 * there? False is a bug. For debug builds: it walks through all pins under all locks.
 * No memory: true. */
bool pins_counts_are_right(struct pins *pins, struct backend *const *backends,
    size_t n);

#endif
