/* SPDX-License-Identifier: MIT
 *
 * routes.c - checks of routes: where each ends, that its upstream exists, and that no
 * two are for the same requests.
 */
#include "config/arena.h"
#include "config/identity.h"
#include "config/load_private.h"
#include "config/nearest.h"
#include <ctype.h>
#include <stdlib.h>

static char *
copy_lower(struct loader *l, const char *text)
{
	char *copy = text ? arena_copy(l->temp, str_of(text)) : NULL;

	for (char *p = copy; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
compare_headers(const void *a, const void *b)
{
	const struct config_header *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* In the order of their names, in small letters. */
static struct config_header *
sorted_headers(struct loader *l, const struct config_route *route)
{
	struct config_header *copy =
	    arena_alloc(l->temp, route->n_headers, sizeof(*copy));

	for (size_t i = 0; copy && i < route->n_headers; i++) {
		copy[i].name = copy_lower(l, route->headers[i].name);
		copy[i].value = route->headers[i].value;
		if (!copy[i].name)
			return NULL;
	}
	if (copy && route->n_headers)
		qsort(copy, route->n_headers, sizeof(*copy), compare_headers);
	return copy;
}

static char **
sorted_methods(struct loader *l, const struct config_route *route)
{
	size_t n = route->n_methods;
	char **copy = arena_alloc(l->temp, n, sizeof(*copy));

	if (!copy || n == 0)
		return copy;
	memcpy(copy, route->methods, n * sizeof(*copy));
	qsort(copy, n, sizeof(*copy), compare_strings);
	return copy;
}

/* Two routes are the same if they match the same requests: hosts and names of headers
 * without case, lists in any order; and /api and /api/ are one prefix. */
static const char *
route_key(struct loader *l, const struct config_route *route)
{
	struct config_route plain = *route;
	struct strbuf text = STRBUF_INIT;
	const char *key = NULL;

	plain.host = copy_lower(l, route->host);
	plain.path = arena_copy(l->temp, str_of(route->path));
	plain.methods = sorted_methods(l, route);
	plain.headers = sorted_headers(l, route);
	if (plain.path && plain.methods && plain.headers) {
		size_t n = strlen(plain.path);

		if (plain.match == MATCH_PREFIX && n > 1 && plain.path[n - 1] == '/')
			plain.path[n - 1] = '\0';
		identity_print(SECTION_ROUTE, &plain, &text);
		key = arena_copy(l->temp, str_of(strbuf_cstr(&text)));
	}
	strbuf_fini(&text);
	return key;
}

/* Without what was bad two may look the same that are not. */
static bool
has_bad_condition(const struct loader *l, const struct config_route *route)
{
	return !route->path || (!route->host && loader_is_given(l, &route->host)) ||
	       (!route->methods && loader_is_given(l, &route->methods)) ||
	       (!route->headers && loader_is_given(l, &route->headers));
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

		if (has_bad_condition(l, route))
			continue;
		if (!at.place.line)
			at.place = route->place;
		items[n] = (struct item){route_key(l, route), at, i};
		n += items[n].key != NULL;
	}
	loader_check_doubles(l, "route", items, n);
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
find_upstream(struct loader *l, size_t i)
{
	struct config *c = l->config;
	struct config_route *route = &c->routes[i];
	size_t j = 0;

	while (route->upstream && j < c->n_upstreams &&
	       strcmp(route->upstream, c->upstreams[j].name) != 0)
		j++;
	route->upstream_index = route->upstream ? j : c->n_upstreams;
	if (route->upstream && j == c->n_upstreams && c->n_upstreams)
		complain_no_upstream(l, i);
}

/* It ends in exactly one of three ways; with one upstream, that is the usual one. */
static void
check_end(struct loader *l, size_t i)
{
	struct config *c = l->config;
	struct config_route *route = &c->routes[i];
	bool respond = loader_is_given(l, &route->respond);
	bool redirect = loader_is_given(l, &route->redirect);
	bool upstream = route->upstream || loader_is_given(l, &route->upstream);
	struct origin at = {.place = route->place};

	if (upstream + respond + redirect == 0 && c->n_upstreams == 1)
		route->upstream = c->upstreams[0].name;
	else if (upstream + respond + redirect == 0 && c->n_upstreams)
		loader_complain(l, at,
		    "routes[%zu]: leads nowhere, expected upstream, respond or "
		    "redirect",
		    i);
	else if (upstream + respond + redirect > 1)
		loader_complain(l, at,
		    "routes[%zu]: %s%s%s, expected only one of upstream, respond and "
		    "redirect",
		    i, upstream ? "upstream and " : "",
		    respond ? "respond" : "redirect",
		    respond && redirect ? " and redirect" : "");
}

/* Was each value that decides about others good? */
static bool
has_good_end(const struct loader *l, const struct config_route *route)
{
	return (route->upstream || !loader_is_given(l, &route->upstream)) &&
	       (route->respond || !loader_is_given(l, &route->respond)) &&
	       (route->redirect || !loader_is_given(l, &route->redirect));
}

static void
check_app_heartbeats(struct loader *l, const struct config_route *route,
    const char *path)
{
	struct item *items =
	    arena_alloc(l->temp, route->n_app_heartbeats, sizeof(*items));
	struct strbuf text = STRBUF_INIT;
	char what[96];
	size_t n = 0;

	for (size_t i = 0; items && i < route->n_app_heartbeats; i++) {
		const struct config_app_heartbeat *h = &route->app_heartbeats[i];

		if (!h->field || !h->value)
			continue;
		strbuf_reset(&text);
		identity_print(SECTION_APP_HEARTBEAT, h, &text);
		items[n] =
		    (struct item){arena_copy(l->temp, str_of(strbuf_cstr(&text))),
			loader_origin(l, &h->value), i};
		n += items[n].key != NULL;
	}
	snprintf(what, sizeof(what), "%s.app_heartbeats: the value", path);
	loader_check_doubles(l, what, items, n);
	strbuf_fini(&text);
}

static void
check_route(struct loader *l, size_t i)
{
	struct config_route *route = &l->config->routes[i];
	char path[48];

	snprintf(path, sizeof(path), "routes[%zu]", i);
	check_end(l, i);
	find_upstream(l, i);
	if (has_good_end(l, route))
		loader_check_belongs(l, SECTION_ROUTE, route, path);
	check_app_heartbeats(l, route, path);
}

void
loader_check_routes(struct loader *l)
{
	struct config *c = l->config;

	if (c->n_routes == 0 && c->n_upstreams == 1 && !loader_is_given(l, &c->routes))
		loader_add_route(l, &c->upstreams[0]);
	if (c->n_routes == 0 && c->n_upstreams > 1 && !loader_is_given(l, &c->routes))
		loader_complain(l, loader_lack(l, "-U"),
		    "no routes, expected at least one (they may be left out where "
		    "there is only one upstream)");
	for (size_t i = 0; i < c->n_routes; i++)
		check_route(l, i);
	check_route_doubles(l);
}
