/* SPDX-License-Identifier: MIT
 *
 * daemon.h - start, signals, reload, stop: the control thread.
 */
#ifndef ROOST_DAEMON_DAEMON_H
#define ROOST_DAEMON_DAEMON_H

#include "config/load.h"
#include <stdbool.h>

struct config;
struct heritage;

/* Exit codes of roost(8). */
enum { EXIT_STOPPED = 0, EXIT_CONFIG = 1, EXIT_START = 2, EXIT_USAGE = 64 };

/* What the command line says. Borrowed. */
struct daemon_options {
	const char *config_file; /* NULL: flags alone */
	struct config_flags flags;
	const char *pid_file;   /* or NULL */
	const char *user;       /* USER[:GROUP], or NULL */
	const char *ports_file; /* gets the actual listening addresses; or NULL */
	bool detach;
	bool core_dumps;
	bool watch;                /* reload when a file has changed */
	char **argv;               /* as we were started, for an upgrade */
	struct heritage *heritage; /* what the predecessor left */
};

/* Runs until it is told to stop; takes over config. Returns the exit code. */
int daemon_run(const struct daemon_options *options, struct config *config);

#endif
