/* SPDX-License-Identifier: MIT
 *
 * daemon.c - the control thread: starts everything, turns its loop, ends everything.
 */
#include "daemon/daemon.h"

#include "admin/api.h"
#include "base/log.h"
#include "base/sink.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "daemon/control.h"
#include "daemon/files.h"
#include "daemon/heritage.h"
#include "daemon/process.h"
#include "daemon/sockets.h"
#include "daemon/worker.h"
#include "loop/bridge.h"
#include "loop/loop.h"
#include "route/pins.h"
#include "route/quota.h"
#include "upstream/probe.h"
#include "upstream/resolver.h"
#include "upstream/upstream.h"
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	PLAN_MS = 100,
	SWEEP_MS = 1000,
	SECRET_FILE_MAX = 4096,
	FEW_DESCRIPTORS = 4096,
	QUOTA_CLIENTS = 1000000, /* that may be counted at once */
};

/* ---- time ---- */

static void
on_move(void *arg, const struct move *move)
{
	struct control *c = arg;

	for (size_t i = 0; i < c->n_workers; i++)
		worker_rehome(c->workers[i], move);
}

static void
on_plan(struct timer *t)
{
	struct control *c = container_of(t, struct control, plan_timer);

	planner_tick(c->planner, c->snapshot, clock_now_ms());
	panics_look(&c->panics, c->snapshot, clock_now_ms());
	loop_timer(c->loop, t, PLAN_MS);
}

/* Debug builds: counts that are wrong would send clients to the wrong places. */
static void
check_counts(const struct control *c)
{
#ifdef ROOST_DEBUG
	for (size_t i = 0; i < c->snapshot->n_upstreams; i++) {
		const struct upstream *up = &c->snapshot->upstreams[i];

		assert(pins_counts_are_right(c->pins, up->backends, up->n_backends));
	}
#endif
}

static void
on_sweep(struct timer *t)
{
	struct control *c = container_of(t, struct control, sweep_timer);

	check_counts(c);
	pins_sweep(c->pins, clock_now_ms());
	quota_sweep(c->quota, clock_now_ms());
	log_tick();
	loop_timer(c->loop, t, SWEEP_MS);
}

/* ---- workers ---- */

static void
take_gone(struct message *message, void *to)
{
	struct control *c = to;

	if (c)
		loop_stop(c->loop);
}

/* On the worker's thread. That all are there was told with the order to end. */
static void
on_worker_gone(void *arg)
{
	struct control *c = arg;

	if (atomic_fetch_add(&c->n_gone, 1) + 1 < c->n_workers)
		return;
	c->all_gone.deliver = take_gone;
	loop_post(c->loop, &c->all_gone);
}

static bool
start_workers(struct control *c, size_t n_workers, struct sockets_change *change)
{
	const struct worker_shared shared = {
	    .pins = c->pins,
	    .quota = c->quota,
	    .access_log = c->access_log,
	    .secret = c->secret,
	    .on_gone = on_worker_gone,
	    .arg = c,
	};

	c->workers = calloc(n_workers, sizeof(struct worker *));
	for (size_t i = 0; c->workers && i < n_workers; i++) {
		c->workers[i] =
		    worker_start(&shared, c->snapshot, sockets_share(change, i));
		if (!c->workers[i])
			break;
		c->n_workers++;
	}
	if (c->n_workers < n_workers)
		log_error(TOPIC_DAEMON, "cannot start worker %zu of %zu (%m)",
		    c->n_workers + 1, n_workers);
	return c->n_workers == n_workers;
}

/* ---- start ---- */

bool
control_read_secret(const char *path, uint8_t secret_r[HASH_SECRET],
    struct strbuf *error_r)
{
	char text[SECRET_FILE_MAX];
	FILE *file;
	size_t n;

	if (!path) {
		random_secret(secret_r, HASH_SECRET);
		return true;
	}
	file = fopen(path, "re");
	n = file ? fread(text, 1, sizeof text, file) : 0;
	if (file)
		fclose(file);
	if (n < 16) {
		strbuf_printf(error_r, "%s: %s", path,
		    file ? "a secret needs at least 16 bytes" : strerror(errno));
		return false;
	}
	hash_derive_secret(secret_r, text, n);
	return true;
}

/* The secret under which cookies are written: the file's, that of the process before
 * us, whose cookies shall stay good, or one of our own. */
static bool
take_secret(struct control *c, const char *path)
{
	const struct heritage *heritage = c->options->heritage;
	struct strbuf error = STRBUF_INIT;
	bool ok = true;

	if (!path && heritage->secret_given)
		memcpy(c->secret, heritage->secret, sizeof c->secret);
	else
		ok = control_read_secret(path, c->secret, &error);
	if (!ok)
		log_error(TOPIC_DAEMON, "%s", strbuf_cstr(&error));
	strbuf_fini(&error);
	return ok;
}

static void
on_library_message(int severity, const char *text)
{
	if (severity >= EVENT_LOG_ERR)
		log_kind(KIND_LIBRARY, NULL, "libevent: %s", text);
	else
		log_debug(TOPIC_LIBRARY, "libevent: %s", text);
}

/* libevent gives up where it finds no descriptors for a base, and only then. */
static void
on_library_end(int code)
{
	log_error(TOPIC_DAEMON, "cannot start (out of memory or descriptors)");
	process_pid_file_remove();
	_exit(EXIT_START);
}

static bool
set_up(struct control *c, struct config *config)
{
	uint64_t seed;

	event_set_log_callback(on_library_message);
	event_set_fatal_callback(on_library_end);
	if (!take_secret(c, config->pins.secret_file)) {
		config_free(config);
		return false;
	}
	random_secret(&seed, sizeof seed);
	c->pins = pins_new(config->pins.max);
	c->quota = quota_new(QUOTA_CLIENTS);
	c->snapshot = control_make_snapshot(config, NULL);
	c->first = c->snapshot ? snapshot_get(c->snapshot) : NULL;
	c->loop = loop_new(c);
	c->bridge = c->loop ? bridge_new(c->loop) : NULL;
	chooser_init(&c->chooser, c->pins, c->secret, seed);
	c->planner = planner_new(&c->chooser, on_move, c);
	c->prober = c->loop ? prober_new(c->loop) : NULL;
	timer_init(&c->plan_timer, on_plan);
	timer_init(&c->sweep_timer, on_sweep);
	if (!c->pins || !c->quota || !c->snapshot || !c->bridge || !c->planner ||
	    !c->prober || !signals_catch(c)) {
		log_error(TOPIC_DAEMON, "cannot start (out of memory or descriptors)");
		return false;
	}
	loop_timer(c->loop, &c->plan_timer, PLAN_MS);
	loop_timer(c->loop, &c->sweep_timer, SWEEP_MS);
	return true;
}

static bool
open_access_log(struct control *c)
{
	const char *file = c->snapshot->config->access_log.file;

	if (!file)
		return true;
	c->access_log = sink_open(file);
	if (!c->access_log)
		log_error(TOPIC_DAEMON, "access log %s: %s", file, strerror(errno));
	return c->access_log != NULL;
}

/* Who took over from a process may be that user already, and could not become it
 * again. */
static bool
become_user(struct control *c, struct strbuf *error)
{
	const struct daemon_options *o = c->options;
	bool is_heir = o->heritage->link >= 0;

	return !o->user || (is_heir && geteuid() != 0) ||
	       process_drop_privileges(o->user, error);
}

/* That roost is running already is a better answer than that its ports are taken, so
 * this comes first. */
static bool
claim_pid_file(const struct control *c, struct strbuf *error)
{
	const struct daemon_options *o = c->options;

	return !o->pid_file || o->heritage->pid_file >= 0 ||
	       process_pid_file(o->pid_file, error);
}

/* Everything that may need privileges, then gives them up. */
static struct sockets_change *
claim_resources(struct control *c, size_t n_workers)
{
	struct strbuf error = STRBUF_INIT;
	struct sockets_change *change = NULL;
	bool ok;

	if (claim_pid_file(c, &error)) {
		c->sockets = sockets_new(n_workers);
		if (!c->sockets)
			strbuf_lit(&error, "out of memory");
	}
	if (c->sockets)
		change = sockets_prepare(c->sockets, c->snapshot->config,
		    c->options->heritage, &error);
	ok = change && open_access_log(c) && control_open_admin(c);
	if (ok) {
		heritage_fini(c->options->heritage);
		ok = become_user(c, &error);
	}
	control_log_lines(LEVEL_ERROR, TOPIC_DAEMON, "", &error);
	strbuf_reset(&error);
	if (ok && c->options->core_dumps && !process_allow_core_dumps(&error))
		log_warn(TOPIC_DAEMON, "%s", strbuf_cstr(&error));
	strbuf_fini(&error);
	if (ok)
		return change;
	sockets_cancel(change);
	return NULL;
}

/* Says where the admin API is, also as a line. */
static void
announce_admin(const struct control *c, struct strbuf *admin)
{
	if (!c->admin)
		return;
	admin_address(c->admin, admin);
	strbuf_lit(admin, "\n");
}

static void
log_ready(size_t n_workers, unsigned long descriptors)
{
	unsigned long sessions = process_room_for_sessions(descriptors);

	log_notice(TOPIC_DAEMON,
	    "roost " PACKAGE_VERSION
	    " ready (%zu workers, %lu descriptors, which is about %lu sessions)",
	    n_workers, descriptors, sessions);
	if (descriptors < FEW_DESCRIPTORS)
		log_warn(TOPIC_DAEMON,
		    "few descriptors: raise the hard limit (ulimit -Hn, LimitNOFILE) "
		    "for more than %lu sessions",
		    sessions);
}

bool
control_write_ports(const struct control *c)
{
	struct strbuf admin = STRBUF_INIT;
	bool ok;

	announce_admin(c, &admin);
	ok = !c->options->ports_file ||
	     sockets_write(c->sockets, c->options->ports_file, strbuf_cstr(&admin));
	strbuf_fini(&admin);
	return ok;
}

/* Workers, and what they need to hear of. */
static bool
start_threads(struct control *c, size_t n_workers, struct sockets_change *change)
{
	bool ok;

	c->resolver = resolver_start(control_on_found, c);
	if (!c->resolver)
		log_error(TOPIC_DAEMON, "cannot start the resolver (%m)");
	ok = c->resolver && start_workers(c, n_workers, change);
	if (ok)
		sockets_commit(c->sockets, change);
	else
		sockets_cancel(change);
	return ok;
}

static bool
start(struct control *c)
{
	const struct config *config = c->snapshot->config;
	size_t n_workers = config->workers ? config->workers : process_cpus();
	unsigned long descriptors = process_raise_descriptors();
	struct sockets_change *change = claim_resources(c, n_workers);
	struct strbuf admin = STRBUF_INIT;

	if (!change)
		return false;
	heir_ask(c);
	if (!start_threads(c, n_workers, change))
		return false;
	resolver_watch(c->resolver, c->snapshot);
	prober_watch(c->prober, c->snapshot);
	announce_admin(c, &admin);
	if (c->admin)
		log_notice(TOPIC_LISTENER, "admin API on %.*s", (int)admin.len - 1,
		    strbuf_cstr(&admin));
	strbuf_fini(&admin);
	if (!control_watch_files(c) || !control_write_ports(c) || !upgrade_say_ready(c))
		return false;
	log_ready(n_workers, descriptors);
	return true;
}

/* ---- end ---- */

static void
log_totals(const struct control *c)
{
	struct strbuf line = STRBUF_INIT;

	log_tell_held_back();
	for (int which = 0; which < COUNTER_COUNT; which++) {
		uint64_t sum = control_count(c, which);

		if (sum)
			strbuf_printf(&line, "%s%s %llu", line.len ? ", " : "",
			    counter_name(which), (unsigned long long)sum);
	}
	if (log_dropped())
		strbuf_printf(&line, "%slog_lines_dropped %llu", line.len ? ", " : "",
		    (unsigned long long)log_dropped());
	if (log_held_back())
		strbuf_printf(&line, "%slog_lines_held_back %llu", line.len ? ", " : "",
		    (unsigned long long)log_held_back());
	if (c->access_log && sink_dropped(c->access_log))
		strbuf_printf(&line, "%saccess_log_lines_dropped %llu",
		    line.len ? ", " : "",
		    (unsigned long long)sink_dropped(c->access_log));
	log_info(TOPIC_DAEMON, "totals: %s",
	    line.len ? strbuf_cstr(&line) : "nothing done");
	strbuf_fini(&line);
}

static void
tear_down(struct control *c)
{
	sigset_t all;

	/* it is ending already: a signal must not turn that into a death by signal */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	for (size_t i = 0; i < c->n_workers; i++)
		worker_join(c->workers[i]);
	free(c->workers);
	if (c->access_log)
		sink_close(c->access_log);
	upgrade_fini(c);
	pulse_fini(c);
	sockets_free(c->sockets);
	files_free(c->files);
	resolver_stop(c->resolver);
	signals_forget(c);
	admin_free(c->admin);
	if (c->planner)
		planner_free(c->planner);
	chooser_fini(&c->chooser);
	prober_free(c->prober);
	panics_fini(&c->panics);
	bridge_free(c->bridge);
	loop_free(c->loop);
	snapshot_put(c->first);
	snapshot_put(c->snapshot);
	if (c->pins)
		pins_free(c->pins);
	if (c->quota)
		quota_free(c->quota);
	process_pid_file_remove();
	libevent_global_shutdown();
}

int
daemon_run(const struct daemon_options *options, struct config *config)
{
	struct control *c = calloc(1, sizeof *c);
	int code = EXIT_START;

	if (!c) {
		log_error(TOPIC_DAEMON, "cannot start (out of memory)");
		config_free(config);
		return EXIT_START;
	}
	c->options = options;
	log_echo(true);
	upgrade_init(c);
	/* the process before us is detached already */
	if (options->detach && options->heritage->link < 0 && !process_detach()) {
		log_error(TOPIC_DAEMON, "cannot detach (%s)", strerror(errno));
		config_free(config);
	} else if (set_up(c, config) && start(c)) {
		log_echo(false);
		process_ready();
		bridge_run(c->bridge);
		log_totals(c);
		log_notice(TOPIC_DAEMON, "stopped");
		code = EXIT_STOPPED;
	} else {
		for (size_t i = 0; i < c->n_workers; i++)
			worker_quit(c->workers[i]);
	}
	tear_down(c);
	free(c);
	return code;
}
