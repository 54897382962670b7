/* SPDX-License-Identifier: MIT
 *
 * rehome_dial.c - the new backend of a move: connects, repeats the client's handshake,
 * and takes its answer, which has to be the old one's.
 */
#include "ws/rehome_private.h"

#include "message/response.h"
#include "upstream/backend.h"
#include "upstream/conn.h"
#include "upstream/outlier.h"
#include "upstream/pool.h"
#include "ws/registry.h"
#include <sys/socket.h>

enum {
	GREETING_MS = 10000 /* a handshake is no report that takes long; and while one
			       hangs, another backend could take the session */
};

static void
send_greeting(struct rehoming *m)
{
	struct session *s = m->session;
	struct strbuf head = STRBUF_INIT;

	strbuf_str(&head, s->greeting->request);
	if (s->greeting->extensions.n) { /* what the client holds, and nothing else */
		strbuf_lit(&head, "Sec-WebSocket-Extensions: ");
		strbuf_str(&head, s->greeting->extensions);
		strbuf_lit(&head, "\r\n");
	}
	strbuf_lit(&head, "Roost-Session: ");
	strbuf_puts(&head, s->id);
	strbuf_lit(&head, "\r\nRoost-Rehomed-From: ");
	strbuf_puts(&head, s->home->name);
	strbuf_lit(&head, "\r\n\r\n");
	if (head.failed ||
	    stream_put(&m->conn->stream, head.data, head.len) == STREAM_BROKEN)
		move_failed(m, REASON_BACKEND_LOST);
	strbuf_fini(&head);
}

static void
on_connected(struct conn *c)
{
	struct rehoming *m = c->user;
	uint64_t ms = m->session->up->conf->timeouts.first_byte_ms;

	m->state = MOVE_GREETING;
	loop_timer(m->session->registry->loop, &m->timer,
	    ms && ms < GREETING_MS ? ms : GREETING_MS);
	send_greeting(m);
}

static void
on_failed(struct conn *c, enum reason why)
{
	struct rehoming *m = c->user;

	m->conn = NULL; /* it closes itself */
	atomic_fetch_sub(&c->backend->sockets, 1);
	move_failed(m, why);
}

/* Does the new backend agree to what the client holds already? */
static bool
same_terms(const struct session *s, const struct response *r)
{
	const struct greeting *g = s->greeting;

	return str_eq(response_value(r, HEADER_SEC_WEBSOCKET_PROTOCOL), g->protocol) &&
	       handshake_terms_fit(g->extensions,
		   response_value(r, HEADER_SEC_WEBSOCKET_EXTENSIONS));
}

static void
take_answer(struct rehoming *m)
{
	struct session *s = m->session;
	struct response r;
	size_t used;

	switch (response_parse(m->answer.data, m->answer.len, METHOD_GET, &r, &used)) {
	case PARSE_MORE: return;
	case PARSE_BAD: move_failed(m, REASON_BAD_RESPONSE); return;
	case PARSE_DONE: break;
	}
	outlier_answered(s->up, m->to, r.status, 0, &s->registry->loop->random);
	if (r.status == 401 || r.status == 403) {
		move_refused(m);
		return;
	}
	if (r.status != 101 || !same_terms(s, &r) ||
	    !handshake_answer_ok(&r, str_of(s->greeting->key), s->greeting->protocol,
		s->greeting->extensions)) {
		move_failed(m, REASON_UPGRADE_ANSWER);
		return;
	}
	strbuf_drop(&m->answer, used);
	move_agreed(m);
}

static void
on_readable(struct conn *c)
{
	struct rehoming *m = c->user;
	uint8_t *p = c->pools->loop->scratch;
	ssize_t n = stream_read(&c->stream, p, LOOP_READ);

	if (n == STREAM_AGAIN)
		return;
	if (n > 0)
		strbuf_append(&m->answer, p, (size_t)n);
	if (n <= 0 || m->answer.failed)
		move_new_lost(m, n <= 0 ? REASON_BACKEND_LOST : REASON_NO_MEMORY);
	else if (m->state == MOVE_GREETING)
		take_answer(m);
	else if (m->state == MOVE_REPLAYING)
		move_replay_hear(m);
	else if (m->answer.len >= LOOP_READ) /* early words: the rest can wait */
		stream_read_off(&m->conn->stream);
}

static void
on_drained(struct conn *c)
{
	struct rehoming *m = c->user;

	if (m->state == MOVE_REPLAYING)
		move_replay_drained(m);
}

static void
on_broken(struct conn *c)
{
	move_new_lost(c->user, REASON_BACKEND_LOST);
}

static const struct conn_ops conn_ops = {
    .on_connected = on_connected,
    .on_failed = on_failed,
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_broken = on_broken,
};

/* On whose behalf; the addresses are those that trusted peers told. */
static struct conn_hello
hello_of(const struct session *s)
{
	struct conn_hello hello = {
	    .version = (unsigned)s->up->conf->proxy_protocol,
	    .source = s->peer,
	};
	struct str reached = s->greeting->reached;
	socklen_t n = sizeof hello.destination;

	static_assert(PROXY_OUT_V1 == 1 && PROXY_OUT_V2 == 2, "they are versions");
	if (reached.n)
		memcpy(&hello.destination, reached.p, reached.n);
	else if (getsockname(s->client.stream.io.fd, &hello.destination.sa, &n))
		hello.destination = (struct addr){0};
	return hello;
}

void
move_dial(struct rehoming *m)
{
	struct session *s = m->session;
	struct conn_hello hello = hello_of(s);
	enum reason why;

	m->state = MOVE_DIALING;
	history_note(s, HISTORY_TRIED);
	m->conn = conn_open(s->registry->pools, m->to, hello.version ? &hello : NULL,
	    s->up->conf->timeouts.connect_ms, &conn_ops, m, &why);
	if (m->conn)
		atomic_fetch_add(&m->to->sockets, 1);
	else
		move_failed(m, why);
}
