/* SPDX-License-Identifier: MIT
 *
 * check_handshake.c - the opening handshake: request, answer, extensions.
 */
#include "base/strbuf.h"
#include "message/head.h"
#include "message/response.h"
#include "ws/handshake.h"
#include <check.h>
#include <stdio.h>

Suite *suite_handshake(void);

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define KEY_LINE "Sec-WebSocket-Key: " KEY "\r\n"
#define VERSION_LINE "Sec-WebSocket-Version: 13\r\n"
#define ACCEPT_LINE "Sec-WebSocket-Accept: " ACCEPT "\r\n"
#define UPGRADE_LINES "Upgrade: websocket\r\nConnection: Upgrade\r\n"

static enum reason
check_request(const char *method, const char *lines)
{
	static struct head head;
	char text[1024];
	enum reason why;
	size_t used;

	snprintf(text, sizeof(text),
	    "%s / HTTP/1.1\r\nHost: a\r\n" UPGRADE_LINES "%s\r\n", method, lines);
	ck_assert_int_eq(head_parse(text, strlen(text), &head, &used, &why),
	    PARSE_DONE);
	ck_assert(head.upgrade);
	return handshake_check(&head);
}

START_TEST(a_good_request_may_pass)
{
	ck_assert_int_eq(check_request("GET", KEY_LINE VERSION_LINE), REASON_NONE);
	ck_assert_int_eq(check_request("GET",
			     KEY_LINE VERSION_LINE "Content-Length: 0\r\n"),
	    REASON_NONE);
}
END_TEST

START_TEST(another_version_is_answered_as_such)
{
	ck_assert_int_eq(check_request("GET", KEY_LINE), REASON_UPGRADE_VERSION);
	ck_assert_int_eq(check_request("GET", KEY_LINE "Sec-WebSocket-Version: 8\r\n"),
	    REASON_UPGRADE_VERSION);
	ck_assert_int_eq(check_request("GET",
			     KEY_LINE "Sec-WebSocket-Version: 13, 8\r\n"),
	    REASON_UPGRADE_VERSION);
}
END_TEST

static const char *const bad_requests[] = {VERSION_LINE, KEY_LINE KEY_LINE VERSION_LINE,
    KEY_LINE VERSION_LINE VERSION_LINE, "Sec-WebSocket-Key:\r\n" VERSION_LINE,
    "Sec-WebSocket-Key: abc\r\n" VERSION_LINE,
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n" VERSION_LINE,
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=A\r\n" VERSION_LINE,
    "Sec-WebSocket-Key: dGhlIHNhbXBs*SBub25jZQ==\r\n" VERSION_LINE,
    "Sec-WebSocket-Key: " KEY "=\r\n" VERSION_LINE,
    KEY_LINE VERSION_LINE "Content-Length: 1\r\n",
    KEY_LINE VERSION_LINE "Transfer-Encoding: chunked\r\n"};

START_TEST(malformed_requests_are_refused)
{
	ck_assert_msg(check_request("GET", bad_requests[_i]) == REASON_UPGRADE_BAD,
	    "taken: %s", bad_requests[_i]);
}
END_TEST

START_TEST(only_get_opens_a_socket)
{
	ck_assert_int_eq(check_request("POST", KEY_LINE VERSION_LINE),
	    REASON_UPGRADE_BAD);
}
END_TEST

START_TEST(the_accept_value_is_the_one_of_the_rfc)
{
	char out[HANDSHAKE_ACCEPT + 1];

	handshake_accept(STR(KEY), out);
	ck_assert_str_eq(out, ACCEPT);
}
END_TEST

static bool
answer(const char *text, const char *protocols, const char *extensions)
{
	static struct response r;
	size_t used;

	ck_assert_int_eq(response_parse(text, strlen(text), METHOD_GET, &r, &used),
	    PARSE_DONE);
	return handshake_answer_ok(&r, STR(KEY), str_of(protocols), str_of(extensions));
}

#define SWITCHING "HTTP/1.1 101 Switching Protocols\r\n"
#define ANSWER(lines) SWITCHING UPGRADE_LINES ACCEPT_LINE lines "\r\n"

START_TEST(a_right_answer_is_taken)
{
	ck_assert(answer(ANSWER(""), NULL, NULL));
	ck_assert(answer(SWITCHING "connection: keep-alive, upgrade\r\n"
				   "UPGRADE: WebSocket\r\n" ACCEPT_LINE "\r\n",
	    NULL, NULL));
	ck_assert(answer(ANSWER("Sec-WebSocket-Protocol: b\r\n"), "a, b,c", NULL));
	ck_assert(answer(ANSWER("Sec-WebSocket-Extensions: permessage-deflate; "
				"server_max_window_bits=10\r\n"),
	    NULL, "x-foo, permessage-deflate; client_max_window_bits"));
	ck_assert(answer(ANSWER("Sec-WebSocket-Extensions:\r\n"), NULL, NULL));
}
END_TEST

static const char *const bad_answers[] = {"HTTP/1.1 200 OK\r\n" UPGRADE_LINES
					      ACCEPT_LINE "\r\n",
    "HTTP/1.0 101 x\r\n" UPGRADE_LINES ACCEPT_LINE "\r\n",
    SWITCHING "Connection: upgrade\r\n" ACCEPT_LINE "\r\n",
    SWITCHING "Upgrade: websocket\r\n" ACCEPT_LINE "\r\n",
    SWITCHING "Connection: upgrade\r\nUpgrade: h2c\r\n" ACCEPT_LINE "\r\n",
    ANSWER("Upgrade: websocket\r\n"), ANSWER(ACCEPT_LINE),
    SWITCHING UPGRADE_LINES "\r\n",
    SWITCHING UPGRADE_LINES
    "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    SWITCHING UPGRADE_LINES "Sec-WebSocket-Accept: " KEY "\r\n\r\n",
    ANSWER("Sec-WebSocket-Protocol: c\r\n"), ANSWER("Sec-WebSocket-Protocol: A\r\n"),
    ANSWER("Sec-WebSocket-Protocol: a, b\r\n"), ANSWER("Sec-WebSocket-Protocol:\r\n"),
    ANSWER("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n"),
    ANSWER("Sec-WebSocket-Extensions: permessage-bzip2\r\n"),
    ANSWER("Sec-WebSocket-Extensions: permessage-deflate, x-bar\r\n"),
    ANSWER("Sec-WebSocket-Extensions: ;a\r\n"),
    ANSWER("Sec-WebSocket-Extensions: x-foo; a=\"b\r\n"),
    ANSWER("Sec-WebSocket-Extensions: x-foo\r\nSec-WebSocket-Extensions: x-foo\r\n")};

START_TEST(wrong_answers_are_refused)
{
	ck_assert_msg(!answer(bad_answers[_i], "a, b", "permessage-deflate; x, x-foo"),
	    "taken: %s", bad_answers[_i]);
}
END_TEST

static const char *
offer(const char *offered)
{
	static struct strbuf out;

	strbuf_reset(&out);
	handshake_offer(str_of(offered), &out);
	return strbuf_cstr(&out);
}

#define BOTH "; client_no_context_takeover; server_no_context_takeover"

START_TEST(an_offer_of_compression_gives_up_context_takeover)
{
	ck_assert_str_eq(offer(""), "");
	ck_assert_str_eq(offer("permessage-deflate"), "permessage-deflate" BOTH);
	ck_assert_str_eq(offer("permessage-deflate; client_max_window_bits"),
	    "permessage-deflate; client_max_window_bits" BOTH);
	ck_assert_str_eq(offer("Permessage-Deflate; server_no_context_takeover"),
	    "Permessage-Deflate; server_no_context_takeover"
	    "; client_no_context_takeover");
	ck_assert_str_eq(offer("permessage-deflate" BOTH), "permessage-deflate" BOTH);
}
END_TEST

START_TEST(the_rest_of_an_offer_is_unchanged)
{
	ck_assert_str_eq(offer("x-foo; a=\"permessage-deflate, b\" ,\tx-bar"),
	    "x-foo; a=\"permessage-deflate, b\" ,\tx-bar");
	ck_assert_str_eq(offer("permessage-deflate; a=\"\\\", b"),
	    "permessage-deflate; a=\"\\\", b");
	ck_assert_str_eq(offer("permessage-deflate; client_max_window_bits=\"10\" , "
			       "permessage-deflate,"),
	    "permessage-deflate; client_max_window_bits=\"10\"" BOTH " , "
	    "permessage-deflate" BOTH ",");
}
END_TEST

static bool
agreed(const char *extensions, bool compressed)
{
	bool got, cuttable;

	handshake_agreed(str_of(extensions), &got, &cuttable);
	ck_assert(got == compressed);
	return cuttable;
}

START_TEST(a_clean_cut_needs_no_context_on_either_side)
{
	ck_assert(agreed("", false));
	ck_assert(agreed(NULL, false));
	ck_assert(!agreed("permessage-deflate", true));
	ck_assert(!agreed("permessage-deflate; server_no_context_takeover", true));
	ck_assert(!agreed("permessage-deflate; client_no_context_takeover", true));
	ck_assert(!agreed("permessage-deflate; x=\"" BOTH "\"", true));
	ck_assert(agreed("permessage-deflate" BOTH, true));
	ck_assert(
	    agreed("permessage-deflate" BOTH "; server_max_window_bits=15", true));
	ck_assert(!agreed("permessage-deflate" BOTH ", x-foo", true));
	ck_assert(!agreed("x-foo", true));
}
END_TEST

static bool
origin_fits(const char *origin, const char *allowed)
{
	return handshake_origin_fits(str_of(origin), str_of(allowed));
}

START_TEST(an_origin_is_scheme_host_and_port)
{
	ck_assert(origin_fits("https://a.example", "https://a.example"));
	ck_assert(origin_fits("HTTPS://A.Example", "https://a.example"));
	ck_assert(origin_fits("http://a.example:8080", "http://a.example:8080"));
	ck_assert(origin_fits("null", "null"));
	ck_assert(!origin_fits("http://a.example", "https://a.example"));
	ck_assert(!origin_fits("https://a.example:444", "https://a.example"));
	ck_assert(!origin_fits("https://a.example.evil", "https://a.example"));
	ck_assert(!origin_fits("https://evil-a.example", "https://a.example"));
	ck_assert(!origin_fits("", "https://a.example"));
}
END_TEST

START_TEST(a_star_stands_for_hosts_below)
{
	ck_assert(origin_fits("https://a.example.com", "https://*.example.com"));
	ck_assert(origin_fits("https://a.b.Example.com", "https://*.example.com"));
	ck_assert(origin_fits("http://a.x:81", "http://*.x:81"));
	ck_assert(!origin_fits("https://example.com", "https://*.example.com"));
	ck_assert(!origin_fits("https://.example.com", "https://*.example.com"));
	ck_assert(!origin_fits("https://evilexample.com", "https://*.example.com"));
	ck_assert(!origin_fits("https://a.example.com:1", "https://*.example.com"));
	ck_assert(!origin_fits("http://a.example.com", "https://*.example.com"));
	ck_assert(!origin_fits("https://evil/.example.com", "https://*.example.com"));
}
END_TEST

#define HELD "permessage-deflate" BOTH

static bool
fit(const char *held, const char *agreed)
{
	return handshake_terms_fit(str_of(held), str_of(agreed));
}

START_TEST(the_same_terms_may_be_said_in_another_way)
{
	ck_assert(fit("", ""));
	ck_assert(fit(HELD, HELD));
	ck_assert(fit("x-own; a=1", "x-own; a=1"));
	ck_assert(fit(HELD, "Permessage-Deflate;server_no_context_takeover ; "
			    "client_no_context_takeover"));
	/* a hint to the client, who has heard it already */
	ck_assert(fit(HELD, "permessage-deflate; server_no_context_takeover"));
	ck_assert(fit(HELD "; server_max_window_bits=12",
	    HELD "; server_max_window_bits=\"12\""));
}
END_TEST

START_TEST(neither_side_may_refer_to_more_than_the_other_keeps)
{
	ck_assert(fit(HELD, HELD "; server_max_window_bits=9"));
	ck_assert(!fit(HELD "; server_max_window_bits=9", HELD));
	ck_assert(fit(HELD "; client_max_window_bits=9", HELD));
	ck_assert(!fit(HELD, HELD "; client_max_window_bits=9"));
	ck_assert(!fit(HELD "; client_max_window_bits=10",
	    HELD "; client_max_window_bits=9"));
}
END_TEST

START_TEST(other_terms_do_not_fit)
{
	static const char *const others[] = {"", "permessage-deflate",
	    "permessage-deflate; client_no_context_takeover", HELD ", x-own", "x-own",
	    HELD "; client_max_window_bits", HELD "; server_max_window_bits=7",
	    HELD "; server_max_window_bits=16", HELD "; server_max_window_bits=1x",
	    HELD "; server_max_window_bits=", HELD "; x=1"};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		ck_assert_msg(!fit(HELD, others[i]), "%s", others[i]);
	ck_assert(!fit("", HELD));
}
END_TEST

Suite *
suite_handshake(void)
{
	Suite *s = suite_create("handshake");
	TCase *t = tcase_create("handshake");

	tcase_add_test(t, a_good_request_may_pass);
	tcase_add_test(t, an_origin_is_scheme_host_and_port);
	tcase_add_test(t, a_star_stands_for_hosts_below);
	tcase_add_test(t, another_version_is_answered_as_such);
	tcase_add_loop_test(t, malformed_requests_are_refused, 0,
	    sizeof(bad_requests) / sizeof(*bad_requests));
	tcase_add_test(t, only_get_opens_a_socket);
	tcase_add_test(t, the_accept_value_is_the_one_of_the_rfc);
	tcase_add_test(t, a_right_answer_is_taken);
	tcase_add_loop_test(t, wrong_answers_are_refused, 0,
	    sizeof(bad_answers) / sizeof(*bad_answers));
	tcase_add_test(t, an_offer_of_compression_gives_up_context_takeover);
	tcase_add_test(t, the_rest_of_an_offer_is_unchanged);
	tcase_add_test(t, a_clean_cut_needs_no_context_on_either_side);
	tcase_add_test(t, the_same_terms_may_be_said_in_another_way);
	tcase_add_test(t, neither_side_may_refer_to_more_than_the_other_keeps);
	tcase_add_test(t, other_terms_do_not_fit);
	suite_add_tcase(s, t);
	return s;
}
