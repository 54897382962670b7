/* SPDX-License-Identifier: MIT
 *
 * view.h - a worker's hold on a snapshot, counted without atomics.
 *
 * Exchanges and sessions hold the view under which they chose; the snapshot itself is
 * held once per worker and view. Thread: the worker's.
 */
#ifndef ROOST_UPSTREAM_VIEW_H
#define ROOST_UPSTREAM_VIEW_H

#include "upstream/upstream.h"

struct view {
	struct snapshot *snapshot; /* a reference of ours */
	unsigned refs;
	unsigned n_waiting[]; /* by upstream: exchanges that wait for a place */
};

/* Takes over the caller's reference to the snapshot. NULL: no memory (the reference is
 * given back). One reference for the caller. */
struct view *view_new(struct snapshot *snapshot);

static inline struct view *
view_get(struct view *v)
{
	v->refs++;
	return v;
}

void view_put(struct view *v); /* NULL is fine */

#endif
