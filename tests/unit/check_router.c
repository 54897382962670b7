/* SPDX-License-Identifier: MIT
 *
 * check_router.c - host and path to a route.
 */
#include "config/config.h"
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
leads_to(const char *host, const char *path, const char *upstream)
{
	const struct config_route *route =
	    router_find(router, str_of(host), str_of(path));

	if (!upstream) {
		ck_assert_msg(!route, "%s%s leads to %s", host, path,
		    route ? route->upstream : "");
		return;
	}
	ck_assert_msg(route != NULL, "%s%s leads nowhere", host, path);
	ck_assert_str_eq(route->upstream, upstream);
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
	suite_add_tcase(s, t);
	return s;
}
