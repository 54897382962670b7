/* SPDX-License-Identifier: MIT
 *
 * log_line.h - one line of the log, put together: as text, as JSON, as datagrams of
 * syslog and of the journal. Pure.
 *
 * What peers sent may be part of a message and of ids. In text, control bytes and
 * bytes that are not UTF-8 become \xHH, so a line is one line and a terminal is safe.
 */
#ifndef ROOST_BASE_LOG_LINE_H
#define ROOST_BASE_LOG_LINE_H

#include "base/log.h"
#include "base/str.h"

struct strbuf;

struct log_event {
	int64_t wall_ms;
	enum log_level level;
	enum log_topic topic;
	const struct log_about *about; /* or NULL */
	struct str message;
	uint64_t
	    held_back; /* lines that this one stands for; 0: it stands for itself */
};

/* Each appends as much of it as fits into line, which is over memory of at least
 * LOG_LINE_MIN bytes; a message that is too long is cut, never the line's end. The
 * journal gets what a line is about twice, so it needs LOG_JOURNAL_MIN. */
enum { LOG_LINE_MIN = 1024, LOG_JOURNAL_MIN = 4096 };

/* "TIME LEVEL TOPIC: MESSAGE request=ID client=ADDRESS" and a newline. With a priority
 * (systemd's "<N>") where the reader of stderr is the journal. */
void log_line_text(struct strbuf *line, const struct log_event *e, bool priority);

/* An object and a newline. */
void log_line_json(struct strbuf *line, const struct log_event *e);

/* "<PRI>TIME TAG[PID]: ..." as local daemons expect it (RFC 3164), no newline. */
void log_line_syslog(struct strbuf *line, const struct log_event *e, unsigned facility,
    const char *tag, long pid, enum log_format format);

/* The journal's native protocol: NAME=VALUE lines. */
void log_line_journal(struct strbuf *line, const struct log_event *e, const char *tag);

#endif
