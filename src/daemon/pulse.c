/* SPDX-License-Identifier: MIT
 *
 * pulse.c - tells systemd that all threads are alive, and how busy they are.
 *
 * The watchdog is fed only when every worker has answered since the last time, so a
 * thread that hangs is noticed as well as a process that does.
 *
 * Owner and thread: the control thread.
 */
#include "daemon/control.h"

#include "daemon/systemd.h"
#include "daemon/worker.h"
#include "loop/loop.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <stdio.h>
#include <stdlib.h>

enum { STATUS_MS = 5000 };

const char *
pulse_status(struct control *c)
{
	const struct snapshot *s = c->snapshot;
	unsigned sessions = 0, exchanges = 0;

	for (size_t i = 0; i < s->n_upstreams; i++)
		for (size_t k = 0; k < s->upstreams[i].n_backends; k++) {
			sessions += s->upstreams[i].backends[k]->sessions;
			exchanges += s->upstreams[i].backends[k]->exchanges;
		}
	snprintf(c->pulse.status, sizeof c->pulse.status,
	    "serving %u sessions and %u exchanges", sessions, exchanges);
	return c->pulse.status;
}

/* Has every worker answered? Then asks them anew. */
static bool
is_alive(struct control *c)
{
	for (size_t i = 0; i < c->n_workers && c->pulse.asked; i++)
		if (!atomic_load(&c->pulse.alive[i]))
			return false;
	for (size_t i = 0; i < c->n_workers; i++) {
		atomic_store(&c->pulse.alive[i], false);
		if (!worker_ask(c->workers[i], &c->pulse.alive[i]))
			atomic_store(&c->pulse.alive[i], true);
	}
	c->pulse.asked = true;
	return true;
}

static void
say_status(struct control *c)
{
	char before[sizeof c->pulse.status];

	memcpy(before, c->pulse.status, sizeof before);
	if (!c->stopping && strcmp(before, pulse_status(c)) != 0)
		systemd_status(c->pulse.status);
}

static void
on_pulse(struct timer *t)
{
	struct control *c = container_of(t, struct control, pulse.timer);
	uint64_t ms = STATUS_MS;

	if (c->upgrade.state == UPGRADE_DONE)
		return; /* the new process is the one that counts */
	if (c->pulse.watchdog_ms) {
		if (is_alive(c))
			systemd_alive();
		if (c->pulse.watchdog_ms / 2 < ms)
			ms = c->pulse.watchdog_ms / 2;
	}
	say_status(c);
	loop_timer(c->loop, t, ms);
}

void
pulse_start(struct control *c)
{
	systemd_ready(pulse_status(c));
	if (!getenv("NOTIFY_SOCKET"))
		return;
	c->pulse.watchdog_ms = systemd_watchdog_ms();
	c->pulse.alive = calloc(c->n_workers, sizeof *c->pulse.alive);
	if (!c->pulse.alive)
		return; /* systemd will notice, if it is to */
	timer_init(&c->pulse.timer, on_pulse);
	loop_timer(c->loop, &c->pulse.timer, 0);
}

void
pulse_fini(struct control *c)
{
	if (c->pulse.alive)
		timer_clear(&c->pulse.timer);
	free(c->pulse.alive);
	c->pulse.alive = NULL;
}
