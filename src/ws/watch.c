/* SPDX-License-Identifier: MIT
 *
 * watch.c - what time does to a session: heartbeats, sides that take nothing, its age.
 *
 * A session has one timer for all of it and both sides. Traffic never touches it, it
 * only stores when a side was last alive; when the timer fires, the session is looked
 * at, and the timer set for the next date that can matter. The one event that brings a
 * date nearer is a queue that begins.
 *
 * Owner and thread: the session's.
 */
#include "ws/session_private.h"

#include "base/log.h"
#include "ws/heartbeat.h"
#include "ws/registry.h"
#include <stdlib.h>

enum {
	STALL_LOOKS = 4,    /* how often to look within timeouts.write */
	BOUNDARY_MS = 1000, /* so long may a message end before a date ends it */
	BOUNDARY_LOOK_MS = 20,
	UNREAD_MS = 100, /* it has said something that was not read yet */
	SLACK_MS = 1000  /* so late may a timer be before the sweep finds it amiss */
};

static void
nearer(uint64_t *wait, uint64_t ms)
{
	if (ms < *wait)
		*wait = ms;
}

/* Is this half the one that its side's words come from, now and to stay? Between two
 * backends, and while one leaves, re-homing has limits of its own. */
static bool
is_watched(const struct half *h)
{
	const struct session *s = h->session;

	if (h->lost || !stream_is_open(&h->stream))
		return false;
	return half_is_client(h) ||
	       (s->state == SESSION_CONNECTED && !rehome_is_cut(s));
}

static struct heartbeat_side
facts_of(const struct half *h)
{
	return (struct heartbeat_side){
	    .alive_ms = h->alive_ms,
	    .asked_ms = h->asked_ms,
	    .mute = !h->stream.reading || stream_queued(&h->stream) || !is_watched(h),
	};
}

static struct heartbeat_times
times_of(const struct session *s)
{
	const struct config_heartbeat *conf = &s->up->conf->heartbeat;

	return (struct heartbeat_times){
	    .interval_ms = heartbeat_jitter(conf->interval_ms, s->jitter),
	    .timeout_ms = conf->timeout_ms,
	};
}

/* ---- a queue that does not move ---- */

static uint64_t
stall_look_ms(const struct half *h)
{
	return h->session->up->conf->timeouts.write_ms / STALL_LOOKS + 1;
}

/* From now on its queue stands where it is. */
static void
stall_note(struct half *h, uint64_t now)
{
	h->stuck_ms = (uint32_t)now ? (uint32_t)now : 1;
	h->stuck_at = h->stream.out.at;
}

static bool
is_stalled(struct half *h, uint64_t now, uint64_t *wait)
{
	uint64_t limit = h->session->up->conf->timeouts.write_ms;
	uint32_t at = h->stream.out.at;

	if (limit == 0 || stream_queued(&h->stream) == 0 || !is_watched(h)) {
		h->stuck_ms = 0;
		return false;
	}
	if (h->stuck_ms == 0 || at != h->stuck_at)
		stall_note(h, now);
	nearer(wait, stall_look_ms(h));
	return (uint32_t)now - h->stuck_ms >= limit;
}

void
watch_blocked(struct half *h)
{
	struct session *s = h->session;
	uint64_t now = clock_now_ms(), look = stall_look_ms(h);

	if (s->up->conf->timeouts.write_ms == 0)
		return;
	stall_note(h, now);
	if (!timer_is_set(&s->timer) || s->timer.due_ms > now + look)
		loop_timer(s->registry->loop, &s->timer, look);
}

/* ---- heartbeats ---- */

/* False: it is dead. */
static bool
beat(struct half *h, uint64_t now, uint64_t *wait)
{
	struct heartbeat_side side = facts_of(h);
	struct heartbeat_times times = times_of(h->session);
	uint64_t ms;

	switch (heartbeat_next(&side, &times, now, &ms)) {
	case HEARTBEAT_WAIT: break;
	case HEARTBEAT_PING: half_send_ping(h); break;
	case HEARTBEAT_DEAD:
		/* this thread may have slept, and the answer be there unread */
		if (stream_is_quiet(&h->stream))
			return false;
		ms = UNREAD_MS;
		break;
	}
	nearer(wait, ms);
	return true;
}

void
watch_ping_due(struct half *h)
{
	struct heartbeat_side side = facts_of(h);
	struct heartbeat_times times = times_of(h->session);
	enum session_state state = h->session->state;
	uint64_t unused;

	if (state != SESSION_CLOSING && state != SESSION_CLOSED &&
	    heartbeat_next(&side, &times, clock_now_ms(), &unused) == HEARTBEAT_PING)
		half_send_ping(h);
	else
		h->ping_due = false;
}

bool
watch_is_overdue(const struct session *s, uint64_t now)
{
	const struct half *const halves[] = {&s->client, &s->backend};
	struct heartbeat_times times = times_of(s);

	for (size_t i = 0; i < 2; i++) {
		struct heartbeat_side side = facts_of(halves[i]);

		if (!halves[i]->ping_due &&
		    heartbeat_is_overdue(&side, &times, SLACK_MS, now))
			return true;
	}
	return false;
}

/* ---- dates that end a session ---- */

static const struct date {
	unsigned code; /* 0: that of re-homing */
	const char *text;
	bool away; /* a place is kept for the client */
} dates[REASON_COUNT] = {
    [REASON_SESSION_AGE] = {0, "session age", false},
    [REASON_SHUTDOWN] = {CLOSE_RESTART, "restarting", false},
    [REASON_UPGRADED] = {0, "upgraded", false},
    [REASON_REHOMED] = {0, "re-homed", true},
    [REASON_SESSION_BACKEND_LOST] = {0, "backend lost", true},
    [REASON_HEARTBEAT_TIMEOUT] = {0, "backend lost", true},
    [REASON_SLOW_READER] = {0, "backend lost", true},
    [REASON_REHOME_FAILED] = {CLOSE_TRY_LATER, "no backend", false},
};

/* A message that is under way to the client may end first. */
static bool
is_time_to_end(const struct session *s, uint64_t now, uint64_t *wait)
{
	if (s->ends_why == REASON_NONE)
		return false;
	if (now < s->ends_ms) {
		nearer(wait, s->ends_ms - now);
		return false;
	}
	if (s->backend.lost || frame_between_messages(&s->backend.scan) ||
	    now >= s->ends_ms + BOUNDARY_MS)
		return true;
	nearer(wait, BOUNDARY_LOOK_MS);
	return false;
}

static void
end_in_time(struct session *s)
{
	const struct date *date = &dates[s->ends_why];
	enum reason why = (enum reason)s->ends_why;
	/* after this code clients come back; after 1000 and 1001 they stay away */
	unsigned code = date->code ? date->code : s->up->conf->rehome.close_code;

	if (date->away)
		session_close_away(s, why, s->sent_for, code, date->text);
	else
		session_close(s, why, code, date->text);
}

/* ---- looking ---- */

/* False: that ended it, or began to. */
static bool
look_at(struct half *h, uint64_t now, uint64_t *wait)
{
	enum session_state state;

	if (is_stalled(h, now, wait))
		session_on_silent(h, REASON_SLOW_READER, CLOSE_TRY_LATER,
		    "slow reader");
	else if (!beat(h, now, wait)) {
		tally(&h->session->counts->silent[half_side(h)], 1);
		session_on_silent(h, REASON_HEARTBEAT_TIMEOUT, CLOSE_GOING_AWAY,
		    "stale");
	}
	state = h->session->state;
	return state != SESSION_CLOSING && state != SESSION_CLOSED;
}

static void
look(struct session *s)
{
	uint64_t now = clock_now_ms(), wait = UINT64_MAX;

	if (is_time_to_end(s, now, &wait)) {
		end_in_time(s);
		return;
	}
	if (!look_at(&s->client, now, &wait) || !look_at(&s->backend, now, &wait))
		return;
	if (s->ends_why != REASON_NONE &&
	    s->ends_ms >= now) /* perhaps since just now */
		nearer(&wait, s->ends_ms - now);
	if (wait != UINT64_MAX)
		loop_timer(s->registry->loop, &s->timer, wait);
}

/* ---- settings ---- */

static bool
follow_rules(struct session *s)
{
	const struct config_upstream *conf = s->up->conf;
	struct frame_rules rules = {
	    .max_frame = conf->limits.max_frame,
	    .max_message = conf->limits.max_message,
	    .utf8 = conf->utf8 == UTF8_CHECK,
	};

	if (!rules.max_frame && !rules.max_message && !rules.utf8) {
		free(s->rules);
		s->rules = NULL;
		return true;
	}
	if (!s->rules)
		s->rules = malloc(sizeof *s->rules);
	if (s->rules)
		*s->rules = rules;
	return s->rules != NULL;
}

bool
session_follow_settings(struct session *s)
{
	uint64_t age = s->up->conf->limits.max_session_age_ms;

	s->counts = view_counts(s->view, s->up);
	/* a stop, and clients that are to leave at their turn, are not put off */
	if (s->registry->stop_why == REASON_NONE &&
	    (s->ends_why == REASON_NONE || s->ends_why == REASON_SESSION_AGE)) {
		s->ends_why = age ? REASON_SESSION_AGE : REASON_NONE;
		s->ends_ms = s->opened_ms + heartbeat_jitter(age, s->jitter);
	}
	return follow_rules(s);
}

/* ---- the timer ---- */

static void
on_time(struct timer *t)
{
	struct session *s = container_of(t, struct session, timer);

	magic_check(s, SESSION_MAGIC);
	if (s->state == SESSION_CLOSING)
		session_close_timed_out(s);
	else
		look(s);
}

void
watch_init(struct session *s)
{
	timer_init(&s->timer, on_time);
}

void
watch_arm(struct session *s)
{
	if (s->state == SESSION_CONNECTED || s->state == SESSION_RECONNECTING)
		loop_timer(s->registry->loop, &s->timer, 0);
}
