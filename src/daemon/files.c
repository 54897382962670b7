/* SPDX-License-Identifier: MIT
 *
 * files.c - notices when one of some files becomes another one; see files.h.
 *
 * inotify tells that something has happened in a directory: the one a file is in, and
 * those of all symbolic links on the way there. That only makes us look: whether a file
 * is another one is told by what stat says of it, so noise in a directory is harmless,
 * and what happens between two looks is not lost. Each look begins with new watches,
 * because the way may lead elsewhere by now.
 */
#include "daemon/files.h"

#include "base/log.h"
#include "base/str.h"
#include "loop/io.h"
#include "loop/loop.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	DEBOUNCE_MS = 300,
	DEBOUNCE_MOST_MS = 2000, /* where signs never end */
	AGAIN_MS = 1000,         /* when it was not possible to watch */
	LINKS_MAX = 40,          /* on the way to one file */
	SIGNS = IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM |
		IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF,
};

/* What tells one file from another; all zero: none is there. */
struct print {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed, modified;
};

struct file {
	char *path;
	struct print print;
};

struct files {
	struct io io; /* inotify */
	struct timer timer;
	uint64_t since_ms; /* the first sign; 0: none */
	bool complained;   /* it was said that something is not watched */
	bool unwatched;    /* by the watches as they are now */
	struct file files[FILES_MAX];
	size_t n;
	void (*on_change)(void *arg);
	void *arg; /* borrowed */
};

/* ---- what is there ---- */

static struct print
print_of(const char *path)
{
	struct print print = {0};
	struct stat st;

	if (stat(path, &st) == 0) {
		print.device = st.st_dev;
		print.inode = st.st_ino;
		print.size = st.st_size;
		print.changed = st.st_ctim;
		print.modified = st.st_mtim;
	}
	return print;
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
same_print(const struct print *a, const struct print *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       same_time(a->changed, b->changed) && same_time(a->modified, b->modified);
}

/* True: one is another one than at the last look. */
static bool
look(struct files *f)
{
	bool changed = false;

	for (size_t i = 0; i < f->n; i++) {
		struct print print = print_of(f->files[i].path);

		if (same_print(&print, &f->files[i].print))
			continue;
		f->files[i].print = print;
		changed = true;
	}
	return changed;
}

/* ---- the way there ---- */

/* Says it once, until all is watched again. */
static void
complain(struct files *f, const char *what)
{
	if (!f->complained)
		log_error(TOPIC_CONFIG, "%s not watched (%m)", what);
	f->complained = f->unwatched = true;
}

/* Watches the directory that the first `len` bytes of path name, or the nearest one
 * above it that there is. */
static void
watch_directory(struct files *f, const char *path, size_t len)
{
	char directory[PATH_MAX];

	if (len >= sizeof directory)
		return;
	memcpy(directory, path, len);
	directory[len] = '\0';
	for (;;) {
		char *slash = strrchr(directory, '/');

		if (inotify_add_watch(f->io.fd, directory[0] ? directory : "/",
			SIGNS | IN_ONLYDIR) >= 0)
			return;
		if (!slash || (errno != ENOENT && errno != ENOTDIR)) {
			complain(f, directory[0] ? directory : "/");
			return;
		}
		*slash = '\0';
	}
}

/* Replaces path[0..len), which is a link, by where it leads. False: too long. */
static bool
follow_link(char path[PATH_MAX], size_t len, const char *target)
{
	char rest[PATH_MAX], *slash;
	size_t room;

	memcpy(rest, path + len, strlen(path + len) + 1);
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (target[0] == '/')
		slash = path;
	else
		slash++;
	room = PATH_MAX - (size_t)(slash - path);
	return (size_t)snprintf(slash, room, "%s%s", target, rest) < room;
}

/* Walks along the path, component by component. */
static void
watch_way(struct files *f, const char *file)
{
	char path[PATH_MAX], target[PATH_MAX];
	unsigned links = 0;
	size_t at = 0;

	if (!realpath(".", target) ||
	    snprintf(path, sizeof path, "%s%s%s", file[0] == '/' ? "" : target,
		file[0] == '/' ? "" : "/", file) >= (int)sizeof path)
		return;
	while (path[at]) {
		size_t len = at + 1 + strcspn(path + at + 1, "/");
		char kept = path[len];
		ssize_t n;

		path[len] = '\0';
		n = readlink(path, target, sizeof target - 1);
		path[len] = kept;
		if (n < 0) {
			if (!kept)
				watch_directory(f, path, at);
			at = len;
			continue;
		}
		target[n] = '\0';
		watch_directory(f, path, at);
		if (++links > LINKS_MAX || !follow_link(path, len, target))
			return;
		at = target[0] == '/' ? 0 : at;
	}
}

static void on_signs(struct io *io, unsigned what);

/* Closing the descriptor is the only way to be rid of all watches at once. Where there
 * is none to be had the old ones stay, and it is tried again. */
static bool
watch_anew(struct files *f)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd < 0) {
		complain(f, "files are");
		loop_timer(f->io.loop, &f->timer, AGAIN_MS);
		return false;
	}
	io_close(&f->io);
	io_init(&f->io, f->io.loop, fd, on_signs);
	f->unwatched = false;
	if (!io_want(&f->io, IO_READ)) {
		complain(f, "files are");
		loop_timer(f->io.loop, &f->timer, AGAIN_MS);
		return false;
	}
	for (size_t i = 0; i < f->n; i++)
		watch_way(f, f->files[i].path);
	f->complained = f->unwatched;
	return true;
}

/* ---- signs ---- */

static void
on_quiet(struct timer *t)
{
	struct files *f = container_of(t, struct files, timer);

	f->since_ms = 0;
	/* first the watches: what happens from here on is told */
	(void)watch_anew(f);
	if (look(f))
		f->on_change(f->arg);
}

static void
on_signs(struct io *io, unsigned what)
{
	struct files *f = container_of(io, struct files, io);
	char signs[4096];
	uint64_t now = clock_now_ms();

	while (read(io->fd, signs, sizeof signs) > 0)
		continue;
	io_drained(io, IO_READ);
	if (!f->since_ms)
		f->since_ms = now;
	if (!timer_is_set(&f->timer) || now - f->since_ms < DEBOUNCE_MOST_MS)
		loop_timer(io->loop, &f->timer, DEBOUNCE_MS);
}

/* ---- life ---- */

struct files *
files_new(struct loop *loop, void (*on_change)(void *arg), void *arg)
{
	struct files *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	io_init(&f->io, loop, -1, on_signs);
	timer_init(&f->timer, on_quiet);
	f->on_change = on_change;
	f->arg = arg;
	return f;
}

static void
forget(struct files *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->files[i].path);
	f->n = 0;
}

static bool
is_same_list(const struct files *f, const char *const paths[], size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		if (paths[i] &&
		    (k == f->n || strcmp(f->files[k++].path, paths[i]) != 0))
			return false;
	return k == f->n;
}

bool
files_watch(struct files *f, const char *const paths[], size_t n)
{
	bool ok;

	if (f->n && is_same_list(f, paths, n))
		return true;
	forget(f);
	for (size_t i = 0; i < n && f->n < FILES_MAX; i++) {
		if (!paths[i])
			continue;
		f->files[f->n].path = strdup(paths[i]);
		if (!f->files[f->n].path) {
			log_error(TOPIC_CONFIG, "out of memory (files to watch)");
			return false;
		}
		f->n++;
	}
	ok = watch_anew(f);
	look(f);
	return ok;
}

void
files_free(struct files *f)
{
	if (!f)
		return;
	timer_clear(&f->timer);
	io_close(&f->io);
	forget(f);
	free(f);
}
