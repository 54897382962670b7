/* SPDX-License-Identifier: MIT
 *
 * choose.h - which backend? The one place where that is decided.
 *
 * First that applies, and only if the backend is usable: the client's WebSocket lock;
 * an open session of the client; its HTTP lock (or a fresh cookie's hint, which stands
 * for it); the balancing policy. A weak key's pin counts only while the backend stays
 * within 1.25 x its fair share. A draining backend stays right for a client whose
 * sessions it still holds: whether re-homing is off, or has not come to them yet, or
 * could not move them, HTTP and socket must not disagree. A full backend takes no new
 * session but goes on serving exchanges; a busy one takes neither, and a client whose
 * pin points there waits for it, where there is a queue, instead of going elsewhere.
 * Who was sent to a backend by re-homing has its place there when it comes, though that
 * be full for everybody else.
 * Where all are ailing (failing, ejected, unhealthy), the policy tries them rather than
 * none. An ejected backend takes nobody new, but stays right for a client whose
 * sessions it holds.
 *
 * Backups are for the policy what comes after all others, and before such trials. A
 * client that is bound to one only by an HTTP lock goes back as soon as another can
 * take it; one with a socket or its lock is led back by the planner.
 */
#ifndef ROOST_ROUTE_CHOOSE_H
#define ROOST_ROUTE_CHOOSE_H

#include "base/random.h"
#include "route/client_key.h"

struct backend;
struct candidate;
struct pin;
struct pins;
struct upstream;

/* A worker's means of choosing. Owner and thread: the worker, or the control thread. */
struct chooser {
	struct pins *pins;     /* borrowed, shared */
	const uint8_t *secret; /* HASH_SECRET bytes for cookies, borrowed */
	struct random random;
	int32_t *turns; /* round-robin memory by backend slot; grows */
	size_t n_turns;
	struct candidate *candidates; /* scratch, with room for n_options */
	struct backend **options;
	size_t n_options;
};

void chooser_init(struct chooser *c, struct pins *pins, const uint8_t *secret,
    uint64_t seed);
void chooser_fini(struct chooser *c);

enum choose_by {
	CHOSE_WEBSOCKET_LOCK,
	CHOSE_SESSION,
	CHOSE_HTTP_LOCK,
	CHOSE_HINT,
	CHOSE_POLICY
};

struct choice {
	struct backend *backend; /* with a reference: choice_end puts it */
	enum choose_by by;
	struct hash128 key; /* the client's, or an issued or anonymous one's */
	uint64_t stable;    /* its stable hash; policy hash only */
	bool bound;         /* the pin table holds key for this exchange */
	bool place;         /* one of max_sessions is kept for the session to come */
	bool has_follower;  /* sessions: `follower` is the weak key that goes along */
	struct hash128 follower;
	char cookie_id[COOKIE_ID + 1]; /* identity to issue with the response, or "" */
};

/* Chooses for one request and binds the key where the client brought an identity (a
 * client that never returns its cookie costs no pin until it opens a session; that is
 * counted later, by choose_session_opened). `except`: a backend just found dead, or
 * NULL. The backend's exchanges count is raised until choice_end.
 * NULL backend in *choice_r and false: nothing usable, or what is has no place
 * (choose_may_wait tells). */
bool choose(struct chooser *c, const struct upstream *up, const struct client_key *key,
    bool websocket, const struct backend *except, uint64_t now_ms,
    struct choice *choice_r);

/* Is there a backend that could take such a request later, having no place now? */
bool choose_may_wait(const struct upstream *up, bool websocket, uint64_t now_ms);

/* The exchange is over (or failed, or became a session): gives back what choose took
 * and starts the HTTP lock. */
void choice_end(struct chooser *c, const struct upstream *up, struct choice *choice,
    uint64_t now_ms);

/* A key that nobody else has, or will have again. */
static inline struct hash128
choose_anonymous_key(struct chooser *c)
{
	return (struct hash128){random_u64(&c->random),
	    random_u64(&c->random) | HASH_ANONYMOUS};
}

/* The session's claim on its pin(s), kept in the session. */
struct claim {
	struct hash128 key;
	struct hash128 follower;
	uint64_t stable; /* see struct choice */
	bool has_follower;
	bool held;
	uint16_t era; /* of the pin, when the session last was where it points */
};

/* Before choice_end: the upgrade succeeded. Counts the session on the choice's backend
 * under its key; falls back to an anonymous key where the key is bound elsewhere by
 * now, so a session always has a claim of its own. */
struct claim choose_session_opened(struct chooser *c, const struct upstream *up,
    const struct choice *choice, uint64_t now_ms);

void choose_session_closed(struct chooser *c, const struct upstream *up,
    struct claim *claim, bool clean, uint64_t now_ms);

/* The same for a session whose client is sent away, to come back to where its pin
 * points by now. A place is kept for it there. */
void choose_session_sent_away(struct chooser *c, const struct upstream *up,
    struct claim *claim, uint64_t now_ms);

/* Re-homing a session away from `from`: where does the client go? If its pin still
 * points to `from`, the policy picks another usable backend and the pin moves there; if
 * it was moved already, there. The follower goes along. Returns a reference, or NULL:
 * no other backend is usable. */
struct backend *choose_rehome(struct chooser *c, const struct upstream *up,
    const struct claim *claim, struct backend *from, uint64_t now_ms);

/* The session's backend is lost to it. Until it has another one, or its old one again
 * (choose_settled), its client is not moved for the sake of balance. */
void choose_unsettled(struct chooser *c, struct claim *claim);

/* Nothing moves the session, and it is on `home`. Whoever ends a move says so; it does
 * no harm to say it again. */
void choose_settled(struct chooser *c, struct claim *claim, const struct backend *home);

/* Does the claim's pin point there? Where that is the session's home, its move was
 * taken back, for the sake of another session of its client. */
bool choose_points_to(struct chooser *c, const struct claim *claim,
    const struct backend *to, uint64_t now_ms);

/* The session is about to be on `to`, or is. Where the client's pin points elsewhere by
 * now, session and pin come together again: on what is usable, the pin's backend first.
 */
void choose_rehome_done(struct chooser *c, const struct upstream *up,
    const struct claim *claim, struct backend *to, uint64_t now_ms);

/* A move that failed: points the pin back to `from` if it still points to `to`, and
 * keeps the planner from trying again for hold_ms. False: another session of the client
 * is on `to` already, where this one must follow. */
bool choose_rehome_undo(struct chooser *c, const struct upstream *up,
    const struct claim *claim, struct backend *from, struct backend *to,
    uint64_t now_ms, uint64_t hold_ms);

/* What policy hash goes by. Whose session is older than the policy has no stable hash;
 * at least not all of them go to the same place then. */
static inline uint64_t
choose_stable(uint64_t stable, struct hash128 key)
{
	return stable ? stable : key.lo;
}

/* The policy alone, for a client of that stable hash: a usable backend other than
 * `except`, with places for so many sessions; with a reference, or NULL. */
struct backend *choose_policy(struct chooser *c, const struct upstream *up,
    uint64_t stable, unsigned sessions, const struct backend *except, uint64_t now_ms);

/* What choose would say to this key now, with a reference, or NULL: nobody; without
 * binding or counting anything. A draw or a turn of the policy may be another next
 * time. */
struct backend *choose_preview(struct chooser *c, const struct upstream *up,
    const struct client_key *key, bool websocket, uint64_t now_ms,
    enum choose_by *by_r);

/* Which of its locks speaks for a live pin. */
enum choose_by choose_pin_speaks_by(const struct pin *pin, uint64_t now_ms);

const char *choose_by_name(enum choose_by by); /* websocket_lock, session ... */

#endif
