/* SPDX-License-Identifier: MIT
 *
 * door.h - what stands between a client's bytes and an exchange.
 *
 * A door is one client connection: it reads, checks each request head strictly,
 * starts one exchange at a time, feeds it the body, keeps pipelined requests waiting,
 * and notices when the client goes away. An accepted WebSocket upgrade takes the
 * connection out of the door for good.
 *
 *   HEAD --(head checked)--> EXCHANGE --(response out)--> HEAD
 *     |                         |-----(101)--> handed over, the door is gone
 *     `--(refused)--> LINGER <--'  (answer out, connection to be closed)
 */
#ifndef ROOST_HTTP_DOOR_H
#define ROOST_HTTP_DOOR_H

#include "base/addr.h"
#include "base/strbuf.h"
#include "loop/loop.h"
#include "net/stream.h"
#include "route/choose.h"
#include "upstream/view.h"

struct conn;
struct door;
struct exchange;
struct pools;
struct response;
struct upgrade;

/* A handshake that succeeded, for upgrade_ops.open, which takes over what it points
 * to. */
struct opening {
	struct upgrade *upgrade;
	struct stream *client;  /* to be moved away: the 101 is already written to it */
	struct str client_rest; /* bytes the client sent after its head; borrowed */
	struct conn *conn;      /* the backend's, in use */
	struct str conn_rest;   /* bytes the backend sent after its head; borrowed */
	struct choice *choice;  /* still to be ended by the exchange */
	const struct upstream *up; /* of the front's view or an older one: */
	struct view *view;         /* borrowed: take a reference */
	const struct addr *peer;
};

/* What ws/ does for http/, which does not know it. All on the worker's thread. */
struct upgrade_ops {
	/* May this head be passed on as an upgrade? NONE, or why not. */
	enum reason (*check)(const struct head *head);
	/* Begins one; adds its lines to the head for the backend, which so far has all
	 * others, no empty line. NULL: no memory. */
	struct upgrade *(*begin)(void *arg, const struct upstream *up,
	    const struct head *head, struct strbuf *request);
	/* Is this 101 the right answer? */
	bool (*accept)(struct upgrade *u, const struct response *r);
	/* Makes the session. Always takes over upgrade, client and conn. */
	void (*open)(void *arg, struct opening *opening);
	/* The handshake came to nothing. */
	void (*drop)(struct upgrade *u);
};

/* A worker's HTTP side. Owner and thread: the worker. */
struct front {
	struct loop *loop; /* borrowed, as all of these */
	struct pools *pools;
	struct chooser *chooser;
	const struct upgrade_ops *upgrade_ops;
	void *upgrade_arg;
	struct view *view;      /* owned: the newest configuration */
	uint64_t header_ms;     /* longest header timeout of all upstreams */
	struct door *doors;     /* all of them */
	struct exchange *spare; /* exchanges to be used again */
	struct strbuf out;      /* for building heads */
	unsigned n_doors;
	bool stopping; /* finish what runs, start nothing */
};

void front_init(struct front *f, struct loop *loop, struct pools *pools,
    struct chooser *chooser, const struct upgrade_ops *ops, void *upgrade_arg);

/* Takes over the view for all new exchanges. */
void front_set_view(struct front *f, struct view *view);

/* A new client connection; takes over fd. For listener_open. */
void front_accept(void *front, int fd, const struct addr *peer);

/* Closes idle connections now and each other one after its exchange. */
void front_stop(struct front *f);

/* Closes what is left, frees what is kept. */
void front_fini(struct front *f);

/* ---- for exchange.c ---- */

enum door_state {
	DOOR_HEAD,     /* waiting for a request head, or for more of it */
	DOOR_EXCHANGE, /* waiting for the exchange to end */
	DOOR_LINGER,   /* answer sent or queued: waiting for the client to take it and
			  close, so that no reset destroys it */
	DOOR_CLOSED    /* waiting for the end of the turn */
};

/* Owner: the front. Freed by door_close, at the end of the turn. */
struct door {
	struct stream stream; /* first: stream callbacks cast back */
	struct front *front;  /* borrowed */
	struct door *next, *prev;
	struct exchange *exchange; /* owned while state is EXCHANGE */
	struct strbuf in; /* read and not consumed: part of a head, a body that must
			     wait, pipelined requests */
	struct timer timer;
	struct grave grave;
	struct addr peer;
	uint64_t keepalive_ms; /* of the upstream last used */
	uint64_t header_ms;
	enum door_state state;
	uint32_t discard_left; /* LINGER: what the client may still send; 0: nothing is
				  expected, close when the answer is out */
	bool head_timed;       /* the timer runs for the head that is arriving */
	bool consuming;        /* door_consume is on the stack */
	char peer_text[ADDR_TEXT];
};

/* Sends the client what was built in front->out. False: memory is out, or the client
 * is gone; the door is still to be closed. */
bool door_send_out(struct door *d);

/* The exchange takes more body now (its conn is ready, or drained). */
void door_resume(struct door *d);

/* The exchange is over: keep_alive for the next request, else close. all_read: the
 * request had arrived completely. */
void door_exchange_done(struct door *d, bool keep_alive, bool all_read);

/* The exchange became a session: its stream is moved out, the door ends. */
void door_leave(struct door *d);

/* Closes at once; an exchange in it is aborted. Idempotent. */
void door_close(struct door *d, enum reason why);

#endif
