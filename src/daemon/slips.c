/* SPDX-License-Identifier: MIT
 *
 * slips.c - what a configuration may say, and hardly ever means; see slips.h.
 *
 * A line that was copied and not changed, a route that was forgotten: no error, since
 * somebody may want just that, but worth a word before it is in force.
 */
#include "daemon/slips.h"

#include "base/object.h"
#include "config/config.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

PRINTF_LIKE(3, 4)
static void
warn_at(const struct config *c, struct config_place at, const char *format, ...)
{
	va_list args;

	if (at.line && c->file)
		fprintf(stderr, "%s:%u:%u: warning: ", c->file, at.line, at.column);
	else
		fprintf(stderr, "roost: warning: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
}

static int
compare_addresses(const void *a, const void *b)
{
	const struct config_backend *x = *(const struct config_backend *const *)a,
				    *y = *(const struct config_backend *const *)b;
	int order = strcmp(x->address, y->address);

	return order ? order : (x > y) - (x < y);
}

/* Drained, such a backend would move its sockets to itself. */
static void
tell_twins(const struct config *c, const struct config_upstream *up)
{
	const struct config_backend **sorted = calloc(up->n_backends, sizeof *sorted);

	for (size_t i = 0; sorted && i < up->n_backends; i++)
		sorted[i] = &up->backends[i];
	if (sorted)
		qsort(sorted, up->n_backends, sizeof *sorted, compare_addresses);
	for (size_t i = 1; sorted && i < up->n_backends; i++)
		if (strcmp(sorted[i]->address, sorted[i - 1]->address) == 0)
			warn_at(c, sorted[i]->place,
			    "upstreams.%s.backends[%zu].address: \"%s\" is that of "
			    "\"%s\", too",
			    up->name, (size_t)(sorted[i] - up->backends),
			    sorted[i]->address, sorted[i - 1]->name);
	free(sorted);
}

static bool
has_weight(const struct config_upstream *up)
{
	for (size_t i = 0; i < up->n_backends; i++)
		if (up->backends[i].weight)
			return true;
	return false;
}

void
slips_tell(const struct config *c)
{
	bool *used = calloc(c->n_upstreams + 1, sizeof *used); /* and none */

	for (size_t i = 0; used && i < c->n_routes; i++)
		used[c->routes[i].upstream_index] = true;
	for (size_t i = 0; i < c->n_upstreams; i++) {
		const struct config_upstream *up = &c->upstreams[i];

		tell_twins(c, up);
		if (used && !used[i])
			warn_at(c, up->place, "upstreams.%s: no route leads there",
			    up->name);
		if (!has_weight(up))
			warn_at(c, up->place,
			    "upstreams.%s: every weight is 0, so nobody new is served",
			    up->name);
	}
	free(used);
}
