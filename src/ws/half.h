/* SPDX-License-Identifier: MIT
 *
 * half.h - one side of a session: its connection, scanner and what it has not passed
 * on.
 *
 * Bytes go from one half to the other as they come: scanned, never copied, except for
 * an incomplete header or control frame, and what is read beyond a cut. When the other
 * half does not take more, this one is not read; so a session holds at most one read's
 * worth of bytes per direction, and an idle one none.
 */
#ifndef ROOST_WS_HALF_H
#define ROOST_WS_HALF_H

#include "net/stream.h"
#include "ws/frame.h"

struct session;

/* Owner: the session it is embedded in. Thread: its worker's. */
struct half {
	struct stream stream; /* first: stream callbacks cast back */
	struct session *session;
	struct frame_scanner scan;       /* where reading stands */
	struct frame_scanner queue_from; /* where stream.out.data begins (keep_whole) */
	struct queue held;               /* read, not yet consumed */
	uint64_t messages;               /* that came from this side */
	uint64_t bytes;                  /* that came from this side */
	uint16_t close_code;             /* of the Close it sent; 0: none yet */
	bool close_sent;  /* a Close was written to it: nothing may follow */
	bool lost;        /* its end or an error was seen */
	bool broke_rules; /* it is not listened to any more */
	bool skip;        /* pass nothing on until the message under way has ended */
};

/* For stream_init and stream_move. */
extern const struct stream_ops half_ops;

/* Consumes bytes that came from this side: passes on what may be passed, keeps the rest
 * in held. The session may be closed afterwards. */
void half_take(struct half *from, const uint8_t *p, size_t n);

/* Consumes what is held, then reads on. */
void half_resume(struct half *h);

/* Writes a Close frame and remembers that nothing may follow. Does nothing when one
 * was written, or in the middle of a frame (the other side's scanner tells). */
void half_send_close(struct half *to, unsigned code, const char *text);

/* The connection is gone: nothing is read or written any more. */
void half_shut(struct half *h);

#endif
