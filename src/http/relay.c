/* SPDX-License-Identifier: MIT
 *
 * relay.c - the response on its way from backend to client.
 *
 * The head is rebuilt and leaves together with the first piece of body in one write.
 * When the client does not take what it is given, the backend is not read.
 */
#include "http/exchange_private.h"

#include "http/compress.h"
#include "http/pieces.h"
#include "route/router.h"
#include "upstream/backend.h"
#include "upstream/outlier.h"

/* Sends pieces, the response head in front if it still waits. False: the client is gone
 * and the exchange over. */
static bool
send_pieces(struct exchange *x, struct pieces *out)
{
	const struct strbuf *head = &x->front->out;
	const struct iovec *iov;
	int n;

	iov = pieces_with_head(out, head->data, x->head_pending ? head->len : 0, &n);
	x->head_pending = false;
	if (n == 0)
		return true;
	x->begun = true;
	if (x->response_state == RESPONSE_DONE)
		exchange_release(x);
	switch (stream_write(&x->door->stream, iov, n)) {
	case STREAM_SENT: break;
	case STREAM_QUEUED:
		if (x->conn)
			stream_read_off(&x->conn->stream);
		break;
	case STREAM_BROKEN: door_close(x->door, REASON_CLIENT_GONE); return false;
	}
	return true;
}

/* ---- body ---- */

/* One read's worth of body data, on its way to the client. */
static void
add_piece(struct exchange *x, struct pieces *out, const char *p, size_t n)
{
	bool as_chunk = x->client_body == BODY_CHUNKED;

	if (x->compressor) {
		if (n && !compressor_push(x->compressor, p, n, false, &out->coded))
			out->coded.failed = true;
		return;
	}
	x->response_bytes += n;
	pieces_add(out, p, n, as_chunk);
}

/* What the compressor gave for all of this read goes out as one piece; last: with its
 * end. False: no memory. */
static bool
add_coded(struct exchange *x, struct pieces *out)
{
	bool last = x->response_state == RESPONSE_DONE;

	if (!x->compressor)
		return true;
	if (last && !compressor_push(x->compressor, NULL, 0, true, &out->coded))
		out->coded.failed = true;
	if (out->coded.failed)
		return false;
	x->response_bytes += out->coded.len;
	pieces_add(out, out->coded.data, out->coded.len,
	    x->client_body == BODY_CHUNKED);
	return true;
}

static size_t
relay_plain(struct exchange *x, const char *p, size_t n, struct pieces *out)
{
	size_t take = n;

	if (x->response_body == BODY_LENGTH) {
		if (take > x->response_left)
			take = (size_t)x->response_left;
		x->response_left -= take;
		if (x->response_left == 0)
			x->response_state = RESPONSE_DONE;
	}
	add_piece(x, out, p, take);
	return take;
}

static size_t
relay_chunked(struct exchange *x, const char *p, size_t n, struct pieces *out,
    struct str *trailers_r, bool *bad_r)
{
	enum chunk_event event;
	size_t at = 0, used;
	struct str data;

	do {
		event = chunk_next(&x->response_chunks, p + at, n - at, &used, &data);
		at += used;
		if (event == CHUNK_DATA)
			add_piece(x, out, data.p, data.n);
	} while (event == CHUNK_DATA && at < n && !pieces_is_full(out));
	if (event == CHUNK_END) {
		x->response_state = RESPONSE_DONE;
		*trailers_r = data;
	}
	*bad_r = event == CHUNK_BAD;
	return at;
}

/* Ends what was collected of a read: the compressor's part, and the end of the body if
 * this is it. False: no memory. */
static bool
complete_pieces(struct exchange *x, struct pieces *out, struct str trailers)
{
	if (!add_coded(x, out))
		return false;
	if (x->response_state == RESPONSE_DONE && x->client_body == BODY_CHUNKED)
		pieces_end_chunks(out, trailers);
	return true;
}

/* Passes on what it can of p[0..n); returns how much. The exchange may be over then. */
static size_t
relay_body(struct exchange *x, const char *p, size_t n)
{
	struct str trailers = {NULL, 0};
	struct pieces out;
	bool bad = false;
	size_t used;

	pieces_init(&out);
	exchange_await(x, x->up->conf->timeouts.response_ms);
	if (x->response_body == BODY_CHUNKED)
		used = relay_chunked(x, p, n, &out, &trailers, &bad);
	else
		used = relay_plain(x, p, n, &out);
	if (!complete_pieces(x, &out, trailers)) {
		exchange_fail(x, REASON_NO_MEMORY);
	} else if (send_pieces(x, &out) && bad) {
		x->conn_reusable = false;
		exchange_fail(x, REASON_BAD_RESPONSE);
	}
	pieces_fini(&out);
	return used;
}

/* ---- head ---- */

/* How the client will see the end of a body that the backend frames as it does. */
static enum body_kind
framing_for(const struct exchange *x, enum body_kind kind)
{
	if (kind == BODY_CHUNKED || kind == BODY_UNTIL_CLOSE)
		return x->minor == 1 ? BODY_CHUNKED : BODY_UNTIL_CLOSE;
	return kind;
}

/* Compresses the body, where the route and the client want that. */
static void
choose_coding(struct exchange *x, const struct response *r, struct answer *answer)
{
	const struct config_compress *conf = &x->route->conf->compress;

	if (!conf->codings || !compress_varies(conf, r))
		return;
	answer->varies = true;
	if (x->accept_coding && r->body != BODY_NONE)
		x->compressor = compressor_new(x->accept_coding, conf->level);
	if (x->compressor)
		answer->body = framing_for(x, BODY_CHUNKED);
	/* the answer to a HEAD has the head that GET gets */
	if (x->compressor || r->body == BODY_NONE)
		answer->coding = x->accept_coding;
}

static void
note_response(struct exchange *x, const struct response *r)
{
	x->status = (uint16_t)r->status;
	x->times.first_byte = exchange_turn_us(x);
}

static void
begin_response(struct exchange *x, const struct response *r)
{
	char cookie[COOKIE_VALUE + 1];
	struct template_values values;
	struct answer answer = {
	    .minor = x->minor,
	    .body = framing_for(x, r->body),
	    .length = r->length,
	    .describes_body = x->method == METHOD_HEAD || r->status == 304,
	    .cookie = exchange_cookie(x, cookie),
	    .https = x->https,
	    .edits = x->route->response_edits,
	    .values = &values,
	};

	note_response(x, r);
	if (answer.edits)
		exchange_values(x, &values);
	choose_coding(x, r, &answer);
	x->response_body = r->body;
	x->response_left = r->length;
	x->client_body = answer.body;
	x->conn_reusable = x->conn_reusable && r->keep_alive;
	/* the rest of a request that was answered early is not waited for */
	if (x->request_state != REQUEST_SENT || x->client_body == BODY_UNTIL_CLOSE ||
	    x->front->stopping)
		x->keep_alive = false;
	answer.keep_alive = x->keep_alive;
	if (r->body == BODY_NONE && !answer.describes_body && r->status != 204)
		answer.body = BODY_LENGTH; /* an empty body is worth saying */
	strbuf_reset(&x->front->out);
	headers_write_response(&x->front->out, r, &answer);
	x->head_pending = true;
	x->response_state = RESPONSE_BODY;
	if (r->body == BODY_NONE || (r->body == BODY_LENGTH && r->length == 0))
		x->response_state = RESPONSE_DONE;
}

/* An interim response. False: the exchange is over. */
static bool
pass_interim(struct exchange *x, const struct response *r)
{
	struct strbuf *out = &x->front->out;

	/* nobody waits for this one; and HTTP/1.0 knows none of them */
	if ((r->status == 100 && !x->expect_continue) || x->minor == 0)
		return true;
	if (r->status == 100)
		exchange_invite_body(x);
	strbuf_reset(out);
	headers_write_interim(out, r);
	if (!door_send_out(x->door)) {
		door_close(x->door, REASON_CLIENT_GONE);
		return false;
	}
	if (stream_queued(&x->door->stream))
		stream_read_off(&x->conn->stream);
	return true;
}

void
exchange_add_latency(const struct exchange *x)
{
	uint64_t now_us;

	/* answered early, or not measured */
	if (!x->times.sent)
		return;
	now_us = clock_now_us();
	backend_add_latency(x->choice.backend, now_us - x->times.sent, now_us / 1000);
}

/* Takes a response head at p, if it is whole. Returns the bytes used; 0: wait for more,
 * or the exchange is over. */
static size_t
take_head(struct exchange *x, const char *p, size_t n)
{
	struct response r;
	size_t used = 0;

	switch (response_parse(p, n, x->method, &r, &used)) {
	case PARSE_MORE: return 0;
	case PARSE_BAD: exchange_fail(x, REASON_BAD_RESPONSE); return 0;
	case PARSE_DONE: break;
	}
	/* a backend that fails quickly is not to be preferred for it */
	if (r.status == 101 || (r.status >= 200 && r.status < 500))
		exchange_add_latency(x);
	if (r.status >= 200 || r.status == 101)
		outlier_answered(x->up, x->choice.backend, r.status, x->times.sent,
		    &x->front->loop->random);
	if (r.status == 101)
		exchange_upgrade(x, &r, (struct str){p + used, n - used});
	else if (r.status < 200)
		return pass_interim(x, &r) ? used : 0;
	else
		begin_response(x, &r);
	if (x->front->out.failed && !exchange_is_over(x)) {
		x->head_pending = false;
		exchange_fail(x, REASON_NO_MEMORY);
	}
	return used;
}

/* ---- reading ---- */

/* Takes all it can of p[0..n) and returns how much. */
static size_t
take(struct exchange *x, const char *p, size_t n)
{
	struct pieces none;
	size_t at = 0, used = 1;

	while (used && at < n && !exchange_is_over(x)) {
		if (x->response_state == RESPONSE_HEAD)
			used = take_head(x, p + at, n - at);
		else if (x->response_state == RESPONSE_BODY)
			used = relay_body(x, p + at, n - at);
		else
			break;
		at += used;
	}
	pieces_init(&none);
	if (!exchange_is_over(x) && x->head_pending)
		send_pieces(x, &none); /* a body follows, but nothing of it is here */
	if (exchange_is_over(x) || x->response_state != RESPONSE_DONE)
		return at;
	if (at < n) /* more than it announced: such a connection is not to be trusted */
		x->conn_reusable = false;
	exchange_finish(x);
	return at;
}

static void
end_of_stream(struct exchange *x, bool orderly)
{
	struct pieces out;

	pieces_init(&out);
	x->conn_reusable = false;
	if (x->response_state == RESPONSE_HEAD && !x->begun && x->in.len == 0) {
		exchange_backend_lost(x);
	} else if (x->response_body == BODY_UNTIL_CLOSE && orderly &&
		   x->response_state == RESPONSE_BODY) {
		x->response_state = RESPONSE_DONE;
		if (!complete_pieces(x, &out, (struct str){NULL, 0}))
			exchange_fail(x, REASON_NO_MEMORY);
		else if (send_pieces(x, &out))
			exchange_finish(x);
	} else {
		exchange_fail(x, REASON_BACKEND_LOST);
	}
	pieces_fini(&out);
}

void
exchange_read_response(struct exchange *x)
{
	char *p = (char *)x->front->loop->scratch;
	ssize_t got = stream_read(&x->conn->stream, p, LOOP_READ);
	size_t n, used;

	magic_check(x, EXCHANGE_MAGIC);
	if (got == STREAM_AGAIN)
		return;
	if (got <= 0) {
		end_of_stream(x, got == STREAM_END);
		return;
	}
	n = (size_t)got;
	if (x->in.len) {
		strbuf_append(&x->in, p, n);
		if (x->in.failed) {
			exchange_fail(x, REASON_NO_MEMORY);
			return;
		}
		p = x->in.data;
		n = x->in.len;
	}
	used = take(x, p, n);
	if (exchange_is_over(x))
		return;
	if (x->in.len) {
		strbuf_drop(&x->in, used);
	} else if (used < n) {
		strbuf_append(&x->in, p + used, n - used);
	}
}

void
exchange_client_drained(struct exchange *x)
{
	if (!x->conn)
		return;
	if (x->response_state == RESPONSE_BODY)
		exchange_await(x, x->up->conf->timeouts.response_ms);
	stream_read_on(&x->conn->stream);
}
