/* SPDX-License-Identifier: MIT
 *
 * host.c - what the control thread lends to the admin API.
 *
 * Owner and thread: the control thread.
 */
#include "daemon/control.h"

#include "admin/api.h"
#include "config/config.h"
#include "daemon/heritage.h"
#include "daemon/worker.h"
#include "loop/bridge.h"
#include "upstream/upstream.h"

static struct snapshot *
admin_snapshot(void *arg)
{
	return ((struct control *)arg)->snapshot;
}

static size_t
admin_n_workers(void *arg)
{
	return ((struct control *)arg)->n_workers;
}

static bool
admin_visit(void *arg, size_t worker,
    bool (*visit)(void *arg, struct registry *registry), void *visit_arg)
{
	return worker_visit(((struct control *)arg)->workers[worker], visit, visit_arg);
}

uint64_t
control_count(const struct control *c, enum counter which)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < c->n_workers; i++)
		sum += worker_counter(c->workers[i], which);
	return sum;
}

static uint64_t
admin_counter(void *arg, enum counter which)
{
	return control_count(arg, which);
}

static bool
admin_is_stopping(void *arg)
{
	return ((struct control *)arg)->stopping;
}

static bool
admin_amend(void *arg, struct amendments *amendments)
{
	return control_amend(arg, amendments);
}

static void
admin_reload_now(void *arg, struct admin_reload_answer *answer)
{
	control_reload(arg, answer);
}

static bool
admin_upgrade_now(void *arg, struct strbuf *text_r)
{
	return upgrade_start(arg, text_r);
}

static bool
admin_is_upgrading(void *arg)
{
	const struct control *c = arg;

	return c->upgrade.state == UPGRADE_STARTING ||
	       c->upgrade.state == UPGRADE_FAILED;
}

bool
control_open_admin(struct control *c)
{
	const struct config_admin *conf = &c->snapshot->config->admin;
	struct addr addr = conf->addr;
	int fd;
	const struct admin_host host = {
	    .loop = c->loop,
	    .base = bridge_base(c->bridge),
	    .pins = c->pins,
	    .planner = c->planner,
	    .chooser = &c->chooser,
	    .access_log = c->access_log,
	    .snapshot = admin_snapshot,
	    .n_workers = admin_n_workers,
	    .visit = admin_visit,
	    .counter = admin_counter,
	    .is_stopping = admin_is_stopping,
	    .amend = admin_amend,
	    .reload = admin_reload_now,
	    .upgrade = admin_upgrade_now,
	    .is_upgrading = admin_is_upgrading,
	    .arg = c,
	};

	if (!conf->bind)
		return true;
	fd = heritage_take(c->options->heritage, true, &addr, conf->unix_path,
	    &c->admin_is_heir);
	c->admin = admin_open(&host, conf, fd);
	return c->admin != NULL;
}
