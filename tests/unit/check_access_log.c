/* SPDX-License-Identifier: MIT
 *
 * check_access_log.c - lines of the access log, byte by byte, and what they survive.
 */
#include "base/clock.h"
#include "base/sink.h"
#include "http/access_log.h"
#include "message/head.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

Suite *suite_access_log(void);

static struct strbuf line;

static void
setup(void)
{
	line = STRBUF_INIT;
	clock_fake_set(971211336042);
}

static void
teardown(void)
{
	strbuf_fini(&line);
	clock_fake_stop();
}

/* An exchange of which everything is known. */
static struct access_record
exchange(void)
{
	return (struct access_record){
	    .wall_ms = 971211336042,
	    .id = STR("4bf92f3577b34da6"),
	    .request_id = STR("4bf92f3577b34da6"),
	    .trace_id = STR("0af7651916cd43dd8448eb211c80319c"),
	    .client = STR("192.0.2.7"),
	    .peer = STR("10.0.0.1"),
	    .method = STR("GET"),
	    .host = STR("chat.example.com"),
	    .target = STR("/a?b=c"),
	    .user_agent = STR("curl/7.88.1"),
	    .referer = STR("https://example.com/"),
	    .minor = 1,
	    .status = 200,
	    .upstream = STR("chat"),
	    .backend = STR("b1"),
	    .chosen_by = STR("http_lock"),
	    .reason = STR("none"),
	    .retries = 2,
	    .bytes_in = 17,
	    .bytes_out = 1234567890123,
	    .head_us = 51,
	    .queue_us = 0,
	    .connect_us = 1000,
	    .first_byte_us = 12345678,
	    .total_us = 12350009,
	};
}

static const char *
written(enum log_format format, const struct access_record *r)
{
	strbuf_reset(&line);
	access_log_write(&line, format, r);
	return strbuf_cstr(&line);
}

/* ---- lines ---- */

START_TEST(text_is_combined_with_fields_behind)
{
	struct access_record r = exchange();

	ck_assert_str_eq(written(FORMAT_TEXT, &r),
	    "192.0.2.7 - - [10/Oct/2000:20:55:36 +0000] \"GET /a?b=c HTTP/1.1\" 200 "
	    "1234567890123 \"https://example.com/\" \"curl/7.88.1\" "
	    "id=4bf92f3577b34da6 bytes_in=17 upstream=chat backend=b1 by=http_lock "
	    "retries=2 reason=none head_ms=0.051 queue_ms=0.000 connect_ms=1.000 "
	    "first_byte_ms=12345.678 total_ms=12350.009\n");
}
END_TEST

START_TEST(json_has_its_names)
{
	struct access_record r = exchange();

	ck_assert_str_eq(written(FORMAT_JSON, &r),
	    "{\"time\":\"2000-10-10T20:55:36.042Z\",\"kind\":\"exchange\","
	    "\"id\":\"4bf92f3577b34da6\",\"request_id\":\"4bf92f3577b34da6\","
	    "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\","
	    "\"client\":\"192.0.2.7\",\"peer\":\"10.0.0.1\",\"method\":\"GET\","
	    "\"host\":\"chat.example.com\",\"target\":\"/a?b=c\","
	    "\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes_in\":17,"
	    "\"bytes_out\":1234567890123,\"upstream\":\"chat\",\"backend\":\"b1\","
	    "\"chosen_by\":\"http_lock\",\"retries\":2,\"reason\":\"none\","
	    "\"head_ms\":0.051,\"queue_ms\":0.000,\"connect_ms\":1.000,"
	    "\"first_byte_ms\":12345.678,\"total_ms\":12350.009,"
	    "\"user_agent\":\"curl/7.88.1\",\"referer\":\"https://example.com/\"}\n");
}
END_TEST

static struct access_record
session(void)
{
	struct access_record r = exchange();

	r.session = true;
	r.id = STR("s1");
	r.status = 101;
	r.minor = 1;
	r.messages_in = 7;
	r.messages_out = 8;
	r.close_code = 1006;
	r.ended_by = STR("client");
	return r;
}

START_TEST(sessions_tell_how_they_ended)
{
	struct access_record r = session();

	ck_assert_ptr_nonnull(
	    strstr(written(FORMAT_TEXT, &r), "HTTP/1.1\" 101 1234567890123 "));
	ck_assert_ptr_nonnull(strstr(strbuf_cstr(&line),
	    " messages_in=7 messages_out=8 close_code=1006 ended_by=client\n"));
	ck_assert_ptr_nonnull(strstr(written(FORMAT_JSON, &r),
	    "Z\",\"kind\":\"session\",\"id\":\"s1\","));
	ck_assert_ptr_nonnull(strstr(strbuf_cstr(&line),
	    ",\"messages_in\":7,\"messages_out\":8,\"close_code\":1006,"
	    "\"ended_by\":\"client\"}\n"));
}
END_TEST

START_TEST(what_is_not_known_is_said_so)
{
	struct access_record r = access_record_empty();

	ck_assert_str_eq(written(FORMAT_TEXT, &r),
	    "- - - [01/Jan/1970:00:00:00 +0000] \"-\" - 0 \"-\" \"-\" id=- bytes_in=0 "
	    "upstream=- backend=- by=- retries=0 reason=- head_ms=- queue_ms=- "
	    "connect_ms=- first_byte_ms=- total_ms=-\n");
	r.session = true;
	ck_assert_str_eq(written(FORMAT_JSON, &r),
	    "{\"time\":\"1970-01-01T00:00:00.000Z\",\"kind\":\"session\",\"id\":null,"
	    "\"request_id\":null,\"trace_id\":null,\"client\":null,\"peer\":null,"
	    "\"method\":null,\"host\":null,\"target\":null,\"protocol\":null,"
	    "\"status\":null,\"bytes_in\":0,\"bytes_out\":0,\"upstream\":null,"
	    "\"backend\":null,\"chosen_by\":null,\"retries\":0,\"reason\":null,"
	    "\"head_ms\":null,\"queue_ms\":null,\"connect_ms\":null,"
	    "\"first_byte_ms\":null,\"total_ms\":null,\"user_agent\":null,"
	    "\"referer\":null,\"messages_in\":0,\"messages_out\":0,"
	    "\"close_code\":null,\"ended_by\":null}\n");
}
END_TEST

START_TEST(the_time_is_never_that_of_the_line_before)
{
	struct access_record r = exchange();
	static const struct {
		int64_t ms;
		const char *text, *json;
	} rows[] = {
	    {0, "[01/Jan/1970:00:00:00 +0000]", "\"1970-01-01T00:00:00.000Z\""},
	    {999, "[01/Jan/1970:00:00:00 +0000]", "\"1970-01-01T00:00:00.999Z\""},
	    {1709251199999, "[29/Feb/2024:23:59:59 +0000]",
		"\"2024-02-29T23:59:59.999Z\""},
	    {1709251200000, "[01/Mar/2024:00:00:00 +0000]",
		"\"2024-03-01T00:00:00.000Z\""},
	    {4102444799050, "[31/Dec/2099:23:59:59 +0000]",
		"\"2099-12-31T23:59:59.050Z\""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		r.wall_ms = rows[i].ms;
		ck_assert_ptr_nonnull(strstr(written(FORMAT_TEXT, &r), rows[i].text));
		ck_assert_ptr_nonnull(strstr(written(FORMAT_JSON, &r), rows[i].json));
	}
}
END_TEST

START_TEST(old_clients_speak_1_0)
{
	struct access_record r = exchange();

	r.minor = 0;
	ck_assert_ptr_nonnull(strstr(written(FORMAT_TEXT, &r), " HTTP/1.0\" 200 "));
	ck_assert_ptr_nonnull(
	    strstr(written(FORMAT_JSON, &r), "\"protocol\":\"HTTP/1.0\""));
}
END_TEST

/* ---- hostile bytes ---- */

/* Every byte there is, in every string. */
static struct access_record
hostile(char memory[256])
{
	struct access_record r = session();
	struct str all = {memory, 256};

	for (unsigned i = 0; i < 256; i++)
		memory[i] = (char)i;
	r.id = r.request_id = r.trace_id = r.client = r.peer = r.method = r.host =
	    r.target = r.user_agent = r.referer = r.upstream = r.backend = r.chosen_by =
		r.reason = r.ended_by = all;
	return r;
}

START_TEST(hostile_bytes_are_escaped_in_text)
{
	char memory[256];
	struct access_record r = hostile(memory);
	unsigned quotes = 0, blanks = 0;

	written(FORMAT_TEXT, &r);
	for (size_t i = 0; i + 1 < line.len; i++) {
		unsigned char c = (unsigned char)line.data[i];

		ck_assert_msg(c >= 0x20 && c < 0x7f, "byte %u at %zu", c, i);
		quotes += c == '"';
		blanks += c == ' ';
		if (c == '\\')
			ck_assert_int_eq(line.data[i + 1], 'x');
	}
	ck_assert_int_eq(line.data[line.len - 1], '\n');
	ck_assert_uint_eq(quotes, 6);
	/* those of the format, and one within each of the four quoted strings */
	r = session();
	r.target = r.user_agent = r.referer = STR("x");
	for (const char *p = written(FORMAT_TEXT, &r); *p; p++)
		blanks -= *p == ' ';
	ck_assert_uint_eq(blanks, 4);
}
END_TEST

START_TEST(escapes_tell_the_byte)
{
	struct access_record r = exchange();

	r.user_agent = STR("a\"b\\c\nd\x7f\xc3\xa4 e");
	r.upstream = STR("my chat");
	ck_assert_ptr_nonnull(strstr(written(FORMAT_TEXT, &r),
	    " \"a\\x22b\\x5cc\\x0ad\\x7f\\xc3\\xa4 e\" id="));
	ck_assert_ptr_nonnull(
	    strstr(strbuf_cstr(&line), " upstream=my\\x20chat backend="));
	ck_assert_ptr_nonnull(strstr(written(FORMAT_JSON, &r),
	    ",\"user_agent\":\"a\\\"b\\\\c\\nd\\u007f\xc3\xa4 e\","));
}
END_TEST

START_TEST(every_byte_is_seen_wherever_it_stands)
{
	struct access_record r = exchange();
	char agent[24], expected[64];

	for (unsigned c = 0; c < 256; c++) {
		for (unsigned at = 0; at < 20; at++) {
			bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';

			memset(agent, 'a', sizeof(agent));
			agent[at] = (char)c;
			r.user_agent = (struct str){agent, 20};
			snprintf(expected, sizeof(expected),
			    plain ? " \"%.*s%c%.*s\" " : " \"%.*s\\x%02x%.*s\" ",
			    (int)at, "aaaaaaaaaaaaaaaaaaa", c, 19 - (int)at,
			    "aaaaaaaaaaaaaaaaaaa");
			ck_assert_msg(strstr(written(FORMAT_TEXT, &r), expected),
			    "%s not in %s", expected, strbuf_cstr(&line));
		}
	}
}
END_TEST

START_TEST(hostile_bytes_stay_within_json_strings)
{
	char memory[256];
	struct access_record r = hostile(memory);
	unsigned quotes = 0;

	written(FORMAT_JSON, &r);
	for (size_t i = 0; i + 1 < line.len; i++) {
		unsigned char c = (unsigned char)line.data[i];

		ck_assert_msg(c >= 0x20, "byte %u at %zu", c, i);
		if (c == '\\')
			i++; /* what it escapes */
		else
			quotes += c == '"';
	}
	ck_assert_int_eq(line.data[line.len - 1], '\n');
	/* 30 names, and values but for the 13 numbers */
	ck_assert_uint_eq(quotes, 2 * (30 + 17 + 1));
}
END_TEST

/* ---- notes ---- */

static struct head
parsed(const char *text)
{
	struct head head;
	enum reason why;
	size_t used;

	ck_assert_int_eq(head_parse(text, strlen(text), &head, &used, &why),
	    PARSE_DONE);
	return head;
}

static const char request[] = "PROPFIND /a/b?c=d HTTP/1.0\r\n"
			      "Host: Example.com:8080\r\n"
			      "user-AGENT: some one\r\n"
			      "Referer: http://x/\r\n"
			      "\r\n";

static void
check_filled(const struct access_note *note)
{
	struct access_record r = access_record_empty();

	access_note_fill(note, &r);
	ck_assert(str_eq(r.client, STR("192.0.2.7")));
	ck_assert(str_eq(r.peer, STR("10.0.0.1")));
	ck_assert(str_eq(r.request_id, STR("r1")));
	ck_assert(str_eq(r.id, STR("r1")));
	ck_assert(str_eq(r.trace_id, STR("t1")));
	ck_assert(str_eq(r.method, STR("PROPFIND")));
	ck_assert(str_eq(r.host, STR("Example.com")));
	ck_assert(str_eq(r.target, STR("/a/b?c=d")));
	ck_assert(str_eq(r.user_agent, STR("some one")));
	ck_assert(str_eq(r.referer, STR("http://x/")));
	ck_assert_uint_eq(r.minor, 0);
	ck_assert_int_eq(r.wall_ms, 971211336042);
	ck_assert_uint_eq(note->start_us, 971211336042000);
	ck_assert_uint_eq(r.total_us, UINT64_MAX);
}

START_TEST(a_note_keeps_what_the_head_said)
{
	struct access_note note = {.minor = 0}, *copy;
	struct head head = parsed(request);

	access_note_take(&note, &head, STR("192.0.2.7"), STR("10.0.0.1"), STR("r1"),
	    STR("t1"));
	check_filled(&note);
	copy = access_note_copy(&note);
	strbuf_fini(&note.text);
	clock_fake_advance(1000);
	check_filled(copy);
	access_note_free(copy);
	access_note_free(NULL);
}
END_TEST

START_TEST(a_note_is_taken_anew_without_remains)
{
	struct access_note note = {.minor = 0}, *copy;
	struct access_record r = access_record_empty();
	struct head head = parsed(request);
	const char *memory;

	access_note_take(&note, &head, STR("c"), STR("p"), STR("r"), STR("t"));
	memory = note.text.data;
	access_note_take(&note, NULL, STR(""), STR("p2"), STR(""), STR(""));
	ck_assert_ptr_eq(note.text.data, memory);
	access_note_fill(&note, &r);
	ck_assert(str_eq(r.peer, STR("p2")));
	ck_assert_uint_eq(r.client.n + r.method.n + r.host.n + r.target.n +
			      r.referer.n + r.user_agent.n + r.request_id.n +
			      r.trace_id.n,
	    0);
	access_note_take(&note, NULL, STR(""), STR(""), STR(""), STR(""));
	copy = access_note_copy(&note);
	access_note_fill(copy, &r);
	ck_assert_uint_eq(r.peer.n, 0);
	access_note_free(copy);
	strbuf_fini(&note.text);
}
END_TEST

START_TEST(a_note_cuts_what_is_longer_than_anybodys)
{
	struct access_note note = {.minor = 0};
	struct access_record r = access_record_empty();
	struct strbuf text = STRBUF_INIT;
	struct head head;

	strbuf_puts(&text, "GET /");
	for (int i = 0; i < 5000; i++)
		strbuf_lit(&text, "t");
	strbuf_puts(&text, " HTTP/1.1\r\nHost: h\r\nUser-Agent: ");
	for (int i = 0; i < 5000; i++)
		strbuf_lit(&text, "u");
	strbuf_puts(&text, "\r\n\r\n");
	head = parsed(strbuf_cstr(&text));
	access_note_take(&note, &head, STR("c"), STR("p"), STR("r"), STR(""));
	access_note_fill(&note, &r);
	ck_assert_uint_eq(r.target.n, 5001);
	ck_assert_uint_eq(r.user_agent.n, 1024);
	strbuf_fini(&note.text);
	strbuf_fini(&text);
}
END_TEST

/* ---- where lines go ---- */

START_TEST(lines_go_to_a_sink_until_it_is_closed)
{
	char file[] = "/tmp/check_access.XXXXXX", text[8192];
	int fd = mkstemp(file);
	struct sink *s = sink_open(file);
	struct access a = {.feed = NULL};
	struct access_record r = exchange();
	ssize_t n;

	ck_assert(access_open(&a, NULL, FORMAT_TEXT));
	ck_assert(!access_is_on(&a));
	ck_assert(access_open(&a, s, FORMAT_TEXT));
	ck_assert(access_is_on(&a));
	access_put(&a, &r);
	ck_assert(access_open(&a, s, FORMAT_JSON));
	access_close(&a);
	ck_assert(!access_is_on(&a));
	access_close(&a);
	sink_close(s);
	n = read(fd, text, sizeof(text));
	written(FORMAT_TEXT, &r);
	ck_assert_uint_eq((size_t)n, line.len);
	ck_assert_mem_eq(text, line.data, line.len);
	close(fd);
	unlink(file);
}
END_TEST

Suite *
suite_access_log(void)
{
	Suite *suite = suite_create("access_log");
	TCase *lines = tcase_create("lines"), *notes = tcase_create("notes");

	tcase_add_checked_fixture(lines, setup, teardown);
	tcase_add_test(lines, text_is_combined_with_fields_behind);
	tcase_add_test(lines, json_has_its_names);
	tcase_add_test(lines, sessions_tell_how_they_ended);
	tcase_add_test(lines, what_is_not_known_is_said_so);
	tcase_add_test(lines, the_time_is_never_that_of_the_line_before);
	tcase_add_test(lines, old_clients_speak_1_0);
	tcase_add_test(lines, hostile_bytes_are_escaped_in_text);
	tcase_add_test(lines, escapes_tell_the_byte);
	tcase_add_test(lines, every_byte_is_seen_wherever_it_stands);
	tcase_add_test(lines, hostile_bytes_stay_within_json_strings);
	tcase_add_test(lines, lines_go_to_a_sink_until_it_is_closed);
	suite_add_tcase(suite, lines);

	tcase_add_checked_fixture(notes, setup, teardown);
	tcase_add_test(notes, a_note_keeps_what_the_head_said);
	tcase_add_test(notes, a_note_is_taken_anew_without_remains);
	tcase_add_test(notes, a_note_cuts_what_is_longer_than_anybodys);
	suite_add_tcase(suite, notes);
	return suite;
}
