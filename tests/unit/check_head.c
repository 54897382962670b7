/* SPDX-License-Identifier: MIT
 *
 * check_head.c - the strict check of request heads, and of header lines.
 *
 * Every head is also fed in all its prefixes, each in a block of its exact size: a
 * prefix must give MORE or the final BAD, and nothing behind its end may be read.
 */
#include "message/head.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

Suite *suite_head(void);

static struct head head;
static size_t used;
static enum reason why;

static enum parse
parse_copy(const char *p, size_t n, struct head *h, size_t *used_r, enum reason *why_r)
{
	char *copy = malloc(n ? n : 1);
	enum parse verdict;

	memcpy(copy, p, n);
	verdict = head_parse(copy, n, h, used_r, why_r);
	free(copy);
	return verdict;
}

static enum parse
feed_bytes(const char *p, size_t n)
{
	enum parse last = head_parse(p, n, &head, &used, &why);
	size_t end = last == PARSE_DONE ? used : n;
	static struct head prefix;

	for (size_t i = 0; i < end; i++) {
		enum reason prefix_why = REASON_NONE;
		size_t prefix_used;
		enum parse verdict =
		    parse_copy(p, i, &prefix, &prefix_used, &prefix_why);

		ck_assert(
		    verdict == PARSE_MORE ||
		    (verdict == PARSE_BAD && last == PARSE_BAD && prefix_why == why));
	}
	return last;
}

static enum parse
feed(const char *text)
{
	return feed_bytes(text, strlen(text));
}

static bool
is(struct str s, const char *text)
{
	return s.p && str_eq(s, str_of(text));
}

#define HOST "Host: a.example\r\n"
#define GET(headers) "GET / HTTP/1.1\r\n" HOST headers "\r\n"

START_TEST(a_browser_request_is_taken_apart)
{
	const char *text = "GET /a/b?x=1&y HTTP/1.1\r\n"
			   "Host: www.example.com:8080\r\n"
			   "User-Agent: Mozilla/5.0 (X11; Linux)\r\n"
			   "accept:text/html\r\n"
			   "X-Empty:\r\n"
			   "X-Blanks: \t two  words \t\r\n"
			   "Cookie: roost=abc\r\n"
			   "\r\nnext";

	ck_assert_int_eq(feed(text), PARSE_DONE);
	ck_assert_uint_eq(used, strlen(text) - 4);
	ck_assert_int_eq(head.method, METHOD_GET);
	ck_assert(is(head.method_text, "GET"));
	ck_assert(is(head.target, "/a/b?x=1&y"));
	ck_assert(is(head.path, "/a/b"));
	ck_assert(is(head.query, "x=1&y"));
	ck_assert(is(head.authority, "www.example.com:8080"));
	ck_assert(is(head.host, "www.example.com"));
	ck_assert_uint_eq(head.minor, 1);
	ck_assert_uint_eq(head.n_headers, 6);
	ck_assert_int_eq(head.body, BODY_NONE);
	ck_assert(head.keep_alive && !head.upgrade && !head.expect_continue);
	ck_assert(is(head_value(&head, HEADER_ACCEPT), "text/html"));
	ck_assert(is(head_value(&head, HEADER_COOKIE), "roost=abc"));
	ck_assert(is(head_find(&head, STR("x-blanks")), "two  words"));
	ck_assert(is(head_find(&head, STR("X-EMPTY")), ""));
	ck_assert_ptr_null(head_find(&head, STR("x-none")).p);
	ck_assert_ptr_null(head_value(&head, HEADER_EXPECT).p);
}
END_TEST

START_TEST(empty_lines_in_front_are_skipped_and_counted)
{
	ck_assert_int_eq(feed("\r\n\r\n" GET("")), PARSE_DONE);
	ck_assert_uint_eq(used, strlen("\r\n\r\n" GET("")));
	ck_assert_int_eq(feed("\n" GET("")), PARSE_BAD);
	ck_assert_int_eq(why, REASON_BAD_REQUEST_LINE);
	ck_assert_int_eq(feed("\rGET"), PARSE_BAD);
	ck_assert_int_eq(feed("\r\n"), PARSE_MORE);
}
END_TEST

static const struct {
	const char *text;
	enum reason why;
} bad_heads[] = {
    {"G@T / HTTP/1.1\r\n", REASON_BAD_REQUEST_LINE},
    {" GET / HTTP/1.1\r\n", REASON_BAD_REQUEST_LINE},
    {"\x16\x03\x01", REASON_BAD_REQUEST_LINE},
    {"GET\t/ HTTP/1.1\r\n", REASON_BAD_REQUEST_LINE},
    {"GET  / HTTP/1.1\r\n", REASON_BAD_REQUEST_LINE},
    {"GET /\r\n", REASON_BAD_REQUEST_LINE},
    {"GET / \r\n", REASON_BAD_REQUEST_LINE},
    {"GET /  HTTP/1.1\r\n", REASON_BAD_REQUEST_LINE},
    {"GET / HTTP/1.1 \r\n", REASON_BAD_REQUEST_LINE},
    {"GET / HTTP/1.1\n", REASON_BAD_REQUEST_LINE},
    {"GET / HTTP/1.1\r\r\n", REASON_BAD_REQUEST_LINE},
    {"GET / http/1.1\r\n", REASON_BAD_REQUEST_LINE},
    {"GET / HTTP/1,1\r\n", REASON_BAD_REQUEST_LINE},
    {"GET / HTTP/x.1\r\n", REASON_BAD_REQUEST_LINE},
    {"GET / HTTP/1.x\r\n", REASON_BAD_REQUEST_LINE},
    {"GET / HTTP/2.0\r\n", REASON_BAD_VERSION},
    {"GET / HTTP/0.9\r\n", REASON_BAD_VERSION},
    {"GET / HTTP/1.2\r\n", REASON_BAD_VERSION},
    {"CONNECT a:443 HTTP/1.1\r\n", REASON_BAD_METHOD},
    {"GET /a\tb HTTP/1.1\r\n", REASON_BAD_TARGET},
    {"GET /a#b HTTP/1.1\r\n", REASON_BAD_TARGET},
    {"GET /\xc3\xa4 HTTP/1.1\r\n", REASON_BAD_TARGET},
    {"GET /\x7f HTTP/1.1\r\n", REASON_BAD_TARGET},
    {"GET a HTTP/1.1\r\n" HOST "\r\n", REASON_BAD_TARGET},
    {"GET * HTTP/1.1\r\n" HOST "\r\n", REASON_BAD_TARGET},
    {"OPTIONS ** HTTP/1.1\r\n" HOST "\r\n", REASON_BAD_TARGET},
    {"GET a.example:80 HTTP/1.1\r\n" HOST "\r\n", REASON_BAD_TARGET},
    {"GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n", REASON_BAD_TARGET},
    {"GET http:/a HTTP/1.1\r\n" HOST "\r\n", REASON_BAD_TARGET},
    {"GET http:///a HTTP/1.1\r\n" HOST "\r\n", REASON_BAD_TARGET},
    {"GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n", REASON_BAD_TARGET},
    {"GET http://u:p@a/ HTTP/1.1\r\n" HOST "\r\n", REASON_BAD_TARGET},
    {GET("A : b\r\n"), REASON_BAD_HEADER},
    {GET("A\t: b\r\n"), REASON_BAD_HEADER},
    {GET(": b\r\n"), REASON_BAD_HEADER},
    {GET("no colon\r\n"), REASON_BAD_HEADER},
    {GET("A\r\n"), REASON_BAD_HEADER},
    {GET("A: b\r\n folded\r\n"), REASON_BAD_HEADER},
    {GET("A: b\r\n\tfolded\r\n"), REASON_BAD_HEADER},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", REASON_BAD_HEADER},
    {GET("A: b\rc\r\n"), REASON_BAD_HEADER},
    {GET("A: b\nC: d\r\n"), REASON_BAD_HEADER},
    {GET("A: b\x01\r\n"), REASON_BAD_HEADER},
    {GET("A: b\x7f\r\n"), REASON_BAD_HEADER},
    {GET("A: 0123456789abcdef\x7fghijklmnopqrstuvw\r\n"), REASON_BAD_HEADER},
    {GET("A: 0123456789abcdef\x1fghijklmnopqrstuvw\r\n"), REASON_BAD_HEADER},
    {GET("\xc3\xa4: b\r\n"), REASON_BAD_HEADER},
    {"GET / HTTP/1.1\r\n" HOST "\n", REASON_BAD_HEADER},
    {"GET / HTTP/1.1\r\n" HOST "\r\r\n", REASON_BAD_HEADER},
    {"GET / HTTP/1.1\r\n\r\n", REASON_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", REASON_BAD_HOST},
    {"GET http://a/ HTTP/1.1\r\n\r\n", REASON_BAD_HOST},
    {GET(HOST), REASON_BAD_HOST},
    {GET("Content-Length: 1\r\nContent-Length: 1\r\n"), REASON_BAD_LENGTH},
    {GET("Content-Length: 1, 1\r\n"), REASON_BAD_LENGTH},
    {GET("Content-Length: +1\r\n"), REASON_BAD_LENGTH},
    {GET("Content-Length: -1\r\n"), REASON_BAD_LENGTH},
    {GET("Content-Length: 0x1\r\n"), REASON_BAD_LENGTH},
    {GET("Content-Length: 1 2\r\n"), REASON_BAD_LENGTH},
    {GET("Content-Length:\r\n"), REASON_BAD_LENGTH},
    {GET("Content-Length: 18446744073709551616\r\n"), REASON_BAD_LENGTH},
    {GET("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), REASON_BAD_FRAMING},
    {GET("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), REASON_BAD_FRAMING},
    {GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
	REASON_BAD_FRAMING},
    {GET("Transfer-Encoding: chunked, chunked\r\n"), REASON_BAD_FRAMING},
    {GET("Transfer-Encoding: chunked,\r\n"), REASON_BAD_FRAMING},
    {GET("Transfer-Encoding:\r\n"), REASON_BAD_FRAMING},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_BAD_FRAMING},
    {GET("Transfer-Encoding: gzip, chunked\r\n"), REASON_BAD_CODING},
    {GET("Transfer-Encoding: chunked, identity\r\n"), REASON_BAD_CODING},
    {GET("Transfer-Encoding: xchunked\r\n"), REASON_BAD_CODING},
    {GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"), REASON_BAD_CODING},
    {GET("Expect: 200-ok\r\n"), REASON_BAD_EXPECT},
    {GET("Expect: 100-continue\r\nExpect: x\r\n"), REASON_BAD_EXPECT},
    {GET("Connection: close, host\r\n"), REASON_BAD_HEADER},
    {GET("Connection: Content-Length\r\n"), REASON_BAD_HEADER},
    {GET("Connection: transfer-encoding\r\n"), REASON_BAD_HEADER},
    {GET("Connection: a b\r\n"), REASON_BAD_HEADER},
};

START_TEST(what_the_rfc_forbids_is_refused_with_its_reason)
{
	ck_assert_msg(feed(bad_heads[_i].text) == PARSE_BAD, "taken: %s",
	    bad_heads[_i].text);
	ck_assert_msg(why == bad_heads[_i].why, "%s: %s", reason_label(why),
	    bad_heads[_i].text);
}
END_TEST

START_TEST(a_nul_is_refused_everywhere)
{
	const char good[] = GET("A: b\r\n");

	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		char copy[sizeof(good)];

		memcpy(copy, good, sizeof(good));
		copy[i] = '\0';
		ck_assert_int_eq(feed_bytes(copy, sizeof(good) - 1), PARSE_BAD);
	}
}
END_TEST

static const char *const bad_hosts[] = {"a b", "a,b", "a/b", "a@b", "a:b", "a:80:80",
    "a:123456", "a:65536", ":80", "[::1", "[::1]x", "[::1]:x", "[]", "[fe80::1%eth0]",
    "::1", "a%2", "a%zz", "a\"b", "<a>", "[1.2.3.4]", "[v1.x]"};

START_TEST(a_malformed_host_is_refused)
{
	char text[128];

	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n",
	    bad_hosts[_i]);
	ck_assert_msg(feed(text) == PARSE_BAD, "taken: %s", bad_hosts[_i]);
	ck_assert_int_eq(why, REASON_BAD_HOST);
}
END_TEST

static const char *const good_hosts[][2] = {{"a", "a"}, {"a.example:", "a.example"},
    {"A_b-c.d~:65535", "A_b-c.d~"}, {"127.0.0.1:80", "127.0.0.1"},
    {"[::1]:443", "[::1]"}, {"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]"},
    {"a%C3%A4b.de", "a%C3%A4b.de"},
    {"xn--bcher-kva.example.", "xn--bcher-kva.example."}};

START_TEST(a_host_is_cut_from_its_port)
{
	char text[128];

	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n",
	    good_hosts[_i][0]);
	ck_assert_msg(feed(text) == PARSE_DONE, "refused: %s", good_hosts[_i][0]);
	ck_assert(is(head.authority, good_hosts[_i][0]));
	ck_assert(is(head.host, good_hosts[_i][1]));
}
END_TEST

START_TEST(an_absolute_target_is_cut_down_and_names_the_host)
{
	ck_assert_int_eq(feed("GET HTTP://b.example:81/x?y HTTP/1.1\r\n" HOST "\r\n"),
	    PARSE_DONE);
	ck_assert(is(head.target, "/x?y"));
	ck_assert(is(head.path, "/x"));
	ck_assert(is(head.query, "y"));
	ck_assert(is(head.authority, "b.example:81"));
	ck_assert(is(head.host, "b.example"));
	ck_assert_int_eq(feed("GET https://b.example HTTP/1.1\r\n" HOST "\r\n"),
	    PARSE_DONE);
	ck_assert(is(head.target, "/"));
	ck_assert(is(head.path, "/"));
	ck_assert(head.https);
	ck_assert_int_eq(feed("GET http://b.example?y HTTP/1.1\r\n" HOST "\r\n"),
	    PARSE_DONE);
	ck_assert(!head.https);
	ck_assert(is(head.target, "?y"));
	ck_assert(is(head.path, "/"));
	ck_assert(is(head.query, "y"));
	ck_assert_int_eq(feed("OPTIONS http://b.example HTTP/1.1\r\n" HOST "\r\n"),
	    PARSE_DONE);
	ck_assert(is(head.target, "*"));
}
END_TEST

START_TEST(an_asterisk_goes_with_options)
{
	ck_assert_int_eq(feed("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), PARSE_DONE);
	ck_assert(is(head.target, "*"));
	ck_assert_ptr_null(head.query.p);
}
END_TEST

START_TEST(odd_bytes_that_clients_send_in_targets_pass)
{
	ck_assert_int_eq(feed("GET /<\"{}|\\^`[]>?a=[%zz]? HTTP/1.1\r\n" HOST "\r\n"),
	    PARSE_DONE);
	ck_assert(is(head.path, "/<\"{}|\\^`[]>"));
	ck_assert(is(head.query, "a=[%zz]?"));
	ck_assert_int_eq(feed("GET /? HTTP/1.1\r\n" HOST "\r\n"), PARSE_DONE);
	ck_assert(is(head.query, ""));
}
END_TEST

START_TEST(unknown_methods_keep_their_text)
{
	ck_assert_int_eq(feed("PROPFIND / HTTP/1.1\r\n" HOST "\r\n"), PARSE_DONE);
	ck_assert_int_eq(head.method, METHOD_OTHER);
	ck_assert(is(head.method_text, "PROPFIND"));
	ck_assert_int_eq(feed("get / HTTP/1.1\r\n" HOST "\r\n"), PARSE_DONE);
	ck_assert_int_eq(head.method, METHOD_OTHER);
	ck_assert_int_eq(feed("PATCH / HTTP/1.1\r\n" HOST "\r\n"), PARSE_DONE);
	ck_assert_int_eq(head.method, METHOD_PATCH);
}
END_TEST

START_TEST(idempotent_methods_may_be_sent_again)
{
	ck_assert(method_is_idempotent(METHOD_GET));
	ck_assert(method_is_idempotent(METHOD_HEAD));
	ck_assert(method_is_idempotent(METHOD_PUT));
	ck_assert(method_is_idempotent(METHOD_DELETE));
	ck_assert(method_is_idempotent(METHOD_OPTIONS));
	ck_assert(method_is_idempotent(METHOD_TRACE));
	ck_assert(!method_is_idempotent(METHOD_POST));
	ck_assert(!method_is_idempotent(METHOD_PATCH));
	ck_assert(!method_is_idempotent(METHOD_OTHER));
}
END_TEST

START_TEST(the_body_is_announced_by_length_or_chunked)
{
	ck_assert_int_eq(feed(GET("Content-Length: 42\r\n")), PARSE_DONE);
	ck_assert_int_eq(head.body, BODY_LENGTH);
	ck_assert_uint_eq(head.length, 42);
	ck_assert_int_eq(feed(GET("Content-Length: 0\r\n")), PARSE_DONE);
	ck_assert_int_eq(head.body, BODY_LENGTH);
	ck_assert_uint_eq(head.length, 0);
	ck_assert_int_eq(feed(GET("Content-Length: 9223372036854775807\r\n")),
	    PARSE_DONE);
	ck_assert(head.length == INT64_MAX);
	ck_assert_int_eq(feed(GET("Content-Length: 9223372036854775808\r\n")),
	    PARSE_BAD);
	ck_assert_int_eq(feed(GET("Transfer-Encoding: Chunked\r\n")), PARSE_DONE);
	ck_assert_int_eq(head.body, BODY_CHUNKED);
}
END_TEST

START_TEST(keep_alive_follows_version_and_connection)
{
	ck_assert_int_eq(feed(GET("Connection: foo, Close\r\n")), PARSE_DONE);
	ck_assert(!head.keep_alive);
	ck_assert_int_eq(feed(GET("Connection: foo\r\nConnection: close\r\n")),
	    PARSE_DONE);
	ck_assert(!head.keep_alive);
	ck_assert_int_eq(feed("GET / HTTP/1.0\r\n\r\n"), PARSE_DONE);
	ck_assert(!head.keep_alive && head.minor == 0);
	ck_assert_ptr_null(head.authority.p);
	ck_assert_int_eq(feed("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
	    PARSE_DONE);
	ck_assert(head.keep_alive);
	ck_assert_int_eq(feed(
			     "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"),
	    PARSE_DONE);
	ck_assert(!head.keep_alive);
}
END_TEST

START_TEST(headers_named_by_connection_are_nominated)
{
	ck_assert_int_eq(feed(GET("X-Hop: 1\r\nConnection: x-hop, keep-alive\r\n"
				  "X-Stay: 2\r\nx-HOP: 3\r\nKeep-Alive: 4\r\n")),
	    PARSE_DONE);
	for (unsigned i = 0; i < head.n_headers; i++) {
		struct header *h = &head.headers[i];
		bool hop = str_ieq(h->name, STR("x-hop")) || h->id == HEADER_KEEP_ALIVE;

		ck_assert(h->nominated == hop);
	}
	ck_assert_int_eq(feed(GET("X-Stay: 2\r\n")), PARSE_DONE);
	ck_assert(!head.headers[1].nominated);
}
END_TEST

START_TEST(a_flood_of_connection_options_is_refused)
{
	char text[512] = "GET / HTTP/1.1\r\n" HOST "Connection: ";

	for (int i = 0; i < 33; i++)
		memcpy(text + strlen(text), "a,", 3);
	memcpy(text + strlen(text), "\r\n\r\n", 5);
	ck_assert_int_eq(feed(text), PARSE_BAD);
	ck_assert_int_eq(why, REASON_HEAD_TOO_LARGE);
}
END_TEST

START_TEST(expect_continue_counts_on_1_1_only)
{
	ck_assert_int_eq(feed(GET("Expect: 100-Continue\r\n")), PARSE_DONE);
	ck_assert(head.expect_continue);
	ck_assert_int_eq(feed("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"),
	    PARSE_DONE);
	ck_assert(!head.expect_continue);
}
END_TEST

START_TEST(an_upgrade_needs_both_headers_and_1_1)
{
	ck_assert_int_eq(feed(GET("Upgrade: h2c, WebSocket\r\nConnection: keep-alive, "
				  "Upgrade\r\n")),
	    PARSE_DONE);
	ck_assert(head.upgrade);
	ck_assert_int_eq(feed(GET("Upgrade: websocket\r\n")), PARSE_DONE);
	ck_assert(!head.upgrade);
	ck_assert_int_eq(feed(GET("Connection: upgrade\r\n")), PARSE_DONE);
	ck_assert(!head.upgrade);
	ck_assert_int_eq(feed(GET("Upgrade: websockets\r\nConnection: upgrade\r\n")),
	    PARSE_DONE);
	ck_assert(!head.upgrade);
	ck_assert_int_eq(feed("GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: "
			      "upgrade\r\n\r\n"),
	    PARSE_DONE);
	ck_assert(!head.upgrade);
}
END_TEST

/* A head of exactly n bytes, the last header's value filling it up. */
static char *
head_of_size(size_t n)
{
	const char start[] = "GET / HTTP/1.1\r\n" HOST "X: ";
	char *text = malloc(n);

	memset(text, 'x', n);
	memcpy(text, start, sizeof(start) - 1);
	memcpy(text + n - 4, "\r\n\r\n", 4);
	return text;
}

START_TEST(the_head_may_be_so_large_and_no_larger)
{
	char *text = head_of_size(HEAD_MAX_BYTES);

	ck_assert_int_eq(head_parse(text, HEAD_MAX_BYTES, &head, &used, &why),
	    PARSE_DONE);
	ck_assert_uint_eq(used, HEAD_MAX_BYTES);
	free(text);
	text = head_of_size(HEAD_MAX_BYTES + 1);
	ck_assert_int_eq(head_parse(text, HEAD_MAX_BYTES - 1, &head, &used, &why),
	    PARSE_MORE);
	ck_assert_int_eq(head_parse(text, HEAD_MAX_BYTES, &head, &used, &why),
	    PARSE_BAD);
	ck_assert_int_eq(why, REASON_HEAD_TOO_LARGE);
	ck_assert_int_eq(head_parse(text, HEAD_MAX_BYTES + 1, &head, &used, &why),
	    PARSE_BAD);
	ck_assert_int_eq(why, REASON_HEAD_TOO_LARGE);
	free(text);
}
END_TEST

START_TEST(the_target_may_be_so_long_and_no_longer)
{
	static char text[HEAD_MAX_TARGET + 128];

	for (int more = 0; more < 2; more++) {
		size_t n = HEAD_MAX_TARGET + (size_t)more;

		memcpy(text, "GET ", 4);
		memset(text + 4, '/', n);
		memcpy(text + 4 + n, " HTTP/1.1\r\n" HOST "\r\n",
		    sizeof(" HTTP/1.1\r\n" HOST "\r\n"));
		ck_assert_int_eq(head_parse(text, strlen(text), &head, &used, &why),
		    more ? PARSE_BAD : PARSE_DONE);
		ck_assert_int_eq(head_parse(text, 4 + n, &head, &used, &why),
		    more ? PARSE_BAD : PARSE_MORE);
	}
	ck_assert_int_eq(why, REASON_TARGET_TOO_LONG);
}
END_TEST

START_TEST(a_method_without_end_is_refused)
{
	char text[66];

	memset(text, 'A', sizeof(text));
	ck_assert_int_eq(feed_bytes(text, 64), PARSE_MORE);
	ck_assert_int_eq(feed_bytes(text, 65), PARSE_BAD);
	ck_assert_int_eq(why, REASON_BAD_METHOD);
}
END_TEST

START_TEST(so_many_headers_and_no_more)
{
	char text[1024] = "GET / HTTP/1.1\r\n" HOST;

	for (int i = 1; i < HEAD_MAX_HEADERS; i++)
		memcpy(text + strlen(text), "A: b\r\n", 7);
	ck_assert_int_eq(feed(text), PARSE_MORE);
	memcpy(text + strlen(text), "\r\n", 3);
	ck_assert_int_eq(feed(text), PARSE_DONE);
	ck_assert_uint_eq(head.n_headers, HEAD_MAX_HEADERS);
	memcpy(text + strlen(text) - 2, "A: b\r\n\r\n", 9);
	ck_assert_int_eq(feed(text), PARSE_BAD);
	ck_assert_int_eq(why, REASON_HEAD_TOO_LARGE);
}
END_TEST

START_TEST(known_headers_are_known_in_any_case)
{
	static const struct {
		const char *name;
		enum header_id id;
	} known[] = {{"Accept", HEADER_ACCEPT}, {"cache-CONTROL", HEADER_CACHE_CONTROL},
	    {"Connection", HEADER_CONNECTION},
	    {"content-length", HEADER_CONTENT_LENGTH}, {"COOKIE", HEADER_COOKIE},
	    {"Date", HEADER_DATE}, {"Expect", HEADER_EXPECT},
	    {"Forwarded", HEADER_FORWARDED}, {"hOST", HEADER_HOST},
	    {"Keep-Alive", HEADER_KEEP_ALIVE},
	    {"Proxy-Authenticate", HEADER_PROXY_AUTHENTICATE},
	    {"Proxy-Authorization", HEADER_PROXY_AUTHORIZATION},
	    {"Proxy-Connection", HEADER_PROXY_CONNECTION},
	    {"Roost-Rehomed-From", HEADER_ROOST_REHOMED_FROM},
	    {"Roost-Session", HEADER_ROOST_SESSION},
	    {"Sec-WebSocket-Accept", HEADER_SEC_WEBSOCKET_ACCEPT},
	    {"Sec-WebSocket-Extensions", HEADER_SEC_WEBSOCKET_EXTENSIONS},
	    {"Sec-WebSocket-Key", HEADER_SEC_WEBSOCKET_KEY},
	    {"Sec-WebSocket-Protocol", HEADER_SEC_WEBSOCKET_PROTOCOL},
	    {"Sec-WebSocket-Version", HEADER_SEC_WEBSOCKET_VERSION},
	    {"Set-Cookie", HEADER_SET_COOKIE}, {"TE", HEADER_TE},
	    {"Trailer", HEADER_TRAILER},
	    {"Transfer-Encoding", HEADER_TRANSFER_ENCODING},
	    {"Upgrade", HEADER_UPGRADE}, {"X-Forwarded-For", HEADER_X_FORWARDED_FOR},
	    {"X-Forwarded-Host", HEADER_X_FORWARDED_HOST},
	    {"X-Forwarded-Proto", HEADER_X_FORWARDED_PROTO},
	    {"X-Request-Id", HEADER_X_REQUEST_ID},
	    {"Accept-Encoding", HEADER_ACCEPT_ENCODING},
	    {"Content-encoding", HEADER_CONTENT_ENCODING},
	    {"Content-Type", HEADER_CONTENT_TYPE}, {"ETag", HEADER_ETAG},
	    {"Referer", HEADER_REFERER}, {"traceparent", HEADER_TRACEPARENT},
	    {"User-Agent", HEADER_USER_AGENT}, {"", HEADER_OTHER},
	    {"Hose", HEADER_OTHER}, {"Range", HEADER_OTHER}, {"Cookje", HEADER_OTHER},
	    {"Content-Lengtx", HEADER_OTHER}, {"\bost", HEADER_OTHER}};

	ck_assert_uint_ge(sizeof(known) / sizeof(*known), HEADER_COUNT - 1);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		ck_assert_msg(header_id_of(str_of(known[i].name)) == known[i].id, "%s",
		    known[i].name);
}
END_TEST

START_TEST(tokens_are_told_from_other_text)
{
	ck_assert(is_token(STR("a1!#$%&'*+-.^_`|~Z")));
	ck_assert(!is_token(STR("")));
	ck_assert(!is_token(STR("a b")));
	for (const char *p = "\"(),/:;<=>?@[\\]{}\t\x7f\x80"; *p; p++)
		ck_assert(!is_token((struct str){p, 1}));
}
END_TEST

Suite *
suite_head(void)
{
	Suite *s = suite_create("head");
	TCase *t = tcase_create("request heads");

	tcase_add_test(t, a_browser_request_is_taken_apart);
	tcase_add_test(t, empty_lines_in_front_are_skipped_and_counted);
	tcase_add_loop_test(t, what_the_rfc_forbids_is_refused_with_its_reason, 0,
	    sizeof(bad_heads) / sizeof(*bad_heads));
	tcase_add_test(t, a_nul_is_refused_everywhere);
	tcase_add_loop_test(t, a_malformed_host_is_refused, 0,
	    sizeof(bad_hosts) / sizeof(*bad_hosts));
	tcase_add_loop_test(t, a_host_is_cut_from_its_port, 0,
	    sizeof(good_hosts) / sizeof(*good_hosts));
	tcase_add_test(t, an_absolute_target_is_cut_down_and_names_the_host);
	tcase_add_test(t, an_asterisk_goes_with_options);
	tcase_add_test(t, odd_bytes_that_clients_send_in_targets_pass);
	tcase_add_test(t, unknown_methods_keep_their_text);
	tcase_add_test(t, idempotent_methods_may_be_sent_again);
	tcase_add_test(t, the_body_is_announced_by_length_or_chunked);
	tcase_add_test(t, keep_alive_follows_version_and_connection);
	tcase_add_test(t, headers_named_by_connection_are_nominated);
	tcase_add_test(t, a_flood_of_connection_options_is_refused);
	tcase_add_test(t, expect_continue_counts_on_1_1_only);
	tcase_add_test(t, an_upgrade_needs_both_headers_and_1_1);
	tcase_add_test(t, the_head_may_be_so_large_and_no_larger);
	tcase_add_test(t, the_target_may_be_so_long_and_no_longer);
	tcase_add_test(t, a_method_without_end_is_refused);
	tcase_add_test(t, so_many_headers_and_no_more);
	tcase_add_test(t, known_headers_are_known_in_any_case);
	tcase_add_test(t, tokens_are_told_from_other_text);
	suite_add_tcase(s, t);
	return s;
}
