/* SPDX-License-Identifier: MIT
 *
 * upstream.c - the upstreams of one configuration, with their live backends.
 *
 * A snapshot is built aside, with new records only where the old one has none to keep;
 * the records themselves are changed at the very end, when nothing can fail any more.
 * So a reload that runs out of memory leaves the running configuration untouched.
 *
 * A backend that is configured by name has a record for each of the name's addresses. A
 * reload carries them over; when the resolver finds others, a snapshot of the same
 * configuration takes the place of the old one, and what follows is the same as after a
 * reload: what is gone drains, what is new gets its share. The same goes for what the
 * administrator changes while we run (amend.h).
 *
 * Threads: snapshot_new control thread only; the rest any.
 */
#include "upstream/upstream.h"

#include "base/hash.h"
#include "config/load.h"
#include "upstream/amend.h"
#include "upstream/backend.h"
#include "upstream/books.h"
#include "upstream/pace.h"
#include "upstream/resolver.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct upstream *
upstream_named(const struct snapshot *s, const char *name)
{
	for (size_t i = 0; i < s->n_upstreams; i++) {
		if (strcmp(s->upstreams[i].conf->name, name) == 0)
			return &s->upstreams[i];
	}
	return NULL;
}

/* ---- the records behind one row of the file ---- */

static bool
upstream_add(struct upstream *up, struct backend *b)
{
	struct backend **more;

	if (!b)
		return false;
	more = realloc(up->backends, (up->n_backends + 1) * sizeof(*more));
	if (!more) {
		backend_put(b);
		return false;
	}
	up->backends = more;
	up->backends[up->n_backends++] = b;
	return true;
}

static const struct backend *
backend_named(const struct upstream *up, const char *name)
{
	for (size_t i = 0; up && i < up->n_backends; i++) {
		if (strcmp(up->backends[i]->name, name) == 0)
			return up->backends[i];
	}
	return NULL;
}

/* A record for one more address of a name: the lowest number that is free. */
static struct backend *
sibling_new(const struct upstream *up, const struct upstream *before,
    const struct config_backend *row)
{
	struct config_backend numbered = *row;
	struct backend *b = NULL;
	char *name = NULL;

	for (unsigned n = 1; !name; n++) {
		if (asprintf(&name, n == 1 ? "%s" : "%s#%u", row->name, n) < 0)
			return NULL;
		if (backend_named(up, name) || backend_named(before, name)) {
			free(name);
			name = NULL;
		}
	}
	numbered.name = name;
	b = backend_new(up->conf->name, &numbered);
	free(name);
	return b;
}

static struct backend *
backend_at(const struct upstream *before, const struct config_backend *row,
    const struct addr *addr)
{
	for (size_t i = 0; before && i < before->n_backends; i++) {
		struct backend *b = before->backends[i];
		struct addr at;

		if (backend_is_of(b, row) && backend_addr(b, &at) && addr_eq(&at, addr))
			return b;
	}
	return NULL;
}

/* The one that waits for its first address. */
static struct backend *
backend_waiting(const struct upstream *before, const struct config_backend *row)
{
	struct addr at;

	for (size_t i = 0; before && i < before->n_backends; i++) {
		if (backend_is_of(before->backends[i], row) &&
		    !backend_addr(before->backends[i], &at))
			return before->backends[i];
	}
	return NULL;
}

/* As the file says; what is known of a name's addresses already goes on. */
static bool
add_row(struct upstream *up, const struct upstream *before,
    const struct config_backend *row)
{
	size_t n = up->n_backends;

	for (size_t i = 0; before && i < before->n_backends; i++) {
		if (backend_is_of(before->backends[i], row) &&
		    !upstream_add(up, backend_get(before->backends[i])))
			return false;
	}
	return up->n_backends > n || upstream_add(up, backend_new(up->conf->name, row));
}

/* As the resolver says. */
static bool
add_found(struct upstream *up, const struct upstream *before,
    const struct config_backend *row, const struct found *found)
{
	for (size_t i = 0; i < found->n; i++) {
		const struct place *place = &found->places[i];
		struct backend *b = backend_at(before, row, &place->addr);

		if (b)
			backend_get(b);
		else
			b = sibling_new(up, before, row);
		if (!upstream_add(up, b))
			return false;
		backend_set_addr(b, &place->addr);
	}
	return true;
}

/* ---- building aside ---- */

/* Those of before go on. */
static struct books *
books_after(struct books *before)
{
	return before ? books_get(before) : books_new(sizeof(struct upstream_counts));
}

static bool
upstream_init(struct upstream *up, const struct config_upstream *conf,
    const struct amendments *amendments, const struct snapshot *old,
    const struct found *found)
{
	const struct upstream *before = old ? upstream_named(old, conf->name) : NULL;
	bool ok;

	up->conf = conf;
	up->id = hash_stable(0, conf->name, strlen(conf->name));
	up->pace = before ? pace_get(before->pace) : pace_new();
	up->books = books_after(before ? before->books : NULL);
	ok = up->pace != NULL && up->books != NULL &&
	     amendments_rows(amendments, conf, &up->rows, &up->n_rows);
	for (size_t i = 0; i < up->n_rows && ok; i++) {
		const struct config_backend *row = &up->rows[i];

		if (found && strcmp(found->address, row->address) == 0)
			ok = add_found(up, before, row, found);
		else
			ok = add_row(up, before, row);
	}
	return ok;
}

static void
upstreams_free(struct snapshot *s)
{
	for (size_t i = 0; i < s->n_upstreams; i++) {
		struct upstream *up = &s->upstreams[i];

		for (size_t j = 0; j < up->n_backends; j++)
			backend_put(up->backends[j]);
		free(up->backends);
		free(up->rows);
		books_put(up->books);
		pace_put(up->pace);
	}
	free(s->upstreams);
	books_put(s->books);
}

static bool
upstreams_init(struct snapshot *s, const struct config *config,
    const struct amendments *amendments, const struct snapshot *old,
    const struct found *found)
{
	s->upstreams = calloc(config->n_upstreams, sizeof(*s->upstreams));
	if (!s->upstreams)
		return false;
	s->n_upstreams = config->n_upstreams;
	s->books = books_after(old ? old->books : NULL);
	if (!s->books)
		return false;
	for (size_t i = 0; i < s->n_upstreams; i++) {
		s->upstreams[i].index = i;
		if (!upstream_init(&s->upstreams[i], &config->upstreams[i], amendments,
			old, found))
			return false;
	}
	return true;
}

/* ---- taking effect ---- */

static void
configure_weight(struct backend *b, const struct config_backend *row)
{
	bool announced = row->weight && b->announced_weight;

	atomic_store(&b->weight, announced ? b->announced_weight : row->weight);
}

static void
configure_backend(const struct upstream *up, struct backend *b)
{
	for (size_t i = 0; i < up->n_rows; i++) {
		const struct config_backend *row = &up->rows[i];

		if (!backend_is_of(b, row))
			continue;
		backend_configure(b, row, up->conf);
		configure_weight(b, row);
		outlier_configure(&b->outlier, &up->conf->outliers);
		return;
	}
}

static bool
upstream_has(const struct upstream *up, const struct backend *b)
{
	for (size_t i = 0; up && i < up->n_backends; i++) {
		if (up->backends[i] == b)
			return true;
	}
	return false;
}

/* All, but for those that `except` (may be NULL) has. */
static void
backends_configure(struct snapshot *s, const struct snapshot *except)
{
	for (size_t i = 0; i < s->n_upstreams; i++) {
		struct upstream *up = &s->upstreams[i];
		const struct upstream *was =
		    except ? upstream_named(except, up->conf->name) : NULL;

		for (size_t j = 0; j < up->n_backends; j++)
			if (!upstream_has(was, up->backends[j]))
				configure_backend(up, up->backends[j]);
	}
}

static void
backends_mark_removed(const struct snapshot *old, const struct snapshot *new)
{
	for (size_t i = 0; i < old->n_upstreams; i++) {
		const struct upstream *was = &old->upstreams[i];
		const struct upstream *is = upstream_named(new, was->conf->name);

		for (size_t j = 0; j < was->n_backends; j++) {
			if (!upstream_has(is, was->backends[j]))
				atomic_store(&was->backends[j]->removed, true);
		}
	}
}

static struct snapshot *
snapshot_build(struct config *config, struct amendments *amendments,
    const struct snapshot *old, const struct found *found)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (!upstreams_init(s, config, amendments, old, found)) {
		upstreams_free(s);
		free(s);
		return NULL;
	}
	atomic_init(&s->refs, 1);
	s->config = config;
	s->amendments = amendments_get(amendments);
	return s;
}

struct snapshot *
snapshot_new(struct config *config, const struct snapshot *old)
{
	struct amendments *amendments;
	struct snapshot *s;

	if (!amendments_after(old ? old->amendments : NULL, config, &amendments))
		return NULL;
	s = snapshot_build(config, amendments, old, NULL);
	amendments_put(amendments);
	if (!s)
		return NULL;
	backends_configure(s, NULL);
	if (old)
		backends_mark_removed(old, s);
	return s;
}

/* Of the same configuration. */
static struct snapshot *
snapshot_derive(struct snapshot *old, struct amendments *amendments,
    const struct found *found)
{
	struct snapshot *s = snapshot_build(old->config, amendments, old, found);

	if (!s)
		return NULL;
	s->origin = snapshot_get(old->origin ? old->origin : old);
	s->router = old->router;
	return s;
}

struct snapshot *
snapshot_amended(struct snapshot *old, struct amendments *amendments)
{
	struct snapshot *s = snapshot_derive(old, amendments, NULL);

	if (!s)
		return NULL;
	backends_configure(s, NULL);
	backends_mark_removed(old, s);
	return s;
}

/* ---- what the resolver found ---- */

static void
log_place(const struct backend *b, const struct addr *addr)
{
	char text[ADDR_TEXT];

	backend_log(LEVEL_INFO, b, "backend %s/%s is at %s", b->upstream, b->name,
	    addr_print(addr, true, text));
}

/* The record that waits for its first address gets one that no other has. */
static void
settle_first(const struct upstream *up, const struct config_backend *row,
    const struct found *found)
{
	struct backend *b = backend_waiting(up, row);

	for (size_t i = 0; b && i < found->n; i++) {
		const struct addr *addr = &found->places[i].addr;

		if (backend_at(up, row, addr))
			continue;
		backend_set_addr(b, addr);
		log_place(b, addr);
		return;
	}
}

/* Weights, as far as there are records. True: there are others to be. */
static bool
settle_row(const struct upstream *up, const struct config_backend *row,
    const struct found *found)
{
	size_t n = 0, known = 0;

	settle_first(up, row, found);
	for (size_t i = 0; i < up->n_backends; i++)
		n += backend_is_of(up->backends[i], row);
	for (size_t i = 0; i < found->n; i++) {
		struct backend *b = backend_at(up, row, &found->places[i].addr);

		if (!b)
			continue;
		known++;
		if (b->announced_weight == found->places[i].weight)
			continue;
		b->announced_weight = found->places[i].weight;
		configure_weight(b, row);
	}
	return known != found->n || n != found->n;
}

static bool
settle(const struct snapshot *s, const struct found *found)
{
	bool others = false;

	for (size_t u = 0; u < s->n_upstreams; u++) {
		const struct upstream *up = &s->upstreams[u];

		for (size_t i = 0; i < up->n_rows; i++) {
			const struct config_backend *row = &up->rows[i];

			if (strcmp(row->address, found->address) == 0)
				others |= settle_row(up, row, found);
		}
	}
	return others;
}

/* Who comes in and who goes. */
static void
log_moves(const struct snapshot *old, const struct snapshot *new)
{
	for (size_t u = 0; u < new->n_upstreams; u++) {
		const struct upstream *is = &new->upstreams[u];
		const struct upstream *was = upstream_named(old, is->conf->name);
		struct addr addr;

		for (size_t i = 0; i < is->n_backends; i++) {
			if (!upstream_has(was, is->backends[i]) &&
			    backend_addr(is->backends[i], &addr))
				log_place(is->backends[i], &addr);
		}
		for (size_t i = 0; was && i < was->n_backends; i++) {
			if (!upstream_has(is, was->backends[i]))
				backend_log(LEVEL_NOTICE, was->backends[i],
				    "backend %s/%s has left: its name has that address "
				    "no more",
				    was->conf->name, was->backends[i]->name);
		}
	}
}

struct snapshot *
snapshot_found(struct snapshot *old, const struct found *found, bool *changed_r)
{
	struct snapshot *s;

	*changed_r = settle(old, found);
	if (!*changed_r)
		return NULL;
	s = snapshot_derive(old, old->amendments, found);
	if (!s)
		return NULL;
	backends_configure(s, old);
	settle(s, found); /* the weights of those that are new */
	backends_mark_removed(old, s);
	log_moves(old, s);
	return s;
}

struct snapshot *
snapshot_get(struct snapshot *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void
snapshot_put(struct snapshot *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
		return;
	upstreams_free(s);
	amendments_put(s->amendments);
	if (s->origin) {
		snapshot_put(s->origin);
	} else {
		if (s->router)
			s->router_free(s->router);
		config_free(s->config);
	}
	free(s);
}

const struct upstream *
snapshot_upstream(const struct snapshot *s, uint64_t id)
{
	for (size_t i = 0; i < s->n_upstreams; i++) {
		if (s->upstreams[i].id == id)
			return &s->upstreams[i];
	}
	return NULL;
}
