/* SPDX-License-Identifier: MIT
 *
 * ears.c - where one worker listens; see ears.h.
 *
 * A socket that others hold, too, must not be closed before the kernel has forgotten
 * that we wait for it: it would go on waking this thread for a descriptor that it has
 * no more. The loop hands such changes to the kernel once a turn; so what is shared
 * with another process is closed some turns after it was let go. (What the workers
 * share they all close at the same time.)
 */
#include "daemon/ears.h"

#include "base/log.h"
#include "http/door.h"
#include "loop/loop.h"
#include "net/listener.h"
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

enum { LATE_MS = 20, LATE_TURNS = 3 };

/* One socket. Owner: the ears. */
struct ear {
	struct listener *listener;
	struct entrance *entrance; /* a reference */
	struct ear *next;
	unsigned id;
};

void
share_free(struct share *share)
{
	if (!share)
		return;
	for (size_t i = 0; i < share->n_sockets; i++)
		close(share->sockets[i].fd);
	free(share->sockets);
	free(share->ids);
	free(share);
}

static void
ear_close(struct ears *e, struct ear *ear)
{
	LL_DELETE(e->first, ear);
	listener_close(&ear->listener);
	entrance_put(ear->entrance);
	free(ear);
}

static void
on_late(struct timer *t)
{
	struct ears *e = container_of(t, struct ears, late);

	if (--e->turns) {
		loop_timer(e->loop, t, LATE_MS);
		return;
	}
	while (e->first)
		ear_close(e, e->first);
}

void
ears_init(struct ears *e, struct loop *loop, struct front *front)
{
	*e = (struct ears){.loop = loop, .front = front};
	timer_init(&e->late, on_late);
}

/* ---- opening ---- */

/* Where the view has the listener of that number. */
static bool
find_place(const unsigned *ids, size_t n, unsigned id, size_t *place_r)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id) {
			*place_r = i;
			return true;
		}
	return false;
}

/* Takes over fd, if it succeeds. */
static bool
ear_open(struct ears *e, int fd, unsigned id, size_t place)
{
	struct ear *ear = calloc(1, sizeof *ear);

	if (!ear)
		return false;
	ear->id = id;
	ear->entrance = front_open(e->front, place);
	if (ear->entrance)
		ear->listener = listener_open(e->loop, fd, front_accept, ear->entrance);
	if (!ear->listener) {
		if (ear->entrance)
			entrance_put(ear->entrance);
		free(ear);
		return false;
	}
	LL_PREPEND(e->first, ear);
	return true;
}

static bool
open_new(struct ears *e, struct share *share)
{
	size_t place = 0;

	while (share->n_sockets) {
		const struct share_socket *s = &share->sockets[share->n_sockets - 1];

		if (!find_place(share->ids, share->n_ids, s->id, &place) ||
		    !ear_open(e, s->fd, s->id, place))
			return false;
		share->n_sockets--;
	}
	return true;
}

static void
close_with_guests(struct ears *e, struct ear *ear)
{
	listener_drain(ear->listener);
	ear_close(e, ear);
}

void
ears_follow(struct ears *e)
{
	struct ear *ear, *next;
	size_t place;

	for (ear = e->first; ear; ear = next) {
		next = ear->next;
		if (find_place(e->ids, e->n_ids, ear->id, &place))
			entrance_follow(ear->entrance, place);
		else
			close_with_guests(e, ear);
	}
}

bool
ears_take(struct ears *e, struct share *share)
{
	if (!open_new(e, share))
		return false;
	free(e->ids);
	e->ids = share->ids;
	e->n_ids = share->n_ids;
	share->ids = NULL;
	share_free(share);
	ears_follow(e);
	return true;
}

/* ---- closing ---- */

void
ears_close(struct ears *e)
{
	while (e->first)
		close_with_guests(e, e->first);
}

void
ears_leave(struct ears *e)
{
	for (struct ear *ear = e->first; ear; ear = ear->next)
		listener_pause(ear->listener);
	e->turns = LATE_TURNS;
	loop_timer(e->loop, &e->late, LATE_MS);
}

void
ears_fini(struct ears *e)
{
	timer_clear(&e->late);
	while (e->first)
		ear_close(e, e->first);
	free(e->ids);
	e->ids = NULL;
}
