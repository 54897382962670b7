/* SPDX-License-Identifier: MIT
 *
 * log.h - one line per event, with level, topic and what it is about.
 *
 * Style of messages: lower case, what happened, the reason in parentheses. Ids and
 * addresses are not part of them: who logs says what it is about, and text, JSON and
 * the journal get that in their own way from the same call. A line is written with one
 * system call, so lines of several threads never mix, and never waits: what is not
 * taken at once is dropped and counted.
 */
#ifndef ROOST_BASE_LOG_H
#define ROOST_BASE_LOG_H

#include "base/object.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct addr;

enum log_level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_NOTICE, LEVEL_WARN, LEVEL_ERROR };

enum log_topic {
	TOPIC_DAEMON,   /* start, stop, signals */
	TOPIC_CONFIG,   /* loading and reloading */
	TOPIC_LISTENER, /* accepting */
	TOPIC_HTTP,     /* exchanges */
	TOPIC_SESSION,  /* WebSocket sessions */
	TOPIC_BACKEND,  /* state and failures of backends */
	TOPIC_REHOME,   /* moves */
	TOPIC_LIBRARY,  /* what libevent and OpenSSL say */
	TOPIC_COUNT
};

enum log_format { FORMAT_TEXT, FORMAT_JSON };

/* What a line is about. NULL and empty: not about one. Everything borrowed. In text,
 * backend and upstream are told where there is a client as well: a message about a
 * backend alone names it. */
struct log_about {
	const char *request;        /* id */
	const char *session;        /* id */
	const char *client;         /* address, after trusted forwarding; or: */
	const struct addr *address; /* the same, not yet text */
	const char *upstream, *backend;
};

/* What could fill a log because of what peers do; see log_kinds.def. */
enum log_kind {
#define KIND(symbol, level, topic, lines, text) KIND_##symbol,
#include "base/log_kinds.def"
#undef KIND
	KIND_COUNT
};

/* ---- where lines go ---- */

enum log_topic_level { TOPIC_SAME, TOPIC_OWN }; /* TOPIC_OWN + level: its own */

/* Also the section "log" of the configuration. */
struct log_settings {
	enum log_level level;   /* level: info */
	enum log_format format; /* format: text; of files and stderr, and of syslog */
	char *file;             /* file: stderr, syslog, journald, or a path */
	char *socket;           /* socket: none; of syslog and journald, else usual */
	char *tag;              /* tag: roost; who it is, in syslog and the journal */
	unsigned facility;      /* facility: daemon; of syslog, as in <syslog.h> */
	unsigned topics[TOPIC_COUNT]; /* topics: TOPIC_SAME, or TOPIC_OWN + level */
};

/* Until log_open, lines of notice and above go to stderr as text. False: the file could
 * not be opened (errno); what was open stays. Settings are not kept. Main thread only.
 */
bool log_open(const struct log_settings *settings) MUST_CHECK;

/* Is it syslog or the journal, and which socket then? NULL: neither. */
const char *log_socket(const struct log_settings *settings);

/* Takes over level and topics, nothing else. Any thread. */
void log_set_levels(const struct log_settings *settings);

/* Would log_set_levels do the same with both? */
static inline bool
log_levels_eq(const struct log_settings *a, const struct log_settings *b)
{
	for (int i = 0; i < TOPIC_COUNT; i++)
		if (a->topics[i] != b->topics[i])
			return false;
	return a->level == b->level;
}

/* All topics, from now on. Any thread. */
void log_set_level(enum log_level level);

/* Opens the file anew, for rotation. False: the old one stays, and that is logged. Any
 * thread. */
bool log_reopen(void);

/* While it is on, warnings and errors of this thread are also said on standard error,
 * where the log does not go there: who starts a daemon looks at his terminal first. */
void log_echo(bool on);

/* Tells what was held back, closes the file and goes back to stderr. */
void log_close(void);

/* ---- writing ---- */

extern _Atomic uint8_t log_thresholds[TOPIC_COUNT];

/* What a line costs that is not wanted. */
static inline bool
log_enabled(enum log_topic topic, enum log_level level)
{
	return level >=
	       atomic_load_explicit(&log_thresholds[topic], memory_order_relaxed);
}

/* about may be NULL. Any thread. errno is kept. */
void log_write(enum log_level level, enum log_topic topic,
    const struct log_about *about, const char *format, ...) PRINTF_LIKE(4, 5);

#define log_about_at(level, topic, about, ...)                             \
	do {                                                               \
		if (log_enabled(topic, level))                             \
			log_write((level), (topic), (about), __VA_ARGS__); \
	} while (0)

#define log_at(level, topic, ...) log_about_at(level, topic, NULL, __VA_ARGS__)
#define log_debug(topic, ...) log_at(LEVEL_DEBUG, topic, __VA_ARGS__)
#define log_info(topic, ...) log_at(LEVEL_INFO, topic, __VA_ARGS__)
#define log_notice(topic, ...) log_at(LEVEL_NOTICE, topic, __VA_ARGS__)
#define log_warn(topic, ...) log_at(LEVEL_WARN, topic, __VA_ARGS__)
#define log_error(topic, ...) log_at(LEVEL_ERROR, topic, __VA_ARGS__)

/* A line of one of the kinds that peers can cause; level and topic are the kind's. What
 * is too much is held back and counted. */
#define log_kind(kind, about, ...)                                              \
	do {                                                                    \
		if (log_kind_enabled(kind))                                     \
			log_write(log_kinds[kind].level, log_kinds[kind].topic, \
			    (about), __VA_ARGS__);                              \
	} while (0)

struct log_kind_row {
	enum log_level level;
	enum log_topic topic;
	uint32_t lines; /* in a window of LOG_WINDOW_MS */
	const char *text;
};

enum { LOG_WINDOW_MS = 10000 };

extern const struct log_kind_row log_kinds[KIND_COUNT];

/* May one more be written now? Counts it if not. Any thread. */
bool log_gate_pass(enum log_kind kind);

static inline bool
log_kind_enabled(enum log_kind kind)
{
	return log_enabled(log_kinds[kind].topic, log_kinds[kind].level) &&
	       log_gate_pass(kind);
}

/* Says what was held back so far: before the last words. Any thread. */
void log_tell_held_back(void);

/* Says what was held back a while ago, and what was lost; about once a second. One
 * thread. */
void log_tick(void);

/* Lines lost because they could not be written (disk full ...), and lines held back.
 * Any thread. */
uint64_t log_dropped(void);
uint64_t log_held_back(void);

/* "debug" ... "error". False: none of them. */
bool log_level_parse(const char *text, enum log_level *level_r);
const char *log_level_name(enum log_level level);
const char *log_topic_name(enum log_topic topic);

#endif
