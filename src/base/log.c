/* SPDX-License-Identifier: MIT
 *
 * log.c - one line per event: which are wanted, which are too many, and how they come
 * together; see log.h.
 *
 * Threads: any may write. Levels and limits are changed by atomics alone.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/log_line.h"
#include "base/log_target.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 2048 };

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

const struct log_kind_row log_kinds[KIND_COUNT] = {
#define KIND(symbol, level, topic, lines, text) \
	[KIND_##symbol] = {LEVEL_##level, TOPIC_##topic, lines, text},
#include "base/log_kinds.def"
#undef KIND
};

_Atomic uint8_t log_thresholds[TOPIC_COUNT] = {
    LEVEL_NOTICE,
    LEVEL_NOTICE,
    LEVEL_NOTICE,
    LEVEL_NOTICE,
    LEVEL_NOTICE,
    LEVEL_NOTICE,
    LEVEL_NOTICE,
    LEVEL_NOTICE,
};

/* What has been written of a kind, and what not. Changed by atomics alone: no line ever
 * waits for another thread. */
struct gate {
	_Atomic uint64_t window_ms; /* begin of the present one */
	_Atomic uint32_t passed;    /* in it */
	_Atomic uint64_t held;      /* not yet told */
	_Atomic uint64_t held_ms;   /* since when */
};

static _Thread_local bool echoing;

static struct gate gates[KIND_COUNT];
static _Atomic uint64_t held_back;

/* ---- levels ---- */

void
log_set_levels(const struct log_settings *settings)
{
	for (int i = 0; i < TOPIC_COUNT; i++) {
		unsigned own = settings->topics[i];

		atomic_store(&log_thresholds[i],
		    own == TOPIC_SAME ? settings->level : own - TOPIC_OWN);
	}
}

void
log_set_level(enum log_level level)
{
	log_set_levels(&(struct log_settings){.level = level});
}

const char *
log_level_name(enum log_level level)
{
	return level_names[level];
}

const char *
log_topic_name(enum log_topic topic)
{
	return topic_names[topic];
}

bool
log_level_parse(const char *text, enum log_level *level_r)
{
	for (int i = LEVEL_DEBUG; i <= LEVEL_ERROR; i++) {
		if (strcmp(level_names[i], text) == 0) {
			*level_r = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* ---- opening ---- */

bool
log_open(const struct log_settings *settings)
{
	if (!log_target_open(settings))
		return false;
	log_set_levels(settings);
	return true;
}

bool
log_reopen(void)
{
	if (log_target_reopen())
		return true;
	log_error(TOPIC_DAEMON, "log file not reopened, the old one stays (%m)");
	return false;
}

void
log_echo(bool on)
{
	echoing = on;
}

/* ---- writing ---- */

void
log_write(enum log_level level, enum log_topic topic, const struct log_about *about,
    const char *format, ...)
{
	int saved = errno;
	char text[MESSAGE_BYTES];
	struct log_event e = {.wall_ms = clock_wall_ms(),
	    .level = level,
	    .topic = topic,
	    .about = about};
	va_list args;

	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) < 0)
		text[0] = '\0';
	va_end(args);
	e.message = (struct str){text, strlen(text)};
	while (e.message.n && text[e.message.n - 1] == '\n')
		e.message.n--; /* libraries end theirs with one */
	log_target_put(&e);
	if (level >= LEVEL_WARN && echoing)
		log_target_echo(&e);
	errno = saved;
}

uint64_t
log_dropped(void)
{
	return log_target_lost();
}

/* ---- what is too much ---- */

/* Time since then; other threads may have read the clock a moment later than we. */
static uint64_t
since(uint64_t then, uint64_t now)
{
	return now > then ? now - then : 0;
}

/* A new window begins with the thread that wins; what the others count meanwhile may
 * be a line more or less. */
static void
window_turn(struct gate *gate, uint64_t now)
{
	uint64_t begun = atomic_load_explicit(&gate->window_ms, memory_order_relaxed);

	if (begun && since(begun, now) < LOG_WINDOW_MS)
		return;
	if (atomic_compare_exchange_strong(&gate->window_ms, &begun, now))
		atomic_store(&gate->passed, 0);
}

bool
log_gate_pass(enum log_kind kind)
{
	struct gate *gate = &gates[kind];
	const struct log_kind_row *k = &log_kinds[kind];
	uint64_t now = clock_now_ms();

	/* who wants to see everything does */
	if (log_enabled(k->topic, LEVEL_DEBUG))
		return true;
	window_turn(gate, now);
	if (atomic_load_explicit(&gate->passed, memory_order_relaxed) < k->lines &&
	    atomic_fetch_add(&gate->passed, 1) < k->lines)
		return true;
	if (atomic_load_explicit(&gate->held, memory_order_relaxed) == 0)
		atomic_store(&gate->held_ms, now);
	atomic_fetch_add(&gate->held, 1);
	atomic_fetch_add_explicit(&held_back, 1, memory_order_relaxed);
	return false;
}

static void
tell_held(enum log_kind kind, uint64_t now)
{
	const struct log_kind_row *k = &log_kinds[kind];
	uint64_t ms = since(atomic_load(&gates[kind].held_ms), now);
	uint64_t n = atomic_exchange(&gates[kind].held, 0);
	char text[160];
	struct log_event e = {.wall_ms = clock_wall_ms(),
	    .level = k->level,
	    .topic = k->topic,
	    .held_back = n};

	if (n == 0 || !log_enabled(k->topic, k->level))
		return;
	snprintf(text, sizeof text, "%s: held back %llu like this in %llu s", k->text,
	    (unsigned long long)n, (unsigned long long)(ms + 999) / 1000);
	e.message = (struct str){text, strlen(text)};
	log_target_put(&e);
}

void
log_tick(void)
{
	uint64_t now = clock_now_ms();

	for (int i = 0; i < KIND_COUNT; i++)
		if (atomic_load_explicit(&gates[i].held, memory_order_relaxed) &&
		    since(atomic_load(&gates[i].held_ms), now) >= LOG_WINDOW_MS)
			tell_held((enum log_kind)i, now);
	log_target_tell_lost();
}

void
log_tell_held_back(void)
{
	for (int i = 0; i < KIND_COUNT; i++)
		tell_held((enum log_kind)i, clock_now_ms());
}

void
log_close(void)
{
	log_tell_held_back();
	log_target_tell_lost();
	log_target_close();
}

uint64_t
log_held_back(void)
{
	return atomic_load_explicit(&held_back, memory_order_relaxed);
}
