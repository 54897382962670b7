/* SPDX-License-Identifier: MIT
 *
 * log.h - one line per event, with level and topic, as text or JSON.
 *
 * Style of messages: lower case, what happened, the reason in parentheses. A line is
 * written with one write(2), so lines of several threads never mix.
 */
#ifndef ROOST_BASE_LOG_H
#define ROOST_BASE_LOG_H

#include "base/object.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

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

/* Until log_open, lines of notice and above go to stderr as text. `file` is
 * "stderr" or a path, opened for appending. False: it could not be opened (errno);
 * what was open stays. Main thread only. */
bool log_open(enum log_level level, enum log_format format,
    const char *file) MUST_CHECK;

/* Opens the file anew, for rotation. On failure the old one stays. Any thread. */
void log_reopen(void);

/* Closes the file and goes back to stderr. */
void log_close(void);

extern _Atomic enum log_level log_threshold;

static inline bool
log_enabled(enum log_level level)
{
	return level >= atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

/* Any thread. errno is kept. */
void log_write(enum log_level level, enum log_topic topic, const char *format, ...)
    PRINTF_LIKE(3, 4);

#define log_at(level, topic, ...)                                 \
	do {                                                      \
		if (log_enabled(level))                           \
			log_write((level), (topic), __VA_ARGS__); \
	} while (0)

#define log_debug(topic, ...) log_at(LEVEL_DEBUG, topic, __VA_ARGS__)
#define log_info(topic, ...) log_at(LEVEL_INFO, topic, __VA_ARGS__)
#define log_notice(topic, ...) log_at(LEVEL_NOTICE, topic, __VA_ARGS__)
#define log_warn(topic, ...) log_at(LEVEL_WARN, topic, __VA_ARGS__)
#define log_error(topic, ...) log_at(LEVEL_ERROR, topic, __VA_ARGS__)

/* Lines lost because the file could not be written (disk full ...). Any thread. */
uint64_t log_dropped(void);

/* For hot errors: true when this line may be written now; says how many were held
 * back since the last one. At most one line a second per `gate`. Any thread. */
struct log_gate {
	_Atomic uint64_t next_ms;
	_Atomic uint64_t held;
};
bool log_gate_pass(struct log_gate *gate, uint64_t *held_r);

/* "debug" ... "error"; "text" or "json". False: none of them. */
bool log_level_parse(const char *text, enum log_level *level_r);
bool log_format_parse(const char *text, enum log_format *format_r);

#endif
