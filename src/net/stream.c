/* SPDX-License-Identifier: MIT
 *
 * stream.c - recv, sendmsg and the queue behind them; see stream.h.
 */
#include "net/stream.h"

#include <errno.h>
#include <sys/socket.h>

static void
update_interest(struct stream *s)
{
	unsigned want = s->reading ? IO_READ : 0;

	if (queue_size(&s->out) && !s->broken)
		want |= IO_WRITE;
	if (!io_want(&s->io, want))
		s->broken = true;
}

/* `total`: the bytes of iov. */
static ssize_t
send_some(struct stream *s, const struct iovec *iov, int n, size_t total)
{
	struct msghdr message = {.msg_iov = (struct iovec *)iov,
	    .msg_iovlen = (size_t)n};
	ssize_t sent;

	/* for one piece send is the cheaper call: there is no header to copy in */
	do
		sent = n == 1
			   ? send(s->io.fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
			   : sendmsg(s->io.fd, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno == ENOBUFS)
		return 0; /* nothing will tell when there are some: it tries again */
	if (sent < 0 && errno == EAGAIN)
		sent = 0;
	if (sent >= 0 && (size_t)sent < total)
		io_drained(&s->io, IO_WRITE);
	return sent;
}

static void
mark_broken(struct stream *s)
{
	s->broken = true;
	queue_clear(&s->out);
	update_interest(s);
}

static void
flush(struct stream *s)
{
	struct iovec iov = {(void *)(uintptr_t)queue_bytes(&s->out),
	    queue_size(&s->out)};
	ssize_t sent = send_some(s, &iov, 1, iov.iov_len);

	if (sent < 0) {
		s->broken = true;
		update_interest(s);
		s->ops->on_broken(s);
		return;
	}
	queue_drop(&s->out, (size_t)sent);
	if (queue_size(&s->out))
		return;
	update_interest(s);
	s->ops->on_drained(s);
}

static void
on_ready(struct io *io, unsigned what)
{
	struct stream *s = (struct stream *)(void *)io; /* io is its first member */

	if (what & IO_WRITE && queue_size(&s->out) && !s->broken)
		flush(s);
	/* the callback may have closed the stream or turned reading off */
	if (what & IO_READ && s->reading && s->io.fd >= 0)
		s->ops->on_readable(s);
}

void
stream_init(struct stream *s, struct loop *loop, int fd, const struct stream_ops *ops)
{
	io_init(&s->io, loop, fd, on_ready);
	stream_begin(s, ops);
}

void
stream_begin(struct stream *s, const struct stream_ops *ops)
{
	io_want(&s->io, 0);
	s->io.on_ready = on_ready;
	s->out = (struct queue){0};
	s->ops = ops;
	s->reading = s->broken = s->keep_whole = false;
}

void
stream_move(struct stream *to, struct stream *from, const struct stream_ops *ops)
{
	*to = (struct stream){
	    .out = from->out,
	    .ops = ops,
	    .reading = from->reading,
	    .broken = from->broken,
	};
	from->out = (struct queue){0};
	from->reading = false;
	io_move(&to->io, &from->io, on_ready);
}

ssize_t
stream_read(struct stream *s, void *p, size_t n)
{
	ssize_t got;

	do
		got = recv(s->io.fd, p, n, 0);
	while (got < 0 && errno == EINTR);
	if (got >= 0) {
		/* less than was asked for: it was all there is (epoll(7)) */
		if ((size_t)got < n && !(s->io.ready & IO_MORE))
			io_drained(&s->io, IO_READ);
		return got;
	}
	if (errno != EAGAIN)
		return STREAM_ERROR;
	io_drained(&s->io, IO_READ);
	return STREAM_AGAIN;
}

bool
stream_is_quiet(const struct stream *s)
{
	char byte;

	return recv(s->io.fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

/* Queues iov except its first `sent` bytes (which a keep_whole queue remembers). */
static bool
queue_rest(struct stream *s, const struct iovec *iov, int n, size_t sent)
{
	bool was_empty = queue_size(&s->out) == 0;
	size_t skip = s->keep_whole && was_empty ? 0 : sent;

	for (int i = 0; i < n; i++) {
		size_t past = skip < iov[i].iov_len ? skip : iov[i].iov_len;

		skip -= past;
		if (!queue_append(&s->out, (const uint8_t *)iov[i].iov_base + past,
			iov[i].iov_len - past))
			return false;
	}
	if (s->keep_whole && was_empty)
		queue_drop(&s->out, sent);
	return true;
}

enum stream_wrote
stream_write(struct stream *s, const struct iovec *iov, int n)
{
	size_t total = 0;
	ssize_t sent = 0;

	if (s->broken)
		return STREAM_BROKEN;
	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	if (queue_size(&s->out) == 0)
		sent = send_some(s, iov, n, total);
	if (sent >= 0 && (size_t)sent == total)
		return queue_size(&s->out) ? STREAM_QUEUED : STREAM_SENT;
	if (sent < 0 || !queue_rest(s, iov, n, (size_t)sent)) {
		mark_broken(s);
		return STREAM_BROKEN;
	}
	update_interest(s);
	return s->broken ? STREAM_BROKEN : STREAM_QUEUED;
}

enum stream_wrote
stream_put(struct stream *s, const void *p, size_t n)
{
	struct iovec iov = {(void *)(uintptr_t)p, n};

	return stream_write(s, &iov, 1);
}

bool
stream_read_on(struct stream *s)
{
	if (s->reading)
		return true;
	s->reading = true;
	update_interest(s);
	return s->io.want & IO_READ;
}

void
stream_read_off(struct stream *s)
{
	if (!s->reading)
		return;
	s->reading = false;
	update_interest(s);
}

void
stream_shut(struct stream *s)
{
	if (s->io.fd >= 0)
		shutdown(s->io.fd, SHUT_WR);
}

void
stream_reset_on_close(struct stream *s)
{
	const struct linger hard = {.l_onoff = 1, .l_linger = 0};

	setsockopt(s->io.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

void
stream_close(struct stream *s)
{
	s->reading = false;
	queue_clear(&s->out);
	io_close(&s->io);
}
