/* SPDX-License-Identifier: MIT
 *
 * check.c - looks across the values of a configuration and completes what follows from
 * others: a backend's name, a listener's address, the one route, a route's upstream.
 *
 * Fields whose value was bad are NULL here and passed over. Doubles are found by
 * sorting, since large files are where they happen.
 */
#include "config/arena.h"
#include "config/form.h"
#include "config/load_private.h"
#include "config/nearest.h"
#include <ctype.h>
#include <stdlib.h>

/* Was it in the file, if only to be refused? */
static bool
is_given(const struct loader *l, const void *field)
{
	return loader_origin(l, field).field != NULL;
}

/* Where to complain about something that is nowhere. */
static struct origin
origin_of_lack(const struct loader *l, const char *flag)
{
	if (l->has_file)
		return (struct origin){.place = {1, 1}};
	return (struct origin){.flag = flag};
}

/* A key that must differ from its neighbours' keys. */
struct item {
	const char *key;
	struct origin at;
	size_t number; /* as the file has them, from 0 */
};

static int
compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	return order ? order : (x->number > y->number) - (x->number < y->number);
}

static void
complain_double(struct loader *l, const char *what, const struct item *first,
    const struct item *again)
{
	char shown[SHOWN], where[48] = "";

	if (first->at.place.line)
		snprintf(where, sizeof(where), " (first in line %u)",
		    first->at.place.line);
	loader_complain(l, again->at, "%s \"%s\" is there already%s, expected it once",
	    what, text_show(str_of(again->key), shown), where);
}

static void
check_doubles(struct loader *l, const char *what, struct item *items, size_t n)
{
	const struct item *first = items;

	if (n < 2)
		return;
	qsort(items, n, sizeof(*items), compare_items);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(first->key, items[i].key) == 0)
			complain_double(l, what, first, &items[i]);
		else
			first = &items[i];
	}
}

static void
check_listeners(struct loader *l)
{
	struct config *c = l->config;
	struct item *items = arena_alloc(l->temp, c->n_listeners, sizeof(*items));
	size_t n = 0;

	if (c->n_listeners == 0 && !is_given(l, &c->listeners))
		loader_complain(l, origin_of_lack(l, "-L"),
		    "no listener, expected at least one address to listen on");
	for (size_t i = 0; items && i < c->n_listeners; i++) {
		struct config_listener *listener = &c->listeners[i];
		char text[ADDR_TEXT];

		if (!listener->bind ||
		    !addr_parse(str_of(listener->bind), &listener->addr))
			continue;
		/* port 0 is another port each time */
		if (addr_port(&listener->addr) == 0)
			continue;
		addr_print(&listener->addr, true, text);
		items[n].key = arena_copy(l->temp, str_of(text));
		items[n].at = loader_origin(l, &listener->bind);
		items[n].number = i;
		n += items[n].key != NULL;
	}
	check_doubles(l, "listener", items, n);
}

/* Two routes are the same if they match the same requests: hosts without case, and
 * /api and /api/ are one prefix. */
static const char *
route_key(struct loader *l, const struct config_route *route)
{
	struct str host = str_of(route->host ? route->host : "*");
	struct str path = str_of(route->path);
	char *key = arena_alloc(l->temp, host.n + path.n + 1, 1);

	if (!key)
		return NULL;
	for (size_t i = 0; i < host.n; i++)
		key[i] = (char)tolower((unsigned char)host.p[i]);
	if (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	memcpy(key + host.n, path.p, path.n);
	return key;
}

static void
check_route_doubles(struct loader *l)
{
	const struct config *c = l->config;
	struct item *items = arena_alloc(l->temp, c->n_routes, sizeof(*items));
	size_t n = 0;

	for (size_t i = 0; items && i < c->n_routes; i++) {
		const struct config_route *route = &c->routes[i];
		struct origin at = loader_origin(l, &route->path);

		if (!route->path || (!route->host && is_given(l, &route->host)))
			continue;
		if (!at.place.line)
			at.place = route->place;
		items[n] = (struct item){route_key(l, route), at, i};
		n += items[n].key != NULL;
	}
	check_doubles(l, "route", items, n);
}

static void
complain_no_upstream(struct loader *l, size_t i)
{
	const struct config *c = l->config;
	const struct config_route *route = &c->routes[i];
	struct nearest nearest = NEAREST_INIT(str_of(route->upstream));
	struct strbuf names = STRBUF_INIT;
	char shown[SHOWN], meant[SHOWN];

	for (size_t j = 0; j < c->n_upstreams; j++) {
		nearest_offer(&nearest, c->upstreams[j].name);
		if (j < 8)
			strbuf_printf(&names, "%s%s", j ? ", " : "",
			    text_show(str_of(c->upstreams[j].name), shown));
	}
	loader_complain(l, loader_origin(l, &route->upstream),
	    "routes[%zu].upstream: there is no upstream \"%s\"%s%s%s, expected one of "
	    "%s%s",
	    i, text_show(str_of(route->upstream), shown),
	    nearest.best ? " (did you mean " : "",
	    text_show(str_of(nearest.best), meant), nearest.best ? "?)" : "",
	    strbuf_cstr(&names), c->n_upstreams > 8 ? " ..." : "");
	strbuf_fini(&names);
}

static void
check_routes(struct loader *l)
{
	struct config *c = l->config;

	if (c->n_routes == 0 && c->n_upstreams == 1 && !is_given(l, &c->routes))
		loader_add_route(l, &c->upstreams[0]);
	if (c->n_routes == 0 && c->n_upstreams > 1 && !is_given(l, &c->routes))
		loader_complain(l, origin_of_lack(l, "-U"),
		    "no routes, expected at least one (they may be left out where "
		    "there is "
		    "only one upstream)");
	for (size_t i = 0; i < c->n_routes; i++) {
		struct config_route *route = &c->routes[i];
		size_t j = 0;

		while (route->upstream && j < c->n_upstreams &&
		       strcmp(route->upstream, c->upstreams[j].name) != 0)
			j++;
		route->upstream_index = j;
		if (route->upstream && j == c->n_upstreams && c->n_upstreams)
			complain_no_upstream(l, i);
	}
	check_route_doubles(l);
}

static void
check_backends(struct loader *l, struct config_upstream *up)
{
	struct item *items = arena_alloc(l->temp, up->n_backends, sizeof(*items));
	char what[128], shown[SHOWN];
	size_t n = 0;

	for (size_t i = 0; items && i < up->n_backends; i++) {
		struct config_backend *b = &up->backends[i];
		bool named = b->name != NULL;

		if (!b->name)
			b->name = b->address;
		if (!b->name)
			continue;
		items[n++] = (struct item){b->name,
		    loader_origin(l, named ? (void *)&b->name : (void *)&b->address),
		    i};
	}
	snprintf(what, sizeof(what), "upstreams.%s.backends: the name",
	    text_show(str_of(up->name), shown));
	check_doubles(l, what, items, n);
}

static void
check_upstream(struct loader *l, struct config_upstream *up)
{
	struct origin at = {.place = up->place};
	char shown[SHOWN];

	text_show(str_of(up->name), shown);
	if (!form_is_name(str_of(up->name)))
		loader_complain(l, at,
		    "upstreams: bad name \"%s\", expected letters, digits and -_.",
		    shown);
	if (up->n_backends == 0 && !is_given(l, &up->backends))
		loader_complain(l, at,
		    "upstreams.%s: no backends, expected at least one", shown);
	check_backends(l, up);
}

void
loader_check(struct loader *l)
{
	struct config *c = l->config;

	check_listeners(l);
	if (c->n_upstreams == 0 && !is_given(l, &c->upstreams))
		loader_complain(l, origin_of_lack(l, "-U"),
		    "no upstream, expected at least one with a backend");
	for (size_t i = 0; i < c->n_upstreams; i++)
		check_upstream(l, &c->upstreams[i]);
	check_routes(l);
}
