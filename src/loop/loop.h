/* SPDX-License-Identifier: MIT
 *
 * loop.h - what lower code sees of a thread: descriptors, timers, mailbox, burial.
 *
 * One thread owns a loop; only loop_post may be called by others.
 */
#ifndef ROOST_LOOP_LOOP_H
#define ROOST_LOOP_LOOP_H

#include "base/clock.h"
#include "base/random.h"
#include "loop/counters.h"
#include "loop/graveyard.h"
#include "loop/io.h"
#include "loop/mailbox.h"
#include "loop/timer.h"

/* What one read takes at most. Not 65536: the largest segment of a loopback device is
 * 65483 bytes, and a send of one byte more costs a second packet. */
enum { LOOP_READ = 65472, LOOP_HEADROOM = 2 * LOOP_READ };

struct loop {
	int epoll_fd;
	struct io
	    *busy; /* owned by others, as all of ios: those with something to do */
	struct io **ios; /* by descriptor: whom the kernel tells of it, or NULL */
	size_t n_ios;
	uint32_t serial, turn; /* the last that were given, see io.h */
	struct timers timers;
	struct graveyard graveyard;
	struct mailbox mailbox;
	struct counters counters;
	struct random random;
	uint8_t
	    *scratch;    /* LOOP_READ bytes for every read of this thread; in front of
			    it LOOP_HEADROOM bytes for what an earlier read left over */
	uint8_t *memory; /* both */
	struct io mail;
	uint64_t turn_us; /* see loop_turn_us; 0: nobody asked yet */
	bool stopping;
};

/* `to` is what delivered messages get. NULL: no memory or descriptors. */
struct loop *loop_new(void *to);
void loop_free(struct loop *loop);

/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* One turn that does what there is to do and waits for nothing. What dies in it is
 * buried by its end. For tests, and for threads that wait elsewhere (bridge.h). */
void loop_turn(struct loop *loop);

/* How long there will be nothing to do, but for what epoll_fd tells when it becomes
 * readable. UINT64_MAX: for ever. */
uint64_t loop_idle_ms(struct loop *loop);

/* When this turn of the loop began, or somebody first asked in it. For durations that
 * many things have: the clock is read once in a turn, if at all. */
static inline uint64_t
loop_turn_us(struct loop *loop)
{
	if (!loop->turn_us)
		loop->turn_us = clock_now_us();
	return loop->turn_us;
}

/* Any thread. */
static inline void
loop_post(struct loop *loop, struct message *message)
{
	mailbox_post(&loop->mailbox, message);
}

static inline void
loop_bury(struct loop *loop, struct grave *grave, void (*bury)(struct grave *))
{
	graveyard_add(&loop->graveyard, grave, bury);
}

/* Fires t->fire once, delay_ms from now or a little (16 ms) later; setting it again
 * while it is pending moves it. */
static inline void
loop_timer(struct loop *loop, struct timer *t, uint64_t delay_ms)
{
	timer_set(&loop->timers, t, clock_now_ms(), delay_ms);
}

#endif
