/* SPDX-License-Identifier: MIT
 *
 * view.c - a worker's hold on a snapshot; see view.h.
 */
#include "upstream/view.h"

#include <stdlib.h>

struct view *
view_new(struct snapshot *snapshot)
{
	struct view *v =
	    calloc(1, sizeof *v + snapshot->n_upstreams * sizeof *v->n_waiting);

	if (!v) {
		snapshot_put(snapshot);
		return NULL;
	}
	v->snapshot = snapshot;
	v->refs = 1;
	return v;
}

void
view_put(struct view *v)
{
	if (!v || --v->refs)
		return;
	snapshot_put(v->snapshot);
	free(v);
}
