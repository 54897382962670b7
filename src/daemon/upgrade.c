/* SPDX-License-Identifier: MIT
 *
 * upgrade.c - a new process takes over without a connection being refused.
 *
 * The new one, started from the file that we were started from, has the sockets that we
 * listen on, so whoever waits in their queues waits for either. It accepts as soon as
 * it is ready; then we accept no more, answer what was asked, tell every connection so
 * in its last response, send the sessions away at their rate, and end. Should it not
 * get ready, nothing has changed.
 *
 *   NONE --(USR2)--> STARTING --("ready")--> DONE: we are leaving
 *     ^                 | (its end, an error, too late)
 *     `---(reaped)--- FAILED
 *
 * What goes between the two is told in heritage.h. Owner and thread: the control
 * thread.
 */
#include "daemon/control.h"

#include "admin/api.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "daemon/estate.h"
#include "daemon/files.h"
#include "daemon/heritage.h"
#include "daemon/process.h"
#include "daemon/sockets.h"
#include "daemon/systemd.h"
#include "daemon/worker.h"
#include "loop/bridge.h"
#include "loop/loop.h"
#include "upstream/upstream.h"
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LOOK_MS = 20,
	END_LOOKS = 50,  /* so often do we look for an end before we make one */
	LEAVE_LOOKS = 3, /* turns until the admin API's socket may be closed */
	SEND_S = 2,      /* so long may the new process take to hear us */
};

/* ---- the program ---- */

static char *
find_in_path(const char *name)
{
	const char *path = getenv("PATH"), *end;
	char *file = NULL;

	for (; path && *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		if (asprintf(&file, "%.*s/%s", (int)(end - path), path, name) < 0)
			return NULL;
		if (path[0] == '/' && access(file, X_OK) == 0)
			return file;
		free(file);
		file = NULL;
	}
	return file;
}

/* By the name it was started with, which may be a link to another version by now; an
 * absolute one, since paths are relative to where we were then. */
static char *
find_program(const char *name)
{
	char *file = NULL, *here = NULL;

	if (name[0] == '/')
		return strdup(name);
	if (!strchr(name, '/'))
		file = find_in_path(name);
	else if ((here = getcwd(NULL, 0)) && asprintf(&file, "%s/%s", here, name) < 0)
		file = NULL;
	free(here);
	return file ? file : realpath("/proc/self/exe", NULL);
}

/* ---- starting it ---- */

static void
count_variables(size_t *n_r)
{
	for (*n_r = 0; environ[*n_r]; ++*n_r)
		continue;
}

/* Our environment with that line; the strings are borrowed. */
static char **
make_environment(char *line)
{
	size_t n, m = 0;
	char **all;

	count_variables(&n);
	all = calloc(n + 2, sizeof *all);
	if (!all)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!heritage_is_variable(environ[i]))
			all[m++] = environ[i];
	all[m] = line;
	return all;
}

/* Every number in the line is a descriptor that the new process gets as it is. */
static bool
pass_descriptors(posix_spawn_file_actions_t *actions, const char *line)
{
	const char *p = line;
	char *end;

	while ((p = strpbrk(p, "= "))) {
		long fd = strtol(++p, &end, 10);

		if (end == p || fd < 0)
			continue;
		/* a duplicate onto itself survives the exec */
		if (posix_spawn_file_actions_adddup2(actions, (int)fd, (int)fd))
			return false;
		p = end;
	}
	return true;
}

/* 0, or an errno. */
static int
spawn(struct control *c, char *line)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char **environment = make_environment(line);
	sigset_t none;
	int error = ENOMEM;

	if (!environment || posix_spawn_file_actions_init(&actions)) {
		free(environment);
		return error;
	}
	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	if (pass_descriptors(&actions, line))
		error = posix_spawn(&c->upgrade.pid, c->upgrade.program, &actions,
		    &attributes, c->options->argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	free(environment);
	return error;
}

static void
describe_heritage(const struct control *c, int link, struct strbuf *line)
{
	bool own_file;
	int fd;

	heritage_begin(line, link, process_pid_file_fd());
	sockets_bequeath(c->sockets, line);
	fd = c->admin ? admin_socket(c->admin, &own_file) : -1;
	if (fd >= 0)
		heritage_add(line, fd, true, own_file);
}

/* ---- its end ---- */

static void
link_close(struct control *c)
{
	struct upgrade *u = &c->upgrade;

	bequest_end(c);
	if (u->event)
		event_free(u->event);
	u->event = NULL;
	if (u->link >= 0)
		close(u->link);
	u->link = -1;
}

static void
log_end(const struct upgrade *u, int status)
{
	if (WIFSIGNALED(status))
		log_error(TOPIC_DAEMON,
		    "upgrade failed (process %ld was killed by signal %d before it was "
		    "ready); this one goes on",
		    (long)u->pid, WTERMSIG(status));
	else
		log_error(TOPIC_DAEMON,
		    "upgrade failed (process %ld exited with %d before it was ready); "
		    "this one goes on",
		    (long)u->pid, WEXITSTATUS(status));
}

/* Waits for the end of a process that failed, but not for ever. */
static void
look_for_end(struct control *c)
{
	struct upgrade *u = &c->upgrade;
	int status = 0;
	pid_t pid = waitpid(u->pid, &status, WNOHANG);

	if (pid == 0 && ++u->looks < END_LOOKS) {
		loop_timer(c->loop, &u->timer, LOOK_MS);
		return;
	}
	if (pid == 0) {
		kill(u->pid, SIGKILL);
		pid = waitpid(u->pid, &status, 0);
	}
	log_end(u, pid == u->pid ? status : 0);
	u->state = UPGRADE_NONE;
	systemd_ready(pulse_status(c));
}

static void
fail(struct control *c)
{
	link_close(c);
	c->upgrade.state = UPGRADE_FAILED;
	c->upgrade.looks = 0;
	loop_timer(c->loop, &c->upgrade.timer, 0);
}

/* ---- making room ---- */

static void
leave(struct control *c)
{
	const struct config *config = c->snapshot->config;
	const struct worker_stop how = {
	    .why = REASON_UPGRADED,
	    .grace_ms = config->upgrade.grace_ms,
	    .idle_ms = config->shutdown.grace_ms,
	};

	c->stopping = true;
	c->upgrade.state = UPGRADE_DONE;
	c->upgrade.looks = 0;
	signal(SIGCHLD, SIG_IGN); /* it is nobody's child any more */
	log_notice(TOPIC_DAEMON,
	    "process %ld has taken over; this one finishes what it has",
	    (long)c->upgrade.pid);
	workers_stop(c->workers, c->n_workers, &how);
	loop_timer(c->loop, &c->upgrade.timer, LOOK_MS);
}

/* First we let go of what shall be its own, and tell what it has not heard yet, then we
 * say so. */
static void
hand_over(struct control *c)
{
	systemd_main_process(c->upgrade.pid);
	process_pid_file_leave();
	if (c->admin)
		admin_leave(c->admin);
	sockets_leave(c->sockets);
	files_free(c->files);
	c->files = NULL;
	bequest_hurry(c);
	if (send(c->upgrade.link, "go", 2, MSG_NOSIGNAL) < 0)
		log_warn(TOPIC_DAEMON, "process %ld does not listen (%s)",
		    (long)c->upgrade.pid, strerror(errno));
	leave(c);
}

/* ---- what happens ---- */

static void
log_error_text(char *text, size_t n)
{
	char *rest = NULL;

	text[n] = '\0';
	for (char *line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		log_error(TOPIC_DAEMON, "upgrade: %s", line);
}

static void
ask_answer(struct control *c)
{
	if (!bequest_begin(c))
		log_error(TOPIC_DAEMON,
		    "out of memory (what process %ld would hear of pins, backends and "
		    "health)",
		    (long)c->upgrade.pid);
}

static void
on_link(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;
	char text[HERITAGE_TEXT + 1];
	ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (c->upgrade.state == UPGRADE_DONE) {
		link_close(c); /* it has nothing to say any more */
		return;
	}
	if (n == 5 && memcmp(text, "ready", 5) == 0)
		hand_over(c);
	else if (n == 6 && memcmp(text, "estate", 6) == 0)
		ask_answer(c);
	else if (n > 0)
		log_error_text(text, (size_t)n);
	else
		fail(c);
}

static void
on_timer(struct timer *t)
{
	struct control *c = container_of(t, struct control, upgrade.timer);

	switch (c->upgrade.state) {
	case UPGRADE_STARTING:
		log_error(TOPIC_DAEMON, "upgrade: process %ld is not ready in time",
		    (long)c->upgrade.pid);
		kill(c->upgrade.pid, SIGKILL);
		fail(c);
		break;
	case UPGRADE_FAILED: look_for_end(c); break;
	case UPGRADE_DONE:
		if (++c->upgrade.looks < LEAVE_LOOKS)
			loop_timer(c->loop, t, LOOK_MS);
		else if (c->admin)
			admin_stop(c->admin);
		break;
	case UPGRADE_NONE: break;
	}
}

void
upgrade_init(struct control *c)
{
	c->upgrade = (struct upgrade){
	    .link = -1,
	    .program = find_program(c->options->argv[0]),
	};
	timer_init(&c->upgrade.timer, on_timer);
}

/* Takes over both ends of the link. */
static bool
start(struct control *c, const int link[2], struct strbuf *text_r)
{
	struct upgrade *u = &c->upgrade;
	struct strbuf line = STRBUF_INIT;
	int error;

	u->link = link[0];
	u->event = event_new(bridge_base(c->bridge), u->link, EV_READ | EV_PERSIST,
	    on_link, c);
	describe_heritage(c, link[1], &line);
	/* it finds our secret when it starts: cookies stay good */
	if (line.failed || !u->event || event_add(u->event, NULL) ||
	    send(u->link, c->secret, sizeof c->secret, MSG_NOSIGNAL) < 0)
		error = ENOMEM;
	else
		error = spawn(c, line.data);
	strbuf_fini(&line);
	close(link[1]);
	if (!error)
		return true;
	strbuf_printf(text_r, "%s: %s", u->program, strerror(error));
	link_close(c);
	return false;
}

bool
upgrade_start(struct control *c, struct strbuf *text_r)
{
	const struct timeval patience = {.tv_sec = SEND_S};
	struct upgrade *u = &c->upgrade;
	int link[2];

	if (c->stopping || u->state != UPGRADE_NONE || c->follows) {
		strbuf_puts(text_r,
		    c->stopping ? "roost is stopping" : "one is under way already");
		return false;
	}
	if (!u->program ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link)) {
		strbuf_puts(text_r, strerror(u->program ? errno : ENOMEM));
		return false;
	}
	/* it may hang, and must not take us along */
	setsockopt(link[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (!start(c, link, text_r))
		return false;
	u->state = UPGRADE_STARTING;
	loop_timer(c->loop, &u->timer, c->snapshot->config->upgrade.timeout_ms);
	strbuf_printf(text_r, "process %ld of %s is starting", (long)u->pid,
	    u->program);
	log_notice(TOPIC_DAEMON, "upgrade: %s", strbuf_cstr(text_r));
	systemd_status("upgrading");
	return true;
}

void
upgrade_cancel(struct control *c)
{
	struct upgrade *u = &c->upgrade;

	if (u->state != UPGRADE_STARTING && u->state != UPGRADE_FAILED)
		return;
	link_close(c);
	timer_clear(&u->timer);
	kill(u->pid, SIGKILL);
	waitpid(u->pid, NULL, 0);
	u->state = UPGRADE_NONE;
}

static void
predecessor_forget(struct control *c)
{
	struct heritage *heritage = c->options->heritage;

	if (c->predecessor)
		event_free(c->predecessor);
	c->predecessor = NULL;
	if (heritage->link >= 0)
		close(heritage->link);
	heritage->link = -1;
	heir_free(c);
}

void
upgrade_fini(struct control *c)
{
	upgrade_cancel(c);
	bequest_hurry(c);
	link_close(c);
	timer_clear(&c->upgrade.timer);
	free(c->upgrade.program);
	predecessor_forget(c);
}

/* ---- the new one ---- */

static void
take_pid_file(struct control *c)
{
	struct heritage *heritage = c->options->heritage;
	struct strbuf error = STRBUF_INIT;

	if (heritage->pid_file < 0 || !c->options->pid_file)
		return;
	if (!process_pid_file_adopt(c->options->pid_file, heritage->pid_file, &error))
		log_error(TOPIC_DAEMON, "%s", strbuf_cstr(&error));
	heritage->pid_file = -1;
	strbuf_fini(&error);
}

/* All is ours. */
static void
take_over(struct control *c)
{
	c->follows = false;
	take_pid_file(c);
	sockets_own(c->sockets);
	if (c->admin && c->admin_is_heir)
		admin_own(c->admin);
	pulse_start(c);
	log_notice(TOPIC_DAEMON, "taken over from the process before");
}

/* "go", before and after it what changes there, and at last its end. */
static void
on_predecessor(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;
	char said[ESTATE_PACKET + 1];
	ssize_t n = recv(fd, said, sizeof said, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		predecessor_forget(c);
	if (n > 0 && !(n == 2 && memcmp(said, "go", 2) == 0))
		heir_take(c, said, (size_t)n);
	else if (c->follows)
		take_over(c);
}

bool
upgrade_say_ready(struct control *c)
{
	struct heritage *heritage = c->options->heritage;

	if (heritage->link < 0) {
		pulse_start(c);
		return true;
	}
	c->predecessor = event_new(bridge_base(c->bridge), heritage->link,
	    EV_READ | EV_PERSIST, on_predecessor, c);
	if (!c->predecessor || event_add(c->predecessor, NULL))
		return false;
	c->follows = true;
	heritage_say_ready(heritage);
	return true;
}
