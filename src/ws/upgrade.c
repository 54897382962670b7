/* SPDX-License-Identifier: MIT
 *
 * upgrade.c - the WebSocket side of an upgrade: handshake noted, session made.
 */
#include "ws/session_private.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "http/access_log.h"
#include "http/door.h"
#include "message/head.h"
#include "message/response.h"
#include "net/socket.h"
#include "route/router.h"
#include "upstream/backend.h"
#include "upstream/conn.h"
#include "upstream/pool.h"
#include "ws/registry.h"
#include <stdlib.h>

/* A handshake under way. Owner: the exchange, until it opens or drops it. */
struct upgrade {
	struct strbuf request; /* the head so far; only where the mode is transparent */
	struct strbuf protocols;  /* offered */
	struct strbuf extensions; /* offered */
	struct strbuf agreed;     /* subprotocol, then extensions */
	size_t agreed_protocol;   /* length of the first of them */
	bool compressed, cuttable;
	char key[HANDSHAKE_KEY + 1];
	char id[SESSION_ID + 1];
};

static void
drop(struct upgrade *u)
{
	strbuf_fini(&u->request);
	strbuf_fini(&u->protocols);
	strbuf_fini(&u->extensions);
	strbuf_fini(&u->agreed);
	free(u);
}

static void
make_id(char id[SESSION_ID + 1])
{
	uint64_t bits;

	random_secret(&bits, sizeof bits);
	for (size_t i = 0; i < SESSION_ID; i++, bits >>= 4)
		id[i] = "0123456789abcdef"[bits & 15];
	id[SESSION_ID] = '\0';
}

/* Several header lines are one list (RFC 6455, 9.1). */
static void
join_values(const struct head *head, enum header_id id, struct strbuf *out)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		if (head->headers[i].id != id)
			continue;
		if (out->len)
			strbuf_lit(out, ", ");
		strbuf_str(out, head->headers[i].value);
	}
}

static void
write_offer(struct upgrade *u, const struct head *head, bool transparent,
    struct strbuf *request)
{
	join_values(head, HEADER_SEC_WEBSOCKET_EXTENSIONS, &u->extensions);
	if (u->extensions.len == 0)
		return;
	strbuf_lit(request, "Sec-WebSocket-Extensions: ");
	if (transparent)
		handshake_offer((struct str){u->extensions.data, u->extensions.len},
		    request);
	else
		strbuf_append(request, u->extensions.data, u->extensions.len);
	strbuf_lit(request, "\r\n");
}

static struct upgrade *
begin(void *arg, const struct upstream *up, const struct head *head,
    struct strbuf *request)
{
	bool transparent = up->conf->rehome.mode == REHOME_TRANSPARENT;
	struct upgrade *u = calloc(1, sizeof *u);
	struct str key = head_value(head, HEADER_SEC_WEBSOCKET_KEY);

	if (!u)
		return NULL;
	make_id(u->id);
	memcpy(u->key, key.p, key.n < HANDSHAKE_KEY ? key.n : HANDSHAKE_KEY);
	join_values(head, HEADER_SEC_WEBSOCKET_PROTOCOL, &u->protocols);
	if (transparent) /* without the offer: another backend gets what was agreed */
		strbuf_append(&u->request, request->data, request->len);
	write_offer(u, head, transparent, request);
	strbuf_lit(request, "Roost-Session: ");
	strbuf_puts(request, u->id);
	strbuf_lit(request, "\r\n");
	return u;
}

static bool
accept_answer(struct upgrade *u, const struct response *r)
{
	struct str protocol = response_value(r, HEADER_SEC_WEBSOCKET_PROTOCOL);
	struct str extensions = response_value(r, HEADER_SEC_WEBSOCKET_EXTENSIONS);

	if (!handshake_answer_ok(r, str_of(u->key),
		(struct str){u->protocols.data, u->protocols.len},
		(struct str){u->extensions.data, u->extensions.len}))
		return false;
	handshake_agreed(extensions, &u->compressed, &u->cuttable);
	strbuf_str(&u->agreed, protocol);
	strbuf_str(&u->agreed, extensions);
	u->agreed_protocol = protocol.n;
	return !u->agreed.failed;
}

/* Room for n bytes of text, and for a replay where one is wanted. */
static struct greeting *
greeting_alloc(size_t n, struct view *view, const struct config_replay *conf)
{
	struct greeting_replaying *both;
	struct greeting *g;

	if (replay_is_wanted(conf)) {
		both = malloc(sizeof *both + n);
		if (!both)
			return NULL;
		replay_init(&both->replay, view, conf);
		g = &both->greeting;
	} else {
		g = malloc(sizeof *g + n);
	}
	if (g)
		g->replays = replay_is_wanted(conf);
	return g;
}

void
greeting_free(struct greeting *g)
{
	if (g && g->replays) {
		replay_fini(greeting_replay(g));
		free(container_of(g, struct greeting_replaying, greeting));
	} else {
		free(g);
	}
}

/* NULL: nothing to keep, or no memory: then the session cannot be moved. */
static struct greeting *
greeting_new(const struct opening *o)
{
	const struct upgrade *u = o->upgrade;
	size_t n_extensions = u->agreed.len - u->agreed_protocol;
	bool introduced =
	    o->up->conf->proxy_protocol != PROXY_OUT_OFF && o->local_addr->sa.sa_family;
	size_t n_reached = introduced ? sizeof *o->local_addr : 0;
	struct greeting *g;
	char *p;

	if (u->request.len == 0 || u->request.failed)
		return NULL;
	g = greeting_alloc(n_reached + u->agreed.len + u->request.len, o->view,
	    &o->up->conf->rehome.replay);
	if (!g)
		return NULL;
	memcpy(g->key, u->key, sizeof g->key);
	g->cuttable = u->cuttable;
	p = g->text;
	g->reached = (struct str){p, n_reached};
	if (n_reached)
		memcpy(p, o->local_addr, n_reached);
	p += n_reached;
	if (u->agreed.len)
		memcpy(p, u->agreed.data, u->agreed.len);
	g->protocol = (struct str){p, u->agreed_protocol};
	g->extensions = (struct str){p + u->agreed_protocol, n_extensions};
	p += u->agreed.len;
	memcpy(p, u->request.data, u->request.len);
	g->request = (struct str){p, u->request.len};
	return g;
}

static void
init_half(struct session *s, struct half *h, bool masked, bool compressed)
{
	h->session = s;
	h->alive_ms = s->opened_ms;
	frame_scanner_init(&h->scan, masked, compressed);
}

void
session_watch_peer(const struct half *h)
{
	socket_give_up_soon(h->stream.io.fd);
	/* those of clients have it since they were accepted */
	if (!half_is_client(h) && h->session->up->conf->heartbeat.interval_ms == 0)
		socket_keep_alive(h->stream.io.fd);
}

/* What only some sessions have. False: no memory for something that matters. */
static bool
session_equip(struct session *s, const struct opening *o)
{
	const struct route *route = o->route;

	s->greeting = greeting_new(o);
	if (s->greeting && s->greeting->replays)
		s->client.watched |= WATCH_REPLAY;
	if (o->seat)
		seat_take(s, o->seat);
	return session_follow_settings(s) &&
	       (!route->conf->n_app_heartbeats ||
		   app_heartbeats_begin(s, o->view, route->conf));
}

static struct session *
session_new(struct registry *r, struct opening *o)
{
	struct session *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	magic_set(s, SESSION_MAGIC);
	s->registry = r;
	s->view = view_get(o->view);
	s->up = o->up;
	s->home = backend_get(o->choice->backend);
	atomic_fetch_add(&s->home->sockets, 1);
	s->claim = choose_session_opened(r->chooser, o->up, o->choice, clock_now_ms());
	s->chosen_by = (uint8_t)o->choice->by;
	s->note = o->note;
	s->peer = *o->client_addr;
	s->opened_ms = s->state_ms = clock_now_ms();
	s->jitter = (uint8_t)random_u64(&r->loop->random);
	random_secret(&s->token, sizeof s->token);
	memcpy(s->id, o->upgrade->id, sizeof s->id);
	watch_init(s);
	init_half(s, &s->client, true, o->upgrade->compressed);
	init_half(s, &s->backend, false, o->upgrade->compressed);
	count_add(&r->loop->counters, COUNT_SESSIONS, 1);
	tally(&pools_counts(r->pools, s->home)->sessions, 1);
	return s;
}

static void
open_session(void *arg, struct opening *o)
{
	struct registry *r = arg;
	struct session *s = session_new(r, o);
	struct strbuf rest = STRBUF_INIT;
	bool equipped = s && session_equip(s, o);

	drop(o->upgrade);
	if (!s) { /* the 101 is out: a reset is all that can be said */
		count_add(&r->loop->counters, COUNT_NO_MEMORY, 1);
		access_note_free(o->note);
		conn_close(o->conn);
		return;
	}
	/* o->client_rest lies in the door, o->conn_rest perhaps in the scratch buffer,
	 * which reading anything would overwrite */
	strbuf_str(&rest, o->conn_rest);
	stream_move(&s->client.stream, o->client, &half_ops);
	conn_give_stream(o->conn, &s->backend.stream, &half_ops);
	s->backend.stream.keep_whole = s->greeting != NULL;
	session_watch_peer(&s->client);
	session_watch_peer(&s->backend);
	if (!registry_add(r, s) || !equipped) {
		session_end(s, REASON_NO_MEMORY);
		strbuf_fini(&rest);
		return;
	}
	session_log(LEVEL_DEBUG, TOPIC_SESSION, s, "session opened on %s/%s (%s)",
	    s->home->upstream, s->home->name, choose_by_name(o->choice->by));
	if (rest.len)
		half_take(&s->backend, (const uint8_t *)rest.data, rest.len);
	strbuf_fini(&rest);
	if (o->client_rest.n) /* perhaps the answer to a Close */
		half_take(&s->client, (const uint8_t *)o->client_rest.p,
		    o->client_rest.n);
	s->client.bytes += o->client_rest.n;
	if (s->state == SESSION_CONNECTED) {
		half_resume(&s->client);
		half_resume(&s->backend);
	}
	watch_arm(s);
}

static enum reason
check(const struct head *head, const struct route *route)
{
	enum reason why = handshake_check(head);
	struct str origin = head_find(head, STR("Origin"));

	/* who is no browser says none, or what it likes */
	if (why != REASON_NONE || route->conf->n_origins == 0 || !origin.p)
		return why;
	for (size_t i = 0; i < route->conf->n_origins; i++)
		if (handshake_origin_fits(origin, str_of(route->conf->origins[i])))
			return REASON_NONE;
	return REASON_ORIGIN;
}

const struct upgrade_ops session_upgrade_ops = {
    .check = check,
    .begin = begin,
    .accept = accept_answer,
    .open = open_session,
    .drop = drop,
};
