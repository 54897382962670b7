/* SPDX-License-Identifier: MIT
 *
 * seat.c - a session's seat among those of its client (route/quota.h), and its end when
 * a newer session wants it.
 *
 * The wish comes from another thread, with a lock held, and may arrive after the
 * session has ended. So the seat is an object of its own, counted: one reference is the
 * session's, one travels with the message; and the message is part of it, since there
 * is at most one. Only the session's worker looks at `session`.
 */
#include "ws/session_private.h"

#include "route/quota.h"
#include "ws/registry.h"
#include <stdlib.h>

/* Owner: counted. Thread: the session's worker, but for leave. */
struct seat {
	struct quota_seat quota;
	struct message message;
	struct session *session; /* borrowed; NULL: it has ended */
	struct loop *loop;       /* borrowed: the session's */
	atomic_uint refs;
};

static void
seat_put(struct seat *seat)
{
	if (atomic_fetch_sub(&seat->refs, 1) == 1)
		free(seat);
}

static void
deliver(struct message *message, void *to)
{
	struct seat *seat = container_of(message, struct seat, message);

	if (to && seat->session)
		session_make_room(seat->session);
	seat_put(seat);
}

static bool
leave(const struct quota_seat *quota)
{
	struct seat *seat =
	    container_of((struct quota_seat *)(uintptr_t)quota, struct seat, quota);

	atomic_fetch_add(&seat->refs, 1);
	loop_post(seat->loop, &seat->message);
	return true;
}

/* It sits when it is made. */
static bool
seated(const struct quota_seat *quota)
{
	return true;
}

static const struct quota_seat_ops seat_ops = {.leave = leave, .seated = seated};

void
seat_take(struct session *s, struct quota_seat *from)
{
	struct seat *seat = calloc(1, sizeof *seat);

	if (!seat)
		return; /* the exchange gives its own back */
	seat->quota.ops = &seat_ops;
	seat->message.deliver = deliver;
	seat->session = s;
	seat->loop = s->registry->loop;
	atomic_init(&seat->refs, 1);
	s->seat = seat;
	quota_seat_move(s->registry->quota, &seat->quota, from);
}

void
seat_leave(struct session *s)
{
	struct seat *seat = s->seat;

	if (!seat)
		return;
	s->seat = NULL;
	seat->session = NULL;
	quota_rise(s->registry->quota, &seat->quota);
	seat_put(seat);
}
