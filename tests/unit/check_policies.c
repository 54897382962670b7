/* SPDX-License-Identifier: MIT
 *
 * check_policies.c - the policies with real backends: whom the chooser takes for a
 * client that is bound to nothing, and how weights, costs, slow start and backups
 * change that.
 */
#include "base/clock.h"
#include "base/strbuf.h"
#include "route/choose.h"
#include "route/pins.h"
#include "steering.h"

#include <check.h>
#include <stdlib.h>

Suite *suite_policies(void);

enum { N = 3, FAR = 400000 /* ms: longer than any lock */ };

static struct backend *b[N];

/* keys: of the upstream; more: of each backend */
static void
configure(const char *keys, const char *more0, const char *more1, const char *more2)
{
	struct strbuf rows = STRBUF_INIT;

	strbuf_printf(&rows, "b0 %s | b1 %s | b2 %s", more0, more1, more2);
	rig_configure(keys, strbuf_cstr(&rows));
	strbuf_fini(&rows);
	for (int i = 0; i < N; i++)
		b[i] = rig.up->backends[i];
}

static const struct client_key nobody = {.found = false};

static int
index_of(const struct backend *one)
{
	for (int i = 0; i < N; i++) {
		if (b[i] == one)
			return i;
	}
	return -1;
}

/* Where n anonymous exchanges go, each over before the next. */
static void
spread(unsigned n, unsigned got_r[N])
{
	memset(got_r, 0, N * sizeof(*got_r));
	while (n--)
		got_r[index_of(exchange(nobody, NULL))]++;
}

/* Hash */

START_TEST(hash_agrees_with_another_node_and_with_itself_after_a_restart)
{
	struct backend *first[200];
	unsigned got[N] = {0};

	configure("balance: hash,", "", "", "");
	for (uint64_t i = 0; i < 200; i++) {
		first[i] = exchange(rig_client(i), NULL);
		got[index_of(first[i])]++;
	}
	for (int i = 0; i < N; i++)
		ck_assert_uint_ge(got[i], 40);
	/* nothing is left but the names of things */
	rig_forget(99);
	for (uint64_t i = 200; i-- > 0;)
		ck_assert_ptr_eq(exchange(rig_client(i), NULL), first[i]);
}
END_TEST

START_TEST(hash_takes_no_notice_of_the_order_of_backends)
{
	struct backend *swap[N];
	char name[200];

	configure("balance: hash,", "", "", "");
	for (uint64_t i = 0; i < 200; i++)
		name[i] = exchange(rig_client(i), NULL)->name[1];
	rig_forget(2);
	memcpy(swap, rig.up->backends, sizeof(swap));
	rig.up->backends[0] = swap[2];
	rig.up->backends[2] = swap[0];
	for (uint64_t i = 0; i < 200; i++)
		ck_assert_int_eq(exchange(rig_client(i), NULL)->name[1], name[i]);
	memcpy(rig.up->backends, swap, sizeof(swap));
}
END_TEST

START_TEST(hash_gives_back_who_was_lent)
{
	struct backend *first[200];
	unsigned lent = 0;

	configure("balance: hash,", "", "", "");
	for (uint64_t i = 0; i < 200; i++)
		first[i] = exchange(rig_client(i), NULL);
	tick(FAR);
	configure("balance: hash,", "", "state: down", "");
	for (uint64_t i = 0; i < 200; i++) {
		struct backend *other = exchange(rig_client(i), NULL);

		ck_assert_ptr_ne(other, b[1]);
		lent += first[i] == b[1];
		ck_assert(first[i] == b[1] || other == first[i]);
	}
	ck_assert_uint_gt(lent, 40);
	configure("balance: hash,", "", "", "");
	tick(FAR);
	for (uint64_t i = 0; i < 200; i++)
		ck_assert_ptr_eq(exchange(rig_client(i), NULL), first[i]);
}
END_TEST

START_TEST(hash_chooses_for_the_identity_that_it_issues)
{
	struct client_key newcomer = {.found = true, .weak = true, .issue = true};
	unsigned got[N] = {0};

	configure("balance: hash,", "", "", "");
	for (uint64_t i = 0; i < 300; i++) {
		struct client_key back = {.found = true};
		struct choice c;

		newcomer.stable = 7; /* all behind one address */
		newcomer.hash = hash_table_key(rig.up->id, &i, sizeof(i));
		c = ask(newcomer, i % 2);
		back.hash = client_key_of_id(rig.up->id, c.cookie_id);
		back.stable = client_key_stable_of_id(rig.up->id, c.cookie_id);
		ck_assert(hash128_eq(back.hash, c.key));
		got[index_of(c.backend)]++;
		ck_assert_ptr_eq(exchange(back, NULL), c.backend);
		choice_end(&rig.chooser, rig.up, &c, now);
	}
	for (int i = 0; i < N; i++)
		ck_assert_uint_ge(got[i], 70);
}
END_TEST

START_TEST(hash_spreads_clients_without_any_key)
{
	unsigned got[N];

	configure("balance: hash,", "", "", "weight: 2");
	spread(4000, got);
	ck_assert_uint_ge(got[0], 900);
	ck_assert_uint_le(got[0], 1100);
	ck_assert_uint_ge(got[2], 1870);
	ck_assert_uint_le(got[2], 2130);
}
END_TEST

START_TEST(hash_finds_the_next_for_a_session_that_is_moved)
{
	struct backend *from, *to, *later;
	struct claim claim;

	configure("balance: hash,", "", "", "");
	for (uint64_t i = 0; i < 50; i++) {
		claim = open_session(rig_client(i), &from, NULL);
		to = choose_rehome(&rig.chooser, rig.up, &claim, from, now);
		ck_assert_ptr_ne(to, from);
		backend_put(to);
		close_session(&claim, true);
		/* and so would do every other node that does not see `from` */
		tick(FAR);
		atomic_store(&from->admin_state, BACKEND_DOWN);
		later = exchange(rig_client(i), NULL);
		ck_assert_ptr_eq(later, to);
		atomic_store(&from->admin_state, BACKEND_UP);
		tick(FAR);
	}
}
END_TEST

/* p2c */

START_TEST(p2c_prefers_the_quick)
{
	unsigned got[N];

	configure("balance: p2c,", "", "", "");
	backend_add_latency(b[0], 1000, now);
	backend_add_latency(b[1], 2000, now);
	backend_add_latency(b[2], 50000, now);
	spread(3000, got);
	/* b0 wins two of the three pairs, b1 the third */
	ck_assert_uint_ge(got[0], 1900);
	ck_assert_uint_le(got[0], 2100);
	ck_assert_uint_eq(got[2], 0);
	/* what was slow once is asked again in the end */
	for (int i = 0; i < 70; i++) {
		tick(1000);
		backend_add_latency(b[0], 1000, now);
		backend_add_latency(b[1], 2000, now);
	}
	spread(3000, got);
	ck_assert_uint_gt(got[2], 800);
}
END_TEST

START_TEST(p2c_tries_a_new_backend_with_one_request)
{
	struct choice c[20];
	unsigned got[N] = {0};

	configure("balance: p2c,", "", "", "");
	backend_add_latency(b[0], 1000, now);
	backend_add_latency(b[1], 1000, now);
	for (int i = 0; i < 20; i++) {
		c[i] = ask(nobody, false);
		got[index_of(c[i].backend)]++;
	}
	ck_assert_uint_eq(got[2], 1);
	for (int i = 0; i < 20; i++)
		choice_end(&rig.chooser, rig.up, &c[i], now);
}
END_TEST

START_TEST(what_was_known_of_its_latency_ends_with_an_outage)
{
	configure("balance: p2c,", "", "", "");
	backend_add_latency(b[0], 1000000, now);
	ck_assert_uint_ne(atomic_load(&b[0]->latency), 0);
	backend_mark_failed(b[0], now, 0);
	tick(2000);
	backend_mark_ok(b[0]);
	ck_assert_uint_eq(atomic_load(&b[0]->latency), 0);
}
END_TEST

/* Costs */

START_TEST(sessions_and_exchanges_count_as_they_cost)
{
	struct claim claims[4];
	struct choice c;

	configure("session_cost: 1, exchange_cost: 10,", "", "", "state: down");
	for (uint64_t i = 0; i < 4; i++)
		claims[i] = open_session(rig_client(i), NULL, NULL);
	ck_assert_uint_eq(backend_load(b[0]), 2);
	c = ask(nobody, false);
	ck_assert_uint_eq(backend_load(c.backend), 12);
	ck_assert_uint_eq(backend_held(c.backend), 3);
	/* ten sessions' worth: the next ones all go to the other */
	for (uint64_t i = 0; i < 9; i++)
		ck_assert_ptr_ne(exchange(nobody, NULL), c.backend);
	configure("session_cost: 0, exchange_cost: 3,", "", "", "state: down");
	ck_assert_uint_eq(backend_load(c.backend), 3);
	choice_end(&rig.chooser, rig.up, &c, now);
	ck_assert_uint_eq(backend_load(b[0]), 0);
	for (int i = 0; i < 4; i++)
		close_session(&claims[i], true);
}
END_TEST

START_TEST(handshakes_cost_what_sessions_cost)
{
	struct choice c[30];
	unsigned got[N] = {0};

	configure("exchange_cost: 0, session_cost: 5,", "", "", "");
	for (uint64_t i = 0; i < 30; i++) {
		c[i] = ask(rig_client(i), true);
		got[index_of(c[i].backend)]++;
	}
	for (int i = 0; i < N; i++) {
		ck_assert_uint_eq(got[i], 10);
		ck_assert_uint_eq(backend_load(b[i]), 50);
	}
	for (int i = 0; i < 30; i++)
		choice_end(&rig.chooser, rig.up, &c[i], now);
}
END_TEST

START_TEST(limits_count_heads_not_costs)
{
	struct claim claim;

	configure("session_cost: 100, limits: {max_connections: 3},", "", "state: down",
	    "state: down");
	claim = open_session(rig_client(1), NULL, NULL);
	ck_assert_uint_eq(backend_load(b[0]), 100);
	ck_assert_int_eq(backend_use(b[0], now), BACKEND_USABLE);
	close_session(&claim, true);
}
END_TEST

/* Slow start */

START_TEST(a_backend_that_came_up_gets_its_weight_by_and_by)
{
	configure("slow_start: 10s,", "", "state: down", "weight: 3");
	ck_assert_uint_eq(backend_weight_now(b[0], now), 10);
	ck_assert_uint_eq(backend_weight_now(b[2], now), 30);
	tick(5000);
	ck_assert_uint_eq(backend_weight_now(b[0], now), 55);
	tick(5000);
	ck_assert_uint_eq(backend_weight_now(b[0], now), 100);
	ck_assert_uint_eq(backend_weight_now(b[2], now), 300);
	configure("slow_start: 10s,", "", "", "weight: 3");
	ck_assert_uint_eq(backend_weight_now(b[0], now), 100);
	ck_assert_uint_eq(backend_weight_now(b[1], now), 10);
	configure("", "", "", "weight: 3");
	ck_assert_uint_eq(backend_weight_now(b[1], now), 100);
}
END_TEST

START_TEST(a_backend_that_failed_starts_slowly_again)
{
	configure("slow_start: 10s,", "", "", "");
	tick(10000);
	backend_mark_failed(b[0], now, 30);
	/* on trial, nobody knows yet how it is */
	tick(2000);
	ck_assert(backend_is_usable(b[0], now));
	ck_assert_uint_lt(backend_weight_now(b[0], now), 25);
	backend_mark_ok(b[0]);
	ck_assert_uint_eq(backend_weight_now(b[0], now), 10);
	tick(1000);
	backend_mark_ok(b[0]);
	ck_assert_uint_eq(backend_weight_now(b[0], now), 19);
}
END_TEST

START_TEST(every_policy_starts_slowly)
{
	static const char *const policies[] = {"least-sessions", "round-robin", "hash"};
	char keys[80];
	unsigned got[N];

	for (int i = 0; i < 3; i++) {
		snprintf(keys, sizeof(keys), "slow_start: 100s, balance: %s,",
		    policies[i]);
		configure(keys, "", "", "state: down");
		tick(100000);
		configure(keys, "", "", "");
		spread(2100, got);
		ck_assert_uint_ge(got[2], 50); /* 10 of 210 */
		ck_assert_uint_le(got[2], 150);
		tick(50000);
		spread(2550, got);
		ck_assert_uint_ge(got[2], 450); /* 55 of 255 */
		ck_assert_uint_le(got[2], 650);
		tick(50000);
		spread(3000, got);
		ck_assert_uint_ge(got[2], 880);
		ck_assert_uint_le(got[2], 1120);
	}
}
END_TEST

START_TEST(who_is_bound_to_it_does_not_wait_for_slow_start)
{
	struct backend *home;
	struct claim claim;

	configure("slow_start: 100s,", "", "", "");
	claim = open_session(rig_client(1), &home, NULL);
	backend_warm_up(home, now);
	for (int i = 0; i < 20; i++)
		ck_assert_ptr_eq(exchange(rig_client(1), NULL), home);
	close_session(&claim, true);
}
END_TEST

/* Backups */

START_TEST(a_backup_is_used_only_where_no_other_will_do)
{
	struct choice c;
	unsigned got[N];

	configure("", "", "", "backup: true");
	spread(300, got);
	ck_assert_uint_eq(got[2], 0);
	configure("", "state: down", "state: drain", "backup: true");
	spread(30, got);
	ck_assert_uint_eq(got[2], 30);
	/* before those are tried that fail */
	configure("", "", "", "backup: true");
	backend_mark_failed(b[0], now, 0);
	backend_mark_failed(b[1], now, 0);
	spread(30, got);
	ck_assert_uint_eq(got[2], 30);
	/* and of those that fail the backups last */
	backend_mark_failed(b[2], now, 0);
	spread(30, got);
	ck_assert_uint_eq(got[2], 0);
	configure("", "state: down", "state: down", "backup: true, state: down");
	ck_assert(!choose(&rig.chooser, rig.up, &nobody, false, NULL, now, &c));
}
END_TEST

START_TEST(a_backup_takes_what_does_not_fit)
{
	struct claim claims[3];
	struct backend *at[3];
	struct choice c[3];

	configure("limits: {max_sessions: 1},", "", "", "backup: true");
	for (uint64_t i = 0; i < 3; i++)
		claims[i] = open_session(rig_client(i), &at[i], NULL);
	ck_assert_ptr_ne(at[0], b[2]);
	ck_assert_ptr_ne(at[1], b[2]);
	ck_assert_ptr_eq(at[2], b[2]);
	/* for exchanges the others are not full */
	for (int i = 0; i < 10; i++)
		ck_assert_ptr_ne(exchange(nobody, NULL), b[2]);
	for (int i = 0; i < 3; i++)
		close_session(&claims[i], true);
	configure("limits: {max_connections: 1},", "", "", "backup: true");
	for (int i = 0; i < 3; i++)
		c[i] = ask(nobody, false);
	ck_assert_ptr_eq(c[2].backend, b[2]);
	for (int i = 0; i < 3; i++)
		choice_end(&rig.chooser, rig.up, &c[i], now);
}
END_TEST

START_TEST(a_client_goes_back_from_a_backup_unless_a_socket_is_there)
{
	struct claim claim;
	struct backend *at;

	configure("", "state: down", "state: down", "backup: true");
	ck_assert_ptr_eq(exchange(rig_client(1), NULL), b[2]);
	claim = open_session(rig_client(2), &at, NULL);
	ck_assert_ptr_eq(at, b[2]);
	configure("", "", "state: down", "backup: true");
	ck_assert_ptr_eq(exchange(rig_client(1), NULL), b[0]);
	ck_assert_ptr_eq(exchange(rig_client(2), NULL), b[2]);
	close_session(&claim, true);
	ck_assert_ptr_eq(exchange(rig_client(2), NULL), b[0]);
	ck_assert_ptr_eq(exchange(rig_client(1), NULL), b[0]);
}
END_TEST

START_TEST(a_backup_keeps_a_client_that_is_in_the_middle_of_something)
{
	struct choice polling;

	configure("", "state: down", "state: down", "backup: true");
	polling = ask(rig_client(1), false);
	configure("", "", "", "backup: true");
	ck_assert_ptr_eq(exchange(rig_client(1), NULL), b[2]);
	choice_end(&rig.chooser, rig.up, &polling, now);
	ck_assert_ptr_ne(exchange(rig_client(1), NULL), b[2]);
}
END_TEST

START_TEST(a_session_goes_to_a_backup_when_its_backend_dies_last)
{
	struct claim claim;
	struct backend *from, *to;

	configure("", "", "state: down", "backup: true");
	claim = open_session(rig_client(1), &from, NULL);
	to = choose_rehome(&rig.chooser, rig.up, &claim, from, now);
	ck_assert_ptr_eq(to, b[2]);
	backend_put(to);
	close_session(&claim, true);
}
END_TEST

/* The self-check */

START_TEST(counts_that_are_wrong_are_found)
{
	struct claim claims[20];

	configure("", "", "", "");
	for (uint64_t i = 0; i < 20; i++)
		claims[i] = open_session(rig_client(i % 7), NULL, NULL);
	ck_assert(pins_counts_are_right(rig.pins, rig.up->backends, N));
	atomic_fetch_add(&b[1]->sessions, 1);
	ck_assert(!pins_counts_are_right(rig.pins, rig.up->backends, N));
	ck_assert(pins_counts_are_right(rig.pins, rig.up->backends, 1));
	atomic_fetch_sub(&b[1]->sessions, 1);
	for (int i = 0; i < 20; i++)
		close_session(&claims[i], true);
	ck_assert(pins_counts_are_right(rig.pins, rig.up->backends, N));
}
END_TEST

static TCase *
policies(void)
{
	TCase *t = tcase_create("policies");

	tcase_add_checked_fixture(t, steering_begin, steering_end);
	tcase_add_test(t,
	    hash_agrees_with_another_node_and_with_itself_after_a_restart);
	tcase_add_test(t, hash_takes_no_notice_of_the_order_of_backends);
	tcase_add_test(t, hash_gives_back_who_was_lent);
	tcase_add_test(t, hash_chooses_for_the_identity_that_it_issues);
	tcase_add_test(t, hash_spreads_clients_without_any_key);
	tcase_add_test(t, hash_finds_the_next_for_a_session_that_is_moved);
	tcase_add_test(t, p2c_prefers_the_quick);
	tcase_add_test(t, p2c_tries_a_new_backend_with_one_request);
	tcase_add_test(t, what_was_known_of_its_latency_ends_with_an_outage);
	tcase_add_test(t, sessions_and_exchanges_count_as_they_cost);
	tcase_add_test(t, handshakes_cost_what_sessions_cost);
	tcase_add_test(t, limits_count_heads_not_costs);
	return t;
}

static TCase *
weights(void)
{
	TCase *t = tcase_create("slow start and backups");

	tcase_add_checked_fixture(t, steering_begin, steering_end);
	tcase_add_test(t, a_backend_that_came_up_gets_its_weight_by_and_by);
	tcase_add_test(t, a_backend_that_failed_starts_slowly_again);
	tcase_add_test(t, every_policy_starts_slowly);
	tcase_add_test(t, who_is_bound_to_it_does_not_wait_for_slow_start);
	tcase_add_test(t, a_backup_is_used_only_where_no_other_will_do);
	tcase_add_test(t, a_backup_takes_what_does_not_fit);
	tcase_add_test(t, a_client_goes_back_from_a_backup_unless_a_socket_is_there);
	tcase_add_test(t, a_backup_keeps_a_client_that_is_in_the_middle_of_something);
	tcase_add_test(t, a_session_goes_to_a_backup_when_its_backend_dies_last);
	tcase_add_test(t, counts_that_are_wrong_are_found);
	return t;
}

Suite *
suite_policies(void)
{
	Suite *s = suite_create("policies");

	suite_add_tcase(s, policies());
	suite_add_tcase(s, weights());
	return s;
}
