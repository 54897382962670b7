/* SPDX-License-Identifier: MIT
 *
 * relay.c - the response on its way from backend to client.
 *
 * The head is rebuilt and leaves together with the first piece of body in one write.
 * When the client does not take what it is given, the backend is not read.
 */
#include "http/exchange_private.h"

#include "http/pieces.h"

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
	pieces_add(out, p, take, x->client_body == BODY_CHUNKED);
	return take;
}

static void
end_body(struct exchange *x, struct pieces *out, struct str trailers)
{
	x->response_state = RESPONSE_DONE;
	if (x->client_body == BODY_CHUNKED)
		pieces_end_chunks(out, trailers);
}

static size_t
relay_chunked(struct exchange *x, const char *p, size_t n, struct pieces *out,
    bool *bad_r)
{
	enum chunk_event event;
	size_t at = 0, used;
	struct str data;

	do {
		event = chunk_next(&x->response_chunks, p + at, n - at, &used, &data);
		at += used;
		if (event == CHUNK_DATA)
			pieces_add(out, data.p, data.n, x->client_body == BODY_CHUNKED);
		else if (event == CHUNK_END)
			end_body(x, out, data);
	} while (event == CHUNK_DATA && at < n && !pieces_is_full(out));
	*bad_r = event == CHUNK_BAD;
	return at;
}

/* Passes on what it can of p[0..n); returns how much. The exchange may be over then. */
static size_t
relay_body(struct exchange *x, const char *p, size_t n)
{
	struct pieces out;
	bool bad = false;
	size_t used;

	pieces_init(&out);
	exchange_await(x, x->up->conf->timeouts.response_ms);
	if (x->response_body == BODY_CHUNKED)
		used = relay_chunked(x, p, n, &out, &bad);
	else
		used = relay_plain(x, p, n, &out);
	if (send_pieces(x, &out) && bad) {
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

static void
begin_response(struct exchange *x, const struct response *r)
{
	char cookie[COOKIE_VALUE + 1];
	struct answer answer = {
	    .minor = x->minor,
	    .body = framing_for(x, r->body),
	    .length = r->length,
	    .describes_body = x->method == METHOD_HEAD || r->status == 304,
	    .cookie = exchange_cookie(x, cookie),
	};

	x->response_body = r->body;
	x->response_left = r->length;
	x->client_body = answer.body;
	x->conn_reusable = x->conn_reusable && r->keep_alive;
	/* the rest of a request that was answered early is not waited for */
	if (x->request_state != REQUEST_SENT || x->client_body == BODY_UNTIL_CLOSE)
		x->keep_alive = false;
	answer.keep_alive = x->keep_alive && !x->front->stopping;
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

	/* 100 was ours to say (body.c); HTTP/1.0 knows none of them */
	if (r->status == 100 || x->minor == 0)
		return true;
	strbuf_reset(out);
	headers_write_interim(out, r);
	if (door_send_out(x->door))
		return true;
	door_close(x->door, REASON_CLIENT_GONE);
	return false;
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
		end_body(x, &out, (struct str){NULL, 0});
		if (send_pieces(x, &out))
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
	exchange_await(x, x->up->conf->timeouts.response_ms);
	if (!stream_read_on(&x->conn->stream))
		exchange_fail(x, REASON_NO_MEMORY);
}
