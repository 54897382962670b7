/* SPDX-License-Identifier: MIT
 *
 * body.c - passes the request's body on to the backend as it comes.
 *
 * The door hands in bytes from its read buffer; what the backend's connection does not
 * take goes into that connection's queue, and then no more is taken until it has
 * drained. Chunked bodies are decoded and framed anew.
 */
#include "http/exchange_private.h"

#include "http/pieces.h"
#include "upstream/outlier.h"

static void
request_sent(struct exchange *x)
{
	x->request_state = REQUEST_SENT;
	if (x->up->conf->balance == BALANCE_P2C || outlier_is_timed(x->up))
		x->times.sent = clock_now_us();
	if (x->response_state == RESPONSE_HEAD)
		exchange_await(x, x->up->conf->timeouts.first_byte_ms);
}

/* A client may be slow, but not so slow that it only keeps a connection busy. Judged
 * once in a while, over the time in which it was really waited for. */
static bool
is_too_slow(struct exchange *x, size_t n)
{
	const struct config_upstream *conf = x->up->conf;
	uint64_t now_ms, passed_ms;

	if (!conf->limits.min_rate || !conf->timeouts.body_ms)
		return false;
	now_ms = clock_now_ms();
	x->rate_bytes += n;
	passed_ms = now_ms - x->rate_from_ms;
	if (passed_ms < conf->timeouts.body_ms)
		return false;
	if (x->rate_bytes * 1000 < (uint64_t)conf->limits.min_rate * passed_ms)
		return true;
	x->rate_from_ms = now_ms;
	x->rate_bytes = 0;
	return false;
}

static void
watch_rate(struct exchange *x)
{
	x->rate_from_ms = clock_now_ms();
	x->rate_bytes = 0;
}

void
exchange_invite_body(struct exchange *x)
{
	x->expect_continue = false;
	watch_rate(x);
	exchange_await(x, x->up->conf->timeouts.body_ms);
}

/* Sends what was collected, the head in front if it has not gone yet. */
static void
send_pieces(struct exchange *x, struct pieces *out)
{
	size_t head_len = x->head_sent ? 0 : x->request.len;
	const struct iovec *iov;
	int n;

	x->head_sent = true;
	iov = pieces_with_head(out, x->request.data, head_len, &n);
	if (n == 0)
		return;
	/* a backend that takes no more may have answered nevertheless: reading tells */
	if (stream_write(&x->conn->stream, iov, n) != STREAM_SENT)
		x->body_blocked = true;
}

static size_t
take_length(struct exchange *x, const char *p, size_t n, struct pieces *out)
{
	size_t take = n < x->request_left ? n : (size_t)x->request_left;

	pieces_add(out, p, take, false);
	x->request_left -= take;
	x->request_bytes += take;
	return take;
}

static size_t
take_chunked(struct exchange *x, const char *p, size_t n, struct pieces *out,
    bool *bad_r)
{
	enum chunk_event event;
	size_t at = 0, used;
	struct str data;

	do {
		event = chunk_next(&x->request_chunks, p + at, n - at, &used, &data);
		at += used;
		if (event == CHUNK_DATA) {
			pieces_add(out, data.p, data.n, true);
			x->request_bytes += data.n;
		}
	} while (event == CHUNK_DATA && at < n && !pieces_is_full(out));
	if (event == CHUNK_END) {
		pieces_end_chunks(out, data);
		x->request_left = 0;
		x->request_body = BODY_LENGTH; /* all of it is here */
	}
	*bad_r = event == CHUNK_BAD;
	return at;
}

static enum reason
judge_piece(struct exchange *x, size_t used, bool bad)
{
	uint64_t max = x->up->conf->limits.max_body;

	if (bad)
		return REASON_BAD_CHUNK;
	if (max && x->request_bytes > max)
		return REASON_BODY_TOO_LARGE;
	return is_too_slow(x, used) ? REASON_BODY_TOO_SLOW : REASON_NONE;
}

size_t
exchange_take_body(struct exchange *x, const char *p, size_t n)
{
	struct pieces out;
	enum reason why;
	bool bad = false;
	size_t used;

	if (!exchange_takes_body(x))
		return 0;
	if (x->expect_continue) /* it did not wait for the answer */
		exchange_invite_body(x);
	pieces_init(&out);
	exchange_await(x, x->up->conf->timeouts.body_ms);
	if (x->request_body == BODY_CHUNKED)
		used = take_chunked(x, p, n, &out, &bad);
	else
		used = take_length(x, p, n, &out);
	x->body_taken = x->body_taken || used;
	why = judge_piece(x, used, bad);
	if (why == REASON_NONE && used)
		send_pieces(x, &out);
	pieces_fini(&out);
	if (why != REASON_NONE)
		exchange_fail(x, why);
	else if (x->request_body == BODY_LENGTH && x->request_left == 0)
		request_sent(x);
	return used;
}

bool
exchange_wants_body(const struct exchange *x)
{
	return x->request_state != REQUEST_SENT && x->request_body != BODY_NONE;
}

bool
exchange_takes_body(const struct exchange *x)
{
	return x->request_state == REQUEST_BODY && !x->body_blocked;
}

void
exchange_flush(struct exchange *x)
{
	struct pieces none;

	if (x->head_sent || !x->conn || x->request_state == REQUEST_CONNECTING)
		return;
	pieces_init(&none);
	send_pieces(x, &none);
}

void
exchange_request_ready(struct exchange *x)
{
	struct door *d = x->door;

	x->conn_reusable = true;
	if (x->request_body == BODY_NONE) {
		x->request_state = REQUEST_SENT;
		exchange_flush(x);
		request_sent(x);
		return;
	}
	x->request_state = REQUEST_BODY;
	/* who waits for a 100 shall have the backend's, not one of ours */
	if (x->expect_continue)
		exchange_await(x, x->up->conf->timeouts.first_byte_ms);
	else
		exchange_invite_body(x);
	if (d->consuming)
		return; /* the door goes on by itself, and flushes */
	door_resume(d);
	if (!exchange_is_over(x))
		exchange_flush(x);
}

void
exchange_backend_drained(struct exchange *x)
{
	x->body_blocked = false;
	watch_rate(x);
	if (x->request_state == REQUEST_BODY)
		door_resume(x->door);
}
