/* SPDX-License-Identifier: MIT
 *
 * session.c - states of a session and its end; see session.h.
 *
 * How a session ends, by who says what first (C: client, B: backend):
 *
 *   C says Close        passed to B; B's Close passed to C; both said: end
 *   B says Close        the same the other way round; if B is gone by then, C sees
 *                       its own connection end and may still answer
 *   C's connection ends B gets what C has said, then its connection ends
 *   B's connection ends re-homed where the configuration says so, else C gets 1012
 *   C or B break rules  that side gets 1002, 1007 or 1009, the other 1001 (B), 1011 (C)
 *   roost closes        C gets the code, B gets 1001; end when C has answered
 *   C is silent         the same, with 1001
 *   B is silent         as if its connection had ended, but it gets 1001
 *   nothing happens     end after CLOSE_MS
 */
#include "ws/session_private.h"

#include "base/log.h"
#include "http/access_log.h"
#include "upstream/backend.h"
#include "ws/app_heartbeat.h"
#include "ws/heartbeat.h"
#include "ws/registry.h"
#include <stdlib.h>

enum {
	CLOSE_MS = 5000,
	CLOSE_REPLACED_MS = 1000, /* somebody waits for its place */
};

const char *
session_state_name(enum session_state state)
{
	static const char *const names[] = {
	    [SESSION_CONNECTED] = "connected",
	    [SESSION_RECONNECTING] = "reconnecting",
	    [SESSION_CLOSING] = "closing",
	    [SESSION_CLOSED] = "closed",
	};

	return names[state];
}

void
session_set_state(struct session *s, enum session_state state)
{
	enum session_state old = s->state;

#ifdef ROOST_DEBUG
	/* rows: from; bits: to */
	static const unsigned allowed[] = {
	    [SESSION_CONNECTED] = 1u << SESSION_RECONNECTING | 1u << SESSION_CLOSING |
				  1u << SESSION_CLOSED,
	    [SESSION_RECONNECTING] =
		1u << SESSION_CONNECTED | 1u << SESSION_CLOSING | 1u << SESSION_CLOSED,
	    [SESSION_CLOSING] = 1u << SESSION_CLOSED,
	    [SESSION_CLOSED] = 0,
	};
	assert(allowed[s->state] & 1u << state);
#endif
	s->state = state;
	history_left_state(s, old);
	s->state_ms = clock_now_ms();
	if (old == SESSION_RECONNECTING && state != SESSION_CONNECTED)
		session_drop_unsent(s);
	session_log(LEVEL_DEBUG, TOPIC_SESSION, s, "session is %s, was %s",
	    session_state_name(state), session_state_name(old));
}

/* ---- end ---- */

static void
bury(struct grave *grave)
{
	struct session *s = container_of(grave, struct session, grave);

	backend_put(s->home);
	view_put(s->view);
	greeting_free(s->greeting);
	free(s->rules);
	app_heartbeats_free(s->heartbeats);
	history_free(s->history);
	access_note_free(s->note);
	free(s);
}

/* The first to end it counts; who follows only answers. */
static void
note_end(struct session *s, enum session_side side, unsigned code)
{
	if (s->ended_by != SIDE_NONE)
		return;
	s->ended_by = (uint8_t)side;
	s->end_code = (uint16_t)code;
}

static void
note_end_by(const struct half *h, unsigned code)
{
	note_end(h->session, half_is_client(h) ? SIDE_CLIENT : SIDE_BACKEND, code);
}

void
session_end(struct session *s, enum reason why)
{
	struct registry *r = s->registry;
	bool clean;

	magic_check(s, SESSION_MAGIC);
	if (s->state == SESSION_CLOSED)
		return;
	if (s->why != REASON_NONE)
		why = s->why;
	note_end(s, SIDE_ROOST, CLOSE_ABNORMAL);
	/* after an end that roost or an accident made, the client finds its way back */
	clean = s->ended_by != SIDE_ROOST &&
		(s->end_code == CLOSE_NORMAL || s->end_code == CLOSE_GOING_AWAY);
	/* that a backend was lost is told already: see backend_lost */
	if (s->ended_by != SIDE_BACKEND || s->end_code != CLOSE_ABNORMAL)
		outlier_session_ended(s->up, s->home, s->ended_by == SIDE_BACKEND,
		    s->end_code, &r->loop->random);
	session_set_state(s, SESSION_CLOSED);
	rehome_cancel(s);
	timer_clear(&s->timer);
	session_leave_pin(s, clean);
	atomic_fetch_sub(&s->home->sockets, 1);
	ending_tell(s, why);
	half_shut(&s->client);
	half_shut(&s->backend);
	queue_clear(&s->unsent);
	registry_remove(r, s);
	seat_leave(s); /* who waits for it finds everything gone */
	loop_bury(r->loop, &s->grave, bury);
}

/* ---- closing ---- */

/* Is nothing more to be expected of this side? */
static bool
is_done(const struct half *h)
{
	return h->lost ||
	       (h->close_sent && h->close_code && !stream_queued(&h->stream));
}

/* One that broke the rules cannot be understood any more, and to one whose other side
 * is gone there is nothing more to say. But what it still sends must be read, since the
 * kernel would answer it with a reset that destroys our Close. */
static void
shut_if_over(struct half *h)
{
	if ((h->broke_rules || half_other(h)->lost) && h->close_sent && !h->lost &&
	    !stream_queued(&h->stream))
		stream_shut(&h->stream);
}

static enum reason
cause(const struct session *s)
{
	if (s->client.close_code || s->backend.close_code)
		return REASON_CLOSED;
	return s->client.lost ? REASON_CLIENT_LOST : REASON_SESSION_BACKEND_LOST;
}

static void
end_if_done(struct session *s)
{
	bool backend_out = s->backend.lost || !stream_queued(&s->backend.stream);
	bool client_out = s->client.lost || !stream_queued(&s->client.stream);

	if (s->state != SESSION_CLOSING)
		return;
	shut_if_over(&s->client);
	shut_if_over(&s->backend);
	/* roost began it, or one side is gone: the other only has to be told; but a
	 * client that was told Close has time to answer, or to see that it is over */
	if ((is_done(&s->client) &&
		(is_done(&s->backend) || (backend_out && s->why != REASON_NONE))) ||
	    (s->client.lost && backend_out) ||
	    (s->backend.lost && client_out && !s->why && !s->client.close_sent))
		session_end(s, cause(s));
}

static void
begin_closing(struct session *s)
{
	if (s->state == SESSION_CLOSING)
		return;
	session_set_state(s, SESSION_CLOSING);
	rehome_cancel(s);
	loop_timer(s->registry->loop, &s->timer, CLOSE_MS);
	/* a Close may hide behind what was held or not read so far */
	half_resume(&s->client);
	if (!s->client.lost && stream_is_open(&s->client.stream))
		stream_read_on(&s->client.stream);
	if (!s->backend.lost && stream_is_open(&s->backend.stream))
		stream_read_on(&s->backend.stream);
}

void
session_close(struct session *s, enum reason why, unsigned client_code,
    const char *text)
{
	if (s->state == SESSION_CLOSING || s->state == SESSION_CLOSED)
		return;
	s->why = (uint8_t)why;
	note_end(s, SIDE_ROOST, client_code);
	half_send_close(&s->client, client_code, text);
	half_send_close(&s->backend, CLOSE_GOING_AWAY, text);
	/* in the middle of a frame nothing can be said: then only the end is left */
	if (!s->client.close_sent) {
		session_end(s, why);
		return;
	}
	begin_closing(s);
	end_if_done(s);
}

/* Not 1012 and the like: two clients that both came back at once would throw each other
 * out for ever. */
void
session_make_room(struct session *s)
{
	session_close(s, REASON_REPLACED, CLOSE_POLICY, "replaced by a newer session");
	if (s->state == SESSION_CLOSING &&
	    s->timer.due_ms > clock_now_ms() + CLOSE_REPLACED_MS)
		loop_timer(s->registry->loop, &s->timer, CLOSE_REPLACED_MS);
}

/* ---- what the halves report ---- */

static uint32_t
smoothed(uint32_t mean, uint32_t us, uint32_t n_before)
{
	return n_before ? mean - mean / 8 + us / 8 : us;
}

/* Is it the answer to one of our pings? Others are the application's. */
static bool
is_our_pong(struct half *from, const struct frame_control *control,
    const uint8_t *payload)
{
	uint8_t plain[HEARTBEAT_PAYLOAD];
	uint32_t number, us;

	if (control->opcode != OP_PONG || control->payload_len != sizeof plain)
		return false;
	for (unsigned i = 0; i < sizeof plain; i++)
		plain[i] = payload[i] ^ control->mask[i % 4];
	if (!heartbeat_read(plain, sizeof plain, half_token(from), &number))
		return false;
	if (number == from->pings && from->asked_us) {
		us = (uint32_t)clock_now_us() - from->asked_us;
		from->asked_us = 0; /* a second answer to it tells nothing */
		from->rtt_us = us;
		from->rtt_mean_us = smoothed(from->rtt_mean_us, us, from->pongs++);
		count_add(&from->session->registry->loop->counters, COUNT_PONGS, 1);
		tally(&from->session->counts->pongs[half_side(from)], 1);
	}
	return true;
}

enum control_verdict
session_on_control(struct half *from, const struct frame_control *control,
    const uint8_t *payload)
{
	struct session *s = from->session;
	struct half *to = half_other(from);

	if (control->opcode != OP_CLOSE)
		return is_our_pong(from, control, payload) ? CONTROL_SWALLOW
							   : CONTROL_PASS;
	from->close_code = control->close_code;
	if (!half_is_client(from) && rehome_is_cut(s) && from->close_sent) {
		/* it is the answer to ours; the session goes on */
		from->close_code = 0;
		from->lost = true;
		return CONTROL_SWALLOW;
	}
	note_end_by(from, control->close_code);
	if (to->lost) { /* nobody else will answer it */
		half_send_close(from, control->close_code, "");
		begin_closing(s);
		end_if_done(s);
		return CONTROL_SWALLOW;
	}
	if (to->close_sent) { /* the answer to a Close of ours */
		end_if_done(s);
		return CONTROL_SWALLOW;
	}
	begin_closing(s);
	return CONTROL_PASS;
}

void
session_on_close_passed(struct half *from)
{
	half_other(from)->close_sent = true;
	half_other(from)->told_code = from->close_code;
	end_if_done(from->session);
}

bool
session_on_message(struct half *from)
{
	struct session *s = from->session;

	if (half_is_client(from)) {
		size_note(&s->counts->messages[FROM_CLIENT], from->scan.size);
		s->unanswered++;
		return s->cut_wanted;
	}
	size_note(&s->counts->messages[FROM_BACKEND], from->scan.size);
	if (s->unanswered)
		s->unanswered--;
	else
		s->speaks_unasked = true;
	return false;
}

void
session_on_taken(struct half *from)
{
	struct session *s = from->session;

	if (half_other(from)->ping_due)
		watch_ping_due(half_other(from));
	if (s->heartbeats && !half_is_client(from))
		app_heartbeats_flush(s);
	if (s->state != SESSION_CONNECTED || !s->move)
		return;
	if (from->lost && rehome_is_cut(s))
		rehome_old_is_done(s);
	else
		rehome_look(s);
}

/* What the one who sent it is told. */
static unsigned
bad_frame_code(enum reason why)
{
	return why == REASON_FRAME_TOO_BIG ? CLOSE_TOO_BIG
	       : why == REASON_FRAME_UTF8  ? CLOSE_BAD_DATA
					   : CLOSE_PROTOCOL;
}

void
session_on_bad_frame(struct half *from, enum reason why)
{
	struct session *s = from->session;
	struct half *other = half_other(from);
	bool client = half_is_client(from);
	unsigned code = bad_frame_code(why);

	session_log_kind(KIND_BAD_FRAME, s, "bad frame from %s (%s)",
	    client ? "client" : "backend", reason_text(why));
	count_add(&s->registry->loop->counters,
	    client ? COUNT_BAD_CLIENT_FRAMES : COUNT_BAD_BACKEND_FRAMES, 1);
	tally(&s->counts->bad_frames[half_side(from)], 1);
	if (s->state != SESSION_CLOSING)
		s->why = code != CLOSE_PROTOCOL ? (uint8_t)why
			 : client               ? REASON_CLIENT_PROTOCOL
						: REASON_BACKEND_PROTOCOL;
	note_end(s, SIDE_ROOST, code);
	half_send_close(from, code, reason_text(why));
	half_send_close(other, client ? CLOSE_GOING_AWAY : CLOSE_INTERNAL,
	    "the other side broke a rule");
	from->broke_rules = true;
	if (!other->close_sent && !other->lost) {
		/* it stands in the middle of a frame: the end is all it can be told */
		other->lost = true;
		half_shut(other);
	}
	begin_closing(s);
	end_if_done(s);
}

static void
backend_lost(struct session *s, enum reason why, const struct frame_scanner *before,
    const uint8_t *p, size_t n)
{
	outlier_session_ended(s->up, s->home, true, CLOSE_ABNORMAL,
	    &s->registry->loop->random);
	if (n)
		session_keep_unsent(s, *before, p, n, 0);
	else
		session_keep_queue(s);
	half_shut(&s->backend);
	rehome_after_loss(s, why);
}

void
session_on_lost(struct half *h, const struct frame_scanner *before, const uint8_t *p,
    size_t n)
{
	struct session *s = h->session;

	if (h->lost || s->state == SESSION_CLOSED)
		return;
	h->lost = true;
	stream_read_off(&h->stream);
	if (!half_is_client(h) && rehome_is_cut(s)) {
		rehome_old_is_done(s);
		return;
	}
	note_end_by(h, CLOSE_ABNORMAL);
	if (half_is_client(h)) {
		begin_closing(s);
	} else if (s->state == SESSION_CONNECTED) {
		backend_lost(s, REASON_SESSION_BACKEND_LOST, before, p, n);
		return;
	} else if (s->client.close_code) {
		/* it ended without an answer: the client gets its own code back */
		half_send_close(&s->client, s->client.close_code, "");
	}
	end_if_done(s);
}

void
session_on_leaving(struct session *s)
{
	if (s->state != SESSION_RECONNECTING)
		return;
	s->ended_by = SIDE_NONE; /* it is not for want of a backend */
	begin_closing(s);
}

void
session_on_silent(struct half *h, enum reason why, unsigned code, const char *text)
{
	struct session *s = h->session;

	session_log_kind(KIND_SILENT, s, "%s given up (%s)",
	    half_is_client(h) ? "client" : "backend", reason_text(why));
	if (half_is_client(h) || s->state != SESSION_CONNECTED) {
		session_close(s, why, code, text);
		return;
	}
	/* it may hear this when it wakes up; behind a queue it would never come */
	if (stream_queued(&h->stream) == 0) {
		half_send_close(h, CLOSE_GOING_AWAY, text);
		queue_clear(&h->stream.out); /* it is not a message to be kept */
	}
	h->lost = true;
	stream_read_off(&h->stream);
	note_end_by(h, CLOSE_ABNORMAL);
	backend_lost(s, why, &s->client.scan, NULL, 0);
}

void
session_on_blocked(struct half *h)
{
	enum session_state state = h->session->state;

	if (state == SESSION_CONNECTED || state == SESSION_RECONNECTING)
		watch_blocked(h);
}

bool
session_on_small_text(struct half *from, struct str text)
{
	struct session *s = from->session;

	return s->state == SESSION_CONNECTED && app_heartbeats_take(s, text);
}

void
session_on_drained(struct half *h)
{
	struct session *s = h->session;
	struct half *feeder = half_other(h);

	h->alive_ms = clock_now_ms(); /* it has taken something */
	if (s->state == SESSION_CONNECTED || s->state == SESSION_CLOSING)
		half_resume(feeder);
	end_if_done(s);
}

void
session_close_timed_out(struct session *s)
{
	session_end(s, REASON_CLOSE_TIMEOUT);
}
