/* SPDX-License-Identifier: MIT
 *
 * half.h - one side of a session: its connection, scanner and what it has not passed
 * on.
 *
 * Bytes go from one half to the other as they come: scanned, never copied, except for
 * an incomplete header or control frame, and what is read beyond a cut. When the other
 * half does not take more, this one is not read; so a session holds at most one read's
 * worth of bytes per direction, and an idle one none.
 *
 * There is one writer: everything that goes to a side is written by half.c, what the
 * other side said at once, frames of our own (Close, ping, answers to heartbeats of the
 * application) only where the other side's scanner stands between frames, or messages.
 * Nothing is written after a Close.
 */
#ifndef ROOST_WS_HALF_H
#define ROOST_WS_HALF_H

#include "net/stream.h"
#include "ws/frame.h"

struct session;

enum {
	WATCH_HEARTBEATS = 1, /* they may be heartbeats of the application */
	WATCH_REPLAY = 2,     /* a new backend may have to hear them: replay.h */
	WATCH_END = 4         /* nothing is consumed after the one under way */
};

/* Owner: the session it is embedded in. Thread: its worker's. */
struct half {
	struct stream stream; /* first: stream callbacks cast back */
	/* what every read and message touches, in as few cache lines as can be */
	struct session *session;
	struct frame_scanner scan; /* where reading stands */
	uint64_t messages;         /* that came from this side */
	uint64_t bytes;            /* that came from this side */
	uint64_t alive_ms;         /* its last sign of life: see heartbeat.h */
	uint16_t close_code;       /* of the Close it sent; 0: none yet */
	bool close_sent;           /* a Close was written to it: nothing may follow */
	bool lost;                 /* its end or an error was seen */
	bool broke_rules;          /* it is not listened to any more */
	bool skip;         /* pass nothing on until the message under way has ended */
	bool ping_due;     /* it is to be pinged at the next frame boundary */
	uint8_t watched;   /* WATCH_...: its messages are looked at */
	struct queue held; /* read, not yet consumed */
	/* the rest is for silence and the end */
	uint64_t asked_ms;     /* when our last ping went to it; 0: never */
	uint32_t asked_us;     /* the same, precise; wraps; 0: answered */
	uint32_t pings, pongs; /* of ours: sent, answered */
	uint32_t rtt_us;       /* of the last one */
	uint32_t rtt_mean_us;  /* smoothed as that of TCP is (RFC 6298) */
	uint32_t stuck_ms;     /* since when its queue has not moved; wraps; 0: not
				  known */
	uint32_t stuck_at;     /* where its queue stood then */
	uint16_t told_code;    /* of the Close that was written to it; 0: none yet */
	/* what it said broke the old backend, and a new one is there already */
	bool went_over;
};

/* For stream_init and stream_move. */
extern const struct stream_ops half_ops;

/* Consumes bytes that came from this side: passes on what may be passed, keeps the rest
 * in held. The session may be closed afterwards. */
void half_take(struct half *from, const uint8_t *p, size_t n);

/* Reads on. What it did not say while it was not read counts for nothing. */
void half_listen(struct half *h);

/* Consumes what is held, then reads on. */
void half_resume(struct half *h);

/* Writes a Close frame and remembers that nothing may follow. Does nothing when one
 * was written, or in the middle of a frame (the other side's scanner tells). */
void half_send_close(struct half *to, unsigned code, const char *text);

/* Pings it, now or at the next frame boundary. It may be lost afterwards. */
void half_send_ping(struct half *to);

/* Writes a whole text message, where one may stand now; else does nothing and returns
 * false. It may be lost afterwards. */
bool half_send_text(struct half *to, const void *text, size_t n);

/* Writes bytes of the other side that were kept for it, whole messages. */
enum stream_wrote half_replay(struct half *to, const void *p, size_t n);

/* The connection is gone: nothing is read or written any more. */
void half_shut(struct half *h);

#endif
