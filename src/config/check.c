/* SPDX-License-Identifier: MIT
 *
 * check.c - looks across the values of a configuration and completes what follows from
 * others: a backend's name, a listener's address; see also routes.c and pages.c.
 *
 * Fields whose value was bad are NULL here and passed over. Doubles are found by
 * sorting, since large files are where they happen.
 */
#include "config/arena.h"
#include "config/form.h"
#include "config/load_private.h"
#include "config/nearest.h"
#include <stdlib.h>

bool
loader_is_given(const struct loader *l, const void *field)
{
	return loader_origin(l, field).field != NULL;
}

struct origin
loader_lack(const struct loader *l, const char *flag)
{
	if (l->has_file)
		return (struct origin){.place = {1, 1}};
	return (struct origin){.flag = flag};
}

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

void
loader_check_doubles(struct loader *l, const char *what, struct item *items, size_t n)
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

void
loader_check_belongs(struct loader *l, enum section_id section, const void *element,
    const char *path)
{
	const struct schema_row *row = NULL;

	while ((row = schema_next(section, row))) {
		struct origin at =
		    loader_origin(l, (const char *)element + row->offset);

		if (at.field && row->applies && !row->applies(element))
			loader_complain(l, at,
			    "%s.%s: means nothing here, expected it %s", path, row->key,
			    row->belongs);
	}
}

/* The address, as doubles are found by; NULL: none, or port 0, which is another each
 * time. */
static const char *
complete_listener(struct loader *l, struct config_listener *listener)
{
	struct str path;
	char text[ADDR_TEXT];

	if (!listener->bind)
		return NULL;
	if (addr_unix_path(str_of(listener->bind), &path)) {
		listener->addr.sa.sa_family = AF_UNIX;
		listener->unix_path = path.p;
		return path.p;
	}
	if (!addr_parse(str_of(listener->bind), &listener->addr) ||
	    addr_port(&listener->addr) == 0)
		return NULL;
	addr_print(&listener->addr, true, text);
	return arena_copy(l->temp, str_of(text));
}

/* A list that was bad is no list at all, and trusts somebody. */
static bool
trusts_nobody(const struct config_listener *listener)
{
	return listener->trusted && listener->n_trusted == 0 && !listener->trusts_unix;
}

static void
check_listener(struct loader *l, size_t i, struct item *item_r)
{
	struct config_listener *listener = &l->config->listeners[i];
	char path[48];

	*item_r = (struct item){.key = complete_listener(l, listener),
	    .at = loader_origin(l, &listener->bind),
	    .number = i};
	snprintf(path, sizeof(path), "listeners[%zu]", i);
	if (listener->bind)
		loader_check_belongs(l, SECTION_LISTENER, listener, path);
	if (listener->proxy_protocol != PROXY_IN_OFF && trusts_nobody(listener))
		loader_complain(l, loader_origin(l, &listener->proxy_protocol),
		    "%s.proxy_protocol: nobody is trusted, expected trusted to name "
		    "the "
		    "peers that may send a PROXY header",
		    path);
}

static void
check_listeners(struct loader *l)
{
	struct config *c = l->config;
	struct item *items = arena_alloc(l->temp, c->n_listeners, sizeof(*items));
	size_t n = 0;

	if (c->n_listeners == 0 && !loader_is_given(l, &c->listeners))
		loader_complain(l, loader_lack(l, "-L"),
		    "no listener, expected at least one address to listen on");
	for (size_t i = 0; items && i < c->n_listeners; i++) {
		check_listener(l, i, &items[n]);
		n += items[n].key != NULL;
	}
	loader_check_doubles(l, "listener", items, n);
}

static bool
is_loopback(const struct addr *a)
{
	struct addr_range range;

	return (addr_range_parse(STR("127.0.0.0/8"), &range) &&
		   addr_in_range(a, &range)) ||
	       (addr_range_parse(STR("::1"), &range) && addr_in_range(a, &range));
}

/* Whoever can connect rules this roost. */
static void
check_admin(struct loader *l)
{
	struct config_admin *admin = &l->config->admin;
	struct str path;

	if (!admin->bind)
		return;
	if (addr_unix_path(str_of(admin->bind), &path)) {
		admin->addr.sa.sa_family = AF_UNIX;
		admin->unix_path = path.p;
	} else if (addr_parse(str_of(admin->bind), &admin->addr) &&
		   !is_loopback(&admin->addr) && !admin->token_file &&
		   !loader_is_given(l, &admin->token_file)) {
		loader_complain(l, loader_origin(l, &admin->bind),
		    "admin.bind: others than this machine could connect to \"%s\", "
		    "expected admin.token_file beside it, or a loopback address, or "
		    "unix:",
		    admin->bind);
	}
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
	loader_check_doubles(l, what, items, n);
}

/* One kind of check, or none. */
static void
check_health(struct loader *l, struct config_upstream *up, const char *name)
{
	const struct config_health *h = &up->health;
	bool http = h->http || loader_is_given(l, &h->http);
	bool websocket = h->websocket || loader_is_given(l, &h->websocket);
	char path[SHOWN + 32];

	snprintf(path, sizeof(path), "upstreams.%s.health", name);
	if (http + websocket + h->tcp > 1)
		loader_complain(l, (struct origin){.place = up->place},
		    "%s: more than one kind of check, expected only one of http, tcp "
		    "and websocket",
		    path);
	else if (!http == !h->http && !websocket == !h->websocket)
		loader_check_belongs(l, SECTION_HEALTH, h, path);
}

static void
check_replay(struct loader *l, struct config_upstream *up, const char *name)
{
	char path[SHOWN + 32];

	snprintf(path, sizeof(path), "upstreams.%s.rehome.replay", name);
	loader_check_belongs(l, SECTION_REPLAY, &up->rehome.replay, path);
}

static void
check_outliers(struct loader *l, struct config_upstream *up, const char *name)
{
	const struct config_outliers *o = &up->outliers;
	bool short_end = loader_is_given(l, &o->max_eject_ms);

	if (o->max_eject_ms < o->eject_ms)
		loader_complain(l,
		    loader_origin(l, short_end ? &o->max_eject_ms : &o->eject_ms),
		    "upstreams.%s.outliers.max_eject: shorter than eject, expected at "
		    "least as long",
		    name);
}

static void
check_rehome(struct loader *l, struct config_upstream *up, const char *name)
{
	const struct config_rehome *r = &up->rehome;
	bool short_end = loader_is_given(l, &r->max_backoff_ms);

	if (r->max_backoff_ms < r->backoff_ms)
		loader_complain(l,
		    loader_origin(l, short_end ? &r->max_backoff_ms : &r->backoff_ms),
		    "upstreams.%s.rehome.max_backoff: shorter than backoff, expected "
		    "at least as long",
		    name);
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
	if (up->n_backends == 0 && !loader_is_given(l, &up->backends))
		loader_complain(l, at,
		    "upstreams.%s: no backends, expected at least one", shown);
	check_backends(l, up);
	check_replay(l, up, shown);
	check_health(l, up, shown);
	check_outliers(l, up, shown);
	check_rehome(l, up, shown);
}

void
loader_check(struct loader *l)
{
	struct config *c = l->config;

	check_listeners(l);
	check_admin(l);
	if (c->n_upstreams == 0 && !loader_is_given(l, &c->upstreams))
		loader_complain(l, loader_lack(l, "-U"),
		    "no upstream, expected at least one with a backend");
	for (size_t i = 0; i < c->n_upstreams; i++)
		check_upstream(l, &c->upstreams[i]);
	loader_check_routes(l);
	loader_check_error_pages(l);
}
