/* SPDX-License-Identifier: MIT
 *
 * view.c - a worker's hold on a snapshot; see view.h.
 */
#include "upstream/view.h"

#include "upstream/books.h"
#include <stdlib.h>

struct view *
view_new(struct snapshot *snapshot)
{
	size_t n = snapshot->n_upstreams;
	struct view *v = calloc(1, sizeof *v + (n + 1) * sizeof *v->upstreams);

	if (!v) {
		snapshot_put(snapshot);
		return NULL;
	}
	v->snapshot = snapshot;
	v->refs = 1;
	for (size_t i = 0; i < n; i++)
		v->upstreams[i].counts = books_page(snapshot->upstreams[i].books);
	v->upstreams[n].counts = books_page(snapshot->books);
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
