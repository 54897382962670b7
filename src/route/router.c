/* SPDX-License-Identifier: MIT
 *
 * router.c - host and path to a route; see router.h.
 *
 * The routes are sorted once, most specific first, and cut into groups of one host.
 * Exact hosts come first and in order, so one of many is found by halving; wildcards
 * and the group without a host are few and walked. The first rule whose path fits
 * wins. A host whose paths do not fit leaves the request to the less specific ones.
 *
 * Threads: immutable after router_new, any.
 */
#include "route/router.h"

#include "config/config.h"
#include <ctype.h>
#include <stdlib.h>

enum host_kind { HOST_EXACT, HOST_SUFFIX, HOST_ANY };

struct rule {
	enum host_kind kind;
	struct str host; /* of a wildcard: from its dot on */
	struct str path; /* without a slash at its end */
	const struct config_route *route;
};

struct group {
	enum host_kind kind;
	struct str host;
	const struct rule *rules; /* longest path first */
	size_t n_rules;
};

/* Owner: the snapshot. Thread: immutable, any. */
struct router {
	struct rule *rules;
	struct group *groups;
	size_t n_groups;
	size_t n_exact; /* groups[0..n_exact) are exact hosts */
};

/* Without port and without the dot of a fully qualified name. */
static struct str
host_bare(struct str host)
{
	size_t n = host.n;

	while (n && isdigit((unsigned char)host.p[n - 1]))
		n--;
	if (n && host.p[n - 1] == ':')
		host.n = n - 1;
	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	return host;
}

static int
host_compare(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? strncasecmp(a.p, b.p, n) : 0;

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

static struct rule
rule_of(const struct config_route *route)
{
	struct str host = host_bare(str_of(route->host));
	struct str path = str_of(route->path);
	struct rule rule = {.kind = HOST_EXACT, .host = host, .route = route};

	if (host.n == 0 || str_eq(host, STR("*"))) {
		rule.kind = HOST_ANY;
		rule.host = STR("");
	} else if (host.n > 1 && host.p[0] == '*' && host.p[1] == '.') {
		rule.kind = HOST_SUFFIX;
		rule.host = (struct str){host.p + 1, host.n - 1};
	}
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	rule.path = path;
	return rule;
}

/* Ties keep the file's order: the routes are one array. */
static int
rule_compare(const void *pa, const void *pb)
{
	const struct rule *a = pa, *b = pb;
	int order;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == HOST_SUFFIX && a->host.n != b->host.n)
		return a->host.n > b->host.n ? -1 : 1;
	order = host_compare(a->host, b->host);
	if (order)
		return order;
	if (a->path.n != b->path.n)
		return a->path.n > b->path.n ? -1 : 1;
	return (a->route > b->route) - (a->route < b->route);
}

static void
groups_fill(struct router *r, size_t n_rules)
{
	for (size_t i = 0; i < n_rules; i++) {
		const struct rule *rule = &r->rules[i];
		struct group *last = r->n_groups ? &r->groups[r->n_groups - 1] : NULL;

		if (last && last->kind == rule->kind &&
		    host_compare(last->host, rule->host) == 0) {
			last->n_rules++;
			continue;
		}
		r->groups[r->n_groups++] = (struct group){.kind = rule->kind,
		    .host = rule->host,
		    .rules = rule,
		    .n_rules = 1};
		r->n_exact += rule->kind == HOST_EXACT;
	}
}

struct router *
router_new(const struct config *config)
{
	struct router *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->rules = calloc(config->n_routes, sizeof(*r->rules));
	r->groups = calloc(config->n_routes, sizeof(*r->groups));
	if (!r->rules || !r->groups) {
		router_free(r);
		return NULL;
	}
	for (size_t i = 0; i < config->n_routes; i++)
		r->rules[i] = rule_of(&config->routes[i]);
	qsort(r->rules, config->n_routes, sizeof(*r->rules), rule_compare);
	groups_fill(r, config->n_routes);
	return r;
}

void
router_free(struct router *r)
{
	if (!r)
		return;
	free(r->rules);
	free(r->groups);
	free(r);
}

/* An empty prefix takes everything, the "*" of OPTIONS too. */
static bool
path_fits(struct str prefix, struct str path)
{
	if (prefix.n == 0)
		return true;
	if (path.n < prefix.n || memcmp(path.p, prefix.p, prefix.n) != 0)
		return false;
	return path.n == prefix.n || path.p[prefix.n] == '/';
}

static const struct config_route *
group_find(const struct group *g, struct str path)
{
	for (size_t i = 0; i < g->n_rules; i++) {
		if (path_fits(g->rules[i].path, path))
			return g->rules[i].route;
	}
	return NULL;
}

static int
group_compare(const void *key, const void *group)
{
	return host_compare(*(const struct str *)key,
	    ((const struct group *)group)->host);
}

static bool
group_takes(const struct group *g, struct str host)
{
	struct str end;

	if (g->kind == HOST_ANY)
		return true;
	if (host.n <= g->host.n)
		return false;
	end = (struct str){host.p + host.n - g->host.n, g->host.n};
	return str_ieq(end, g->host);
}

const struct config_route *
router_find(const struct router *r, struct str host, struct str path)
{
	struct str bare = host_bare(host);
	const struct config_route *route = NULL;
	const struct group *g =
	    bsearch(&bare, r->groups, r->n_exact, sizeof(*r->groups), group_compare);

	if (g)
		route = group_find(g, path);
	for (size_t i = r->n_exact; i < r->n_groups && !route; i++) {
		if (group_takes(&r->groups[i], bare))
			route = group_find(&r->groups[i], path);
	}
	return route;
}
