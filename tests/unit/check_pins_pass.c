/* SPDX-License-Identifier: MIT
 *
 * check_pins_pass.c - pins that one process tells another: two tables, one backend of
 * each with the same name.
 */
#include "route/pins.h"
#include "upstream/backend.h"

#include <check.h>
#include <stdio.h>

Suite *suite_pins_pass(void);

enum { BACKENDS = 2, WEBSOCKET = 300000, HTTP = 15000, STAYS = 60000 };

static struct pins *old, *new;
static uint16_t era; /* of the session that was opened last */
static struct backend *there[BACKENDS], *here[BACKENDS];
static uint64_t now;

static struct backend *
backend(int i)
{
	char name[16], address[32];
	struct config_backend conf = {.name = name, .address = address, .weight = 1};

	snprintf(name, sizeof(name), "b%d", i);
	snprintf(address, sizeof(address), "127.0.0.1:%d", 9000 + i);
	return backend_new("chat", &conf);
}

static void
setup(void)
{
	now = 1000000;
	old = pins_new(100000);
	new = pins_new(100000);
	for (int i = 0; i < BACKENDS; i++) {
		there[i] = backend(i);
		here[i] = backend(i);
		ck_assert(there[i] && here[i]);
	}
}

static void
teardown(void)
{
	ck_assert(pins_counts_are_right(new, here, BACKENDS));
	pins_free(old);
	pins_free(new);
	for (int i = 0; i < BACKENDS; i++) {
		ck_assert_uint_eq(atomic_load(&there[i]->refs), 1);
		ck_assert_uint_eq(atomic_load(&here[i]->refs), 1);
		ck_assert_uint_eq(atomic_load(&here[i]->awaited), 0);
		backend_put(there[i]);
		backend_put(here[i]);
	}
}

static struct hash128
key_of(uint64_t n)
{
	return hash_table_key(1, &n, sizeof(n));
}

/* Tells the new table what is news in the old one; returns how many pins. */
static size_t
pass(void)
{
	struct pin_row rows[7];
	size_t n, sum = 0;
	bool more = true;

	while (more) {
		n = pins_news(old, rows, 7, &more);
		for (size_t i = 0; i < n; i++) {
			struct backend *b = rows[i].pin.backend;

			rows[i].pin.backend = here[b == there[1]];
			pins_inherit(new, &rows[i], now, now + STAYS);
			backend_put(b);
		}
		sum += n;
	}
	return sum;
}

static void
exchange(struct pins *pins, struct hash128 key, struct backend *b)
{
	bool held;

	backend_put(pins_bind(pins, key, b, NULL, now, false, &held));
	ck_assert(held);
	pins_exchange_end(pins, key, now, HTTP);
}

/* The index of the backend bound in the new table, or -1. */
static int
bound(struct hash128 key, struct pin *pin_r)
{
	if (!pins_lookup(new, key, now, pin_r))
		return -1;
	backend_put(pin_r->backend);
	return pin_r->backend == here[1];
}

static unsigned
awaited(int i)
{
	return atomic_load(&here[i]->awaited);
}

START_TEST(each_change_is_news_once)
{
	for (uint64_t i = 0; i < 1000; i++)
		exchange(old, key_of(i), there[i % 2]);
	ck_assert_uint_eq(pass(), 1000);
	ck_assert_uint_eq(pins_count(new), 1000);
	ck_assert_uint_eq(pass(), 0);
	exchange(old, key_of(7), there[1]);
	exchange(old, key_of(7), there[1]);
	exchange(old, key_of(1000), there[0]);
	ck_assert_uint_eq(pass(), 2);
	pins_news_again(old);
	ck_assert_uint_eq(pass(), 1001);
}
END_TEST

START_TEST(what_is_removed_meanwhile_is_no_news)
{
	for (uint64_t i = 0; i < 200; i++)
		exchange(old, key_of(i), there[0]);
	now += HTTP + 1;
	exchange(old, key_of(1000), there[0]);
	while (pins_sweep(old, now))
		;
	ck_assert_uint_eq(pins_count(old), 1);
	ck_assert_uint_eq(pass(), 1);
}
END_TEST

START_TEST(locks_have_their_rest)
{
	struct hash128 http = key_of(1), websocket = key_of(2);
	struct pin pin;

	exchange(old, http, there[1]);
	ck_assert(pins_session_open(old, websocket, there[1], now, WEBSOCKET, &era));
	now += 1000;
	pins_session_close(old, websocket, false, now, HTTP, &era);
	pass();
	ck_assert_int_eq(bound(http, &pin), 1);
	ck_assert_uint_eq(pin.http_until_ms, now - 1000 + HTTP);
	ck_assert_uint_eq(pin.websocket_until_ms, 0);
	ck_assert_int_eq(bound(websocket, &pin), 1);
	ck_assert_uint_eq(pin.websocket_until_ms, now - 1000 + WEBSOCKET);
	ck_assert_uint_eq(pin.since_ms, now - 1000);
	now += WEBSOCKET;
	ck_assert_int_eq(bound(websocket, &pin), -1);
}
END_TEST

START_TEST(sessions_are_awaited_until_they_come)
{
	struct hash128 key = key_of(1);
	struct pin pin;

	for (int i = 0; i < 2; i++)
		ck_assert(pins_session_open(old, key, there[1], now, 0, &era));
	now += WEBSOCKET;
	pass();
	ck_assert_int_eq(bound(key, &pin), 1);
	ck_assert_uint_eq(pin.awaited, 2);
	ck_assert_uint_eq(awaited(1), 2);
	ck_assert(pins_session_open(new, key, here[1], now, WEBSOCKET, &era));
	ck_assert_uint_eq(awaited(1), 1);
	pins_session_close(old, key, false, now, HTTP, &era);
	pass();
	ck_assert(pins_session_open(new, key, here[1], now, WEBSOCKET, &era));
	ck_assert_uint_eq(awaited(1), 0);
	pins_session_close(old, key, false, now, HTTP, &era);
	pass();
	ck_assert_uint_eq(awaited(1), 0);
	ck_assert_uint_eq(atomic_load(&here[1]->sessions), 2);
	for (int i = 0; i < 2; i++)
		pins_session_close(new, key, true, now, HTTP, &era);
}
END_TEST

/* A hold as long as the old process may stay would keep the planner from moving it. */
START_TEST(who_has_come_may_be_moved_soon)
{
	struct hash128 key = key_of(1), found;

	ck_assert(pins_session_open(old, key, there[0], now, 0, &era));
	pass();
	ck_assert(pins_session_open(new, key, here[0], now, 0, &era));
	now += PINS_AWAIT_MS;
	ck_assert_uint_eq(pins_collect(new, here[0], now, 0, 0, &found, 1), 1);
	pins_session_close(new, key, true, now, HTTP, &era);
}
END_TEST

START_TEST(who_left_for_good_is_awaited_for_a_moment)
{
	struct hash128 key = key_of(1);
	struct pin pin;

	ck_assert(pins_session_open(old, key, there[0], now, WEBSOCKET, &era));
	pass();
	pins_session_close(old, key, true, now, HTTP, &era);
	pass();
	ck_assert_uint_eq(awaited(0), 1);
	ck_assert_int_eq(bound(key, &pin), 0);
	ck_assert_uint_eq(pin.websocket_until_ms, 0);
	now += PINS_AWAIT_MS;
	pins_sweep(new, now);
	ck_assert_uint_eq(awaited(0), 0);
	now += HTTP;
	ck_assert_int_eq(bound(key, &pin), -1);
}
END_TEST

/* Should the old process be killed, nobody tells. */
START_TEST(nobody_is_awaited_longer_than_the_old_one_may_stay)
{
	ck_assert(pins_session_open(old, key_of(1), there[0], now, 0, &era));
	pass();
	now += STAYS;
	pins_sweep(new, now);
	ck_assert_uint_eq(awaited(0), 0);
}
END_TEST

START_TEST(exchanges_and_followers_hold_as_long_as_they_are_there)
{
	struct hash128 key = key_of(1), address = key_of(2);
	struct pin pin;
	bool held;

	backend_put(pins_bind(old, key, there[1], NULL, now, false, &held));
	ck_assert(pins_session_open(old, address, there[1], now, 0, NULL));
	pass();
	now += STAYS - 1;
	ck_assert_int_eq(bound(key, &pin), 1);
	ck_assert_int_eq(bound(address, &pin), 1);
	ck_assert_uint_eq(awaited(1), 0);
	pins_exchange_end(old, key, now, HTTP);
	pins_session_close(old, address, true, now, HTTP, NULL);
	pass();
	ck_assert_int_eq(bound(key, &pin), 1);
	ck_assert_uint_eq(pin.http_until_ms, now + HTTP);
	ck_assert_int_eq(bound(address, &pin), 1);
	ck_assert_uint_eq(pin.http_until_ms, now + HTTP);
}
END_TEST

START_TEST(moves_of_the_old_one_are_followed)
{
	struct hash128 key = key_of(1);
	struct pin pin;

	ck_assert(pins_session_open(old, key, there[0], now, WEBSOCKET, &era));
	pass();
	ck_assert(pins_move(old, key, there[0], there[1], now, WEBSOCKET));
	pass();
	ck_assert_int_eq(bound(key, &pin), 1);
	ck_assert_uint_eq(awaited(0), 0);
	ck_assert_uint_eq(awaited(1), 1);
}
END_TEST

START_TEST(what_happened_here_is_not_undone)
{
	struct hash128 key = key_of(1);
	struct pin pin;

	ck_assert(pins_session_open(old, key, there[0], now, WEBSOCKET, &era));
	pass();
	ck_assert(pins_move(new, key, here[0], here[1], now, WEBSOCKET));
	pins_session_close(old, key, false, now, HTTP, &era);
	pass();
	ck_assert_int_eq(bound(key, &pin), 1);
	ck_assert_uint_eq(awaited(0), 0);
}
END_TEST

START_TEST(a_session_there_is_more_than_a_request_here)
{
	struct hash128 key = key_of(1), other = key_of(2);
	struct pin pin;

	exchange(new, key, here[0]);
	exchange(new, other, here[0]);
	ck_assert(pins_session_open(old, key, there[1], now, WEBSOCKET, &era));
	exchange(old, other, there[1]);
	pass();
	ck_assert_int_eq(bound(key, &pin), 1);
	ck_assert_uint_eq(pin.websocket_until_ms, now + WEBSOCKET);
	ck_assert_int_eq(bound(other, &pin), 0);
}
END_TEST

START_TEST(anonymous_keys_are_nobodys)
{
	struct hash128 key = {1, 2 | HASH_ANONYMOUS};

	ck_assert(pins_session_open(old, key, there[0], now, WEBSOCKET, &era));
	for (uint64_t i = 0; i < 100; i++)
		ck_assert(!hash128_is_anonymous(key_of(i)));
	ck_assert_uint_eq(pass(), 0);
	ck_assert_uint_eq(pins_count(new), 0);
}
END_TEST

START_TEST(a_smaller_table_takes_what_fits)
{
	pins_set_max(new, 128);
	for (uint64_t i = 0; i < 1000; i++)
		exchange(old, key_of(i), there[0]);
	ck_assert_uint_eq(pass(), 1000);
	ck_assert_uint_le(pins_count(new), 128);
}
END_TEST

START_TEST(it_goes_on_to_a_third)
{
	struct pins *first = old;
	struct pin pin;

	ck_assert(pins_session_open(old, key_of(1), there[1], now, WEBSOCKET, &era));
	pass();
	old = new;
	new = pins_new(100000);
	for (int i = 0; i < BACKENDS; i++) {
		struct backend *b = there[i];

		there[i] = here[i];
		here[i] = b;
	}
	ck_assert_uint_eq(pass(), 1);
	ck_assert_int_eq(bound(key_of(1), &pin), 1);
	ck_assert_uint_eq(pin.awaited, 1);
	pins_free(first);
}
END_TEST

Suite *
suite_pins_pass(void)
{
	Suite *s = suite_create("pins_pass");
	TCase *t = tcase_create("pins_pass");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, each_change_is_news_once);
	tcase_add_test(t, what_is_removed_meanwhile_is_no_news);
	tcase_add_test(t, locks_have_their_rest);
	tcase_add_test(t, sessions_are_awaited_until_they_come);
	tcase_add_test(t, who_has_come_may_be_moved_soon);
	tcase_add_test(t, who_left_for_good_is_awaited_for_a_moment);
	tcase_add_test(t, nobody_is_awaited_longer_than_the_old_one_may_stay);
	tcase_add_test(t, exchanges_and_followers_hold_as_long_as_they_are_there);
	tcase_add_test(t, moves_of_the_old_one_are_followed);
	tcase_add_test(t, what_happened_here_is_not_undone);
	tcase_add_test(t, a_session_there_is_more_than_a_request_here);
	tcase_add_test(t, anonymous_keys_are_nobodys);
	tcase_add_test(t, a_smaller_table_takes_what_fits);
	tcase_add_test(t, it_goes_on_to_a_third);
	suite_add_tcase(s, t);
	return s;
}
