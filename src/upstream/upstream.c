/* SPDX-License-Identifier: MIT
 *
 * upstream.c - the upstreams of one configuration, with their live backends.
 *
 * A snapshot is built aside, with new records only where the old one has none to keep;
 * the records themselves are changed at the very end, when nothing can fail any more.
 * So a reload that runs out of memory leaves the running configuration untouched.
 *
 * Threads: snapshot_new control thread only; the rest any.
 */
#include "upstream/upstream.h"

#include "base/hash.h"
#include "config/load.h"
#include "upstream/backend.h"
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

static struct backend *
backend_matching(const struct upstream *up, const struct config_backend *conf)
{
	for (size_t i = 0; i < up->n_backends; i++) {
		struct backend *b = up->backends[i];

		if (strcmp(b->name, conf->name) == 0 &&
		    strcmp(b->address, conf->address) == 0)
			return b;
	}
	return NULL;
}

static bool
upstream_init(struct upstream *up, const struct config_upstream *conf,
    const struct snapshot *old)
{
	const struct upstream *before = old ? upstream_named(old, conf->name) : NULL;

	up->conf = conf;
	up->id = hash_stable(0, conf->name, strlen(conf->name));
	up->backends = calloc(conf->n_backends, sizeof(*up->backends));
	if (!up->backends)
		return false;
	for (; up->n_backends < conf->n_backends; up->n_backends++) {
		const struct config_backend *row = &conf->backends[up->n_backends];
		struct backend *kept = before ? backend_matching(before, row) : NULL;
		struct backend *b =
		    kept ? backend_get(kept) : backend_new(conf->name, row);

		if (!b)
			return false;
		up->backends[up->n_backends] = b;
	}
	return true;
}

static void
upstreams_free(struct snapshot *s)
{
	for (size_t i = 0; i < s->n_upstreams; i++) {
		struct upstream *up = &s->upstreams[i];

		for (size_t j = 0; j < up->n_backends; j++)
			backend_put(up->backends[j]);
		free(up->backends);
	}
	free(s->upstreams);
}

static bool
upstreams_init(struct snapshot *s, const struct config *config,
    const struct snapshot *old)
{
	s->upstreams = calloc(config->n_upstreams, sizeof(*s->upstreams));
	if (!s->upstreams)
		return false;
	s->n_upstreams = config->n_upstreams;
	for (size_t i = 0; i < s->n_upstreams; i++) {
		if (!upstream_init(&s->upstreams[i], &config->upstreams[i], old))
			return false;
	}
	return true;
}

static void
backends_configure(struct snapshot *s)
{
	for (size_t i = 0; i < s->n_upstreams; i++) {
		struct upstream *up = &s->upstreams[i];

		for (size_t j = 0; j < up->n_backends; j++)
			backend_configure(up->backends[j], &up->conf->backends[j],
			    up->conf);
	}
}

static void
backends_mark_removed(const struct snapshot *old, const struct snapshot *new)
{
	for (size_t i = 0; i < old->n_upstreams; i++) {
		const struct upstream *was = &old->upstreams[i];
		const struct upstream *is = upstream_named(new, was->conf->name);

		for (size_t j = 0; j < was->n_backends; j++) {
			if (!is || !backend_matching(is, &was->conf->backends[j]))
				atomic_store(&was->backends[j]->removed, true);
		}
	}
}

struct snapshot *
snapshot_new(struct config *config, const struct snapshot *old)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (!upstreams_init(s, config, old)) {
		upstreams_free(s);
		free(s);
		return NULL;
	}
	atomic_init(&s->refs, 1);
	s->config = config;
	backends_configure(s);
	if (old)
		backends_mark_removed(old, s);
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
	if (s->router)
		s->router_free(s->router);
	upstreams_free(s);
	config_free(s->config);
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
