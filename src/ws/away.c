/* SPDX-License-Identifier: MIT
 *
 * away.c - clients that are sent away, to come back to the backend that their pin
 * points to already.
 *
 * Each goes at its turn, which who sends it away has taken from the pace, so that no
 * backend sees all of them come back in one moment. Until then a session with a backend
 * goes on as if nothing were; one without holds what its client says, a little, and
 * drops it with the socket: the new backend will see another session.
 *
 * Who is on the way keeps its place: the pin's backend counts it as one to come (see
 * pins.h), and does so from the Close on, since it may be back before it has answered.
 *
 * Owner and thread: the session's.
 */
#include "ws/session_private.h"

#include "ws/registry.h"

void
session_close_away(struct session *s, enum reason why, unsigned cause, unsigned code,
    const char *text)
{
	if (s->state == SESSION_CLOSING || s->state == SESSION_CLOSED)
		return;
	count_add(&s->registry->loop->counters, COUNT_REHOMES_CLOSED, 1);
	tally(&s->counts->moves[MOVES_CLOSED][cause], 1);
	/* the place is kept before the client hears of it: it may be back at once, on
	 * another worker */
	s->sent_away = true;
	session_leave_pin(s, false);
	session_close(s, why, code, text);
}

void
session_send_away(struct session *s, enum reason why, unsigned cause, uint64_t delay_ms)
{
	uint64_t at = clock_now_ms() + delay_ms;

	/* an age may be put off by a reload; this may not */
	if (s->ends_why == REASON_NONE || s->ends_why == REASON_SESSION_AGE ||
	    s->ends_ms > at) {
		if (s->ends_why == REASON_NONE || s->ends_ms > at)
			s->ends_ms = at;
		s->ends_why = (uint8_t)why;
		s->sent_for = (uint8_t)cause;
	}
	watch_arm(s);
}

void
session_leave_pin(struct session *s, bool clean)
{
	struct chooser *chooser = s->registry->chooser;

	if (s->sent_away)
		choose_session_sent_away(chooser, s->up, &s->claim, clock_now_ms());
	else
		choose_session_closed(chooser, s->up, &s->claim, clean, clock_now_ms());
}
