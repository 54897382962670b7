/* SPDX-License-Identifier: MIT
 *
 * reload.c - another configuration while everything runs.
 *
 * It is read and checked aside, and compared by value with the one in force: what is
 * the same is not touched, and where all is the same nothing is. What can fail is done
 * first.
 *
 * Owner and thread: the control thread.
 */
#include "daemon/control.h"

#include "admin/api.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "daemon/files.h"
#include "daemon/sockets.h"
#include "daemon/systemd.h"
#include "daemon/worker.h"
#include "loop/loop.h"
#include "route/pins.h"
#include "route/router.h"
#include "upstream/probe.h"
#include "upstream/resolver.h"
#include "upstream/upstream.h"

void
control_log_lines(enum log_level level, enum log_topic topic, const char *before,
    struct strbuf *text)
{
	const char *line = strbuf_cstr(text), *end;

	for (; *line; line = end + (*end == '\n')) {
		end = strchr(line, '\n');
		if (!end)
			end = line + strlen(line);
		log_at(level, topic, "%s%.*s", before, (int)(end - line), line);
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

/* ---- what changes ---- */

/* Not in the file, but named there. */
static void
look_at_secret(const struct control *c, const struct config *config,
    struct strbuf *restart)
{
	uint8_t secret[HASH_SECRET];
	struct strbuf error = STRBUF_INIT;
	const char *path = config->pins.secret_file;

	if (path && c->first->config->pins.secret_file &&
	    control_read_secret(path, secret, &error) &&
	    memcmp(secret, c->secret, sizeof secret) != 0)
		strbuf_lit(restart, "pins.secret_file: what is in it has changed\n");
	strbuf_fini(&error);
}

/* False: no memory; where all seems to be the same something may have changed. */
static bool
compare(const struct control *c, const struct config *config,
    struct admin_reload_answer *answer)
{
	struct strbuf unused = STRBUF_INIT, others = STRBUF_INIT;
	bool ok;

	config_diff(c->snapshot->config, config, &answer->changes, &unused);
	/* what an earlier reload could not take over is still to come */
	config_diff(c->first->config, config, &others, &answer->restart);
	look_at_secret(c, config, &answer->restart);
	ok = !answer->changes.failed && !others.failed && !answer->restart.failed;
	strbuf_fini(&unused);
	strbuf_fini(&others);
	return ok;
}

static void
log_changes(struct admin_reload_answer *answer)
{
	control_log_lines(LEVEL_NOTICE, TOPIC_CONFIG, "", &answer->changes);
	control_log_lines(LEVEL_WARN, TOPIC_CONFIG,
	    "needs a restart: ", &answer->restart);
	log_notice(TOPIC_CONFIG, "configuration reloaded%s",
	    answer->changes.len ? "" : " (nothing has changed)");
}

/* ---- taking over ---- */

struct snapshot *
control_set_snapshot(struct control *c, struct snapshot *s,
    struct sockets_change *change)
{
	struct snapshot *old = c->snapshot;

	/* what leaves it now must have been seen in it */
	planner_tick(c->planner, old, clock_now_ms());
	c->snapshot = s;
	prober_watch(c->prober, s);
	for (size_t i = 0; i < c->n_workers; i++)
		worker_set_snapshot(c->workers[i], s,
		    change ? sockets_share(change, i) : NULL);
	return old;
}

bool
control_amend(struct control *c, struct amendments *amendments)
{
	struct snapshot *s = snapshot_amended(c->snapshot, amendments);

	if (!s)
		return false;
	snapshot_put(control_set_snapshot(c, s, NULL));
	resolver_watch(c->resolver, s);
	return true;
}

static void
take_over(struct control *c, struct snapshot *s, struct sockets_change *change)
{
	struct snapshot *old = control_set_snapshot(c, s, change);

	if (sockets_commit(c->sockets, change))
		control_write_ports(c);
	/* what was set while running stays until the file says something else */
	if (!log_levels_eq(&old->config->log, &s->config->log))
		log_set_levels(&s->config->log);
	pins_set_max(c->pins, s->config->pins.max);
	resolver_watch(c->resolver, s);
	snapshot_put(old);
}

/* Takes over config. What can fail comes first, and changes nothing. */
static bool
apply(struct control *c, struct config *config, struct admin_reload_answer *answer)
{
	struct sockets_change *change =
	    sockets_prepare(c->sockets, config, NULL, &answer->problems);
	struct snapshot *s;

	if (!change) {
		config_free(config);
		return false;
	}
	s = control_make_snapshot(config, c->snapshot);
	if (!s) {
		strbuf_lit(&answer->problems, "out of memory\n");
		sockets_cancel(change);
		return false;
	}
	take_over(c, s, change);
	return true;
}

static const struct config_admin *
running_admin(const struct control *c)
{
	return &c->snapshot->config->admin;
}

static void
renew_token(struct control *c, struct admin_reload_answer *answer)
{
	bool listed =
	    strstr(strbuf_cstr(&answer->changes), "admin.token_file:") != NULL;

	if (c->admin && admin_reload(c->admin, running_admin(c)) && !listed)
		strbuf_lit(&answer->changes,
		    "admin.token_file: what is in it has changed\n");
}

/* Takes over config, or NULL. */
static bool
consider(struct control *c, struct config *config, struct admin_reload_answer *answer)
{
	if (!config)
		return false;
	if (!admin_check(&config->admin, &answer->problems)) {
		strbuf_lit(&answer->problems, "\n");
		config_free(config);
		return false;
	}
	if (!compare(c, config, answer)) {
		strbuf_lit(&answer->problems, "out of memory\n");
		config_free(config);
		return false;
	}
	if (answer->changes.len == 0)
		config_free(config);
	else if (!apply(c, config, answer))
		return false;
	renew_token(c, answer);
	return true;
}

static bool
reload(struct control *c, struct admin_reload_answer *answer)
{
	if (c->stopping || c->follows || c->upgrade.state != UPGRADE_NONE) {
		/* the listeners are to be the same in both processes */
		strbuf_puts(&answer->problems,
		    c->stopping ? "roost is stopping\n" : "an upgrade is under way\n");
		return false;
	}
	return consider(c,
	    config_load(c->options->config_file, &c->options->flags, &answer->problems),
	    answer);
}

void
control_reload(struct control *c, struct admin_reload_answer *answer)
{
	systemd_reloading();
	answer->ok = reload(c, answer);
	admin_note_reload(c->admin, answer->ok);
	if (answer->ok) {
		log_changes(answer);
		control_watch_files(c);
	} else {
		strbuf_reset(&answer->changes);
		strbuf_reset(&answer->restart);
		control_log_lines(LEVEL_ERROR, TOPIC_CONFIG, "", &answer->problems);
		log_error(TOPIC_CONFIG, "reload failed; the running one stays");
	}
	systemd_ready(pulse_status(c));
}

void
control_reload_silently(struct control *c)
{
	struct admin_reload_answer answer = {.ok = false};

	control_reload(c, &answer);
	admin_reload_fini(&answer);
}

/* ---- watching ---- */

static void
on_files(void *arg)
{
	struct control *c = arg;

	log_notice(TOPIC_CONFIG, "a file of the configuration has changed");
	control_reload_silently(c);
}

bool
control_watch_files(struct control *c)
{
	const struct config *config = c->snapshot->config;
	const char *paths[FILES_MAX] = {config->file, config->pins.secret_file,
	    config->admin.token_file};
	size_t n = 3;

	if (!c->options->watch)
		return true;
	for (size_t i = 0; i < config->n_error_pages && n < FILES_MAX; i++)
		paths[n++] = config->error_pages[i].file;
	if (!c->files)
		c->files = files_new(c->loop, on_files, c);
	return c->files && files_watch(c->files, paths, n);
}
