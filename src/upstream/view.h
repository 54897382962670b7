/* SPDX-License-Identifier: MIT
 *
 * view.h - a worker's hold on a snapshot, counted without atomics.
 *
 * Exchanges and sessions hold the view under which they chose; the snapshot itself is
 * held once per worker and view. Thread: the worker's, but for view_new.
 */
#ifndef ROOST_UPSTREAM_VIEW_H
#define ROOST_UPSTREAM_VIEW_H

#include "upstream/upstream.h"

struct upstream_counts;

/* What a worker has of one upstream. */
struct view_upstream {
	struct upstream_counts *counts; /* borrowed from its books */
	unsigned n_waiting;             /* exchanges that wait for a place */
};

struct view {
	struct snapshot *snapshot; /* a reference of ours */
	unsigned refs;
	struct view_upstream upstreams[]; /* by index, and behind the last: what belongs
					     to none */
};

/* Takes over the caller's reference to the snapshot. NULL: no memory (the reference is
 * given back). One reference for the caller. Any thread. */
struct view *view_new(struct snapshot *snapshot);

/* Nothing may be counted before; from now on the calling thread does, and no other. */
void view_take_pages(struct view *v);

static inline struct view *
view_get(struct view *v)
{
	v->refs++;
	return v;
}

void view_put(struct view *v); /* NULL is fine */

/* Where this worker counts what has to do with an upstream of that view (NULL: with
 * none). Lives as long as the view. */
static inline struct upstream_counts *
view_counts(const struct view *v, const struct upstream *up)
{
	return v->upstreams[up ? up->index : v->snapshot->n_upstreams].counts;
}

#endif
