/* SPDX-License-Identifier: MIT
 *
 * fuzz_route.c - any request head: which route it takes, what the backend is asked for
 * then, and who the client is.
 *
 * A route that is found is one that fits, and what it rewrites cannot lead out of where
 * it leads to. A redirect and a Host made of the head stay on their line. The key of a
 * client is the one that an administrator gives by its value.
 */
#include "base/strbuf.h"
#include "base/template.h"
#include "config/config.h"
#include "fuzz.h"
#include "message/head.h"
#include "route/client_key.h"
#include "route/path.h"
#include "route/router.h"

#define S(literal) ((char *)(literal))

static char *methods[] = {S("POST"), S("GET")};
static struct config_header conditions[] = {{S("X-Tenant"), S("a")},
    {S("Accept"), NULL}};

static struct config_route routes[] = {
    {.path = S("/")},
    {.path = S("/api/"), .rewrite = S("/v2")},
    {.path = S("/api/old"), .rewrite = S("/")},
    {.path = S("/%61/./b"), .rewrite = S("/inner/")},
    {.path = S("/one"), .match = MATCH_EXACT, .rewrite = S("/two")},
    {.path = S("/one"), .methods = methods, .n_methods = 2},
    {.host = S("*.example.com"), .path = S("/api"), .rewrite = S("/wild")},
    {.host = S("a.example.com"), .path = S("/"), .headers = conditions, .n_headers = 2},
    {.host = S("a.example.com"), .path = S("/x"), .redirect = S("https://{host}{uri}")},
};

static struct config config = {.routes = routes,
    .n_routes = sizeof routes / sizeof routes[0]};

static struct config_client_key keys[] = {{KEY_COOKIE, S("roost")},
    {KEY_HEADER, S("X-Client")}, {KEY_COOKIE, S("sid")}, {KEY_QUERY, S("client")},
    {KEY_ADDRESS, NULL}};

/* ---- the route ---- */

/* An empty prefix takes everything, the "*" of OPTIONS too. */
static bool
begins_with(struct str path, struct str prefix)
{
	if (prefix.n && prefix.p[prefix.n - 1] == '/')
		prefix.n--;
	if (prefix.n == 0)
		return true;
	return path.n >= prefix.n && memcmp(path.p, prefix.p, prefix.n) == 0 &&
	       (path.n == prefix.n || path.p[prefix.n] == '/');
}

static struct str
normal(struct str path, char room[HEAD_MAX_TARGET])
{
	return (struct str){room, path_normalise(path, room)};
}

static bool
host_fits(const char *wanted, const struct head *head)
{
	struct str tail = str_of(wanted), host = head->host;

	if (tail.n == 0)
		return true;
	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	if (tail.p[0] != '*')
		return str_ieq(host, tail);
	tail.p++;
	tail.n--;
	return host.n > tail.n &&
	       str_ieq((struct str){host.p + host.n - tail.n, tail.n}, tail);
}

static void
route_check(const struct config_route *conf, const struct head *head)
{
	char a[HEAD_MAX_TARGET], b[HEAD_MAX_TARGET];
	struct str path = normal(head->path, a), wanted = normal(str_of(conf->path), b);

	must(host_fits(conf->host, head));
	if (conf->match == MATCH_EXACT)
		must(str_eq(path, wanted));
	else
		must(begins_with(path, wanted));
	if (conf->n_methods)
		must(head->method == METHOD_GET || head->method == METHOD_POST ||
		     head->method == METHOD_HEAD);
	if (conf->n_headers)
		must(head->first[HEADER_ACCEPT] >= 0);
}

/* ---- what is made of the head ---- */

static void
rewrite_check(const struct route *route, const struct head *head)
{
	static struct head again;
	char a[HEAD_MAX_TARGET], b[HEAD_MAX_TARGET];
	struct strbuf out = STRBUF_INIT;
	enum reason why;
	size_t used;

	strbuf_lit(&out, "GET ");
	route_rewrite(route, head, &out);
	strbuf_lit(&out, " HTTP/1.1\r\nHost: h\r\n\r\n");
	must(!out.failed);
	if (head->target.p[0] == '*' || out.len > HEAD_MAX_TARGET) {
		strbuf_fini(&out);
		return;
	}
	must(head_parse(out.data, out.len, &again, &used, &why) == PARSE_DONE);
	must(used == out.len && str_eq(again.query, head->query));
	must(begins_with(normal(again.path, a),
	    normal(str_of(route->conf->rewrite), b)));
	must(again.path.n < 2 || again.path.p[1] != '/');
	strbuf_fini(&out);
}

static void
redirect_check(const struct route *route, const struct head *head)
{
	const struct template_values values = {
	    .of = {[TEMPLATE_HOST] = head->host, [TEMPLATE_URI] = head->target}};
	struct strbuf out = STRBUF_INIT;

	template_expand(route->redirect, &values, &out);
	must(out.len == 8 + head->host.n + head->target.n);
	must(is_one_line((struct str){out.data, out.len}));
	strbuf_fini(&out);
}

/* ---- who it is ---- */

static bool
is_same(struct hash128 a, struct hash128 b)
{
	return a.hi == b.hi && a.lo == b.lo;
}

static void
said_check(const struct config_upstream *up, const struct client_key *key,
    const char *kind, struct str value)
{
	struct strbuf text = STRBUF_INIT;
	struct client_key said;

	strbuf_puts(&text, kind);
	strbuf_str(&text, value);
	must(client_key_parse(up, 7, (struct str){text.data, text.len}, &said));
	must(is_same(said.hash, key->hash));
	strbuf_fini(&text);
}

static void
client_check(const struct head *head)
{
	const struct addr peer = {.in4 = {.sin_family = AF_INET}};
	struct config_upstream up = {.balance = BALANCE_HASH};
	struct client_key key;

	up.client_keys = keys;
	up.n_client_keys = 5;
	key = client_key_of(&up, 7, head, &peer);
	must(key.found && key.issue == !key.has_hint);
	if (key.has_hint)
		must(key.cookie.id.n == COOKIE_ID);
	for (size_t i = 0; i < 5; i++) {
		up.client_keys = &keys[i];
		up.n_client_keys = 1;
		key = client_key_of(&up, 7, head, &peer);
		if (!key.found)
			continue;
		if (keys[i].kind == KEY_HEADER)
			said_check(&up, &key,
			    "header:", head_find(head, str_of(keys[i].name)));
		else if (key.has_hint)
			said_check(&up, &key, "cookie:", key.cookie.id);
		else if (keys[i].kind == KEY_ADDRESS)
			said_check(&up, &key, "address:", STR("0.0.0.0"));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct router *router;
	static struct head head;
	const struct route *route;
	enum reason why;
	size_t used;

	if (!router)
		router = router_new(&config);
	must(router != NULL);
	if (head_parse((const char *)data, size, &head, &used, &why) != PARSE_DONE)
		return 0;
	route = router_find(router, &head);
	must(route != NULL); /* one takes everything */
	route_check(route->conf, &head);
	if (route->conf->rewrite)
		rewrite_check(route, &head);
	if (route->redirect)
		redirect_check(route, &head);
	client_check(&head);
	return 0;
}
