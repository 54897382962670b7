/* SPDX-License-Identifier: MIT
 *
 * amend.h - what was changed of backends while roost runs, over what the file says.
 *
 * A change lives until the file says something else about the same thing, the backend
 * is removed, or roost ends (an upgrade hands it on): an amendment keeps both the row
 * of the file as it was and the row as it is to be, so that a later file can be held
 * against the first. Key by key: a new weight in the file says nothing about a backend
 * that was set to drain.
 *
 * Owner: reference counted, one reference per snapshot. Thread: immutable, any.
 */
#ifndef ROOST_UPSTREAM_AMEND_H
#define ROOST_UPSTREAM_AMEND_H

#include "base/object.h"
#include "config/config.h"
#include <stdatomic.h>
#include <stdbool.h>

struct amendment {
	char *upstream; /* name */
	char *name;     /* of the backend */
	bool in_file;   /* `file` is what the file says of it */
	bool is_there;  /* `row` is what it is to be; else it is removed */
	struct config_backend file, row; /* their texts are ours */
};

struct amendments {
	atomic_uint refs;
	size_t n;
	struct amendment *all[];
};

struct amendments *amendments_get(struct amendments *a); /* returns a; NULL is fine */
void amendments_put(struct amendments *a);               /* NULL is fine */

/* NULL: none of that backend. */
const struct amendment *amendments_find(const struct amendments *a,
    const char *upstream, const char *name);

/* A copy of old (NULL: none so far), in which backend `name` of the upstream is to be
 * as `row` says, or removed (NULL), while the file says `file`, or nothing of it
 * (NULL). What comes to the same as the file needs no amendment. *new_r may be NULL,
 * which is none. False: no memory. */
bool amendments_with(const struct amendments *old, const char *upstream,
    const char *name, const struct config_backend *file,
    const struct config_backend *row, struct amendments **new_r) MUST_CHECK;

/* What stays of them beside another configuration; what does not is logged. */
bool amendments_after(const struct amendments *old, const struct config *config,
    struct amendments **new_r) MUST_CHECK;

/* The rows of an upstream as they are to be: those of the file in their order, then
 * the added ones. The rows' texts belong to conf and a; the array is the caller's to
 * free. False: no memory. */
bool amendments_rows(const struct amendments *a, const struct config_upstream *conf,
    struct config_backend **rows_r, size_t *n_r) MUST_CHECK;

/* Does it mean the same, but for where it stands in the file? */
bool backend_row_eq(const struct config_backend *a, const struct config_backend *b);

/* "up", "drain" or "down". */
const char *backend_state_name(enum backend_admin_state state);

#endif
