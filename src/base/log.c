/* SPDX-License-Identifier: MIT
 *
 * log.c - one line per event, as text or JSON.
 *
 * A line is put together on the caller's stack and leaves with one write(2): no lock,
 * no buffer that a crash would lose. What peers sent may be part of a message, so
 * control bytes never reach the file.
 *
 * Threads: any may write. The file is changed by putting another file under the same
 * descriptor (dup3): a thread that is about to write meets the old or the new
 * file, and never a number that by now means something else.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/strbuf.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048, GATE_MS = 1000 };

static const char *const level_names[] = {
    [LEVEL_DEBUG] = "debug",
    [LEVEL_INFO] = "info",
    [LEVEL_NOTICE] = "notice",
    [LEVEL_WARN] = "warn",
    [LEVEL_ERROR] = "error",
};

static const char *const topic_names[TOPIC_COUNT] = {
    [TOPIC_DAEMON] = "daemon",
    [TOPIC_CONFIG] = "config",
    [TOPIC_LISTENER] = "listener",
    [TOPIC_HTTP] = "http",
    [TOPIC_SESSION] = "session",
    [TOPIC_BACKEND] = "backend",
    [TOPIC_REHOME] = "rehome",
    [TOPIC_LIBRARY] = "library",
};

static const char *const format_names[] = {
    [FORMAT_TEXT] = "text",
    [FORMAT_JSON] = "json",
};

_Atomic enum log_level log_threshold = LEVEL_NOTICE;

static _Atomic enum log_format line_format = FORMAT_TEXT;
static _Atomic int sink_fd = STDERR_FILENO;
static _Atomic uint64_t lines_dropped;

/* Guards the two below. Leaf; never taken to write a line. */
static pthread_mutex_t file_lock = PTHREAD_MUTEX_INITIALIZER;
static int own_fd = -1; /* stays open until log_close, whatever is behind it */
static char *own_path;  /* NULL: stderr */

static int
file_open(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

/* Lines go where fd goes; fd itself remains the caller's. */
static bool
sink_replace(int fd)
{
	if (own_fd < 0) {
		own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (own_fd >= 0)
			atomic_store(&sink_fd, own_fd);
		return own_fd >= 0;
	}
	while (dup3(fd, own_fd, O_CLOEXEC) < 0)
		if (errno != EINTR && errno != EBUSY)
			return false;
	return true;
}

static bool
sink_open(const char *path)
{
	int fd, saved;
	bool ok;

	if (!path && own_fd < 0)
		return true; /* that is where lines go */
	fd = path ? file_open(path) : STDERR_FILENO;
	if (fd < 0)
		return false;
	ok = sink_replace(fd);
	saved = errno;
	if (path)
		close(fd);
	errno = saved;
	return ok;
}

/* `path` becomes ours; NULL: stderr. */
static bool
file_change(char *path)
{
	bool ok;

	pthread_mutex_lock(&file_lock);
	ok = sink_open(path);
	if (ok) {
		free(own_path);
		own_path = path;
	}
	pthread_mutex_unlock(&file_lock);
	return ok;
}

bool
log_open(enum log_level level, enum log_format format, const char *file)
{
	bool to_stderr = strcmp(file, "stderr") == 0;
	char *path = to_stderr ? NULL : strdup(file);

	if (!path && !to_stderr)
		return false;
	if (!file_change(path)) {
		int saved = errno;

		free(path);
		errno = saved;
		return false;
	}
	atomic_store(&log_threshold, level);
	atomic_store(&line_format, format);
	return true;
}

void
log_reopen(void)
{
	bool ok;

	pthread_mutex_lock(&file_lock);
	ok = !own_path || sink_open(own_path);
	pthread_mutex_unlock(&file_lock);
	if (!ok)
		log_error(TOPIC_DAEMON,
		    "log file not reopened, the old one stays (%m)");
}

void
log_close(void)
{
	pthread_mutex_lock(&file_lock);
	atomic_store(&sink_fd, STDERR_FILENO);
	if (own_fd >= 0)
		close(own_fd);
	own_fd = -1;
	free(own_path);
	own_path = NULL;
	pthread_mutex_unlock(&file_lock);
}

static void
time_print(struct strbuf *line)
{
	int64_t ms = clock_wall_ms();
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm = {0};

	gmtime_r(&seconds, &tm);
	strbuf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    (int)(ms % 1000));
}

static void
text_compose(struct strbuf *line, enum log_level level, enum log_topic topic,
    struct str message)
{
	size_t room;

	time_print(line);
	strbuf_printf(line, " %s %s: ", level_names[level], topic_names[topic]);
	room = line->cap - line->len - 1;
	for (size_t i = 0; i < message.n && i < room; i++) {
		unsigned char c = (unsigned char)message.p[i];

		strbuf_append(line, c < 0x20 || c == 0x7f ? "?" : &message.p[i], 1);
	}
	strbuf_lit(line, "\n");
}

/* As much of the message as still fits when it is escaped. */
static void
json_put_message(struct strbuf *line, struct str message)
{
	size_t start = line->len;

	for (;;) {
		strbuf_json(line, message);
		if (!line->failed)
			return;
		line->len = start;
		line->failed = false;
		message.n -= message.n / 8 + 1;
	}
}

static void
json_compose(struct strbuf *line, enum log_level level, enum log_topic topic,
    struct str message)
{
	static const char tail[] = "\"}\n";
	size_t cap = line->cap;

	strbuf_lit(line, "{\"time\":\"");
	time_print(line);
	strbuf_printf(line, "\",\"level\":\"%s\",\"topic\":\"%s\",\"message\":\"",
	    level_names[level], topic_names[topic]);
	line->cap = line->limit = cap - (sizeof(tail) - 1);
	json_put_message(line, message);
	line->cap = line->limit = cap;
	strbuf_lit(line, tail);
}

static void
line_send(const char *p, size_t n)
{
	int fd = atomic_load_explicit(&sink_fd, memory_order_relaxed);
	ssize_t sent;

	do
		sent = write(fd, p, n);
	while (sent < 0 && errno == EINTR);
	if (sent != (ssize_t)n)
		atomic_fetch_add_explicit(&lines_dropped, 1, memory_order_relaxed);
}

void
log_write(enum log_level level, enum log_topic topic, const char *format, ...)
{
	int saved = errno;
	char text[LINE_MAX_BYTES], memory[LINE_MAX_BYTES];
	struct strbuf line = strbuf_over(memory, sizeof(memory));
	struct str message = {text, 0};
	va_list args;

	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) >= 0)
		message.n = strlen(text);
	va_end(args);
	while (message.n && text[message.n - 1] == '\n')
		message.n--; /* libraries end theirs with one */
	if (atomic_load_explicit(&line_format, memory_order_relaxed) == FORMAT_JSON)
		json_compose(&line, level, topic, message);
	else
		text_compose(&line, level, topic, message);
	line_send(line.data, line.len);
	errno = saved;
}

uint64_t
log_dropped(void)
{
	return atomic_load_explicit(&lines_dropped, memory_order_relaxed);
}

bool
log_gate_pass(struct log_gate *gate, uint64_t *held_r)
{
	uint64_t now = clock_now_ms();
	uint64_t next = atomic_load_explicit(&gate->next_ms, memory_order_relaxed);

	/* of several threads that find the gate open, one wins */
	if (now < next ||
	    !atomic_compare_exchange_strong(&gate->next_ms, &next, now + GATE_MS)) {
		atomic_fetch_add_explicit(&gate->held, 1, memory_order_relaxed);
		return false;
	}
	*held_r = atomic_exchange(&gate->held, 0);
	return true;
}

static bool
name_find(const char *const names[], size_t count, const char *text, size_t *index_r)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], text) == 0) {
			*index_r = i;
			return true;
		}
	}
	return false;
}

bool
log_level_parse(const char *text, enum log_level *level_r)
{
	size_t i;

	if (!name_find(level_names, LEVEL_ERROR + 1, text, &i))
		return false;
	*level_r = (enum log_level)i;
	return true;
}

bool
log_format_parse(const char *text, enum log_format *format_r)
{
	size_t i;

	if (!name_find(format_names, FORMAT_JSON + 1, text, &i))
		return false;
	*format_r = (enum log_format)i;
	return true;
}
