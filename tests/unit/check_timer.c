/* SPDX-License-Identifier: MIT
 *
 * check_timer.c - timers fire when they should, however they are set and cleared.
 *
 * Besides the plain cases a model is run: random operations over days of made-up time
 * on some hundred timers, held against a table of due times.
 */
#include "base/object.h"
#include "base/random.h"
#include "loop/timer.h"

#include <check.h>
#include <stdlib.h>

Suite *suite_timer(void);

/* Any start will do; this one lies 3 ms after a tick and 5 s before a slot of level 3.
 */
static const uint64_t START_MS = (1ULL << 21) * 7000 - 4997;

struct probe {
	struct timer timer;
	int fired;
};

static struct timers wheel;

static void
on_fire(struct timer *t)
{
	container_of(t, struct probe, timer)->fired++;
}

static void
setup(void)
{
	timers_init(&wheel, START_MS);
}

static struct probe
probe_make(void (*fire)(struct timer *t))
{
	struct probe p = {.fired = 0};

	timer_init(&p.timer, fire);
	return p;
}

START_TEST(fires_at_its_time_and_once)
{
	static const uint64_t delays[] = {1, 7, 8, 9, 63, 511, 512, 513, 5000, 32768,
	    60000, 300000, 2097152, 86400000, 8600000000, 9000000000, 900000000000};

	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		struct probe p = probe_make(on_fire);

		timers_init(&wheel, START_MS);
		timer_set(&wheel, &p.timer, START_MS, delays[i]);
		ck_assert(timer_is_set(&p.timer));
		timers_run(&wheel, START_MS + delays[i] - 1);
		ck_assert_msg(p.fired == 0, "%lu ms: early", delays[i]);
		timers_run(&wheel, START_MS + delays[i] + TIMER_TICK_MS - 1);
		ck_assert_msg(p.fired == 1, "%lu ms: late", delays[i]);
		ck_assert(!timer_is_set(&p.timer));
		timers_run(&wheel, START_MS + delays[i] * 2 + 1000);
		ck_assert_int_eq(p.fired, 1);
	}
}
END_TEST

START_TEST(delay_0_fires_at_the_next_run)
{
	struct probe p = probe_make(on_fire);

	timer_set(&wheel, &p.timer, START_MS, 0);
	ck_assert_uint_eq(timers_next_ms(&wheel, START_MS), 0);
	timers_run(&wheel, START_MS);
	ck_assert_int_eq(p.fired, 1);
	/* also where it was waiting for the tick that comes next */
	timer_set(&wheel, &p.timer, START_MS, 1);
	timer_set(&wheel, &p.timer, START_MS + 1, 0);
	timers_run(&wheel, START_MS + 1);
	ck_assert_int_eq(p.fired, 2);
}
END_TEST

static void
on_fire_again_at_once(struct timer *t)
{
	on_fire(t);
	timer_set(&wheel, t, START_MS, 0);
}

START_TEST(delay_0_in_a_callback_waits_for_the_next_run)
{
	struct probe p = probe_make(on_fire_again_at_once);

	timer_set(&wheel, &p.timer, START_MS, 0);
	for (int i = 1; i < 5; i++) {
		timers_run(&wheel, START_MS);
		ck_assert_int_eq(p.fired, i);
	}
}
END_TEST

START_TEST(cleared_timers_do_not_fire)
{
	struct probe a = probe_make(on_fire), b = a, c = a;

	timer_set(&wheel, &a.timer, START_MS, 100);
	timer_set(&wheel, &b.timer, START_MS, 100);
	timer_set(&wheel, &c.timer, START_MS, 100);
	timer_clear(&b.timer);
	timer_clear(&b.timer);
	ck_assert(!timer_is_set(&b.timer));
	timers_run(&wheel, START_MS + 200);
	ck_assert_int_eq(a.fired, 1);
	ck_assert_int_eq(b.fired, 0);
	ck_assert_int_eq(c.fired, 1);
	timer_clear(&a.timer);
}
END_TEST

START_TEST(setting_later_moves_only_the_due_time)
{
	struct probe p = probe_make(on_fire), neighbour = p;
	struct timer **place;
	uint64_t now = START_MS;

	timer_set(&wheel, &p.timer, now, 60000);
	timer_set(&wheel, &neighbour.timer, now, 60000); /* now first of its slot */
	place = p.timer.prev;
	for (int i = 0; i < 1000; i++) {
		now += 1;
		timer_set(&wheel, &p.timer, now, 60000);
		ck_assert_ptr_eq(p.timer.prev, place);
	}
	timers_run(&wheel, now + 59999);
	ck_assert_int_eq(p.fired, 0);
	timers_run(&wheel, now + 60000 + TIMER_TICK_MS);
	ck_assert_int_eq(p.fired, 1);
}
END_TEST

START_TEST(setting_earlier_fires_earlier)
{
	struct probe p = probe_make(on_fire);

	timer_set(&wheel, &p.timer, START_MS, 3600000);
	timer_set(&wheel, &p.timer, START_MS, 1000);
	timer_set(&wheel, &p.timer, START_MS, 999);
	timers_run(&wheel, START_MS + 998);
	ck_assert_int_eq(p.fired, 0);
	timers_run(&wheel, START_MS + 999 + TIMER_TICK_MS);
	ck_assert_int_eq(p.fired, 1);
}
END_TEST

START_TEST(set_anew_with_each_request_it_never_fires)
{
	struct probe p = probe_make(on_fire);
	uint64_t now = START_MS, runs = 0;

	for (int i = 0; i < 100000; i++, now += 50) {
		timer_set(&wheel, &p.timer, now, 60000);
		if (timers_next_ms(&wheel, now) == 0) {
			timers_run(&wheel, now);
			runs++;
		}
	}
	ck_assert_int_eq(p.fired, 0);
	/* 5000 s: a few looks at it per half minute, and not one per request */
	ck_assert_uint_lt(runs, 1000);
}
END_TEST

START_TEST(an_empty_wheel_needs_no_run)
{
	struct probe p = probe_make(on_fire);

	ck_assert_uint_eq(timers_next_ms(&wheel, START_MS), UINT64_MAX);
	timer_set(&wheel, &p.timer, START_MS, 100);
	ck_assert_uint_le(timers_next_ms(&wheel, START_MS), 100 + TIMER_TICK_MS);
	timer_clear(&p.timer);
	ck_assert_uint_eq(timers_next_ms(&wheel, START_MS), UINT64_MAX);
	timer_set(&wheel, &p.timer, START_MS, UINT64_MAX);
	ck_assert_uint_gt(timers_next_ms(&wheel, START_MS), 1000000);
	timer_clear(&p.timer);
	ck_assert_uint_eq(timers_next_ms(&wheel, START_MS), UINT64_MAX);
}
END_TEST

START_TEST(for_ever_is_never)
{
	struct probe p = probe_make(on_fire);

	timer_set(&wheel, &p.timer, START_MS, UINT64_MAX);
	timers_run(&wheel, START_MS * 100);
	ck_assert_int_eq(p.fired, 0);
	/* also where it was about to fire */
	timer_set(&wheel, &p.timer, START_MS * 100, 1);
	timer_set(&wheel, &p.timer, START_MS * 100 + 20, UINT64_MAX);
	timers_run(&wheel, START_MS * 200);
	ck_assert_int_eq(p.fired, 0);
	ck_assert(timer_is_set(&p.timer));
}
END_TEST

START_TEST(an_old_idea_of_now_does_no_harm)
{
	struct probe p = probe_make(on_fire);

	timers_run(&wheel, START_MS + 10000);
	timer_set(&wheel, &p.timer, START_MS, 10);
	ck_assert_uint_eq(timers_next_ms(&wheel, START_MS + 10000), 0);
	timers_run(&wheel, START_MS + 10000);
	ck_assert_int_eq(p.fired, 1);
	timers_run(&wheel, START_MS);
	timer_set(&wheel, &p.timer, START_MS + 10000, 10);
	timers_run(&wheel, START_MS);
	ck_assert_int_eq(p.fired, 1);
	timers_run(&wheel, START_MS + 10018);
	ck_assert_int_eq(p.fired, 2);
}
END_TEST

/* Callbacks that pull the rug: the first to fire clears or frees the others. */
static struct probe *others[3];

static void
on_fire_free_all(struct timer *t)
{
	for (int i = 0; i < 3; i++) {
		timer_clear(&others[i]->timer);
		free(others[i]);
		others[i] = NULL;
	}
}

START_TEST(a_callback_may_free_its_owner_and_its_neighbours)
{
	for (uint64_t delay = 0; delay <= 1000; delay += 1000) {
		for (int i = 0; i < 3; i++) {
			others[i] = calloc(1, sizeof(*others[i]));
			timer_init(&others[i]->timer, on_fire_free_all);
			timer_set(&wheel, &others[i]->timer, START_MS, delay);
		}
		timers_run(&wheel, START_MS + 2000);
		ck_assert_ptr_null(others[0]);
	}
	ck_assert_uint_eq(timers_next_ms(&wheel, START_MS), UINT64_MAX);
}
END_TEST

static void
on_fire_push_back(struct timer *t)
{
	on_fire(t);
	for (int i = 0; i < 3; i++)
		timer_set(&wheel, &others[i]->timer, START_MS + 1008, 500);
}

START_TEST(a_callback_may_push_back_its_neighbours)
{
	struct probe probes[3];

	for (int i = 0; i < 3; i++) {
		probes[i] = probe_make(on_fire_push_back);
		others[i] = &probes[i];
		timer_set(&wheel, &probes[i].timer, START_MS, 1000);
	}
	timers_run(&wheel, START_MS + 1008);
	ck_assert_int_eq(probes[0].fired + probes[1].fired + probes[2].fired, 1);
	timers_run(&wheel, START_MS + 1507);
	ck_assert_int_eq(probes[0].fired + probes[1].fired + probes[2].fired, 1);
	for (int i = 0; i < 3; i++)
		ck_assert(timer_is_set(&probes[i].timer));
}
END_TEST

/* The model */

enum { TIMERS = 300, STEPS = 60000 };

static struct subject {
	struct timer *timer; /* on the heap: freed and made anew now and then */
	uint64_t due_ms;     /* 0: not set */
} subjects[TIMERS];

static struct timer_owner {
	struct timer timer;
	unsigned index;
} * owners[TIMERS];

static struct random dice;
static uint64_t now_ms, run_from_ms;
static unsigned long fired, fired_on_time;

static uint64_t
any_delay(void)
{
	/* as many short as long ones: up to 2^40 ms, which is beyond the last level */
	uint64_t most = 1ULL << random_below(&dice, 41);

	if (random_below(&dice, 20) == 0)
		return 0;
	return random_u64(&dice) % most;
}

static void on_subject_fire(struct timer *t);

static void
subject_make(unsigned i)
{
	owners[i] = malloc(sizeof(*owners[i]));
	if (!owners[i])
		abort();
	owners[i]->index = i;
	timer_init(&owners[i]->timer, on_subject_fire);
	subjects[i] = (struct subject){.timer = &owners[i]->timer};
}

static void
subject_set(unsigned i, uint64_t delay_ms)
{
	timer_set(&wheel, subjects[i].timer, now_ms, delay_ms);
	subjects[i].due_ms = now_ms + delay_ms;
}

static void
subject_clear(unsigned i)
{
	timer_clear(subjects[i].timer);
	subjects[i].due_ms = 0;
}

static void
subject_replace(unsigned i)
{
	subject_clear(i);
	free(owners[i]);
	subject_make(i);
}

static void
any_operation(void)
{
	unsigned i = random_below(&dice, TIMERS);

	switch (random_below(&dice, 8)) {
	case 0: subject_clear(i); break;
	case 1: subject_replace(i); break;
	case 2: /* what connections do: the same timeout, over and over */
		subject_set(i, 60000);
		break;
	default: subject_set(i, any_delay());
	}
}

static void
on_subject_fire(struct timer *t)
{
	unsigned i = container_of(t, struct timer_owner, timer)->index;

	if (timer_is_set(t) || !subjects[i].due_ms || subjects[i].due_ms > now_ms)
		ck_abort_msg("fired early, or not set at all");
	fired++;
	/* was the wheel run when it asked for it, nothing is later than a tick */
	fired_on_time += subjects[i].due_ms + TIMER_TICK_MS > now_ms;
	subjects[i].due_ms = 0;
	if (random_below(&dice, 4) == 0)
		subject_replace(i);
	while (random_below(&dice, 3) == 0)
		any_operation();
}

static uint64_t
first_due(void)
{
	uint64_t first = UINT64_MAX;

	for (unsigned i = 0; i < TIMERS; i++)
		if (subjects[i].due_ms && subjects[i].due_ms < first)
			first = subjects[i].due_ms;
	return first;
}

/* Nothing is overdue by a tick, but for what callbacks set for the next run. (One
 * assertion for all: Check writes a note of each into a pipe.) */
static void
check_after_run(void)
{
	unsigned confused = 0, overdue = 0;

	for (unsigned i = 0; i < TIMERS; i++) {
		uint64_t due = subjects[i].due_ms;

		confused += timer_is_set(subjects[i].timer) != (due != 0);
		overdue += due != 0 && due + TIMER_TICK_MS <= now_ms;
	}
	if (confused || overdue)
		ck_abort_msg("%u confused, %u overdue", confused, overdue);
}

static void
check_next(void)
{
	uint64_t wait = timers_next_ms(&wheel, now_ms), first = first_due();

	if (first == UINT64_MAX && wait != UINT64_MAX)
		ck_abort_msg("an empty wheel wants to be run");
	if (first != UINT64_MAX && now_ms + wait >= first + TIMER_TICK_MS)
		ck_abort_msg("the next run would come too late");
}

static void
model_start(uint64_t seed)
{
	random_seed(&dice, seed);
	now_ms = run_from_ms = START_MS + seed * 12345;
	fired = fired_on_time = 0;
	timers_init(&wheel, now_ms);
	for (unsigned i = 0; i < TIMERS; i++)
		subject_make(i);
}

static void
model_stop(void)
{
	for (unsigned i = 0; i < TIMERS; i++) {
		subject_clear(i);
		free(owners[i]);
	}
	ck_assert_uint_eq(timers_next_ms(&wheel, now_ms), UINT64_MAX);
}

START_TEST(model_with_runs_at_any_time)
{
	model_start((uint64_t)_i);
	for (int step = 0; step < STEPS; step++) {
		any_operation();
		if (random_below(&dice, 8) == 0)
			check_next();
		if (random_below(&dice, 3))
			continue;
		/* mostly small steps, now and then over hours */
		now_ms += random_u64(&dice) % (1ULL << random_below(&dice, 26));
		timers_run(&wheel, now_ms);
		check_after_run();
		check_next();
	}
	ck_assert_uint_gt(fired, 1000);
	ck_assert_uint_gt(now_ms - run_from_ms, 3ULL * 86400 * 1000);
	model_stop();
}
END_TEST

START_TEST(model_with_runs_when_asked_for)
{
	model_start((uint64_t)_i + 100);
	for (int step = 0; step < STEPS; step++) {
		uint64_t wait = timers_next_ms(&wheel, now_ms);
		uint64_t pause = random_below(&dice, 1000);

		check_next();
		if (random_below(&dice, 3) && wait > pause) {
			now_ms += pause;
			any_operation();
		} else if (wait != UINT64_MAX) {
			now_ms += wait;
			timers_run(&wheel, now_ms);
			check_after_run();
		} else {
			any_operation();
		}
	}
	ck_assert_uint_gt(fired, 1000);
	ck_assert_msg(fired_on_time == fired, "%lu of %lu on time", fired_on_time,
	    fired);
	model_stop();
}
END_TEST

Suite *
suite_timer(void)
{
	Suite *s = suite_create("timer");
	TCase *tc = tcase_create("plain"), *model = tcase_create("model");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, fires_at_its_time_and_once);
	tcase_add_test(tc, delay_0_fires_at_the_next_run);
	tcase_add_test(tc, delay_0_in_a_callback_waits_for_the_next_run);
	tcase_add_test(tc, cleared_timers_do_not_fire);
	tcase_add_test(tc, setting_later_moves_only_the_due_time);
	tcase_add_test(tc, setting_earlier_fires_earlier);
	tcase_add_test(tc, set_anew_with_each_request_it_never_fires);
	tcase_add_test(tc, an_empty_wheel_needs_no_run);
	tcase_add_test(tc, for_ever_is_never);
	tcase_add_test(tc, an_old_idea_of_now_does_no_harm);
	tcase_add_test(tc, a_callback_may_free_its_owner_and_its_neighbours);
	tcase_add_test(tc, a_callback_may_push_back_its_neighbours);
	suite_add_tcase(s, tc);
	tcase_set_timeout(model, 60);
	tcase_add_loop_test(model, model_with_runs_at_any_time, 0, 4);
	tcase_add_loop_test(model, model_with_runs_when_asked_for, 0, 4);
	suite_add_tcase(s, model);
	return s;
}
