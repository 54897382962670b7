/* SPDX-License-Identifier: MIT
 *
 * check_ctl.c - what roostctl understands, and what it draws.
 */
#include "admin/endpoints.h"
#include "ctl/ctl.h"
#include "ctl/picture.h"
#include "ctl/table.h"

#include <check.h>
#include <locale.h>
#include <stdlib.h>

Suite *suite_ctl(void);

static struct arguments args;
static struct strbuf error;
static struct out out;

static void
setup(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	error = STRBUF_INIT;
	out = (struct out){.utf8 = true};
}

static void
teardown(void)
{
	strbuf_fini(&error);
	out_fini(&out);
}

/* Words apart by blanks. */
static bool
parse(const char *line)
{
	static char text[256];
	static char *words[16];
	int n = 0;
	char *at = text, *word;

	snprintf(text, sizeof(text), "%s", line);
	while ((word = strsep(&at, " ")))
		words[n++] = word;
	strbuf_reset(&error);
	return arguments_parse(n, words, &args, &error);
}

static const char *
drawn(void)
{
	return strbuf_cstr(&out.text);
}

/* ---- arguments ---- */

START_TEST(flags_stand_anywhere)
{
	ck_assert(parse("drain --json chat -s localhost:1 b2 --wait"));
	ck_assert_uint_eq(args.n_words, 3);
	ck_assert_str_eq(args.words[0], "drain");
	ck_assert_str_eq(args.words[2], "b2");
	ck_assert_str_eq(args.flags[FLAG_SERVER], "localhost:1");
	ck_assert_str_eq(args.flags[FLAG_WAIT], "");
	ck_assert_ptr_nonnull(args.flags[FLAG_JSON]);
	ck_assert_ptr_null(args.flags[FLAG_CONFIG]);
}
END_TEST

START_TEST(values_are_written_in_four_ways)
{
	ck_assert(parse("-sx:1"));
	ck_assert_str_eq(args.flags[FLAG_SERVER], "x:1");
	ck_assert(parse("-s x:1"));
	ck_assert_str_eq(args.flags[FLAG_SERVER], "x:1");
	ck_assert(parse("--server=x:1"));
	ck_assert_str_eq(args.flags[FLAG_SERVER], "x:1");
	ck_assert(parse("--server x:1"));
	ck_assert_str_eq(args.flags[FLAG_SERVER], "x:1");
	ck_assert(parse("--server="));
	ck_assert_str_eq(args.flags[FLAG_SERVER], "");
}
END_TEST

START_TEST(a_value_that_may_be_missing_looks_like_one)
{
	ck_assert(parse("drain --wait chat b2"));
	ck_assert_str_eq(args.flags[FLAG_WAIT], "");
	ck_assert_uint_eq(args.n_words, 3);
	ck_assert(parse("drain chat b2 --wait 30s"));
	ck_assert_str_eq(args.flags[FLAG_WAIT], "30s");
	ck_assert_uint_eq(args.n_words, 3);
	ck_assert(parse("drain -w 500ms chat b2"));
	ck_assert_str_eq(args.flags[FLAG_WAIT], "500ms");
	ck_assert(parse("drain --wait --json chat b2"));
	ck_assert_str_eq(args.flags[FLAG_WAIT], "");
	ck_assert(parse("drain --wait=soon chat b2"));
	ck_assert_str_eq(args.flags[FLAG_WAIT], "soon");
}
END_TEST

START_TEST(short_flags_may_be_bundled_and_words_may_begin_with_dashes)
{
	ck_assert(parse("-jw chat"));
	ck_assert_ptr_nonnull(args.flags[FLAG_JSON]);
	ck_assert_ptr_nonnull(args.flags[FLAG_WAIT]);
	ck_assert(parse("-jsx:1"));
	ck_assert_str_eq(args.flags[FLAG_SERVER], "x:1");
	ck_assert(parse("kick -- --json -"));
	ck_assert_ptr_null(args.flags[FLAG_JSON]);
	ck_assert_uint_eq(args.n_words, 3);
	ck_assert_str_eq(args.words[1], "--json");
}
END_TEST

START_TEST(what_is_no_flag_is_said)
{
	static const struct {
		const char *line, *error;
	} wrong[] = {
	    {"--wat", "there is no flag --wat"},
	    {"-x", "there is no flag -x"},
	    {"--json=1", "--json takes no value"},
	    {"--server", "--server needs a value: ADDR"},
	    {"-s", "--server needs a value: ADDR"},
	    {"a b c d e f g h i", "too many words: i"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		ck_assert(!parse(wrong[i].line));
		ck_assert_str_eq(strbuf_cstr(&error), wrong[i].error);
	}
}
END_TEST

START_TEST(durations)
{
	uint64_t ms;

	ck_assert(duration_parse("300ms", &ms) && ms == 300);
	ck_assert(duration_parse("5s", &ms) && ms == 5000);
	ck_assert(duration_parse("2m", &ms) && ms == 120000);
	ck_assert(duration_parse("1h", &ms) && ms == 3600000);
	ck_assert(duration_parse("0", &ms) && ms == 0);
	ck_assert(!duration_parse("", &ms));
	ck_assert(!duration_parse("5", &ms));
	ck_assert(!duration_parse("-5s", &ms));
	ck_assert(!duration_parse("s", &ms));
	ck_assert(!duration_parse("5sec", &ms));
	ck_assert(!duration_parse("99999999999999999999s", &ms));
}
END_TEST

/* ---- commands ---- */

START_TEST(arguments_of_commands_are_counted)
{
	const struct command *c = command_find("backends");
	char name[32];
	bool optional;

	ck_assert_ptr_nonnull(c);
	ck_assert(command_argument(c, 0, name, sizeof(name), &optional));
	ck_assert(optional);
	ck_assert_str_eq(name, "UPSTREAM");
	ck_assert(!command_argument(c, 1, name, sizeof(name), &optional));
	c = command_find("weight");
	ck_assert(command_argument(c, 2, name, sizeof(name), &optional));
	ck_assert(!optional);
	ck_assert_str_eq(name, "N");
	ck_assert(!command_argument(c, 3, name, sizeof(name), &optional));
	ck_assert_ptr_null(command_find("weigh"));
}
END_TEST

START_TEST(every_endpoint_is_reached_by_a_command)
{
	for (size_t i = 0; i < n_endpoints; i++) {
		char asked[128];
		bool found = false;

		snprintf(asked, sizeof(asked), "%s %s,", endpoints[i].method,
		    endpoints[i].path);
		for (size_t j = 0; j < n_commands; j++) {
			char all[512];

			snprintf(all, sizeof(all), "%s,", commands[j].endpoints);
			found |= strstr(all, asked) != NULL;
		}
		ck_assert_msg(found, "no command asks %s", asked);
	}
}
END_TEST

/* ---- text ---- */

START_TEST(widths_are_columns)
{
	ck_assert_uint_eq(text_width(""), 0);
	ck_assert_uint_eq(text_width("chat"), 4);
	ck_assert_uint_eq(text_width("caf\u00e9"), 4);
	ck_assert_uint_eq(text_width("\u65e5\u672c"), 4);
	ck_assert_uint_eq(text_width("e\u0301"), 1);
}
END_TEST

START_TEST(nothing_that_drives_a_terminal_gets_through)
{
	static const struct {
		const char *text, *clean;
	} texts[] = {
	    {"b\033[31m2", "b?[31m2"},
	    {"a\tb\rc", "a?b?c"},
	    {"a\nb", "a\nb"},
	    {"\xc2\x9b"
	     "31m",
		"?31m"},
	    {"caf\u00e9 \u65e5", "caf\u00e9 \u65e5"},
	    {"caf\xe9", "caf?"},
	    {"\xc3", "?"},
	    {"\x7f", "?"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char *clean = text_clean(texts[i].text);

		ck_assert_str_eq(clean, texts[i].clean);
		free(clean);
	}
}
END_TEST

START_TEST(numbers_for_people)
{
	char text[NUMBER_TEXT];

	ck_assert_str_eq(text_duration(0, text), "0ms");
	ck_assert_str_eq(text_duration(999, text), "999ms");
	ck_assert_str_eq(text_duration(1250, text), "1.2s");
	ck_assert_str_eq(text_duration(192000, text), "3m 12s");
	ck_assert_str_eq(text_duration(7500000, text), "2h 5m");
	ck_assert_str_eq(text_duration(90000000, text), "1d 1h");
	ck_assert_str_eq(text_size(0, text), "0");
	ck_assert_str_eq(text_size(999, text), "999");
	ck_assert_str_eq(text_size(1000, text), "1.0k");
	ck_assert_str_eq(text_size(999949, text), "999.9k");
	ck_assert_str_eq(text_size(999950, text), "1.0M");
	ck_assert_str_eq(text_size(UINT64_MAX, text), "18.4E");
}
END_TEST

START_TEST(a_bar_is_as_full_as_the_part)
{
	out.utf8 = false;
	out_bar(&out, PLAIN, 0, 10, 5);
	ck_assert_str_eq(drawn(), "-----");
	strbuf_reset(&out.text);
	out_bar(&out, PLAIN, 5, 10, 4);
	ck_assert_str_eq(drawn(), "##--");
	strbuf_reset(&out.text);
	out_bar(&out, PLAIN, 11, 10, 4);
	ck_assert_str_eq(drawn(), "####");
	strbuf_reset(&out.text);
	out_bar(&out, PLAIN, 0, 0, 2);
	ck_assert_str_eq(drawn(), "--");
	strbuf_reset(&out.text);
	out.colours = true;
	out_bar(&out, GOOD, 1, 2, 2);
	ck_assert_str_eq(drawn(), "\033[32m#\033[0m-");
}
END_TEST

/* ---- tables ---- */

static const char *const titles[] = {"NAME", ">N", "WHY", NULL};

START_TEST(columns_are_as_wide_as_what_is_in_them)
{
	struct table t;

	table_init(&t, titles);
	table_text(&t, PLAIN, "a");
	table_printf(&t, PLAIN, "%d", 5);
	table_text(&t, PLAIN, NULL);
	table_text(&t, PLAIN, "\u65e5\u672c\u8a9e");
	table_printf(&t, PLAIN, "%d", 12345);
	table_text(&t, PLAIN, "x\033y");
	table_end(&t, &out);
	ck_assert_str_eq(drawn(), "NAME        N  WHY\n"
				  "a           5  -\n"
				  "\u65e5\u672c\u8a9e  12345  x?y\n");
}
END_TEST

START_TEST(colours_take_no_room)
{
	struct table t;

	out.colours = true;
	table_init(&t, titles);
	table_text(&t, GOOD, "a");
	table_text(&t, PLAIN, "1");
	table_text(&t, BAD, "b");
	table_end(&t, &out);
	ck_assert_str_eq(drawn(),
	    "\033[1mNAME\033[0m  \033[1mN\033[0m  \033[1mWHY\033[0m\n"
	    "\033[32ma\033[0m     1  \033[31mb\033[0m\n");
}
END_TEST

START_TEST(a_table_without_rows_has_its_titles)
{
	struct table t;

	table_init(&t, titles);
	table_end(&t, &out);
	ck_assert_str_eq(drawn(), "NAME  N  WHY\n");
}
END_TEST

/* ---- the picture ---- */

static struct picture
picture_of(uint64_t at_ms, int requests, int left)
{
	return (struct picture){
	    .at_ms = at_ms,
	    .status = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:{s:i, s:i}}",
		"version", "9.9", "state", "running", "pid", 7, "uptime_ms", 61000,
		"workers", 2, "pins", 5, "counters", "exchanges", requests,
		"rehomes_done", 10 - left),
	    .upstreams = json_pack("{s:[{s:s, s:i, s:i, s:[{s:s, s:s, s:i, s:i, s:i}, "
				   "{s:s, s:s, s:i, s:i, s:i}]}]}",
		"upstreams", "name", "chat", "sessions", left + 4, "exchanges", 1,
		"backends", "name", "b1", "use", "usable", "weight", 1, "sessions", 4,
		"exchanges", 1, "name", "b2", "use", "draining", "weight", 1,
		"sessions", left, "exchanges", 0),
	    .rehomes = left ? json_pack("{s:[{s:s, s:s, s:s, s:n, s:i}]}", "rehomes",
				  "upstream", "chat", "backend", "b2", "why", "leaving",
				  "moved", "left", left)
			    : json_pack("{s:[]}", "rehomes"),
	};
}

START_TEST(a_picture_tells_what_is_there)
{
	struct picture p = picture_of(1000, 100, 0);

	picture_draw(&p, NULL, NULL, &out);
	ck_assert_str_eq(drawn(),
	    "roost 9.9 running, pid 7, up 1m 1s, 2 workers\n"
	    "4 sessions, 1 exchanges, 5 pins\n"
	    "\n"
	    "UPSTREAM  BACKEND  USE       WEIGHT  SESSIONS                    "
	    "EXCHANGES\n"
	    "chat      b1       usable         1         4  "
	    "\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588"
	    "\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588          1\n"
	    "chat      b2       draining       1         0  "
	    "\u2591\u2591\u2591\u2591\u2591\u2591\u2591\u2591"
	    "\u2591\u2591\u2591\u2591\u2591\u2591\u2591\u2591          0\n");
	picture_fini(&p);
}
END_TEST

START_TEST(a_picture_tells_who_is_ill_and_why)
{
	struct picture p = picture_of(1000, 100, 0);
	json_t *up = json_array_get(json_object_get(p.upstreams, "upstreams"), 0),
	       *all = json_object_get(up, "backends");

	for (int i = 0; i < 10; i++)
		json_array_append_new(all,
		    json_pack("{s:s, s:s, s:s}", "name", "b3", "use", "failing", "why",
			"connections to it failed (No route to host)"));
	picture_draw(&p, NULL, NULL, &out);
	ck_assert_ptr_nonnull(strstr(drawn(),
	    "\nout of service\n"
	    "  chat/b3 is failing: connections to it failed (No route to host)\n"));
	ck_assert_ptr_nonnull(strstr(drawn(), ")\n  and 2 more\n"));
	picture_fini(&p);
}
END_TEST

START_TEST(two_pictures_tell_what_happens)
{
	struct picture before = picture_of(1000, 100, 8),
		       now = picture_of(3000, 150, 2);
	struct departures departures = {NULL};

	picture_draw(&before, NULL, &departures, &out);
	ck_assert_ptr_nonnull(strstr(drawn(), "  0 %, 8 left\n"));
	strbuf_reset(&out.text);
	picture_draw(&now, &before, &departures, &out);
	ck_assert_ptr_nonnull(
	    strstr(drawn(), "per second: 25.0 requests, 0.0 failed\n"));
	ck_assert_ptr_nonnull(strstr(drawn(), " 75 %, 2 left, about 666ms\n"));
	picture_fini(&before);
	before = picture_of(4000, 150, 0);
	strbuf_reset(&out.text);
	picture_draw(&before, &now, &departures, &out);
	ck_assert_ptr_null(strstr(drawn(), "re-homing"));
	ck_assert_uint_eq(json_object_size(departures.most), 0);
	picture_fini(&before);
	picture_fini(&now);
	json_decref(departures.most);
}
END_TEST

Suite *
suite_ctl(void)
{
	Suite *suite = suite_create("ctl");
	TCase *tc = tcase_create("ctl");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, flags_stand_anywhere);
	tcase_add_test(tc, values_are_written_in_four_ways);
	tcase_add_test(tc, a_value_that_may_be_missing_looks_like_one);
	tcase_add_test(tc, short_flags_may_be_bundled_and_words_may_begin_with_dashes);
	tcase_add_test(tc, what_is_no_flag_is_said);
	tcase_add_test(tc, durations);
	tcase_add_test(tc, arguments_of_commands_are_counted);
	tcase_add_test(tc, every_endpoint_is_reached_by_a_command);
	tcase_add_test(tc, widths_are_columns);
	tcase_add_test(tc, nothing_that_drives_a_terminal_gets_through);
	tcase_add_test(tc, numbers_for_people);
	tcase_add_test(tc, a_bar_is_as_full_as_the_part);
	tcase_add_test(tc, columns_are_as_wide_as_what_is_in_them);
	tcase_add_test(tc, colours_take_no_room);
	tcase_add_test(tc, a_table_without_rows_has_its_titles);
	tcase_add_test(tc, a_picture_tells_what_is_there);
	tcase_add_test(tc, a_picture_tells_who_is_ill_and_why);
	tcase_add_test(tc, two_pictures_tell_what_happens);
	suite_add_tcase(suite, tc);
	return suite;
}
