/* SPDX-License-Identifier: MIT
 *
 * session_private.h - what the files of ws/ share about a session.
 */
#ifndef ROOST_WS_SESSION_PRIVATE_H
#define ROOST_WS_SESSION_PRIVATE_H

#include "base/addr.h"
#include "base/object.h"
#include "base/str.h"
#include "loop/loop.h"
#include "route/choose.h"
#include "upstream/view.h"
#include "ws/half.h"
#include "ws/handshake.h"
#include "ws/session.h"

struct group;
struct rehoming;
struct session;

enum { SESSION_ID = 16 }; /* hex digits */

/* Is it cut off from its old backend, and not yet with the new one? */
bool rehome_is_cut(const struct session *s);

enum session_side { SIDE_NONE, SIDE_CLIENT, SIDE_BACKEND, SIDE_ROOST };

/* What a session keeps of its opening handshake, in one block. */
struct greeting {
	char key[HANDSHAKE_KEY + 1];
	bool cuttable;         /* any message boundary is a clean cut */
	struct str protocol;   /* agreed, or empty */
	struct str extensions; /* agreed, or empty */
	struct str request; /* the head as the backend got it, without Roost-Session and
			       final line; empty where the session cannot be moved */
	char text[];        /* all of the above */
};

/* A WebSocket session: two halves and the claim on the pin that chose the backend.
 * Owner: registry of the worker.     Freed by: session_end, at end of turn.
 * Thread: its worker only; others know it by its client key. */
struct session {
	MAGIC
	enum session_state state;
	struct half client, backend;
	struct registry *registry; /* borrowed */
	struct view *view;         /* a reference */
	const struct upstream *up; /* of the view */
	struct backend *home;      /* a reference: whom the backend half talks to */
	struct claim claim;
	struct greeting *greeting; /* owned; NULL where the mode is not transparent */
	struct rehoming *move;     /* owned; NULL: not being re-homed */
	struct queue unsent; /* messages no backend has accepted, first for the next */
	struct session *next, *prev;               /* in the registry */
	struct session *next_of_key, *prev_of_key; /* in its group */
	struct group *group;
	struct timer timer; /* CLOSING: its limit; else: the spread of a shutdown */
	struct grave grave;
	struct addr peer;
	uint64_t opened_ms;
	uint64_t heard_ms; /* when either side last said anything */
	uint32_t
	    unanswered;   /* client messages less backend messages, never below 0: where
			     each question has one answer, the questions open now */
	uint16_t moves;   /* re-homed so often */
	uint8_t tries;    /* to re-home it that failed, since one went well */
	uint8_t why;      /* enum reason: of a close that roost began */
	uint8_t ended_by; /* enum session_side: who was the first to end it */
	uint16_t end_code; /* that side's code */
	bool cut_wanted;   /* cut the client off at its next message boundary */
	bool immovable;    /* a backend refused its handshake: it stays where it is */
	char id[SESSION_ID + 1];
};

#define SESSION_MAGIC 0x53455353u

static inline struct half *
half_other(struct half *h)
{
	struct session *s = h->session;

	return h == &s->client ? &s->backend : &s->client;
}

static inline bool
half_is_client(const struct half *h)
{
	return h == &h->session->client;
}

/* Is this the client of a session that is between two backends? */
static inline bool
half_must_wait(const struct half *h)
{
	const struct session *s = h->session;

	return half_is_client(h) &&
	       (s->state == SESSION_RECONNECTING || rehome_is_cut(s));
}

/* The only writer of the state. */
void session_set_state(struct session *s, enum session_state state);

/* ---- what half.c tells session.c ---- */

enum control_verdict { CONTROL_PASS, CONTROL_SWALLOW };

/* A whole control frame came from `from`. A Close passed on begins the closing. */
enum control_verdict session_on_control(struct half *from,
    const struct frame_control *control);

/* The Close that `from` said has been passed on. */
void session_on_close_passed(struct half *from);

/* A message ended. True: consume nothing after it for now. */
bool session_on_message(struct half *from);

/* What could be consumed has been; the rest is held. */
void session_on_taken(struct half *from);

/* It broke the protocol. */
void session_on_bad_frame(struct half *from, enum reason why);

/* End of stream, error, or a write that failed. `p`: bytes from `before` on that were
 * just to be written to it and were not accepted, or n = 0. */
void session_on_lost(struct half *h, const struct frame_scanner *before,
    const uint8_t *p, size_t n);

/* Its queue has drained. */
void session_on_drained(struct half *h);

/* ---- what rehome.c and session.c tell each other ---- */

/* The backend half is gone and the session should go on: finds another backend. */
void rehome_after_loss(struct session *s);

/* While the old backend drains: it said Close, or its connection ended. */
void rehome_old_is_done(struct session *s);

/* Something was said while the session is on its way: is this the moment to cut? */
void rehome_look(struct session *s);

/* Drops a move under way; the session stays as it is. */
void rehome_cancel(struct session *s);

/* Puts aside what of data[0..n) no backend has accepted, beginning with the first
 * message boundary at or after `at`; `state` is the scanner's at data[0]. Counts a
 * message that was cut in two as lost. */
void session_keep_unsent(struct session *s, struct frame_scanner state,
    const uint8_t *data, size_t n, size_t at);

/* For upgrade.c: prepares the timer of a new session. */
void session_arm(struct session *s);

#endif
