/* SPDX-License-Identifier: MIT
 *
 * check_forwarded.c - who the proxies in front of us say the client is.
 */
#include "message/forwarded.h"

#include <check.h>
#include <stdlib.h>

Suite *suite_forwarded(void);

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define XFF "X-Forwarded-For: "
#define FWD "Forwarded: "
#define XFP "X-Forwarded-Proto: "

static struct head head;

/* Lines as "Name: value", up to NULL. */
static void
head_is(const char *const *lines)
{
	static char storage[16][512];

	head = (struct head){0};
	memset(head.first, 0xff, sizeof(head.first));
	for (; *lines; lines++) {
		struct header *h = &head.headers[head.n_headers];
		size_t n = strlen(*lines), name = strcspn(*lines, ":");
		char *p = storage[head.n_headers++];

		ck_assert_uint_lt(n, sizeof(storage[0]));
		memcpy(p, *lines, n);
		h->name = (struct str){p, name};
		h->value = str_trim((struct str){p + name + 1, n - name - 1});
		h->id = header_id_of(h->name);
		if (head.first[h->id] < 0)
			head.first[h->id] = (int16_t)(head.n_headers - 1);
	}
}
#define HEAD(...) head_is((const char *[]){__VA_ARGS__, NULL})

/* Trusted are 10/8 and fd00::/8. wanted NULL: nothing is said. */
static void
client_is(const char *wanted)
{
	static const char *const texts[] = {"10.0.0.0/8", "fd00::/8"};
	struct addr_range trusted[N(texts)];
	struct addr client;
	char text[ADDR_TEXT];
	bool found;

	for (size_t i = 0; i < N(texts); i++)
		ck_assert(addr_range_parse(str_of(texts[i]), &trusted[i]));
	found = forwarded_client(&head, trusted, N(trusted), &client);
	ck_assert_msg(found == (wanted != NULL), "%s: %s",
	    head.n_headers ? head.headers[0].value.p : "", found ? "found" : "nothing");
	if (!found)
		return;
	ck_assert_str_eq(addr_print(&client, false, text), wanted);
	ck_assert_uint_eq(addr_port(&client), 0);
}

static void
node_is(const char *node, const char *wanted)
{
	char line[256];

	snprintf(line, sizeof(line), XFF "%s", node);
	HEAD(line);
	client_is(wanted);
	snprintf(line, sizeof(line), FWD "for=\"%s\"", node);
	HEAD(line);
	client_is(wanted);
	snprintf(line, sizeof(line), FWD "For=%s;proto=http", node);
	HEAD(line);
	client_is(wanted);
}

START_TEST(no_list_says_nothing)
{
	HEAD("Host: h");
	client_is(NULL);
	HEAD(XFF "");
	client_is(NULL);
	HEAD(XFF " , ,", FWD ",");
	client_is(NULL);
}
END_TEST

START_TEST(addresses_come_in_many_forms)
{
	node_is("192.0.2.1", "192.0.2.1");
	node_is("192.0.2.1:4711", "192.0.2.1");
	node_is("192.0.2.1:_hidden", "192.0.2.1");
	node_is("2001:db8::1", "2001:db8::1");
	node_is("[2001:db8::1]", "2001:db8::1");
	node_is("[2001:db8::1]:4711", "2001:db8::1");
	node_is("[2001:db8::1]:_x.y-z", "2001:db8::1");
	node_is("[2001:DB8:0::0.0.0.1]", "2001:db8::1");
}
END_TEST

START_TEST(what_is_no_address_says_nothing)
{
	static const char *const nodes[] = {"unknown", "_gazonk", "unknown:80", "*:80",
	    ":80", "localhost", "192.0.2.1:", "192.0.2.1:x", "192.0.2.1:70000",
	    "[192.0.2.1]", "[192.0.2.1]:80", "[::1", "::1]", "[::1]:", "[::1]x", "[]",
	    "fe80::1%eth0", "192.0.2", "192.0.2.256", "0x7f.1", "192.0.2.1/8",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

	for (size_t i = 0; i < N(nodes); i++)
		node_is(nodes[i], NULL);
}
END_TEST

START_TEST(the_first_stranger_from_the_right_is_the_client)
{
	HEAD(XFF "6.6.6.6, 192.0.2.1, 10.0.0.2,10.0.0.1");
	client_is("192.0.2.1");
	HEAD(FWD "for=6.6.6.6, for=192.0.2.1;by=10.0.0.2, for=10.0.0.2");
	client_is("192.0.2.1");
	HEAD(XFF "192.0.2.1, fd00::1, ::ffff:10.0.0.1");
	client_is("192.0.2.1");
}
END_TEST

START_TEST(several_lines_are_one_list)
{
	HEAD(XFF "6.6.6.6", "X-Other: 1", XFF "192.0.2.1", XFF "10.0.0.1", XFF "");
	client_is("192.0.2.1");
	HEAD(FWD "for=6.6.6.6", FWD "for=192.0.2.1", FWD "for=\"[fd00::1]:80\"");
	client_is("192.0.2.1");
}
END_TEST

START_TEST(when_all_are_trusted_the_leftmost_counts)
{
	HEAD(XFF "10.0.0.3, 10.0.0.2", XFF "10.0.0.1");
	client_is("10.0.0.3");
}
END_TEST

START_TEST(what_is_no_address_ends_the_search)
{
	HEAD(XFF "6.6.6.6, unknown, 10.0.0.1");
	client_is("10.0.0.1");
	HEAD(XFF "6.6.6.6, unknown");
	client_is(NULL);
	HEAD(FWD "for=6.6.6.6, for=_secret, for=10.0.0.1");
	client_is("10.0.0.1");
	HEAD(FWD "for=6.6.6.6, proto=https, for=10.0.0.1");
	client_is("10.0.0.1");
}
END_TEST

START_TEST(forwarded_is_read_where_nothing_else_is_said)
{
	HEAD(FWD "for=6.6.6.6", XFF "192.0.2.1");
	client_is("192.0.2.1");
	HEAD(FWD "for=6.6.6.6", XFF "unknown");
	client_is(NULL);
	HEAD(FWD "for=192.0.2.1", XFF " ,");
	client_is("192.0.2.1");
}
END_TEST

START_TEST(forwarded_follows_its_grammar)
{
	static const char *const good[] = {"for=192.0.2.1", "FOR=\"192.0.2.1\"",
	    "by=x;for=192.0.2.1;proto=https", "for=192.0.2.1;", ";;for=192.0.2.1",
	    "proto=http; for=192.0.2.1 ; host=\"a;b,c\"", "for=\"\\192.0.2.\\1\"",
	    "host=\"a\\\"b,for=6.6.6.6\";for=192.0.2.1", "ext=\"\\\\\";for=192.0.2.1",
	    "host=\"a,b\\\"c\";for=192.0.2.1", "ext=\"a,b\\\\\";for=192.0.2.1"};
	static const char *const wrong[] = {"for", "for=", "for=\"\"", "for =192.0.2.1",
	    "for= 192.0.2.1", "for=192.0.2.1 x", "for=192.0.2.1;for=192.0.2.1",
	    "for=192.0.2.1;by", "=x;for=192.0.2.1", "for=\"192.0.2.1",
	    "for=192.0.2.1\"", "for=\"192.0.2.1\"x", "for=\"192.0.2.1\\",
	    "fore=192.0.2.1", "192.0.2.1"};
	char line[256];

	for (size_t i = 0; i < N(good); i++) {
		snprintf(line, sizeof(line), FWD "%s", good[i]);
		HEAD(line);
		client_is("192.0.2.1");
	}
	for (size_t i = 0; i < N(wrong); i++) {
		snprintf(line, sizeof(line), FWD "%s", wrong[i]);
		HEAD(line);
		client_is(NULL);
	}
}
END_TEST

START_TEST(nothing_to_the_left_changes_what_a_trusted_proxy_wrote)
{
	static const char *const lefts[] = {"\"", "for=\"", "for=\"\\", "\\", "\"\\\"",
	    "for=\"a\\\"", "\"\"\"", ",;=", "for=\"x, for=\"y"};
	char line[256];

	for (size_t i = 0; i < N(lefts); i++) {
		snprintf(line, sizeof(line),
		    FWD "%s, for=\"192.0.2.1:8\", for=10.0.0.1", lefts[i]);
		HEAD(line);
		client_is("192.0.2.1");
		snprintf(line, sizeof(line), XFF "%s, 192.0.2.1, 10.0.0.1", lefts[i]);
		HEAD(line);
		client_is("192.0.2.1");
	}
}
END_TEST

static bool
is_https(void)
{
	return forwarded_is_https(&head);
}

START_TEST(the_last_word_on_tls_counts)
{
	HEAD("Host: h");
	ck_assert(!is_https());
	HEAD(XFP "https");
	ck_assert(is_https());
	HEAD(XFP "HTTPS");
	ck_assert(is_https());
	HEAD(XFP "wss");
	ck_assert(is_https());
	HEAD(XFP "https, http");
	ck_assert(!is_https());
	HEAD(XFP "http", XFP "https");
	ck_assert(is_https());
	HEAD(XFP "httpss");
	ck_assert(!is_https());
	HEAD(FWD "for=1.2.3.4;proto=https");
	ck_assert(is_https());
	HEAD(FWD "for=1.2.3.4;proto=\"https\"");
	ck_assert(is_https());
	HEAD(FWD "proto=https, for=1.2.3.4");
	ck_assert(!is_https());
	HEAD(FWD "proto=https, for=1.2.3.4;proto=http");
	ck_assert(!is_https());
	HEAD(FWD "proto=https", XFP "http");
	ck_assert(!is_https());
}
END_TEST

START_TEST(request_ids_are_short_and_plain)
{
	static char text[130];

	memset(text, 'a', 129);
	ck_assert(request_id_is_good(STR("azAZ09-_.:+/=@")));
	ck_assert(request_id_is_good((struct str){text, 1}));
	ck_assert(request_id_is_good((struct str){text, 128}));
	ck_assert(!request_id_is_good((struct str){text, 129}));
	ck_assert(!request_id_is_good(STR("")));
	ck_assert(!request_id_is_good((struct str){NULL, 0}));
	for (int c = 0; c < 256; c++) {
		char one = (char)c;
		bool good = c && c < 128 &&
			    strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX"
				   "YZ0123456789-_.:+/=@",
				c);

		ck_assert_msg(request_id_is_good((struct str){&one, 1}) == good,
		    "byte %d", c);
	}
}
END_TEST

START_TEST(traceparents_follow_their_version)
{
	static const char good[] =
	    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
	static const char *const wrong[] = {"",
	    "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
	    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
	    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
	    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
	    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
	    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
	    "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	    "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
	    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
	    "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01"};
	struct str id = {NULL, 0};

	ck_assert(traceparent_is_good(str_of(good), &id));
	ck_assert(id.p == good + 3 && id.n == 32);
	for (size_t i = 0; i < N(wrong); i++)
		ck_assert_msg(!traceparent_is_good(str_of(wrong[i]), &id), "%s",
		    wrong[i]);
}
END_TEST

Suite *
suite_forwarded(void)
{
	Suite *s = suite_create("forwarded");
	TCase *t = tcase_create("forwarded");

	tcase_add_test(t, no_list_says_nothing);
	tcase_add_test(t, addresses_come_in_many_forms);
	tcase_add_test(t, what_is_no_address_says_nothing);
	tcase_add_test(t, the_first_stranger_from_the_right_is_the_client);
	tcase_add_test(t, several_lines_are_one_list);
	tcase_add_test(t, when_all_are_trusted_the_leftmost_counts);
	tcase_add_test(t, what_is_no_address_ends_the_search);
	tcase_add_test(t, forwarded_is_read_where_nothing_else_is_said);
	tcase_add_test(t, forwarded_follows_its_grammar);
	tcase_add_test(t, nothing_to_the_left_changes_what_a_trusted_proxy_wrote);
	tcase_add_test(t, the_last_word_on_tls_counts);
	tcase_add_test(t, request_ids_are_short_and_plain);
	tcase_add_test(t, traceparents_follow_their_version);
	suite_add_tcase(s, t);
	return s;
}
