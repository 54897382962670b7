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

#include "base/addr.h"
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

/* What a new connection says before anything else: the PROXY header about the client on
 * whose behalf it is made (net/proxy_protocol.h). */
struct conn_hello {
	unsigned version; /* 1 or 2 */
	struct addr source, destination;
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
	uint64_t ask_until_ms; /* connecting to a unix socket: see conn.c */
	enum conn_state state;
	bool reused; /* carried another exchange before: it may die under the next one
			through nobody's fault */
	bool introduced; /* has said hello: it is one client's and never kept. Who has
			    to say hello takes no kept conn either */
};

/* Starts connecting; on_connected or on_failed follows, never from within this call.
 * hello (copied; NULL: none) has left, or is queued, when on_connected is called.
 * NULL: no memory, no descriptor, no address, or refused at once (*why_r). */
struct conn *conn_open(struct pools *pools, struct backend *backend,
    const struct conn_hello *hello, uint64_t timeout_ms, const struct conn_ops *ops,
    void *user, enum reason *why_r);

/* Gives the connection's stream to another owner (see stream_move) and ends the conn.
 */
void conn_give_stream(struct conn *c, struct stream *to, const struct stream_ops *ops);

/* Idempotent. */
void conn_close(struct conn *c);

#endif
