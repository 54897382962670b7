/* SPDX-License-Identifier: MIT
 *
 * arena.h - memory that is freed as a whole.
 *
 * A configuration is hundreds of small strings and arrays that live and die
 * together; one owner for all of them leaves nothing to forget on any error path.
 *
 * Owner: who called arena_new. Thread: one at a time.
 */
#ifndef ROOST_CONFIG_ARENA_H
#define ROOST_CONFIG_ARENA_H

#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>

struct arena;

/* NULL: no memory. */
struct arena *arena_new(void);
void arena_free(struct arena *a); /* NULL is fine */

/* n * size zeroed bytes, aligned for any type; NULL when memory is out, and from then
 * on arena_has_failed. */
void *arena_alloc(struct arena *a, size_t n, size_t size);

/* A NUL-terminated copy, or NULL as above. */
char *arena_copy(struct arena *a, struct str text);

bool arena_has_failed(const struct arena *a);

#endif
