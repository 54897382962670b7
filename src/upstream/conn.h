/* SPDX-License-Identifier: MIT
 *
 * conn.h - one connection to one backend: being opened, in use, or kept for reuse.
 *
 *   conn_open --> CONNECTING --> USED <--> IDLE (in its pool, see pool.h)
 *                      \-----------\-------> closed
 *
 * Owner: its user while CONNECTING or USED, the pool while IDLE. Freed by conn_close
 * at the end of the turn. Thread: its worker's.
 */
#ifndef ROOST_UPSTREAM_CONN_H
#define ROOST_UPSTREAM_CONN_H

#include "base/reasons.h"
#include "loop/loop.h"
#include "net/stream.h"

struct backend;
struct conn;
struct pools;

enum conn_state {
	CONN_CONNECTING, /* waiting for the backend to accept */
	CONN_USED,       /* its user waits for something */
	CONN_IDLE,       /* waiting for a user, or for the backend to close it */
	CONN_CLOSED      /* waiting for the end of the turn */
};

/* What its user hears. Every callback may close or release the conn. */
struct conn_ops {
	void (*on_connected)(struct conn *c);
	/* could not connect; the backend is marked and the conn closed afterwards */
	void (*on_failed)(struct conn *c, enum reason why);
	void (*on_readable)(struct conn *c);
	void (*on_drained)(struct conn *c);
	void (*on_broken)(struct conn *c);
};

struct conn {
	struct stream stream;    /* first: stream callbacks cast back */
	struct pools *pools;     /* borrowed */
	struct backend *backend; /* a reference */
	const struct conn_ops *ops;
	void *user;               /* borrowed */
	struct conn *next, *prev; /* in the pool's idle list */
	struct timer timer;       /* connecting: its limit; idle: its end */
	struct grave grave;
	enum conn_state state;
	bool reused; /* carried another exchange before: it may die under the next one
			through nobody's fault */
};

/* Starts connecting; on_connected or on_failed follows, never from within this call.
 * NULL: no memory, no descriptor, no address, or refused at once (*why_r). */
struct conn *conn_open(struct pools *pools, struct backend *backend,
    uint64_t timeout_ms, const struct conn_ops *ops, void *user, enum reason *why_r);

/* Gives the connection's stream to another owner (see stream_move) and ends the conn.
 */
void conn_give_stream(struct conn *c, struct stream *to, const struct stream_ops *ops);

/* Idempotent. */
void conn_close(struct conn *c);

#endif
