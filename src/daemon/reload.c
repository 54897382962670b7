/* SPDX-License-Identifier: MIT
 *
 * reload.c - another configuration while everything runs.
 *
 * Owner and thread: the control thread.
 */
#include "daemon/control.h"

#include "admin/api.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "daemon/worker.h"
#include "route/pins.h"
#include "route/router.h"
#include "upstream/probe.h"
#include "upstream/resolver.h"
#include "upstream/upstream.h"

/* Logs every line of a text on its own. */
static void
log_lines(enum log_level level, struct strbuf *text)
{
	const char *line = strbuf_cstr(text), *end;

	for (; *line; line = end + (*end == '\n')) {
		end = strchr(line, '\n');
		if (!end)
			end = line + strlen(line);
		log_at(level, TOPIC_CONFIG, "%.*s", (int)(end - line), line);
	}
}

struct snapshot *
control_make_snapshot(struct config *config, const struct snapshot *old)
{
	struct router *router = router_new(config);
	struct snapshot *s = router ? snapshot_new(config, old) : NULL;

	if (!s) {
		if (router)
			router_free(router);
		config_free(config);
		return NULL;
	}
	s->router = router;
	s->router_free = router_free;
	return s;
}

static void
log_changes(const struct config *old, const struct config *new)
{
	struct strbuf changes = STRBUF_INIT, restart = STRBUF_INIT;

	config_diff(old, new, &changes, &restart);
	log_lines(LEVEL_NOTICE, &changes);
	if (restart.len) {
		log_warn(TOPIC_CONFIG, "these changes need a restart:");
		log_lines(LEVEL_WARN, &restart);
	}
	log_notice(TOPIC_CONFIG, "configuration reloaded%s",
	    changes.len || restart.len ? "" : " (nothing has changed)");
	strbuf_fini(&changes);
	strbuf_fini(&restart);
}

struct snapshot *
control_set_snapshot(struct control *c, struct snapshot *s)
{
	struct snapshot *old = c->snapshot;

	/* what leaves it now must have been seen in it */
	planner_tick(c->planner, old, clock_now_ms());
	c->snapshot = s;
	prober_watch(c->prober, s);
	for (size_t i = 0; i < c->n_workers; i++)
		worker_set_snapshot(c->workers[i], s);
	return old;
}

static void
take_over(struct control *c, struct snapshot *s)
{
	struct snapshot *old = control_set_snapshot(c, s);

	log_set_levels(&s->config->log);
	pins_set_max(c->pins, s->config->pins.max);
	resolver_watch(c->resolver, s);
	if (c->admin)
		admin_reload(c->admin, &s->config->admin);
	log_changes(old->config, s->config);
	snapshot_put(old);
}

void
control_reload(struct control *c)
{
	struct strbuf errors = STRBUF_INIT;
	struct config *config =
	    config_load(c->options->config_file, &c->options->flags, &errors);
	struct snapshot *s = config ? control_make_snapshot(config, c->snapshot) : NULL;

	if (s) {
		take_over(c, s);
	} else {
		log_lines(LEVEL_ERROR, &errors);
		log_error(TOPIC_CONFIG, "reload failed (%s); the running one stays",
		    config ? "out of memory" : "bad configuration");
	}
	strbuf_fini(&errors);
}
