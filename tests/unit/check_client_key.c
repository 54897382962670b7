/* SPDX-License-Identifier: MIT
 *
 * check_client_key.c - who is the client?
 */
#include "base/addr.h"
#include "config/config.h"
#include "message/head.h"
#include "route/client_key.h"

#include <check.h>
#include <stdio.h>

Suite *suite_client_key(void);

static struct config_client_key sources[4];
static struct config_upstream conf = {.client_keys = sources};
static struct addr peer;

static void
setup(void)
{
	ck_assert(addr_parse(STR("192.0.2.1:5000"), &peer));
}

static void
list_is(struct config_client_key first, struct config_client_key second, size_t n)
{
	sources[0] = first;
	sources[1] = second;
	conf.n_client_keys = n;
}

#define COOKIE(n) ((struct config_client_key){KEY_COOKIE, (char *)(n)})
#define HEADER(n) ((struct config_client_key){KEY_HEADER, (char *)(n)})
#define QUERY(n) ((struct config_client_key){KEY_QUERY, (char *)(n)})
#define ADDRESS ((struct config_client_key){KEY_ADDRESS, NULL})

static struct client_key
key_of(const char *target, const char *headers)
{
	static char text[2048];
	static struct head head;
	size_t used;
	enum reason why;
	int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n",
	    target, headers);

	ck_assert_int_eq(head_parse(text, (size_t)n, &head, &used, &why), PARSE_DONE);
	return client_key_of(&conf, 7, &head, &peer);
}

static bool
same(struct client_key a, struct client_key b)
{
	ck_assert(a.found && b.found);
	return hash128_eq(a.hash, b.hash);
}

START_TEST(headers_are_found_in_any_case)
{
	list_is(HEADER("X-Client"), ADDRESS, 1);
	ck_assert(key_of("/", "x-client: joe\r\n").found);
	ck_assert(!key_of("/", "x-client: joe\r\n").weak);
	ck_assert(!key_of("/", "x-client: joe\r\n").issue);
	ck_assert(
	    same(key_of("/", "X-CLIENT:  joe \r\n"), key_of("/", "x-client: joe\r\n")));
	ck_assert(
	    !same(key_of("/", "x-client: joe\r\n"), key_of("/", "x-client: Joe\r\n")));
	ck_assert(!key_of("/", "x-client:\r\n").found);
	ck_assert(!key_of("/", "").found);
}
END_TEST

START_TEST(query_parameters_are_decoded)
{
	list_is(QUERY("client"), ADDRESS, 1);
	ck_assert(same(key_of("/?client=a%2Fb+c", ""),
	    key_of("/x?y=1&client=a/b%20c&z", "")));
	ck_assert(same(key_of("/?client=100%25", ""), key_of("/?client=100%", "")));
	ck_assert(!same(key_of("/?client=a%2Bb", ""), key_of("/?client=a+b", "")));
	ck_assert(!same(key_of("/?client=a", ""), key_of("/?client=b", "")));
	ck_assert(!key_of("/?client=", "").found);
	ck_assert(!key_of("/?xclient=1&clientx=2&client", "").found);
	ck_assert(!key_of("/", "").found);
}
END_TEST

START_TEST(the_same_value_is_the_same_client_however_it_came)
{
	struct client_key by_query, by_header, by_cookie;

	list_is(HEADER("X-Client"), QUERY("client"), 2);
	by_query = key_of("/?client=a%20b", "");
	by_header = key_of("/", "X-Client: a b\r\n");
	list_is(COOKIE("client"), ADDRESS, 1);
	by_cookie = key_of("/", "Cookie: client=a b\r\n");
	ck_assert(same(by_query, by_header));
	ck_assert(same(by_query, by_cookie));
}
END_TEST

START_TEST(the_first_source_with_a_value_counts)
{
	struct client_key joe;

	list_is(HEADER("X-Client"), QUERY("client"), 2);
	joe = key_of("/", "X-Client: joe\r\n");
	ck_assert(same(key_of("/?client=ann", "X-Client: joe\r\n"), joe));
	ck_assert(!same(key_of("/?client=ann", ""), joe));
	ck_assert(!same(key_of("/?client=ann", "X-Client:\r\n"), joe));
}
END_TEST

START_TEST(an_address_is_weak_and_without_port)
{
	struct client_key a, b;

	list_is(ADDRESS, ADDRESS, 1);
	a = key_of("/", "");
	ck_assert(a.found && a.weak && !a.issue);
	addr_set_port(&peer, 6000);
	ck_assert(same(a, key_of("/", "")));
	ck_assert(addr_parse(STR("[::ffff:192.0.2.1]:5000"), &peer));
	ck_assert(same(a, key_of("/", "")));
	ck_assert(addr_parse(STR("192.0.2.2:5000"), &peer));
	b = key_of("/", "");
	ck_assert(!same(a, b));
	peer = (struct addr){.sa = {.sa_family = 0}};
	ck_assert(!key_of("/", "").found);
}
END_TEST

START_TEST(our_cookie_is_issued_where_it_is_missing)
{
	struct client_key key;

	list_is(COOKIE("roost"), ADDRESS, 2);
	key = key_of("/", "");
	ck_assert(key.issue && key.found && key.weak && !key.has_hint);
	key = key_of("/", "Cookie: roost=nonsense; a=b\r\n");
	ck_assert(key.issue && key.found && key.weak && !key.has_hint);
	list_is(COOKIE("roost"), ADDRESS, 1);
	key = key_of("/", "");
	ck_assert(key.issue && !key.found);
	list_is(HEADER("X-Client"), COOKIE("roost"), 2);
	key = key_of("/", "X-Client: joe\r\n");
	ck_assert(!key.issue && key.found);
}
END_TEST

START_TEST(our_cookie_is_known_by_its_id_alone)
{
	uint8_t secret[HASH_SECRET];
	char id[COOKIE_ID + 1], value[COOKIE_VALUE + 1], header[128];
	struct client_key key;

	hash_derive_secret(secret, "s", 1);
	cookie_new_id(id);
	list_is(COOKIE("roost"), ADDRESS, 2);
	for (unsigned second = 0; second < 2; second++) {
		cookie_write(value, secret, id, second, 1, second ? 2 : 3);
		snprintf(header, sizeof(header), "Cookie: x=y; roost=%s\r\n", value);
		key = key_of("/", header);
		ck_assert(key.found && !key.weak && !key.issue && key.has_hint);
		ck_assert(hash128_eq(key.hash, client_key_of_id(7, id)));
		ck_assert(!hash128_eq(key.hash, client_key_of_id(8, id)));
		ck_assert_uint_eq(key.cookie.issued, second);
	}
}
END_TEST

START_TEST(an_issued_id_cannot_be_claimed_by_a_header)
{
	char id[COOKIE_ID + 1], header[128];

	cookie_new_id(id);
	snprintf(header, sizeof(header), "X-Client: %s\r\n", id);
	list_is(HEADER("X-Client"), COOKIE("roost"), 2);
	ck_assert(!hash128_eq(key_of("/", header).hash, client_key_of_id(7, id)));
}
END_TEST

START_TEST(an_address_cannot_be_claimed_by_a_value)
{
	struct hash128 address;

	list_is(ADDRESS, ADDRESS, 1);
	address = key_of("/", "").hash;
	list_is(QUERY("client"), ADDRESS, 1);
	ck_assert(!hash128_eq(key_of("/?client=%C0%00%02%01", "").hash, address));
}
END_TEST

START_TEST(cookies_are_looked_for_in_every_cookie_header)
{
	list_is(COOKIE("sid"), ADDRESS, 1);
	ck_assert(same(key_of("/", "Cookie: a=b\r\nCookie: sid=1\r\n"),
	    key_of("/", "Cookie: sid=1\r\n")));
	ck_assert(!key_of("/", "Cookie: sid=\r\n").found);
	ck_assert(!key_of("/", "Cookie: sid=1\r\n").issue);
}
END_TEST

static struct client_key
named(const char *text)
{
	struct client_key key;

	ck_assert_msg(client_key_parse(&conf, 7, str_of(text), &key), "%s", text);
	return key;
}

static bool
is_no_name(const char *text)
{
	struct client_key key;

	return !client_key_parse(&conf, 7, str_of(text), &key);
}

START_TEST(an_administrator_names_clients_by_their_sources)
{
	char id[COOKIE_ID + 1], value[COOKIE_VALUE + 1], text[128];
	static const uint8_t secret[HASH_SECRET];

	list_is(HEADER("X-Client"), QUERY("client"), 2);
	ck_assert(same(named("header:a b"), key_of("/", "X-Client: a b\r\n")));
	ck_assert(same(named("query:a b"), key_of("/?client=a%20b", "")));
	ck_assert(same(named("header:a:b"), key_of("/", "X-Client: a:b\r\n")));
	ck_assert(is_no_name("cookie:x") && is_no_name("address:192.0.2.1"));

	list_is(COOKIE("roost"), ADDRESS, 2);
	ck_assert(same(named("address:192.0.2.1"), key_of("/", "")));
	ck_assert(same(named("address:::ffff:192.0.2.1"), key_of("/", "")));
	ck_assert(named("address:192.0.2.1").weak);
	cookie_new_id(id);
	cookie_write(value, secret, id, 1000, 1, 2);
	snprintf(text, sizeof(text), "Cookie: roost=%s\r\n", value);
	{
		struct client_key browser = key_of("/", text);

		snprintf(text, sizeof(text), "cookie:%s", value);
		ck_assert(same(named(text), browser) && named(text).has_hint);
		snprintf(text, sizeof(text), "cookie:%s", id);
		ck_assert(same(named(text), browser) && !named(text).has_hint);
	}
	ck_assert(is_no_name("cookie:x") && is_no_name("header:x"));

	list_is(COOKIE("sid"), ADDRESS, 1);
	ck_assert(same(named("cookie:x"), key_of("/", "Cookie: sid=x\r\n")));
}
END_TEST

START_TEST(what_names_no_client)
{
	static const char *const others[] = {"", ":", "x", "header",
	    "header:", "Header:x", "head:x", "address:", "address:here",
	    "address:192.0.2.1:80", "cookie:"};

	sources[2] = COOKIE("sid");
	list_is(HEADER("X-Client"), ADDRESS, 3);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		ck_assert_msg(is_no_name(others[i]), "%s", others[i]);
}
END_TEST

Suite *
suite_client_key(void)
{
	Suite *s = suite_create("client_key");
	TCase *t = tcase_create("client_key");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, headers_are_found_in_any_case);
	tcase_add_test(t, query_parameters_are_decoded);
	tcase_add_test(t, the_same_value_is_the_same_client_however_it_came);
	tcase_add_test(t, the_first_source_with_a_value_counts);
	tcase_add_test(t, an_address_is_weak_and_without_port);
	tcase_add_test(t, our_cookie_is_issued_where_it_is_missing);
	tcase_add_test(t, our_cookie_is_known_by_its_id_alone);
	tcase_add_test(t, an_issued_id_cannot_be_claimed_by_a_header);
	tcase_add_test(t, an_address_cannot_be_claimed_by_a_value);
	tcase_add_test(t, cookies_are_looked_for_in_every_cookie_header);
	tcase_add_test(t, an_administrator_names_clients_by_their_sources);
	tcase_add_test(t, what_names_no_client);
	suite_add_tcase(s, t);
	return s;
}
