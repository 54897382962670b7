/* SPDX-License-Identifier: MIT
 *
 * preflight.c - would a start go well? see preflight.h.
 */
#include "daemon/preflight.h"

#include "admin/api.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "daemon/daemon.h"
#include "daemon/name_check.h"
#include "daemon/process.h"
#include "daemon/slips.h"
#include "net/listener.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_LEAST = 16 };

struct preflight {
	const struct daemon_options *options;
	const struct config *config;
	bool failed;
	struct strbuf in_use; /* addresses */
};

static void
say(struct preflight *p, bool fatal, const char *key, const char *what, const char *why)
{
	fprintf(stderr, "roost: %s%s: %s: %s\n", fatal ? "" : "warning: ", key, what,
	    why);
	if (fatal)
		p->failed = true;
}

/* ---- files ---- */

static bool
may(const char *path, int how)
{
	return faccessat(AT_FDCWD, path, how, AT_EACCESS) == 0;
}

/* Could a file be made there? */
static bool
may_create(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX] = ".";
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (n >= sizeof folder) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (slash) {
		memcpy(folder, path, n);
		memcpy(folder + n, n ? "" : "/", n ? 1 : 2);
	}
	return may(folder, W_OK | X_OK);
}

/* Could it be opened for appending, or made? */
static bool
may_append(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno == ENOENT && may_create(path);
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return false;
	}
	return may(path, W_OK);
}

static bool
is_socket(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	errno = ENOTSOCK;
	return S_ISSOCK(st.st_mode);
}

/* NULL: the log goes to no file. */
static const char *
log_path(const struct log_settings *log)
{
	return strcmp(log->file, "stderr") == 0 || log_socket(log) ? NULL : log->file;
}

static void
check_log(struct preflight *p)
{
	const struct log_settings *log = &p->config->log;
	const char *socket = log_socket(log), *path = log_path(log);

	if (socket && !is_socket(socket))
		say(p, true, "log.socket", socket, strerror(errno));
	if (path && !may_append(path))
		say(p, true, "log.file", path, strerror(errno));
	path = p->config->access_log.file;
	if (path && strcmp(path, "stderr") != 0 && !may_append(path))
		say(p, true, "access_log.file", path, strerror(errno));
	if (p->options->detach && strcmp(log->file, "stderr") == 0)
		say(p, false, "log.file", log->file,
		    "a detached roost has no standard error, its log would be lost");
}

static void
check_secret(struct preflight *p)
{
	const char *path = p->config->pins.secret_file;
	char bytes[SECRET_LEAST];
	FILE *file;

	if (!path)
		return;
	file = fopen(path, "re");
	if (!file)
		say(p, true, "pins.secret_file", path, strerror(errno));
	else if (fread(bytes, 1, sizeof bytes, file) < sizeof bytes)
		say(p, true, "pins.secret_file", path,
		    "a secret needs at least 16 bytes");
	if (file)
		fclose(file);
}

/* Who may read it may forge cookies, or do everything. */
static void
check_exposed(struct preflight *p, const char *key, const char *path)
{
	struct stat st;

	if (path && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & (S_IROTH | S_IWOTH)))
		say(p, false, key, path, "others can read or write it (chmod o-rw)");
}

static void
check_pid_file(struct preflight *p)
{
	const char *path = p->options->pid_file;
	int fd;

	if (!path)
		return;
	if (!may_append(path))
		say(p, true, "--pid-file", path, strerror(errno));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK)
		say(p, false, "--pid-file", path, "held by a roost that is running");
	if (fd >= 0)
		close(fd);
}

/* ---- addresses ---- */

static void
check_unix(struct preflight *p, const char *key, const char *bind, const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		say(p, true, key, bind, "there is a file that is no socket");
	else if (!may_create(path))
		say(p, true, key, bind, strerror(errno));
}

/* Who is not root may check for root, who may more. */
static void
check_bind(struct preflight *p, const char *key, const char *bind,
    const struct addr *addr, const char *unix_path)
{
	if (unix_path) {
		check_unix(p, key, bind, unix_path);
	} else if (!listener_is_free(addr)) {
		if (errno == EADDRINUSE)
			strbuf_printf(&p->in_use, "%s%s", p->in_use.len ? ", " : "",
			    bind);
		else
			say(p, errno != EACCES || geteuid() == 0, key, bind,
			    strerror(errno));
	}
}

static void
check_addresses(struct preflight *p)
{
	const struct config *c = p->config;

	char key[40];

	for (size_t i = 0; i < c->n_listeners; i++) {
		snprintf(key, sizeof key, "listeners[%zu].bind", i);
		check_bind(p, key, c->listeners[i].bind, &c->listeners[i].addr,
		    c->listeners[i].unix_path);
	}
	if (c->admin.bind)
		check_bind(p, "admin.bind", c->admin.bind, &c->admin.addr,
		    c->admin.unix_path);
	if (p->in_use.len)
		say(p, false, "bind", strbuf_cstr(&p->in_use),
		    "in use now; a start would fail, a reload would not");
}

/* ---- the user ---- */

static void
check_again(struct preflight *p, const char *path, bool ok, const char *when)
{
	char why[128];

	if (ok)
		return;
	snprintf(why, sizeof why, "%s could not open it on %s (%s)", p->options->user,
	    when, strerror(errno));
	say(p, false, "--user", path, why);
}

/* What is opened again later is opened as that user. */
static void
check_as_user(struct preflight *p)
{
	const struct config *c = p->config;
	const char *log = log_path(&c->log), *access_log = c->access_log.file;
	const char *token = c->admin.bind ? c->admin.token_file : NULL;
	const char *secret = c->pins.secret_file;

	if (log)
		check_again(p, log, may_append(log), "SIGUSR1 or an upgrade");
	if (access_log && strcmp(access_log, "stderr") != 0)
		check_again(p, access_log, may_append(access_log),
		    "SIGUSR1 or an upgrade");
	if (c->file)
		check_again(p, c->file, may(c->file, R_OK), "SIGHUP");
	if (token)
		check_again(p, token, may(token, R_OK), "SIGHUP");
	if (secret)
		check_again(p, secret, may(secret, R_OK), "an upgrade");
	for (size_t i = 0; i < c->n_error_pages; i++)
		check_again(p, c->error_pages[i].file,
		    may(c->error_pages[i].file, R_OK), "SIGHUP");
}

static void
check_user(struct preflight *p)
{
	const char *user = p->options->user;
	struct strbuf error = STRBUF_INIT;

	if (!user)
		return;
	if (!process_user_check(user, &error))
		say(p, true, "--user", user, strbuf_cstr(&error));
	else if (geteuid() != 0)
		say(p, false, "--user", user, "only root can become another user");
	else if (!process_drop_privileges(user, &error))
		say(p, true, "--user", user, strbuf_cstr(&error));
	else
		check_as_user(p);
	strbuf_fini(&error);
}

bool
preflight(const struct daemon_options *options, const struct config *config)
{
	struct preflight p = {.options = options, .config = config};
	struct strbuf error = STRBUF_INIT;

	check_log(&p);
	check_secret(&p);
	check_exposed(&p, "pins.secret_file", config->pins.secret_file);
	check_exposed(&p, "admin.token_file", config->admin.token_file);
	if (!admin_check(&config->admin, &error)) {
		fprintf(stderr, "roost: admin.token_file: %s\n", strbuf_cstr(&error));
		p.failed = true;
	}
	check_pid_file(&p);
	check_addresses(&p);
	name_check(config);
	slips_tell(config);
	check_user(&p);
	strbuf_fini(&error);
	strbuf_fini(&p.in_use);
	return !p.failed;
}
