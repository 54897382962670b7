/* SPDX-License-Identifier: MIT
 *
 * waits.c - calls that are answered when a backend is empty.
 *
 * A session's pin goes to the new backend first and its connection follows, so that
 * empty is only what has no sockets either.
 *
 * One timer looks at all that wait. evhttp does not read from the connection of a call
 * that waits, so this also looks whether its client is still there.
 */
#include "admin/api_private.h"

#include "loop/loop.h"
#include "upstream/backend.h"
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { LOOK_MS = 100, WAITS_MAX = 64 };

/* Owner: its call. */
struct wait {
	struct place place;
	uint64_t until_ms;
	void (*reply)(struct call *c, const struct place *place, bool empty);
};

/* ---- the place ---- */

static bool
is_numbered(const char *name, const char *row)
{
	size_t n = strlen(row);

	return strncmp(name, row, n) == 0 && (name[n] == '\0' || name[n] == '#');
}

bool
place_init(struct place *p, const struct upstream *up, const char *name)
{
	*p = (struct place){.upstream = strdup(up->conf->name), .name = strdup(name)};
	p->backends = calloc(up->n_backends + 1, sizeof(struct backend *));
	if (!p->upstream || !p->name || !p->backends)
		return false;
	for (size_t i = 0; i < up->n_backends; i++)
		if (is_numbered(up->backends[i]->name, name))
			p->backends[p->n++] = backend_get(up->backends[i]);
	return true;
}

void
place_fini(struct place *p)
{
	for (size_t i = 0; i < p->n; i++)
		backend_put(p->backends[i]);
	free(p->backends);
	free(p->upstream);
	free(p->name);
	*p = (struct place){.n = 0};
}

/* Sessions and exchanges that point there, and sockets that are there. */
static uint64_t
place_held(const struct place *p)
{
	uint64_t held = 0;

	for (size_t i = 0; i < p->n; i++)
		held += backend_held(p->backends[i]) +
			atomic_load(&p->backends[i]->sockets);
	return held;
}

/* ---- waiting ---- */

void
wait_free(struct wait *w)
{
	if (!w)
		return;
	place_fini(&w->place);
	free(w);
}

static void
wait_end(struct call *c, bool empty)
{
	struct wait *w = c->wait;

	c->wait = NULL; /* the answer frees the call */
	w->reply(c, &w->place, empty);
	wait_free(w);
}

/* The other side has closed, or has gone: it may get its answer at once. */
static bool
is_left(const struct call *c)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(c->req);
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(connection));
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void
wait_look(struct call *c)
{
	bool empty = place_held(&c->wait->place) == 0;

	if (!c->req)
		call_free(c);
	else if (empty || is_left(c) || clock_now_ms() >= c->wait->until_ms)
		wait_end(c, empty);
}

void
waits_look(struct timer *t)
{
	struct admin *a = container_of(t, struct admin, wait_timer);
	struct call *c, *next;
	bool more = false;

	for (c = a->waiting; c; c = next) {
		next = c->next;
		if (c->wait)
			wait_look(c);
	}
	for (c = a->waiting; c; c = c->next)
		more |= c->wait != NULL;
	if (more)
		loop_timer(a->host.loop, t, LOOK_MS);
}

static size_t
n_waiting(const struct admin *a)
{
	size_t n = 0;

	for (const struct call *c = a->waiting; c; c = c->next)
		n += c->wait != NULL;
	return n;
}

static bool
wait_start(struct call *c, struct place *place, uint64_t ms,
    void (*reply)(struct call *c, const struct place *place, bool empty))
{
	struct admin *a = c->admin;

	if (n_waiting(a) == WAITS_MAX) {
		call_error(c, 503, "%d wait already", WAITS_MAX);
		return false;
	}
	c->wait = calloc(1, sizeof(*c->wait));
	if (!c->wait) {
		call_reply(c, 500, NULL);
		return false;
	}
	*c->wait = (struct wait){.place = *place,
	    .until_ms = clock_now_ms() + ms,
	    .reply = reply};
	call_park(c);
	loop_timer(a->host.loop, &a->wait_timer, 0);
	return true;
}

void
call_wait_empty(struct call *c, struct place *place, uint64_t ms,
    void (*reply)(struct call *c, const struct place *place, bool empty))
{
	if (ms && wait_start(c, place, ms, reply))
		return; /* the place is the wait's */
	if (!ms)
		reply(c, place, place_held(place) == 0);
	place_fini(place);
}
