/* SPDX-License-Identifier: MIT
 *
 * check_router.c - host, path and conditions to a route; paths; rewriting.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "message/head.h"
#include "route/path.h"
#include "route/router.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

Suite *suite_router(void);

#define ROUTE(h, p, u)                                                            \
	{                                                                         \
		.host = (char *)(h), .path = (char *)(p), .upstream = (char *)(u) \
	}
#define N(array) (sizeof(array) / sizeof((array)[0]))

static struct config config;
static struct router *router;

static void
routes_are(struct config_route *routes, size_t n)
{
	config.routes = routes;
	config.n_routes = n;
	router = router_new(&config);
	ck_assert_ptr_nonnull(router);
}

static void
teardown(void)
{
	router_free(router);
	router = NULL;
}

static void
head_leads_to(const struct head *head, const char *upstream)
{
	const struct route *route = router_find(router, head);

	if (!upstream) {
		ck_assert_msg(!route, "%s leads to %s", head->path.p,
		    route ? route->conf->upstream : "");
		return;
	}
	ck_assert_msg(route != NULL, "%s leads nowhere", head->path.p);
	ck_assert_str_eq(route->conf->upstream, upstream);
}

static void
leads_to(const char *host, const char *path, const char *upstream)
{
	struct head head = {.host = str_of(host), .path = str_of(path)};

	head_leads_to(&head, upstream);
}

static void
method_leads_to(enum method method, const char *text, const char *upstream)
{
	struct head head = {.host = STR("h"),
	    .path = STR("/"),
	    .method = method,
	    .method_text = str_of(text)};

	head_leads_to(&head, upstream);
}

/* Header lines as "Name: value", up to NULL. */
static void
headers_lead_to(const char *const *lines, const char *upstream)
{
	static struct head head;

	head = (struct head){.host = STR("h"), .path = STR("/")};
	for (; *lines; lines++) {
		struct header *h = &head.headers[head.n_headers++];
		const char *colon = strchr(*lines, ':');

		h->name = (struct str){*lines, (size_t)(colon - *lines)};
		h->value = str_of(colon + 2);
	}
	head_leads_to(&head, upstream);
}

static void
normalises_to(const char *path, const char *wanted)
{
	char out[256];
	struct str got = {out, path_normalise(str_of(path), out)};

	ck_assert_msg(str_eq(got, str_of(wanted)), "%s becomes %.*s, not %s", path,
	    (int)got.n, got.p, wanted);
	ck_assert_msg(path_is_odd(str_of(path)) || strcmp(path, wanted) == 0,
	    "%s passes as plain", path);
}

/* What the backend is asked for, for a request of `target`. */
static void
rewrites_to(const char *target, const char *wanted)
{
	struct head head = {.host = STR("h"), .target = str_of(target)};
	const struct route *route;
	struct strbuf out = STRBUF_INIT;

	head.path = (struct str){target, strcspn(target, "?")};
	route = router_find(router, &head);
	ck_assert_msg(route != NULL, "%s leads nowhere", target);
	route_rewrite(route, &head, &out);
	ck_assert_msg(strcmp(strbuf_cstr(&out), wanted) == 0, "%s becomes %s, not %s",
	    target, strbuf_cstr(&out), wanted);
	strbuf_fini(&out);
}

START_TEST(prefixes_end_at_segments)
{
	struct config_route routes[] = {ROUTE(NULL, "/api", "api"),
	    ROUTE(NULL, "/chat/", "chat")};

	routes_are(routes, N(routes));
	leads_to("h", "/api", "api");
	leads_to("h", "/api/", "api");
	leads_to("h", "/api/x", "api");
	leads_to("h", "/apix", NULL);
	leads_to("h", "/ap", NULL);
	leads_to("h", "/API", NULL);
	leads_to("h", "/chat", "chat");
	leads_to("h", "/chat/x", "chat");
	leads_to("h", "/", NULL);
}
END_TEST

START_TEST(longest_path_wins)
{
	struct config_route routes[] = {ROUTE("*", "/", "root"),
	    ROUTE("*", "/a/b", "ab"), ROUTE("*", "/a", "a"),
	    ROUTE("*", "/a/b/c", "abc")};

	routes_are(routes, N(routes));
	leads_to("h", "/a/b/c/d", "abc");
	leads_to("h", "/a/b/cd", "ab");
	leads_to("h", "/a/c", "a");
	leads_to("h", "/b", "root");
	leads_to("h", "*", "root");
}
END_TEST

START_TEST(most_specific_host_wins)
{
	struct config_route routes[] = {ROUTE(NULL, "/long/path/here", "any"),
	    ROUTE("*.example.com", "/", "sub"), ROUTE("*.eu.example.com", "/", "eu"),
	    ROUTE("b.example.com", "/", "b"), ROUTE("a.example.com", "/", "a"),
	    ROUTE("example.com", "/", "bare")};

	routes_are(routes, N(routes));
	leads_to("a.example.com", "/long/path/here", "a");
	leads_to("b.example.com", "/", "b");
	leads_to("c.example.com", "/", "sub");
	leads_to("x.c.example.com", "/", "sub");
	leads_to("x.eu.example.com", "/", "eu");
	leads_to("eu.example.com", "/", "sub");
	leads_to("example.com", "/", "bare");
	leads_to(".example.com", "/x", NULL);
	leads_to("badexample.com", "/", NULL);
	leads_to("other", "/long/path/here", "any");
	leads_to("", "/long/path/here", "any");
}
END_TEST

START_TEST(hosts_compare_without_case_port_and_last_dot)
{
	struct config_route routes[] = {ROUTE("Chat.Example.com", "/", "chat"),
	    ROUTE("[::1]", "/", "six")};

	routes_are(routes, N(routes));
	leads_to("chat.example.COM", "/", "chat");
	leads_to("chat.example.com:8080", "/", "chat");
	leads_to("chat.example.com.", "/", "chat");
	leads_to("[::1]", "/", "six");
	leads_to("[::1]:80", "/", "six");
	leads_to("[::2]", "/", NULL);
}
END_TEST

START_TEST(a_host_without_a_fitting_path_leaves_it_to_others)
{
	struct config_route routes[] = {ROUTE("a.b", "/api", "api"),
	    ROUTE("*.b", "/ws", "ws"), ROUTE("*", "/", "rest")};

	routes_are(routes, N(routes));
	leads_to("a.b", "/api", "api");
	leads_to("a.b", "/ws", "ws");
	leads_to("a.b", "/other", "rest");
	leads_to("c.b", "/api", "rest");
}
END_TEST

START_TEST(many_exact_hosts_are_all_found)
{
	enum { HOSTS = 500 };
	static char names[HOSTS][32];
	static struct config_route routes[HOSTS];

	for (int i = 0; i < HOSTS; i++) {
		snprintf(names[i], sizeof(names[i]), "h%d.example", i * 7919 % HOSTS);
		routes[i] = (struct config_route)ROUTE(names[i], "/", names[i]);
	}
	routes_are(routes, HOSTS);
	for (int i = 0; i < HOSTS; i++)
		leads_to(names[i], "/x", names[i]);
	leads_to("h500.example", "/", NULL);
}
END_TEST

START_TEST(exact_paths_take_themselves_alone)
{
	struct config_route routes[] = {ROUTE(NULL, "/api", "prefix"),
	    {.path = (char *)"/api", .upstream = (char *)"exact", .match = MATCH_EXACT},
	    {.path = (char *)"/api/",
		.upstream = (char *)"slash",
		.match = MATCH_EXACT},
	    {.path = (char *)"/", .upstream = (char *)"root", .match = MATCH_EXACT}};

	routes_are(routes, N(routes));
	leads_to("h", "/api", "exact");
	leads_to("h", "/api/", "slash");
	leads_to("h", "/api/x", "prefix");
	leads_to("h", "/", "root");
	leads_to("h", "/x", NULL);
}
END_TEST

START_TEST(a_shorter_exact_path_yields_to_a_longer_prefix_only_where_both_fit)
{
	struct config_route routes[] = {ROUTE(NULL, "/a/b", "prefix"),
	    {.path = (char *)"/a", .upstream = (char *)"exact", .match = MATCH_EXACT}};

	routes_are(routes, N(routes));
	leads_to("h", "/a", "exact");
	leads_to("h", "/a/b", "prefix");
	leads_to("h", "/a/c", NULL);
}
END_TEST

START_TEST(disguised_paths_do_not_slip_past_a_route)
{
	struct config_route routes[] = {ROUTE(NULL, "/", "open"),
	    ROUTE(NULL, "/admin", "admin")};

	routes_are(routes, N(routes));
	leads_to("h", "/%61dmin", "admin");
	leads_to("h", "/x/../admin", "admin");
	leads_to("h", "/x/%2e%2E/admin/y", "admin");
	leads_to("h", "/x/..%2Fadmin", "admin");
	leads_to("h", "//admin", "admin");
	leads_to("h", "/./admin", "admin");
	leads_to("h", "/%2Fadmin", "admin");
	leads_to("h", "/%2561dmin", "open");
	leads_to("h", "/admin/..", "open");
	leads_to("h", "/admin/../x", "open");
	leads_to("h", "/admin%zz", "open");
}
END_TEST

START_TEST(paths_of_routes_are_read_like_those_of_requests)
{
	struct config_route routes[] = {ROUTE(NULL, "/caf%C3%A9/", "cafe"),
	    ROUTE(NULL, "/a//b/../c", "ac")};

	routes_are(routes, N(routes));
	leads_to("h", "/caf\xc3\xa9/x", "cafe");
	leads_to("h", "/caf%c3%a9", "cafe");
	leads_to("h", "/a/c/d", "ac");
}
END_TEST

START_TEST(methods_are_conditions)
{
	const char *read[] = {"GET"}, *find[] = {"PROPFIND", "POST"};
	struct config_route routes[] = {ROUTE(NULL, "/", "rest"),
	    {.path = (char *)"/",
		.upstream = (char *)"read",
		.methods = (char **)read,
		.n_methods = 1},
	    {.path = (char *)"/",
		.upstream = (char *)"find",
		.methods = (char **)find,
		.n_methods = 2}};

	routes_are(routes, N(routes));
	method_leads_to(METHOD_GET, "GET", "read");
	method_leads_to(METHOD_HEAD, "HEAD", "read");
	method_leads_to(METHOD_OTHER, "PROPFIND", "find");
	method_leads_to(METHOD_POST, "POST", "find");
	method_leads_to(METHOD_OTHER, "post", "rest");
	method_leads_to(METHOD_OTHER, "get", "rest");
	method_leads_to(METHOD_DELETE, "DELETE", "rest");
}
END_TEST

START_TEST(head_does_not_follow_other_methods)
{
	const char *post[] = {"POST"};
	struct config_route routes[] = {{.path = (char *)"/",
	    .upstream = (char *)"post",
	    .methods = (char **)post,
	    .n_methods = 1}};

	routes_are(routes, N(routes));
	method_leads_to(METHOD_HEAD, "HEAD", NULL);
}
END_TEST

START_TEST(headers_are_conditions)
{
	struct config_header beta = {(char *)"X-Beta", (char *)"yes"};
	struct config_header both[] = {beta, {(char *)"X-Any", (char *)"*"}};
	struct config_header null = {(char *)"X-Null", NULL};
	struct config_route routes[] = {ROUTE(NULL, "/", "rest"),
	    {.path = (char *)"/",
		.upstream = (char *)"beta",
		.headers = &beta,
		.n_headers = 1},
	    {.path = (char *)"/",
		.upstream = (char *)"both",
		.headers = both,
		.n_headers = 2},
	    {.path = (char *)"/",
		.upstream = (char *)"null",
		.headers = &null,
		.n_headers = 1}};

	routes_are(routes, N(routes));
	headers_lead_to((const char *[]){NULL}, "rest");
	headers_lead_to((const char *[]){"x-BETA: yes", NULL}, "beta");
	headers_lead_to((const char *[]){"X-Beta: Yes", NULL}, "rest");
	headers_lead_to((const char *[]){"X-Beta: ", NULL}, "rest");
	headers_lead_to((const char *[]){"X-Beta: no", "X-Beta: yes", NULL}, "beta");
	headers_lead_to((const char *[]){"X-Any: ", "X-Beta: yes", NULL}, "both");
	headers_lead_to((const char *[]){"X-Any: 1", NULL}, "rest");
	headers_lead_to((const char *[]){"X-Null: 1", NULL}, "null");
}
END_TEST

START_TEST(more_conditions_win_and_then_the_files_order)
{
	const char *get[] = {"GET"}, *two[] = {"GET", "PUT"};
	struct config_header beta = {(char *)"X-Beta", (char *)"*"};
	struct config_route routes[] = {{.path = (char *)"/",
					    .upstream = (char *)"first",
					    .methods = (char **)two,
					    .n_methods = 2},
	    {.path = (char *)"/",
		.upstream = (char *)"second",
		.methods = (char **)get,
		.n_methods = 1},
	    {.path = (char *)"/",
		.upstream = (char *)"more",
		.methods = (char **)get,
		.n_methods = 1,
		.headers = &beta,
		.n_headers = 1}};
	struct head head = {.host = STR("h"),
	    .path = STR("/"),
	    .method = METHOD_GET,
	    .method_text = STR("GET")};

	routes_are(routes, N(routes));
	head_leads_to(&head, "first");
	head.headers[head.n_headers++] =
	    (struct header){.name = STR("X-Beta"), .value = STR("1")};
	head_leads_to(&head, "more");
}
END_TEST

START_TEST(a_longer_path_whose_conditions_fail_is_passed_over)
{
	const char *post[] = {"POST"};
	struct config_route routes[] = {{.host = (char *)"h",
					    .path = (char *)"/api",
					    .upstream = (char *)"post",
					    .methods = (char **)post,
					    .n_methods = 1},
	    ROUTE(NULL, "/", "rest")};
	struct head head = {.host = STR("h"),
	    .path = STR("/api"),
	    .method = METHOD_GET,
	    .method_text = STR("GET")};

	routes_are(routes, N(routes));
	head_leads_to(&head, "rest");
	head.method = METHOD_POST;
	head.method_text = STR("POST");
	head_leads_to(&head, "post");
}
END_TEST

START_TEST(paths_are_normalised)
{
	normalises_to("", "");
	normalises_to("*", "*");
	normalises_to("x/../y", "x/../y");
	normalises_to("/", "/");
	normalises_to("/a/b.c/", "/a/b.c/");
	normalises_to("/.well-known/x", "/.well-known/x");
	normalises_to("/a/...", "/a/...");
	normalises_to("/..a/b..", "/..a/b..");
	normalises_to("//", "/");
	normalises_to("/a///b//", "/a/b/");
	normalises_to("/.", "/");
	normalises_to("/..", "/");
	normalises_to("/../../x", "/x");
	normalises_to("/a/b/./c", "/a/b/c");
	normalises_to("/a/b/..", "/a/");
	normalises_to("/a/b/.", "/a/b/");
	normalises_to("/a/b/../../c", "/c");
	normalises_to("/a//../b", "/b");
	normalises_to("/%7Euser", "/~user");
	normalises_to("/a%2Fb", "/a/b");
	normalises_to("/%2e%2e/x", "/x");
	normalises_to("/a/.%2e/x", "/x");
	normalises_to("/%25%32%65", "/%2e");
	normalises_to("/%", "/%");
	normalises_to("/%4", "/%4");
	normalises_to("/%zz%4g%", "/%zz%4g%");
	normalises_to("/%%41", "/%A");
}
END_TEST

START_TEST(a_prefix_is_rewritten_and_the_query_kept)
{
	struct config_route routes[] = {ROUTE(NULL, "/api/", "a"),
	    ROUTE(NULL, "/old", "b"), ROUTE(NULL, "/", "c")};

	routes[0].rewrite = (char *)"/";
	routes[1].rewrite = (char *)"/v2/";
	routes[2].rewrite = (char *)"/app";
	routes_are(routes, N(routes));
	rewrites_to("/api/x", "/x");
	rewrites_to("/api", "/");
	rewrites_to("/api/", "/");
	rewrites_to("/api?a=/b?c", "/?a=/b?c");
	rewrites_to("/api/x?", "/x?");
	rewrites_to("/old/x/", "/v2/x/");
	rewrites_to("/old", "/v2/");
	rewrites_to("/old/", "/v2/");
	rewrites_to("/x", "/app/x");
	rewrites_to("/", "/app/");
	rewrites_to("*", "*");
}
END_TEST

START_TEST(an_exact_path_is_rewritten_whole)
{
	struct config_route routes[] = {{.path = (char *)"/old",
	    .upstream = (char *)"a",
	    .match = MATCH_EXACT,
	    .rewrite = (char *)"/new/place"}};

	routes_are(routes, N(routes));
	rewrites_to("/old?x", "/new/place?x");
	rewrites_to("/%6fld?%6f", "/new/place?%6f");
}
END_TEST

START_TEST(the_rest_of_a_rewritten_path_stays_as_the_client_sent_it)
{
	struct config_route routes[] = {ROUTE(NULL, "/api", "a")};

	routes[0].rewrite = (char *)"/v2";
	routes_are(routes, N(routes));
	rewrites_to("/api/group%2Fproject", "/v2/group%2Fproject");
	rewrites_to("/api/%7eu/%zz", "/v2/%7eu/%zz");
	rewrites_to("/api/a//b", "/v2/a//b");
	rewrites_to("/api/.git|\"<>", "/v2/.git|\"<>");
}
END_TEST

START_TEST(an_odd_path_is_rewritten_as_it_was_understood)
{
	struct config_route routes[] = {ROUTE(NULL, "/api", "a"),
	    ROUTE(NULL, "/r", "b")};

	routes[0].rewrite = (char *)"/v2";
	routes[1].rewrite = (char *)"/";
	routes_are(routes, N(routes));
	rewrites_to("/%61pi/x%20y?q=%20", "/v2/x%20y?q=%20");
	rewrites_to("//api/%2541%0a", "/v2/%2541%0A");
	rewrites_to("/x/../api/a%3Fb", "/v2/a%3Fb");
	rewrites_to("/api/../api/y", "/v2/y");
	rewrites_to("/api/x/../y", "/v2/y");
	rewrites_to("/api/../x/../api/y", "/v2/y");
	rewrites_to("/api/x/%2e./y", "/v2/y");
	rewrites_to("/api/x%2f..%2fy", "/v2/y");
	rewrites_to("/r//evil.example/x", "/evil.example/x");
	rewrites_to("/r/..%2fr", "/");
}
END_TEST

START_TEST(a_rewrite_is_written_as_a_path)
{
	struct config_route routes[] = {ROUTE(NULL, "/a", "a"), ROUTE(NULL, "/b", "b")};

	routes[0].rewrite = (char *)"/x y\r\n?%41";
	routes[1].rewrite = (char *)"";
	routes_are(routes, N(routes));
	rewrites_to("/a/1", "/x%20y%0D%0A%3F%41/1");
	rewrites_to("/b", "/");
	rewrites_to("/b/1", "/1");
}
END_TEST

START_TEST(the_longest_odd_path_has_room)
{
	static char path[HEAD_MAX_TARGET + 1];
	struct config_route routes[] = {ROUTE(NULL, "/", "root")};
	struct head head = {.host = STR("h"), .path = {path, HEAD_MAX_TARGET}};

	routes_are(routes, N(routes));
	memset(path, '/', sizeof(path) - 1);
	head_leads_to(&head, "root");
	memset(path + 1, '%', sizeof(path) - 2);
	head_leads_to(&head, "root");
}
END_TEST

START_TEST(what_a_route_edits_and_redirects_is_compiled)
{
	struct config_header set = {(char *)"X-A", (char *)"{path}"};
	struct config_route routes[] = {ROUTE(NULL, "/", "plain"),
	    {.path = (char *)"/r",
		.redirect = (char *)"https://{host}{uri}",
		.request_headers = {.set = &set, .n_set = 1}}};
	struct head head = {.host = STR("h"), .path = STR("/r")};
	const struct route *route;

	routes_are(routes, N(routes));
	route = router_find(router, &head);
	ck_assert_ptr_nonnull(route->redirect);
	ck_assert_ptr_nonnull(route->request_edits);
	ck_assert_ptr_null(route->response_edits);
	head.path = STR("/");
	route = router_find(router, &head);
	ck_assert(!route->redirect && !route->request_edits);
}
END_TEST

Suite *
suite_router(void)
{
	Suite *s = suite_create("router");
	TCase *t = tcase_create("router");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, prefixes_end_at_segments);
	tcase_add_test(t, longest_path_wins);
	tcase_add_test(t, most_specific_host_wins);
	tcase_add_test(t, hosts_compare_without_case_port_and_last_dot);
	tcase_add_test(t, a_host_without_a_fitting_path_leaves_it_to_others);
	tcase_add_test(t, many_exact_hosts_are_all_found);
	tcase_add_test(t, exact_paths_take_themselves_alone);
	tcase_add_test(t,
	    a_shorter_exact_path_yields_to_a_longer_prefix_only_where_both_fit);
	tcase_add_test(t, disguised_paths_do_not_slip_past_a_route);
	tcase_add_test(t, paths_of_routes_are_read_like_those_of_requests);
	tcase_add_test(t, methods_are_conditions);
	tcase_add_test(t, head_does_not_follow_other_methods);
	tcase_add_test(t, headers_are_conditions);
	tcase_add_test(t, more_conditions_win_and_then_the_files_order);
	tcase_add_test(t, a_longer_path_whose_conditions_fail_is_passed_over);
	tcase_add_test(t, paths_are_normalised);
	tcase_add_test(t, a_prefix_is_rewritten_and_the_query_kept);
	tcase_add_test(t, an_exact_path_is_rewritten_whole);
	tcase_add_test(t, the_rest_of_a_rewritten_path_stays_as_the_client_sent_it);
	tcase_add_test(t, an_odd_path_is_rewritten_as_it_was_understood);
	tcase_add_test(t, a_rewrite_is_written_as_a_path);
	tcase_add_test(t, the_longest_odd_path_has_room);
	tcase_add_test(t, what_a_route_edits_and_redirects_is_compiled);
	suite_add_tcase(s, t);
	return s;
}
