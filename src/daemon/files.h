/* SPDX-License-Identifier: MIT
 *
 * files.h - notices when one of some files becomes another one.
 *
 * However that is done: written in place, replaced by a rename as editors do, or by
 * swapping a symbolic link somewhere on the way to it, as Kubernetes does with a
 * ConfigMap. Owner and thread: the loop's.
 */
#ifndef ROOST_DAEMON_FILES_H
#define ROOST_DAEMON_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct files;
struct loop;

enum { FILES_MAX = 64 };

/* on_change is called when at least one of them is another one and 300 ms have passed
 * without a further sign. NULL: no memory or descriptors. */
struct files *files_new(struct loop *loop, void (*on_change)(void *arg), void *arg);

/* From now on these (copied; NULL ones are passed over), as they are now, unless they
 * are the same as before. False: no memory or descriptors (logged); for descriptors it
 * is tried again from time to time. */
bool files_watch(struct files *f, const char *const paths[], size_t n);

/* NULL is fine. */
void files_free(struct files *f);

#endif
