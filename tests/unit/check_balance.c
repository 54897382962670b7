/* SPDX-License-Identifier: MIT
 *
 * check_balance.c - the policies' distributions and the arithmetic of fair shares.
 */
#include "balance/balance.h"
#include "base/random.h"

#include <check.h>
#include <stdlib.h>

Suite *suite_balance(void);

enum { MANY = 8 };

static struct random dice;

static void
setup(void)
{
	random_seed(&dice, 42);
}

/* Gives `total` sessions out one by one; loads_r[i] is what candidate i got. */
static void
hand_out(enum balance_policy policy, const unsigned *weights, size_t n, unsigned total,
    unsigned *loads_r)
{
	struct candidate candidates[MANY];
	int32_t turns[MANY] = {0};

	for (size_t i = 0; i < n; i++) {
		candidates[i] = (struct candidate){weights[i], 0, &turns[i]};
		loads_r[i] = 0;
	}
	while (total--) {
		size_t at = balance_pick(policy, candidates, n, &dice);

		ck_assert_uint_lt(at, n);
		candidates[at].load++;
		loads_r[at]++;
	}
}

START_TEST(least_sessions_fills_by_weight)
{
	const unsigned weights[] = {3, 1, 2};
	unsigned loads[3];

	hand_out(BALANCE_LEAST_SESSIONS, weights, 3, 600, loads);
	ck_assert_uint_eq(loads[0], 300);
	ck_assert_uint_eq(loads[1], 100);
	ck_assert_uint_eq(loads[2], 200);
}
END_TEST

START_TEST(least_sessions_takes_the_smallest_share)
{
	struct candidate c[] = {{3, 30, NULL}, {1, 9, NULL}, {2, 20, NULL}};

	for (int i = 0; i < 50; i++)
		ck_assert_uint_eq(balance_pick(BALANCE_LEAST_SESSIONS, c, 3, &dice), 1);
}
END_TEST

START_TEST(ties_are_drawn_by_weight)
{
	struct candidate c[] = {{3, 0, NULL}, {1, 0, NULL}, {5, 50, NULL}};
	unsigned got[3] = {0};

	for (int i = 0; i < 10000; i++)
		got[balance_pick(BALANCE_LEAST_SESSIONS, c, 3, &dice)]++;
	ck_assert_uint_eq(got[2], 0);
	ck_assert_uint_gt(got[0], 7300);
	ck_assert_uint_lt(got[0], 7700);
}
END_TEST

START_TEST(round_robin_is_smooth)
{
	const char *expected = "AABACAA";
	int32_t turns[3] = {0};
	struct candidate c[] = {{5, 9, &turns[0]}, {1, 0, &turns[1]},
	    {1, 0, &turns[2]}};

	for (int i = 0; i < 70; i++)
		ck_assert_int_eq('A' + (int)balance_pick(BALANCE_ROUND_ROBIN, c, 3,
					   &dice),
		    expected[i % 7]);
}
END_TEST

START_TEST(round_robin_stays_fair_when_candidates_come_and_go)
{
	int32_t turns[3] = {0};
	unsigned got[3] = {0};

	for (int i = 0; i < 3000; i++) {
		struct candidate c[] = {{2, 0, &turns[0]}, {1, 0, &turns[1]},
		    {1, 0, &turns[2]}};
		size_t n = i % 2 ? 3 : 2;

		got[balance_pick(BALANCE_ROUND_ROBIN, c, n, &dice)]++;
	}
	/* half of the calls have all three, half the first two: the shares lie between
	 * those of either, and no debt piles up */
	ck_assert_uint_ge(got[0], 1500);
	ck_assert_uint_le(got[0], 2000);
	ck_assert_uint_ge(got[1], 750);
	ck_assert_uint_le(got[1], 1000);
	ck_assert_uint_eq(got[2], 375);
	for (int i = 0; i < 3; i++)
		ck_assert_int_le(abs(turns[i]), 8);
}
END_TEST

START_TEST(weight_zero_takes_nothing_while_others_can)
{
	const unsigned some[] = {0, 1, 0}, none[] = {0, 0, 0};
	unsigned loads[3];

	for (int policy = BALANCE_LEAST_SESSIONS; policy <= BALANCE_ROUND_ROBIN;
	     policy++) {
		hand_out(policy, some, 3, 30, loads);
		ck_assert_uint_eq(loads[1], 30);
		hand_out(policy, none, 3, 30, loads);
		for (int i = 0; i < 3; i++)
			ck_assert_uint_eq(loads[i], 10);
	}
}
END_TEST

START_TEST(a_single_candidate_is_always_taken)
{
	struct candidate c = {0, 7, NULL};

	ck_assert_uint_eq(balance_pick(BALANCE_LEAST_SESSIONS, &c, 1, &dice), 0);
}
END_TEST

START_TEST(over_means_beyond_the_share_by_more_than_the_slack)
{
	/* fair share 100 of 400, weights 1 of 4 */
	ck_assert(!balance_is_over(100, 1, 400, 4, 25));
	ck_assert(!balance_is_over(125, 1, 400, 4, 25));
	ck_assert(balance_is_over(126, 1, 400, 4, 25));
	ck_assert(!balance_is_over(300, 3, 400, 4, 0));
	ck_assert(balance_is_over(302, 3, 400, 4, 0));
}
END_TEST

START_TEST(small_loads_are_never_over)
{
	ck_assert(!balance_is_over(1, 1, 1, 100, 0));
	ck_assert(!balance_is_over(2, 1, 2, 2, 0));
	ck_assert(balance_is_over(3, 1, 3, 2, 0));
	ck_assert(!balance_is_over(1, 0, 10, 10, 20));
	ck_assert(balance_is_over(2, 0, 10, 10, 20));
	ck_assert(!balance_is_over(0, 0, 0, 0, 20));
}
END_TEST

START_TEST(surplus_is_what_lies_above_share_and_threshold)
{
	ck_assert_uint_eq(balance_surplus(100, 1, 100, 2, 20), 40);
	ck_assert_uint_eq(balance_surplus(60, 1, 100, 2, 20), 0);
	ck_assert_uint_eq(balance_surplus(61, 1, 100, 2, 20), 1);
	ck_assert_uint_eq(balance_surplus(3, 1, 3, 2, 20), 1);
	ck_assert_uint_eq(balance_surplus(50, 0, 100, 2, 20), 50);
	ck_assert_uint_eq(balance_surplus(1000000, 1, 1000000, 2, 20), 400000);
}
END_TEST

Suite *
suite_balance(void)
{
	Suite *s = suite_create("balance");
	TCase *t = tcase_create("balance");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, least_sessions_fills_by_weight);
	tcase_add_test(t, least_sessions_takes_the_smallest_share);
	tcase_add_test(t, ties_are_drawn_by_weight);
	tcase_add_test(t, round_robin_is_smooth);
	tcase_add_test(t, round_robin_stays_fair_when_candidates_come_and_go);
	tcase_add_test(t, weight_zero_takes_nothing_while_others_can);
	tcase_add_test(t, a_single_candidate_is_always_taken);
	tcase_add_test(t, over_means_beyond_the_share_by_more_than_the_slack);
	tcase_add_test(t, small_loads_are_never_over);
	tcase_add_test(t, surplus_is_what_lies_above_share_and_threshold);
	suite_add_tcase(s, t);
	return s;
}
