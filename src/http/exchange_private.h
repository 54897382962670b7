/* SPDX-License-Identifier: MIT
 *
 * exchange_private.h - what exchange.c, body.c and relay.c share.
 */
#ifndef ROOST_HTTP_EXCHANGE_PRIVATE_H
#define ROOST_HTTP_EXCHANGE_PRIVATE_H

#include "base/strbuf.h"
#include "http/door.h"
#include "http/exchange.h"
#include "http/headers.h"
#include "message/chunk.h"
#include "message/head.h"
#include "message/response.h"
#include "route/choose.h"
#include "upstream/conn.h"

enum request_state {
	REQUEST_CONNECTING, /* waiting for a connection */
	REQUEST_BODY, /* waiting for the client's body, or for the backend to take it */
	REQUEST_SENT
};

enum response_state {
	RESPONSE_HEAD, /* waiting for the backend to answer */
	RESPONSE_BODY, /* waiting for more of it, or for the client to take it */
	RESPONSE_DONE
};

struct exchange {
	MAGIC
	struct door *door;   /* borrowed; NULL after the end */
	struct front *front; /* borrowed */
	struct exchange *next_spare;
	struct grave grave;
	struct timer timer;
	struct view *view;         /* a reference */
	const struct upstream *up; /* of the view */
	struct client_key key;     /* values only: the head it came from is gone */
	struct choice choice;
	struct conn *conn;       /* owned while it works for us */
	struct upgrade *upgrade; /* owned; NULL: not an upgrade */
	struct strbuf request;   /* head for the backend, kept for a second try */
	struct strbuf in;        /* beginning of a response head */

	enum request_state request_state;
	enum body_kind request_body;
	uint64_t request_left;
	struct chunk_decoder request_chunks;

	enum response_state response_state;
	enum body_kind response_body; /* as the backend frames it */
	enum body_kind client_body;   /* as the client sees it */
	uint64_t response_left;
	struct chunk_decoder response_chunks;

	enum method method;
	uint16_t tries;  /* connections tried after the first */
	uint8_t minor;   /* what the client speaks */
	bool chosen;     /* choice is to be ended */
	bool keep_alive; /* the client's connection can stay */
	bool html;       /* the client likes its errors in HTML */
	bool expect_continue;
	bool head_sent;    /* of the request */
	bool body_taken;   /* some of the body is gone: no second try */
	bool body_blocked; /* the backend does not take more now */
	bool head_pending; /* the client's response head waits in front->out */
	bool begun;        /* the client has seen something of the response */
	bool conn_reusable;
	char id[REQUEST_ID + 1];
};

#define EXCHANGE_MAGIC 0x45584348u

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

/* ---- body.c ---- */

/* The connection is there: sends the head, or asks the door for body to go along. */
void exchange_request_ready(struct exchange *x);

/* The backend has taken what was queued. */
void exchange_backend_drained(struct exchange *x);

/* ---- relay.c ---- */

/* Bytes, or the end, of the response. */
void exchange_read_response(struct exchange *x);

#endif
