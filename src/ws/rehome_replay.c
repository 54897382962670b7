/* SPDX-License-Identifier: MIT
 *
 * rehome_replay.c - says to the new backend what it has to hear before the client goes
 * on (replay.h), and keeps its answers from the client.
 *
 * The old backend is out by then, so that no two of them serve the client at once. One
 * message is said at a time: the next when the answers to it have come, as most clients
 * do it. What the new backend says besides waits for the switch.
 */
#include "ws/rehome_private.h"

#include "base/log.h"
#include "upstream/conn.h"
#include "ws/registry.h"

/* What the new backend may say besides before its answers. */
enum { BESIDES_MAX = 256 * 1024 };

static void
say_more(struct rehoming *m)
{
	struct session *s = m->session;
	const struct config_replay *conf = m->answers.conf;
	struct str frames;

	while (m->answers.due == 0 && !stream_queued(&m->conn->stream)) {
		if (!session_replay_next(s, &m->replay_at, &frames)) {
			move_switch_over(m);
			return;
		}
		m->replayed++;
		count_add(&s->registry->loop->counters, COUNT_REPLAYED, 1);
		m->answers.due = conf->answers;
		loop_timer(s->registry->loop, &m->timer, conf->timeout_ms);
		if (stream_put(&m->conn->stream, frames.p, frames.n) == STREAM_BROKEN) {
			move_failed(m, REASON_BACKEND_LOST);
			return;
		}
	}
}

/* A Close instead of an answer. That it restarts is no answer; anything else is what
 * the application has to say to this client. */
static void
closed(struct rehoming *m, unsigned code)
{
	switch (code) {
	case CLOSE_GOING_AWAY:
	case CLOSE_INTERNAL:
	case CLOSE_RESTART:
	case CLOSE_TRY_LATER:
	case CLOSE_BAD_GATEWAY: move_failed(m, REASON_BACKEND_LOST); break;
	default: move_switch_over(m);
	}
}

void
move_replay_hear(struct rehoming *m)
{
	unsigned code;

	switch (answers_take(&m->answers, &m->answer, &code)) {
	case ANSWERS_CLOSED: closed(m, code); return;
	case ANSWERS_BAD: move_failed(m, REASON_BACKEND_PROTOCOL); return;
	case ANSWERS_MORE: break;
	}
	if (m->answers.due == 0)
		say_more(m);
	else if (m->answer.len > BESIDES_MAX)
		move_unanswered(m);
}

void
move_replay_drained(struct rehoming *m)
{
	say_more(m);
}

bool
move_replay(struct rehoming *m)
{
	struct session *s = m->session;
	struct str frames;
	size_t at = 0;

	if (!session_replay_next(s, &at, &frames))
		return false;
	m->state = MOVE_REPLAYING;
	m->replay_at = 0;
	m->replayed = 0;
	m->conn->stream.keep_whole = true;
	stream_read_on(&m->conn->stream);
	answers_fini(&m->answers);
	answers_init(&m->answers, session_replay(s)->conf, s->client.scan.compressed);
	move_replay_hear(m); /* what it said unasked is no answer */
	return true;
}
