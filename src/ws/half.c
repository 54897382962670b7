/* SPDX-License-Identifier: MIT
 *
 * half.c - reads one side of a session and passes on to the other; see half.h.
 */
#include "ws/session_private.h"

#include "base/log.h"
#include "ws/app_heartbeat.h"
#include "ws/heartbeat.h"
#include "ws/registry.h"

static void broken(struct half *h, const struct frame_scanner *before, const uint8_t *p,
    size_t n);

/* ---- writing ---- */

/* Its queue begins, with something that stands at `before` in what was passed to it. */
static void
queue_begins(struct half *to, const struct frame_scanner *before)
{
	if (!half_is_client(to))
		to->session->queue_from = *before;
	session_on_blocked(to);
}

/* May a frame of our own go to this side now? What was passed on to it ends where the
 * other side's scanner stands, except while that is at work (half_take). */
static bool
may_speak(const struct half *to, bool message)
{
	const struct half *from = half_other((struct half *)(uintptr_t)to);

	if (to->close_sent || to->lost || !stream_is_open(&to->stream))
		return false;
	return message ? frame_between_messages(&from->scan)
		       : frame_between_frames(&from->scan);
}

static enum stream_wrote
speak(struct half *to, const struct iovec *iov, int n)
{
	bool was_empty = stream_queued(&to->stream) == 0;
	enum stream_wrote wrote = stream_write(&to->stream, iov, n);

	if (wrote == STREAM_QUEUED && was_empty)
		queue_begins(to, &half_other(to)->scan);
	return wrote;
}

/* As in passing on: what comes from the other side waits until this has left. */
static void
speak_and_go_on(struct half *to, const struct iovec *iov, int n)
{
	struct half *from = half_other(to);

	switch (speak(to, iov, n)) {
	case STREAM_SENT: break;
	case STREAM_QUEUED: stream_read_off(&from->stream); break;
	case STREAM_BROKEN: broken(to, &from->scan, NULL, 0); break;
	}
}

void
half_send_close(struct half *to, unsigned code, const char *text)
{
	uint8_t frame[FRAME_CARRY];
	struct iovec iov = {.iov_base = frame};

	if (!may_speak(to, false))
		return;
	iov.iov_len = frame_write_close(frame, code, text, !half_is_client(to));
	if (speak(to, &iov, 1) == STREAM_BROKEN)
		return;
	to->close_sent = true;
	to->told_code = (uint16_t)code;
}

void
half_send_ping(struct half *to)
{
	uint8_t frame[FRAME_CARRY], payload[HEARTBEAT_PAYLOAD];
	struct iovec iov = {.iov_base = frame};

	to->ping_due = !may_speak(to, false);
	if (to->ping_due)
		return;
	heartbeat_write(payload, half_token(to), ++to->pings);
	iov.iov_len = frame_write_control(frame, OP_PING, payload, sizeof payload,
	    !half_is_client(to));
	to->asked_ms = clock_now_ms();
	to->asked_us = (uint32_t)clock_now_us();
	count_add(&to->session->registry->loop->counters, COUNT_PINGS, 1);
	tally(&to->session->counts->pings[half_side(to)], 1);
	speak_and_go_on(to, &iov, 1);
}

bool
half_send_text(struct half *to, const void *text, size_t n)
{
	uint8_t header[FRAME_HEADER_MAX];
	struct iovec iov[2] = {
	    {header, frame_write_text_header(header, n)},
	    {(void *)(uintptr_t)text, n},
	};

	if (!may_speak(to, true))
		return false;
	speak_and_go_on(to, iov, 2);
	return true;
}

enum stream_wrote
half_replay(struct half *to, const void *p, size_t n)
{
	struct frame_scanner beginning;
	enum stream_wrote wrote = stream_put(&to->stream, p, n);

	frame_scanner_init(&beginning, true, half_other(to)->scan.compressed);
	if (wrote == STREAM_QUEUED)
		queue_begins(to, &beginning);
	return wrote;
}

/* ---- passing on ---- */

/* Writes p[0..n), which begins in scanner state `before`, to the other side. False: the
 * session's state has changed under us; nothing more of this read may be passed on. */
static bool
pass_on(struct half *from, const struct frame_scanner *before, const uint8_t *p,
    size_t n)
{
	struct half *to = half_other(from);
	bool was_empty = stream_queued(&to->stream) == 0;

	if (n == 0 || to->close_sent || !stream_is_open(&to->stream))
		return true;
	switch (stream_put(&to->stream, p, n)) {
	case STREAM_SENT: return true;
	case STREAM_QUEUED:
		if (was_empty)
			queue_begins(to, before);
		stream_read_off(&from->stream);
		return true;
	case STREAM_BROKEN: break;
	}
	broken(to, before, p, n);
	return false;
}

/* What half_take has found in the bytes so far. */
struct span {
	struct frame_scanner before; /* the scanner's state at `from` */
	size_t from;                 /* first byte not yet passed on */
	size_t at;                   /* first byte not yet scanned */
};

static void
span_restart(struct span *span, const struct half *h)
{
	span->from = span->at;
	span->before = h->scan;
}

static bool
span_flush(struct span *span, struct half *h, const uint8_t *p)
{
	size_t from = span->from;
	struct frame_scanner before = span->before;

	span_restart(span, h);
	return pass_on(h, &before, p + from, span->at - from);
}

/* What lies at span->at, `used` bytes, is for us alone. False: stop. */
static bool
swallow(struct half *h, struct span *span, const uint8_t *p, size_t used)
{
	bool go_on = span_flush(span, h, p);

	span->at += used;
	span_restart(span, h);
	return go_on;
}

/* A whole control frame of `used` bytes lies at span->at. False: stop. */
static bool
take_control(struct half *h, struct span *span, const uint8_t *p, size_t used,
    const struct frame_control *control)
{
	bool is_close = control->opcode == OP_CLOSE;

	if (session_on_control(h, control, p + span->at + control->header_len) ==
	    CONTROL_SWALLOW)
		return swallow(h, span, p, used) && !is_close;
	span->at += used;
	if (!is_close)
		return true;
	if (span_flush(span, h, p))
		session_on_close_passed(h);
	return false; /* nothing counts after a Close (RFC 6455, 5.5.1) */
}

/* The same for a side whose messages are looked at or skipped: `used` bytes of one lie
 * in front of span->at; ends: they are its last, or all of it. False: stop. */
static bool
take_marked(struct half *h, struct span *span, const uint8_t *p, size_t used, bool ends)
{
	if (h->skip) {
		h->skip = !ends;
		span_restart(span, h);
		if (ends)
			session_on_not_passed(h);
	} else if (used && (h->watched & WATCH_REPLAY)) {
		session_on_piece(h, p + span->at - used, used, ends);
	}
	if (!ends)
		return used > 0;
	return !session_on_message(h) && !(h->watched & WATCH_END);
}

/* A heartbeat of the application, perhaps: `used` bytes at span->at. True: it is one,
 * and goes no further. */
static bool
is_swallowed(struct half *h, const struct span *span, const uint8_t *p, size_t used)
{
	char text[APP_HEARTBEAT_MAX];

	if (!session_on_small_text(h, app_heartbeat_unmask(p + span->at, used, text)))
		return false;
	session_on_not_passed(h);
	return true;
}

/* A message ends with the `used` bytes at span->at; small: it is all of it, and may be
 * a heartbeat of the application. False: stop. */
static bool
take_message(struct half *h, struct span *span, const uint8_t *p, size_t used,
    bool small)
{
	h->messages++;
	if (small && is_swallowed(h, span, p, used))
		return swallow(h, span, p, used) && !h->session->cut_wanted;
	span->at += used;
	if (h->skip || h->watched)
		return take_marked(h, span, p, used, true);
	return !session_on_message(h);
}

/* What has been consumed belongs to a message that has not ended. False: stop. */
static bool
take_part(struct half *h, struct span *span, const uint8_t *p, size_t used)
{
	span->at += used;
	if (h->skip || h->watched)
		return take_marked(h, span, p, used, false);
	return used > 0;
}

/* One step of scanning. False: stop here. */
static bool
take_event(struct half *h, struct span *span, const uint8_t *p, size_t n)
{
	struct frame_control control;
	enum frame_event event;
	enum reason why;
	enum app_look look = APP_OTHER;
	size_t used;

	if ((h->watched & WATCH_HEARTBEATS) && frame_between_messages(&h->scan))
		look = app_heartbeat_look(p + span->at, n - span->at);
	if (look == APP_PART)
		return false; /* it is looked at when it is whole */
	used = frame_scan(&h->scan, h->session->rules, p + span->at, n - span->at,
	    &event, &control, &why);
	switch (event) {
	case FRAME_CONTROL: return take_control(h, span, p, used, &control);
	case FRAME_MESSAGE: return take_message(h, span, p, used, look == APP_WHOLE);
	case FRAME_MORE: return take_part(h, span, p, used);
	case FRAME_BAD:
		span->at += used;
		if (h->skip)
			span_restart(span, h);
		break;
	}
	if (span_flush(span, h, p))
		session_on_bad_frame(h, why);
	return false;
}

/* Nothing is passed on once a side has said Close or the session is over. */
static bool
is_deaf(const struct half *h)
{
	return h->close_code || h->broke_rules || h->lost ||
	       h->session->state == SESSION_CLOSED;
}

static void
hold(struct half *h, const uint8_t *p, size_t n)
{
	if (!queue_append(&h->held, p, n))
		session_close(h->session, REASON_NO_MEMORY, CLOSE_INTERNAL,
		    "out of memory");
}

/* What is not consumed waits, unless what stopped us is over already. */
static void
keep_rest(struct half *h, const uint8_t *p, size_t n)
{
	hold(h, p, n);
	if (h->went_over) {
		h->went_over = false;
		half_resume(h);
	}
}

void
half_take(struct half *h, const uint8_t *p, size_t n)
{
	struct span span = {.before = h->scan};
	bool go_on = true;

	while (go_on && span.at < n && !is_deaf(h))
		go_on = take_event(h, &span, p, n);
	if (!is_deaf(h) && span.at > span.from)
		span_flush(&span, h, p);
	if (span.at < n && !is_deaf(h))
		keep_rest(h, p + span.at, n - span.at);
	session_on_taken(h);
}

/* What this side said before it was closed counts, although nobody has read it yet: it
 * may be the very reason, a Close. */
static void
hear_out(struct half *h)
{
	struct queue words = h->held;
	uint8_t piece[8192];
	ssize_t n;

	if (is_deaf(h) || half_must_wait(h) || half_other(h)->stream.broken)
		return;
	h->held = (struct queue){0};
	while ((n = stream_read(&h->stream, piece, sizeof piece)) > 0) {
		h->bytes += (uint64_t)n;
		if (!queue_append(&words, piece, (size_t)n))
			break;
	}
	if (queue_size(&words))
		half_take(h, queue_bytes(&words), queue_size(&words));
	queue_clear(&words);
}

/* Writing to it has failed, of p[0..n) at the latest: see session_on_lost. */
static void
broken(struct half *h, const struct frame_scanner *before, const uint8_t *p, size_t n)
{
	unsigned moves = h->session->moves;

	hear_out(h);
	session_on_lost(h, before, p, n);
	half_other(h)->went_over = h->session->moves != moves;
}

/* ---- reading ---- */

/* Is there a Close among what is held? */
static bool
wants_to_leave(const struct half *h)
{
	struct frame_scanner scan = h->scan;
	struct frame_control control;
	enum frame_event event;
	enum reason why;
	size_t off = 0, used = 1;

	while (used && off < queue_size(&h->held)) {
		used = frame_scan(&scan, h->session->rules, queue_bytes(&h->held) + off,
		    queue_size(&h->held) - off, &event, &control, &why);
		if (event == FRAME_BAD ||
		    (event == FRAME_CONTROL && control.opcode == OP_CLOSE))
			return true;
		off += used;
	}
	return false;
}

/* Between two backends: what the client says waits, up to a point. */
static void
read_and_hold(struct half *h, const uint8_t *p, ssize_t n)
{
	bool has_backend = h->session->state != SESSION_RECONNECTING;

	if (n > 0)
		hold(h, p, (size_t)n);
	/* an end behind words that wait for a backend is looked at again after them */
	else if (queue_size(&h->held) == 0 || !h->session->move)
		session_on_lost(h, &h->scan, NULL, 0);
	if (n <= 0 || queue_size(&h->held) >= LOOP_READ)
		stream_read_off(&h->stream);
	/* nobody knows when there will be a backend that could hear it */
	if (n > 0 && !has_backend && wants_to_leave(h))
		session_on_leaving(h->session);
}

static void
on_readable(struct stream *stream)
{
	struct half *h = container_of(stream, struct half, stream);
	struct session *s = h->session;
	uint8_t *p = s->registry->loop->scratch;
	size_t held = queue_size(&h->held);
	ssize_t n = stream_read(stream, p, LOOP_READ);

	magic_check(s, SESSION_MAGIC);
	if (n == STREAM_AGAIN)
		return;
	if (n > 0) {
		h->bytes += (uint64_t)n;
		h->alive_ms = clock_now_ms();
	}
	if (half_must_wait(h)) {
		read_and_hold(h, p, n);
		return;
	}
	if (n <= 0) {
		session_on_lost(h, &h->scan, NULL, 0);
		return;
	}
	if (is_deaf(h))
		return;
	if (held) { /* at most twice LOOP_READ: see read_and_hold */
		p -= held;
		memcpy(p, queue_bytes(&h->held), held);
		queue_clear(&h->held);
	}
	half_take(h, p, (size_t)n + held);
}

void
half_listen(struct half *h)
{
	if (h->stream.reading)
		return;
	h->alive_ms = clock_now_ms(); /* it could not show life before */
	stream_read_on(&h->stream);
}

void
half_resume(struct half *h)
{
	struct queue held = h->held;

	if (half_must_wait(h))
		return;
	h->held = (struct queue){0};
	if (queue_size(&held))
		half_take(h, queue_bytes(&held), queue_size(&held));
	queue_clear(&held);
	/* what was held may have filled the other side's queue, or ended the session */
	if (stream_is_open(&h->stream) && !h->lost &&
	    stream_queued(&half_other(h)->stream) == 0)
		half_listen(h);
}

static void
on_drained(struct stream *stream)
{
	session_on_drained(container_of(stream, struct half, stream));
}

static void
on_broken(struct stream *stream)
{
	struct half *h = container_of(stream, struct half, stream);

	/* an old backend that is read to its end needs to hear nothing more */
	if (half_is_client(h) || !rehome_is_cut(h->session))
		broken(h, &h->scan, NULL, 0);
}

const struct stream_ops half_ops = {
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_broken = on_broken,
};

/* ---- end ---- */

void
half_shut(struct half *h)
{
	stream_close(&h->stream);
	queue_clear(&h->held);
}
