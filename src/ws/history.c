/* SPDX-License-Identifier: MIT
 *
 * history.c - what happened to a session: its changes of state, its backends, its
 * reconnects. Memory is taken when there is something to tell, which for most sessions
 * is never; what there is no memory for is not remembered.
 *
 * Owner and thread: the session's.
 */
#include "ws/history.h"

#include "upstream/backend.h"
#include "ws/session_private.h"
#include <stdlib.h>

static struct history *
history_of(struct session *s)
{
	if (!s->history)
		s->history = calloc(1, sizeof *s->history);
	return s->history;
}

void
history_left_state(struct session *s, enum session_state state)
{
	uint64_t ms = clock_now_ms() - s->state_ms;
	/* of one that just opens and closes nobody needs to know more than its end */
	struct history *h =
	    s->state == SESSION_RECONNECTING ? history_of(s) : s->history;

	if (!h)
		return;
	if (state == SESSION_RECONNECTING)
		h->down_ms += ms;
	h->changes[h->n_changes++ % HISTORY_CHANGES] = (struct history_change){
	    .since_ms = s->state_ms,
	    .state = (uint8_t)state,
	};
}

void
history_left_home(struct session *s, struct backend *home)
{
	struct history *h = history_of(s);
	struct history_home *slot;

	if (!h) {
		backend_put(home);
		return;
	}
	slot = &h->homes[h->n_homes++ % HISTORY_HOMES];
	backend_put(slot->backend);
	*slot = (struct history_home){.backend = home, .left_ms = clock_now_ms()};
}

void
history_note(struct session *s, enum history_event event)
{
	struct history *h = history_of(s);

	if (h)
		h->events[event]++;
}

void
history_note_messages(struct session *s, uint32_t lost, uint32_t again)
{
	struct history *h = history_of(s);

	if (h) {
		h->lost += lost;
		h->again += again;
	}
}

void
history_free(struct history *h)
{
	if (!h)
		return;
	for (unsigned i = 0; i < HISTORY_HOMES; i++)
		backend_put(h->homes[i].backend);
	free(h);
}
