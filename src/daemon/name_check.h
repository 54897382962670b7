/* SPDX-License-Identifier: MIT
 *
 * name_check.h - do the names of backends have addresses?
 *
 * Asked as roost itself asks, all at once and for a few seconds at most: servers that
 * do not answer must not hang roost -t.
 */
#ifndef ROOST_DAEMON_NAME_CHECK_H
#define ROOST_DAEMON_NAME_CHECK_H

struct config;

/* Prints a warning to stderr for each name that has none, or no answer in time. A start
 * goes on without, so it is no more than that. */
void name_check(const struct config *config);

#endif
