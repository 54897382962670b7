/* SPDX-License-Identifier: MIT
 *
 * loop.c - one libevent base, turned one step at a time.
 *
 * Why not event_base_dispatch: dead objects are buried and the timer wheel's next date
 * is looked at between two turns. The base takes no locks, since only its own thread
 * touches it, and collects changes of interest, so that a change taken back within a
 * turn costs no system call.
 */
#include "loop/loop.h"

#include <event2/event.h>
#include <stdlib.h>

static void
on_mail(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	mailbox_deliver(&loop->mailbox);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;

	loop->timer_due_ms = UINT64_MAX; /* the wheel runs at the end of this turn */
}

static struct event_base *
base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config &&
	    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK |
					      EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST |
					      EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

struct loop *
loop_new(void *to)
{
	struct loop *loop = calloc(1, sizeof *loop);
	uint64_t seed;

	if (!loop)
		return NULL;
	loop->mailbox.fd = -1;
	loop->timer_due_ms = UINT64_MAX;
	random_secret(&seed, sizeof seed);
	random_seed(&loop->random, seed);
	timers_init(&loop->timers, clock_now_ms());
	loop->memory = malloc(LOOP_HEADROOM + LOOP_READ);
	loop->base = base_new();
	if (!loop->memory || !loop->base || !mailbox_init(&loop->mailbox, to))
		goto fail;
	loop->scratch = loop->memory + LOOP_HEADROOM;
	loop->mail_event = event_new(loop->base, loop->mailbox.fd, EV_READ | EV_PERSIST,
	    on_mail, loop);
	loop->timer_event = evtimer_new(loop->base, on_timer, loop);
	if (!loop->mail_event || !loop->timer_event ||
	    event_add(loop->mail_event, NULL))
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
	if (loop->mail_event)
		event_free(loop->mail_event);
	if (loop->timer_event)
		event_free(loop->timer_event);
	if (loop->base)
		event_base_free(loop->base);
	free(loop->memory);
	free(loop);
}

/* Runs what is due and sees to it that libevent wakes us for the next. */
static void
turn_timers(struct loop *loop)
{
	uint64_t now = clock_now_ms(), wait, due;

	timers_run(&loop->timers, now);
	wait = timers_next_ms(&loop->timers, now);
	due = wait == UINT64_MAX ? UINT64_MAX : now + wait;
	if (due >= loop->timer_due_ms)
		return; /* woken early enough as it is */
	struct timeval tv = {(time_t)(wait / 1000), (suseconds_t)(wait % 1000) * 1000};

	loop->timer_due_ms = due;
	event_add(loop->timer_event, &tv);
}

void
loop_run(struct loop *loop)
{
	while (!loop->stopping) {
		turn_timers(loop);
		graveyard_bury(&loop->graveyard);
		if (loop->stopping)
			break;
		loop->turn_us = 0;
		event_base_loop(loop->base, EVLOOP_ONCE);
	}
	graveyard_bury(&loop->graveyard);
}

void
loop_stop(struct loop *loop)
{
	loop->stopping = true;
}
