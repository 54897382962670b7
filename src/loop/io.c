/* SPDX-License-Identifier: MIT
 *
 * io.c - a descriptor on a loop; a thin hand around a libevent event.
 */
#include "loop/io.h"

#include "loop/loop.h"
#include <unistd.h>

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct io *io = arg;

	io->on_ready(io, (unsigned)what);
}

void
io_init(struct io *io, struct loop *loop, int fd,
    void (*on_ready)(struct io *io, unsigned what))
{
	io->loop = loop;
	io->fd = fd;
	io->want = 0;
	io->on_ready = on_ready;
}

bool
io_want(struct io *io, unsigned want)
{
	if (io->want == want)
		return true;
	if (io->want)
		event_del(&io->event);
	io->want = (uint8_t)want;
	if (!want)
		return true;
	event_assign(&io->event, io->loop->base, io->fd, (short)(want | EV_PERSIST),
	    on_event, io);
	if (event_add(&io->event, NULL) == 0)
		return true;
	io->want = 0;
	return false;
}

/* In this order libevent has somebody who waits for the descriptor all the time, and
 * tells epoll nothing. */
bool
io_move(struct io *to, struct io *from, void (*on_ready)(struct io *io, unsigned what))
{
	bool ok;

	io_init(to, from->loop, from->fd, on_ready);
	ok = io_want(to, from->want);
	io_detach(from);
	return ok;
}

int
io_detach(struct io *io)
{
	int fd = io->fd;

	io_want(io, 0);
	io->fd = -1;
	return fd;
}

void
io_close(struct io *io)
{
	if (io->fd >= 0)
		close(io_detach(io));
}
