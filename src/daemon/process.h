/* SPDX-License-Identifier: MIT
 *
 * process.h - what a daemon owes its operating system. Main thread, before workers.
 */
#ifndef ROOST_DAEMON_PROCESS_H
#define ROOST_DAEMON_PROCESS_H

#include <stdbool.h>

struct strbuf;

/* "USER[:GROUP]" exists? Without a group the user's own is meant. */
bool process_user_check(const char *user, struct strbuf *error);

/* No program that we might start can get more than we have. A thread hands that on to
 * those that it starts, so: before the first. False: errno. */
bool process_forbid_new_privileges(void);

/* Becomes that user for good, with all threads: user, group, supplementary groups; no
 * capability is kept. False: error says why. */
bool process_drop_privileges(const char *user, struct strbuf *error);

/* Where we are root: files of logs that are created from now on belong to that user, who
 * process_user_check has found. */
void process_give_logs(const char *user);

/* Lets the system write a core dump, as far as its limits allow; after the change of
 * the user. False: error says why it never will. */
bool process_allow_core_dumps(struct strbuf *error);

/* Goes into the background. The parent waits until process_ready or an exit of the
 * child, and exits with 0 or with the child's status. False: fork failed. */
bool process_detach(void);

/* The daemon is up: the waiting parent, if any, may go. A detached one lets go of its
 * terminal, standard error included, so its log should be a file. */
void process_ready(void);

/* Writes the pid file and keeps it locked; one that a dead process left is taken over.
 * False: cannot be written, or another process holds it: error says which. */
bool process_pid_file(const char *path, struct strbuf *error);

/* Removes the pid file that was written, or empties it where it may not be removed. */
void process_pid_file_remove(void);

/* For an upgrade: the locked descriptor of the pid file, or -1; the new process, which
 * has it as fd (taken over), makes the file its own; the old one leaves it alone. */
int process_pid_file_fd(void);
bool process_pid_file_adopt(const char *path, int fd, struct strbuf *error);
void process_pid_file_leave(void);

/* Raises the limit of descriptors as far as allowed; returns it. */
unsigned long process_raise_descriptors(void);

/* How many sessions, of two descriptors each, fit beside what is open now. */
unsigned long process_room_for_sessions(unsigned long descriptors);

/* CPUs this process may use, at least 1. */
unsigned process_cpus(void);

#endif
