/* SPDX-License-Identifier: MIT
 *
 * quota.h - what one client may take of an upstream: requests per second, exchanges and
 * sessions at once, new sessions per minute.
 *
 * A table shared by all workers, in shards with a lock each. A client's entry lives
 * while it holds something, or until its buckets are full again; when the table is full
 * the idle client that was not heard of for longest makes room. Clients for whom there
 * is no room even so, or no memory, are let through uncounted: the limits protect
 * backends and must not become a way to lock people out.
 *
 * Where an upstream sets no client_limits, nobody comes here.
 */
#ifndef ROOST_ROUTE_QUOTA_H
#define ROOST_ROUTE_QUOTA_H

#include "base/hash.h"
#include "base/reasons.h"
#include "config/config.h"

struct quota;
struct quota_client;

/* max: clients remembered. NULL: no memory. */
struct quota *quota_new(size_t max);

/* Nobody may hold anything any more. NULL is fine. */
void quota_free(struct quota *q);

/* Has the upstream any such limit? */
bool quota_applies(const struct config_client_limits *limits);

/* ---- requests */

/* What an exchange holds, to be given back by quota_leave. Starts as all zero. */
struct quota_hold {
	struct quota_client *client; /* NULL: nothing */
};

/* A request of the client `key`, which contains the upstream's id. NONE: it may go on,
 * and *hold is to be left. Else CLIENT_RATE, CLIENT_EXCHANGES or (of a handshake)
 * CLIENT_UPGRADES, and *retry_s_r says after how many seconds to come back, at least 1.
 * Token buckets: `burst` requests at once, then `rate` a second; `upgrades` handshakes
 * at once, then as many a minute. What is refused takes nothing. Any thread. */
enum reason quota_enter(struct quota *q, const struct config_client_limits *limits,
    struct hash128 key, bool websocket, uint64_t now_ms, struct quota_hold *hold,
    unsigned *retry_s_r);

/* The exchange is over, or became a session. Idempotent. Any thread. */
void quota_leave(struct quota *q, struct quota_hold *hold);

/* ---- sessions at once */

enum quota_answer {
	QUOTA_SEATED, /* go on */
	QUOTA_FULL,   /* refuse; the seat is not held */
	QUOTA_WAIT    /* others were told to leave: `seated` will be called */
};

struct quota_seat;

/* How the table speaks to who holds a seat. Both run on any thread with a lock of the
 * table held, so that the seat and its worker cannot go meanwhile; therefore they may
 * only post a message that carries `who` (the mailbox's lock is a leaf below ours).
 * False: no memory for the message; the table then behaves as if it had not asked.
 *
 * leave: give the seat up soon, for a newer one of the client (REPLACED; an exchange
 * that is not a session yet is refused with CLIENT_SESSIONS). Comes once per seat.
 * seated: the turn of one that was told QUOTA_WAIT has come. Whoever waits has a timer
 * of its own and rises when that fires: the others may take their time, and a message
 * may be lost. */
struct quota_seat_ops {
	bool (*leave)(const struct quota_seat *seat);
	bool (*seated)(const struct quota_seat *seat);
};

/* One session's seat. Owner: the exchange that will become the session, then that.
 * ops, worker and who are the owner's and stay as they are while the seat is held; the
 * rest belongs to the table and starts as all zero. */
struct quota_seat {
	const struct quota_seat_ops *ops;
	void *worker; /* whom to tell */
	uint64_t who; /* id of exchange or session there, never used twice */
	struct quota_client *client; /* NULL: no seat, or nobody counts it */
	struct quota_seat *next, *prev;
	uint8_t list; /* which one of the client's */
	bool sits;    /* counts; else it waits */
};

/* Asks for a seat of the client `key`, before its backend is bothered. When the client
 * has no room: with EXCESS_REFUSE the answer is FULL; with EXCESS_REPLACE_OLDEST the
 * oldest seats, waiting ones last, are told to leave until with this one there are no
 * more than the limit, and this one waits until enough of them are free. Each call
 * applies the limits it is given to those who are there already. Any thread. */
enum quota_answer quota_sit(struct quota *q, const struct config_client_limits *limits,
    struct hash128 key, struct quota_seat *seat);

/* Gives it back, sitting or waiting, and seats those whose turn it is. A session does
 * this when its backend connection is closed, so that the backend sees the old one go
 * before the new one comes. Idempotent. Its owner's thread. */
void quota_rise(struct quota *q, struct quota_seat *seat);

/* An exchange's seat becomes its session's: `to`, with ops, worker and who filled in,
 * takes the place of `from`, which is free afterwards. If `from` was told to leave, so
 * is `to`, since the message to `from` finds nobody any more. Its owner's thread. */
void quota_seat_move(struct quota *q, struct quota_seat *to, struct quota_seat *from);

/* ---- the table */

/* Forgets clients that count nothing any more; called about every second, it gets round
 * to each in less than half a minute. Control thread. */
void quota_sweep(struct quota *q, uint64_t now_ms);

/* Clients remembered: what tests look at. Any thread. */
size_t quota_size(const struct quota *q);

#endif
