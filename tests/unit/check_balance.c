/* SPDX-License-Identifier: MIT
 *
 * check_balance.c - the policies' distributions, the average of latency, and the
 * arithmetic of fair shares.
 */
#include "balance/balance.h"
#include "balance/latency.h"
#include "base/hash.h"
#include "base/random.h"

#include <check.h>
#include <math.h>
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
		candidates[i] = (struct candidate){.weight = weights[i],
		    .step = 1,
		    .turn = &turns[i]};
		loads_r[i] = 0;
	}
	while (total--) {
		for (size_t i = 0; i < n; i++)
			candidates[i].lot = random_u64(&dice);

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
	struct candidate c[] = {{.weight = 3, .load = 30}, {.weight = 1, .load = 9},
	    {.weight = 2, .load = 20}};

	for (int i = 0; i < 50; i++)
		ck_assert_uint_eq(balance_pick(BALANCE_LEAST_SESSIONS, c, 3, &dice), 1);
}
END_TEST

START_TEST(ties_are_drawn_by_weight)
{
	struct candidate c[] = {{.weight = 3}, {.weight = 1},
	    {.weight = 5, .load = 50}};
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
	struct candidate c[] = {{.weight = 5, .load = 9, .turn = &turns[0]},
	    {.weight = 1, .turn = &turns[1]}, {.weight = 1, .turn = &turns[2]}};

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
		struct candidate c[] = {{.weight = 2, .turn = &turns[0]},
		    {.weight = 1, .turn = &turns[1]}, {.weight = 1, .turn = &turns[2]}};
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

/* p2c */

START_TEST(p2c_takes_the_one_that_will_answer_sooner)
{
	struct candidate quick[] = {{.weight = 1, .step = 1, .latency_us = 900},
	    {.weight = 1, .step = 1, .latency_us = 1000}};
	struct candidate loaded[] =
	    {{.weight = 1, .step = 1, .load = 3, .latency_us = 300},
		{.weight = 1, .step = 1, .load = 0, .latency_us = 1000}};
	struct candidate heavy[] =
	    {{.weight = 1, .step = 1, .load = 1, .latency_us = 1000},
		{.weight = 3, .step = 1, .load = 4, .latency_us = 1000}};

	for (int i = 0; i < 100; i++) {
		ck_assert_uint_eq(balance_pick(BALANCE_P2C, quick, 2, &dice), 0);
		ck_assert_uint_eq(balance_pick(BALANCE_P2C, loaded, 2, &dice), 1);
		ck_assert_uint_eq(balance_pick(BALANCE_P2C, heavy, 2, &dice), 1);
	}
}
END_TEST

START_TEST(p2c_spreads_over_all_but_the_worst)
{
	struct candidate c[MANY];
	unsigned got[MANY] = {0};

	for (unsigned i = 0; i < MANY; i++)
		c[i] = (struct candidate){.weight = 1,
		    .step = 1,
		    .latency_us = 1000 + 10 * i};
	for (int i = 0; i < 28000; i++)
		got[balance_pick(BALANCE_P2C, c, MANY, &dice)]++;
	/* of the 28 pairs of 8, the k-th best wins 8 - k */
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_uint_ge(got[i] + 350, 1000 * (MANY - 1 - i));
		ck_assert_uint_le(got[i], 1000 * (MANY - 1 - i) + 350);
	}
	ck_assert_uint_eq(got[MANY - 1], 0);
}
END_TEST

START_TEST(p2c_fills_by_weight_where_all_are_alike)
{
	const unsigned weights[] = {3, 1, 2};
	struct candidate c[3];

	for (int i = 0; i < 3; i++)
		c[i] = (struct candidate){.weight = weights[i],
		    .step = 1,
		    .latency_us = 500};
	for (int i = 0; i < 600; i++)
		c[balance_pick(BALANCE_P2C, c, 3, &dice)].load++;
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_ge(c[i].load, 100 * weights[i] - 5);
		ck_assert_uint_le(c[i].load, 100 * weights[i] + 5);
	}
}
END_TEST

START_TEST(p2c_tries_the_unknown_once_and_waits_for_its_answer)
{
	struct candidate c[] = {{.weight = 1, .step = 1, .load = 2, .latency_us = 800},
	    {.weight = 1, .step = 1}};

	ck_assert_uint_eq(balance_pick(BALANCE_P2C, c, 2, &dice), 1);
	c[1].load = 1;
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(balance_pick(BALANCE_P2C, c, 2, &dice), 0);
	/* it does not answer, but here is worse */
	c[0].load = 5000;
	ck_assert_uint_eq(balance_pick(BALANCE_P2C, c, 2, &dice), 1);
}
END_TEST

START_TEST(p2c_serves_three_speeds_so_that_none_is_late)
{
	/* a closed loop of 12 requests at a time; a backend works on its own one after
	 * the other, which takes as many turns as its index and one */
	struct candidate c[3];
	unsigned left[3] = {0}, done[3] = {0}, started[3][64] = {{0}};

	for (int i = 0; i < 3; i++)
		c[i] = (struct candidate){.weight = 1, .step = 1};
	for (unsigned turn = 1; turn < 6000; turn++) {
		unsigned flying = 0;

		for (int i = 0; i < 3; i++)
			flying += (unsigned)c[i].load;
		for (; flying < 12; flying++) {
			size_t at = balance_pick(BALANCE_P2C, c, 3, &dice);

			started[at][c[at].load++] = turn;
		}
		for (unsigned i = 0; i < 3; i++) {
			if (c[i].load == 0 || ++left[i] <= i)
				continue;
			c[i].latency_us +=
			    (turn + 1 - started[i][0] - c[i].latency_us) / 8;
			memmove(started[i], started[i] + 1, sizeof(started[i]) - 4);
			left[i] = 0;
			c[i].load--;
			done[i]++;
		}
	}
	/* none is ever idle for long: each does nearly what it can */
	ck_assert_uint_ge(done[0], 5900);
	ck_assert_uint_ge(done[1], 2800);
	ck_assert_uint_ge(done[2], 1700);
}
END_TEST

/* Latency */

START_TEST(latency_follows_and_forgets)
{
	uint64_t word = latency_add(0, 1000, 5000);

	ck_assert_double_eq(latency_now(0, 5000), 0);
	ck_assert_double_eq(latency_now(word, 5000), 1000);
	/* a second of four times that: on its way */
	for (unsigned i = 1; i <= 100; i++)
		word = latency_add(word, 4000, 5000 + 10 * i);
	ck_assert_double_ge(latency_now(word, 6000), 2100);
	ck_assert_double_le(latency_now(word, 6000), 2300);
	for (unsigned i = 101; i <= 1500; i++)
		word = latency_add(word, 4000, 5000 + 10 * i);
	ck_assert_double_ge(latency_now(word, 20000), 3990);
	ck_assert_double_eq_tol(latency_now(word, 25000), 2000, 10);
	ck_assert_double_eq_tol(latency_now(word, 22500), 3000, 15);
	ck_assert_double_eq_tol(latency_now(word, 30000), 1000, 5);
	ck_assert_double_eq(latency_now(word, 20000 + 400000), 0);
}
END_TEST

START_TEST(one_slow_answer_among_many_changes_little)
{
	uint64_t word = 0;

	for (unsigned i = 0; i < 1000; i++)
		word = latency_add(word, 500, 1000 + i);
	word = latency_add(word, 100000, 2000);
	ck_assert_double_le(latency_now(word, 2000), 560);
	/* a burst within one tick of the clock is not nothing, nor everything */
	for (unsigned i = 0; i < 1000; i++)
		word = latency_add(word, 2000, 2001);
	ck_assert_double_ge(latency_now(word, 2001), 1000);
	ck_assert_double_le(latency_now(word, 2001), 1500);
}
END_TEST

START_TEST(latency_bears_clocks_that_disagree_and_extremes)
{
	uint64_t word = latency_add(0, 0, 1);

	ck_assert_uint_ne(word, 0);
	ck_assert_double_eq(latency_now(word, 1), 1);
	/* another thread's clock is a little behind */
	word = latency_add(0, 1000, 5000);
	ck_assert_double_eq(latency_now(word, 4990), 1000);
	word = latency_add(word, 1000, 4990);
	ck_assert_double_eq_tol(latency_now(word, 5000), 1000, 2);
	/* across the turn of 32 bits */
	word = latency_add(0, 1000, UINT32_MAX - 10);
	ck_assert_double_eq_tol(latency_now(word, UINT64_C(0x100000000) + 20), 1000, 5);
	word = latency_add(word, UINT64_MAX, UINT32_MAX);
	ck_assert(isfinite(latency_now(word, UINT32_MAX)));
}
END_TEST

/* Hash */

enum { KEYS = 20000 };

/* What client `key` draws for the backend `name`. */
static uint64_t
lot(uint64_t key, uint64_t name)
{
	return hash_stable(key, &name, sizeof(name));
}

/* Where each of KEYS clients goes; idle backends 0..n) of these weights, named by
 * their index. */
static void
hash_all(const unsigned *weights, size_t n, uint8_t *at_r, unsigned *got_r)
{
	struct candidate c[MANY];

	for (size_t i = 0; i < n; i++)
		got_r[i] = 0;
	for (uint64_t key = 0; key < KEYS; key++) {
		uint64_t stable = hash_stable(7, &key, sizeof(key));

		for (size_t i = 0; i < n; i++)
			c[i] = (struct candidate){.weight = weights[i],
			    .step = 1,
			    .lot = lot(stable, i)};
		at_r[key] = (uint8_t)balance_pick(BALANCE_HASH, c, n, &dice);
		got_r[at_r[key]]++;
	}
}

static unsigned
differences(const uint8_t *a, const uint8_t *b)
{
	unsigned n = 0;

	for (size_t i = 0; i < KEYS; i++)
		n += a[i] != b[i];
	return n;
}

START_TEST(hash_shares_by_weight)
{
	const unsigned weights[] = {100, 200, 300, 400};
	static uint8_t at[KEYS], again[KEYS];
	unsigned got[4];

	hash_all(weights, 4, at, got);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_ge(got[i], 2000 * (i + 1) - 250);
		ck_assert_uint_le(got[i], 2000 * (i + 1) + 250);
	}
	random_seed(&dice, 43);
	hash_all(weights, 4, again, got);
	ck_assert_uint_eq(differences(at, again), 0);
}
END_TEST

START_TEST(hash_moves_only_whom_a_change_concerns)
{
	const unsigned three[] = {100, 100, 100}, four[] = {100, 100, 100, 100},
		       lighter[] = {50, 100, 100};
	static uint8_t before[KEYS], after[KEYS];
	unsigned got[4], moved = 0;

	hash_all(three, 3, before, got);
	/* one more: it takes its share and nobody else moves */
	hash_all(four, 4, after, got);
	ck_assert_uint_eq(differences(before, after), got[3]);
	ck_assert_uint_ge(got[3], KEYS / 4 - 250);
	ck_assert_uint_le(got[3], KEYS / 4 + 250);
	/* half the weight: it loses what makes 1/3 to 1/5, and wins nobody */
	hash_all(lighter, 3, after, got);
	for (size_t i = 0; i < KEYS; i++) {
		moved += before[i] != after[i];
		ck_assert(before[i] == after[i] || before[i] == 0);
	}
	ck_assert_uint_ge(moved, KEYS * 2 / 15 - 250);
	ck_assert_uint_le(moved, KEYS * 2 / 15 + 250);
}
END_TEST

START_TEST(hash_is_the_same_in_every_release)
{
	/* if this fails, clients change their backends with an update of roost */
	static const uint8_t known[] = {2, 1, 2, 2, 2, 2, 1, 1};
	const unsigned weights[] = {100, 200, 300};
	static uint8_t at[KEYS];
	unsigned got[3];

	hash_all(weights, 3, at, got);
	for (size_t i = 0; i < sizeof(known); i++)
		ck_assert_uint_eq(at[i], known[i]);
}
END_TEST

START_TEST(hash_passes_over_the_crowded)
{
	struct candidate c[] = {{.weight = 1, .step = 1, .lot = UINT64_MAX},
	    {.weight = 1, .step = 1, .lot = UINT64_MAX / 2},
	    {.weight = 1, .step = 1, .lot = 1}};

	for (unsigned i = 0; i < 300; i++)
		c[balance_pick(BALANCE_HASH, c, 3, &dice)].load++;
	/* one client makes all the load: 1.25 x 100 stay, and the overflow has an order
	 */
	ck_assert_uint_ge(c[0].load, 124);
	ck_assert_uint_le(c[0].load, 126);
	ck_assert_uint_ge(c[1].load, 124);
	ck_assert_uint_le(c[1].load, 126);
	ck_assert_uint_ge(c[2].load, 48);
	c[0].load = 0;
	ck_assert_uint_eq(balance_pick(BALANCE_HASH, c, 3, &dice), 0);
}
END_TEST

START_TEST(hash_bears_a_few_at_once)
{
	struct candidate c[] = {{.weight = 1, .step = 5, .lot = UINT64_MAX},
	    {.weight = 1, .step = 5, .lot = 1}, {.weight = 1, .step = 5, .lot = 1}};

	for (unsigned i = 0; i < 10; i++, c[0].load += 5)
		ck_assert_uint_eq(balance_pick(BALANCE_HASH, c, 3, &dice), 0);
}
END_TEST

START_TEST(weight_zero_takes_nothing_while_others_can)
{
	const unsigned some[] = {0, 1, 0}, none[] = {0, 0, 0};
	unsigned loads[3];

	for (int policy = BALANCE_LEAST_SESSIONS; policy <= BALANCE_HASH; policy++) {
		unsigned slack = policy < BALANCE_P2C ? 0 : 15;

		hand_out(policy, some, 3, 90, loads);
		ck_assert_uint_eq(loads[1], 90);
		hand_out(policy, none, 3, 90, loads);
		for (int i = 0; i < 3; i++) {
			ck_assert_uint_ge(loads[i], 30 - slack);
			ck_assert_uint_le(loads[i], 30 + slack);
		}
	}
}
END_TEST

START_TEST(a_single_candidate_is_always_taken)
{
	struct candidate c = {.load = 7};

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
	tcase_add_test(t, p2c_takes_the_one_that_will_answer_sooner);
	tcase_add_test(t, p2c_spreads_over_all_but_the_worst);
	tcase_add_test(t, p2c_fills_by_weight_where_all_are_alike);
	tcase_add_test(t, p2c_tries_the_unknown_once_and_waits_for_its_answer);
	tcase_add_test(t, p2c_serves_three_speeds_so_that_none_is_late);
	tcase_add_test(t, latency_follows_and_forgets);
	tcase_add_test(t, one_slow_answer_among_many_changes_little);
	tcase_add_test(t, latency_bears_clocks_that_disagree_and_extremes);
	tcase_add_test(t, hash_shares_by_weight);
	tcase_add_test(t, hash_moves_only_whom_a_change_concerns);
	tcase_add_test(t, hash_is_the_same_in_every_release);
	tcase_add_test(t, hash_passes_over_the_crowded);
	tcase_add_test(t, hash_bears_a_few_at_once);
	tcase_add_test(t, weight_zero_takes_nothing_while_others_can);
	tcase_add_test(t, a_single_candidate_is_always_taken);
	tcase_add_test(t, over_means_beyond_the_share_by_more_than_the_slack);
	tcase_add_test(t, small_loads_are_never_over);
	tcase_add_test(t, surplus_is_what_lies_above_share_and_threshold);
	suite_add_tcase(s, t);
	return s;
}
