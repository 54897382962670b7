/* SPDX-License-Identifier: MIT
 *
 * check_config_routes.c - config/: what a listener and a route may say, and what not.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "config/form.h"
#include "yaml_rig.h"
#include <check.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

Suite *suite_config_routes(void);

#define LISTENERS "listeners: [{bind: \"127.0.0.1:8080\"}]\n"
#define CHAT "chat: {backends: [{address: \"10.0.0.1:80\"}]}"
#define API "api: {backends: [{address: \"10.0.0.2:80\"}]}"
#define ONE LISTENERS "upstreams: {" CHAT "}\n"
#define TWO LISTENERS "upstreams: {" CHAT ", " API "}\n"
#define UPSTREAMS "upstreams: {" CHAT "}\n"

#define OR_UNIX                                                           \
	"or unix: and an absolute path (at most 107 letters, digits and " \
	"/-_.~+@%:,)\n"
#define NAMES                                                            \
	"{scheme}, {host}, {path}, {query}, {uri}, {method}, {client}, " \
	"{request_id}, {upstream} or {backend} in it, and {{ or }} for a brace\n"
#define NOT_EDITABLE                                                                \
	"those of framing (Content-Length, Transfer-Encoding, Trailer, TE) and of " \
	"the connection (Connection, Keep-Alive, Upgrade, Proxy-*)\n"

/* ---- listeners ---- */

START_TEST(test_listener_defaults)
{
	struct config *c = good(ONE);
	const struct config_listener *l = &c->listeners[0];

	ck_assert_int_eq(l->addr.sa.sa_family, AF_INET);
	ck_assert_ptr_null(l->unix_path);
	ck_assert_uint_eq(l->mode, 0666);
	ck_assert_int_eq(l->proxy_protocol, PROXY_IN_OFF);
	ck_assert_uint_eq(l->n_trusted, 0);
	ck_assert(!l->trusts_unix);
	config_free(c);
}
END_TEST

static const char unix_listener[] =
    "listeners:\n"
    "  - bind: unix:/run/roost.sock\n"
    "    mode: \"0600\"\n"
    "    proxy_protocol: optional\n"
    "    trusted: [unix, 10.0.0.0/8, 127.0.0.1, \"fd00::/8\"]\n" UPSTREAMS;

START_TEST(test_unix_listener_and_trusted_ranges)
{
	struct config *c = good(unix_listener);
	const struct config_listener *l = &c->listeners[0];
	struct addr a;

	ck_assert_int_eq(l->addr.sa.sa_family, AF_UNIX);
	ck_assert_str_eq(l->unix_path, "/run/roost.sock");
	ck_assert_uint_eq(l->mode, 0600);
	ck_assert_int_eq(l->proxy_protocol, PROXY_IN_OPTIONAL);
	ck_assert(l->trusts_unix);
	ck_assert_uint_eq(l->n_trusted, 3);
	ck_assert(addr_parse_ip(STR("10.1.2.3"), &a));
	ck_assert(addr_in_range(&a, &l->trusted[0]));
	ck_assert_uint_eq(l->trusted[1].bits, 32);
	ck_assert(addr_parse_ip(STR("fd12::1"), &a));
	ck_assert(addr_in_range(&a, &l->trusted[2]));
	config_free(c);
}
END_TEST

START_TEST(test_flags_make_listeners_with_defaults)
{
	const char *listens[] = {"*:80", "unix:/run/roost.sock"};
	const char *upstreams[] = {"unix:/run/app.sock=3"};
	const struct config_flags flags = {.listens = listens,
	    .n_listens = 2,
	    .upstreams = upstreams,
	    .n_upstreams = 1};
	struct strbuf errors = STRBUF_INIT;
	struct config *c = config_load(NULL, &flags, &errors);

	ck_assert_msg(c != NULL, "%s", strbuf_cstr(&errors));
	ck_assert_uint_eq(c->listeners[0].mode, 0666);
	ck_assert_ptr_nonnull(c->listeners[0].trusted);
	ck_assert_str_eq(c->listeners[1].unix_path, "/run/roost.sock");
	ck_assert_str_eq(c->upstreams[0].backends[0].address, "unix:/run/app.sock");
	ck_assert_uint_eq(c->upstreams[0].backends[0].weight, 3);
	config_free(c);
	strbuf_fini(&errors);
}
END_TEST

#define RANGES                                                                  \
	"expected a list of addresses, ranges such as 10.0.0.0/8 (no bits set " \
	"beyond the prefix), and unix\n"

static const struct {
	const char *yaml;
	const char *expected;
} bad_listeners[] = {
    {"listeners: [{bind: 'unix:a.sock'}]\n" UPSTREAMS,
	"r.yaml:1:20: listeners[0].bind: bad value \"unix:a.sock\", expected a numeric "
	"address and port such as 127.0.0.1:8080, [::1]:8080 or *:8080, " OR_UNIX},
    {"listeners: [{bind: 'unix:/a', mode: 660}]\n" UPSTREAMS,
	"r.yaml:1:37: listeners[0].mode: bad value \"660\", expected an octal mode "
	"from \"0000\" to \"0777\"\n"},
    {"listeners: [{bind: '*:80', mode: \"0660\"}]\n" UPSTREAMS,
	"r.yaml:1:34: listeners[0].mode: means nothing here, expected it beside a bind "
	"of unix:\n"},
    {"listeners: [{bind: '*:80', proxy_protocol: on}]\n" UPSTREAMS,
	"r.yaml:1:44: listeners[0].proxy_protocol: bad value \"on\", expected off, "
	"optional or required\n"},
    {"listeners: [{bind: '*:80', proxy_protocol: required}]\n" UPSTREAMS,
	"r.yaml:1:44: listeners[0].proxy_protocol: nobody is trusted, expected trusted "
	"to name the peers that may send a PROXY header\n"},
    {"listeners: [{bind: '*:80', trusted: [10.0.0.1/8]}]\n" UPSTREAMS,
	"r.yaml:1:38: listeners[0].trusted: bad value \"10.0.0.1/8\", " RANGES},
    {"listeners: [{bind: '*:80', trusted: [10.0.0.0/8, example.com]}]\n" UPSTREAMS,
	"r.yaml:1:50: listeners[0].trusted: bad value \"example.com\", " RANGES},
    {"listeners: [{bind: '*:80', trusted: 10.0.0.0/8}]\n" UPSTREAMS,
	"r.yaml:1:37: listeners[0].trusted: a single value, " RANGES},
    {"listeners: [{bind: '*:80', trusted: [{a: b}]}]\n" UPSTREAMS,
	"r.yaml:1:38: listeners[0].trusted: a map, " RANGES},
    /* a bad list is no empty list: one complaint */
    {"listeners: [{bind: '*:80', proxy_protocol: optional, trusted: [x]}]\n" UPSTREAMS,
	"r.yaml:1:64: listeners[0].trusted: bad value \"x\", " RANGES},
    {"listeners: [{bind: 'unix:/a'}, {bind: 'unix:/a'}]\n" UPSTREAMS,
	"r.yaml:1:39: listener \"/a\" is there already (first in line 1), expected it "
	"once\n"},
};

START_TEST(test_bad_listener_is_refused)
{
	bad(bad_listeners[_i].yaml, bad_listeners[_i].expected);
}
END_TEST

/* ---- routes ---- */

START_TEST(test_route_defaults)
{
	struct config *c = good(ONE "routes: [{path: /x}]\n");
	const struct config_route *r = &c->routes[0];

	ck_assert_int_eq(r->match, MATCH_PREFIX);
	ck_assert_uint_eq(r->n_methods, 0);
	ck_assert_uint_eq(r->n_headers, 0);
	ck_assert_str_eq(r->upstream, "chat");
	ck_assert_uint_eq(r->upstream_index, 0);
	ck_assert_uint_eq(r->respond, 0);
	ck_assert_ptr_null(r->text);
	ck_assert_ptr_null(r->redirect);
	ck_assert_uint_eq(r->redirect_status, 308);
	ck_assert_ptr_null(r->rewrite);
	ck_assert_uint_eq(r->request_headers.n_set, 0);
	ck_assert_uint_eq(r->response_headers.n_remove, 0);
	ck_assert_uint_eq(r->compress.codings, 0);
	ck_assert_uint_eq(r->compress.n_types, 9);
	ck_assert_str_eq(r->compress.types[0], "text/html");
	ck_assert_str_eq(r->compress.types[8], "application/wasm");
	ck_assert_uint_eq(r->compress.min_length, 1024);
	ck_assert_uint_eq(r->compress.level, 4);
	ck_assert_uint_eq(r->n_origins, 0);
	ck_assert_uint_eq(r->n_app_heartbeats, 0);
	config_free(c);
}
END_TEST

static const char everything[] =
    TWO "routes:\n"
	"  - path: /a/\n"
	"    match: exact\n"
	"    methods: [GET, M-SEARCH]\n"
	"    headers: {X-Beta: \"yes\", Cookie: \"*\"}\n"
	"    upstream: api\n"
	"    rewrite: /b/\n"
	"    origins: [https://example.com, \"https://*.a.com:8443\", null]\n"
	"    request_headers:\n"
	"      set: {Host: app.internal, X-C: \"{client} {{x}} \\\"q\\\" \\\\\"}\n"
	"      add:\n"
	"        Via: 1.1 roost\n"
	"      remove: [X-Debug]\n"
	"    response_headers: {set: {A: b}, add: {C: \"{backend}\"}, remove: [D, E]}\n"
	"    compress: {codings: [gzip], types: [a/b], min_length: 0, level: 9}\n"
	"    app_heartbeats:\n"
	"      - {field: op, value: ping, answer: '{\"op\":\"pong\"}', forward: true}\n"
	"      - {value: ping, answer: '{}'}\n"
	"  - {path: /h, respond: 200, text: \"one\\n\\ttwo\\n\"}\n"
	"  - {host: a.com, redirect: 'https://{host}{uri}', redirect_status: 301}\n"
	"  - {upstream: chat}\n";

START_TEST(test_every_key_of_routes_is_read)
{
	struct config *c = good(everything);
	const struct config_route *r = &c->routes[0];

	ck_assert_int_eq(r->match, MATCH_EXACT);
	ck_assert_uint_eq(r->n_methods, 2);
	ck_assert_str_eq(r->methods[1], "M-SEARCH");
	ck_assert_uint_eq(r->n_headers, 2);
	ck_assert_str_eq(r->headers[0].name, "X-Beta");
	ck_assert_str_eq(r->headers[0].value, "yes");
	ck_assert_str_eq(r->headers[1].name, "Cookie");
	ck_assert_ptr_null(r->headers[1].value);
	ck_assert_uint_eq(r->upstream_index, 1);
	ck_assert_str_eq(r->rewrite, "/b/");
	ck_assert_uint_eq(r->n_origins, 3);
	ck_assert_str_eq(r->origins[1], "https://*.a.com:8443");
	ck_assert_uint_eq(r->compress.codings, COMPRESS_GZIP);
	ck_assert_uint_eq(r->compress.n_types, 1);
	ck_assert_str_eq(r->compress.types[0], "a/b");
	ck_assert_uint_eq(r->compress.min_length, 0);
	ck_assert_uint_eq(r->compress.level, 9);
	ck_assert_uint_eq(c->routes[1].respond, 200);
	ck_assert_str_eq(c->routes[1].text, "one\n\ttwo\n");
	ck_assert_uint_eq(c->routes[1].upstream_index, c->n_upstreams);
	ck_assert_str_eq(c->routes[2].redirect, "https://{host}{uri}");
	ck_assert_uint_eq(c->routes[2].redirect_status, 301);
	ck_assert_ptr_null(c->routes[2].upstream);
	config_free(c);
}
END_TEST

START_TEST(test_edits_and_heartbeats_are_read)
{
	struct config *c = good(everything);
	const struct config_header_edits *e = &c->routes[0].request_headers;
	const struct config_app_heartbeat *h = c->routes[0].app_heartbeats;

	ck_assert_uint_eq(e->n_set, 2);
	ck_assert_str_eq(e->set[0].name, "Host");
	ck_assert_str_eq(e->set[0].value, "app.internal");
	ck_assert_str_eq(e->set[1].value, "{client} {{x}} \"q\" \\");
	ck_assert_uint_eq(e->n_add, 1);
	ck_assert_str_eq(e->add[0].value, "1.1 roost");
	ck_assert_uint_eq(e->n_remove, 1);
	ck_assert_str_eq(e->remove[0], "X-Debug");
	e = &c->routes[0].response_headers;
	ck_assert_str_eq(e->set[0].name, "A");
	ck_assert_str_eq(e->add[0].value, "{backend}");
	ck_assert_uint_eq(e->n_remove, 2);
	ck_assert_uint_eq(c->routes[0].n_app_heartbeats, 2);
	ck_assert_str_eq(h[0].field, "op");
	ck_assert_str_eq(h[0].value, "ping");
	ck_assert_str_eq(h[0].answer, "{\"op\":\"pong\"}");
	ck_assert(h[0].forward);
	ck_assert_str_eq(h[1].field, "type");
	ck_assert(!h[1].forward);
	config_free(c);
}
END_TEST

static const struct {
	const char *routes; /* behind ONE */
	const char *expected;
} bad_routes[] = {
    {"[{path: /, match: regex}]",
	"routes[0].match: bad value \"regex\", expected prefix or exact\n"},
    {"[{methods: [get]}]", "routes[0].methods: bad value \"get\", expected a list of "
			   "methods in capitals such as GET\n"},
    {"[{methods: GET}]", "routes[0].methods: a single value, expected a list of "
			 "methods in capitals such as GET\n"},
    {"[{methods: [~]}]", "routes[0].methods: no value, expected a list of "
			 "methods in capitals such as GET\n"},
    {"[{headers: {A b: x}}]",
	"routes[0].headers: bad name \"A b\", expected a header's name\n"},
    {"[{headers: {A: \"x\\n\"}}]",
	"routes[0].headers.A: bad value \"x?\", expected text, or \"*\" for any\n"},
    {"[{headers: {A: x, a: y}}]",
	"routes[0].headers.a: the same header again, expected it once\n"},
    {"[{headers: {A: [x]}}]",
	"routes[0].headers.A: a list, expected text, or \"*\" for any\n"},
    {"[{headers: {A: }}]",
	"routes[0].headers.A: no value, expected text, or \"*\" for any\n"},
    {"[{headers: [A]}]",
	"routes[0].headers: a list, expected a map from headers to values\n"},
    {"[{headers: }]",
	"routes[0].headers: no value, expected a map from headers to values\n"},
    {"[{respond: 199}]",
	"routes[0].respond: bad value \"199\", expected a number from 200 to 599\n"},
    {"[{respond: 600, text: x}]",
	"routes[0].respond: bad value \"600\", expected a number from 200 to 599\n"},
    {"[{respond: 200, upstream: chat}]",
	"routes[0]: upstream and respond, expected "
	"only one of upstream, respond and redirect\n"},
    {"[{redirect: /, upstream: chat}]", "routes[0]: upstream and redirect, expected "
					"only one of upstream, respond and redirect\n"},
    {"[{redirect: /, respond: 200}]", "routes[0]: respond and redirect, expected "
				      "only one of upstream, respond and redirect\n"},
    {"[{redirect: /, respond: 200, upstream: chat}]",
	"routes[0]: upstream and respond and redirect, expected only one of upstream, "
	"respond and redirect\n"},
    {"[{upstream: chat, text: x}]",
	"routes[0].text: means nothing here, expected it "
	"beside respond, but for 204, 205 and 304, which have no body\n"},
    {"[{respond: 204, text: x}]",
	"routes[0].text: means nothing here, expected it "
	"beside respond, but for 204, 205 and 304, which have no body\n"},
    {"[{respond: 200, text: \"\\e\"}]",
	"routes[0].text: bad value \"?\", expected text of at most 4096 bytes\n"},
    {"[{respond: 200, rewrite: /}]",
	"routes[0].rewrite: means nothing here, expected it beside upstream\n"},
    {"[{respond: 200, redirect_status: 301}]",
	"routes[0].redirect_status: means nothing here, expected it beside redirect\n"},
    {"[{redirect: /, redirect_status: 300}]",
	"routes[0].redirect_status: bad value "
	"\"300\", expected 301, 302, 303, 307 or 308\n"},
    {"[{redirect: '{hots}'}]",
	"routes[0].redirect: bad value \"{hots}\" (no name "
	"\"hots\"), expected a URL or path, perhaps with " NAMES},
    {"[{redirect: '/{'}]", "routes[0].redirect: bad value \"/{\" (a single {), "
			   "expected a URL or path, perhaps with " NAMES},
    {"[{redirect: example.com}]", "routes[0].redirect: bad value \"example.com\", "
				  "expected a URL or path, perhaps with " NAMES},
    {"[{redirect: '/a b'}]", "routes[0].redirect: bad value \"/a b\", "
			     "expected a URL or path, perhaps with " NAMES},
    {"[{rewrite: x}]",
	"routes[0].rewrite: bad value \"x\", expected a path that begins with /\n"},
    {"[{origins: [example.com]}]",
	"routes[0].origins: bad value \"example.com\", "
	"expected a list of SCHEME://HOST[:PORT], SCHEME://*.HOST and null\n"},
    {"[{request_headers: {set: {Connection: x}}}]",
	"routes[0].request_headers.set: bad name \"Connection\", expected a header's "
	"name, but for " NOT_EDITABLE},
    {"[{request_headers: {add: {hOST: x}}}]",
	"routes[0].request_headers.add: bad name \"hOST\", expected a header's "
	"name, but for Host, " NOT_EDITABLE},
    {"[{request_headers: {remove: [Proxy-Authorization]}}]",
	"routes[0].request_headers.remove: bad value \"Proxy-Authorization\", expected "
	"a header's name, but for Host, " NOT_EDITABLE},
    {"[{response_headers: {set: {Host: x}}}]",
	"routes[0].response_headers.set: bad name \"Host\", expected a header's "
	"name, but for Host, " NOT_EDITABLE},
    {"[{response_headers: {add: {X: '}'}}}]",
	"routes[0].response_headers.add.X: bad value \"}\" (a single }), expected "
	"text, perhaps with " NAMES},
    {"[{response_headers: {set: {X: \"a\\r\\nB: c\"}}}]",
	"routes[0].response_headers.set.X: bad value \"a??B: c\", expected text, "
	"perhaps with " NAMES},
    {"[{compress: {codings: [deflate]}}]", NULL},
    {"[{compress: {types: [text]}}]",
	"routes[0].compress.types: bad value \"text\", "
	"expected a list of media types such as text/html\n"},
    {"[{compress: {min_length: 1kb}}]",
	"routes[0].compress.min_length: bad value "
	"\"1kb\", expected a size (k, m, g) from 0 to 1g\n"},
    {"[{compress: {level: 10}}]", "routes[0].compress.level: bad value \"10\", "
				  "expected a number from 1 to 9\n"},
    {"[{app_heartbeats: [{value: ping}]}]",
	"routes[0].app_heartbeats[0].answer: "
	"missing, expected a JSON object of at most 1000 bytes such as "
	"{\"type\":\"pong\"}\n"},
    {"[{app_heartbeats: [{value: ping, answer: pong}]}]",
	"routes[0].app_heartbeats[0].answer: bad value \"pong\", expected a JSON "
	"object of at most 1000 bytes such as {\"type\":\"pong\"}\n"},
    {"[{app_heartbeats: [{answer: '{}'}]}]", "routes[0].app_heartbeats[0].value: "
					     "missing, expected text such as ping\n"},
    {"[{app_heartbeats: [{value: a, answer: '{}', forward: 1}]}]",
	"routes[0].app_heartbeats[0].forward: bad value \"1\", expected true or "
	"false\n"},
    {"[{app_heartbeats: [{value: a, answer: '{}'}, {value: a, answer: '{}'}]}]",
	"routes[0].app_heartbeats: the value \"a\" is there already (first in line 3), "
	"expected it once\n"},
};

/* Without the place, which has tests of its own. */
static const char *
behind_place(const char *error)
{
	return strchr(error, ' ') + 1;
}

START_TEST(test_bad_route_is_refused)
{
	struct strbuf errors = STRBUF_INIT, yaml = STRBUF_INIT;
	const char *text;

	strbuf_printf(&yaml, ONE "routes: %s\n", bad_routes[_i].routes);
	text = strbuf_cstr(&yaml);
	ck_assert_ptr_null(config_parse("r", text, strlen(text), NULL, &errors));
	if (bad_routes[_i].expected)
		ck_assert_str_eq(behind_place(strbuf_cstr(&errors)),
		    bad_routes[_i].expected);
	ck_assert_ptr_eq(strchr(strbuf_cstr(&errors), '\n') + 1,
	    strbuf_cstr(&errors) + errors.len);
	strbuf_fini(&yaml);
	strbuf_fini(&errors);
}
END_TEST

START_TEST(test_brotli_is_taken_where_it_is_built_in)
{
	static const char yaml[] = ONE "routes: [{compress: {codings: [br, gzip]}}]\n";
#ifdef HAVE_BROTLI
	struct config *c = good(yaml);

	ck_assert_uint_eq(c->routes[0].compress.codings,
	    COMPRESS_GZIP | COMPRESS_BROTLI);
	config_free(c);
#else
	bad(yaml, "r.yaml:3:32: routes[0].compress.codings: bad value \"br\", expected "
		  "a list of gzip (this roost is built without brotli for br)\n");
#endif
}
END_TEST

START_TEST(test_elements_of_maps_have_places)
{
	bad(ONE "routes:\n  - request_headers:\n      add:\n        X-A: x\n"
		"        TE: x\n        X-B: y\n",
	    "r.yaml:7:9: routes[0].request_headers.add: bad name \"TE\", expected a "
	    "header's name, but for Host, " NOT_EDITABLE);
	bad(ONE "routes:\n  - request_headers:\n      add:\n        X-A: x\n"
		"        X-B: \"{b}\"\n",
	    "r.yaml:7:14: routes[0].request_headers.add.X-B: bad value \"{b}\" (no "
	    "name "
	    "\"b\"), expected text, perhaps with " NAMES);
	bad(ONE "routes:\n  - headers:\n      X-A: x\n      X-A: x\n",
	    "r.yaml:6:7: the same key again (first in line 5, column 7), expected it "
	    "once\n");
}
END_TEST

START_TEST(test_routes_need_an_end_between_two_upstreams)
{
	bad(TWO "routes:\n  - path: /x\n",
	    "r.yaml:4:5: routes[0]: leads nowhere, expected upstream, respond or "
	    "redirect\n");
	bad(TWO "routes:\n  - redirect: [x]\n",
	    "r.yaml:4:15: routes[0].redirect: a list, expected a URL or path, perhaps "
	    "with " NAMES);
	config_free(good(TWO "routes: [{respond: 404}]\n"));
}
END_TEST

START_TEST(test_lists_have_a_most)
{
	struct strbuf yaml = STRBUF_INIT;

	strbuf_lit(&yaml, ONE "routes: [{methods: [A");
	for (int i = 0; i < 256; i++)
		strbuf_lit(&yaml, ", A");
	strbuf_lit(&yaml, "]}]\n");
	bad(strbuf_cstr(&yaml),
	    "r.yaml:3:20: routes[0].methods: 257 of them, at most 256 are allowed, "
	    "expected a list of methods in capitals such as GET\n");
	strbuf_fini(&yaml);
}
END_TEST

START_TEST(test_same_routes_are_refused)
{
	bad(ONE "routes:\n"
		"- {path: /x, methods: [GET, PUT], headers: {A: a, B: b}}\n"
		"- {path: /x, methods: [GET, PUT], headers: {A: a}}\n"
		"- {path: /x, methods: [GET, PUT], headers: {A: a, B: c}}\n"
		"- {path: /x, methods: [GET], headers: {A: a, B: b}}\n"
		"- {path: /x, match: exact}\n"
		"- {path: /x/, match: exact}\n"
		"- {path: /x}\n"
		"- {path: /x/, methods: [PUT, GET], headers: {b: b, a: a}}\n",
	    "r.yaml:11:10: route \"*/x (methods [GET, PUT], headers {a: a, b: b})\" is "
	    "there already (first in line 4), expected it once\n");
}
END_TEST

/* ---- forms ---- */

#define CHECK_FORM(form, text, fine) \
	ck_assert_msg(form(STR(text)) == (fine), #form " of " text)

START_TEST(test_origins)
{
	CHECK_FORM(form_is_origin, "https://example.com", true);
	CHECK_FORM(form_is_origin, "http://localhost:3000", true);
	CHECK_FORM(form_is_origin, "https://*.example.com", true);
	CHECK_FORM(form_is_origin, "https://*.example.com:8443", true);
	CHECK_FORM(form_is_origin, "http://127.0.0.1:80", true);
	CHECK_FORM(form_is_origin, "http://[::1]:80", true);
	CHECK_FORM(form_is_origin, "http://[::1]", true);
	CHECK_FORM(form_is_origin, "chrome-extension://abcdefghijklmnop", true);
	CHECK_FORM(form_is_origin, "null", true);
	CHECK_FORM(form_is_origin, "*", false);
	CHECK_FORM(form_is_origin, "example.com", false);
	CHECK_FORM(form_is_origin, "https://", false);
	CHECK_FORM(form_is_origin, "https:/example.com", false);
	CHECK_FORM(form_is_origin, "https://example.com/", false);
	CHECK_FORM(form_is_origin, "https://a.com:0", false);
	CHECK_FORM(form_is_origin, "https://a.com:65536", false);
	CHECK_FORM(form_is_origin, "https://a@b.com", false);
	CHECK_FORM(form_is_origin, "https://*", false);
	CHECK_FORM(form_is_origin, "://a.com", false);
}
END_TEST

START_TEST(test_names_of_headers)
{
	CHECK_FORM(form_is_editable_header, "X-A", true);
	CHECK_FORM(form_is_editable_header, "Cookie", true);
	CHECK_FORM(form_is_editable_header, "Proxy", true);
	CHECK_FORM(form_is_editable_header, "host", false);
	CHECK_FORM(form_is_request_header, "host", true);
	CHECK_FORM(form_is_request_header, "connection", false);
	CHECK_FORM(form_is_request_header, "CONTENT-LENGTH", false);
	CHECK_FORM(form_is_request_header, "transfer-encoding", false);
	CHECK_FORM(form_is_request_header, "Upgrade", false);
	CHECK_FORM(form_is_request_header, "te", false);
	CHECK_FORM(form_is_request_header, "Trailer", false);
	CHECK_FORM(form_is_request_header, "Keep-Alive", false);
	CHECK_FORM(form_is_request_header, "proxy-connection", false);
	CHECK_FORM(form_is_request_header, "", false);
	CHECK_FORM(form_is_request_header, "a:b", false);
	CHECK_FORM(form_is_request_header, "a\r\n", false);
}
END_TEST

START_TEST(test_answers_are_one_short_object)
{
	char text[1001];

	memset(text, ' ', sizeof(text));
	text[0] = '{';
	text[999] = '}';
	text[1000] = '}';
	ck_assert(form_is_answer((struct str){text, 1000}));
	ck_assert(!form_is_answer((struct str){text, 1001}));
	ck_assert(!form_is_answer((struct str){text, 999}));
	CHECK_FORM(form_is_answer, "{}", true);
	CHECK_FORM(form_is_answer, "{", false);
	CHECK_FORM(form_is_answer, "}", false);
	CHECK_FORM(form_is_answer, "", false);
	CHECK_FORM(form_is_answer, "[]", false);
	CHECK_FORM(form_is_answer, "{\n}", false);
}
END_TEST

/* ---- error pages ---- */

/* A file with n bytes, whose name is written to path. */
static void
make_file(char *path, size_t n)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(write(fd, "x", 1), 1);
	close(fd);
}

static void
page_yaml(struct strbuf *yaml, const char *file)
{
	strbuf_reset(yaml);
	strbuf_printf(yaml, ONE "error_pages:\n- status: 502\n  file: %s\n", file);
}

START_TEST(test_error_page_is_read)
{
	char path[] = "/tmp/check_config.XXXXXX";
	struct strbuf yaml = STRBUF_INIT, changes = STRBUF_INIT;
	struct config *old, *new;

	make_file(path, 20000);
	page_yaml(&yaml, path);
	old = good(strbuf_cstr(&yaml));
	ck_assert_uint_eq(old->n_error_pages, 1);
	ck_assert_uint_eq(old->error_pages[0].status, 502);
	ck_assert_uint_eq(old->error_pages[0].text.n, 20000);
	ck_assert_int_eq(old->error_pages[0].text.p[19999], 'x');

	ck_assert_int_eq(truncate(path, 5), 0);
	new = good(strbuf_cstr(&yaml));
	config_diff(old, new, &changes, &changes);
	ck_assert_str_eq(strbuf_cstr(&changes),
	    "error_pages.502.file: what is in it has changed\n");
	unlink(path);
	config_free(old);
	config_free(new);
	strbuf_fini(&yaml);
	strbuf_fini(&changes);
}
END_TEST

static void
bad_page(const char *file, const char *why)
{
	struct strbuf yaml = STRBUF_INIT, expected = STRBUF_INIT;

	page_yaml(&yaml, file);
	strbuf_printf(&expected,
	    "r.yaml:5:9: error_pages[0].file: \"%s\" cannot be read (%s), expected a "
	    "file of at most 256k\n",
	    file, why);
	bad(strbuf_cstr(&yaml), strbuf_cstr(&expected));
	strbuf_fini(&yaml);
	strbuf_fini(&expected);
}

START_TEST(test_error_page_that_cannot_be_read)
{
	char path[] = "/tmp/check_config.XXXXXX";
	struct strbuf yaml = STRBUF_INIT;

	make_file(path, 0);
	ck_assert_int_eq(truncate(path, 256 << 10), 0);
	page_yaml(&yaml, path);
	config_free(good(strbuf_cstr(&yaml)));
	strbuf_fini(&yaml);
	ck_assert_int_eq(truncate(path, (256 << 10) + 1), 0);
	bad_page(path, "too large");
	unlink(path);
	bad_page(path, "No such file or directory");
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	bad_page(path, "not a regular file");
	unlink(path);
	bad_page("/tmp", "not a regular file");
}
END_TEST

START_TEST(test_bad_error_page_is_refused)
{
	bad(ONE "error_pages: [{status: 399, file: /dev/null}]\n",
	    "r.yaml:3:24: error_pages[0].status: bad value \"399\", expected a number "
	    "from 400 to 599\n"
	    "r.yaml:3:35: error_pages[0].file: \"/dev/null\" cannot be read (not a "
	    "regular file), expected a file of at most 256k\n");
	bad(ONE "error_pages: [{status: 502}, {status: 502}]\n",
	    "r.yaml:3:15: error_pages[0].file: missing, expected the name of a file of "
	    "HTML\n"
	    "r.yaml:3:30: error_pages[1].file: missing, expected the name of a file of "
	    "HTML\n"
	    "r.yaml:3:39: error page \"502\" is there already (first in line 3), "
	    "expected it once\n");
}
END_TEST

/* ---- dump and diff ---- */

START_TEST(test_dump_loads_to_an_equal_configuration)
{
	check_round_trip(everything);
	check_round_trip(unix_listener);
}
END_TEST

START_TEST(test_diff_of_lists_and_maps)
{
	check_diff(ONE "routes: [{path: /x, headers: {A: x}}]\n",
	    ONE "routes: [{path: /x, headers: {A: x}, origins: [https://a.com], "
		"request_headers: {set: {B: c}}, compress: {codings: [gzip]}}]\n",
	    "routes.*/x (headers {A: (hidden)}).origins: [] -> [https://a.com]\n"
	    "routes.*/x (headers {A: (hidden)}).request_headers.set: {} -> "
	    "{B: (hidden)}\n"
	    "routes.*/x (headers {A: (hidden)}).compress.codings: [] -> [gzip]\n",
	    "");
	check_diff(ONE "routes: [{respond: 404}, {path: /x, match: exact}]\n",
	    ONE
	    "routes: [{respond: 403, text: \"a\\nb\"}, {path: /x, methods: [GET]}]\n",
	    "routes.*/x (match exact): removed\n"
	    "routes.*/.respond: 404 -> 403\n"
	    "routes.*/.text: none -> a\\nb\n"
	    "routes.*/x (methods [GET]): added\n",
	    "");
	check_diff(ONE "routes: [{app_heartbeats: [{value: a, answer: '{}'}]}]\n",
	    ONE "routes: [{app_heartbeats: [{value: a, answer: '{}', forward: true}, "
		"{field: op, value: a, answer: '{}'}]}]\n",
	    "routes.*/.app_heartbeats.a.forward: false -> true\n"
	    "routes.*/.app_heartbeats.a (field op): added\n",
	    "");
}
END_TEST

/* They go to the log, and to whoever may reload. */
START_TEST(test_diff_tells_no_secrets)
{
	check_diff(ONE "routes: [{request_headers: {set: {K: one}}}]\n",
	    ONE "routes: [{request_headers: {set: {K: two}}}]\n",
	    "routes.*/.request_headers.set: a hidden value has changed\n", "");
	check_diff(ONE "routes: [{request_headers: {add: {K: one}}}]\n",
	    ONE "routes: [{request_headers: {add: {K: one, L: two}}}]\n",
	    "routes.*/.request_headers.add: {K: (hidden)} -> "
	    "{K: (hidden), L: (hidden)}\n",
	    "");
	check_diff(ONE "routes: [{headers: {K: one}}]\n",
	    ONE "routes: [{headers: {K: two}}]\n",
	    "routes.*/ (headers {K: (hidden)}): removed\n"
	    "routes.*/ (headers {K: (hidden)}): added\n",
	    "");
	check_diff(ONE "routes: [{response_headers: {set: {K: one}}}]\n",
	    ONE "routes: [{response_headers: {set: {K: two}}}]\n",
	    "routes.*/.response_headers.set: {K: one} -> {K: two}\n", "");
}
END_TEST

START_TEST(test_what_a_listener_is_changes_live)
{
	check_diff("listeners: [{bind: 'unix:/a'}]\n" UPSTREAMS,
	    "listeners: [{bind: 'unix:/a', mode: '0600', proxy_protocol: required, "
	    "trusted: [10.0.0.0/8, unix]}]\n" UPSTREAMS,
	    "listeners.unix:/a.mode: 0666 -> 0600\n"
	    "listeners.unix:/a.proxy_protocol: off -> required\n"
	    "listeners.unix:/a.trusted: [] -> [10.0.0.0/8, unix]\n",
	    "");
}
END_TEST

Suite *
suite_config_routes(void)
{
	Suite *s = suite_create("config_routes");
	TCase *t = tcase_create("listeners");

	tcase_add_test(t, test_listener_defaults);
	tcase_add_test(t, test_unix_listener_and_trusted_ranges);
	tcase_add_test(t, test_flags_make_listeners_with_defaults);
	tcase_add_loop_test(t, test_bad_listener_is_refused, 0,
	    (int)(sizeof(bad_listeners) / sizeof(bad_listeners[0])));
	suite_add_tcase(s, t);

	t = tcase_create("routes");
	tcase_add_test(t, test_route_defaults);
	tcase_add_test(t, test_every_key_of_routes_is_read);
	tcase_add_test(t, test_edits_and_heartbeats_are_read);
	tcase_add_loop_test(t, test_bad_route_is_refused, 0,
	    (int)(sizeof(bad_routes) / sizeof(bad_routes[0])));
	tcase_add_test(t, test_brotli_is_taken_where_it_is_built_in);
	tcase_add_test(t, test_elements_of_maps_have_places);
	tcase_add_test(t, test_routes_need_an_end_between_two_upstreams);
	tcase_add_test(t, test_lists_have_a_most);
	tcase_add_test(t, test_same_routes_are_refused);
	suite_add_tcase(s, t);

	t = tcase_create("forms");
	tcase_add_test(t, test_origins);
	tcase_add_test(t, test_names_of_headers);
	tcase_add_test(t, test_answers_are_one_short_object);
	suite_add_tcase(s, t);

	t = tcase_create("error pages");
	tcase_add_test(t, test_error_page_is_read);
	tcase_add_test(t, test_error_page_that_cannot_be_read);
	tcase_add_test(t, test_bad_error_page_is_refused);
	suite_add_tcase(s, t);

	t = tcase_create("dump and diff");
	tcase_add_test(t, test_dump_loads_to_an_equal_configuration);
	tcase_add_test(t, test_diff_of_lists_and_maps);
	tcase_add_test(t, test_diff_tells_no_secrets);
	tcase_add_test(t, test_what_a_listener_is_changes_live);
	suite_add_tcase(s, t);
	return s;
}
