/* SPDX-License-Identifier: MIT
 *
 * session_private.h - what the files of ws/ share about a session.
 */
#ifndef ROOST_WS_SESSION_PRIVATE_H
#define ROOST_WS_SESSION_PRIVATE_H

#include "base/addr.h"
#include "base/log.h"
#include "base/object.h"
#include "base/str.h"
#include "loop/loop.h"
#include "route/choose.h"
#include "upstream/books.h"
#include "upstream/view.h"
#include "ws/half.h"
#include "ws/handshake.h"
#include "ws/replay.h"
#include "ws/session.h"

struct access_note;
struct app_heartbeats;
struct group;
struct history;
struct rehoming;
struct seat;
struct session;

enum { SESSION_ID = 16 }; /* hex digits */

/* Is it cut off from its old backend, and not yet with the new one? */
bool rehome_is_cut(const struct session *s);

enum session_side { SIDE_NONE, SIDE_CLIENT, SIDE_BACKEND, SIDE_ROOST };

/* What a session keeps of its opening handshake, in one block. */
struct greeting {
	char key[HANDSHAKE_KEY + 1];
	bool cuttable;         /* any message boundary is a clean cut */
	bool replays;          /* a struct replay lies in front of it */
	struct str protocol;   /* agreed, or empty */
	struct str extensions; /* agreed, or empty */
	struct str reached; /* a struct addr, which the client came to; empty: ask its
			       socket */
	struct str request; /* the head as the backend got it, without extensions,
			       Roost-Session and final line; empty where the session
			       cannot be moved */
	char text[];        /* all of the above */
};

/* Where the upstream replays messages; elsewhere a greeting stands alone. */
struct greeting_replaying {
	struct replay replay;
	struct greeting greeting;
};

static inline struct replay *
greeting_replay(struct greeting *g)
{
	return &container_of(g, struct greeting_replaying, greeting)->replay;
}

void greeting_free(struct greeting *g); /* NULL is fine */

/* A WebSocket session: two halves and the claim on the pin that chose the backend.
 * Owner: registry of the worker.     Freed by: session_end, at end of turn.
 * Thread: its worker only; others know it by its client key. What few sessions need is
 * allocated for those: an idle plain one has to be small. */
struct session {
	MAGIC
	/* what every message touches */
	enum session_state state;
	uint32_t
	    unanswered;  /* client messages less backend messages, never below 0: where
			    each question has one answer, the questions open now */
	uint32_t token;  /* known to the peers and us: see heartbeat.h */
	bool cut_wanted; /* cut the client off at its next message boundary */
	bool speaks_unasked; /* the backend has said something that was no answer */
	struct registry *registry;         /* borrowed */
	struct upstream_counts *counts;    /* borrowed from the view: what happens to it
					      is counted there */
	struct rehoming *move;             /* owned; NULL: not being re-homed */
	struct frame_rules *rules;         /* owned; NULL: none */
	struct app_heartbeats *heartbeats; /* owned; NULL: the route has none */
	struct half client, backend;
	/* the rest is for its ends and what comes between */
	struct frame_scanner queue_from; /* where backend.stream.out.data begins */
	struct view *view;               /* a reference */
	const struct upstream *up;       /* of the view */
	struct backend *home; /* a reference: whom the backend half talks to */
	struct claim claim;
	struct greeting *greeting; /* owned; NULL where the mode is not transparent */
	struct history *history;   /* owned; NULL: nothing happened so far */
	struct seat *seat;         /* owned; NULL: nobody counts */
	struct access_note *note;  /* owned; NULL: no access log */
	struct queue unsent; /* messages no backend has accepted, first for the next */
	struct session *next, *prev;               /* in the registry */
	struct session *next_of_key, *prev_of_key; /* in its group */
	struct group *group;
	struct timer timer; /* CLOSING: its limit; else: when to look at it: watch.c */
	struct grave grave;
	struct addr peer;
	uint64_t opened_ms;
	uint64_t state_ms; /* since when it is in its state */
	uint64_t ends_ms;  /* when ends_why is to end it */
	uint16_t moves;    /* re-homed so often */
	uint16_t end_code; /* the code of the side that ended it */
	uint8_t tries;     /* to re-home it that failed, since one went well */
	uint8_t why;       /* enum reason: of a close that roost began */
	uint8_t ends_why;  /* enum reason: SESSION_AGE, SHUTDOWN, UPGRADED, or NONE */
	uint8_t ended_by;  /* enum session_side: who was the first to end it */
	uint8_t chosen_by; /* enum choose_by */
	uint8_t jitter;    /* spreads its dates: see heartbeat_jitter */
	bool immovable;    /* a backend refused its handshake: it stays where it is */
	uint8_t sent_for;  /* why ends_why sends it away, as counted: see away.c */
	bool sent_away;    /* its client is expected to come back: see away.c */
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

static inline unsigned
half_side(const struct half *h)
{
	return half_is_client(h) ? FROM_CLIENT : FROM_BACKEND;
}

/* What marks our pings to this side; the other side's is another. */
static inline uint32_t
half_token(const struct half *h)
{
	return half_is_client(h) ? h->session->token : ~h->session->token;
}

/* The last sign of life of either side. */
static inline uint64_t
session_heard_ms(const struct session *s)
{
	return s->client.alive_ms > s->backend.alive_ms ? s->client.alive_ms
							: s->backend.alive_ms;
}

/* What a line about it says beside the message. Borrows from s. */
struct log_about session_about(const struct session *s);

#define session_log(level, topic, s, ...)                                  \
	do {                                                               \
		if (log_enabled(topic, level)) {                           \
			const struct log_about about_ = session_about(s);  \
			log_write((level), (topic), &about_, __VA_ARGS__); \
		}                                                          \
	} while (0)

/* Of a kind, and its level and topic. */
#define session_log_kind(kind, s, ...)                                          \
	do {                                                                    \
		if (log_kind_enabled(kind)) {                                   \
			const struct log_about about_ = session_about(s);       \
			log_write(log_kinds[kind].level, log_kinds[kind].topic, \
			    &about_, __VA_ARGS__);                              \
		}                                                               \
	} while (0)

/* The only writer of the state. */
void session_set_state(struct session *s, enum session_state state);

/* ---- what half.c tells session.c ---- */

enum control_verdict { CONTROL_PASS, CONTROL_SWALLOW };

/* A whole control frame came from `from`, its (masked) payload lies there. A Close
 * passed on begins the closing. */
enum control_verdict session_on_control(struct half *from,
    const struct frame_control *control, const uint8_t *payload);

/* The Close that `from` said has been passed on. */
void session_on_close_passed(struct half *from);

/* A message ended that is passed on. True: consume nothing after it for now. */
bool session_on_message(struct half *from);

/* A small text message came whole from a client that is watched. True: it was a
 * heartbeat that is answered and not passed on. */
bool session_on_small_text(struct half *from, struct str text);

/* A piece of a message of a client with WATCH_REPLAY has gone to the backend, or goes
 * in a moment; ends: its last. */
void session_on_piece(struct half *from, const uint8_t *p, size_t n, bool ends);

/* A message has ended that goes to no backend. */
void session_on_not_passed(struct half *from);

/* What could be consumed has been; the rest is held. */
void session_on_taken(struct half *from);

/* It broke the protocol. */
void session_on_bad_frame(struct half *from, enum reason why);

/* End of stream, error, or a write that failed. `p`: bytes from `before` on that were
 * just to be written to it and were not accepted, or n = 0. */
void session_on_lost(struct half *h, const struct frame_scanner *before,
    const uint8_t *p, size_t n);

/* It does not take what is written to it: its queue has begun. */
void session_on_blocked(struct half *h);

/* Its queue has drained. */
void session_on_drained(struct half *h);

/* While it has no backend, the client says Close. */
void session_on_leaving(struct session *s);

/* It is given up: no answer to a ping, nothing taken for too long ... The client is
 * closed with `code`; a backend counts as lost. */
void session_on_silent(struct half *h, enum reason why, unsigned code,
    const char *text);

/* The closing took too long. */
void session_close_timed_out(struct session *s);

/* ---- what rehome.c and session.c tell each other ---- */

/* The backend half is gone (why says how) and the session should go on: finds another
 * backend. */
void rehome_after_loss(struct session *s, enum reason why);

/* While the old backend drains: it said Close, or its connection ended. */
void rehome_old_is_done(struct session *s);

/* Something was said while the session is on its way: is this the moment to cut? */
void rehome_look(struct session *s);

/* Drops a move under way; the session stays as it is. */
void rehome_cancel(struct session *s);

/* ---- unsent.c: what a lost backend did not take ---- */

/* Puts aside for the next backend what of data[0..n), of which it took the first `at`
 * bytes, it cannot have got whole; `state` is the scanner's at data[0]. Counts what may
 * be lost. Where the session cannot be moved it only counts. */
void session_keep_unsent(struct session *s, struct frame_scanner state,
    const uint8_t *data, size_t n, size_t at);

/* So many messages wait in s->unsent. */
uint64_t session_count_unsent(const struct session *s);
/* The same of the backend half's queue, which may be empty. */
void session_keep_queue(struct session *s);

/* No backend will get what was put aside and what the client said since: counts it. */
void session_drop_unsent(struct session *s);

/* ---- away.c: clients that are to come back elsewhere ---- */

/* Closes the client, and keeps a place for it on the backend its pin points to. `cause`
 * is what it is counted under: an enum move_why, or MOVE_LOST. */
void session_close_away(struct session *s, enum reason why, unsigned cause,
    unsigned code, const char *text);

/* The same, delay_ms from now, with the code that belongs to `why`: see watch.c. */
void session_send_away(struct session *s, enum reason why, unsigned cause,
    uint64_t delay_ms);

/* The session is over: it leaves its pin, and its place there if it does not come back.
 */
void session_leave_pin(struct session *s, bool clean);

/* ---- upgrade.c ---- */

/* The kernel watches over this side as well: always over what is sent, and over silence
 * where no pings of ours break it. */
void session_watch_peer(const struct half *h);

/* ---- watch.c: what time does to a session ---- */

/* For upgrade.c: prepares the timer of a new session. */
void watch_init(struct session *s);

/* Sets the timer anew: dates may have come nearer. */
void watch_arm(struct session *s);

/* This side's queue has begun. */
void watch_blocked(struct half *h);

/* It was to be pinged, and the other side has come to a frame boundary. */
void watch_ping_due(struct half *h);

/* Should the timer have found it dead, and has not? For the sweep. */
bool watch_is_overdue(const struct session *s, uint64_t now_ms);

/* Takes over what its upstream says of all its sessions; after a reload again. False:
 * no memory, the limits on messages are not held. */
bool session_follow_settings(struct session *s) MUST_CHECK;

/* ---- app_heartbeat.c ---- */

/* For upgrade.c: the route has some. False: no memory. */
bool app_heartbeats_begin(struct session *s, struct view *view,
    const struct config_route *route);
void app_heartbeats_free(struct app_heartbeats *a); /* NULL is fine */

/* Is this message of the client a heartbeat? Answers it. True: it goes no further. */
bool app_heartbeats_take(struct session *s, struct str message);

/* The client may take what waits for it: the backend may have ended a message. */
void app_heartbeats_flush(struct session *s);

/* ---- history.c: what happened to a session, in few bytes ---- */

/* It was in `state` from since_ms until now. */
void history_left_state(struct session *s, enum session_state state);

/* It was with this backend until now. */
void history_left_home(struct session *s, struct backend *home);

enum history_event { HISTORY_TRIED, HISTORY_SUCCEEDED, HISTORY_FAILED };
void history_note(struct session *s, enum history_event event);

/* Client messages that may be lost, and that were put aside to be sent again. */
void history_note_messages(struct session *s, uint32_t lost, uint32_t again);
void history_free(struct history *h); /* NULL is fine */

/* ---- seat.c: a client's place among its sessions ---- */

/* A newer session of the client waits for this one's end: it comes within a second. */
void session_make_room(struct session *s);

struct quota_seat;

/* Takes over the exchange's seat. Without memory for it the session is not counted. */
void seat_take(struct session *s, struct quota_seat *from);

/* Gives it back. */
void seat_leave(struct session *s);

/* ---- ending.c: what is told of a session that is over ---- */

void ending_tell(const struct session *s, enum reason why);

#endif
