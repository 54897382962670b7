/* SPDX-License-Identifier: MIT
 *
 * exchange_private.h - what exchange.c, body.c and relay.c share.
 */
#ifndef ROOST_HTTP_EXCHANGE_PRIVATE_H
#define ROOST_HTTP_EXCHANGE_PRIVATE_H

#include "base/strbuf.h"
#include "base/template.h"
#include "http/access_log.h"
#include "http/door.h"
#include "http/exchange.h"
#include "http/headers.h"
#include "message/chunk.h"
#include "message/head.h"
#include "message/response.h"
#include "route/choose.h"
#include "route/quota.h"
#include "upstream/books.h"
#include "upstream/conn.h"

enum request_state {
	REQUEST_WAITING,    /* waiting for a place on a backend, or for a seat */
	REQUEST_CONNECTING, /* waiting for a connection */
	REQUEST_BODY, /* waiting for the client's body, or for the backend to take it */
	REQUEST_SENT
};

enum response_state {
	RESPONSE_HEAD, /* waiting for the backend to answer */
	RESPONSE_BODY, /* waiting for more of it, or for the client to take it */
	RESPONSE_DONE
};

/* When things happened, in microseconds of clock_now_us, mostly as exact as a turn of
 * the loop; 0: not yet. `head` and `sent` are only kept where somebody will read them.
 */
struct exchange_times {
	uint64_t head, begun, queued, chosen, dialed, connected, sent, first_byte;
};

struct exchange {
	MAGIC
	struct door *door;   /* borrowed; NULL after the end */
	struct front *front; /* borrowed */
	struct exchange *next_spare;
	struct grave grave;
	struct timer timer;
	struct view *view;         /* a reference */
	const struct route *route; /* of the view; NULL: none fits */
	const struct upstream *up; /* of the view; NULL: the route answers itself */
	struct client_key key;     /* values only: the head it came from is gone */
	struct choice choice;
	struct conn *conn;             /* owned while it works for us */
	struct upgrade *upgrade;       /* owned; NULL: not an upgrade */
	struct compressor *compressor; /* owned; NULL: the body passes as it is */
	struct strbuf request;         /* head for the backend, kept for a second try */
	struct strbuf in;              /* beginning of a response head */
	struct access_note note;       /* taken where `noted` */
	struct exchange *next, *prev;  /* in front->waiting, while WAITING */
	struct hash128 limited;        /* whom client_limits count */
	struct quota_hold hold;
	struct quota_seat seat;
	struct exchange_times times;

	enum request_state request_state;
	enum body_kind request_body;
	uint64_t request_left;
	uint64_t request_bytes; /* of the body, so far */
	uint64_t rate_bytes;    /* of these, since rate_from_ms */
	uint64_t rate_from_ms;
	struct chunk_decoder request_chunks;

	enum response_state response_state;
	enum body_kind response_body; /* as the backend frames it */
	enum body_kind client_body;   /* as the client sees it */
	uint64_t response_left;
	uint64_t response_bytes; /* of the body as the client gets it, so far */
	struct chunk_decoder response_chunks;

	struct addr client; /* after trusted forwarding */
	uint64_t number;    /* never used twice in a process */
	enum method method;
	enum reason why; /* it ended */
	unsigned
	    accept_coding; /* codings the client takes, where the route compresses */
	uint16_t status;   /* that the client got; 0: none yet */
	uint16_t tries;    /* connections tried after the first */
	uint16_t retry_s;  /* for Retry-After */
	uint8_t minor;     /* what the client speaks */
	uint8_t id_len;
	bool chosen; /* choice is to be ended */
	bool noted;
	bool https; /* how the client came */
	bool in_line, waits_for_seat;
	bool keep_alive;      /* the client's connection can stay */
	bool html;            /* the client likes its errors in HTML */
	bool expect_continue; /* the client waits for a 100, and has not heard any */
	bool head_sent;       /* of the request */
	bool body_taken;      /* some of the body is gone: no second try */
	bool body_blocked;    /* the backend does not take more now */
	bool head_pending;    /* the client's response head waits in front->out */
	bool begun;           /* the client has seen something of the response */
	bool conn_reusable;
	char id[REQUEST_ID_MAX + 1];
	char client_text[ADDR_TEXT];
};

#define EXCHANGE_MAGIC 0x45584348u

/* It counts no more for its client's limits. Idempotent; before the end of the response
 * goes out, since the client may then send its next request to another worker. A
 * session takes over the seat first. */
static inline void
exchange_release(struct exchange *x)
{
	if (x->hold.client)
		quota_leave(x->front->quota, &x->hold);
	if (x->seat.client)
		quota_rise(x->front->quota, &x->seat);
}

/* The exchange failed: answers the client if it has seen nothing yet, else cuts its
 * connection so that it can tell. Ends the exchange. */
void exchange_fail(struct exchange *x, enum reason why);

/* The response is out: keeps or closes both connections. Ends the exchange. */
void exchange_finish(struct exchange *x);

/* The backend's connection ended with nothing of a response seen: another try where
 * that is safe, else failure. */
void exchange_backend_lost(struct exchange *x);

/* The backend agreed to the upgrade; rest: what it sent after its head. Ends the
 * exchange. */
void exchange_upgrade(struct exchange *x, const struct response *r, struct str rest);

/* The identity to set with the response, or NULL. */
const char *exchange_cookie(const struct exchange *x, char value[COOKIE_VALUE + 1]);

static inline bool
exchange_is_over(const struct exchange *x)
{
	return x->door == NULL;
}

static inline void
exchange_await(struct exchange *x, uint64_t ms)
{
	if (ms)
		loop_timer(x->front->loop, &x->timer, ms);
	else
		timer_clear(&x->timer);
}

/* Chooses a backend and connects to it, or waits for a place. */
void exchange_choose(struct exchange *x);

static inline struct str
exchange_id(const struct exchange *x)
{
	return (struct str){x->id, x->id_len};
}

static inline uint64_t
exchange_turn_us(const struct exchange *x)
{
	return loop_turn_us(x->front->loop);
}

/* Where it is counted. */
static inline struct upstream_counts *
exchange_counts(const struct exchange *x)
{
	return view_counts(x->view, x->up);
}

/* ---- prepare.c ---- */

/* Everything a head decides before a backend is asked. NONE: the request is ready to
 * go; else why not. RESPONDED and REDIRECTED: the route answers. */
enum reason exchange_prepare(struct exchange *x, const struct head *head);

/* What names in a route's templates stand for; borrowed from x. Where it was noted. */
void exchange_values(const struct exchange *x, struct template_values *values);

/* ---- waiting.c ---- */

/* exchange_choose for a newcomer: a place that has just become free is for those who
 * wait already. */
void exchange_choose_in_turn(struct exchange *x);

/* All backends that could do are full: waits for a place, or fails. */
void exchange_wait(struct exchange *x);

/* Out of the line, whether in it or not. */
void exchange_leave_line(struct exchange *x);

/* Something may have become free. */
void exchange_place_free(struct front *f);

/* The client's sessions: asks for one more. NONE: seated; else why not, or waiting
 * (x->waits_for_seat). */
enum reason exchange_take_seat(struct exchange *x);

/* ---- record.c ---- */

/* It is over: counts it, and writes its line to the access log if there is one. */
void exchange_record(const struct exchange *x);

/* It failed: counts why. */
void exchange_count_failure(const struct exchange *x, enum reason why);

/* ---- body.c ---- */

/* From now on the client is waited for. */
void exchange_invite_body(struct exchange *x);

/* The connection is there: sends the head, or asks the door for body to go along. */
void exchange_request_ready(struct exchange *x);

/* The backend has taken what was queued. */
void exchange_backend_drained(struct exchange *x);

/* ---- relay.c ---- */

/* Bytes, or the end, of the response. */
void exchange_read_response(struct exchange *x);

/* Policy p2c: the backend has answered by now, or let its time pass. */
void exchange_add_latency(const struct exchange *x);

#endif
