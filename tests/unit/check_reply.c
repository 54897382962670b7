/* SPDX-License-Identifier: MIT
 *
 * check_reply.c - the bytes of every shape of answer that roost makes itself.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "http/reply.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

Suite *suite_reply(void);

static struct strbuf out;

static void
setup(void)
{
	out = STRBUF_INIT;
}

static void
teardown(void)
{
	strbuf_fini(&out);
}

/* Also looks whether the head is as long as it is said to be. */
static const char *
written(struct reply reply)
{
	const char *end;
	size_t head;

	strbuf_reset(&out);
	head = reply_write(&out, &reply);
	ck_assert(!out.failed);
	end = strstr(strbuf_cstr(&out), "\r\n\r\n");
	ck_assert_ptr_nonnull(end);
	ck_assert_uint_eq(head, (size_t)(end + 4 - out.data));
	return out.data;
}

/* A route that answers; text NULL: it has none. */
static const struct config_route *
answering(unsigned status, const char *text)
{
	static struct config_route route;
	static char copy[256];

	snprintf(copy, sizeof copy, "%s", text ? text : "");
	route = (struct config_route){.respond = status, .text = text ? copy : NULL};
	return &route;
}

static const struct config_route *
redirecting(unsigned status)
{
	static struct config_route route;

	route = (struct config_route){.redirect_status = status};
	return &route;
}

static void
is_exactly(struct reply reply, const char *expected)
{
	ck_assert_str_eq(written(reply), expected);
}

static const char *
body_of(const char *response)
{
	const char *end = strstr(response, "\r\n\r\n");

	ck_assert_ptr_nonnull(end);
	return end + 4;
}

/* The head says what the body is long. */
static void
length_is_right(const char *response)
{
	const char *length = strstr(response, "Content-Length: ");

	ck_assert_ptr_nonnull(length);
	ck_assert_uint_eq(strtoul(length + 16, NULL, 10), strlen(body_of(response)));
}

static bool
has_line(struct reply reply, const char *line)
{
	char needle[256];
	const char *response = written(reply), *at;

	snprintf(needle, sizeof needle, "\r\n%s\r\n", line);
	at = strstr(response, needle);
	return at && at < body_of(response);
}

static bool
contains(struct reply reply, const char *text)
{
	return strstr(written(reply), text) != NULL;
}

/* ---- refusals */

START_TEST(json_for_whoever_does_not_prefer_html)
{
	is_exactly((struct reply){.why = REASON_NO_ROUTE,
		       .request_id = STR("abc"),
		       .minor = 1,
		       .keep_alive = true},
	    "HTTP/1.1 404 Not Found\r\n"
	    "Cache-Control: no-store\r\n"
	    "Content-Type: application/json\r\n"
	    "Content-Length: 97\r\n"
	    "\r\n"
	    "{\"status\":404,\"error\":\"no_route\","
	    "\"message\":\"no route for this host and "
	    "path\",\"request_id\":\"abc\"}\n");
	length_is_right(strbuf_cstr(&out));
}
END_TEST

START_TEST(html_for_browsers)
{
	is_exactly((struct reply){.why = REASON_NO_ROUTE,
		       .request_id = STR("abc"),
		       .minor = 1,
		       .html = true,
		       .keep_alive = true},
	    "HTTP/1.1 404 Not Found\r\n"
	    "Cache-Control: no-store\r\n"
	    "Content-Type: text/html; charset=utf-8\r\n"
	    "Content-Length: 140\r\n"
	    "\r\n"
	    "<!doctype html><title>404 Not Found</title>\n"
	    "<h1>404 Not Found</h1>\n"
	    "<p>no route for this host and path</p>\n"
	    "<p><small>request abc</small></p>\n");
	length_is_right(strbuf_cstr(&out));
}
END_TEST

START_TEST(without_a_request_id_there_is_none)
{
	ck_assert(!contains((struct reply){.why = REASON_BAD_HEADER}, "request_id"));
	ck_assert(!contains((struct reply){.why = REASON_BAD_HEADER, .html = true},
	    "<small>"));
}
END_TEST

START_TEST(a_request_id_of_the_client_cannot_break_out)
{
	struct reply reply = {.why = REASON_NO_ROUTE, .request_id = STR("a\"<b>&'")};

	ck_assert(contains(reply, "\"request_id\":\"a\\\"<b>&'\""));
	reply.html = true;
	ck_assert(contains(reply, "request a&quot;&lt;b&gt;&amp;&#39;<"));
}
END_TEST

START_TEST(every_refusal_has_its_own_phrase_and_a_right_length)
{
	for (int why = 1; why < REASON_COUNT; why++) {
		struct reply reply = {.why = (enum reason)why};
		char line[64];

		if (reason_status(reply.why) == 0)
			continue;
		ck_assert_uint_eq(reply_status(&reply),
		    (unsigned)reason_status(reply.why));
		snprintf(line, sizeof line, "HTTP/1.1 %d ", reason_status(reply.why));
		for (int html = 0; html < 2; html++) {
			reply.html = html;
			ck_assert(strncmp(written(reply), line, strlen(line)) == 0);
			ck_assert_msg(!strstr(strbuf_cstr(&out), " Error\r\n") ||
					  reason_status(reply.why) == 500,
			    "no phrase for %d", reason_status(reply.why));
			length_is_right(strbuf_cstr(&out));
			ck_assert(contains(reply, "Cache-Control: no-store\r\n"));
		}
	}
}
END_TEST

START_TEST(head_gets_the_same_head_and_no_body)
{
	static const enum reason whys[] = {REASON_NO_ROUTE, REASON_CLIENT_RATE,
	    REASON_BODY_TOO_LARGE, REASON_ORIGIN, REASON_RESPONDED, REASON_REDIRECTED};
	char get[2048];

	for (size_t i = 0; i < sizeof whys / sizeof *whys; i++) {
		struct reply reply = {.why = whys[i],
		    .route = i < 5 ? answering(418, NULL) : redirecting(308),
		    .location = STR("/there"),
		    .retry_s = 7};

		snprintf(get, sizeof get, "%s", written(reply));
		*(char *)(uintptr_t)body_of(get) = '\0';
		reply.head_only = true;
		ck_assert_str_eq(written(reply), get);
	}
}
END_TEST

START_TEST(connection_follows_version_and_keep_alive)
{
	struct reply reply = {.why = REASON_NO_ROUTE, .minor = 1, .keep_alive = true};

	ck_assert(!contains(reply, "Connection:"));
	reply.minor = 0;
	ck_assert(has_line(reply, "Connection: keep-alive"));
	reply.keep_alive = false;
	ck_assert(has_line(reply, "Connection: close"));
}
END_TEST

START_TEST(a_wrong_websocket_version_is_told_the_right_one)
{
	struct reply reply = {.why = REASON_UPGRADE_VERSION,
	    .minor = 1,
	    .keep_alive = true};

	ck_assert(has_line(reply, "Sec-WebSocket-Version: 13"));
	ck_assert(has_line(reply, "Upgrade: websocket"));
	ck_assert(has_line(reply, "Connection: Upgrade"));
	reply.keep_alive = false;
	ck_assert(has_line(reply, "Connection: close, Upgrade"));
}
END_TEST

START_TEST(who_may_come_back_is_told_when)
{
	struct reply reply = {.why = REASON_CLIENT_RATE};

	ck_assert(has_line(reply, "Retry-After: 1"));
	reply.retry_s = 20;
	ck_assert(has_line(reply, "Retry-After: 20"));
	reply = (struct reply){.why = REASON_QUEUE_FULL};
	ck_assert(has_line(reply, "Retry-After: 1"));
	reply = (struct reply){.why = REASON_UPGRADES, .retry_s = 3};
	ck_assert(has_line(reply, "Retry-After: 3"));
	reply = (struct reply){.why = REASON_NO_ROUTE};
	ck_assert(!contains(reply, "Retry-After"));
	reply = (struct reply){.why = REASON_CONNECT_FAILED, .retry_s = 9};
	ck_assert(!contains(reply, "Retry-After"));
	reply = (struct reply){.why = REASON_RESPONDED, .route = answering(503, NULL)};
	ck_assert(!contains(reply, "Retry-After"));
}
END_TEST

START_TEST(more_header_lines_go_along)
{
	struct reply reply = {.why = REASON_NO_ROUTE,
	    .headers = STR("X-A: 1\r\nX-B: 2\r\n")};

	ck_assert(has_line(reply, "X-A: 1"));
	ck_assert(has_line(reply, "X-B: 2"));
	length_is_right(strbuf_cstr(&out));
}
END_TEST

START_TEST(it_is_appended_to_what_is_there)
{
	struct reply reply = {.why = REASON_NO_ROUTE};

	strbuf_reset(&out);
	strbuf_lit(&out, "before");
	reply_write(&out, &reply);
	ck_assert(strncmp(strbuf_cstr(&out), "beforeHTTP/1.1 404", 18) == 0);
	length_is_right(strbuf_cstr(&out));
}
END_TEST

START_TEST(without_room_it_fails_and_writes_nothing_beyond)
{
	char memory[300];

	for (size_t room = 2; room < sizeof memory; room++) {
		struct strbuf small = strbuf_over(memory, room);
		struct reply reply = {.why = REASON_NO_ROUTE};

		memset(memory, '#', sizeof memory);
		reply_write(&small, &reply);
		for (size_t i = room; i < sizeof memory; i++)
			ck_assert_int_eq(memory[i], '#');
		if (room < 150)
			ck_assert(small.failed);
	}
}
END_TEST

/* ---- error pages */

static struct config_error_page pages[3];
static struct config config;

static const struct config *
with_page(unsigned status, const char *text)
{
	pages[0] = (struct config_error_page){.status = 418, .text = STR("teapot")};
	pages[1] = (struct config_error_page){.status = status, .text = str_of(text)};
	pages[2] = (struct config_error_page){.status = 599, .text = STR("last")};
	config = (struct config){.error_pages = pages, .n_error_pages = 3};
	return &config;
}

static void
page_becomes(const char *page, const char *expected)
{
	struct reply reply = {.why = REASON_NO_ROUTE,
	    .html = true,
	    .request_id = STR("<id>"),
	    .pages = with_page(404, page)};

	ck_assert_str_eq(body_of(written(reply)), expected);
	length_is_right(strbuf_cstr(&out));
}

START_TEST(a_page_takes_the_place_of_our_html)
{
	page_becomes("<h1>gone fishing</h1>", "<h1>gone fishing</h1>");
	page_becomes("", "");
}
END_TEST

START_TEST(a_page_is_filled_in_with_escaped_values)
{
	page_becomes("{{status}} {{phrase}}: {{message}} ({{request_id}})",
	    "404 Not Found: no route for this host and path (&lt;id&gt;)");
	page_becomes("{{status}}{{status}}", "404404");
}
END_TEST

START_TEST(braces_that_are_no_names_stay)
{
	page_becomes("a { color: red } {{ status }} {{{status}}} {{statu {{x}} {",
	    "a { color: red } {{ status }} {404} {{statu {{x}} {");
	page_becomes("{{", "{{");
	page_becomes("{{status}", "{{status}");
}
END_TEST

START_TEST(values_are_not_filled_in_again)
{
	struct reply reply = {.why = REASON_NO_ROUTE,
	    .html = true,
	    .request_id = STR("{{status}}"),
	    .pages = with_page(404, "{{request_id}}")};

	ck_assert_str_eq(body_of(written(reply)), "{{status}}");
}
END_TEST

START_TEST(pages_are_for_their_status_and_for_html)
{
	struct reply reply = {.why = REASON_NO_ROUTE,
	    .html = true,
	    .pages = with_page(503, "busy")};

	ck_assert(!contains(reply, "busy"));
	reply.why = REASON_QUEUE_FULL;
	ck_assert_str_eq(body_of(written(reply)), "busy");
	ck_assert(has_line(reply, "Content-Type: text/html; charset=utf-8"));
	ck_assert(has_line(reply, "Retry-After: 1"));
	reply.html = false;
	ck_assert(contains(reply, "\"error\":\"queue_full\""));
}
END_TEST

START_TEST(a_large_page_is_not_cut)
{
	enum { LARGE = 300000 };
	char *text = malloc(LARGE + 1);
	struct reply reply = {.why = REASON_NO_ROUTE, .html = true};

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', LARGE);
	text[LARGE] = '\0';
	reply.pages = with_page(404, text);
	ck_assert_str_eq(body_of(written(reply)), text);
	length_is_right(strbuf_cstr(&out));
	free(text);
}
END_TEST

/* ---- what a route says */

START_TEST(a_route_answers_with_its_text)
{
	is_exactly((struct reply){.why = REASON_RESPONDED,
		       .route = answering(200, "User-agent: *\n"),
		       .html = true,
		       .minor = 1,
		       .keep_alive = true},
	    "HTTP/1.1 200 OK\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: 14\r\n"
	    "\r\n"
	    "User-agent: *\n");
}
END_TEST

START_TEST(an_empty_text_is_a_text)
{
	struct reply reply = {.why = REASON_RESPONDED, .route = answering(200, "")};

	ck_assert(has_line(reply, "Content-Length: 0"));
	ck_assert_str_eq(body_of(strbuf_cstr(&out)), "");
}
END_TEST

START_TEST(a_route_without_text_gets_a_small_body)
{
	struct reply reply = {.why = REASON_RESPONDED, .route = answering(200, NULL)};

	ck_assert_str_eq(body_of(written(reply)),
	    "{\"status\":200,\"message\":\"OK\"}\n");
	reply.route = answering(404, NULL);
	ck_assert_str_eq(body_of(written(reply)),
	    "{\"status\":404,\"error\":\"responded\",\"message\":\"Not Found\"}\n");
	reply.html = true;
	ck_assert_str_eq(body_of(written(reply)),
	    "<!doctype html><title>404 Not Found</title>\n<h1>404 Not Found</h1>\n");
	reply.pages = with_page(404, "ours");
	ck_assert_str_eq(body_of(written(reply)), "ours");
}
END_TEST

START_TEST(answers_that_have_no_body_have_none)
{
	static const unsigned statuses[] = {204, 304};

	for (size_t i = 0; i < 2; i++) {
		struct reply reply = {.why = REASON_RESPONDED,
		    .route = answering(statuses[i], "text"),
		    .minor = 1,
		    .keep_alive = true};

		ck_assert(!contains(reply, "Content-"));
		ck_assert_str_eq(body_of(strbuf_cstr(&out)), "");
	}
	is_exactly((struct reply){.why = REASON_RESPONDED,
		       .route = answering(205, "text"),
		       .minor = 1,
		       .keep_alive = true},
	    "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n");
}
END_TEST

START_TEST(any_status_can_be_answered)
{
	for (unsigned status = 200; status < 600; status++) {
		struct reply reply = {.why = REASON_RESPONDED,
		    .route = answering(status, NULL)};
		char line[32];

		snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
		ck_assert(strncmp(written(reply), line, strlen(line)) == 0);
		ck_assert_msg(strbuf_cstr(&out)[13] >= 'A', "%u has no phrase", status);
		ck_assert_uint_eq(reply_status(&reply), status);
		if (status != 204 && status != 304)
			length_is_right(strbuf_cstr(&out));
	}
}
END_TEST

START_TEST(a_redirect_says_where)
{
	is_exactly((struct reply){.why = REASON_REDIRECTED,
		       .route = redirecting(308),
		       .location = STR("https://h/a?b=1&c=2"),
		       .minor = 1,
		       .keep_alive = true},
	    "HTTP/1.1 308 Permanent Redirect\r\n"
	    "Location: https://h/a?b=1&c=2\r\n"
	    "Vary: Accept\r\n"
	    "Content-Type: application/json\r\n"
	    "Content-Length: 79\r\n"
	    "\r\n"
	    "{\"status\":308,\"message\":\"Permanent Redirect\","
	    "\"location\":\"https://h/a?b=1&c=2\"}\n");
	is_exactly((struct reply){.why = REASON_REDIRECTED,
		       .route = redirecting(302),
		       .location = STR("/a?b=1&c=2"),
		       .minor = 1,
		       .html = true,
		       .request_id = STR("id"),
		       .keep_alive = true},
	    "HTTP/1.1 302 Found\r\n"
	    "Location: /a?b=1&c=2\r\n"
	    "Vary: Accept\r\n"
	    "Content-Type: text/html; charset=utf-8\r\n"
	    "Content-Length: 110\r\n"
	    "\r\n"
	    "<!doctype html><title>302 Found</title>\n"
	    "<h1>302 Found</h1>\n"
	    "<p><a href=\"/a?b=1&amp;c=2\">/a?b=1&amp;c=2</a></p>\n");
}
END_TEST

START_TEST(a_location_cannot_end_its_line_or_its_string)
{
	struct reply reply = {.why = REASON_REDIRECTED,
	    .route = redirecting(302),
	    .location = STR("/a\r\nSet-Cookie: x\"<b>\\\x80\x7f\0 z")};

	ck_assert(has_line(reply,
	    "Location: /a%0D%0ASet-Cookie:%20x%22%3Cb%3E%5C%80%7F%00%20z"));
	ck_assert(contains(reply, "x%22%3Cb%3E%5C%80%7F%00%20z\"}"));
	reply.html = true;
	ck_assert(contains(reply, "x%22%3Cb%3E%5C%80%7F%00%20z</a>"));
	length_is_right(strbuf_cstr(&out));
}
END_TEST

START_TEST(a_location_that_is_a_uri_stays_as_it_is)
{
	struct reply reply = {.why = REASON_REDIRECTED,
	    .route = redirecting(302),
	    .location = STR("https://[::1]:8/%20a~b-c.d_e!$'()*+,;=:@?x#y")};

	ck_assert(
	    has_line(reply, "Location: https://[::1]:8/%20a~b-c.d_e!$'()*+,;=:@?x#y"));
}
END_TEST

/* ---- Accept */

START_TEST(browsers_want_html)
{
	ck_assert(reply_wants_html(STR("text/html,application/xhtml+xml,"
				       "application/xml;q=0.9,image/avif,*/*;q=0.8")));
	ck_assert(reply_wants_html(STR("text/html")));
	ck_assert(reply_wants_html(STR("TEXT/HTML ; level=1")));
	ck_assert(reply_wants_html(STR("text/*")));
	ck_assert(reply_wants_html(STR("text/html, */*")));
}
END_TEST

START_TEST(everybody_else_gets_json)
{
	ck_assert(!reply_wants_html((struct str){NULL, 0}));
	ck_assert(!reply_wants_html(STR("")));
	ck_assert(!reply_wants_html(STR("*/*")));
	ck_assert(!reply_wants_html(STR("application/json")));
	ck_assert(!reply_wants_html(STR("application/json, text/plain, */*")));
	ck_assert(!reply_wants_html(STR("image/png")));
	ck_assert(!reply_wants_html(STR("text/htmlx")));
	ck_assert(!reply_wants_html(STR("application/*")));
}
END_TEST

START_TEST(the_higher_quality_wins)
{
	ck_assert(!reply_wants_html(STR("text/html;q=0.1, application/json")));
	ck_assert(reply_wants_html(STR("application/json;q=0.1, text/html;q=0.2")));
	ck_assert(!reply_wants_html(STR("text/html;q=0.9, */*")));
	ck_assert(!reply_wants_html(STR("text/html;q=0.899, application/json;q=0.9")));
	ck_assert(
	    reply_wants_html(STR("application/json; Q=0.5, text/html; a=b; q=1")));
	ck_assert(!reply_wants_html(STR("text/html;q=0")));
	ck_assert(!reply_wants_html(STR("text/html;q=0.000, image/png")));
	ck_assert(!reply_wants_html(STR("text/html;q=0, */*")));
}
END_TEST

START_TEST(of_equals_the_more_exact_and_then_the_first_wins)
{
	ck_assert(reply_wants_html(STR("text/html, application/json")));
	ck_assert(!reply_wants_html(STR("application/json, text/html")));
	ck_assert(!reply_wants_html(STR("text/*, application/json")));
	ck_assert(reply_wants_html(STR("application/*, text/html")));
	ck_assert(
	    reply_wants_html(STR("text/*;q=0.1, text/html, application/json;q=0.5")));
}
END_TEST

START_TEST(nonsense_is_harmless)
{
	ck_assert(reply_wants_html(STR("text/html;q=")));
	ck_assert(reply_wants_html(STR("text/html;q")));
	ck_assert(reply_wants_html(STR("text/html;")));
	ck_assert(reply_wants_html(STR("text/html; ")));
	ck_assert(reply_wants_html(STR("text/html;;q=x")));
	ck_assert(reply_wants_html(STR(",, text/html;q=1.5 ,")));
	ck_assert(reply_wants_html(STR("text/html;q=0.99999999999999999999")));
	ck_assert(!reply_wants_html(STR(";q=1")));
}
END_TEST

static TCase *
refusals(void)
{
	TCase *t = tcase_create("refusals");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, json_for_whoever_does_not_prefer_html);
	tcase_add_test(t, html_for_browsers);
	tcase_add_test(t, without_a_request_id_there_is_none);
	tcase_add_test(t, a_request_id_of_the_client_cannot_break_out);
	tcase_add_test(t, every_refusal_has_its_own_phrase_and_a_right_length);
	tcase_add_test(t, head_gets_the_same_head_and_no_body);
	tcase_add_test(t, connection_follows_version_and_keep_alive);
	tcase_add_test(t, a_wrong_websocket_version_is_told_the_right_one);
	tcase_add_test(t, who_may_come_back_is_told_when);
	tcase_add_test(t, more_header_lines_go_along);
	tcase_add_test(t, it_is_appended_to_what_is_there);
	tcase_add_test(t, without_room_it_fails_and_writes_nothing_beyond);
	return t;
}

static TCase *
error_pages(void)
{
	TCase *t = tcase_create("error pages");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_page_takes_the_place_of_our_html);
	tcase_add_test(t, a_page_is_filled_in_with_escaped_values);
	tcase_add_test(t, braces_that_are_no_names_stay);
	tcase_add_test(t, values_are_not_filled_in_again);
	tcase_add_test(t, pages_are_for_their_status_and_for_html);
	tcase_add_test(t, a_large_page_is_not_cut);
	return t;
}

static TCase *
routes(void)
{
	TCase *t = tcase_create("routes");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_route_answers_with_its_text);
	tcase_add_test(t, an_empty_text_is_a_text);
	tcase_add_test(t, a_route_without_text_gets_a_small_body);
	tcase_add_test(t, answers_that_have_no_body_have_none);
	tcase_add_test(t, any_status_can_be_answered);
	tcase_add_test(t, a_redirect_says_where);
	tcase_add_test(t, a_location_cannot_end_its_line_or_its_string);
	tcase_add_test(t, a_location_that_is_a_uri_stays_as_it_is);
	return t;
}

static TCase *
likings(void)
{
	TCase *t = tcase_create("accept");

	tcase_add_test(t, browsers_want_html);
	tcase_add_test(t, everybody_else_gets_json);
	tcase_add_test(t, the_higher_quality_wins);
	tcase_add_test(t, of_equals_the_more_exact_and_then_the_first_wins);
	tcase_add_test(t, nonsense_is_harmless);
	return t;
}

Suite *
suite_reply(void)
{
	Suite *s = suite_create("reply");

	suite_add_tcase(s, refusals());
	suite_add_tcase(s, error_pages());
	suite_add_tcase(s, routes());
	suite_add_tcase(s, likings());
	return s;
}
