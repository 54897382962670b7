/* SPDX-License-Identifier: MIT
 *
 * io.h - a descriptor on a loop and what it waits for.
 *
 * Level-triggered, so one read per event is enough: what is left, an end of stream or
 * an error brings the next event. Owner: the object it is embedded in.
 */
#ifndef ROOST_LOOP_IO_H
#define ROOST_LOOP_IO_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

enum { IO_READ = EV_READ, IO_WRITE = EV_WRITE };

struct io {
	struct event event;
	struct loop *loop; /* borrowed */
	void (*on_ready)(struct io *io, unsigned what);
	int fd; /* -1: closed */
	uint8_t want;
};

/* Takes over fd; waits for nothing yet. */
void io_init(struct io *io, struct loop *loop, int fd,
    void (*on_ready)(struct io *io, unsigned what));

/* From now on wait for exactly this (IO_READ | IO_WRITE, or 0). False: no memory. */
bool io_want(struct io *io, unsigned want);

/* Moves the descriptor to another owner's io, which waits for what `from` waited for;
 * `from` is closed afterwards. Nothing changes for the kernel. False: no memory, and
 * `to` waits for nothing. */
bool io_move(struct io *to, struct io *from,
    void (*on_ready)(struct io *io, unsigned what));

/* Stops waiting and gives the descriptor away. */
int io_detach(struct io *io);

/* Stops waiting and closes the descriptor. Idempotent. */
void io_close(struct io *io);

#endif
