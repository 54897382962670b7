/* SPDX-License-Identifier: MIT
 *
 * router.c - host and path to a route; see router.h.
 *
 * The routes are sorted once, most specific first, and cut into groups of one host.
 * Exact hosts come first and in order, so one of many is found by halving; wildcards
 * and the group without a host are few and walked. The first rule whose path fits
 * wins. A host whose paths do not fit leaves the request to the less specific ones.
 *
 * Nearly all paths are plain, which one look tells; only the others are normalised,
 * into a buffer on the stack.
 *
 * Threads: immutable after router_new, any.
 */
#include "route/router.h"

#include "base/object.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "message/head.h"
#include "route/edits.h"
#include "route/path.h"
#include "base/template.h"
#include <ctype.h>
#include <stdlib.h>

enum host_kind { HOST_EXACT, HOST_SUFFIX, HOST_ANY };

struct rule {
	enum host_kind kind;
	struct str host; /* of a wildcard: from its dot on */
	struct str path; /* normalised; of a prefix: without a slash at its end */
	struct route route;
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
	size_t n_rules;
	char *paths; /* of all rules */
	struct group *groups;
	size_t n_groups;
	size_t n_exact; /* groups[0..n_exact) are exact hosts */
};

/* ---- making ---- */

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

/* memory has room for the route's path. */
static struct rule
rule_of(const struct config_route *route, char *memory)
{
	struct str host = host_bare(str_of(route->host));
	struct str path = {memory, path_normalise(str_of(route->path), memory)};
	struct rule rule = {.kind = HOST_EXACT, .host = host, .route = {.conf = route}};

	if (host.n == 0 || str_eq(host, STR("*"))) {
		rule.kind = HOST_ANY;
		rule.host = STR("");
	} else if (host.n > 1 && host.p[0] == '*' && host.p[1] == '.') {
		rule.kind = HOST_SUFFIX;
		rule.host = (struct str){host.p + 1, host.n - 1};
	}
	if (route->match == MATCH_PREFIX && path.n && path.p[path.n - 1] == '/')
		path.n--;
	rule.path = path;
	return rule;
}

static size_t
conditions_count(const struct config_route *route)
{
	return route->n_headers + (route->n_methods > 0);
}

/* Ties keep the file's order: the routes are one array. */
static int
rule_compare(const void *pa, const void *pb)
{
	const struct rule *a = pa, *b = pb;
	const struct config_route *ra = a->route.conf, *rb = b->route.conf;
	size_t na = conditions_count(ra), nb = conditions_count(rb);
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
	if (ra->match != rb->match)
		return ra->match == MATCH_EXACT ? -1 : 1;
	if (na != nb)
		return na > nb ? -1 : 1;
	return (ra > rb) - (ra < rb);
}

static void
groups_fill(struct router *r)
{
	for (size_t i = 0; i < r->n_rules; i++) {
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

static size_t
paths_size(const struct config *config)
{
	size_t size = 1;

	for (size_t i = 0; i < config->n_routes; i++)
		size += str_of(config->routes[i].path).n;
	return size;
}

static void
rules_fill(struct router *r, const struct config *config)
{
	char *memory = r->paths;

	for (size_t i = 0; i < config->n_routes; i++) {
		r->rules[i] = rule_of(&config->routes[i], memory);
		memory += str_of(config->routes[i].path).n;
	}
	r->n_rules = config->n_routes;
	qsort(r->rules, r->n_rules, sizeof(*r->rules), rule_compare);
}

/* False: no memory; what was made is the route's all the same. */
static bool
route_compile(struct route *route)
{
	const struct config_route *conf = route->conf;
	bool request_ok, response_ok;

	route->request_edits = edits_new(&conf->request_headers, &request_ok);
	route->response_edits = edits_new(&conf->response_headers, &response_ok);
	if (conf->redirect)
		route->redirect = template_new(conf->redirect);
	return request_ok && response_ok && (route->redirect || !conf->redirect);
}

static void
route_clear(struct route *route)
{
	edits_free(route->request_edits);
	edits_free(route->response_edits);
	template_free(route->redirect);
}

struct router *
router_new(const struct config *config)
{
	struct router *r = calloc(1, sizeof(*r));
	bool ok = r != NULL;

	if (!r)
		return NULL;
	r->rules = calloc(config->n_routes + 1, sizeof(*r->rules));
	r->groups = calloc(config->n_routes + 1, sizeof(*r->groups));
	r->paths = malloc(paths_size(config));
	if (!r->rules || !r->groups || !r->paths) {
		router_free(r);
		return NULL;
	}
	rules_fill(r, config);
	groups_fill(r);
	for (size_t i = 0; i < r->n_rules && ok; i++)
		ok = route_compile(&r->rules[i].route);
	if (ok)
		return r;
	router_free(r);
	return NULL;
}

void
router_free(struct router *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_rules; i++)
		route_clear(&r->rules[i].route);
	free(r->rules);
	free(r->groups);
	free(r->paths);
	free(r);
}

/* ---- finding ---- */

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

static bool
methods_hold(const struct config_route *conf, const struct head *head)
{
	for (size_t i = 0; i < conf->n_methods; i++) {
		struct str method = str_of(conf->methods[i]);

		if (str_eq(method, head->method_text) ||
		    (head->method == METHOD_HEAD && str_eq(method, STR("GET"))))
			return true;
	}
	return conf->n_methods == 0;
}

static bool
header_holds(const struct config_header *wanted, const struct head *head)
{
	struct str name = str_of(wanted->name), value = str_of(wanted->value);
	bool any = !wanted->value || str_eq(value, STR("*"));

	for (unsigned i = 0; i < head->n_headers; i++) {
		const struct header *h = &head->headers[i];

		if (str_ieq(h->name, name) && (any || str_eq(h->value, value)))
			return true;
	}
	return false;
}

static bool
rule_takes(const struct rule *rule, struct str path, const struct head *head)
{
	const struct config_route *conf = rule->route.conf;

	if (conf->match == MATCH_EXACT ? !str_eq(rule->path, path)
				       : !path_fits(rule->path, path))
		return false;
	if (!methods_hold(conf, head))
		return false;
	for (size_t i = 0; i < conf->n_headers; i++)
		if (!header_holds(&conf->headers[i], head))
			return false;
	return true;
}

static const struct route *
group_find(const struct group *g, struct str path, const struct head *head)
{
	for (size_t i = 0; i < g->n_rules; i++)
		if (rule_takes(&g->rules[i], path, head))
			return &g->rules[i].route;
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

static const struct route *
find(const struct router *r, struct str path, const struct head *head)
{
	struct str bare = host_bare(head->host);
	const struct route *route = NULL;
	const struct group *g =
	    bsearch(&bare, r->groups, r->n_exact, sizeof(*r->groups), group_compare);

	if (g)
		route = group_find(g, path, head);
	for (size_t i = r->n_exact; i < r->n_groups && !route; i++) {
		if (group_takes(&r->groups[i], bare))
			route = group_find(&r->groups[i], path, head);
	}
	return route;
}

/* Apart, so that the usual request has no such buffer on its stack. */
static __attribute__((noinline)) const struct route *
find_odd(const struct router *r, const struct head *head)
{
	char path[HEAD_MAX_TARGET];

	if (head->path.n > sizeof(path))
		return NULL;
	return find(r, (struct str){path, path_normalise(head->path, path)}, head);
}

const struct route *
router_find(const struct router *r, const struct head *head)
{
	return path_is_odd(head->path) ? find_odd(r, head) : find(r, head->path, head);
}

/* ---- rewriting ---- */

/* `to`, and of the path what the rule did not match. */
static void
rewrite_prefix(const struct rule *rule, struct str path, struct str to,
    struct strbuf *out)
{
	char buf[HEAD_MAX_TARGET];
	struct str rest = path;
	bool raw = path_fits(rule->path, path);

	if (raw) {
		rest.p += rule->path.n;
		rest.n -= rule->path.n;
		raw = !path_is_odd(path) || !path_may_stray(rest, buf);
	}
	if (!raw) {
		size_t n = path_normalise(path, buf);

		rest = (struct str){buf + rule->path.n, n - rule->path.n};
	}
	while (rest.n && to.n && to.p[to.n - 1] == '/')
		to.n--;
	path_encode(to, true, out);
	if (raw)
		strbuf_str(out, rest);
	else
		path_encode(rest, false, out);
}

void
route_rewrite(const struct route *route, const struct head *head, struct strbuf *out)
{
	const struct rule *rule = container_of(route, struct rule, route);
	struct str path = head->path, to = str_of(route->conf->rewrite);
	size_t start = out->len;

	/* OPTIONS * has no path to rewrite, nor has one that no route takes */
	if (path.n == 0 || path.p[0] != '/' || path.n > HEAD_MAX_TARGET) {
		strbuf_str(out, head->target);
		return;
	}
	if (route->conf->match == MATCH_EXACT)
		path_encode(to, true, out);
	else
		rewrite_prefix(rule, path, to, out);
	if (out->len == start)
		strbuf_lit(out, "/");
	if (head->target.n > path.n)
		strbuf_append(out, head->target.p + path.n, head->target.n - path.n);
}
