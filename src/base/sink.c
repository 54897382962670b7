/* SPDX-License-Identifier: MIT
 *
 * sink.c - lines to a file that may be slow; see sink.h.
 *
 * Every feed has two buffers: its producer fills one while the thread writes the other,
 * and to swap them is all that the feed's lock is held for. So a write that blocks for
 * minutes holds nothing that a producer wants.
 *
 * The thread looks at the feeds in passes. While there is traffic it makes one every
 * LINGER_MS, or sooner when a buffer is big, so that lines leave in large pieces. After
 * a pass that found nothing it says that it is asleep, looks once more and waits for
 * ever: a producer either appends before that look, and is seen, or after it, and sees.
 *
 * Threads: as sink.h says. All locks are leaves.
 */
#include "base/sink.h"

#include "base/append.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/thread.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	REPORT_MS = 1000,     /* at most one line so often */
	HAND_OVER = 32 << 10, /* bytes for which the thread is woken */
	KEEP = 256 << 10,     /* a buffer that grew beyond that is given back */
	LINGER_MS = 150,
	STOP_S = 1
};

/* Owner: its producer until sink_feed_close, then the thread, which frees it. */
struct sink_feed {
	struct sink *sink;      /* borrowed; outlives it */
	struct sink_feed *next; /* once in the list: changed by the thread alone */
	struct strbuf writing;  /* the thread's alone */

	pthread_mutex_t lock; /* guards what follows */
	struct strbuf filling;
	size_t under_way; /* bytes in writing */
	bool closed;
};

/* Owner: who opened it, and its thread, which may be stuck in a write when the owner no
 * longer wants to wait. Freed by: the last of the two. */
struct sink {
	char *name; /* its path, or stderr */
	bool is_stderr;
	pthread_t thread;
	int wake_fd;
	_Atomic int holders;
	_Atomic bool asleep; /* who puts a line must wake the thread */
	_Atomic bool reopening, stopping;
	_Atomic uint64_t dropped;

	pthread_mutex_t lock; /* guards the list's head, and unlinking */
	struct sink_feed *feeds;

	/* the thread's alone */
	int fd;
	struct strbuf torn; /* rest of a line whose beginning is in the file */
	bool failing;       /* the log knows that lines are being dropped */
	uint64_t told;      /* dropped lines that the log knows of */
	uint64_t report_ms; /* not to speak again before that */
};

/* ---- the file; the thread alone ---- */

/* Not to hang at the start, a FIFO is opened without waiting for its reader. */
static int
file_open(const char *path)
{
	int fd = append_open(path);

	if (fd >= 0)
		fcntl(fd, F_SETFL, O_APPEND);
	return fd;
}

/* stderr may be a pipe that somebody else has made non-blocking. */
static void
wait_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	poll(&p, 1, -1);
}

/* Returns how much went out; *error_r is 0, or why that is not all. */
static size_t
write_all(int fd, const char *p, size_t n, int *error_r)
{
	size_t done = 0;

	*error_r = 0;
	while (done < n) {
		ssize_t sent = write(fd, p + done, n - done);

		if (sent > 0) {
			done += (size_t)sent;
		} else if (sent < 0 && errno == EAGAIN) {
			wait_writable(fd);
		} else if (sent == 0 || errno != EINTR) {
			*error_r = sent < 0 ? errno : ENOSPC;
			break;
		}
	}
	return done;
}

static void
drop(struct sink *s, uint64_t lines)
{
	atomic_fetch_add_explicit(&s->dropped, lines, memory_order_relaxed);
}

static void
drop_lines(struct sink *s, const char *p, size_t n)
{
	uint64_t lines = 0;

	for (const char *end = p + n; p < end; lines++) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));

		p = newline ? newline + 1 : end;
	}
	drop(s, lines);
}

/* The rest of a line that is in the file by half goes first, as soon as there is room.
 * Returns 0, or why it could not. */
static int
torn_finish(struct sink *s)
{
	int error;

	strbuf_drop(&s->torn, write_all(s->fd, s->torn.data, s->torn.len, &error));
	return error;
}

/* Only the beginning of the line at p is in the file: keeps the rest, or at least the
 * line's end (memory for that much is there). Returns the length of the rest. */
static size_t
torn_keep(struct sink *s, const char *p, size_t n)
{
	const char *newline = memchr(p, '\n', n);
	size_t rest = newline ? (size_t)(newline - p) + 1 : n;

	strbuf_append(&s->torn, p, rest);
	if (s->torn.failed) {
		strbuf_reset(&s->torn);
		strbuf_lit(&s->torn, "\n");
		drop(s, 1);
	}
	return rest;
}

/* Writes what it can of whole lines; the others are dropped. Returns 0, or why. */
static int
write_lines(struct sink *s, const char *p, size_t n)
{
	int error = torn_finish(s);
	size_t done = 0;

	if (!error)
		done = write_all(s->fd, p, n, &error);
	if (!error)
		return 0;
	if (done && p[done - 1] != '\n')
		done += torn_keep(s, p + done, n - done);
	drop_lines(s, p + done, n - done);
	return error;
}

static bool
is_same_file(int a, int b)
{
	struct stat one, other;

	return fstat(a, &one) == 0 && fstat(b, &other) == 0 &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static void
file_reopen(struct sink *s)
{
	int fd;

	if (s->is_stderr)
		return;
	fd = file_open(s->name);
	if (fd < 0) {
		log_error(TOPIC_DAEMON, "%s not reopened, the old file stays (%m)",
		    s->name);
		return;
	}
	/* a line must not begin in one file and end in another */
	if (torn_finish(s) && !is_same_file(fd, s->fd)) {
		strbuf_reset(&s->torn);
		drop(s, 1);
	}
	close(s->fd);
	s->fd = fd;
}

static void
report_dropped(struct sink *s)
{
	uint64_t dropped = sink_dropped(s);

	if (dropped != s->told)
		log_warn(TOPIC_DAEMON, "%s: %" PRIu64 " lines dropped", s->name,
		    dropped - s->told);
	s->told = dropped;
}

/* Not more than one line a second. */
static bool
may_report(struct sink *s)
{
	uint64_t now = clock_now_ms();

	if (now < s->report_ms)
		return false;
	s->report_ms = now + REPORT_MS;
	return true;
}

/* Says when lines begin to be dropped, and when that is over how many were. */
static void
report(struct sink *s, int error)
{
	if (error && !s->failing && may_report(s)) {
		errno = error;
		log_warn(TOPIC_DAEMON, "%s cannot be written, lines are dropped (%m)",
		    s->name);
		s->failing = true;
	} else if (!error) {
		s->failing = false;
		if (sink_dropped(s) != s->told && may_report(s))
			report_dropped(s);
	}
}

/* ---- feeds, as the thread sees them ---- */

/* Takes what is there to `writing`. True: the producer is gone, nothing will follow. */
static bool
feed_take(struct sink_feed *f)
{
	bool closed;

	pthread_mutex_lock(&f->lock);
	closed = f->closed;
	if (f->filling.len) {
		struct strbuf full = f->filling;

		f->filling = f->writing;
		f->writing = full;
		f->under_way = full.len;
	}
	pthread_mutex_unlock(&f->lock);
	return closed;
}

static void
feed_written(struct sink_feed *f)
{
	if (f->writing.cap > KEEP) {
		strbuf_fini(&f->writing);
		strbuf_reserve(&f->writing, HAND_OVER);
	}
	strbuf_reset(&f->writing);
	pthread_mutex_lock(&f->lock);
	f->under_way = 0;
	pthread_mutex_unlock(&f->lock);
}

static void
feed_free(struct sink_feed *f)
{
	strbuf_fini(&f->writing);
	strbuf_fini(&f->filling);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static struct sink_feed *
feeds_first(struct sink *s)
{
	struct sink_feed *first;

	pthread_mutex_lock(&s->lock);
	first = s->feeds;
	pthread_mutex_unlock(&s->lock);
	return first;
}

static void
feeds_remove(struct sink *s, struct sink_feed *f)
{
	struct sink_feed **at = &s->feeds;

	pthread_mutex_lock(&s->lock);
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	pthread_mutex_unlock(&s->lock);
	feed_free(f);
}

/* Writes what all feeds have. False: they had nothing. */
static bool
feeds_write(struct sink *s)
{
	struct sink_feed *next;
	bool any = false;
	int error = 0;

	for (struct sink_feed *f = feeds_first(s); f; f = next) {
		bool closed = feed_take(f);

		next = f->next;
		if (f->writing.len) {
			int failed = write_lines(s, f->writing.data, f->writing.len);

			any = true;
			error = failed ? failed : error;
			feed_written(f);
		}
		if (closed)
			feeds_remove(s, f);
	}
	if (any)
		report(s, error);
	return any;
}

/* ---- the thread ---- */

static void
sink_wake(struct sink *s)
{
	eventfd_write(s->wake_fd, 1);
}

static void
sink_wait(struct sink *s, int ms)
{
	struct pollfd p = {.fd = s->wake_fd, .events = POLLIN};
	eventfd_t ignored;

	if (poll(&p, 1, ms) > 0)
		eventfd_read(s->wake_fd, &ignored);
}

static void
sink_release(struct sink *s)
{
	if (atomic_fetch_sub(&s->holders, 1) != 1)
		return;
	assert(!s->feeds);
	if (!s->is_stderr && s->fd >= 0)
		close(s->fd);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	strbuf_fini(&s->torn);
	pthread_mutex_destroy(&s->lock);
	free(s->name);
	free(s);
}

/* The last pass has been made. */
static void
sink_end(struct sink *s)
{
	if (torn_finish(s))
		drop(s, 1);
	report_dropped(s);
	sink_release(s);
}

static void *
sink_run(void *arg)
{
	struct sink *s = arg;
	bool idle = false, stopping, busy;

	do {
		/* first what others must know, then the look: see the file's head */
		atomic_store(&s->asleep, idle);
		stopping = atomic_load(&s->stopping);
		if (atomic_exchange(&s->reopening, false))
			file_reopen(s);
		busy = feeds_write(s);
		if (!stopping)
			sink_wait(s, idle && !busy ? -1 : LINGER_MS);
		idle = !idle && !busy;
	} while (!stopping);
	sink_end(s);
	return NULL;
}

static bool
start_writing(struct sink *s)
{
	int error;

	atomic_store(&s->holders, 2);
	error = thread_start(&s->thread, sink_run, s);
	if (error) {
		atomic_store(&s->holders, 1);
		errno = error;
	}
	return error == 0;
}

struct sink *
sink_open(const char *file)
{
	struct sink *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	atomic_store(&s->holders, 1);
	s->is_stderr = strcmp(file, "stderr") == 0;
	s->name = strdup(file);
	s->fd = s->is_stderr ? STDERR_FILENO : s->name ? file_open(file) : -1;
	s->wake_fd =
	    s->fd < 0 || !s->name ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0 || !strbuf_reserve(&s->torn, 1) || !start_writing(s)) {
		int saved = errno;

		sink_release(s);
		errno = saved;
		return NULL;
	}
	return s;
}

void
sink_close(struct sink *s)
{
	if (!s)
		return;
	atomic_store(&s->stopping, true);
	sink_wake(s);
	if (!thread_join(s->thread, STOP_S))
		log_warn(TOPIC_DAEMON, "%s takes no lines, the last ones may be lost",
		    s->name);
	sink_release(s);
}

void
sink_reopen(struct sink *s)
{
	atomic_store(&s->reopening, true);
	sink_wake(s);
}

uint64_t
sink_dropped(const struct sink *s)
{
	return atomic_load_explicit(&s->dropped, memory_order_relaxed);
}

/* ---- producers ---- */

struct sink_feed *
sink_feed_open(struct sink *s)
{
	struct sink_feed *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->sink = s;
	pthread_mutex_init(&f->lock, NULL);
	if (!strbuf_reserve(&f->filling, 2 * HAND_OVER) ||
	    !strbuf_reserve(&f->writing, 2 * HAND_OVER)) {
		feed_free(f);
		return NULL;
	}
	pthread_mutex_lock(&s->lock);
	f->next = s->feeds;
	s->feeds = f;
	pthread_mutex_unlock(&s->lock);
	return f;
}

void
sink_feed_close(struct sink_feed *f)
{
	struct sink *s;

	if (!f)
		return;
	s = f->sink;
	pthread_mutex_lock(&f->lock);
	f->closed = true;
	pthread_mutex_unlock(&f->lock);
	sink_wake(s);
}

/* False: no room, or no memory. */
static bool
feed_append(struct sink_feed *f, struct str line)
{
	size_t waiting = f->under_way + f->filling.len;

	if (line.n > SINK_FEED_MAX - waiting)
		return false;
	strbuf_str(&f->filling, line);
	if (!f->filling.failed)
		return true;
	f->filling.failed = false;
	return false;
}

void
sink_put(struct sink_feed *f, struct str line)
{
	struct sink *s = f->sink;
	size_t before, after;
	bool fits;

	pthread_mutex_lock(&f->lock);
	before = f->filling.len;
	fits = feed_append(f, line);
	after = f->filling.len;
	pthread_mutex_unlock(&f->lock);
	if (!fits)
		drop(s, 1);
	if ((before < HAND_OVER && after >= HAND_OVER) ||
	    (atomic_load(&s->asleep) && atomic_exchange(&s->asleep, false)))
		sink_wake(s);
}

void
sink_drop(struct sink_feed *f)
{
	drop(f->sink, 1);
}
