/* SPDX-License-Identifier: MIT
 *
 * rehome.c - moves a session to another backend under its client's open socket; the
 * picture is in rehome.h.
 */
#include "ws/rehome.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "message/response.h"
#include "upstream/backend.h"
#include "upstream/conn.h"
#include "upstream/pool.h"
#include "ws/registry.h"
#include "ws/session_private.h"
#include <stdlib.h>
#include <sys/socket.h>

enum {
	TRIES = 10,
	BACKOFF_MS = 1000,
	BACKOFF_MAX_MS = 30000,
	HOLD_MS =
	    300000, /* before a session that could not be moved is looked at again */
	JITTER_PERCENT = 30,
	QUIET_MS = 100, /* nothing said for so long: nothing is under way */
	CUT_WITHIN_MS =
	    1000, /* no good moment for so long: the next boundary will do */
};

enum move_state {
	MOVE_WAITING,  /* for its turn, or for the next try */
	MOVE_DIALING,  /* for the new backend to accept */
	MOVE_GREETING, /* for its 101 */
	MOVE_CUTTING,  /* for a moment to cut the client off */
	MOVE_SETTLING, /* for the old backend to answer what was asked before the cut */
	MOVE_DRAINING  /* for its Close */
};

/* One session on its way. Owner: the session. Freed at the end of the turn. */
struct rehoming {
	struct session *session; /* borrowed */
	struct backend *to;      /* a reference */
	struct backend
	    *next;         /* a reference: the client was sent on meanwhile; or NULL */
	struct conn *conn; /* owned: the new backend's */
	struct strbuf answer; /* what it has said so far; after its head: early words */
	struct timer timer;
	struct grave grave;
	uint64_t cut_us;   /* when the client was cut off */
	uint64_t until_ms; /* CUTTING, SETTLING: not longer than that */
	enum move_state state;
	enum move_why why;
};

static void try_again(struct rehoming *m, enum reason why);

/* ---- end ---- */

static void
bury(struct grave *grave)
{
	struct rehoming *m = container_of(grave, struct rehoming, grave);

	backend_put(m->to);
	backend_put(m->next);
	strbuf_fini(&m->answer);
	free(m);
}

static void
drop_conn(struct rehoming *m)
{
	struct conn *conn = m->conn;

	m->conn = NULL;
	if (conn)
		conn_close(conn);
	strbuf_fini(&m->answer);
}

static void
move_end(struct rehoming *m)
{
	struct session *s = m->session;

	timer_clear(&m->timer);
	drop_conn(m);
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
	return s->move &&
	       (s->move->state == MOVE_SETTLING || s->move->state == MOVE_DRAINING);
}

static void
count(struct session *s, enum counter which)
{
	count_add(&s->registry->loop->counters, which, 1);
}

/* It stays where it is, and so must the client's pin, or its HTTP calls would go
 * elsewhere than its socket. */
static void
stay(struct session *s, struct backend *to, uint64_t hold_ms)
{
	choose_rehome_undo(s->registry->chooser, s->up, &s->claim, s->home, to,
	    clock_now_ms(), hold_ms);
}

static void
log_failure(const struct rehoming *m, enum reason why)
{
	const struct session *s = m->session;

	log_notice(TOPIC_REHOME, "session %s: not re-homed from %s to %s (%s)", s->id,
	    s->home->name, m->to->name, reason_text(why));
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
		stay(s, m->to, HOLD_MS);
		move_end(m);
	} else {
		move_end(m);
		session_close(s, REASON_REHOME_FAILED, CLOSE_TRY_LATER, "no backend");
	}
}

/* ---- switching ---- */

static void
log_done(const struct rehoming *m, uint64_t now_us)
{
	const struct session *s = m->session;
	uint64_t pause = m->cut_us ? now_us - m->cut_us : 0;

	log_info(TOPIC_REHOME,
	    "session %s: re-homed from %s to %s (%s), pause %llu.%03llu ms", s->id,
	    s->home->name, m->to->name,
	    s->state == SESSION_RECONNECTING ? "backend lost"
	    : m->why == MOVE_LEAVING         ? "backend leaving"
	    : m->why == MOVE_ASKED           ? "asked for"
					     : "balance",
	    (unsigned long long)pause / 1000, (unsigned long long)pause % 1000);
}

static void
take_new_home(struct session *s, struct rehoming *m)
{
	struct half *b = &s->backend;
	bool compressed = b->scan.compressed;

	history_left_home(s, s->home); /* keeps the reference */
	s->home = backend_get(m->to);
	half_shut(b);
	b->lost = b->close_sent = b->ping_due = false;
	b->close_code = b->told_code = 0;
	b->stuck_ms = b->asked_ms = 0;
	b->asked_us = 0;
	b->alive_ms = clock_now_ms();
	s->ended_by = SIDE_NONE;
	frame_scanner_init(&b->scan, false, compressed);
	conn_give_stream(m->conn, &b->stream, &half_ops);
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

/* The new backend takes over. */
static void
switch_over(struct rehoming *m)
{
	struct session *s = m->session;
	struct strbuf early = m->answer;
	struct backend *next = m->next;
	enum move_why why = m->why;

	log_done(m, clock_now_us());
	m->answer = STRBUF_INIT;
	m->next = NULL;
	s->tries = 0;
	take_new_home(s, m);
	s->moves++;
	history_note(s, HISTORY_SUCCEEDED);
	count(s, COUNT_REHOMES_DONE);
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

void
rehome_old_is_done(struct session *s)
{
	struct rehoming *m = s->move;

	/* a message that the old backend began and never ended cannot be mended */
	if (frame_between_messages(&s->backend.scan)) {
		switch_over(m);
		return;
	}
	session_close(s, REASON_SESSION_BACKEND_LOST, CLOSE_RESTART, "backend lost");
}

/* ---- cutting ---- */

/* Many servers answer a Close at once and drop what they were about to say. So it is
 * said when nothing is under way: every question has its answer, or nobody has said
 * anything for a while. */
static bool
is_settled(const struct session *s)
{
	return s->unanswered == 0 || clock_now_ms() - session_heard_ms(s) >= QUIET_MS;
}

static void
say_goodbye(struct rehoming *m)
{
	struct session *s = m->session;

	m->state = MOVE_DRAINING;
	half_send_close(&s->backend, CLOSE_GOING_AWAY, "re-homed");
	loop_timer(s->registry->loop, &m->timer, s->up->conf->rehome.drain_timeout_ms);
}

/* From here on the client's words wait for the new backend. */
static void
cut(struct rehoming *m)
{
	struct session *s = m->session;

	s->cut_wanted = false;
	m->cut_us = clock_now_us();
	m->until_ms = clock_now_ms() + s->up->conf->rehome.drain_timeout_ms;
	m->state = MOVE_SETTLING;
	if (is_settled(s))
		say_goodbye(m);
	else
		loop_timer(s->registry->loop, &m->timer, QUIET_MS);
}

void
rehome_look(struct session *s)
{
	struct rehoming *m = s->move;
	bool client_pauses = frame_between_messages(&s->client.scan);

	if (m->state == MOVE_SETTLING) {
		if (is_settled(s) || clock_now_ms() >= m->until_ms)
			say_goodbye(m);
	} else if (m->state == MOVE_CUTTING && client_pauses) {
		if (s->cut_wanted ||
		    (is_settled(s) && frame_between_messages(&s->backend.scan)))
			cut(m);
	}
}

static void
look_later(struct rehoming *m)
{
	struct session *s = m->session;

	rehome_look(s);
	if (s->move != m || m->state == MOVE_DRAINING)
		return;
	if (m->state == MOVE_CUTTING && clock_now_ms() >= m->until_ms) {
		if (s->cut_wanted) { /* the client's message does not end */
			try_again(m, REASON_BODY_TIMEOUT);
			return;
		}
		s->cut_wanted = true;
		m->until_ms = clock_now_ms() + s->up->conf->rehome.drain_timeout_ms;
		rehome_look(s);
	}
	if (m->state != MOVE_DRAINING)
		loop_timer(s->registry->loop, &m->timer, QUIET_MS);
}

/* The new backend has agreed. */
static void
agreed(struct rehoming *m)
{
	struct session *s = m->session;

	stream_read_off(&m->conn->stream);
	if (s->state == SESSION_RECONNECTING) {
		switch_over(m);
		return;
	}
	m->state = MOVE_CUTTING;
	m->until_ms = clock_now_ms() + CUT_WITHIN_MS;
	loop_timer(s->registry->loop, &m->timer, QUIET_MS);
	rehome_look(s);
}

/* ---- greeting the new backend ---- */

static void
send_greeting(struct rehoming *m)
{
	struct session *s = m->session;
	struct strbuf head = STRBUF_INIT;

	strbuf_str(&head, s->greeting->request);
	strbuf_lit(&head, "Roost-Session: ");
	strbuf_puts(&head, s->id);
	strbuf_lit(&head, "\r\nRoost-Rehomed-From: ");
	strbuf_puts(&head, s->home->name);
	strbuf_lit(&head, "\r\n\r\n");
	if (head.failed ||
	    stream_put(&m->conn->stream, head.data, head.len) == STREAM_BROKEN)
		try_again(m, REASON_BACKEND_LOST);
	strbuf_fini(&head);
}

static void
on_connected(struct conn *c)
{
	struct rehoming *m = c->user;

	m->state = MOVE_GREETING;
	loop_timer(m->session->registry->loop, &m->timer,
	    m->session->up->conf->timeouts.first_byte_ms);
	send_greeting(m);
}

static void
on_failed(struct conn *c, enum reason why)
{
	struct rehoming *m = c->user;

	m->conn = NULL; /* it closes itself */
	try_again(m, why);
}

/* Does the new backend agree to just what the client holds already? */
static bool
same_terms(const struct session *s, const struct response *r)
{
	const struct greeting *g = s->greeting;

	return str_eq(response_value(r, HEADER_SEC_WEBSOCKET_PROTOCOL), g->protocol) &&
	       str_eq(response_value(r, HEADER_SEC_WEBSOCKET_EXTENSIONS),
		   g->extensions);
}

static void
take_answer(struct rehoming *m)
{
	struct session *s = m->session;
	struct response r;
	size_t used;

	switch (response_parse(m->answer.data, m->answer.len, METHOD_GET, &r, &used)) {
	case PARSE_MORE: return;
	case PARSE_BAD: try_again(m, REASON_BAD_RESPONSE); return;
	case PARSE_DONE: break;
	}
	if (r.status == 401 || r.status == 403) {
		s->immovable = true;
		give_up(m, REASON_UPGRADE_ANSWER);
		return;
	}
	if (r.status != 101 || !same_terms(s, &r) ||
	    !handshake_answer_ok(&r, str_of(s->greeting->key), s->greeting->protocol,
		s->greeting->extensions)) {
		try_again(m, REASON_UPGRADE_ANSWER);
		return;
	}
	strbuf_drop(&m->answer, used);
	agreed(m);
}

static void
on_readable(struct conn *c)
{
	struct rehoming *m = c->user;
	uint8_t *p = c->pools->loop->scratch;
	ssize_t n = stream_read(&c->stream, p, LOOP_READ);

	if (n == STREAM_AGAIN)
		return;
	if (n > 0) {
		strbuf_append(&m->answer, p, (size_t)n);
		if (!m->answer.failed && m->state == MOVE_GREETING)
			take_answer(m);
		return;
	}
	try_again(m, REASON_BACKEND_LOST);
}

static void
on_drained(struct conn *c)
{
}

static void
on_broken(struct conn *c)
{
	try_again(c->user, REASON_BACKEND_LOST);
}

static const struct conn_ops conn_ops = {
    .on_connected = on_connected,
    .on_failed = on_failed,
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_broken = on_broken,
};

/* On whose behalf; the client's address is the one that trusted peers told. */
static struct conn_hello
hello_of(const struct session *s)
{
	struct conn_hello hello = {
	    .version = (unsigned)s->up->conf->proxy_protocol,
	    .source = s->peer,
	};
	socklen_t n = sizeof hello.destination;

	static_assert(PROXY_OUT_V1 == 1 && PROXY_OUT_V2 == 2, "they are versions");
	if (getsockname(s->client.stream.io.fd, &hello.destination.sa, &n))
		hello.destination = (struct addr){0};
	return hello;
}

static void
dial(struct rehoming *m)
{
	struct session *s = m->session;
	struct conn_hello hello = hello_of(s);
	enum reason why;

	m->state = MOVE_DIALING;
	history_note(s, HISTORY_TRIED);
	m->conn = conn_open(s->registry->pools, m->to, hello.version ? &hello : NULL,
	    s->up->conf->timeouts.connect_ms, &conn_ops, m, &why);
	if (!m->conn)
		try_again(m, why);
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

	drop_conn(m);
	s->cut_wanted = false;
	history_note(s, HISTORY_FAILED);
	if (++s->tries >= TRIES) {
		give_up(m, why);
	} else if (s->state == SESSION_RECONNECTING) {
		wait_and_retry(m);
	} else {
		if (s->tries == 1)
			log_failure(m, why);
		stay(s, m->to, backoff_ms(s));
		move_end(m);
	}
}

/* The old backend has had its time to say its last words. */
static void
drain_timed_out(struct rehoming *m)
{
	struct session *s = m->session;

	s->backend.lost = true;
	rehome_old_is_done(s);
}

static void
on_timeout(struct timer *t)
{
	struct rehoming *m = container_of(t, struct rehoming, timer);

	switch (m->state) {
	case MOVE_WAITING: dial(m); break;
	case MOVE_GREETING: try_again(m, REASON_FIRST_BYTE_TIMEOUT); break;
	case MOVE_CUTTING:
	case MOVE_SETTLING: look_later(m); break;
	case MOVE_DRAINING: drain_timed_out(m); break;
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
	       s->greeting->cuttable && !s->immovable;
}

/* The client's library connects again, and its pin leads it to the new backend. */
static void
send_away(struct session *s, enum reason why, const char *text)
{
	count(s, COUNT_REHOMES_CLOSED);
	session_close(s, why, s->up->conf->rehome.close_code, text);
}

/* The planner has sent the client on while it was being moved. */
static void
redirect(struct rehoming *m, struct backend *to, uint32_t delay_ms)
{
	struct backend **slot = &m->to;

	if (m->state >= MOVE_CUTTING)
		slot = &m->next; /* too late to turn: on from there */
	backend_put(*slot);
	*slot = backend_get(to);
	if (slot == &m->next)
		return;
	drop_conn(m);
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
pace_delay(struct session *s)
{
	struct registry *r = s->registry;
	uint64_t ms = pace_delay_ms(r->pace, s->up->conf->rehome.rate, clock_now_us());

	return random_jitter(&r->loop->random, ms, JITTER_PERCENT);
}

static void
go_on_elsewhere(struct session *s, struct backend *to)
{
	struct rehoming *m = s->move;

	session_set_state(s, SESSION_RECONNECTING);
	s->cut_wanted = false;
	if (!m && !begin(s, to, MOVE_LEAVING, pace_delay(s))) {
		session_close(s, REASON_NO_MEMORY, CLOSE_RESTART, "out of memory");
		return;
	}
	s->move->cut_us = clock_now_us();
	half_listen(&s->client);            /* to hold a little, and to see it go */
	if (s->move->state == MOVE_CUTTING) /* on its way already: the rest is short */
		agreed(s->move);
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
