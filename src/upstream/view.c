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
	return v;
}

void
view_take_pages(struct view *v)
{
	const struct snapshot *s = v->snapshot;

	for (size_t i = 0; i < s->n_upstreams; i++)
		v->upstreams[i].counts = books_page(s->upstreams[i].books);
	v->upstreams[s->n_upstreams].counts = books_page(s->books);
}

void
view_put(struct view *v)
{
	if (!v || --v->refs)
		return;
	snapshot_put(v->snapshot);
	free(v);
}
