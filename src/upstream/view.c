/* SPDX-License-Identifier: MIT
 *
 * view.c - a worker's hold on a snapshot; see view.h.
 */
#include "upstream/view.h"

#include <stdlib.h>

struct view *
view_new(struct snapshot *snapshot)
{
	struct view *v = malloc(sizeof *v);

	if (!v) {
		snapshot_put(snapshot);
		return NULL;
	}
	*v = (struct view){.snapshot = snapshot, .refs = 1};
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
