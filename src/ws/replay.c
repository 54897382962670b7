/* SPDX-License-Identifier: MIT
 *
 * replay.c - the messages of a client that a new backend has to hear as well; see
 * replay.h.
 *
 * Frames are kept as they came, with their masks: what went to one server may go to the
 * next as it is (RFC 6455, 5.3 asks for unpredictable masks, not for new ones here,
 * where the application has no say in them).
 */
#include "ws/replay.h"

#include "upstream/view.h"
#include "ws/peek.h"
#include "ws/session_private.h"

/* In front of each message in `kept`, not aligned. */
struct entry {
	uint64_t number;
	uint32_t size;
};

void
replay_init(struct replay *r, struct view *view, const struct config_replay *conf)
{
	*r = (struct replay){.view = view_get(view), .conf = conf};
}

void
replay_fini(struct replay *r)
{
	view_put(r->view);
	strbuf_fini(&r->kept);
	strbuf_fini(&r->message);
}

void
replay_drop(struct replay *r)
{
	strbuf_fini(&r->message);
	r->ignores = false;
}

/* Half a replay is none: the memory can go. */
static void
overflow(struct replay *r)
{
	r->overflowed = true;
	strbuf_fini(&r->kept);
	strbuf_fini(&r->message);
}

static void
keep(struct replay *r, const uint8_t *p, size_t n, uint64_t number)
{
	struct entry entry = {.number = number, .size = (uint32_t)n};

	if (r->kept.len + sizeof entry + n <= r->conf->max_size &&
	    strbuf_reserve(&r->kept, sizeof entry + n)) {
		strbuf_append(&r->kept, &entry, sizeof entry);
		strbuf_append(&r->kept, p, n);
		r->n++;
	} else {
		overflow(r);
	}
}

/* It stands there whole. */
static void
look_at(struct replay *r, const uint8_t *p, size_t n, uint64_t number)
{
	struct peek_wanted wanted = {r->conf->field, r->conf->values,
	    r->conf->n_values};

	if (r->seen < r->conf->first) {
		r->seen++;
		keep(r, p, n, number);
	} else if (peek_message(p, n, &wanted)) {
		keep(r, p, n, number);
	}
}

/* Can the message that begins with this piece be one of them? A big one that is none of
 * the first is not looked at. */
static bool
may_matter(const struct replay *r, const uint8_t *p, size_t n)
{
	size_t size = r->message.len + n;

	if (r->seen < r->conf->first)
		return true;
	if (r->message.len)
		p = (const uint8_t *)r->message.data;
	return r->conf->field && (p[0] & 0x0f) == OP_TEXT && size <= r->conf->max_size;
}

/* A piece of a message under way is put aside until its end is there. */
static void
collect(struct replay *r, const uint8_t *p, size_t n)
{
	r->message.limit = r->conf->max_size;
	strbuf_append(&r->message, p, n);
	if (r->message.failed)
		overflow(r);
}

bool
replay_take(struct replay *r, const uint8_t *p, size_t n, bool ends, uint64_t number)
{
	if (!r->ignores && !may_matter(r, p, n))
		r->ignores = true;
	if (r->ignores) {
		strbuf_fini(&r->message);
		r->ignores = !ends;
	} else if (ends && r->message.len == 0) {
		look_at(r, p, n, number);
	} else {
		collect(r, p, n);
		if (ends && !r->overflowed)
			look_at(r, (uint8_t *)r->message.data, r->message.len, number);
		if (ends)
			strbuf_fini(&r->message);
	}
	return !r->overflowed && (r->seen < r->conf->first || r->conf->field);
}

bool
replay_next(const struct replay *r, size_t *at, uint64_t last, struct str *frames_r)
{
	struct entry entry;

	if (*at >= r->kept.len)
		return false;
	memcpy(&entry, r->kept.data + *at, sizeof entry);
	if (entry.number > last)
		return false;
	*frames_r = (struct str){r->kept.data + *at + sizeof entry, entry.size};
	*at += sizeof entry + entry.size;
	return true;
}

/* ---- of a session ---- */

struct replay *
session_replay(const struct session *s)
{
	return s->greeting && s->greeting->replays ? greeting_replay(s->greeting)
						   : NULL;
}

/* A session from before the upstream replayed anything has kept nothing. */
bool
session_can_replay(const struct session *s)
{
	const struct replay *r = session_replay(s);

	return r ? !r->overflowed : !replay_is_wanted(&s->up->conf->rehome.replay);
}

bool
session_replay_next(const struct session *s, size_t *at, struct str *frames_r)
{
	const struct replay *r = session_replay(s);
	uint64_t passed, unsent;

	if (!r || r->overflowed)
		return false;
	passed = s->client.messages - r->unpassed;
	unsent = session_count_unsent(s);
	return replay_next(r, at, passed > unsent ? passed - unsent : 0, frames_r);
}

/* ---- what half.c tells ---- */

void
session_on_piece(struct half *from, const uint8_t *p, size_t n, bool ends)
{
	struct replay *r = session_replay(from->session);

	if (!r || !replay_take(r, p, n, ends, from->messages - r->unpassed + !ends))
		from->watched &= (uint8_t)~WATCH_REPLAY;
}

void
session_on_not_passed(struct half *from)
{
	struct replay *r = session_replay(from->session);

	if (!r || !half_is_client(from))
		return;
	r->unpassed++;
	replay_drop(r);
}
