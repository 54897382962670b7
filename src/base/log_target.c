/* SPDX-License-Identifier: MIT
 *
 * log_target.c - where lines of the log go; see log_target.h.
 *
 * The file is changed by putting another file under the same descriptor (dup3): a
 * thread that is about to write meets the old or the new file, and never a number
 * that by now means something else.
 *
 * The journal's protocol is spoken here and not by libsystemd: sd_journal_sendv waits
 * for a journal that has stalled, and with it would the traffic. Datagrams are not
 * connected, so a daemon that is started anew is found again by its path.
 */
#include "base/log_target.h"

#include "base/append.h"
#include "base/clock.h"
#include "base/log_line.h"
#include "base/strbuf.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define SYSLOG_SOCKET "/dev/log"
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum { LINE_BYTES = 2048, JOURNAL_BYTES = 8192, TAG_MAX = 64 };

static_assert((int)LINE_BYTES >= (int)LOG_LINE_MIN, "a line's end is never cut");
static_assert((int)JOURNAL_BYTES >= (int)LOG_JOURNAL_MIN, "as above");

enum { WAIT_MS = 20, WAIT_AGAIN_MS = 1000, TELL_MS = 1000, COMPLAIN_MS = 10000 };

enum kind { KIND_OF_FILE, KIND_OF_SYSLOG, KIND_OF_JOURNAL };

/* Set by log_target_open, before there are other threads, but for what is atomic. */
static struct {
	enum kind kind;
	enum log_format format;
	_Atomic int fd;          /* of files: where lines go */
	_Atomic bool is_regular; /* and it never waits */
	_Atomic bool to_journal; /* our stderr is read by the journal */
	_Atomic bool looked;     /* the two above are known of stderr */
	int socket;              /* of datagrams */
	struct sockaddr_un to;
	unsigned facility;
	char tag[TAG_MAX];
} target = {.kind = KIND_OF_FILE, .fd = STDERR_FILENO, .socket = -1};

static _Atomic uint64_t lost;        /* since the start */
static _Atomic uint64_t lost_untold; /* the log does not know of yet */
static _Atomic int lost_errno;
static _Atomic bool failing; /* it took nothing the last time */

/* When each may be done again. */
static _Atomic uint64_t wait_ms, tell_ms, complain_ms;

static _Atomic bool torn; /* the last line in the file has no end */

/* Guards the two below. Leaf; never taken to write a line. */
static pthread_mutex_t file_lock = PTHREAD_MUTEX_INITIALIZER;
static int own_fd = -1; /* stays open until it is closed, whatever is behind it */
static char *own_path;  /* NULL: stderr */

/* ---- opening ---- */

static bool
is_regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* systemd says which stream it gave us, and that may have been redirected since. */
static bool
is_journal_stream(int fd)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return text && sscanf(text, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(fd, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* Lines go where fd goes; fd itself remains the caller's. */
static bool
file_replace(int fd)
{
	if (own_fd < 0) {
		own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (own_fd < 0)
			return false;
	} else {
		while (dup3(fd, own_fd, O_CLOEXEC) < 0)
			if (errno != EINTR && errno != EBUSY)
				return false;
	}
	atomic_store(&target.is_regular, is_regular(fd));
	atomic_store(&target.fd, own_fd);
	atomic_store(&torn, false);
	return true;
}

static bool
file_use(const char *path)
{
	int fd, saved;
	bool ok;

	fd = path ? append_open(path) : STDERR_FILENO;
	if (fd < 0)
		return false;
	ok = path || own_fd >= 0 ? file_replace(fd) : true;
	saved = errno;
	if (path)
		close(fd);
	errno = saved;
	return ok;
}

/* NULL: stderr. */
static bool
open_file(const char *path)
{
	char *copy = path ? strdup(path) : NULL;
	bool ok = copy || !path;
	int saved;

	pthread_mutex_lock(&file_lock);
	ok = ok && file_use(copy);
	if (ok) {
		char *old = own_path;

		own_path = copy;
		copy = old;
		target.kind = KIND_OF_FILE;
		target.looked = false;
	}
	pthread_mutex_unlock(&file_lock);
	saved = errno;
	free(copy);
	errno = saved;
	return ok;
}

static void
close_socket(void)
{
	if (target.socket >= 0)
		close(target.socket);
	target.socket = -1;
}

/* One that refuses us just now may be about to be started; one that is not there is a
 * mistake. */
static bool
open_socket(enum kind kind, const char *path)
{
	struct timeval wait = {.tv_usec = WAIT_MS * 1000};
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct stat st;
	int fd;

	if (strlen(path) >= sizeof to.sun_path) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(to.sun_path, path, strlen(path));
	if (stat(path, &st))
		return false;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return false;
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
	close_socket();
	target.kind = kind;
	target.socket = fd;
	target.to = to;
	return true;
}

static enum kind
kind_of(const char *file)
{
	return strcmp(file, "syslog") == 0     ? KIND_OF_SYSLOG
	       : strcmp(file, "journald") == 0 ? KIND_OF_JOURNAL
					       : KIND_OF_FILE;
}

const char *
log_socket(const struct log_settings *s)
{
	switch (kind_of(s->file)) {
	case KIND_OF_SYSLOG: return s->socket ? s->socket : SYSLOG_SOCKET;
	case KIND_OF_JOURNAL: return s->socket ? s->socket : JOURNAL_SOCKET;
	case KIND_OF_FILE: break;
	}
	return NULL;
}

static bool
open_what_is_named(const struct log_settings *s)
{
	const char *socket = log_socket(s);

	if (socket)
		return open_socket(kind_of(s->file), socket);
	return open_file(strcmp(s->file, "stderr") == 0 ? NULL : s->file);
}

bool
log_target_open(const struct log_settings *s)
{
	if (!open_what_is_named(s))
		return false;
	target.format = s->format;
	target.facility = s->facility;
	snprintf(target.tag, sizeof target.tag, "%s", s->tag ? s->tag : "roost");
	atomic_store(&failing, false);
	return true;
}

bool
log_target_reopen(void)
{
	bool ok;

	pthread_mutex_lock(&file_lock);
	ok = target.kind != KIND_OF_FILE || !own_path || file_use(own_path);
	pthread_mutex_unlock(&file_lock);
	return ok;
}

void
log_target_close(void)
{
	pthread_mutex_lock(&file_lock);
	target.kind = KIND_OF_FILE;
	target.looked = false;
	atomic_store(&target.fd, STDERR_FILENO);
	if (own_fd >= 0)
		close(own_fd);
	own_fd = -1;
	free(own_path);
	own_path = NULL;
	close_socket();
	pthread_mutex_unlock(&file_lock);
}

/* ---- sending; true, or errno says why it was not taken ---- */

/* stderr's own nature may be looked at late: nobody opened it. Threads that do so at
 * the same time find the same. */
static void
look_at_stderr(int fd)
{
	if (target.looked)
		return;
	if (fd == STDERR_FILENO)
		atomic_store(&target.is_regular, is_regular(fd));
	target.to_journal = !own_path && is_journal_stream(STDERR_FILENO);
	target.looked = true;
}

/* Of all threads that ask, one may, and then none for a while. */
static bool
may_do(_Atomic uint64_t *when_ms, uint64_t again_ms)
{
	uint64_t now = clock_now_ms(), when = atomic_load(when_ms);

	return now >= when &&
	       atomic_compare_exchange_strong(when_ms, &when, now + again_ms);
}

/* Would a line be taken, now or within moments? A pipe that can be written to has room
 * for PIPE_BUF bytes, which is more than any line. */
static bool
is_ready(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int n = poll(&p, 1, ms);

	if (n == 0)
		errno = EAGAIN;
	return n > 0;
}

/* The beginning of a line that a full disk cut short is closed off first. */
static bool
send_to_file(int fd, const struct strbuf *line)
{
	bool was_torn = atomic_exchange(&torn, false);
	char newline = '\n';
	struct iovec pieces[2] = {{&newline, 1}, {line->data, line->len}};
	size_t n = line->len + was_torn;
	ssize_t sent;

	if (!atomic_load_explicit(&target.is_regular, memory_order_relaxed) &&
	    !is_ready(fd, 0) &&
	    !(may_do(&wait_ms, WAIT_AGAIN_MS) && is_ready(fd, WAIT_MS)))
		return false;
	do
		sent =
		    was_torn ? writev(fd, pieces, 2) : write(fd, line->data, line->len);
	while (sent < 0 && errno == EINTR);
	if (sent == (ssize_t)n)
		return true;
	if (sent > 0)
		errno = ENOSPC;
	/* after a lone newline nothing is torn any more */
	atomic_store(&torn, sent > 0 ? sent > was_torn : was_torn);
	return false;
}

static bool
send_datagram(const struct strbuf *line)
{
	int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
	ssize_t sent;

	for (;;) {
		sent = sendto(target.socket, line->data, line->len, flags,
		    (const struct sockaddr *)&target.to, sizeof target.to);
		if (sent >= 0)
			return true;
		if (errno == EAGAIN && flags & MSG_DONTWAIT &&
		    may_do(&wait_ms, WAIT_AGAIN_MS))
			flags &= ~MSG_DONTWAIT; /* SO_SNDTIMEO limits it */
		else if (errno != EINTR)
			return false;
	}
}

static void
compose(struct strbuf *line, const struct log_event *e)
{
	switch (target.kind) {
	case KIND_OF_SYSLOG:
		log_line_syslog(line, e, target.facility, target.tag, (long)getpid(),
		    target.format);
		break;
	case KIND_OF_JOURNAL: log_line_journal(line, e, target.tag); break;
	case KIND_OF_FILE:
		if (target.format == FORMAT_JSON)
			log_line_json(line, e);
		else
			log_line_text(line, e, target.to_journal);
	}
}

static bool
put(const struct log_event *e)
{
	int fd = atomic_load_explicit(&target.fd, memory_order_relaxed);
	bool journal = target.kind == KIND_OF_JOURNAL;
	char memory[JOURNAL_BYTES];
	struct strbuf line = strbuf_over(memory, journal ? JOURNAL_BYTES : LINE_BYTES);

	look_at_stderr(fd);
	compose(&line, e);
	return target.kind == KIND_OF_FILE ? send_to_file(fd, &line)
					   : send_datagram(&line);
}

/* ---- losses ---- */

static struct log_event
about_losses(char *text, size_t size)
{
	struct log_event e = {.wall_ms = clock_wall_ms(),
	    .level = LEVEL_WARN,
	    .topic = TOPIC_DAEMON};

	e.message = (struct str){text, strnlen(text, size)};
	return e;
}

/* To standard error, where that is not what fails. */
static void
complain(int error)
{
	char text[160], memory[LINE_BYTES];
	struct strbuf line = strbuf_over(memory, sizeof memory);
	struct log_event e;

	if (target.kind == KIND_OF_FILE && !own_path)
		return;
	errno = error;
	snprintf(text, sizeof text, "the log cannot be written, lines are lost (%m)");
	e = about_losses(text, sizeof text);
	log_line_text(&line, &e, false);
	if (is_ready(STDERR_FILENO, 0) && write(STDERR_FILENO, line.data, line.len) < 0)
		errno = error; /* there is nobody left to tell */
}

static void
lose(int error)
{
	atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
	atomic_fetch_add(&lost_untold, 1);
	atomic_store(&lost_errno, error);
	if (!atomic_exchange(&failing, true) && may_do(&complain_ms, COMPLAIN_MS))
		complain(error);
}

void
log_target_tell_lost(void)
{
	uint64_t n = atomic_exchange(&lost_untold, 0);
	char text[160];
	struct log_event e;

	if (n == 0)
		return;
	errno = atomic_load(&lost_errno);
	snprintf(text, sizeof text, "%llu line%s of the log w%s lost (%m)",
	    (unsigned long long)n, n == 1 ? "" : "s", n == 1 ? "as" : "ere");
	e = about_losses(text, sizeof text);
	if (put(&e))
		atomic_store(&failing, false);
	else
		atomic_fetch_add(&lost_untold, n);
}

void
log_target_put(const struct log_event *e)
{
	/* in their order: first what happened to the lines before */
	if (atomic_load_explicit(&lost_untold, memory_order_relaxed) &&
	    may_do(&tell_ms, TELL_MS))
		log_target_tell_lost();
	if (!put(e))
		lose(errno);
	else if (atomic_load_explicit(&failing, memory_order_relaxed))
		atomic_store(&failing, false);
}

void
log_target_echo(const struct log_event *e)
{
	const char *what = e->level == LEVEL_WARN ? "warning: " : "";

	if (target.kind == KIND_OF_FILE && !own_path)
		return;
	if (is_ready(STDERR_FILENO, WAIT_MS))
		dprintf(STDERR_FILENO, "roost: %s%.*s\n", what, (int)e->message.n,
		    e->message.p);
}

uint64_t
log_target_lost(void)
{
	return atomic_load_explicit(&lost, memory_order_relaxed);
}
