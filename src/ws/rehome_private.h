/* SPDX-License-Identifier: MIT
 *
 * rehome_private.h - what the files of a move share: rehome.c (its beginning, its tries
 * and its end), rehome_dial.c (the new backend's connection and answer), rehome_cut.c
 * (from one backend to the other), rehome_replay.c (what the new one has to hear
 * before). The picture is in rehome.h.
 */
#ifndef ROOST_WS_REHOME_PRIVATE_H
#define ROOST_WS_REHOME_PRIVATE_H

#include "base/strbuf.h"
#include "ws/answers.h"
#include "ws/rehome.h"
#include "ws/session_private.h"

struct conn;

enum move_state {
	MOVE_WAITING,  /* for its turn, or for the next try */
	MOVE_DIALING,  /* for the new backend to accept */
	MOVE_GREETING, /* for its 101 */
	MOVE_CUTTING,  /* for a moment to cut the client off */
	MOVE_SETTLING, /* for the old backend to answer what was asked before the cut */
	MOVE_DRAINING, /* for its Close */
	MOVE_REPLAYING /* for the new backend's answers to what is replayed */
};

/* One session on its way. Owner: the session. Freed at the end of the turn. */
struct rehoming {
	struct session *session; /* borrowed */
	struct backend *to;      /* a reference */
	struct backend
	    *next;         /* a reference: the client was sent on meanwhile; or NULL */
	struct conn *conn; /* owned: the new backend's; NULL: none, or lost */
	struct strbuf answer; /* what it has said so far; after its head: early words */
	struct answers answers; /* REPLAYING: what of it is not for the client */
	size_t replay_at;       /* REPLAYING: where the next message is */
	unsigned replayed;      /* messages */
	struct timer timer;
	struct grave grave;
	uint64_t cut_us;   /* when the client was cut off */
	uint64_t until_ms; /* WAITING, CUTTING, SETTLING: not longer than that */
	enum move_state state;
	bool overtime; /* DRAINING: only the message under way may end */
	enum move_why why;
	bool found_dead; /* WAITING: for a backend that refused us; it may be back
			    sooner */
};

/* Why it moves, as it is counted. */
static inline unsigned
move_cause(const struct rehoming *m)
{
	return m->session->state == SESSION_RECONNECTING ? MOVE_LOST : m->why;
}

/* Gives up the new backend's connection, and what it has said. */
void move_drop_conn(struct rehoming *m);

/* Ends the move; the session stays with the backend it has. */
void move_end(struct rehoming *m);

/* This try has failed: the move may be over afterwards. */
void move_failed(struct rehoming *m, enum reason why);

/* It has not answered what was replayed: the client is sent away, to log in itself. */
void move_unanswered(struct rehoming *m);

/* The new backend does not want this client (401, 403): the session stays where it is.
 */
void move_refused(struct rehoming *m);

/* ---- rehome_dial.c ---- */

/* Connects to m->to and repeats the handshake; move_agreed or move_failed follows. */
void move_dial(struct rehoming *m);

/* ---- rehome_cut.c ---- */

/* The new backend has agreed: cuts as soon as there is a good moment. */
void move_agreed(struct rehoming *m);

/* CUTTING, SETTLING: nothing was said for a while. */
void move_look_later(struct rehoming *m);

/* The old backend has had its time to say its last words. */
void move_drain_timed_out(struct rehoming *m);

/* The new backend is lost before the client is with it. */
void move_new_lost(struct rehoming *m, enum reason why);

/* The new backend takes over. */
void move_switch_over(struct rehoming *m);

/* ---- rehome_replay.c ---- */

/* The old backend is out: says to the new one what it has to hear; move_switch_over or
 * move_failed follows, perhaps within this call. False: there is nothing to say. */
bool move_replay(struct rehoming *m);

/* The new backend has said something. */
void move_replay_hear(struct rehoming *m);

/* It has taken all that was said. */
void move_replay_drained(struct rehoming *m);

#endif
