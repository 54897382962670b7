/* SPDX-License-Identifier: MIT
 *
 * replay.h - the messages of a client that a new backend has to hear as well, kept as
 * they came: a login, a subscription.
 *
 * Hangs off the session's greeting, and only where the upstream replays something. The
 * rules are those under which the session began, since what passed then cannot be kept
 * later. Thread: the session's worker.
 */
#ifndef ROOST_WS_REPLAY_H
#define ROOST_WS_REPLAY_H

#include "base/strbuf.h"
#include "config/config.h"

struct greeting;
struct session;
struct view;

/* Owner: the greeting, with which it is one block. */
struct replay {
	struct view *view;                /* a reference, for: */
	const struct config_replay *conf; /* borrowed */
	struct strbuf kept;    /* one message behind the other, see replay_next */
	struct strbuf message; /* the one under way, while it may be one of them */
	uint64_t unpassed;     /* messages of the client that went to no backend */
	unsigned seen;         /* of the first ones */
	unsigned n;            /* kept */
	bool ignores;          /* the rest of the message under way */
	bool overflowed;       /* more than max_size: nothing is kept any more */
};

static inline bool
replay_is_wanted(const struct config_replay *conf)
{
	return conf->first || conf->field;
}

void replay_init(struct replay *r, struct view *view, const struct config_replay *conf);
void replay_fini(struct replay *r);

/* A piece of the client's message `number` (from 1), without control frames; `ends`:
 * its last. False: no later message can matter. */
bool replay_take(struct replay *r, const uint8_t *p, size_t n, bool ends,
    uint64_t number);

/* The message under way goes to no backend. */
void replay_drop(struct replay *r);

/* The next message at or after *at, which moves behind it; 0 is the first. False: that
 * was all, or its number is above `last`. */
bool replay_next(const struct replay *r, size_t *at, uint64_t last,
    struct str *frames_r);

/* ---- of a session ---- */

/* Its record, or NULL. */
struct replay *session_replay(const struct session *s);

/* Can a new backend be told all it has to hear? */
bool session_can_replay(const struct session *s);

/* The next message that some backend has heard before; the rest waits in s->unsent. */
bool session_replay_next(const struct session *s, size_t *at, struct str *frames_r);

#endif
