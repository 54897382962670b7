/* SPDX-License-Identifier: MIT
 *
 * frame.h - scanner and writer of WebSocket frames (RFC 6455, 5). Pure.
 *
 * The scanner reads only headers: it never unmasks, copies or keeps payload. It asks
 * that an incomplete header or control frame (at most FRAME_CARRY bytes) be shown
 * again with what follows, so what has been consumed always ends with a whole header,
 * inside the payload of a data frame, or at the end of a frame.
 */
#ifndef ROOST_WS_FRAME_H
#define ROOST_WS_FRAME_H

#include "base/reasons.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_CARRY = 14 + 125, FRAME_HEADER_MAX = 14 };

enum opcode {
	OP_CONTINUATION = 0,
	OP_TEXT = 1,
	OP_BINARY = 2,
	OP_CLOSE = 8,
	OP_PING = 9,
	OP_PONG = 10
};

enum {
	CLOSE_NORMAL = 1000,
	CLOSE_GOING_AWAY = 1001,
	CLOSE_PROTOCOL = 1002,
	CLOSE_NO_STATUS = 1005,
	CLOSE_ABNORMAL = 1006,
	CLOSE_BAD_DATA = 1007,
	CLOSE_TOO_BIG = 1009,
	CLOSE_INTERNAL = 1011,
	CLOSE_RESTART = 1012,
	CLOSE_TRY_LATER = 1013
};

/* One direction of one connection. 16 bytes; made by frame_scanner_init. */
struct frame_scanner {
	uint64_t left;   /* payload bytes left of the data frame we are in */
	uint8_t opcode;  /* of the data frame we are in or were in last */
	bool fin;        /* that frame is the last of its message */
	bool in_message; /* a message has begun and not ended */
	bool masked : 1; /* every frame must be (client to server), else none may */
	bool
	    compressed : 1; /* permessage-deflate was agreed: RSV1 allowed (RFC 7692) */
};

void frame_scanner_init(struct frame_scanner *s, bool masked, bool compressed);

/* Between messages: the stream may be cut or a message inserted here. */
static inline bool
frame_between_messages(const struct frame_scanner *s)
{
	return s->left == 0 && !s->in_message;
}

/* Between frames: a control frame may be inserted here. */
static inline bool
frame_between_frames(const struct frame_scanner *s)
{
	return s->left == 0;
}

enum frame_event {
	FRAME_MORE,    /* p is used up but for an incomplete header or control frame */
	FRAME_MESSAGE, /* a message ended with the last consumed byte */
	FRAME_CONTROL, /* exactly one whole control frame was consumed, see *control_r
			*/
	FRAME_BAD /* *why_r; nothing at or after the consumed bytes may be passed on */
};

struct frame_control {
	enum opcode opcode;
	uint16_t close_code; /* of OP_CLOSE: CLOSE_NO_STATUS when it has no payload */
	uint8_t header_len;
	uint8_t payload_len;
	uint8_t mask[4]; /* zeroes when unmasked */
};

/* Scans p[0..n) to the next event and returns how many bytes are consumed. A control
 * frame never shares its call with payload in front of it: what lies before it is
 * consumed first and reported as MORE with consumed < n (call again at once), so the
 * caller can pass on or swallow exactly the control frame. MORE with nothing consumed
 * and n > 0 means: wait for more bytes. Callers loop while something is consumed. */
size_t frame_scan(struct frame_scanner *s, const uint8_t *p, size_t n,
    enum frame_event *event_r, struct frame_control *control_r, enum reason *why_r);

/* May this code stand in a Close frame on the wire? (RFC 6455, 7.4: 1000-1003,
 * 1007-1014, 3000-4999) */
bool close_code_is_legal(unsigned code);

/* Writes one whole unfragmented frame with payload of at most 125 bytes; masked with a
 * key of its own when asked. Returns its length, at most FRAME_CARRY. */
size_t frame_write_control(uint8_t out[FRAME_CARRY], enum opcode opcode,
    const void *payload, size_t n, bool masked);

/* The same for a Close with code (CLOSE_NO_STATUS: without payload) and text, which is
 * cut at 123 bytes. */
size_t frame_write_close(uint8_t out[FRAME_CARRY], unsigned code, const char *text,
    bool masked);

#endif
