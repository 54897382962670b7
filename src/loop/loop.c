/* SPDX-License-Identifier: MIT
 *
 * loop.c - epoll, the timer wheel and the mailbox of one thread, turned together.
 *
 * Why not libevent's loop: it tells of an error only as of something to be read, so one
 * that reads less than it asked for cannot know whether an end lies behind, and must
 * ask once more each time. With readiness kept as a state (io.h) most turns cost
 * nothing but the calls that move bytes. Where libevent is needed (evhttp, signals) it
 * runs beside the loop, see bridge.h.
 */
#include "loop/loop.h"

#include "base/object.h"
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <utlist.h>

enum { EVENTS = 256 };

static void
on_mail(struct io *io, unsigned what)
{
	struct loop *loop = container_of(io, struct loop, mail);

	io_drained(io, IO_READ);
	mailbox_deliver(&loop->mailbox);
}

struct loop *
loop_new(void *to)
{
	struct loop *loop = calloc(1, sizeof *loop);
	uint64_t seed;

	if (!loop)
		return NULL;
	loop->mailbox.fd = -1;
	random_secret(&seed, sizeof seed);
	random_seed(&loop->random, seed);
	timers_init(&loop->timers, clock_now_ms());
	loop->memory = malloc(LOOP_HEADROOM + LOOP_READ);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!loop->memory || loop->epoll_fd < 0 || !mailbox_init(&loop->mailbox, to))
		goto fail;
	loop->scratch = loop->memory + LOOP_HEADROOM;
	io_init(&loop->mail, loop, loop->mailbox.fd, on_mail);
	if (!io_want(&loop->mail, IO_READ))
		goto fail;
	return loop;
fail:
	loop_free(loop);
	return NULL;
}

void
loop_free(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->mailbox.fd >= 0)
		mailbox_fini(&loop->mailbox);
	graveyard_bury(&loop->graveyard);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop->ios);
	free(loop->memory);
	free(loop);
}

uint64_t
loop_idle_ms(struct loop *loop)
{
	return loop->busy ? 0 : timers_next_ms(&loop->timers, clock_now_ms());
}

static int
as_timeout(uint64_t ms)
{
	if (ms == UINT64_MAX)
		return -1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

static void
hear(struct loop *loop, int wait_ms)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(loop->epoll_fd, events, EVENTS, wait_ms);

	for (int i = 0; i < n; i++)
		io_told(loop, events[i].data.u64, events[i].events);
}

/* Each at most once in a turn. First it goes to the end of the list: the call may end
 * it, or make it wait. */
static void
serve(struct loop *loop)
{
	struct io *io;

	loop->turn++;
	while ((io = loop->busy) && io->turn != loop->turn) {
		io->turn = loop->turn;
		DL_DELETE(loop->busy, io);
		DL_APPEND(loop->busy, io);
		io->on_ready(io, io->ready & io->want);
	}
}

static void
run_timers(struct loop *loop)
{
	timers_run(&loop->timers, clock_now_ms());
	graveyard_bury(&loop->graveyard);
}

static void
run_io(struct loop *loop, uint64_t wait_ms)
{
	loop->turn_us = 0;
	hear(loop, as_timeout(wait_ms));
	serve(loop);
	graveyard_bury(&loop->graveyard);
}

void
loop_turn(struct loop *loop)
{
	run_timers(loop);
	run_io(loop, 0);
}

void
loop_run(struct loop *loop)
{
	for (;;) {
		run_timers(loop);
		if (loop->stopping)
			break;
		run_io(loop, loop_idle_ms(loop));
	}
}

void
loop_stop(struct loop *loop)
{
	loop->stopping = true;
}
