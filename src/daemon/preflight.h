/* SPDX-License-Identifier: MIT
 *
 * preflight.h - roost -t: would a start go well, beside a good configuration?
 *
 * Nothing is created, and nobody is disturbed: a roost that runs with the same
 * configuration goes on. What would stop a start is an error; what may be otherwise by
 * then, or would fail later only, is a warning.
 */
#ifndef ROOST_DAEMON_PREFLIGHT_H
#define ROOST_DAEMON_PREFLIGHT_H

#include <stdbool.h>

struct config;
struct daemon_options;

/* Prints errors and warnings to stderr. True: no error. May become the user that a
 * start would become, so it is the last thing that the process does. Main thread. */
bool preflight(const struct daemon_options *options, const struct config *config);

#endif
