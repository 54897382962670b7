/* SPDX-License-Identifier: MIT
 *
 * conn.c - connecting to a backend without blocking; see conn.h.
 *
 * TCP tells when it is connected. A unix socket is connected at once, or its backend's
 * queue is full (EAGAIN) and nothing will tell when that changes: then we ask again
 * from time to time, for as long as connecting may take.
 */
#include "upstream/conn.h"

#include "net/dial.h"
#include "net/proxy_protocol.h"
#include "upstream/backend.h"
#include "upstream/books.h"
#include "upstream/pool.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ASK_AGAIN_MS = 20 };

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

/* error: what the system said. */
static void
count_failed(struct conn *c, int error)
{
	struct loop *loop = c->pools->loop;
	char text[TROUBLE_TEXT];

	count_add(&loop->counters, COUNT_DIALS_FAILED, 1);
	tally(&pools_counts(c->pools, c->backend)->dials_failed, 1);
	backend_note_trouble(c->backend, TROUBLE_CONNECT,
	    strerror_r(error, text, sizeof text));
	backend_mark_failed(c->backend, clock_now_ms(), random_u64(&loop->random));
}

static void
fail(struct conn *c, enum reason why, int error)
{
	if (why != REASON_NO_MEMORY) /* which is no fault of the backend's */
		count_failed(c, error);
	io_close(&c->stream.io);
	c->ops->on_failed(c, why);
	conn_close(c);
}

/* The hello waits in the stream's queue while we connect. */
static bool
say_hello(struct conn *c, struct queue *hello)
{
	bool said = queue_size(hello) == 0 || stream_put(&c->stream, queue_bytes(hello),
						  queue_size(hello)) != STREAM_BROKEN;

	queue_clear(hello);
	return said;
}

static void
on_connect(struct io *io, unsigned what)
{
	struct conn *c = container_of(io, struct conn, stream.io);
	struct queue hello = c->stream.out;
	int error = 0;
	socklen_t n = sizeof error;

	if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &n))
		error = errno;
	if (error) {
		fail(c, REASON_CONNECT_FAILED, error);
		return;
	}
	timer_clear(&c->timer);
	stream_begin(&c->stream, &stream_ops);
	c->state = CONN_USED;
	if (!say_hello(c, &hello)) {
		fail(c, REASON_CONNECT_FAILED, ECONNRESET);
		return;
	}
	backend_mark_ok(c->backend);
	stream_read_on(&c->stream);
	c->ops->on_connected(c);
}

/* What follows from how the backend was reached. False: nothing will come of it. */
static bool
wait_for_it(struct conn *c, enum dialed how, enum reason *why_r)
{
	switch (how) {
	case DIAL_UNDER_WAY:
		*why_r = REASON_NO_MEMORY;
		return io_want(&c->stream.io, IO_WRITE);
	case DIAL_BUSY:
		loop_timer(c->pools->loop, &c->timer, ASK_AGAIN_MS);
		return true;
	default: *why_r = REASON_CONNECT_FAILED; return false;
	}
}

static void
ask_again(struct conn *c)
{
	const struct addr addr = {.sa.sa_family = AF_UNIX};
	enum reason why;

	if (!wait_for_it(c, dial(c->stream.io.fd, &addr, c->backend->address), &why))
		fail(c, why, errno);
}

static void
on_timeout(struct timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);

	if (c->state == CONN_IDLE)
		conn_close(c);
	else if (c->state != CONN_CONNECTING)
		return; /* in use it is not concerned: see pool_take */
	else if (clock_now_ms() < c->ask_until_ms)
		ask_again(c);
	else
		fail(c, REASON_CONNECT_TIMEOUT, ETIMEDOUT);
}

/* A socket for the backend, or -1 and why. */
static int
socket_for(struct backend *backend, struct pools *pools, struct addr *addr_r,
    enum reason *why_r)
{
	struct counters *counters = &pools->loop->counters;
	int fd;

	if (!backend_addr(backend, addr_r)) {
		*why_r = REASON_CONNECT_FAILED;
		return -1;
	}
	count_add(counters, COUNT_DIALS, 1);
	tally(&pools_counts(pools, backend)->dials, 1);
	fd = dial_socket(addr_r);
	if (fd >= 0)
		return fd;
	*why_r = errno == ENOMEM || errno == ENOBUFS ? REASON_NO_MEMORY
						     : REASON_NO_DESCRIPTORS;
	count_add(counters, COUNT_DIALS_FAILED, 1);
	tally(&pools_counts(pools, backend)->dials_failed, 1);
	return -1;
}

static struct conn *
conn_new(struct pools *pools, struct backend *backend, int fd,
    const struct conn_ops *ops, void *user)
{
	struct conn *c = calloc(1, sizeof *c);

	if (!c) {
		close(fd);
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
	return c;
}

static bool
prepare_hello(struct conn *c, const struct conn_hello *hello)
{
	char header[PROXY_HEADER_OUT];

	if (!hello)
		return true;
	c->introduced = true;
	return queue_append(&c->stream.out, header,
	    proxy_header_write(header, hello->version, &hello->source,
		&hello->destination));
}

static bool
start_connecting(struct conn *c, const struct addr *addr, uint64_t timeout_ms,
    enum reason *why_r)
{
	enum dialed how;

	if (addr->sa.sa_family == AF_UNIX)
		c->ask_until_ms = timeout_ms ? clock_now_ms() + timeout_ms : UINT64_MAX;
	else if (timeout_ms)
		loop_timer(c->pools->loop, &c->timer, timeout_ms);
	how = dial(c->stream.io.fd, addr, c->backend->address);
	return wait_for_it(c, how, why_r);
}

struct conn *
conn_open(struct pools *pools, struct backend *backend, const struct conn_hello *hello,
    uint64_t timeout_ms, const struct conn_ops *ops, void *user, enum reason *why_r)
{
	struct conn *c;
	struct addr addr;
	int fd = socket_for(backend, pools, &addr, why_r);

	if (fd < 0)
		return NULL;
	*why_r = REASON_NO_MEMORY;
	c = conn_new(pools, backend, fd, ops, user);
	if (!c)
		return NULL;
	if (prepare_hello(c, hello) && start_connecting(c, &addr, timeout_ms, why_r))
		return c;
	if (*why_r == REASON_CONNECT_FAILED)
		count_failed(c, errno);
	conn_close(c);
	return NULL;
}

void
conn_give_stream(struct conn *c, struct stream *to, const struct stream_ops *ops)
{
	stream_move(to, &c->stream, ops);
	conn_close(c);
}
