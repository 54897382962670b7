/* SPDX-License-Identifier: MIT
 *
 * signals.c - what the process is told by signals.
 *
 * Owner and thread: the control thread.
 */
#include "daemon/control.h"

#include "base/log.h"
#include "base/sink.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "daemon/sockets.h"
#include "daemon/systemd.h"
#include "daemon/worker.h"
#include "loop/bridge.h"
#include "loop/loop.h"
#include "upstream/upstream.h"
#include <event2/event.h>
#include <signal.h>

/* The first time in good order, the second time now. */
static void
stop(struct control *c)
{
	const struct worker_stop how = {
	    .why = REASON_SHUTDOWN,
	    .grace_ms = c->snapshot->config->shutdown.grace_ms,
	};

	log_notice(TOPIC_DAEMON, c->stopping ? "stopping now" : "stopping");
	if (!c->stopping)
		systemd_stopping();
	upgrade_cancel(c);
	sockets_end(c->sockets); /* but for the admin API's, which tells what is left */
	if (!c->stopping)
		workers_stop(c->workers, c->n_workers, &how);
	for (size_t i = 0; c->stopping && i < c->n_workers; i++)
		worker_quit(c->workers[i]);
	c->stopping = true;
}

static void
start_upgrade(struct control *c)
{
	struct strbuf text = STRBUF_INIT;

	if (!upgrade_start(c, &text))
		log_error(TOPIC_DAEMON, "no upgrade (%s)", strbuf_cstr(&text));
	strbuf_fini(&text);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct control *c = arg;

	switch (number) {
	case SIGHUP:
		if (!c->stopping)
			control_reload_silently(c);
		break;
	case SIGUSR1:
		if (log_reopen())
			log_notice(TOPIC_DAEMON, "log files reopened");
		if (c->access_log)
			sink_reopen(c->access_log);
		break;
	case SIGUSR2: start_upgrade(c); break;
	default: stop(c);
	}
}

static const int handled[CONTROL_SIGNALS] = {SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT};

bool
signals_catch(struct control *c)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ,
	    SIG_IGN); /* a log that may not grow is as a disk that is full */
	for (size_t i = 0; i < sizeof handled / sizeof *handled; i++) {
		c->signals[i] =
		    evsignal_new(bridge_base(c->bridge), handled[i], on_signal, c);
		if (!c->signals[i] || event_add(c->signals[i], NULL))
			return false;
	}
	return true;
}

void
signals_forget(struct control *c)
{
	for (size_t i = 0; i < sizeof handled / sizeof *handled; i++)
		if (c->signals[i])
			event_free(c->signals[i]);
}
