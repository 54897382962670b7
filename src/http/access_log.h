/* SPDX-License-Identifier: MIT
 *
 * access_log.h - one line per exchange or session, when it is over.
 *
 * Text is the "combined" format, with roost's own fields behind it as name=value; JSON
 * is a flat object with stable names, listed in roost.yaml(5). Formatting is pure;
 * lines go to a sink, so a slow disk never holds up traffic.
 */
#ifndef ROOST_HTTP_ACCESS_LOG_H
#define ROOST_HTTP_ACCESS_LOG_H

#include "base/log.h"
#include "base/strbuf.h"
#include <stdint.h>

struct head;
struct sink;
struct sink_feed;

/* Everything borrowed; empty strings are "not known". Durations in microseconds;
 * UINT64_MAX: that phase was not reached. */
struct access_record {
	int64_t wall_ms; /* when the request's head was there, since 1970 */
	bool session;    /* a WebSocket session, else an exchange */
	struct str id;   /* the session's id, or the request's */
	struct str request_id, trace_id;
	struct str client; /* address, after trusted forwarding */
	struct str peer;   /* address of the connection */
	struct str method, host, target, user_agent, referer;
	unsigned minor;  /* HTTP/1.minor; meaningless without a method */
	unsigned status; /* 0: the client got none */
	struct str upstream, backend;
	struct str chosen_by; /* websocket_lock, session, http_lock, hint, policy */
	struct str reason;    /* label of reasons.def; "none" where all went well */
	unsigned retries;
	uint64_t bytes_in, bytes_out; /* of bodies, or of WebSocket frames */
	uint64_t head_us;       /* from the head's first byte until it was whole */
	uint64_t queue_us;      /* waiting for a full upstream */
	uint64_t connect_us;    /* until a connection was there; 0: a kept one */
	uint64_t first_byte_us; /* from then until the response's head */
	uint64_t total_us;
	/* of sessions alone */
	uint64_t messages_in, messages_out;
	unsigned close_code; /* what the client saw, 1006 where nothing was said */
	struct str ended_by; /* client, backend, roost */
};

/* A record with nothing in it: no duration is known. */
struct access_record access_record_empty(void);

/* Appends one line with its newline. Bytes that could spoil a line are escaped: \xHH in
 * text, as JSON does in JSON. */
void access_log_write(struct strbuf *out, enum log_format format,
    const struct access_record *r);

/* ---- what a record needs of a request's head, which is gone by then ---- */

enum { ACCESS_NOTE_FIELDS = 9 };

/* Owner: the exchange (memory is kept for the next one), then the session. */
struct access_note {
	struct strbuf text; /* strings of the record, one behind the other */
	uint32_t end[ACCESS_NOTE_FIELDS];
	int64_t wall_ms;
	uint64_t start_us; /* clock_now_us when the head was there */
	uint8_t minor;
};

/* Takes down the time, client, peer, method, host, target, user agent, referer, request
 * id and trace id. head may be NULL: it was refused. User agent and referer are cut
 * where they are longer than anybody's: a session keeps them as long as it lives. */
void access_note_take(struct access_note *note, const struct head *head,
    struct str client, struct str peer, struct str request_id, struct str trace_id);

/* Fills those fields of a record, and id with the request's; they borrow from note. */
void access_note_fill(const struct access_note *note, struct access_record *r);

/* A copy of its own in as little memory as it needs, for a session. NULL: no memory. */
struct access_note *access_note_copy(const struct access_note *note);
void access_note_free(struct access_note *note); /* of a copy; NULL is fine */

/* ---- where lines go; one per worker ---- */

struct access {
	struct sink_feed *feed; /* owned; NULL: off */
	enum log_format format;
	struct strbuf line; /* kept between lines */
};

/* s NULL: off. False: no memory, and it is off. What was open is closed first. */
bool access_open(struct access *a, struct sink *s, enum log_format format);
void access_close(struct access *a);

static inline bool
access_is_on(const struct access *a)
{
	return a->feed != NULL;
}

/* Formats and puts one line. */
void access_put(struct access *a, const struct access_record *r);

#endif
