/* SPDX-License-Identifier: MIT
 *
 * rehome.c - moves a session to another backend under its client's open socket: when it
 * begins, how often it is tried, how it ends. The picture is in rehome.h.
 */
#include "ws/rehome_private.h"

#include "base/log.h"
#include "upstream/backend.h"
#include "upstream/conn.h"
#include "upstream/pace.h"
#include "ws/registry.h"
#include <stdlib.h>

enum {
	TRIES = 10,
	BACKOFF_MS = 1000,
	BACKOFF_MAX_MS = 30000,
	HOLD_MS =
	    300000, /* before a session that could not be moved is looked at again */
	JITTER_PERCENT = 30
};

/* ---- end ---- */

static void
bury(struct grave *grave)
{
	struct rehoming *m = container_of(grave, struct rehoming, grave);

	backend_put(m->to);
	backend_put(m->next);
	strbuf_fini(&m->answer);
	answers_fini(&m->answers);
	free(m);
}

void
move_drop_conn(struct rehoming *m)
{
	struct conn *conn = m->conn;

	m->conn = NULL;
	if (conn) {
		atomic_fetch_sub(&conn->backend->sockets, 1);
		conn_close(conn);
	}
	strbuf_fini(&m->answer);
}

void
move_end(struct rehoming *m)
{
	struct session *s = m->session;

	timer_clear(&m->timer);
	move_drop_conn(m);
	s->move = NULL;
	s->cut_wanted = false;
	loop_bury(s->registry->loop, &m->grave, bury);
}

void
rehome_cancel(struct session *s)
{
	if (s->move)
		move_end(s->move);
}

bool
rehome_is_cut(const struct session *s)
{
	return s->move && s->move->state >= MOVE_SETTLING;
}

static void
count(struct session *s, enum counter which)
{
	count_add(&s->registry->loop->counters, which, 1);
}

/* It stays where it is, and so must the client's pin, or its HTTP calls would go
 * elsewhere than its socket. False: it can't stay, since another session of the client
 * is on the new backend. */
static bool
stay(struct session *s, struct backend *to, uint64_t hold_ms)
{
	return choose_rehome_undo(s->registry->chooser, s->up, &s->claim, s->home, to,
	    clock_now_ms(), hold_ms);
}

static void
log_failure(const struct rehoming *m, enum reason why)
{
	const struct session *s = m->session;

	session_log_kind(KIND_NOT_MOVED, s, "not re-homed from %s to %s (%s)",
	    s->home->name, m->to->name, reason_text(why));
}

/* The client's library connects again, and its pin leads it to the new backend. */
static void
send_away(struct session *s, enum reason why, const char *text)
{
	count(s, COUNT_REHOMES_CLOSED);
	session_close(s, why, s->up->conf->rehome.close_code, text);
}

/* No backend takes it. One that still has its old backend stays there. */
static void
give_up(struct rehoming *m, enum reason why)
{
	struct session *s = m->session;

	count(s, COUNT_REHOMES_FAILED);
	log_failure(m, why);
	s->tries = 0;
	if (s->state == SESSION_CONNECTED) {
		bool stays = stay(s, m->to, HOLD_MS);

		move_end(m);
		if (!stays)
			send_away(s, REASON_REHOMED, "re-homed");
	} else {
		move_end(m);
		session_close(s, REASON_REHOME_FAILED, CLOSE_TRY_LATER, "no backend");
	}
}

/* ---- tries ---- */

static uint64_t
backoff_ms(const struct session *s)
{
	uint64_t ms = BACKOFF_MS;

	for (unsigned i = 1; i < s->tries && ms < BACKOFF_MAX_MS; i++)
		ms *= 2;
	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	return random_jitter(&s->registry->loop->random, ms, JITTER_PERCENT);
}

/* Its backend is gone: another may do better than the one that failed. */
static void
wait_and_retry(struct rehoming *m)
{
	struct session *s = m->session;
	struct backend *to = choose_rehome(s->registry->chooser, s->up, &s->claim,
	    m->to, clock_now_ms());

	if (to) { /* else none is usable: the same one again */
		backend_put(m->to);
		m->to = to;
	}
	m->state = MOVE_WAITING;
	loop_timer(s->registry->loop, &m->timer, backoff_ms(s));
}

/* This try has failed. A session that has its backend stays there, and it is for the
 * planner to come again. */
static void
try_again(struct rehoming *m, enum reason why)
{
	struct session *s = m->session;

	move_drop_conn(m);
	s->cut_wanted = false;
	history_note(s, HISTORY_FAILED);
	if (++s->tries >= TRIES) {
		give_up(m, why);
	} else if (s->state == SESSION_RECONNECTING) {
		wait_and_retry(m);
	} else {
		if (s->tries == 1)
			log_failure(m, why);
		if (stay(s, m->to, backoff_ms(s))) {
			move_end(m);
			return;
		}
		m->state = MOVE_WAITING;
		loop_timer(s->registry->loop, &m->timer, backoff_ms(s));
	}
}

/* Its turn has come, unless the client's pin is back: another session of it could not
 * be moved. */
static void
waited(struct rehoming *m)
{
	struct session *s = m->session;

	if (s->state == SESSION_CONNECTED && choose_rehome_is_off(s->registry->chooser,
						 &s->claim, s->home, clock_now_ms()))
		move_end(m);
	else
		move_dial(m);
}

void
move_failed(struct rehoming *m, enum reason why)
{
	struct session *s = m->session;
	bool was_cut = rehome_is_cut(s);

	/* the old backend may be out already: there is no way back to it */
	if (s->state == SESSION_CONNECTED && !stream_is_open(&s->backend.stream))
		session_set_state(s, SESSION_RECONNECTING);
	try_again(m, why);
	if (was_cut && s->state == SESSION_CONNECTED && !s->move)
		half_resume(&s->client); /* it stays with the old one */
}

void
move_refused(struct rehoming *m)
{
	m->session->immovable = true;
	give_up(m, REASON_UPGRADE_ANSWER);
}

static void
on_timeout(struct timer *t)
{
	struct rehoming *m = container_of(t, struct rehoming, timer);

	switch (m->state) {
	case MOVE_WAITING: waited(m); break;
	case MOVE_GREETING: try_again(m, REASON_FIRST_BYTE_TIMEOUT); break;
	case MOVE_CUTTING:
	case MOVE_SETTLING: move_look_later(m); break;
	case MOVE_DRAINING: move_drain_timed_out(m); break;
	case MOVE_REPLAYING: move_unanswered(m); break;
	case MOVE_DIALING: /* the conn has a limit of its own */ break;
	}
}

/* ---- beginning ---- */

/* The planner moved the client's pin; the pin of the session's own follower goes along
 * now, and the pin may even have been moved on since. */
static struct backend *
target(struct session *s, struct backend *to)
{
	struct backend *pinned = choose_rehome(s->registry->chooser, s->up, &s->claim,
	    s->home, clock_now_ms());

	return pinned ? pinned : backend_get(to);
}

static bool
begin(struct session *s, struct backend *to, enum move_why why, uint64_t delay_ms)
{
	struct rehoming *m = calloc(1, sizeof *m);

	if (!m)
		return false;
	m->session = s;
	m->to = target(s, to);
	m->why = why;
	timer_init(&m->timer, on_timeout);
	s->move = m;
	count(s, COUNT_REHOMES_STARTED);
	loop_timer(s->registry->loop, &m->timer, delay_ms);
	return true;
}

static bool
can_move_transparently(const struct session *s)
{
	return s->up->conf->rehome.mode == REHOME_TRANSPARENT && s->greeting &&
	       s->greeting->cuttable && session_can_replay(s) && !s->immovable;
}

void
move_unanswered(struct rehoming *m)
{
	log_failure(m, REASON_REPLAY);
	send_away(m->session, REASON_REPLAY, "re-homed");
}

/* The planner has sent the client on while it was being moved. */
static void
redirect(struct rehoming *m, struct backend *to, uint32_t delay_ms)
{
	struct backend **slot = &m->to;

	if (to == m->to) { /* it is on its way there, at its own time */
		backend_put(m->next);
		m->next = NULL;
		return;
	}
	if (m->state >= MOVE_CUTTING)
		slot = &m->next; /* too late to turn: on from there */
	backend_put(*slot);
	*slot = backend_get(to);
	if (slot == &m->next)
		return;
	if (to == m->session->home && m->session->state == SESSION_CONNECTED) {
		move_end(m); /* and now back again: it has not left yet */
		return;
	}
	move_drop_conn(m);
	m->state = MOVE_WAITING;
	loop_timer(m->session->registry->loop, &m->timer, delay_ms);
}

void
rehome_start(struct session *s, struct backend *to, enum move_why why,
    uint32_t delay_ms)
{
	enum rehome_mode mode = s->up->conf->rehome.mode;

	if (s->state == SESSION_CLOSING || s->state == SESSION_CLOSED)
		return;
	if (s->move)
		redirect(s->move, to, delay_ms);
	else if (can_move_transparently(s) && begin(s, to, why, delay_ms))
		return;
	else if (mode == REHOME_RECONNECT ||
		 (mode == REHOME_TRANSPARENT && why == MOVE_LEAVING && !s->immovable))
		send_away(s, REASON_REHOMED, "re-homed");
	else
		stay(s, to, HOLD_MS);
}

/* Moves after a loss are paced as all moves are: the survivors are not stormed. */
static uint64_t
pace_delay(struct session *s, struct backend *to)
{
	uint64_t ms = pace_book_ms(s->up, to, clock_now_us());

	return random_jitter(&s->registry->loop->random, ms, JITTER_PERCENT);
}

static void
go_on_elsewhere(struct session *s, struct backend *to)
{
	struct rehoming *m = s->move;

	session_set_state(s, SESSION_RECONNECTING);
	s->cut_wanted = false;
	if (!m && !begin(s, to, MOVE_LEAVING, pace_delay(s, to))) {
		session_close(s, REASON_NO_MEMORY, CLOSE_RESTART, "out of memory");
		return;
	}
	s->move->cut_us = clock_now_us();
	half_listen(&s->client);            /* to hold a little, and to see it go */
	if (s->move->state == MOVE_CUTTING) /* on its way already: the rest is short */
		move_agreed(s->move);
}

void
rehome_after_loss(struct session *s, enum reason why)
{
	const struct config_rehome *conf = &s->up->conf->rehome;
	struct backend *to = NULL;

	/* the pin first: wherever the client turns next, it is led to a new backend */
	if (conf->mode != REHOME_OFF)
		to = choose_rehome(s->registry->chooser, s->up, &s->claim, s->home,
		    clock_now_ms());
	if (conf->mode == REHOME_OFF || conf->on_failure == ON_FAILURE_CLOSE ||
	    !frame_between_messages(&s->backend.scan))
		session_close(s, why, CLOSE_RESTART, "backend lost");
	else if (!can_move_transparently(s))
		send_away(s, why, "backend lost");
	else /* where nobody is usable now, the dead one may be the first to be back */
		go_on_elsewhere(s, to ? to : s->home);
	backend_put(to);
}
