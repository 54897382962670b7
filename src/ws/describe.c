/* SPDX-License-Identifier: MIT
 *
 * describe.c - a session as plain values; see describe.h.
 */
#include "ws/describe.h"

#include "upstream/backend.h"
#include "ws/session_private.h"

static void
describe_side(const struct half *h, uint64_t now, struct side_view *v)
{
	*v = (struct side_view){
	    .messages = h->messages,
	    .bytes = h->bytes,
	    .idle_ms = now - h->alive_ms,
	    .queued = stream_queued(&h->stream),
	    .held = queue_size(&h->held),
	    .pings = h->pings,
	    .pongs = h->pongs,
	    .rtt_us = h->rtt_us,
	    .rtt_mean_us = h->rtt_mean_us,
	    .close_said = h->close_code,
	    .close_seen = h->told_code,
	};
}

/* The entries of a ring of `size` that are still there, the oldest first: from number
 * *first_r on. */
static unsigned
ring_span(unsigned n, unsigned size, unsigned *first_r)
{
	*first_r = n > size ? n - size : 0;
	return n - *first_r;
}

static void
describe_history(const struct history *h, struct session_view *v)
{
	unsigned first;

	v->tried = h->events[HISTORY_TRIED];
	v->succeeded = h->events[HISTORY_SUCCEEDED];
	v->failed = h->events[HISTORY_FAILED];
	v->lost = h->lost;
	v->again = h->again;
	v->down_ms += h->down_ms;
	v->n_changes = ring_span(h->n_changes, HISTORY_CHANGES, &first);
	for (unsigned i = 0; i < v->n_changes; i++) {
		const struct history_change *c =
		    &h->changes[(first + i) % HISTORY_CHANGES];

		v->changes[i] =
		    (struct state_view){(enum session_state)c->state, c->since_ms};
	}
	v->n_homes = ring_span(h->n_homes, HISTORY_HOMES, &first);
	for (unsigned i = 0; i < v->n_homes; i++) {
		const struct history_home *home =
		    &h->homes[(first + i) % HISTORY_HOMES];

		v->homes[i] = (struct home_view){home->backend->name, home->left_ms};
	}
}

/* One that never had anything to remember went from connected to what it is. */
static void
describe_plain(const struct session *s, struct session_view *v)
{
	if (s->state == SESSION_CONNECTED)
		return;
	v->changes[0] = (struct state_view){SESSION_CONNECTED, s->opened_ms};
	v->n_changes = 1;
}

static unsigned
availability(const struct session_view *v)
{
	return v->age_ms ? (unsigned)((v->age_ms - v->down_ms) * 10000 / v->age_ms)
			 : 10000;
}

void
session_describe(const struct session *s, struct session_view *v)
{
	uint64_t now = clock_now_ms();

	*v = (struct session_view){
	    .id = s->id,
	    .upstream = s->home->upstream,
	    .backend = s->home->name,
	    .key = s->claim.key,
	    .follower = s->claim.follower,
	    .has_follower = s->claim.has_follower,
	    .moving = s->move != NULL,
	    .peer = s->peer,
	    .state = s->state,
	    .chosen_by = choose_by_name((enum choose_by)s->chosen_by),
	    .opened_ms = s->opened_ms,
	    .age_ms = now - s->opened_ms,
	    .in_state_ms = now - s->state_ms,
	    .moves = s->moves,
	};
	describe_side(&s->client, now, &v->client_side);
	describe_side(&s->backend, now, &v->backend_side);
	if (s->state == SESSION_RECONNECTING)
		v->down_ms = v->in_state_ms;
	if (s->history && s->history->n_changes)
		describe_history(s->history, v);
	else
		describe_plain(s, v);
	v->changes[v->n_changes++] = (struct state_view){s->state, s->state_ms};
	v->availability = availability(v);
}

struct log_about
session_about(const struct session *s)
{
	return (struct log_about){.session = s->id,
	    .address = &s->peer,
	    .upstream = s->home->upstream,
	    .backend = s->home->name};
}
