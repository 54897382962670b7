/* SPDX-License-Identifier: MIT
 *
 * check_response.c - the strict check of response heads, and how their bodies end.
 */
#include "message/response.h"
#include <check.h>
#include <stdlib.h>

Suite *suite_response(void);

static struct response r;
static size_t used;

/* Parses, and holds every prefix against the whole as check_head.c does. */
static enum parse
feed(const char *text, enum method method)
{
	size_t n = strlen(text);
	enum parse last = response_parse(text, n, method, &r, &used);
	size_t end = last == PARSE_DONE ? used : n;
	static struct response prefix;

	for (size_t i = 0; i < end; i++) {
		char *copy = malloc(i ? i : 1);
		size_t prefix_used;
		enum parse verdict;

		memcpy(copy, text, i);
		verdict = response_parse(copy, i, method, &prefix, &prefix_used);
		free(copy);
		ck_assert(verdict == PARSE_MORE ||
			  (verdict == PARSE_BAD && last == PARSE_BAD));
	}
	return last;
}

#define OK(headers) "HTTP/1.1 200 OK\r\n" headers "\r\n"

START_TEST(a_response_is_taken_apart)
{
	const char *text = OK("Content-Length: 5\r\nServer: x\r\n") "hello";

	ck_assert_int_eq(feed(text, METHOD_GET), PARSE_DONE);
	ck_assert_uint_eq(used, strlen(text) - 5);
	ck_assert_uint_eq(r.status, 200);
	ck_assert(str_eq(r.reason, STR("OK")));
	ck_assert_uint_eq(r.minor, 1);
	ck_assert_uint_eq(r.n_headers, 2);
	ck_assert(r.keep_alive);
	ck_assert_int_eq(r.body, BODY_LENGTH);
	ck_assert_uint_eq(r.length, 5);
	ck_assert(str_eq(response_value(&r, HEADER_CONTENT_LENGTH), STR("5")));
	ck_assert_ptr_null(response_value(&r, HEADER_DATE).p);
}
END_TEST

START_TEST(a_reason_may_be_anything_or_nothing)
{
	ck_assert_int_eq(feed("HTTP/1.1 404 \r\n\r\n", METHOD_GET), PARSE_DONE);
	ck_assert_uint_eq(r.reason.n, 0);
	ck_assert_int_eq(feed("HTTP/1.1 999\r\n\r\n", METHOD_GET), PARSE_DONE);
	ck_assert_uint_eq(r.status, 999);
	ck_assert_uint_eq(r.reason.n, 0);
	ck_assert_int_eq(feed("HTTP/1.0 200 N\xc3\xb6\t o\r\n\r\n", METHOD_GET),
	    PARSE_DONE);
	ck_assert(str_eq(r.reason, STR("N\xc3\xb6\t o")));
}
END_TEST

static const char *const bad_responses[] = {
    "\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/2 200 OK\r\n\r\n",
    "HTTP/1.2 200 OK\r\n\r\n",
    "http/1.1 200 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 099 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 200\tOK\r\n\r\n",
    "HTTP/1.1 200 O\rK\r\n\r\n",
    "HTTP/1.1 200 O\x01K\r\n\r\n",
    "HTTP/1.1 200 OK\n\n",
    "SSH-2.0-OpenSSH_9.2\r\n",
    OK("A: b\n"),
    OK("A : b\r\n"),
    OK("A: b\r\n c\r\n"),
    OK("Content-Length: 1\r\nContent-Length: 1\r\n"),
    OK("Content-Length: 1,1\r\n"),
    OK("Content-Length: x\r\n"),
    OK("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
    OK("Transfer-Encoding: gzip, chunked\r\n"),
    OK("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    OK("Connection: transfer-encoding\r\n"),
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
};

START_TEST(what_the_rfc_forbids_is_refused)
{
	ck_assert_msg(feed(bad_responses[_i], METHOD_GET) == PARSE_BAD, "taken: %s",
	    bad_responses[_i]);
}
END_TEST

START_TEST(no_body_follows_head_and_bodiless_codes)
{
	ck_assert_int_eq(feed(OK("Content-Length: 5\r\n"), METHOD_HEAD), PARSE_DONE);
	ck_assert(r.body == BODY_NONE && r.keep_alive);
	ck_assert_int_eq(feed(OK("Transfer-Encoding: chunked\r\n"), METHOD_HEAD),
	    PARSE_DONE);
	ck_assert(r.body == BODY_NONE && r.keep_alive);
	ck_assert_int_eq(feed(OK(""), METHOD_HEAD), PARSE_DONE);
	ck_assert(r.body == BODY_NONE && r.keep_alive);
	ck_assert_int_eq(feed("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n",
			     METHOD_GET),
	    PARSE_DONE);
	ck_assert(r.body == BODY_NONE && r.keep_alive && r.length == 0);
	ck_assert_int_eq(feed("HTTP/1.1 100 Continue\r\n\r\n", METHOD_POST),
	    PARSE_DONE);
	ck_assert(r.body == BODY_NONE && r.keep_alive);
	ck_assert_int_eq(feed("HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n",
			     METHOD_GET),
	    PARSE_DONE);
	ck_assert(r.body == BODY_NONE && r.keep_alive);
}
END_TEST

START_TEST(a_bodiless_code_that_announces_a_body_ends_the_connection)
{
	ck_assert_int_eq(feed("HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n",
			     METHOD_GET),
	    PARSE_DONE);
	ck_assert(r.body == BODY_NONE && !r.keep_alive);
	ck_assert_int_eq(feed("HTTP/1.1 103 x\r\nTransfer-Encoding: chunked\r\n\r\n",
			     METHOD_GET),
	    PARSE_DONE);
	ck_assert(r.body == BODY_NONE && !r.keep_alive);
	ck_assert_int_eq(feed("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n",
			     METHOD_GET),
	    PARSE_DONE);
	ck_assert(r.body == BODY_NONE && !r.keep_alive);
}
END_TEST

START_TEST(the_body_ends_by_length_chunks_or_close)
{
	ck_assert_int_eq(feed(OK("Content-Length: 0\r\n"), METHOD_GET), PARSE_DONE);
	ck_assert(r.body == BODY_LENGTH && r.length == 0 && r.keep_alive);
	ck_assert_int_eq(feed(OK("Transfer-Encoding: chunked\r\n"), METHOD_GET),
	    PARSE_DONE);
	ck_assert(r.body == BODY_CHUNKED && r.keep_alive);
	ck_assert_int_eq(feed(OK(""), METHOD_GET), PARSE_DONE);
	ck_assert(r.body == BODY_UNTIL_CLOSE && !r.keep_alive);
}
END_TEST

START_TEST(keep_alive_follows_version_and_connection)
{
	ck_assert_int_eq(feed(OK("Content-Length: 1\r\nConnection: close\r\n"),
			     METHOD_GET),
	    PARSE_DONE);
	ck_assert(!r.keep_alive);
	ck_assert_int_eq(feed("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
			     METHOD_GET),
	    PARSE_DONE);
	ck_assert(!r.keep_alive);
	ck_assert_int_eq(feed("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n"
			      "Connection: keep-alive\r\n\r\n",
			     METHOD_GET),
	    PARSE_DONE);
	ck_assert(r.keep_alive);
}
END_TEST

START_TEST(headers_named_by_connection_are_nominated)
{
	ck_assert_int_eq(feed(OK("X-Hop: 1\r\nX-Stay: 2\r\nConnection: x-hop\r\n"),
			     METHOD_GET),
	    PARSE_DONE);
	ck_assert(r.headers[0].nominated);
	ck_assert(!r.headers[1].nominated);
}
END_TEST

START_TEST(a_head_without_end_is_refused)
{
	char *text = malloc(HEAD_MAX_BYTES);

	memset(text, 'x', HEAD_MAX_BYTES);
	memcpy(text, "HTTP/1.1 200 ", 13);
	ck_assert_int_eq(response_parse(text, HEAD_MAX_BYTES - 1, METHOD_GET, &r,
			     &used),
	    PARSE_MORE);
	ck_assert_int_eq(response_parse(text, HEAD_MAX_BYTES, METHOD_GET, &r, &used),
	    PARSE_BAD);
	free(text);
}
END_TEST

Suite *
suite_response(void)
{
	Suite *s = suite_create("response");
	TCase *t = tcase_create("response heads");

	tcase_add_test(t, a_response_is_taken_apart);
	tcase_add_test(t, a_reason_may_be_anything_or_nothing);
	tcase_add_loop_test(t, what_the_rfc_forbids_is_refused, 0,
	    sizeof(bad_responses) / sizeof(*bad_responses));
	tcase_add_test(t, no_body_follows_head_and_bodiless_codes);
	tcase_add_test(t, a_bodiless_code_that_announces_a_body_ends_the_connection);
	tcase_add_test(t, the_body_ends_by_length_chunks_or_close);
	tcase_add_test(t, keep_alive_follows_version_and_connection);
	tcase_add_test(t, headers_named_by_connection_are_nominated);
	tcase_add_test(t, a_head_without_end_is_refused);
	suite_add_tcase(s, t);
	return s;
}
