/* SPDX-License-Identifier: MIT
 *
 * check_app_heartbeat.c - which messages are heartbeats of an application, and what is
 * answered.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "ws/app_heartbeat.h"
#include <check.h>

Suite *suite_app_heartbeat(void);

static char type[] = "type", op[] = "op", ping[] = "ping", beat[] = "heartbeat",
	    pong[] = "{\"type\":\"pong\"}",
	    ack[] = "{\"op\": \"ack\", \"at\": \"{time_ms}\", \"again\":\"{time_ms}\"}";

static const struct config_app_heartbeat both[] = {
    {.field = type, .value = ping, .answer = pong},
    {.field = op, .value = beat, .answer = ack},
};

static const struct config_app_heartbeat *
match(const char *message)
{
	return app_heartbeat_match(both, 2, str_of(message));
}

START_TEST(a_member_with_the_value_is_one)
{
	ck_assert_ptr_eq(match("{\"type\":\"ping\"}"), &both[0]);
	ck_assert_ptr_eq(match(" {\"n\": 1, \"type\" : \"ping\", \"x\":[{}]}\n"),
	    &both[0]);
	ck_assert_ptr_eq(match("{\"op\":\"heartbeat\"}"), &both[1]);
	ck_assert_ptr_eq(match("{\"type\":\"p\\u0069ng\"}"), &both[0]);
	ck_assert_ptr_eq(match("{\"t\\u0079pe\":\"ping\"}"), &both[0]);
}
END_TEST

START_TEST(everything_else_is_none)
{
	static const char *const others[] = {"", "ping", "\"ping\"",
	    "[\"type\",\"ping\"]", "{\"type\":\"pong\"}", "{\"type\":[\"ping\"]}",
	    "{\"Type\":\"ping\"}", "{\"type\":\"ping \"}",
	    "{\"a\":{\"type\":\"ping\"}}", "{\"op\":\"ping\"}", "{\"type\":\"ping\"",
	    "{\"type\":\"ping\"} x", "{\"type\":\"ping\\u0000\"}",
	    "{\"text\":\"type ping\"}", "{\"type\":ping}"};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		ck_assert_msg(!match(others[i]), "%s", others[i]);
}
END_TEST

START_TEST(deep_nesting_is_survived)
{
	char deep[APP_HEARTBEAT_MAX];

	memset(deep, '[', sizeof deep);
	memcpy(deep + sizeof deep - 4, "ping", 4);
	ck_assert_ptr_null(
	    app_heartbeat_match(both, 2, (struct str){deep, sizeof deep}));
}
END_TEST

static const char *
answer(const struct config_app_heartbeat *heartbeat)
{
	static char text[200];
	struct strbuf out = strbuf_over(text, sizeof text);

	app_heartbeat_answer(heartbeat, 1700000000123, &out);
	return strbuf_cstr(&out);
}

START_TEST(the_answer_tells_the_time_where_it_is_asked)
{
	static char name[] = "{\"{time_ms}\" : 1, \"t\":\"{time_ms}\"}",
		    within[] = "{\"t\":\"at {time_ms}\", \"u\":\"\\\"{time_ms}\\\"\"}";
	struct config_app_heartbeat odd = {.answer = name};

	ck_assert_str_eq(answer(&both[0]), pong);
	ck_assert_str_eq(answer(&both[1]),
	    "{\"op\": \"ack\", \"at\": 1700000000123, \"again\":1700000000123}");
	ck_assert_str_eq(answer(&odd), "{\"{time_ms}\" : 1, \"t\":1700000000123}");
	odd.answer = within;
	ck_assert_str_eq(answer(&odd), within);
}
END_TEST

static enum app_look
look(const char *bytes, size_t n)
{
	return app_heartbeat_look((const uint8_t *)bytes, n);
}

START_TEST(only_whole_small_text_frames_are_looked_at)
{
	static const char frame[] = "\x81\x83"
				    "key!"
				    "abc";
	char big[4 + 4 + 1025] = {(char)0x81, (char)0xfe, 4, 1};

	for (size_t n = 1; n < 9; n++)
		ck_assert_int_eq(look(frame, n), APP_PART);
	ck_assert_int_eq(look(frame, 9), APP_WHOLE);
	ck_assert_int_eq(look("\x82\x83", 2), APP_OTHER);   /* binary */
	ck_assert_int_eq(look("\x01\x83", 2), APP_OTHER);   /* goes on */
	ck_assert_int_eq(look("\xc1\x83", 2), APP_OTHER);   /* compressed */
	ck_assert_int_eq(look("\x89\x83", 2), APP_OTHER);   /* ping */
	ck_assert_int_eq(look("\x81\x03", 2), APP_OTHER);   /* not masked */
	ck_assert_int_eq(look("\x81\xff", 2), APP_OTHER);   /* long */
	ck_assert_int_eq(look(big, sizeof big), APP_OTHER); /* 1025 bytes */
	big[3] = 0;
	ck_assert_int_eq(look(big, 3), APP_PART);
	ck_assert_int_eq(look(big, 8 + 1023), APP_PART);
	ck_assert_int_eq(look(big, 8 + 1024), APP_WHOLE);
	ck_assert_int_eq(look("\x81\xfe\x00\x05", 4), APP_OTHER); /* not minimal */
}
END_TEST

START_TEST(the_mask_is_taken_off)
{
	static const uint8_t frame[] = {0x81, 0x85, 1, 2, 3, 4, 'h' ^ 1, 'e' ^ 2,
	    'l' ^ 3, 'l' ^ 4, 'o' ^ 1};
	char out[APP_HEARTBEAT_MAX];
	struct str text = app_heartbeat_unmask(frame, sizeof frame, out);

	ck_assert(str_eq(text, STR("hello")));
}
END_TEST

Suite *
suite_app_heartbeat(void)
{
	Suite *s = suite_create("app_heartbeat");
	TCase *t = tcase_create("app_heartbeat");

	tcase_add_test(t, a_member_with_the_value_is_one);
	tcase_add_test(t, everything_else_is_none);
	tcase_add_test(t, deep_nesting_is_survived);
	tcase_add_test(t, the_answer_tells_the_time_where_it_is_asked);
	tcase_add_test(t, only_whole_small_text_frames_are_looked_at);
	tcase_add_test(t, the_mask_is_taken_off);
	suite_add_tcase(s, t);
	return s;
}
