/* SPDX-License-Identifier: MIT
 *
 * unsent.c - messages that a lost backend did not take: put aside for the next one, and
 * those that may be lost, counted.
 *
 * A message counts as delivered when the kernel has taken all of it. What the peer's
 * kernel has not acknowledged yet may have arrived all the same, so sending that again
 * could double it; and to be able to, each message would have to be copied and kept. A
 * message of which only a part was taken cannot have been acted on: it goes again,
 * whole, where its beginning is still there.
 *
 * Owner and thread: the session's.
 */
#include "ws/session_private.h"

#include "ws/registry.h"

enum { IN_FLIGHT_MS = 5000 }; /* an older question is answered, in whatever way */

struct span {
	size_t from, to;
	uint32_t messages;
};

/* The whole messages and what follows them in data[0..n), of which the first `at` bytes
 * were taken; `scan` is the scanner's state at data[0]. A Close of our own ends it: it
 * was for the old backend. */
static struct span
find_unsent(struct frame_scanner scan, const uint8_t *data, size_t n, size_t at)
{
	struct span span = {.from = n, .to = n};
	struct frame_control control;
	enum frame_event event;
	enum reason why;
	size_t off = 0, used = 1;

	while (true) {
		if (frame_between_messages(&scan) && (off <= at || span.from == n)) {
			span.from = off;
			span.messages = 0;
		}
		if (used == 0 || off >= n)
			break;
		used = frame_scan(&scan, NULL, data + off, n - off, &event, &control,
		    &why);
		if (event == FRAME_CONTROL && control.opcode == OP_CLOSE) {
			span.to = off;
			break;
		}
		off += used;
		span.messages += event == FRAME_MESSAGE;
	}
	if (span.from > span.to)
		span.from = span.to;
	return span;
}

static uint32_t
count_messages(struct frame_scanner scan, const struct queue *q)
{
	struct frame_control control;
	enum frame_event event;
	enum reason why;
	uint32_t n = 0;
	size_t off = 0, used = 1;

	while (used && off < queue_size(q)) {
		used = frame_scan(&scan, NULL, queue_bytes(q) + off,
		    queue_size(q) - off, &event, &control, &why);
		off += used;
		n += event == FRAME_MESSAGE;
	}
	return n;
}

/* Questions that had no answer when the backend was heard last, or whose answer was
 * under way. */
static uint32_t
in_flight(const struct session *s)
{
	bool recent = clock_now_ms() - session_heard_ms(s) < IN_FLIGHT_MS;

	return recent || s->client.alive_ms > s->backend.alive_ms ? s->unanswered : 0;
}

static void
note(struct session *s, uint32_t lost, uint32_t kept)
{
	struct counters *counters = &s->registry->loop->counters;

	count_add(counters, COUNT_MAYBE_LOST, lost);
	count_add(counters, COUNT_SENT_AGAIN, kept);
	tally(&s->counts->maybe_lost, lost);
	tally(&s->counts->sent_again, kept);
	if (lost || kept)
		history_note_messages(s, lost, kept);
}

uint64_t
session_count_unsent(const struct session *s)
{
	struct frame_scanner beginning;

	frame_scanner_init(&beginning, true, s->client.scan.compressed);
	return count_messages(beginning, &s->unsent);
}

void
session_keep_unsent(struct session *s, struct frame_scanner state, const uint8_t *data,
    size_t n, size_t at)
{
	struct span span = {0};
	uint32_t lost = in_flight(s), kept = 0;

	if (s->greeting)
		span = find_unsent(state, data, n, at);
	if (span.from < span.to &&
	    queue_append(&s->unsent, data + span.from, span.to - span.from))
		kept = span.messages;
	lost -= kept < lost ? kept : lost;
	/* of a message that began before and has not ended nobody can use the rest */
	if (span.from == span.to && !frame_between_messages(&s->client.scan)) {
		s->client.skip = true;
		lost++;
	}
	s->unanswered = kept; /* for the next backend to answer */
	note(s, lost, kept);
}

void
session_keep_queue(struct session *s)
{
	const struct queue *q = &s->backend.stream.out;

	session_keep_unsent(s, queue_size(q) ? s->queue_from : s->client.scan, q->data,
	    q->len, q->at);
}

void
session_drop_unsent(struct session *s)
{
	note(s,
	    (uint32_t)session_count_unsent(s) +
		count_messages(s->client.scan, &s->client.held),
	    0);
	queue_clear(&s->unsent);
}
