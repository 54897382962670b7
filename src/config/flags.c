/* SPDX-License-Identifier: MIT
 *
 * flags.c - what the command line says over the file.
 *
 * Flags read their values through the same schema rows as the file does, so ranges
 * and messages are the same; only the place is the flag's name. The arrays have
 * room for one more element, see fill.c.
 */
#include "config/arena.h"
#include "config/load.h"
#include "config/load_private.h"

static void
read_flag(struct loader *l, enum section_id section, const char *key, struct str text,
    void *base, const char *flag)
{
	loader_read(l, schema_find(section, str_of(key)), text, base,
	    (struct origin){.flag = flag});
}

static void
apply_listens(struct loader *l, const struct config_flags *flags)
{
	struct config *c = l->config;

	if (flags->n_listens == 0)
		return;
	c->n_listeners = 0;
	c->listeners = arena_alloc(l->keep, flags->n_listens, sizeof(*c->listeners));
	for (size_t i = 0; c->listeners && i < flags->n_listens; i++) {
		struct config_listener *listener = &c->listeners[c->n_listeners++];

		loader_fill(l, SECTION_LISTENER, NULL, listener);
		read_flag(l, SECTION_LISTENER, "bind", str_of(flags->listens[i]),
		    listener, "-L");
	}
}

static struct config_upstream *
find_default(struct config *c)
{
	for (size_t i = 0; i < c->n_upstreams; i++)
		if (strcmp(c->upstreams[i].name, "default") == 0)
			return &c->upstreams[i];
	return NULL;
}

static struct config_upstream *
add_default(struct loader *l)
{
	struct config *c = l->config;
	struct config_upstream *up;

	if (!c->upstreams)
		return NULL;
	up = &c->upstreams[c->n_upstreams];
	up->name = arena_copy(l->keep, STR("default"));
	if (!up->name)
		return NULL;
	c->n_upstreams++;
	loader_fill(l, SECTION_UPSTREAM, NULL, up);
	return up;
}

/* ADDR[=WEIGHT] */
static void
read_backend(struct loader *l, const char *text, struct config_backend *backend)
{
	const char *equals = strrchr(text, '=');
	struct str address = {text, equals ? (size_t)(equals - text) : strlen(text)};

	loader_fill(l, SECTION_BACKEND, NULL, backend);
	read_flag(l, SECTION_BACKEND, "address", address, backend, "-U");
	if (equals)
		read_flag(l, SECTION_BACKEND, "weight", str_of(equals + 1), backend,
		    "-U");
}

static bool
has_route_for_all(const struct config *c)
{
	for (size_t i = 0; i < c->n_routes; i++) {
		const struct config_route *r = &c->routes[i];

		if (!r->host && r->path && strcmp(r->path, "/") == 0 &&
		    r->match == MATCH_PREFIX && r->n_methods == 0 && r->n_headers == 0)
			return true;
	}
	return false;
}

void
loader_add_route(struct loader *l, const struct config_upstream *upstream)
{
	struct config *c = l->config;
	struct config_route *route;

	if (!c->routes)
		return;
	route = &c->routes[c->n_routes++];
	loader_fill(l, SECTION_ROUTE, NULL, route);
	route->upstream = upstream->name;
}

static void
apply_upstreams(struct loader *l, const struct config_flags *flags)
{
	struct config_upstream *up;

	if (flags->n_upstreams == 0)
		return;
	up = find_default(l->config);
	if (!up)
		up = add_default(l);
	if (!up)
		return;
	up->n_backends = 0;
	up->backends = arena_alloc(l->keep, flags->n_upstreams, sizeof(*up->backends));
	for (size_t i = 0; up->backends && i < flags->n_upstreams; i++)
		read_backend(l, flags->upstreams[i], &up->backends[up->n_backends++]);
	if (!has_route_for_all(l->config))
		loader_add_route(l, up);
}

void
loader_apply_flags(struct loader *l, const struct config_flags *flags)
{
	struct config *c = l->config;

	if (flags->workers)
		read_flag(l, SECTION_TOP, "workers", str_of(flags->workers), c, "-w");
	if (flags->log_level)
		read_flag(l, SECTION_LOG, "level", str_of(flags->log_level), &c->log,
		    "-l");
	if (flags->log_format)
		read_flag(l, SECTION_LOG, "format", str_of(flags->log_format), &c->log,
		    "--log-format");
	if (flags->admin)
		read_flag(l, SECTION_ADMIN, "bind", str_of(flags->admin), &c->admin,
		    "-A");
	apply_listens(l, flags);
	apply_upstreams(l, flags);
}
