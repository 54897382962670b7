/* SPDX-License-Identifier: MIT
 *
 * frame.h - scanner and writer of WebSocket frames (RFC 6455, 5). Pure.
 *
 * The scanner reads only headers: it never unmasks, copies or keeps payload. It asks
 * that an incomplete header or control frame (at most FRAME_CARRY bytes) be shown
 * again with what follows, so what has been consumed always ends with a whole header,
 * inside the payload of a data frame, or at the end of a frame.
 *
 * Where text is to be checked for UTF-8 it looks at payload through the mask, in place.
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
	CLOSE_UNSUPPORTED = 1003,
	CLOSE_NO_STATUS = 1005,
	CLOSE_ABNORMAL = 1006,
	CLOSE_BAD_DATA = 1007,
	CLOSE_POLICY = 1008,
	CLOSE_TOO_BIG = 1009,
	CLOSE_INTERNAL = 1011,
	CLOSE_RESTART = 1012,
	CLOSE_TRY_LATER = 1013,
	CLOSE_BAD_GATEWAY = 1014
};

/* What the administrator asks beyond the RFC; 0: no limit. A message is as big as its
 * frames' payloads together, as they are on the wire: of a compressed one nobody here
 * knows more. Text is checked where it is not compressed. */
struct frame_rules {
	uint64_t max_frame, max_message;
	bool utf8;
};

/* One direction of one connection. 24 bytes; made by frame_scanner_init. */
struct frame_scanner {
	uint64_t left;   /* payload bytes left of the data frame we are in */
	uint64_t size;   /* of the message so far, with the whole of that frame */
	uint8_t mask[4]; /* of that frame, turned to its next byte; only of `text` */
	uint8_t opcode;  /* of the data frame we are in or were in last */
	uint8_t utf8;    /* state of the text so far */
	bool fin : 1;    /* that frame is the last of its message */
	bool in_message : 1; /* a message has begun and not ended */
	bool text : 1;       /* it is to be checked */
	bool masked : 1;     /* every frame must be (client to server), else none may */
	bool compressed : 1; /* RSV1 is allowed: permessage-deflate was agreed */
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
	FRAME_CONTROL, /* exactly one whole control frame was consumed: *control_r */
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
 * and n > 0 means: wait for more bytes. Callers loop while something is consumed.
 * A frame whose text proves bad is not consumed where it began in this call, so that
 * nothing of it need be passed on. rules may be NULL: none. */
size_t frame_scan(struct frame_scanner *s, const struct frame_rules *rules,
    const uint8_t *p, size_t n, enum frame_event *event_r,
    struct frame_control *control_r, enum reason *why_r);

/* May this code stand in a Close frame on the wire? (RFC 6455, 7.4: 1000-1003,
 * 1007-1014, 3000-4999) */
bool close_code_is_legal(unsigned code);

/* Writes one whole unfragmented frame with payload of at most 125 bytes; masked with a
 * key of its own when asked. Returns its length, at most FRAME_CARRY. */
size_t frame_write_control(uint8_t out[FRAME_CARRY], enum opcode opcode,
    const void *payload, size_t n, bool masked);

/* The same for a Close with code and text, which is cut at 123 bytes. A code that may
 * not stand on the wire (1005, 1006, 1015 ...) is left out, and the text with it. */
size_t frame_write_close(uint8_t out[FRAME_CARRY], unsigned code, const char *text,
    bool masked);

/* Writes the header of one whole unmasked text message of n bytes, as a server sends
 * it; returns its length, at most FRAME_HEADER_MAX. */
size_t frame_write_text_header(uint8_t out[FRAME_HEADER_MAX], size_t n);

#endif
