/* SPDX-License-Identifier: MIT
 *
 * amend.c - what was changed of backends while roost runs; see amend.h.
 *
 * There are as many amendments as an administrator typed, so they are looked through
 * one by one.
 */
#include "upstream/amend.h"

#include "base/log.h"
#include <stdlib.h>
#include <string.h>

const char *
backend_state_name(enum backend_admin_state state)
{
	switch (state) {
	case BACKEND_DRAIN: return "drain";
	case BACKEND_DOWN: return "down";
	case BACKEND_UP: break;
	}
	return "up";
}

bool
backend_row_eq(const struct config_backend *a, const struct config_backend *b)
{
	return strcmp(a->address, b->address) == 0 && a->weight == b->weight &&
	       a->state == b->state && a->backup == b->backup;
}

/* ---- one of them ---- */

static void
amendment_free(struct amendment *a)
{
	if (!a)
		return;
	free(a->upstream);
	free(a->name);
	free(a->file.address);
	free(a->row.address);
	free(a);
}

/* The name is the amendment's. */
static bool
row_copy(struct config_backend *to, const struct config_backend *from, char *name)
{
	*to = *from;
	to->name = name;
	to->place = (struct config_place){0};
	to->address = strdup(from->address);
	return to->address != NULL;
}

/* NULL: no memory. */
static struct amendment *
amendment_new(const char *upstream, const char *name, const struct config_backend *file,
    const struct config_backend *row)
{
	struct amendment *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->in_file = file != NULL;
	a->is_there = row != NULL;
	a->upstream = strdup(upstream);
	a->name = strdup(name);
	if (a->upstream && a->name && (!file || row_copy(&a->file, file, a->name)) &&
	    (!row || row_copy(&a->row, row, a->name)))
		return a;
	amendment_free(a);
	return NULL;
}

static struct amendment *
amendment_copy(const struct amendment *a)
{
	return amendment_new(a->upstream, a->name, a->in_file ? &a->file : NULL,
	    a->is_there ? &a->row : NULL);
}

static bool
amendment_is_of(const struct amendment *a, const char *upstream, const char *name)
{
	return strcmp(a->upstream, upstream) == 0 && strcmp(a->name, name) == 0;
}

/* ---- all of them ---- */

struct amendments *
amendments_get(struct amendments *a)
{
	if (a)
		atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
	return a;
}

void
amendments_put(struct amendments *a)
{
	if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < a->n; i++)
		amendment_free(a->all[i]);
	free(a);
}

const struct amendment *
amendments_find(const struct amendments *a, const char *upstream, const char *name)
{
	for (size_t i = 0; a && i < a->n; i++)
		if (amendment_is_of(a->all[i], upstream, name))
			return a->all[i];
	return NULL;
}

/* With room for so many. */
static struct amendments *
amendments_new(size_t max)
{
	struct amendments *a = calloc(1, sizeof(*a) + max * sizeof(struct amendment *));

	if (a)
		atomic_init(&a->refs, 1);
	return a;
}

/* Takes over `one`; NULL: there was no memory for it. */
static bool
amendments_add(struct amendments *a, struct amendment *one)
{
	if (one)
		a->all[a->n++] = one;
	return one != NULL;
}

/* Takes over a; none at all need no memory. */
static bool
finish(struct amendments *a, bool ok, struct amendments **new_r)
{
	if (ok && a->n) {
		*new_r = a;
		return true;
	}
	amendments_put(a);
	return ok;
}

bool
amendments_with(const struct amendments *old, const char *upstream, const char *name,
    const struct config_backend *file, const struct config_backend *row,
    struct amendments **new_r)
{
	struct amendments *a = amendments_new(old ? old->n + 1 : 1);
	bool is_as_file = file && row ? backend_row_eq(file, row) : !file && !row;
	bool ok = a != NULL;

	*new_r = NULL;
	for (size_t i = 0; ok && old && i < old->n; i++)
		if (!amendment_is_of(old->all[i], upstream, name))
			ok = amendments_add(a, amendment_copy(old->all[i]));
	if (ok && !is_as_file)
		ok = amendments_add(a, amendment_new(upstream, name, file, row));
	return finish(a, ok, new_r);
}

/* ---- beside another configuration ---- */

static const struct config_backend *
row_in(const struct config *config, const struct amendment *a)
{
	for (size_t i = 0; i < config->n_upstreams; i++) {
		const struct config_upstream *up = &config->upstreams[i];

		if (strcmp(up->name, a->upstream) != 0)
			continue;
		for (size_t j = 0; j < up->n_backends; j++)
			if (strcmp(up->backends[j].name, a->name) == 0)
				return &up->backends[j];
	}
	return NULL;
}

static bool
has_upstream(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_upstreams; i++)
		if (strcmp(config->upstreams[i].name, name) == 0)
			return true;
	return false;
}

/* Keys that the file has changed are the file's. True: nothing else is left. */
static bool
follow_file(struct amendment *a, const struct config_backend *file)
{
	if (a->file.state != file->state)
		a->row.state = file->state;
	if (a->file.weight != file->weight)
		a->row.weight = file->weight;
	if (a->file.backup != file->backup)
		a->row.backup = file->backup;
	a->file.state = file->state;
	a->file.weight = file->weight;
	a->file.backup = file->backup;
	return backend_row_eq(&a->file, &a->row);
}

/* Does the file decide alone from now on? Changes a where it decides in part. */
static bool
is_over(struct amendment *a, const struct config *config)
{
	const struct config_backend *file = row_in(config, a);

	if (!a->in_file)
		return file || !has_upstream(config, a->upstream);
	if (!file || strcmp(file->address, a->file.address) != 0)
		return true; /* another server, if any */
	if (backend_row_eq(file, &a->file))
		return false;
	return !a->is_there || strcmp(a->row.address, a->file.address) != 0 ||
	       follow_file(a, file);
}

bool
amendments_after(const struct amendments *old, const struct config *config,
    struct amendments **new_r)
{
	struct amendments *a;
	bool ok = true;

	*new_r = NULL;
	if (!old)
		return true;
	a = amendments_new(old->n);
	for (size_t i = 0; a && ok && i < old->n; i++) {
		struct amendment *one = amendment_copy(old->all[i]);

		if (one && is_over(one, config)) {
			log_notice(TOPIC_BACKEND,
			    "backend %s/%s: the file takes the place of what was "
			    "changed while running",
			    one->upstream, one->name);
			amendment_free(one);
		} else {
			ok = amendments_add(a, one);
		}
	}
	return a && finish(a, ok, new_r);
}

bool
amendments_rows(const struct amendments *a, const struct config_upstream *conf,
    struct config_backend **rows_r, size_t *n_r)
{
	size_t max = conf->n_backends + (a ? a->n : 0), n = 0;
	struct config_backend *rows = calloc(max + 1, sizeof(*rows));

	if (!rows)
		return false;
	for (size_t i = 0; i < conf->n_backends; i++) {
		const struct config_backend *row = &conf->backends[i];
		const struct amendment *one = amendments_find(a, conf->name, row->name);

		if (!one)
			rows[n++] = *row;
		else if (one->is_there)
			rows[n++] = one->row;
	}
	for (size_t i = 0; a && i < a->n; i++)
		if (!a->all[i]->in_file && strcmp(a->all[i]->upstream, conf->name) == 0)
			rows[n++] = a->all[i]->row;
	*rows_r = rows;
	*n_r = n;
	return true;
}
