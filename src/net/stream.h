/* SPDX-License-Identifier: MIT
 *
 * stream.h - bytes in and out of one connected socket, never blocking.
 *
 * All output of a connection goes through stream_write: straight to the socket while
 * that takes it, else into the stream's own queue, in order. Whoever feeds a stream
 * stops when it hears STREAM_QUEUED and goes on at on_drained; so a queue holds at most
 * what one read brought, and an idle stream holds no buffer. This is also the only
 * place that calls recv and send, where another transport would fit in.
 *
 * Owner: the object it is embedded in. Thread: its loop's.
 */
#ifndef ROOST_NET_STREAM_H
#define ROOST_NET_STREAM_H

#include "loop/io.h"
#include "net/queue.h"
#include <sys/types.h>
#include <sys/uio.h>

struct stream;

struct stream_ops {
	void (*on_readable)(struct stream *s); /* bytes, end or error: read to know */
	void (*on_drained)(struct stream *s);  /* the queue has become empty */
	void (*on_broken)(struct stream *s);   /* the queue could not be sent: the peer
						  takes nothing more; what it sent before
						  may still be readable */
};

struct stream {
	struct io io;
	struct queue out;
	const struct stream_ops *ops;
	bool reading;
	bool broken;     /* writing has failed */
	bool keep_whole; /* a queue keeps the whole of what was not taken whole */
};

enum { STREAM_END = 0, STREAM_AGAIN = -1, STREAM_ERROR = -2 };
enum stream_wrote { STREAM_SENT, STREAM_QUEUED, STREAM_BROKEN };

/* Takes over a connected, non-blocking fd. Reads nothing until stream_read_on. */
void stream_init(struct stream *s, struct loop *loop, int fd,
    const struct stream_ops *ops);

/* The same for a descriptor that s->io has already, as of a connection that has just
 * been made. Nothing is waited for. */
void stream_begin(struct stream *s, const struct stream_ops *ops);

/* Moves the connection with its queue to another owner's stream; `from` is closed
 * afterwards. What was read goes on being read. */
void stream_move(struct stream *to, struct stream *from, const struct stream_ops *ops);

/* Bytes read (> 0), STREAM_END, STREAM_AGAIN or STREAM_ERROR. */
ssize_t stream_read(struct stream *s, void *p, size_t n);

/* Open, and nothing to be read, not even an end? Asks the kernel. */
bool stream_is_quiet(const struct stream *s);

/* Sends or queues all of iov. QUEUED: not all has left; the caller should stop feeding
 * until on_drained. BROKEN: nothing can be sent any more (or memory is out). */
enum stream_wrote stream_write(struct stream *s, const struct iovec *iov, int n);
enum stream_wrote stream_put(struct stream *s, const void *p, size_t n);

/* False: no memory; the connection is useless then. Only one that nobody has waited for
 * before, to read or to be connected, can meet that. */
bool stream_read_on(struct stream *s);
void stream_read_off(struct stream *s);

static inline size_t
stream_queued(const struct stream *s)
{
	return queue_size(&s->out);
}

static inline bool
stream_is_open(const struct stream *s)
{
	return s->io.fd >= 0;
}

/* No more output after the queue; the peer sees the end. Only with an empty queue. */
void stream_shut(struct stream *s);

/* When it is closed the peer shall see a reset instead of an orderly end. */
void stream_reset_on_close(struct stream *s);

/* Idempotent; drops the queue. */
void stream_close(struct stream *s);

#endif
