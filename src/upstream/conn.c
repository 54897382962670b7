/* SPDX-License-Identifier: MIT
 *
 * conn.c - connecting to a backend without blocking; see conn.h.
 */
#include "upstream/conn.h"

#include "net/socket.h"
#include "upstream/backend.h"
#include "upstream/pool.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void
stream_readable(struct stream *s)
{
	struct conn *c = container_of(s, struct conn, stream);

	if (c->state == CONN_IDLE)
		conn_close(c); /* it closed, or says what nobody asked for */
	else
		c->ops->on_readable(c);
}

static void
stream_drained(struct stream *s)
{
	struct conn *c = container_of(s, struct conn, stream);

	c->ops->on_drained(c);
}

static void
stream_broken(struct stream *s)
{
	struct conn *c = container_of(s, struct conn, stream);

	c->ops->on_broken(c);
}

static const struct stream_ops stream_ops = {
    .on_readable = stream_readable,
    .on_drained = stream_drained,
    .on_broken = stream_broken,
};

static void
bury(struct grave *grave)
{
	struct conn *c = container_of(grave, struct conn, grave);

	backend_put(c->backend);
	free(c);
}

void
conn_close(struct conn *c)
{
	if (c->state == CONN_CLOSED)
		return;
	if (c->state == CONN_IDLE)
		pool_forget(c);
	c->state = CONN_CLOSED;
	timer_clear(&c->timer);
	stream_close(&c->stream);
	loop_bury(c->pools->loop, &c->grave, bury);
}

static void
fail(struct conn *c, enum reason why)
{
	struct loop *loop = c->pools->loop;

	count_add(&loop->counters, COUNT_DIALS_FAILED, 1);
	backend_mark_failed(c->backend, clock_now_ms(), random_u64(&loop->random));
	io_close(&c->stream.io);
	c->ops->on_failed(c, why);
	conn_close(c);
}

static void
on_timeout(struct timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);

	if (c->state == CONN_CONNECTING)
		fail(c, REASON_CONNECT_TIMEOUT);
	else if (c->state == CONN_IDLE)
		conn_close(c); /* one in use is not concerned: see pool_take */
}

static void
on_connect(struct io *io, unsigned what)
{
	struct conn *c = container_of(io, struct conn, stream.io);
	int fd = io->fd, error = 0;
	socklen_t n = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) || error) {
		fail(c, REASON_CONNECT_FAILED);
		return;
	}
	timer_clear(&c->timer);
	io_want(io, 0);
	stream_init(&c->stream, io->loop, fd, &stream_ops);
	c->state = CONN_USED;
	backend_mark_ok(c->backend);
	if (!stream_read_on(&c->stream)) {
		fail(c, REASON_NO_MEMORY);
		return;
	}
	c->ops->on_connected(c);
}

/* A socket on its way to addr, or -1 and why. */
static int
start_connecting(const struct addr *addr, enum reason *why_r)
{
	int fd =
	    socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		*why_r = errno == ENOMEM || errno == ENOBUFS ? REASON_NO_MEMORY
							     : REASON_NO_DESCRIPTORS;
		return -1;
	}
	socket_no_delay(fd);
	if (connect(fd, &addr->sa, addr_len(addr)) && errno != EINPROGRESS) {
		*why_r = REASON_CONNECT_FAILED;
		close(fd);
		return -1;
	}
	return fd;
}

static int
dial(struct pools *pools, struct backend *backend, enum reason *why_r)
{
	struct addr addr;
	int fd;

	if (!backend_addr(backend, &addr)) {
		*why_r = REASON_CONNECT_FAILED;
		return -1;
	}
	count_add(&pools->loop->counters, COUNT_DIALS, 1);
	fd = start_connecting(&addr, why_r);
	if (fd < 0)
		count_add(&pools->loop->counters, COUNT_DIALS_FAILED, 1);
	if (fd < 0 && *why_r == REASON_CONNECT_FAILED)
		backend_mark_failed(backend, clock_now_ms(),
		    random_u64(&pools->loop->random));
	return fd;
}

struct conn *
conn_open(struct pools *pools, struct backend *backend, uint64_t timeout_ms,
    const struct conn_ops *ops, void *user, enum reason *why_r)
{
	struct conn *c = calloc(1, sizeof *c);
	int fd;

	*why_r = REASON_NO_MEMORY;
	if (!c)
		return NULL;
	fd = dial(pools, backend, why_r);
	if (fd < 0) {
		free(c);
		return NULL;
	}
	c->pools = pools;
	c->backend = backend_get(backend);
	c->ops = ops;
	c->user = user;
	c->state = CONN_CONNECTING;
	timer_init(&c->timer, on_timeout);
	io_init(&c->stream.io, pools->loop, fd, on_connect);
	c->stream.ops = &stream_ops;
	if (timeout_ms)
		loop_timer(pools->loop, &c->timer, timeout_ms);
	if (!io_want(&c->stream.io, IO_WRITE)) {
		*why_r = REASON_NO_MEMORY;
		conn_close(c);
		return NULL;
	}
	return c;
}

void
conn_give_stream(struct conn *c, struct stream *to, const struct stream_ops *ops)
{
	stream_move(to, &c->stream, ops);
	conn_close(c);
}
