/* SPDX-License-Identifier: MIT
 *
 * io.h - a descriptor on a loop, and what its owner waits for.
 *
 * The kernel tells of a change once (epoll(7), EPOLLET); the io remembers it as a
 * state: a descriptor is ready from the moment it is told until somebody finds that it
 * is not and says so with io_drained. While one is ready for something that is wanted,
 * on_ready is called in every turn of the loop, so one read per call is enough. Turning
 * interest off and on again costs no system call.
 *
 * Owner: the object it is embedded in. Thread: its loop's.
 */
#ifndef ROOST_LOOP_IO_H
#define ROOST_LOOP_IO_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* MORE is told, but cannot be waited for: behind the bytes there is more than bytes, be
 * it an end, an error, or the mark of urgent data, at which a read stops. */
enum { IO_READ = 1, IO_WRITE = 2, IO_MORE = 4 };

/* On the list of those with something to do, or (prev NULL) not. */
struct io {
	struct io *prev, *next;
	struct loop *loop; /* borrowed */
	void (*on_ready)(struct io *io, unsigned what);
	int fd;          /* -1: closed */
	uint32_t serial; /* tells it from an earlier owner of the same fd */
	uint32_t turn;   /* in which on_ready was called last */
	uint8_t want, ready;
	uint8_t known; /* what the kernel tells us of; 0: it does not know the fd */
};

/* Takes over fd (-1: there is none yet); waits for nothing yet. */
void io_init(struct io *io, struct loop *loop, int fd,
    void (*on_ready)(struct io *io, unsigned what));

/* From now on wait for exactly this (IO_READ | IO_WRITE, or 0). False: no memory, or no
 * watches left (epoll_ctl(2)); it waits for nothing then. */
bool io_want(struct io *io, unsigned want);

/* It is not ready for this (IO_READ or IO_WRITE): the kernel said EAGAIN, or took or
 * gave less than it was asked to. Whoever never says so is called for ever. */
void io_drained(struct io *io, unsigned what);

/* Moves the descriptor to another owner's io, which waits for what `from` waited for
 * and hears what `from` was about to; `from` is closed afterwards. The kernel is told
 * nothing. */
void io_move(struct io *to, struct io *from,
    void (*on_ready)(struct io *io, unsigned what));

/* Stops waiting and gives the descriptor away. */
int io_detach(struct io *io);

/* Stops waiting and closes the descriptor. Idempotent. */
void io_close(struct io *io);

/* For the loop: the kernel has told this (EPOLLIN and so on) of the descriptor to which
 * a tag was given. */
void io_told(struct loop *loop, uint64_t tag, uint32_t events);

#endif
