/* SPDX-License-Identifier: MIT
 *
 * io.c - readiness, told by epoll and remembered; see io.h.
 */
#include "loop/io.h"

#include "base/log.h"
#include "loop/loop.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <utlist.h>

enum { LEAST_IOS = 64 };

static uint64_t
tag_of(const struct io *io)
{
	return (uint64_t)io->serial << 32 | (uint32_t)io->fd;
}

/* On the list are those with something to do, and no others. */
static void
review(struct io *io)
{
	bool busy = io->ready & io->want;

	if (busy == (io->prev != NULL))
		return;
	if (busy) {
		DL_APPEND(io->loop->busy, io);
	} else {
		DL_DELETE(io->loop->busy, io);
		io->prev = NULL;
	}
}

void
io_init(struct io *io, struct loop *loop, int fd,
    void (*on_ready)(struct io *io, unsigned what))
{
	*io = (struct io){.loop = loop, .on_ready = on_ready, .fd = fd};
}

/* ---- what the kernel knows ---- */

/* False: errno. */
static bool
make_room(struct loop *loop, int fd)
{
	size_t n = loop->n_ios ? loop->n_ios : LEAST_IOS;
	struct io **ios;

	if ((size_t)fd < loop->n_ios)
		return true;
	while (n <= (size_t)fd)
		n *= 2;
	ios = reallocarray(loop->ios, n, sizeof *ios);
	if (!ios)
		return false;
	for (size_t i = loop->n_ios; i < n; i++)
		ios[i] = NULL;
	loop->ios = ios;
	loop->n_ios = n;
	return true;
}

/* Room to write is told of only to those who ever wanted it: to a unix socket it would
 * be told with every message that its peer takes. False: errno. */
static bool
tell_kernel(struct io *io, unsigned want)
{
	unsigned known = io->known | IO_READ | (want & IO_WRITE);
	struct epoll_event event = {
	    .events = EPOLLET | EPOLLIN | EPOLLRDHUP | EPOLLPRI |
		      (known & IO_WRITE ? EPOLLOUT : 0),
	};

	if (known == io->known)
		return true;
	if (!io->known) {
		if (!make_room(io->loop, io->fd))
			return false;
		io->serial = ++io->loop->serial;
	}
	event.data.u64 = tag_of(io);
	if (epoll_ctl(io->loop->epoll_fd, io->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
		io->fd, &event))
		return false;
	io->loop->ios[io->fd] = io;
	io->known = (uint8_t)known;
	return true;
}

/* Without telling the kernel: it forgets a descriptor that is closed. Where a process
 * that is being spawned still holds it, what is told of it finds nobody. */
static void
forget(struct io *io)
{
	if (io->known)
		io->loop->ios[io->fd] = NULL;
	io->fd = -1;
	io->want = io->ready = io->known = 0;
	review(io);
}

/* ---- what the owner wants ---- */

bool
io_want(struct io *io, unsigned want)
{
	bool ok = !want || tell_kernel(io, want);

	if (!ok)
		log_kind(KIND_NO_MEMORY, NULL, "a descriptor cannot be watched (%s)",
		    errno == ENOSPC ? "fs.epoll.max_user_watches" : strerror(errno));
	io->want = ok ? (uint8_t)want : 0;
	review(io);
	return ok;
}

void
io_drained(struct io *io, unsigned what)
{
	io->ready &= (uint8_t)~what;
	review(io);
}

void
io_move(struct io *to, struct io *from, void (*on_ready)(struct io *io, unsigned what))
{
	*to = *from;
	to->on_ready = on_ready;
	to->prev = to->next = NULL;
	if (to->known)
		to->loop->ios[to->fd] = to;
	from->known = 0; /* the table's place is taken */
	forget(from);
	review(to);
}

int
io_detach(struct io *io)
{
	int fd = io->fd;

	if (io->known)
		epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	forget(io);
	return fd;
}

void
io_close(struct io *io)
{
	int fd = io->fd;

	if (fd < 0)
		return;
	forget(io);
	close(fd);
}

void
io_told(struct loop *loop, uint64_t tag, uint32_t events)
{
	uint32_t fd = (uint32_t)tag;
	struct io *io = fd < loop->n_ios ? loop->ios[fd] : NULL;

	if (!io || tag_of(io) != tag)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		io->ready |= IO_READ;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		io->ready |= IO_WRITE;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
		io->ready |= IO_MORE;
	review(io);
}
