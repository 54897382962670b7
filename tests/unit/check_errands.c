/* SPDX-License-Identifier: MIT
 *
 * check_errands.c - what the administrator asks the planner: dry runs, which must say
 * what then happens and change nothing, and moves on request.
 */
#include "base/strbuf.h"
#include "rig.h"
#include "route/choose.h"
#include "route/pins.h"
#include "route/planner.h"

#include <check.h>
#include <stdlib.h>

Suite *suite_errands(void);

enum { TICK = 100, MINUTE = 60000, CLIENTS = 400 };

static struct planner *planner;
static uint64_t now;
static unsigned moves, asked, n_clients;
static uint32_t last_delay_ms;
static struct plan plan;

/* "b0 up, b1 drain" */
static void
configure(const char *rehome, const char *more, const char *backends)
{
	struct strbuf settings = STRBUF_INIT, rows = STRBUF_INIT;
	struct str list = str_of(backends), row;

	strbuf_printf(&settings, "rehome: {%s}, %s", rehome, more);
	while (str_next_element(&list, &row))
		strbuf_printf(&rows, "%.2s state: %.*s |", row.p, (int)row.n - 3,
		    row.p + 3);
	rig_configure(strbuf_cstr(&settings), strbuf_cstr(&rows));
	strbuf_fini(&settings);
	strbuf_fini(&rows);
}

static struct hash128
key_of(unsigned i)
{
	return rig_client(i).hash;
}

/* n more clients with one session each, locked for a minute. */
static void
open_on(const char *name, unsigned n)
{
	uint16_t era;

	for (unsigned i = 0; i < n; i++)
		ck_assert(pins_session_open(rig.pins, key_of(n_clients++),
		    rig_backend(name), now, MINUTE, &era));
	ck_assert_uint_le(n_clients, CLIENTS);
}

static const char *
home_of(unsigned i)
{
	const char *name;
	struct pin pin;

	ck_assert(pins_lookup(rig.pins, key_of(i), now, &pin));
	name = pin.backend->name;
	backend_put(pin.backend);
	return name;
}

static void
on_move(void *arg, const struct move *move)
{
	struct pin pin;

	ck_assert(pins_lookup(rig.pins, move->key, now, &pin));
	ck_assert_ptr_eq(pin.backend, move->to);
	backend_put(pin.backend);
	asked += move->why == MOVE_ASKED;
	last_delay_ms = move->delay_ms;
	moves++;
}

static unsigned
run(uint64_t ms)
{
	unsigned before = moves;

	for (uint64_t end = now + ms; now + TICK <= end;) {
		now += TICK;
		planner_tick(planner, rig.snapshot, now);
	}
	return moves - before;
}

static void
dry_run(size_t max)
{
	plan_fini(&plan);
	plan = (struct plan){.max = max, .tell_held = true};
	ck_assert(planner_plan(planner, rig.up, now, &plan));
}

static void
setup(void)
{
	now = 1000000;
	rig_begin(1);
	planner = planner_new(&rig.chooser, on_move, NULL);
	ck_assert_ptr_nonnull(planner);
	moves = asked = n_clients = 0;
}

static void
teardown(void)
{
	plan_fini(&plan);
	planner_free(planner);
	rig_end();
}

/* Dry runs */

START_TEST(a_dry_run_of_a_drain_names_everybody_and_moves_nobody)
{
	configure("rate: 10", "", "b0 up, b1 up");
	open_on("b0", 100);
	open_on("b1", 100);
	run(2000);
	dry_run(1000);
	ck_assert_uint_eq(plan.n, 0);
	configure("rate: 10", "", "b0 drain, b1 up");
	dry_run(1000);
	ck_assert_uint_eq(plan.n, 100);
	ck_assert(!plan.more);
	ck_assert_uint_eq(plan.debounce_ms, 300);
	for (size_t i = 0; i < plan.n; i++) {
		ck_assert_str_eq(plan.moves[i].from->name, "b0");
		ck_assert_str_eq(plan.moves[i].to->name, "b1");
		ck_assert_int_eq(plan.moves[i].why, MOVE_LEAVING);
		ck_assert_uint_eq(plan.moves[i].sessions, 1);
		for (size_t j = 0; j < i; j++)
			ck_assert(!hash128_eq(plan.moves[i].key, plan.moves[j].key));
	}
	ck_assert_uint_eq(moves, 0);
	ck_assert_uint_eq(rig_sessions("b0"), 100);
	ck_assert_str_eq(home_of(0), "b0");
}
END_TEST

START_TEST(a_dry_run_leaves_the_planner_as_it_was)
{
	configure("rate: 100, debounce: 300ms", "", "b0 up, b1 up");
	open_on("b0", 10);
	run(2000);
	configure("rate: 100, debounce: 300ms", "", "b0 drain, b1 up");
	for (int i = 0; i < 3; i++) {
		dry_run(1000);
		ck_assert_uint_eq(plan.n, 10);
	}
	ck_assert_uint_eq(run(300), 0); /* the debounce begins with the tick */
	ck_assert_uint_gt(run(300), 0);
}
END_TEST

START_TEST(a_dry_run_spreads_as_the_moves_will)
{
	unsigned to_b1 = 0;

	configure("rate: 100000", "", "b0 up, b1 up, b2 up");
	open_on("b0", 200);
	run(2000);
	configure("rate: 100000", "", "b0 drain, b1 up, b2 up");
	dry_run(1000);
	ck_assert_uint_eq(plan.n, 200);
	for (size_t i = 0; i < plan.n; i++)
		to_b1 += strcmp(plan.moves[i].to->name, "b1") == 0;
	ck_assert_uint_eq(to_b1, 100);
	run(1000);
	ck_assert_uint_eq(rig_sessions("b1"), 100);
}
END_TEST

START_TEST(a_dry_run_overfills_nobody)
{
	const char *limits = "limits: {max_sessions: 40},";

	configure("rate: 100000", limits, "b0 up, b1 up");
	open_on("b0", 60);
	run(2000);
	configure("rate: 100000", limits, "b0 drain, b1 up");
	dry_run(1000);
	ck_assert_uint_eq(plan.n, 40);
	run(1000);
	ck_assert_uint_eq(rig_sessions("b1"), 40);
	dry_run(1000);
	ck_assert_uint_eq(plan.n, 0);
}
END_TEST

START_TEST(a_dry_run_of_a_surplus_counts_right)
{
	size_t planned;

	configure("rate: 100000", "", "b0 up, b1 down");
	open_on("b0", 100);
	run(2000);
	configure("rate: 100000", "", "b0 up, b1 up");
	dry_run(1000);
	ck_assert_uint_eq(plan.n, 0); /* all are locked */
	now += MINUTE;
	dry_run(1000);
	planned = plan.n;
	ck_assert_uint_ge(planned, 40);
	ck_assert_uint_le(planned, 50);
	ck_assert_int_eq(plan.moves[0].why, MOVE_SURPLUS);
	ck_assert_uint_eq(run(5000), planned);
	dry_run(1000);
	ck_assert_uint_eq(plan.n, 0);
}
END_TEST

START_TEST(a_dry_run_stops_where_the_plan_is_full)
{
	configure("rate: 100000", "", "b0 up, b1 up");
	open_on("b0", 20);
	run(2000);
	configure("rate: 100000", "", "b0 drain, b1 up");
	dry_run(7);
	ck_assert_uint_eq(plan.n, 7);
	ck_assert(plan.more);
	dry_run(20);
	ck_assert(!plan.more);
	dry_run(0);
	ck_assert(plan.more);
}
END_TEST

START_TEST(a_plan_says_when_and_what_each_move_waits_for)
{
	configure("rate: 10, target_rate: 5", "", "b0 up, b1 up");
	open_on("b0", 20);
	run(2000);
	configure("rate: 10, target_rate: 5", "", "b0 drain, b1 up");
	dry_run(20);
	ck_assert_uint_eq(plan.n, 20);
	ck_assert_int_eq((int)plan.moves[0].wait, WAIT_DEBOUNCE);
	ck_assert_uint_eq(plan.moves[0].wait_ms, plan.debounce_ms);
	ck_assert_int_eq((int)plan.moves[19].wait, WAIT_TARGET_RATE);
	ck_assert_uint_eq(plan.moves[19].wait_ms, plan.debounce_ms + 19 * 200);
	configure("rate: 10", "", "b0 drain, b1 up");
	dry_run(20);
	ck_assert_int_eq((int)plan.moves[19].wait, WAIT_RATE);
	ck_assert_uint_eq(plan.moves[19].wait_ms, plan.debounce_ms + 1900);
}
END_TEST

START_TEST(a_plan_says_what_keeps_a_surplus_where_it_is)
{
	uint64_t opened = now;

	configure("rate: 10, threshold: 0%, min_stay: 10s", "", "b0 up");
	open_on("b0", 20);
	configure("rate: 10, threshold: 0%, min_stay: 10s", "", "b0 up, b1 up");
	run(2000);
	dry_run(20);
	ck_assert_uint_eq(plan.n, 0);
	ck_assert_uint_eq(plan.n_held, 1);
	ck_assert_ptr_eq(plan.held[0].backend, rig_backend("b0"));
	ck_assert_uint_eq(plan.held[0].surplus, 10);
	ck_assert_uint_eq(plan.held[0].holds.clients[HELD_BY_LOCK], 20);
	ck_assert_uint_eq(plan.held[0].holds.until_ms[HELD_BY_LOCK], opened + MINUTE);
	now += MINUTE;
	pins_hold(rig.pins, key_of(3), now, now + 5000);
	dry_run(4);
	ck_assert(plan.more);
	ck_assert_uint_eq(plan.n_held, 0);
}
END_TEST

START_TEST(where_moves_are_off_there_is_no_plan)
{
	configure("mode: off", "", "b0 up, b1 up");
	open_on("b0", 20);
	run(2000);
	configure("mode: off", "", "b0 drain, b1 up");
	dry_run(100);
	ck_assert_uint_eq(plan.n, 0);
}
END_TEST

/* All of a backend */

static void
ask(const char *from, const char *to)
{
	ck_assert(planner_move_backend(planner, rig.up, rig_backend(from),
	    to ? rig_backend(to) : NULL, now));
}

START_TEST(asked_for_even_the_locked_move_at_the_rate)
{
	configure("rate: 10, threshold: 1000%", "", "b0 up, b1 up");
	open_on("b0", 50);
	open_on("b1", 50);
	run(2000);
	plan.max = 1000;
	ck_assert(
	    planner_plan_backend(planner, rig.up, rig_backend("b0"), NULL, now, &plan));
	ck_assert_uint_eq(plan.n, 50);
	ck_assert_int_eq(plan.moves[0].why, MOVE_ASKED);
	ck_assert_uint_eq(moves, 0);
	ask("b0", NULL);
	ck_assert_uint_le(run(1000), 12);
	ck_assert_uint_ge(moves, 9);
	ck_assert_uint_eq(planner_errand(planner, 0)->moved, moves);
	run(5000);
	ck_assert_uint_eq(rig_sessions("b0"), 0);
	ck_assert_uint_eq(asked, 50);
	ck_assert_ptr_null(planner_errand(planner, 0));
}
END_TEST

START_TEST(who_comes_after_the_request_stays)
{
	configure("rate: 2, threshold: 1000%", "", "b0 up, b1 up");
	open_on("b0", 5);
	run(2000);
	ask("b0", NULL);
	run(300);
	open_on("b0", 5);
	run(10000);
	ck_assert_uint_eq(asked, 5);
	for (unsigned i = 5; i < 10; i++)
		ck_assert_str_eq(home_of(i), "b0");
	ck_assert_ptr_null(planner_errand(planner, 0));
}
END_TEST

START_TEST(who_came_just_before_moves_a_second_later)
{
	configure("rate: 100", "", "b0 up, b1 up");
	run(1000);
	open_on("b0", 5);
	ask("b0", NULL);
	ck_assert_uint_eq(run(900), 0);
	ck_assert_uint_eq(run(500), 5);
	ck_assert_ptr_null(planner_errand(planner, 0));
}
END_TEST

START_TEST(a_request_may_name_the_target)
{
	configure("rate: 1000, threshold: 1000%", "", "b0 up, b1 up, b2 up");
	open_on("b0", 30);
	run(2000);
	ask("b0", "b2");
	run(1000);
	ck_assert_uint_eq(rig_sessions("b2"), 30);
}
END_TEST

START_TEST(a_target_that_is_gone_is_waited_for_but_not_for_ever)
{
	configure("rate: 1000", "", "b0 up, b1 up");
	open_on("b0", 30);
	run(2000);
	ask("b0", "b1");
	configure("rate: 1000", "", "b0 up, b1 drain");
	ck_assert_uint_eq(run(5000), 0);
	ck_assert_ptr_nonnull(planner_errand(planner, 0));
	configure("rate: 1000", "", "b0 up, b1 up");
	run(1000);
	ck_assert_uint_eq(asked, 30);
	configure("rate: 1000", "", "b0 drain, b1 up");
	ask("b1", "b0");
	run(600000);
	ck_assert_ptr_null(planner_errand(planner, 0));
	ck_assert_uint_eq(asked, 30);
}
END_TEST

START_TEST(the_same_request_again_replaces_the_first)
{
	configure("rate: 1, threshold: 1000%", "", "b0 up, b1 up, b2 up");
	open_on("b0", 30);
	run(2000);
	ask("b0", "b1");
	run(3000);
	ck_assert_uint_gt(rig_sessions("b1"), 0);
	ask("b0", "b2");
	ck_assert_ptr_null(planner_errand(planner, 1));
	ck_assert_uint_eq(planner_errand(planner, 0)->moved, 0);
	run(40000);
	ck_assert_uint_ge(rig_sessions("b2"), 25);
}
END_TEST

START_TEST(requests_end_with_their_backend_or_mode)
{
	configure("rate: 1", "", "b0 up, b1 up");
	open_on("b0", 30);
	run(2000);
	ask("b0", NULL);
	configure("rate: 1, mode: off", "", "b0 up, b1 up");
	ck_assert_uint_eq(run(200), 0);
	ck_assert_ptr_null(planner_errand(planner, 0));
	ask("b0", NULL);
	/* whoever asks for it once it is off: it ends at the next tick */
	run(200);
	ck_assert_ptr_null(planner_errand(planner, 0));
}
END_TEST

/* One client */

START_TEST(one_client_moves_at_once_and_counts_for_the_pace)
{
	struct move move;

	configure("rate: 10, threshold: 1000%", "", "b0 up, b1 up");
	open_on("b0", 10);
	run(2000);
	for (unsigned i = 0; i < 10; i++) {
		struct backend *to =
		    planner_target(planner, rig.up, key_of(i), rig_backend("b0"), now);

		ck_assert_ptr_eq(to, rig_backend("b1"));
		ck_assert(planner_move_client(planner, rig.up, key_of(i),
		    rig_backend("b0"), to, now, &move));
		backend_put(to);
		ck_assert_str_eq(home_of(i), "b1");
		ck_assert_uint_eq(move.delay_ms, last_delay_ms);
		ck_assert_uint_eq(move.delay_ms, i ? (i - 1) * 100 : 0);
	}
	ck_assert_uint_eq(asked, 10);
	/* the others wait for what was taken of the pace */
	configure("rate: 10", "", "b0 up, b1 drain");
	ck_assert_uint_eq(run(700), 0);
}
END_TEST

START_TEST(a_client_that_is_elsewhere_is_not_moved)
{
	struct move move;

	configure("rate: 10", "", "b0 up, b1 up");
	open_on("b0", 1);
	run(2000);
	ck_assert(!planner_move_client(planner, rig.up, key_of(0), rig_backend("b1"),
	    rig_backend("b0"), now, &move));
	ck_assert(!planner_move_client(planner, rig.up, key_of(7), rig_backend("b0"),
	    rig_backend("b1"), now, &move));
	ck_assert_uint_eq(moves, 0);
}
END_TEST

START_TEST(one_client_goes_where_the_policy_hash_says)
{
	unsigned to_b2 = 0;

	configure("rate: 100", "balance: hash,", "b0 up, b1 up, b2 up");
	open_on("b0", 60);
	for (unsigned i = 0; i < 60; i++)
		pins_set_stable(rig.pins, key_of(i), rig_client(i).stable);
	open_on("b2", 10); /* by load it would be b1 */
	run(2000);
	for (unsigned i = 0; i < 60; i++) {
		struct backend *to =
		    planner_target(planner, rig.up, key_of(i), rig_backend("b0"), now);

		to_b2 += to == rig_backend("b2");
		backend_put(to);
	}
	ck_assert_uint_ge(to_b2, 15);
	ck_assert_uint_le(to_b2, 45);
}
END_TEST

START_TEST(who_came_before_the_policy_hash_is_spread_by_it)
{
	unsigned to_b2 = 0;

	configure("rate: 100", "", "b0 up, b1 up, b2 up");
	open_on("b0", 60);
	configure("rate: 100", "balance: hash,", "b0 up, b1 up, b2 up");
	run(2000);
	for (unsigned i = 0; i < 60; i++) {
		struct backend *to =
		    planner_target(planner, rig.up, key_of(i), rig_backend("b0"), now);

		to_b2 += to == rig_backend("b2");
		backend_put(to);
	}
	ck_assert_uint_ge(to_b2, 15);
	ck_assert_uint_le(to_b2, 45);
}
END_TEST

START_TEST(without_another_backend_there_is_no_target)
{
	configure("rate: 10", "", "b0 up, b1 drain");
	run(1000);
	ck_assert_ptr_null(
	    planner_target(planner, rig.up, key_of(0), rig_backend("b0"), now));
}
END_TEST

Suite *
suite_errands(void)
{
	Suite *s = suite_create("errands");
	TCase *t = tcase_create("errands");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_dry_run_of_a_drain_names_everybody_and_moves_nobody);
	tcase_add_test(t, a_dry_run_leaves_the_planner_as_it_was);
	tcase_add_test(t, a_dry_run_spreads_as_the_moves_will);
	tcase_add_test(t, a_dry_run_overfills_nobody);
	tcase_add_test(t, a_dry_run_of_a_surplus_counts_right);
	tcase_add_test(t, a_dry_run_stops_where_the_plan_is_full);
	tcase_add_test(t, a_plan_says_when_and_what_each_move_waits_for);
	tcase_add_test(t, a_plan_says_what_keeps_a_surplus_where_it_is);
	tcase_add_test(t, where_moves_are_off_there_is_no_plan);
	tcase_add_test(t, asked_for_even_the_locked_move_at_the_rate);
	tcase_add_test(t, who_comes_after_the_request_stays);
	tcase_add_test(t, who_came_just_before_moves_a_second_later);
	tcase_add_test(t, a_request_may_name_the_target);
	tcase_add_test(t, a_target_that_is_gone_is_waited_for_but_not_for_ever);
	tcase_add_test(t, the_same_request_again_replaces_the_first);
	tcase_add_test(t, requests_end_with_their_backend_or_mode);
	tcase_add_test(t, one_client_moves_at_once_and_counts_for_the_pace);
	tcase_add_test(t, a_client_that_is_elsewhere_is_not_moved);
	tcase_add_test(t, one_client_goes_where_the_policy_hash_says);
	tcase_add_test(t, who_came_before_the_policy_hash_is_spread_by_it);
	tcase_add_test(t, without_another_backend_there_is_no_target);
	suite_add_tcase(s, t);
	return s;
}
