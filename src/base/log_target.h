/* SPDX-License-Identifier: MIT
 *
 * log_target.h - where lines of the log go: standard error, a file, syslog, the
 * journal.
 *
 * A line leaves with one system call before the caller goes on: no lock, no thread, no
 * buffer that a crash would lose. In return nothing may make that call wait: a pipe, a
 * terminal or a socket that takes nothing is waited for 20 ms, once a second and by one
 * thread at most. What is not taken is lost and counted; standard error
 * hears of it at once, and the log itself when it is over.
 */
#ifndef ROOST_BASE_LOG_TARGET_H
#define ROOST_BASE_LOG_TARGET_H

#include "base/log.h"

struct log_event;

/* As log_open, log_reopen and log_close; log_target_reopen may fail (errno). */
bool log_target_open(const struct log_settings *settings) MUST_CHECK;
bool log_target_reopen(void) MUST_CHECK;
void log_target_close(void);

/* Any thread. */
void log_target_put(const struct log_event *e);

/* Says it on standard error, where that is not what the log goes to. Any thread. */
void log_target_echo(const struct log_event *e);

/* Where lines were lost and none has come since: tries to say so. Any thread. */
void log_target_tell_lost(void);

/* Lines lost since the start. Any thread. */
uint64_t log_target_lost(void);

#endif
