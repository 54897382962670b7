/* SPDX-License-Identifier: MIT
 *
 * check_heartbeat.c - when a silent side is pinged, and when it is dead.
 */
#include "ws/heartbeat.h"
#include <check.h>
#include <string.h>

Suite *suite_heartbeat(void);

static const struct heartbeat_times times = {.interval_ms = 20000, .timeout_ms = 10000};

static struct heartbeat_side side;
static uint64_t wait_ms;

static enum heartbeat_act
at(uint64_t now)
{
	enum heartbeat_act act = heartbeat_next(&side, &times, now, &wait_ms);

	ck_assert(wait_ms > 0 || act == HEARTBEAT_DEAD);
	return act;
}

static void
fresh(void)
{
	side = (struct heartbeat_side){.alive_ms = 1000};
}

START_TEST(a_side_is_pinged_when_it_was_silent_for_the_interval)
{
	ck_assert_int_eq(at(1000), HEARTBEAT_WAIT);
	ck_assert_uint_eq(wait_ms, 20000);
	ck_assert_int_eq(at(20999), HEARTBEAT_WAIT);
	ck_assert_uint_eq(wait_ms, 1);
	ck_assert_int_eq(at(21000), HEARTBEAT_PING);
	ck_assert_uint_eq(wait_ms, 10000);
}
END_TEST

START_TEST(any_byte_moves_the_ping)
{
	side.alive_ms = 15000;
	ck_assert_int_eq(at(21000), HEARTBEAT_WAIT);
	ck_assert_uint_eq(wait_ms, 14000);
	ck_assert_int_eq(at(35000), HEARTBEAT_PING);
}
END_TEST

START_TEST(no_byte_within_the_timeout_is_death)
{
	side.asked_ms = 21000;
	ck_assert_int_eq(at(21000), HEARTBEAT_WAIT);
	ck_assert_uint_eq(wait_ms, 10000);
	ck_assert_int_eq(at(30999), HEARTBEAT_WAIT);
	ck_assert_uint_eq(wait_ms, 1);
	ck_assert_int_eq(at(31000), HEARTBEAT_DEAD);
	ck_assert_int_eq(at(99999), HEARTBEAT_DEAD);
}
END_TEST

START_TEST(any_byte_after_the_ping_is_an_answer)
{
	side.asked_ms = 21000;
	side.alive_ms = 30999;
	ck_assert_int_eq(at(31000), HEARTBEAT_WAIT);
	ck_assert_uint_eq(wait_ms, 19999);
	/* in the same millisecond as well: it was silent when it was asked */
	side.alive_ms = 21000;
	ck_assert_int_eq(at(31000), HEARTBEAT_WAIT);
	ck_assert_int_eq(at(41000), HEARTBEAT_PING);
}
END_TEST

START_TEST(an_old_ping_that_was_answered_does_not_count)
{
	side.asked_ms = 21000;
	side.alive_ms = 21005;
	ck_assert_int_eq(at(41005), HEARTBEAT_PING);
	side.asked_ms = 41005;
	ck_assert_int_eq(at(51004), HEARTBEAT_WAIT);
	ck_assert_int_eq(at(51005), HEARTBEAT_DEAD);
}
END_TEST

START_TEST(nothing_is_concluded_of_a_side_that_cannot_show_life)
{
	side.mute = true;
	ck_assert_int_eq(at(99999), HEARTBEAT_WAIT);
	ck_assert_uint_eq(wait_ms, 20000);
	side.asked_ms = 21000;
	ck_assert_int_eq(at(99999), HEARTBEAT_WAIT);
}
END_TEST

START_TEST(zero_turns_them_off)
{
	struct heartbeat_times off = {0, 10000}, patient = {20000, 0};

	ck_assert_int_eq(heartbeat_next(&side, &off, 999999, &wait_ms), HEARTBEAT_WAIT);
	ck_assert_uint_eq(wait_ms, UINT64_MAX);
	ck_assert_int_eq(heartbeat_next(&side, &patient, 21000, &wait_ms),
	    HEARTBEAT_PING);
	side.asked_ms = 21000;
	ck_assert_int_eq(heartbeat_next(&side, &patient, 999999, &wait_ms),
	    HEARTBEAT_WAIT);
	ck_assert_uint_eq(wait_ms, 20000);
}
END_TEST

START_TEST(a_timeout_longer_than_the_interval_delays_no_ping)
{
	struct heartbeat_times slow = {.interval_ms = 1000, .timeout_ms = 5000};

	ck_assert_int_eq(heartbeat_next(&side, &slow, 2000, &wait_ms), HEARTBEAT_PING);
	ck_assert_uint_eq(wait_ms, 1000);
	side.asked_ms = 2000;
	ck_assert_int_eq(heartbeat_next(&side, &slow, 3000, &wait_ms), HEARTBEAT_WAIT);
	ck_assert_uint_eq(wait_ms, 1000);
	ck_assert_int_eq(heartbeat_next(&side, &slow, 6500, &wait_ms), HEARTBEAT_WAIT);
	ck_assert_uint_eq(wait_ms, 500);
	ck_assert_int_eq(heartbeat_next(&side, &slow, 7000, &wait_ms), HEARTBEAT_DEAD);
}
END_TEST

START_TEST(what_timers_did_in_time_is_never_overdue)
{
	for (uint64_t now = 1000; now < 60000; now += 7) {
		enum heartbeat_act act = at(now);

		if (act == HEARTBEAT_PING)
			side.asked_ms = now;
		if (act == HEARTBEAT_DEAD)
			return;
		ck_assert(!heartbeat_is_overdue(&side, &times, 100, now));
	}
	ck_abort_msg("it never died");
}
END_TEST

START_TEST(what_timers_missed_is_overdue)
{
	ck_assert(!heartbeat_is_overdue(&side, &times, 1000, 21999));
	ck_assert(heartbeat_is_overdue(&side, &times, 1000, 22000));
	side.asked_ms = 21000;
	ck_assert(!heartbeat_is_overdue(&side, &times, 1000, 31999));
	ck_assert(heartbeat_is_overdue(&side, &times, 1000, 32000));
	side.mute = true;
	ck_assert(!heartbeat_is_overdue(&side, &times, 1000, 99999));
}
END_TEST

START_TEST(jitter_is_ten_per_cent_both_ways)
{
	ck_assert_uint_eq(heartbeat_jitter(20000, 0), 18000);
	ck_assert_uint_eq(heartbeat_jitter(20000, 255), 22000);
	for (unsigned j = 1; j < 256; j++)
		ck_assert_uint_ge(heartbeat_jitter(20000, (uint8_t)j),
		    heartbeat_jitter(20000, (uint8_t)(j - 1)));
	ck_assert_uint_eq(heartbeat_jitter(0, 77), 0);
	ck_assert_uint_eq(heartbeat_jitter(3, 255), 3);
}
END_TEST

START_TEST(our_pings_are_known_again_and_others_are_not)
{
	uint8_t payload[HEARTBEAT_PAYLOAD];
	uint32_t number = 0;

	heartbeat_write(payload, 0xdeadbeef, 0x0a1b2c3d);
	ck_assert_mem_eq(payload, "roostdeadbeef0a1b2c3d", HEARTBEAT_PAYLOAD);
	ck_assert(heartbeat_read(payload, sizeof payload, 0xdeadbeef, &number));
	ck_assert_uint_eq(number, 0x0a1b2c3d);
	ck_assert(!heartbeat_read(payload, sizeof payload, 0xdeadbee0, &number));
	ck_assert(!heartbeat_read(payload, sizeof payload - 1, 0xdeadbeef, &number));
	ck_assert(!heartbeat_read(payload, 0, 0xdeadbeef, &number));
	for (size_t i = 0; i < sizeof payload; i++) {
		payload[i] ^= 0x80;
		ck_assert(
		    !heartbeat_read(payload, sizeof payload, 0xdeadbeef, &number));
		payload[i] ^= 0x80;
	}
	memcpy(payload + 13, "0A1B2C3D", 8);
	ck_assert(!heartbeat_read(payload, sizeof payload, 0xdeadbeef, &number));
}
END_TEST

Suite *
suite_heartbeat(void)
{
	Suite *s = suite_create("heartbeat");
	TCase *t = tcase_create("heartbeat");

	tcase_add_checked_fixture(t, fresh, NULL);
	tcase_add_test(t, a_side_is_pinged_when_it_was_silent_for_the_interval);
	tcase_add_test(t, any_byte_moves_the_ping);
	tcase_add_test(t, no_byte_within_the_timeout_is_death);
	tcase_add_test(t, any_byte_after_the_ping_is_an_answer);
	tcase_add_test(t, an_old_ping_that_was_answered_does_not_count);
	tcase_add_test(t, nothing_is_concluded_of_a_side_that_cannot_show_life);
	tcase_add_test(t, zero_turns_them_off);
	tcase_add_test(t, a_timeout_longer_than_the_interval_delays_no_ping);
	tcase_add_test(t, what_timers_did_in_time_is_never_overdue);
	tcase_add_test(t, what_timers_missed_is_overdue);
	tcase_add_test(t, jitter_is_ten_per_cent_both_ways);
	tcase_add_test(t, our_pings_are_known_again_and_others_are_not);
	suite_add_tcase(s, t);
	return s;
}
