/* SPDX-License-Identifier: MIT
 *
 * door.h - what stands between a client's bytes and an exchange.
 *
 * A door is one client connection: it reads, checks each request head strictly,
 * starts one exchange at a time, feeds it the body, keeps pipelined requests waiting,
 * and notices when the client goes away. An accepted WebSocket upgrade takes the
 * connection out of the door for good.
 *
 *   PREFACE --(PROXY header)--> HEAD, where the listener asks for one
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

struct access;
struct access_note;
struct conn;
struct door;
struct exchange;
struct pools;
struct quota;
struct quota_seat;
struct quota_seat_ops;
struct response;
struct route;
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
	const struct upstream *up;      /* of the front's view or an older one: */
	struct view *view;              /* borrowed: take a reference */
	const struct route *route;      /* of that view */
	const struct addr *client_addr; /* after trusted forwarding */
	const struct addr *local_addr;  /* that it came to; family 0: ask the socket */
	struct access_note *note; /* what the access log will want of the request; taken
				     over; NULL: no such log */
	struct quota_seat *seat;  /* the client's, to be moved; NULL: nobody counts */
};

/* What ws/ does for http/, which does not know it. All on the worker's thread. */
struct upgrade_ops {
	/* May this head be passed on as an upgrade? NONE, or why not. */
	enum reason (*check)(const struct head *head, const struct route *route);
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

/* One listener, as the doors that came in through it see it. Counted: by whoever opened
 * it and by its doors, which may outlive the listener. Thread: the worker's. */
struct entrance {
	struct front *front;                /* borrowed */
	struct view *view;                  /* a reference: */
	const struct config_listener *conf; /* of that view */
	unsigned refs;
};

/* A worker's HTTP side. Owner and thread: the worker. */
struct front {
	struct loop *loop; /* borrowed, as all of these */
	struct pools *pools;
	struct chooser *chooser;
	const struct upgrade_ops *upgrade_ops;
	void *upgrade_arg;
	struct quota *quota;   /* shared by all workers */
	struct access *access; /* where lines of the access log go */
	const struct quota_seat_ops *seat_ops;
	void *seat_arg;
	struct view *view;        /* owned: the newest configuration */
	uint64_t idle_ms;         /* while stopping: so long may idle connections stay */
	uint64_t header_ms;       /* longest header timeout of all upstreams */
	struct door *doors;       /* all of them */
	struct exchange *spare;   /* exchanges to be used again */
	struct exchange *waiting; /* borrowed: for a place or a seat, longest first */
	struct timer waiting_timer;
	struct strbuf out;    /* for building heads */
	uint64_t last_number; /* of an exchange */
	unsigned n_doors;
	bool stopping;   /* each connection closes after its next response */
	bool place_free; /* the timer runs because of that */
};

/* `f` comes with its borrowed members (loop to seat_arg) set and all others zero. */
void front_init(struct front *f);

/* An entrance for the newest view's listener at `place`; NULL: no memory. */
struct entrance *front_open(struct front *f, size_t place);

/* The entrance's listener stands at `place` of the newest view. */
void entrance_follow(struct entrance *e, size_t place);

/* No more doors come in there. */
void entrance_put(struct entrance *e);

/* Takes over the view for all new exchanges. */
void front_set_view(struct front *f, struct view *view);

/* A new client connection; takes over fd. For listener_open, with an entrance. */
void front_accept(void *entrance, int fd, const struct addr *peer);

/* Each connection closes after its next response, which says so; idle ones close at
 * random within idle_ms (0: now), but for those that have yet to ask anything. */
void front_stop(struct front *f, uint64_t idle_ms);

/* Closes what is left, frees what is kept. */
void front_fini(struct front *f);

/* ---- for exchange.c ---- */

enum door_state {
	DOOR_PREFACE,  /* waiting for a PROXY header, or for something else instead */
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
	struct entrance *entrance; /* a reference */
	struct door *next, *prev;
	struct exchange *exchange; /* owned while state is EXCHANGE */
	struct strbuf in; /* read and not consumed: part of a head, a body that must
			     wait, pipelined requests */
	struct timer timer;
	struct grave grave;
	struct addr peer;      /* of the connection */
	struct addr client;    /* what a trusted PROXY header says, else the peer */
	struct addr local;     /* what that client came to; family 0: ask the socket */
	uint64_t head_us;      /* when the first byte of a head came; 0: nobody asks */
	uint64_t keepalive_ms; /* of the upstream last used */
	uint64_t header_ms;
	enum door_state state;
	uint32_t discard_left; /* LINGER: what the client may still send; 0: nothing is
				  expected, close when the answer is out */
	bool head_timed;       /* the timer runs for the head that is arriving */
	bool served;           /* it has had a response */
	bool consuming;        /* door_consume is on the stack */
	bool trusted;     /* client is a proxy whose word on its own client counts */
	bool half_closed; /* the client will send nothing more, but listens */
	char client_text[ADDR_TEXT];
};

/* Sends the client what was built in front->out. False: memory is out, or the client
 * is gone; the door is still to be closed. */
bool door_send_out(struct door *d);

/* Judges anew whether d->client is to be trusted. */
void door_set_client(struct door *d, const struct addr *client);

/* ---- preface.c ---- */

/* Does a PROXY header have to come, or may one? */
bool door_expects_preface(const struct door *d);

/* Looks for a PROXY header at p[0..n). True: there was one, of *used_r bytes, or none
 * (0), and the state is HEAD. False: more bytes are needed, or the door is closed. */
bool door_take_preface(struct door *d, const char *p, size_t n, size_t *used_r);

/* ---- record.c ---- */

/* Writes a line for a head that was refused to the access log, if there is one. */
void door_record_refusal(const struct door *d, enum reason why);

/* ---- for exchange.c ---- */

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
