/* SPDX-License-Identifier: MIT
 *
 * bridge.c - a loop and a libevent base on one thread, see bridge.h.
 */
#include "loop/bridge.h"

#include "loop/loop.h"
#include <event2/event.h>
#include <stdlib.h>

struct bridge {
	struct loop *loop;
	struct event_base *base;
	struct event *told, *due; /* something to do for the loop: now, later */
};

/* There is nothing more to it than that the base has woken up. */
static void
on_event(evutil_socket_t fd, short what, void *arg)
{
}

static struct event_base *
base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && event_config_set_flag(config,
			  EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

struct bridge *
bridge_new(struct loop *loop)
{
	struct bridge *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->loop = loop;
	b->base = base_new();
	if (b->base) {
		b->told = event_new(b->base, loop->epoll_fd, EV_READ | EV_PERSIST,
		    on_event, NULL);
		b->due = evtimer_new(b->base, on_event, NULL);
	}
	if (b->told && b->due && event_add(b->told, NULL) == 0)
		return b;
	bridge_free(b);
	return NULL;
}

void
bridge_free(struct bridge *b)
{
	if (!b)
		return;
	if (b->told)
		event_free(b->told);
	if (b->due)
		event_free(b->due);
	if (b->base)
		event_base_free(b->base);
	free(b);
}

struct event_base *
bridge_base(const struct bridge *b)
{
	return b->base;
}

static void
wake_in(struct bridge *b, uint64_t ms)
{
	struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

	if (ms == UINT64_MAX)
		event_del(b->due);
	else
		event_add(b->due, &tv);
}

void
bridge_run(struct bridge *b)
{
	for (;;) {
		loop_turn(b->loop);
		if (b->loop->stopping)
			break;
		wake_in(b, loop_idle_ms(b->loop));
		event_base_loop(b->base, EVLOOP_ONCE);
	}
}
