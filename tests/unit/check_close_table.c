/* SPDX-License-Identifier: MIT
 *
 * check_close_table.c - what an end of a session counts as.
 */
#include "ws/close_table.h"
#include <check.h>
#include <string.h>

Suite *suite_close_table(void);

START_TEST(the_code_of_who_closed_it_decides)
{
	static const struct {
		unsigned code;
		enum cause cause;
	} rows[] = {
	    {1000, CAUSE_CLEAN},
	    {1005, CAUSE_CLEAN},
	    {1001, CAUSE_GOING_AWAY},
	    {1002, CAUSE_PROTOCOL},
	    {1003, CAUSE_BAD_DATA},
	    {1007, CAUSE_BAD_DATA},
	    {1008, CAUSE_POLICY},
	    {1009, CAUSE_TOO_BIG},
	    {1010, CAUSE_ERROR},
	    {1011, CAUSE_ERROR},
	    {1012, CAUSE_RESTART},
	    {1013, CAUSE_RESTART},
	    {1014, CAUSE_RESTART},
	    {3000, CAUSE_APPLICATION},
	    {4999, CAUSE_APPLICATION},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_int_eq(close_cause(REASON_CLOSED, rows[i].code),
		    rows[i].cause);
}
END_TEST

START_TEST(what_roost_or_an_accident_did_decides_before_the_code)
{
	ck_assert_int_eq(close_cause(REASON_CLIENT_LOST, 1006), CAUSE_CLIENT_LOST);
	ck_assert_int_eq(close_cause(REASON_SESSION_BACKEND_LOST, 1006),
	    CAUSE_BACKEND_LOST);
	ck_assert_int_eq(close_cause(REASON_HEARTBEAT_TIMEOUT, 1001),
	    CAUSE_HEARTBEAT_TIMEOUT);
	ck_assert_int_eq(close_cause(REASON_STALE, 1001), CAUSE_STALE);
	ck_assert_int_eq(close_cause(REASON_REHOMED, 1012), CAUSE_SERVER_SWITCH);
	ck_assert_int_eq(close_cause(REASON_SHUTDOWN, 1012), CAUSE_SHUTDOWN);
	ck_assert_int_eq(close_cause(REASON_SLOW_READER, 1013), CAUSE_SLOW_READER);
	ck_assert_int_eq(close_cause(REASON_FRAME_TOO_BIG, 1009), CAUSE_TOO_BIG);
	ck_assert_int_eq(close_cause(REASON_CLOSE_TIMEOUT, 1000), CAUSE_CLOSE_TIMEOUT);
}
END_TEST

START_TEST(every_cause_has_a_label_of_its_own)
{
	for (int a = 0; a < CAUSE_COUNT; a++) {
		ck_assert_uint_gt(strlen(cause_label((enum cause)a)), 0);
		for (int b = 0; b < a; b++)
			ck_assert_str_ne(cause_label((enum cause)a),
			    cause_label((enum cause)b));
	}
}
END_TEST

START_TEST(codes_have_slots)
{
	ck_assert_str_eq(code_slot_label(code_slot(1000)), "1000");
	ck_assert_str_eq(code_slot_label(code_slot(1006)), "1006");
	ck_assert_str_eq(code_slot_label(code_slot(1015)), "1015");
	ck_assert_str_eq(code_slot_label(code_slot(1016)), "other");
	ck_assert_str_eq(code_slot_label(code_slot(999)), "other");
	ck_assert_str_eq(code_slot_label(code_slot(3000)), "3xxx");
	ck_assert_str_eq(code_slot_label(code_slot(4999)), "4xxx");
	ck_assert_str_eq(code_slot_label(code_slot(5000)), "other");
	for (unsigned code = 0; code < 70000; code++)
		ck_assert_uint_lt(code_slot(code), CODE_SLOTS);
}
END_TEST

Suite *
suite_close_table(void)
{
	Suite *s = suite_create("close_table");
	TCase *t = tcase_create("close_table");

	tcase_add_test(t, the_code_of_who_closed_it_decides);
	tcase_add_test(t, what_roost_or_an_accident_did_decides_before_the_code);
	tcase_add_test(t, every_cause_has_a_label_of_its_own);
	tcase_add_test(t, codes_have_slots);
	suite_add_tcase(s, t);
	return s;
}
