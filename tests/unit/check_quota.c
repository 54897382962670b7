/* SPDX-License-Identifier: MIT
 *
 * check_quota.c - buckets, seats and who gives way to whom, many threads at once.
 */
#include "base/clock.h"
#include "base/random.h"
#include "route/quota.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

Suite *suite_quota(void);

enum { SEATS = 8, THREADS = 4, ROUNDS = 4000, PEOPLE = 3 };

static struct quota *q;
static unsigned retry;

static void
setup(void)
{
	clock_fake_set(1000000);
	q = quota_new(1 << 20);
	ck_assert_ptr_nonnull(q);
}

static void
teardown(void)
{
	quota_free(q);
	clock_fake_stop();
}

static struct hash128
key_of(uint64_t n)
{
	return hash_table_key(1, &n, sizeof(n));
}

/* Keys that share a shard. */
static struct hash128
neighbour(uint64_t n)
{
	return (struct hash128){n * UINT64_C(0x9e3779b97f4a7c15), n * 64};
}

static enum reason
enter(const struct config_client_limits *limits, struct hash128 key,
    struct quota_hold *hold)
{
	retry = 0;
	return quota_enter(q, limits, key, false, clock_now_ms(), hold, &retry);
}

/* A request that holds nothing. */
static enum reason
ask(const struct config_client_limits *limits, struct hash128 key)
{
	struct quota_hold hold = {0};
	enum reason why = enter(limits, key, &hold);

	ck_assert_ptr_null(hold.client);
	return why;
}

static enum reason
shake_hands(const struct config_client_limits *limits, struct hash128 key)
{
	struct quota_hold hold = {0};

	return quota_enter(q, limits, key, true, clock_now_ms(), &hold, &retry);
}

static unsigned
granted(const struct config_client_limits *limits, struct hash128 key, unsigned tries)
{
	unsigned n = 0;

	while (tries--)
		n += ask(limits, key) == REASON_NONE;
	return n;
}

static void
sweep_all(void)
{
	for (int i = 0; i < 100; i++)
		quota_sweep(q, clock_now_ms());
}

/* ---- rates */

START_TEST(no_limits_apply_by_default)
{
	struct config_client_limits limits = {0};

	ck_assert(!quota_applies(&limits));
	ck_assert_uint_eq(granted(&limits, key_of(1), 1000), 1000);
	ck_assert_int_eq(shake_hands(&limits, key_of(1)), REASON_NONE);
	ck_assert_uint_eq(quota_size(q), 0);
}
END_TEST

START_TEST(each_limit_applies_on_its_own)
{
	ck_assert(quota_applies(&(struct config_client_limits){.rate = 1}));
	ck_assert(quota_applies(&(struct config_client_limits){.exchanges = 1}));
	ck_assert(quota_applies(&(struct config_client_limits){.sessions = 1}));
	ck_assert(quota_applies(&(struct config_client_limits){.upgrades = 1}));
	ck_assert(!quota_applies(&(struct config_client_limits){.burst = 1}));
}
END_TEST

START_TEST(a_rate_lets_its_burst_through_and_then_one_by_one)
{
	struct config_client_limits limits = {.rate = 10, .burst = 5};
	struct hash128 key = key_of(1);

	ck_assert_uint_eq(granted(&limits, key, 20), 5);
	ck_assert_int_eq(ask(&limits, key), REASON_CLIENT_RATE);
	ck_assert_uint_eq(retry, 1);
	clock_fake_advance(99);
	ck_assert_uint_eq(granted(&limits, key, 20), 0);
	clock_fake_advance(1);
	ck_assert_uint_eq(granted(&limits, key, 20), 1);
	clock_fake_advance(300);
	ck_assert_uint_eq(granted(&limits, key, 20), 3);
	clock_fake_advance(100000);
	ck_assert_uint_eq(granted(&limits, key, 20), 5);
}
END_TEST

START_TEST(without_a_burst_it_is_the_rate)
{
	static const unsigned rates[] = {1, 3, 7, 1000};

	for (unsigned i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct config_client_limits limits = {.rate = rates[i]};

		ck_assert_uint_eq(granted(&limits, key_of(i), 2 * rates[i]), rates[i]);
	}
}
END_TEST

START_TEST(over_a_long_time_the_rate_holds)
{
	struct config_client_limits limits = {.rate = 7, .burst = 3};
	unsigned n = 0;

	for (int ms = 0; ms < 60000; ms += 20) {
		n += ask(&limits, key_of(1)) == REASON_NONE;
		clock_fake_advance(20);
	}
	ck_assert_uint_ge(n, 7 * 60);
	ck_assert_uint_le(n, 7 * 60 + 3);
}
END_TEST

START_TEST(what_is_refused_takes_nothing)
{
	struct config_client_limits limits = {.rate = 1};

	ck_assert_uint_eq(granted(&limits, key_of(1), 1000), 1);
	clock_fake_advance(1000);
	ck_assert_uint_eq(granted(&limits, key_of(1), 1000), 1);
}
END_TEST

START_TEST(clients_do_not_share_a_bucket)
{
	struct config_client_limits limits = {.rate = 2};

	ck_assert_uint_eq(granted(&limits, neighbour(1), 9), 2);
	ck_assert_uint_eq(granted(&limits, neighbour(2), 9), 2);
	ck_assert_uint_eq(quota_size(q), 2);
}
END_TEST

START_TEST(upgrades_are_counted_by_the_minute_and_say_when_to_come_back)
{
	struct config_client_limits limits = {.upgrades = 3};
	struct hash128 key = key_of(1);

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(shake_hands(&limits, key), REASON_NONE);
	ck_assert_int_eq(shake_hands(&limits, key), REASON_CLIENT_UPGRADES);
	ck_assert_uint_eq(retry, 20);
	ck_assert_uint_eq(granted(&limits, key, 100), 100);
	clock_fake_advance(500);
	ck_assert_int_eq(shake_hands(&limits, key), REASON_CLIENT_UPGRADES);
	ck_assert_uint_eq(retry, 20);
	clock_fake_advance(18501);
	ck_assert_int_eq(shake_hands(&limits, key), REASON_CLIENT_UPGRADES);
	ck_assert_uint_eq(retry, 1);
	clock_fake_advance(999);
	ck_assert_int_eq(shake_hands(&limits, key), REASON_NONE);
	ck_assert_int_eq(shake_hands(&limits, key), REASON_CLIENT_UPGRADES);
}
END_TEST

START_TEST(a_handshake_that_one_limit_refuses_takes_nothing_of_the_others)
{
	struct config_client_limits both = {.rate = 5, .upgrades = 1};
	struct config_client_limits rate = {.rate = 5};

	ck_assert_int_eq(shake_hands(&both, key_of(1)), REASON_NONE);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(shake_hands(&both, key_of(1)), REASON_CLIENT_UPGRADES);
	ck_assert_uint_eq(granted(&rate, key_of(1), 10), 4);
}
END_TEST

START_TEST(a_reload_with_a_higher_rate_helps_at_once)
{
	struct config_client_limits slow = {.rate = 1, .burst = 100};
	struct config_client_limits fast = {.rate = 100, .burst = 10};

	ck_assert_uint_eq(granted(&slow, key_of(1), 200), 100);
	clock_fake_advance(100); /* owes 99.9 s by the old limits */
	ck_assert_int_eq(ask(&fast, key_of(1)), REASON_CLIENT_RATE);
	ck_assert_uint_eq(retry, 1);
	clock_fake_advance(10);
	ck_assert_uint_eq(granted(&fast, key_of(1), 200), 1);
	clock_fake_advance(10000);
	ck_assert_uint_eq(granted(&fast, key_of(1), 200), 10);
}
END_TEST

START_TEST(the_largest_limits_do_not_overflow)
{
	struct config_client_limits limits = {.rate = 1, .burst = UINT32_MAX};
	struct config_client_limits most = {.rate = UINT32_MAX, .upgrades = UINT32_MAX};

	ck_assert_uint_eq(granted(&limits, key_of(1), 1000), 1000);
	ck_assert_uint_eq(granted(&most, key_of(2), 1000), 1000);
	ck_assert_int_eq(shake_hands(&most, key_of(2)), REASON_NONE);
}
END_TEST

/* ---- exchanges at once */

START_TEST(exchanges_are_counted_until_they_are_left)
{
	struct config_client_limits limits = {.exchanges = 2};
	struct quota_hold a = {0}, b = {0}, c = {0};

	ck_assert_int_eq(enter(&limits, key_of(1), &a), REASON_NONE);
	ck_assert_int_eq(enter(&limits, key_of(1), &b), REASON_NONE);
	ck_assert_int_eq(enter(&limits, key_of(1), &c), REASON_CLIENT_EXCHANGES);
	ck_assert_uint_eq(retry, 1);
	ck_assert_int_eq(enter(&limits, key_of(2), &c), REASON_NONE);
	quota_leave(q, &c);
	quota_leave(q, &a);
	quota_leave(q, &a); /* no harm */
	ck_assert_int_eq(enter(&limits, key_of(1), &c), REASON_NONE);
	ck_assert_int_eq(enter(&limits, key_of(1), &a), REASON_CLIENT_EXCHANGES);
	quota_leave(q, &a);
	quota_leave(q, &b);
	quota_leave(q, &c);
}
END_TEST

START_TEST(too_many_at_once_take_nothing_of_the_rate)
{
	struct config_client_limits limits = {.rate = 3, .exchanges = 1};
	struct quota_hold a = {0}, b = {0};

	ck_assert_int_eq(enter(&limits, key_of(1), &a), REASON_NONE);
	for (int i = 0; i < 9; i++)
		ck_assert_int_eq(enter(&limits, key_of(1), &b),
		    REASON_CLIENT_EXCHANGES);
	quota_leave(q, &a);
	ck_assert_int_eq(enter(&limits, key_of(1), &a), REASON_NONE);
	quota_leave(q, &a);
	ck_assert_int_eq(enter(&limits, key_of(1), &a), REASON_NONE);
	quota_leave(q, &a);
	ck_assert_int_eq(enter(&limits, key_of(1), &a), REASON_CLIENT_RATE);
}
END_TEST

/* ---- the table */

START_TEST(clients_are_forgotten_when_nothing_counts_any_more)
{
	struct config_client_limits limits = {.rate = 10, .exchanges = 5};
	struct quota_hold hold = {0}, other = {0};

	enter(&limits, key_of(1), &hold);
	enter(&limits, key_of(2), &other);
	quota_leave(q, &other);
	sweep_all();
	ck_assert_uint_eq(quota_size(q), 2); /* its bucket is not full */
	clock_fake_advance(100);
	sweep_all();
	ck_assert_uint_eq(quota_size(q), 1); /* the other one is here */
	quota_leave(q, &hold);
	sweep_all();
	ck_assert_uint_eq(quota_size(q), 0);
}
END_TEST

START_TEST(a_sweep_passes_those_who_must_stay)
{
	struct config_client_limits slow = {.rate = 1, .burst = 60};
	struct config_client_limits fast = {.rate = 1000};

	granted(&slow, neighbour(0), 60);
	for (uint64_t i = 1; i < 1000; i++)
		ask(&fast, neighbour(i));
	clock_fake_advance(2);
	sweep_all();
	ck_assert_uint_eq(quota_size(q), 1);
	ck_assert_uint_eq(granted(&slow, neighbour(0), 1), 0);
	clock_fake_advance(61000);
	sweep_all();
	ck_assert_uint_eq(quota_size(q), 0);
}
END_TEST

START_TEST(a_sweep_goes_on_past_those_who_got_busy)
{
	struct config_client_limits limits = {.rate = 1, .exchanges = 1};
	struct config_client_limits rate = {.rate = 1};
	struct quota_hold holds[40] = {0};

	for (uint64_t i = 0; i < 40; i++)
		ask(&rate, neighbour(i));
	quota_sweep(q, clock_now_ms()); /* looks at some of them */
	clock_fake_advance(1000);
	for (uint64_t i = 10; i < 30; i++)
		enter(&limits, neighbour(i), &holds[i]);
	clock_fake_advance(1000);
	sweep_all();
	ck_assert_uint_eq(quota_size(q), 20);
	for (uint64_t i = 10; i < 30; i++)
		quota_leave(q, &holds[i]);
	sweep_all();
	ck_assert_uint_eq(quota_size(q), 0);
}
END_TEST

START_TEST(in_a_full_table_the_longest_idle_makes_room)
{
	struct config_client_limits limits = {.rate = 1};

	quota_free(q);
	q = quota_new(4 * 64);
	for (uint64_t i = 0; i < 4; i++)
		ck_assert_int_eq(ask(&limits, neighbour(i)), REASON_NONE);
	ck_assert_int_eq(ask(&limits, neighbour(0)), REASON_CLIENT_RATE);
	ck_assert_int_eq(ask(&limits, neighbour(4)), REASON_NONE);
	ck_assert_uint_eq(quota_size(q), 4);
	/* 1 went, since 0 had asked again */
	ck_assert_int_eq(ask(&limits, neighbour(0)), REASON_CLIENT_RATE);
	ck_assert_int_eq(ask(&limits, neighbour(1)), REASON_NONE);
}
END_TEST

START_TEST(who_finds_no_room_goes_uncounted)
{
	struct config_client_limits limits = {.exchanges = 1, .sessions = 1};
	struct quota_hold held = {0}, free = {0};
	struct quota_seat seat = {0};

	quota_free(q);
	q = quota_new(1);
	ck_assert_int_eq(enter(&limits, neighbour(1), &held), REASON_NONE);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(ask(&limits, neighbour(2)), REASON_NONE);
	ck_assert_int_eq(quota_sit(q, &limits, neighbour(2), &seat), QUOTA_SEATED);
	ck_assert_ptr_null(seat.client);
	quota_rise(q, &seat);
	quota_leave(q, &held);
	ck_assert_int_eq(enter(&limits, neighbour(2), &free), REASON_NONE);
	ck_assert_ptr_nonnull(free.client);
	quota_leave(q, &free);
}
END_TEST

/* ---- seats */

/* What the owners of seats were told, as "leave 1" or "seated 2", in order. */
static char told[256];
static bool deaf; /* no memory for a message */

static bool
note(const char *what, const struct quota_seat *seat)
{
	size_t n = strlen(told);

	if (deaf)
		return false;
	snprintf(told + n, sizeof(told) - n, "%s%s %u", n ? ", " : "", what,
	    (unsigned)seat->who);
	return true;
}

static bool
on_leave(const struct quota_seat *seat)
{
	return note("leave", seat);
}

static bool
on_seated(const struct quota_seat *seat)
{
	return note("seated", seat);
}

static const struct quota_seat_ops seat_ops = {on_leave, on_seated};

static struct quota_seat seats[SEATS];

static void
seats_setup(void)
{
	setup();
	told[0] = '\0';
	deaf = false;
	memset(seats, 0, sizeof(seats));
	for (unsigned i = 0; i < SEATS; i++) {
		seats[i].ops = &seat_ops;
		seats[i].who = i;
	}
}

/* Whatever a test did, nothing is left when all have gone. */
static void
seats_teardown(void)
{
	for (unsigned i = 0; i < SEATS; i++)
		quota_rise(q, &seats[i]);
	sweep_all();
	ck_assert_uint_eq(quota_size(q), 0);
	teardown();
}

static const struct config_client_limits refuse_two = {.sessions = 2};
static const struct config_client_limits refuse_one = {.sessions = 1};
static const struct config_client_limits replace_one = {.sessions = 1,
    .excess = EXCESS_REPLACE_OLDEST};
static const struct config_client_limits replace_two = {.sessions = 2,
    .excess = EXCESS_REPLACE_OLDEST};
static const struct config_client_limits replace_three = {.sessions = 3,
    .excess = EXCESS_REPLACE_OLDEST};

static enum quota_answer
sit(const struct config_client_limits *limits, unsigned i)
{
	return quota_sit(q, limits, key_of(7), &seats[i]);
}

static void
rise(unsigned i)
{
	quota_rise(q, &seats[i]);
}

/* Since the last call. */
static void
was_told(const char *what)
{
	ck_assert_str_eq(told, what);
	told[0] = '\0';
}

START_TEST(without_a_limit_nobody_is_counted)
{
	struct config_client_limits limits = {.rate = 1,
	    .excess = EXCESS_REPLACE_OLDEST};

	for (unsigned i = 0; i < SEATS; i++)
		ck_assert_int_eq(sit(&limits, i), QUOTA_SEATED);
	ck_assert_uint_eq(quota_size(q), 0);
}
END_TEST

START_TEST(refuse_lets_nobody_in_until_a_seat_is_free)
{
	ck_assert_int_eq(sit(&refuse_two, 0), QUOTA_SEATED);
	ck_assert_int_eq(sit(&refuse_two, 1), QUOTA_SEATED);
	ck_assert_int_eq(sit(&refuse_two, 2), QUOTA_FULL);
	rise(2); /* it holds nothing */
	ck_assert_int_eq(sit(&refuse_two, 2), QUOTA_FULL);
	rise(0);
	rise(0);
	ck_assert_int_eq(sit(&refuse_two, 2), QUOTA_SEATED);
	ck_assert_int_eq(sit(&refuse_two, 0), QUOTA_FULL);
	was_told("");
}
END_TEST

START_TEST(replace_waits_for_the_oldest_to_go)
{
	sit(&replace_two, 0);
	sit(&replace_two, 1);
	was_told("");
	ck_assert_int_eq(sit(&replace_two, 2), QUOTA_WAIT);
	was_told("leave 0");
	rise(0);
	was_told("seated 2");
	rise(0);
	was_told("");
	ck_assert_int_eq(sit(&replace_two, 3), QUOTA_WAIT);
	was_told("leave 1");
}
END_TEST

START_TEST(several_wait_in_order_each_for_one_that_goes)
{
	for (unsigned i = 0; i < 3; i++)
		sit(&replace_three, i);
	for (unsigned i = 3; i < 6; i++)
		ck_assert_int_eq(sit(&replace_three, i), QUOTA_WAIT);
	was_told("leave 0, leave 1, leave 2");
	rise(2);
	was_told("seated 3");
	rise(0);
	was_told("seated 4");
	rise(1);
	was_told("seated 5");
}
END_TEST

START_TEST(who_waits_is_replaced_too)
{
	sit(&replace_one, 0);
	ck_assert_int_eq(sit(&replace_one, 1), QUOTA_WAIT);
	ck_assert_int_eq(sit(&replace_one, 2), QUOTA_WAIT);
	was_told("leave 0, leave 1");
	rise(1); /* it only waited: nobody can sit yet */
	was_told("");
	rise(0);
	was_told("seated 2");
}
END_TEST

START_TEST(one_that_waits_and_must_leave_is_not_seated)
{
	sit(&replace_one, 0);
	sit(&replace_one, 1);
	sit(&replace_one, 2);
	was_told("leave 0, leave 1");
	rise(0);
	was_told("seated 2");
	rise(1);
	was_told("");
}
END_TEST

START_TEST(one_that_leaves_makes_way_for_a_later_one_when_the_first_gave_up)
{
	sit(&replace_one, 0);
	sit(&replace_one, 1);
	was_told("leave 0");
	rise(1); /* its client is gone */
	was_told("");
	ck_assert_int_eq(sit(&replace_one, 2), QUOTA_WAIT);
	was_told(""); /* 0 is on its way out already */
	rise(0);
	was_told("seated 2");
}
END_TEST

START_TEST(a_seat_that_is_given_back_with_nobody_waiting_is_free)
{
	sit(&replace_one, 0);
	sit(&replace_one, 1);
	rise(1);
	rise(0);
	was_told("leave 0");
	ck_assert_int_eq(sit(&replace_one, 2), QUOTA_SEATED);
}
END_TEST

START_TEST(the_middle_of_the_row_may_go_first)
{
	for (unsigned i = 0; i < 3; i++)
		sit(&replace_three, i);
	rise(1);
	ck_assert_int_eq(sit(&replace_three, 3), QUOTA_SEATED);
	ck_assert_int_eq(sit(&replace_three, 4), QUOTA_WAIT);
	was_told("leave 0");
	ck_assert_int_eq(sit(&replace_three, 5), QUOTA_WAIT);
	was_told("leave 2");
}
END_TEST

START_TEST(a_lower_limit_makes_more_than_one_leave)
{
	for (unsigned i = 0; i < 3; i++)
		sit(&replace_three, i);
	ck_assert_int_eq(sit(&replace_one, 3), QUOTA_WAIT);
	was_told("leave 0, leave 1, leave 2");
	rise(0);
	rise(1);
	was_told("");
	rise(2);
	was_told("seated 3");
}
END_TEST

START_TEST(a_lower_limit_that_refuses_waits_until_there_is_room)
{
	for (unsigned i = 0; i < 3; i++)
		sit(&replace_three, i);
	ck_assert_int_eq(sit(&refuse_one, 3), QUOTA_FULL);
	rise(0);
	rise(1);
	ck_assert_int_eq(sit(&refuse_one, 3), QUOTA_FULL);
	rise(2);
	ck_assert_int_eq(sit(&refuse_one, 3), QUOTA_SEATED);
	was_told("");
}
END_TEST

START_TEST(a_higher_limit_seats_who_waits_before_who_comes)
{
	sit(&replace_one, 0);
	sit(&replace_one, 1);
	was_told("leave 0");
	ck_assert_int_eq(sit(&replace_two, 2), QUOTA_WAIT);
	was_told("seated 1");
	rise(0);
	was_told("seated 2");
}
END_TEST

START_TEST(who_waits_counts_where_a_reload_refuses)
{
	sit(&replace_one, 0);
	sit(&replace_one, 1);
	ck_assert_int_eq(sit(&refuse_one, 2), QUOTA_FULL);
	rise(0);
	was_told("leave 0, seated 1");
	ck_assert_int_eq(sit(&refuse_one, 2), QUOTA_FULL);
}
END_TEST

START_TEST(an_exchange_hands_its_seat_to_its_session)
{
	sit(&replace_two, 0);
	sit(&replace_two, 1);
	quota_seat_move(q, &seats[5], &seats[0]);
	rise(0); /* is free already */
	ck_assert_int_eq(sit(&replace_two, 2), QUOTA_WAIT);
	was_told("leave 5"); /* as old as the one it came from */
	rise(5);
	was_told("seated 2");
	rise(5);
	was_told("");
}
END_TEST

START_TEST(told_to_leave_in_the_moment_of_moving_is_told_again)
{
	sit(&replace_one, 0);
	sit(&replace_one, 1);
	was_told("leave 0");
	quota_seat_move(q, &seats[5], &seats[0]);
	was_told("leave 5");
	rise(5);
	was_told("seated 1");
}
END_TEST

START_TEST(moving_a_seat_that_nobody_counts_is_fine)
{
	quota_seat_move(q, &seats[5], &seats[0]);
	rise(0);
	rise(5);
	ck_assert_uint_eq(quota_size(q), 0);
}
END_TEST

START_TEST(whom_no_message_reaches_stays)
{
	sit(&replace_one, 0);
	deaf = true;
	ck_assert_int_eq(sit(&replace_one, 1), QUOTA_FULL);
	deaf = false;
	ck_assert_int_eq(sit(&replace_one, 1), QUOTA_WAIT);
	was_told("leave 0");
	deaf = true;
	rise(0);
	deaf = false;
	was_told("");
	ck_assert_int_eq(sit(&replace_two, 2), QUOTA_SEATED); /* and 1 before it */
	was_told("seated 1");
	ck_assert_int_eq(sit(&replace_two, 3), QUOTA_WAIT);
	was_told("leave 1");
	deaf = true;
	quota_seat_move(q, &seats[5], &seats[1]);
	deaf = false;
	ck_assert_int_eq(sit(&replace_two, 4), QUOTA_WAIT);
	was_told("leave 5, leave 2");
}
END_TEST

START_TEST(clients_have_seats_of_their_own)
{
	ck_assert_int_eq(quota_sit(q, &refuse_one, neighbour(1), &seats[0]),
	    QUOTA_SEATED);
	ck_assert_int_eq(quota_sit(q, &refuse_one, neighbour(2), &seats[1]),
	    QUOTA_SEATED);
	ck_assert_int_eq(quota_sit(q, &refuse_one, neighbour(1), &seats[2]),
	    QUOTA_FULL);
}
END_TEST

/* ---- many threads */

enum { CROWD_SESSIONS = 4, CROWD_LIMIT = 3 };

/* One session of a thread: what was posted to it comes in flags. */
struct guest {
	struct quota_seat seat, next;
	atomic_bool leave, seated;
	unsigned person;
	bool sits;
};

struct crowd {
	struct random dice;
	struct guest guests[CROWD_SESSIONS];
	unsigned sessions;
};

static atomic_int sitting[PEOPLE], at_work[PEOPLE];
static atomic_uint too_many, replaced;

static bool
guest_leave(const struct quota_seat *seat)
{
	struct guest *guest = seat->worker;

	atomic_store(&guest->leave, true);
	return seat->who != 13; /* now and then memory is out */
}

static bool
guest_seated(const struct quota_seat *seat)
{
	struct guest *guest = seat->worker;

	atomic_store(&guest->seated, true);
	return true;
}

static const struct quota_seat_ops guest_ops = {guest_leave, guest_seated};

static void
guest_sat_down(struct crowd *crowd, struct guest *g)
{
	g->sits = true;
	crowd->sessions++;
	if (atomic_fetch_add(&sitting[g->person], 1) >= CROWD_LIMIT)
		atomic_fetch_add(&too_many, 1);
}

static void
guest_goes(struct guest *g)
{
	if (g->sits)
		atomic_fetch_sub(&sitting[g->person], 1);
	g->sits = false;
	quota_rise(q, &g->seat);
}

static void
guest_comes(struct crowd *crowd, struct guest *g)
{
	struct config_client_limits limits = {.sessions = CROWD_LIMIT,
	    .excess =
		random_below(&crowd->dice, 4) ? EXCESS_REPLACE_OLDEST : EXCESS_REFUSE};
	enum quota_answer answer;

	atomic_store(&g->leave, false);
	atomic_store(&g->seated, false);
	g->person = random_below(&crowd->dice, PEOPLE);
	g->seat.ops = &guest_ops;
	g->seat.worker = g;
	g->seat.who = random_below(&crowd->dice, 100);
	answer = quota_sit(q, &limits, neighbour(g->person), &g->seat);
	if (answer == QUOTA_SEATED)
		guest_sat_down(crowd, g);
	if (answer == QUOTA_WAIT)
		atomic_fetch_add(&replaced, 1);
}

static void
guest_moves(struct guest *g)
{
	g->next = (struct quota_seat){.ops = &guest_ops, .worker = g, .who = 1};
	quota_seat_move(q, &g->next, &g->seat);
	g->seat = (struct quota_seat){.ops = &guest_ops, .worker = g, .who = 2};
	quota_seat_move(q, &g->seat, &g->next);
}

static void
guest_step(struct crowd *crowd, struct guest *g)
{
	if (!g->seat.client)
		guest_comes(crowd, g);
	else if (!g->sits && atomic_load(&g->seated))
		guest_sat_down(crowd, g);
	else if (atomic_load(&g->leave) || random_below(&crowd->dice, 8) == 0)
		guest_goes(g);
	else
		guest_moves(g);
}

/* Nobody may ever be at work beside more than the limit allows. */
static void
crowd_works(struct crowd *crowd)
{
	struct config_client_limits limits = {.exchanges = 2};
	unsigned person = random_below(&crowd->dice, PEOPLE), retry_s;
	struct quota_hold hold = {0};

	if (quota_enter(q, &limits, neighbour(person), false, 1000, &hold, &retry_s))
		return;
	if (atomic_fetch_add(&at_work[person], 1) >= 2)
		atomic_fetch_add(&too_many, 1);
	sched_yield();
	atomic_fetch_sub(&at_work[person], 1);
	quota_leave(q, &hold);
}

static void *
crowd_run(void *arg)
{
	struct crowd *crowd = arg;

	for (unsigned round = 0; round < ROUNDS; round++) {
		guest_step(crowd, &crowd->guests[round % CROWD_SESSIONS]);
		crowd_works(crowd);
		if (round % 64 == 0)
			quota_sweep(q, 1000);
	}
	for (unsigned i = 0; i < CROWD_SESSIONS; i++)
		guest_goes(&crowd->guests[i]);
	return NULL;
}

START_TEST(no_interleaving_lets_too_many_in)
{
	static struct crowd crowds[THREADS];
	pthread_t threads[THREADS];
	unsigned sessions = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		random_seed(&crowds[i].dice, i);
		pthread_create(&threads[i], NULL, crowd_run, &crowds[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		sessions += crowds[i].sessions;
	}
	ck_assert_uint_gt(sessions, 0);
	ck_assert_uint_gt(atomic_load(&replaced), 0);
	ck_assert_uint_eq(atomic_load(&too_many), 0);
	for (unsigned i = 0; i < PEOPLE; i++)
		ck_assert_int_eq(atomic_load(&sitting[i]), 0);
	sweep_all();
	ck_assert_uint_eq(quota_size(q), 0);
}
END_TEST

static TCase *
rates(void)
{
	TCase *t = tcase_create("rates");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, no_limits_apply_by_default);
	tcase_add_test(t, each_limit_applies_on_its_own);
	tcase_add_test(t, a_rate_lets_its_burst_through_and_then_one_by_one);
	tcase_add_test(t, without_a_burst_it_is_the_rate);
	tcase_add_test(t, over_a_long_time_the_rate_holds);
	tcase_add_test(t, what_is_refused_takes_nothing);
	tcase_add_test(t, clients_do_not_share_a_bucket);
	tcase_add_test(t, upgrades_are_counted_by_the_minute_and_say_when_to_come_back);
	tcase_add_test(t,
	    a_handshake_that_one_limit_refuses_takes_nothing_of_the_others);
	tcase_add_test(t, a_reload_with_a_higher_rate_helps_at_once);
	tcase_add_test(t, the_largest_limits_do_not_overflow);
	tcase_add_test(t, exchanges_are_counted_until_they_are_left);
	tcase_add_test(t, too_many_at_once_take_nothing_of_the_rate);
	return t;
}

static TCase *
table(void)
{
	TCase *t = tcase_create("table");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, clients_are_forgotten_when_nothing_counts_any_more);
	tcase_add_test(t, a_sweep_passes_those_who_must_stay);
	tcase_add_test(t, a_sweep_goes_on_past_those_who_got_busy);
	tcase_add_test(t, in_a_full_table_the_longest_idle_makes_room);
	tcase_add_test(t, who_finds_no_room_goes_uncounted);
	tcase_add_test(t, no_interleaving_lets_too_many_in);
	tcase_set_timeout(t, 60);
	return t;
}

static TCase *
seating(void)
{
	TCase *t = tcase_create("seats");

	tcase_add_checked_fixture(t, seats_setup, seats_teardown);
	tcase_add_test(t, without_a_limit_nobody_is_counted);
	tcase_add_test(t, refuse_lets_nobody_in_until_a_seat_is_free);
	tcase_add_test(t, replace_waits_for_the_oldest_to_go);
	tcase_add_test(t, several_wait_in_order_each_for_one_that_goes);
	tcase_add_test(t, who_waits_is_replaced_too);
	tcase_add_test(t, one_that_waits_and_must_leave_is_not_seated);
	tcase_add_test(t,
	    one_that_leaves_makes_way_for_a_later_one_when_the_first_gave_up);
	tcase_add_test(t, a_seat_that_is_given_back_with_nobody_waiting_is_free);
	tcase_add_test(t, the_middle_of_the_row_may_go_first);
	tcase_add_test(t, a_lower_limit_makes_more_than_one_leave);
	tcase_add_test(t, a_lower_limit_that_refuses_waits_until_there_is_room);
	tcase_add_test(t, a_higher_limit_seats_who_waits_before_who_comes);
	tcase_add_test(t, who_waits_counts_where_a_reload_refuses);
	tcase_add_test(t, an_exchange_hands_its_seat_to_its_session);
	tcase_add_test(t, told_to_leave_in_the_moment_of_moving_is_told_again);
	tcase_add_test(t, moving_a_seat_that_nobody_counts_is_fine);
	tcase_add_test(t, whom_no_message_reaches_stays);
	tcase_add_test(t, clients_have_seats_of_their_own);
	return t;
}

Suite *
suite_quota(void)
{
	Suite *s = suite_create("quota");

	suite_add_tcase(s, rates());
	suite_add_tcase(s, table());
	suite_add_tcase(s, seating());
	return s;
}
