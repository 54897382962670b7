/* SPDX-License-Identifier: MIT
 *
 * rehome_cut.c - cuts the client off from the old backend between two messages, hears
 * that out, and hands the client to the new one.
 *
 * What the new backend says meanwhile waits. If it is lost before the old one was told
 * to close, the session goes on with that; later it waits for the next try.
 */
#include "ws/rehome_private.h"

#include "base/log.h"
#include "upstream/backend.h"
#include "upstream/conn.h"
#include "ws/registry.h"

#define GOODBYE "re-homed"

enum {
	QUIET_MS = 100,     /* nothing said for so long: nothing is under way */
	PATIENCE_MS = 1000, /* the same where answers can be expected */
	FEW = 8,            /* so many of them */
	CUT_WITHIN_MS =
	    1000, /* no good moment for so long: the next boundary will do */
};

/* ---- switching ---- */

static void
tell_done(const struct rehoming *m, uint64_t now_us)
{
	const struct session *s = m->session;
	uint64_t pause = m->cut_us ? now_us - m->cut_us : 0;

	count_add(&s->registry->loop->counters, COUNT_REHOMES_DONE, 1);
	tally(&s->counts->moves[MOVES_DONE][move_cause(m)], 1);
	time_note(&s->counts->pauses, short_times, pause);
	session_log_kind(KIND_MOVED, s,
	    "re-homed from %s to %s (%s), pause %llu.%03llu ms%s", s->home->name,
	    m->to->name,
	    s->state == SESSION_RECONNECTING ? "backend lost"
	    : m->why == MOVE_LEAVING         ? "backend leaving"
	    : m->why == MOVE_ASKED           ? "asked for"
					     : "balance",
	    (unsigned long long)pause / 1000, (unsigned long long)pause % 1000,
	    m->replayed ? ", with replay" : "");
}

static void
take_new_home(struct session *s, struct rehoming *m)
{
	struct half *b = &s->backend;
	bool compressed = b->scan.compressed;

	atomic_fetch_sub(&s->home->sockets, 1); /* the new one's was counted by dial */
	history_left_home(s, s->home);          /* keeps the reference */
	s->home = backend_get(m->to);
	half_shut(b);
	b->lost = b->close_sent = b->ping_due = false;
	b->close_code = b->told_code = 0;
	b->watched = 0;
	b->stuck_ms = b->asked_ms = 0;
	b->asked_us = 0;
	b->alive_ms = clock_now_ms();
	s->ended_by = SIDE_NONE;
	frame_scanner_init(&b->scan, false, compressed);
	stream_read_off(&m->conn->stream);
	conn_give_stream(m->conn, &b->stream, &half_ops);
	session_watch_peer(b);
	b->stream.keep_whole = true;
	m->conn = NULL;
}

/* What no backend has accepted yet goes first. */
static void
send_unsent(struct session *s)
{
	struct queue q = s->unsent;

	if (queue_size(&q) == 0)
		return;
	s->unsent = (struct queue){0};
	if (half_replay(&s->backend, queue_bytes(&q), queue_size(&q)) != STREAM_BROKEN)
		queue_clear(&q);
	else
		s->unsent = q; /* it is gone again already: for the one after it */
}

void
move_switch_over(struct rehoming *m)
{
	struct session *s = m->session;
	struct strbuf early = m->answer;
	struct backend *next = m->next;
	enum move_why why = m->why;

	tell_done(m, clock_now_us());
	m->answer = STRBUF_INIT;
	m->next = NULL;
	if (s->state == SESSION_CONNECTED) /* else it has to prove itself: rehome.c */
		s->tries = 0;
	take_new_home(s, m);
	choose_rehome_done(s->registry->chooser, s->up, &s->claim, s->home,
	    clock_now_ms());
	s->moves++;
	history_note(s, HISTORY_SUCCEEDED);
	if (s->state == SESSION_RECONNECTING)
		session_set_state(s, SESSION_CONNECTED);
	move_end(m);
	send_unsent(s);
	if (early.len)
		half_take(&s->backend, (const uint8_t *)early.data, early.len);
	strbuf_fini(&early);
	if (s->state == SESSION_CONNECTED) {
		half_resume(&s->backend);
		half_resume(&s->client);
	}
	if (next)
		rehome_start(s, next, why, 0);
	backend_put(next);
}

/* What the old backend never took goes to the new one; but our Close, the last that was
 * written to it, does not. */
static void
keep_untaken(struct session *s)
{
	struct queue *q = &s->backend.stream.out;
	size_t goodbye = 0;
	uint8_t frame[FRAME_CARRY];

	if (s->backend.close_sent)
		goodbye = frame_write_close(frame, CLOSE_GOING_AWAY, GOODBYE, true);
	/* of one that died instead, what was under way is counted */
	if (queue_size(q) > goodbye || (s->state == SESSION_CONNECTED &&
					   s->backend.lost && !s->backend.close_sent))
		session_keep_queue(s);
	else if (s->state == SESSION_CONNECTED)
		s->unanswered = 0; /* the next one was not asked */
}

/* The old backend is out, and nothing is under way. */
static void
go_over(struct rehoming *m)
{
	struct session *s = m->session;

	keep_untaken(s);
	half_shut(&s->backend);
	if (!m->conn) {
		move_failed(m, REASON_BACKEND_LOST);
		return;
	}
	if (!move_replay(m))
		move_switch_over(m);
}

void
rehome_old_is_done(struct session *s)
{
	/* a message that the old backend began and never ended cannot be mended */
	if (frame_between_messages(&s->backend.scan))
		go_over(s->move);
	else
		session_close_away(s, REASON_SESSION_BACKEND_LOST, move_cause(s->move),
		    s->up->conf->rehome.close_code, "backend lost");
}

void
move_drain_timed_out(struct rehoming *m)
{
	struct session *s = m->session;

	if (!m->overtime && !frame_between_messages(&s->backend.scan)) {
		m->overtime = true;
		s->backend.watched |= WATCH_END;
		loop_timer(s->registry->loop, &m->timer,
		    s->up->conf->rehome.drain_timeout_ms);
		return;
	}
	s->backend.lost = true;
	rehome_old_is_done(s);
}

void
move_new_lost(struct rehoming *m, enum reason why)
{
	if (m->state == MOVE_DRAINING) /* the old one may say its last words */
		move_drop_conn(m);
	else
		move_failed(m, why);
}

/* ---- cutting ---- */

/* Many servers answer a Close at once and drop what they were about to say. So it is
 * said when nothing is under way: every question has its answer, or nobody has said
 * anything for a while. That is a longer one where few answers are missing: these will
 * come, since all others did. A backend that also speaks unasked tells nothing by what
 * it says; there it is the client that must have been silent.
 *
 * For how long must it be silent from now on? 0: nothing is under way. */
static uint64_t
unsettled_ms(const struct session *s)
{
	uint64_t heard_ms = session_heard_ms(s), silent_ms;
	uint64_t enough_ms = s->unanswered <= FEW ? PATIENCE_MS : QUIET_MS;

	if (s->speaks_unasked) {
		heard_ms = s->client.alive_ms;
		enough_ms = QUIET_MS;
	} else if (s->unanswered == 0) {
		enough_ms = 0;
	}
	if (!frame_between_messages(&s->backend.scan))
		return QUIET_MS;
	silent_ms = clock_now_ms() - heard_ms;
	return silent_ms >= enough_ms ? 0 : enough_ms - silent_ms;
}

/* At the moment at which silence may have been long enough. */
static void
set_look(struct rehoming *m)
{
	uint64_t ms = unsettled_ms(m->session);

	loop_timer(m->session->registry->loop, &m->timer, ms ? ms : QUIET_MS);
}

static void
say_goodbye(struct rehoming *m)
{
	struct session *s = m->session;

	m->state = MOVE_DRAINING;
	half_send_close(&s->backend, CLOSE_GOING_AWAY, GOODBYE);
	loop_timer(s->registry->loop, &m->timer, s->up->conf->rehome.drain_timeout_ms);
}

/* From here on the client's words wait for the new backend. */
static void
cut(struct rehoming *m)
{
	struct session *s = m->session;

	s->cut_wanted = false;
	if (choose_points_to(s->registry->chooser, &s->claim, s->home,
		clock_now_ms())) {
		move_end(m);
		half_resume(&s->client); /* it may have been stopped here */
		return;
	}
	choose_rehome_done(s->registry->chooser, s->up, &s->claim, m->to,
	    clock_now_ms());
	m->cut_us = clock_now_us();
	m->until_ms = clock_now_ms() + s->up->conf->rehome.drain_timeout_ms;
	m->state = MOVE_SETTLING;
	if (unsettled_ms(s) == 0)
		say_goodbye(m);
	else
		set_look(m);
}

void
rehome_look(struct session *s)
{
	struct rehoming *m = s->move;
	bool client_pauses = frame_between_messages(&s->client.scan);

	if (m->state == MOVE_SETTLING) {
		if (unsettled_ms(s) == 0 ||
		    (clock_now_ms() >= m->until_ms &&
			frame_between_messages(&s->backend.scan)))
			say_goodbye(m);
	} else if (m->state == MOVE_DRAINING) {
		if (m->overtime && frame_between_messages(&s->backend.scan))
			move_drain_timed_out(m);
	} else if (m->state == MOVE_CUTTING && client_pauses &&
		   !s->backend.stream.broken) { /* else it is about to be lost */
		if (s->cut_wanted || unsettled_ms(s) == 0)
			cut(m);
	}
}

void
move_look_later(struct rehoming *m)
{
	struct session *s = m->session;

	rehome_look(s);
	if (s->move != m || m->state == MOVE_DRAINING)
		return;
	if (m->state == MOVE_SETTLING && clock_now_ms() >= m->until_ms) {
		/* nor does the backend's, which need not be torn: it was not told */
		move_failed(m, REASON_BODY_TIMEOUT);
		return;
	}
	if (m->state == MOVE_CUTTING && clock_now_ms() >= m->until_ms) {
		if (s->cut_wanted) { /* the client's message does not end */
			move_failed(m, REASON_BODY_TIMEOUT);
			return;
		}
		s->cut_wanted = true;
		m->until_ms = clock_now_ms() + s->up->conf->rehome.drain_timeout_ms;
		rehome_look(s);
	}
	if (s->move == m && m->state != MOVE_DRAINING)
		set_look(m);
}

void
move_agreed(struct rehoming *m)
{
	struct session *s = m->session;

	if (s->state == SESSION_RECONNECTING) {
		go_over(m);
		return;
	}
	m->state = MOVE_CUTTING;
	m->until_ms = clock_now_ms() + CUT_WITHIN_MS;
	set_look(m);
	rehome_look(s);
}
