/* SPDX-License-Identifier: MIT
 *
 * rehome.c - moves a session to another backend under its client's open socket: when it
 * begins, how often it is tried, how it ends. The picture is in rehome.h.
 */
#include "ws/rehome_private.h"

#include "base/log.h"
#include "upstream/backend.h"
#include "upstream/conn.h"
#include "upstream/outlier.h"
#include "upstream/pace.h"
#include "ws/registry.h"
#include <stdlib.h>

enum {
	HOLD_MS =
	    300000, /* before a session that could not be moved is looked at again */
	LOOK_MS = 1000, /* how often to see whether a dead backend is back */
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
	if (s->state == SESSION_CONNECTED)
		choose_settled(s->registry->chooser, &s->claim, s->home);
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
count(struct session *s, enum counter which, enum move_fate fate, unsigned why)
{
	count_add(&s->registry->loop->counters, which, 1);
	tally(&s->counts->moves[fate][why], 1);
}

static void
count_reconnect(struct session *s)
{
	count_add(&s->registry->loop->counters, COUNT_RECONNECTS, 1);
	tally(&s->counts->reconnects, 1);
}

/* Moves after a loss are paced as all moves are: the survivors are not stormed. */
static uint64_t
pace_delay(struct session *s, struct backend *to)
{
	uint64_t ms = pace_book_ms(s->up, to, clock_now_us());

	return random_jitter(&s->registry->loop->random, ms, JITTER_PERCENT);
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

/* No backend takes it. One that still has its old backend stays there. Where a backend
 * lives and does not want this session, its client may have better luck with a new one
 * at once; where there is none, later. */
static void
give_up(struct rehoming *m, enum reason why)
{
	struct session *s = m->session;

	count(s, COUNT_REHOMES_FAILED, MOVES_FAILED, move_cause(m));
	log_failure(m, why);
	s->tries = 0;
	if (s->state == SESSION_CONNECTED) {
		bool stays = stay(s, m->to, HOLD_MS);

		move_end(m);
		if (!stays)
			session_close_away(s, REASON_REHOMED, m->why,
			    s->up->conf->rehome.close_code, "re-homed");
		return;
	}
	move_end(m);
	if (s->immovable)
		session_close(s, REASON_REHOME_FAILED, s->up->conf->rehome.close_code,
		    "not taken over");
	else
		session_close(s, REASON_REHOME_FAILED, CLOSE_TRY_LATER, "no backend");
}

/* ---- tries ---- */

static uint64_t
backoff_ms(const struct session *s)
{
	const struct config_rehome *conf = &s->up->conf->rehome;
	uint64_t ms = conf->backoff_ms;

	for (unsigned i = 1; i < s->tries && ms < conf->max_backoff_ms; i++)
		ms *= 2;
	if (ms > conf->max_backoff_ms)
		ms = conf->max_backoff_ms;
	return random_jitter(&s->registry->loop->random, ms, JITTER_PERCENT);
}

/* Were the last connections to it refused, and none accepted since? */
static bool
is_dead(const struct backend *b)
{
	return atomic_load(&b->failures) > 0;
}

/* Until the next try, or until somebody has found the backend alive again. */
static void
wait_on(struct rehoming *m)
{
	uint64_t now = clock_now_ms(), ms = 0;

	if (m->until_ms > now)
		ms = m->until_ms - now;
	if (m->found_dead && ms > LOOK_MS)
		ms = LOOK_MS;
	loop_timer(m->session->registry->loop, &m->timer, ms);
}

static void
wait_for(struct rehoming *m, uint64_t ms)
{
	m->state = MOVE_WAITING;
	m->until_ms = clock_now_ms() + ms;
	m->found_dead = m->session->tries && is_dead(m->to);
	wait_on(m);
}

/* Its turn has come, unless the client's pin is back: another session of it could not
 * be moved. */
static void
waited(struct rehoming *m)
{
	struct session *s = m->session;

	if (m->found_dead && !is_dead(m->to)) { /* not all of those who wait at once */
		m->found_dead = false;
		m->until_ms = clock_now_ms() + pace_delay(s, m->to);
	}
	if (clock_now_ms() < m->until_ms)
		wait_on(m);
	else if (s->state == SESSION_CONNECTED &&
		 choose_points_to(s->registry->chooser, &s->claim, s->home,
		     clock_now_ms()))
		move_end(m);
	else
		move_dial(m);
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
	wait_for(m, backoff_ms(s));
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
	if (m->state == MOVE_GREETING)
		outlier_failed(s->up, m->to, why, &s->registry->loop->random);
	if (++s->tries >= s->up->conf->rehome.tries) {
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
		wait_for(m, backoff_ms(s));
	}
}

void
move_failed(struct rehoming *m, enum reason why)
{
	struct session *s = m->session;
	bool was_cut = rehome_is_cut(s);

	/* the old backend may be out already: there is no way back to it */
	if (s->state == SESSION_CONNECTED && !stream_is_open(&s->backend.stream)) {
		choose_unsettled(s->registry->chooser, &s->claim);
		session_set_state(s, SESSION_RECONNECTING);
		count_reconnect(s);
		half_listen(&s->client); /* to see it go */
	}
	try_again(m, why);
	if (was_cut && s->state == SESSION_CONNECTED)
		half_resume(&s->client); /* it stays with the old one, or does so far */
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
	count(s, COUNT_REHOMES_STARTED, MOVES_STARTED, move_cause(m));
	wait_for(m, delay_ms);
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
	struct session *s = m->session;

	log_failure(m, REASON_REPLAY);
	session_close_away(s, REASON_REPLAY, move_cause(m),
	    s->up->conf->rehome.close_code, "re-homed");
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
	/* between two tries: one that may be as dead as the last is no reason to hurry
	 */
	if (m->state == MOVE_WAITING && m->session->tries && is_dead(to))
		return;
	wait_for(m, delay_ms);
}

/* It can't be moved; where another session of its client was moved already, it can't
 * remain either. */
static void
remain(struct session *s, struct backend *to, enum move_why why)
{
	if (stay(s, to, HOLD_MS))
		choose_settled(s->registry->chooser, &s->claim, s->home);
	else
		session_close_away(s, REASON_REHOMED, why,
		    s->up->conf->rehome.close_code, "re-homed");
}

void
rehome_start(struct session *s, struct backend *to, enum move_why why,
    uint32_t delay_ms)
{
	enum rehome_mode mode = s->up->conf->rehome.mode;

	if (s->state == SESSION_CLOSING || s->state == SESSION_CLOSED)
		return;
	/* else it was moved on since, and who did that says so, too */
	if (!choose_points_to(s->registry->chooser, &s->claim, to, clock_now_ms()))
		return;
	if (s->move)
		redirect(s->move, to, delay_ms);
	else if (s->state == SESSION_RECONNECTING)
		return; /* it waits for its turn to leave */
	else if (can_move_transparently(s) && begin(s, to, why, delay_ms))
		return;
	else if (mode == REHOME_RECONNECT ||
		 (mode == REHOME_TRANSPARENT && why == MOVE_LEAVING && !s->immovable))
		session_send_away(s, REASON_REHOMED, why, delay_ms);
	else
		remain(s, to, why);
}

/* After as long as the longest pause between two tries a new home counts as good; until
 * then, to be lost again is another failure of the same move. */
static bool
is_steady(const struct session *s)
{
	return s->moves == 0 ||
	       clock_now_ms() - s->state_ms >= s->up->conf->rehome.max_backoff_ms;
}

/* Its client comes back to another backend, or later, at its turn. */
static void
wait_to_leave(struct session *s, struct backend *to, enum reason why)
{
	rehome_cancel(s);
	choose_unsettled(s->registry->chooser, &s->claim);
	session_set_state(s, SESSION_RECONNECTING);
	half_listen(&s->client); /* to see it go */
	session_send_away(s, why, MOVE_LOST, pace_delay(s, to));
}

static void
go_on_elsewhere(struct session *s, struct backend *to)
{
	const struct config_rehome *conf = &s->up->conf->rehome;
	struct rehoming *m = s->move;
	uint64_t delay;

	s->tries = is_steady(s) ? 0 : s->tries + 1;
	if (s->tries >= conf->tries) {
		count(s, COUNT_REHOMES_FAILED, MOVES_FAILED, MOVE_LOST);
		wait_to_leave(s, to, REASON_REHOME_FAILED);
		return;
	}
	choose_unsettled(s->registry->chooser, &s->claim);
	session_set_state(s, SESSION_RECONNECTING);
	count_reconnect(s);
	s->cut_wanted = false;
	delay = m ? 0 : s->tries ? backoff_ms(s) : pace_delay(s, to);
	if (!m && !begin(s, to, MOVE_LEAVING, delay)) {
		session_close(s, REASON_NO_MEMORY, CLOSE_RESTART, "out of memory");
		return;
	}
	s->move->cut_us = clock_now_us();
	half_listen(&s->client);            /* to hold a little, and to see it go */
	if (s->move->state == MOVE_CUTTING) /* on its way already: the rest is short */
		move_agreed(s->move);
}

/* Is there a backend for its client now? Where there is only one, it may have lost no
 * more than this connection. */
static bool
may_come_back(const struct session *s, const struct backend *to)
{
	return to || (s->up->n_backends == 1 &&
			 backend_use_is_serving(backend_use(s->home, clock_now_ms())));
}

void
rehome_after_loss(struct session *s, enum reason why)
{
	const struct config_rehome *conf = &s->up->conf->rehome;
	bool torn = !frame_between_messages(&s->backend.scan);
	struct backend *to;

	if (conf->mode == REHOME_OFF) {
		session_close(s, why, CLOSE_RESTART, "backend lost");
		return;
	}
	/* the pin first: wherever the client turns next, it is led to a new backend */
	to = choose_rehome(s->registry->chooser, s->up, &s->claim, s->home,
	    clock_now_ms());
	if (conf->on_failure == ON_FAILURE_CLOSE)
		session_close_away(s, why, MOVE_LOST, CLOSE_RESTART, "backend lost");
	else if (torn || !can_move_transparently(s))
		wait_to_leave(s, to ? to : s->home,
		    may_come_back(s, to) ? why : REASON_REHOME_FAILED);
	else /* where nobody is usable now, the dead one may be the first to be back */
		go_on_elsewhere(s, to ? to : s->home);
	backend_put(to);
}
