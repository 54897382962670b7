/* SPDX-License-Identifier: MIT
 *
 * append.h - files that lines are appended to, and whose they are.
 *
 * Who starts as root and becomes another user must be able to open his logs again: for
 * rotation, and when a new process takes over, which is that user from the first
 * moment. So a file that was created belongs to him. One that was there stays whose it
 * is: to give away what somebody else may have put in its place would be a gift to him.
 */
#ifndef ROOST_BASE_APPEND_H
#define ROOST_BASE_APPEND_H

#include <sys/types.h>

/* Files that are created from now on belong to this user. Before there are threads. */
void append_owner(uid_t user, gid_t group);

/* Creates it where it is not there. Non-blocking: a FIFO without reader must not hang
 * us. -1: errno says why. Any thread. */
int append_open(const char *path);

#endif
