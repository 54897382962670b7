/* SPDX-License-Identifier: MIT
 *
 * check_pins.c - locks, counting, eviction, and many threads at once.
 */
#include "base/random.h"
#include "route/pins.h"
#include "upstream/backend.h"

#include <check.h>
#include <stdio.h>

Suite *suite_pins(void);

enum { BACKENDS = 4, WEBSOCKET = 300000, HTTP = 15000 };

static struct pins *pins;
static struct backend *b[BACKENDS];
static uint64_t now;
static uint16_t era;

static void
backends_new(void)
{
	for (int i = 0; i < BACKENDS; i++) {
		char name[16], address[32];
		struct config_backend conf = {.name = name,
		    .address = address,
		    .weight = 1};

		snprintf(name, sizeof(name), "b%d", i);
		snprintf(address, sizeof(address), "127.0.0.1:%d", 9000 + i);
		b[i] = backend_new("chat", &conf);
		ck_assert_ptr_nonnull(b[i]);
	}
}

static void
setup(void)
{
	now = 1000000;
	pins = pins_new(1000000);
	ck_assert_ptr_nonnull(pins);
	backends_new();
}

/* Whatever a test did, nothing but the test itself may hold a backend afterwards. */
static void
teardown(void)
{
	pins_free(pins);
	for (int i = 0; i < BACKENDS; i++) {
		ck_assert_uint_eq(atomic_load(&b[i]->refs), 1);
		ck_assert_uint_eq(atomic_load(&b[i]->sessions), 0);
		backend_put(b[i]);
	}
}

static struct hash128
key_of(uint64_t n)
{
	return hash_table_key(1, &n, sizeof(n));
}

/* A key that shares its shard with all others of this kind. */
static struct hash128
neighbour(uint64_t n)
{
	return (struct hash128){n * UINT64_C(0x9e3779b97f4a7c15), n * 64};
}

static void
drain(struct backend *backend)
{
	atomic_store(&backend->admin_state, BACKEND_DRAIN);
}

static unsigned
sessions_of(int i)
{
	return atomic_load(&b[i]->sessions);
}

/* The index of the backend bound, or -1; *pin_r without a reference. */
static int
bound(struct hash128 key, struct pin *pin_r)
{
	struct pin pin;

	if (!pins_lookup(pins, key, now, &pin))
		return -1;
	backend_put(pin.backend);
	if (pin_r)
		*pin_r = pin;
	for (int i = 0; i < BACKENDS; i++) {
		if (pin.backend == b[i])
			return i;
	}
	return -1;
}

/* Binds for an exchange; the index of the backend in force, or -1 where unbound. */
static int
bind_to(struct hash128 key, int proposed, int expected, bool force)
{
	bool held;
	struct backend *winner = pins_bind(pins, key, b[proposed],
	    expected < 0 ? NULL : b[expected], now, force, &held);
	int at = -1;

	if (!held)
		ck_assert_ptr_eq(winner, b[proposed]);
	for (int i = 0; held && i < BACKENDS; i++) {
		if (winner == b[i])
			at = i;
	}
	backend_put(winner);
	return at;
}

static void
exchange(struct hash128 key, int backend)
{
	ck_assert_int_eq(bind_to(key, backend, -1, false), backend);
	pins_exchange_end(pins, key, now, HTTP);
}

static bool
open_on(struct hash128 key, int backend)
{
	return pins_session_open(pins, key, b[backend], now, WEBSOCKET, &era);
}

static void
close_session(struct hash128 key, bool clean)
{
	pins_session_close(pins, key, clean, now, HTTP, &era);
}

START_TEST(an_exchange_holds_and_then_locks_for_fifteen_seconds)
{
	struct hash128 k = key_of(1);

	ck_assert_int_eq(bound(k, NULL), -1);
	ck_assert_int_eq(bind_to(k, 2, -1, false), 2);
	now += 60000;
	ck_assert_int_eq(bound(k, NULL), 2);
	pins_exchange_end(pins, k, now, HTTP);
	now += HTTP - 1;
	ck_assert_int_eq(bound(k, NULL), 2);
	now += 1;
	ck_assert_int_eq(bound(k, NULL), -1);
	ck_assert_uint_eq(pins_sweep(pins, now), 1);
	ck_assert_uint_eq(pins_count(pins), 0);
}
END_TEST

START_TEST(each_exchange_starts_the_http_lock_anew)
{
	struct hash128 k = key_of(1);

	exchange(k, 0);
	now += HTTP - 1;
	exchange(k, 0);
	now += HTTP - 1;
	ck_assert_int_eq(bound(k, NULL), 0);
}
END_TEST

START_TEST(a_session_locks_for_five_minutes_and_holds_as_long_as_it_is_open)
{
	struct hash128 k = key_of(1);
	struct pin pin;

	ck_assert(open_on(k, 1));
	ck_assert_uint_eq(sessions_of(1), 1);
	ck_assert_int_eq(bound(k, &pin), 1);
	ck_assert_uint_eq(pin.websocket_until_ms, now + WEBSOCKET);
	now += 1000;
	ck_assert(open_on(k, 1));
	bound(k, &pin);
	ck_assert_uint_eq(pin.websocket_until_ms, now - 1000 + WEBSOCKET);
	ck_assert_uint_eq(pin.sessions, 2);
	now += WEBSOCKET;
	ck_assert_int_eq(bound(k, NULL), 1);
	ck_assert(open_on(k, 1));
	bound(k, &pin);
	ck_assert_uint_eq(pin.websocket_until_ms, now + WEBSOCKET);
	ck_assert_uint_eq(sessions_of(1), 3);
}
END_TEST

START_TEST(a_clean_end_falls_back_to_an_http_lock)
{
	struct hash128 k = key_of(1);
	struct pin pin;

	open_on(k, 1);
	open_on(k, 1);
	close_session(k, true);
	bound(k, &pin);
	ck_assert_uint_gt(pin.websocket_until_ms, now);
	close_session(k, true);
	bound(k, &pin);
	ck_assert_uint_eq(pin.websocket_until_ms, 0);
	ck_assert_uint_eq(pin.http_until_ms, now + HTTP);
	ck_assert_uint_eq(sessions_of(1), 0);
	now += HTTP;
	ck_assert_int_eq(bound(k, NULL), -1);
}
END_TEST

START_TEST(an_abnormal_end_leaves_the_rest_of_the_window)
{
	struct hash128 k = key_of(1);

	open_on(k, 1);
	now += 60000;
	close_session(k, false);
	now += WEBSOCKET - 60000 - 1;
	ck_assert_int_eq(bound(k, NULL), 1);
	now += 1;
	ck_assert_int_eq(bound(k, NULL), -1);
	/* and of a window that is over, an HTTP lock */
	open_on(k, 1);
	now += 2 * WEBSOCKET;
	close_session(k, false);
	now += HTTP - 1;
	ck_assert_int_eq(bound(k, NULL), 1);
	now += 1;
	ck_assert_int_eq(bound(k, NULL), -1);
}
END_TEST

START_TEST(what_another_thread_bound_wins)
{
	struct hash128 k = key_of(1);

	ck_assert_int_eq(bind_to(k, 0, -1, false), 0);
	ck_assert_int_eq(bind_to(k, 1, -1, false), 0);
	pins_exchange_end(pins, k, now, HTTP);
	pins_exchange_end(pins, k, now, HTTP);
	ck_assert_int_eq(bind_to(k, 1, -1, false), 0);
	pins_exchange_end(pins, k, now, HTTP);
	now += HTTP;
	ck_assert_int_eq(bind_to(k, 1, -1, false), 1);
	pins_exchange_end(pins, k, now, HTTP);
}
END_TEST

START_TEST(a_lock_on_a_backend_that_became_unusable_breaks)
{
	struct hash128 k = key_of(1);

	open_on(k, 0);
	close_session(k, false);
	drain(b[0]);
	ck_assert_int_eq(bind_to(k, 1, -1, false), 1);
	pins_exchange_end(pins, k, now, HTTP);
	now += HTTP;
	ck_assert_int_eq(bound(k, NULL), -1);
}
END_TEST

START_TEST(a_full_backend_keeps_what_is_bound_to_it)
{
	struct hash128 k = key_of(1);

	atomic_store(&b[0]->max_sessions, 1);
	open_on(k, 0);
	ck_assert_int_eq(backend_use(b[0], now), BACKEND_FULL);
	ck_assert_int_eq(bind_to(k, 1, -1, false), 0);
}
END_TEST

START_TEST(what_the_caller_saw_is_replaced)
{
	struct hash128 k = key_of(1);

	exchange(k, 0);
	ck_assert_int_eq(bind_to(k, 1, 0, false), 1);
	pins_exchange_end(pins, k, now, HTTP);
	ck_assert_int_eq(bound(k, NULL), 1);
}
END_TEST

START_TEST(a_request_never_moves_sessions)
{
	struct hash128 k = key_of(1);

	open_on(k, 0);
	drain(b[0]);
	ck_assert_int_eq(bind_to(k, 1, -1, false), -1);
	ck_assert_int_eq(bind_to(k, 1, 0, false), -1);
	ck_assert_int_eq(bound(k, NULL), 0);
	ck_assert_uint_eq(sessions_of(0), 1);
}
END_TEST

START_TEST(force_moves_them)
{
	struct hash128 k = key_of(1);

	open_on(k, 0);
	open_on(k, 0);
	ck_assert_int_eq(bind_to(k, 1, -1, true), 1);
	ck_assert_uint_eq(sessions_of(0), 0);
	ck_assert_uint_eq(sessions_of(1), 2);
}
END_TEST

START_TEST(a_session_does_not_open_where_its_key_is_bound_elsewhere)
{
	struct hash128 k = key_of(1);

	open_on(k, 0);
	ck_assert(!open_on(k, 1));
	ck_assert_uint_eq(sessions_of(1), 0);
	drain(b[0]);
	ck_assert(!open_on(k, 1));
	close_session(k, false);
	ck_assert(open_on(k, 1));
	ck_assert_uint_eq(sessions_of(1), 1);
	ck_assert_int_eq(bound(k, NULL), 1);
}
END_TEST

static unsigned
apart(struct hash128 key)
{
	struct pin pin;

	ck_assert_int_ge(bound(key, &pin), 0);
	return pin.apart;
}

START_TEST(sessions_are_apart_until_each_has_followed)
{
	struct hash128 k = key_of(1);
	uint16_t eras[3];

	for (int i = 0; i < 3; i++)
		ck_assert(pins_session_open(pins, k, b[0], now, WEBSOCKET, &eras[i]));
	ck_assert_uint_eq(apart(k), 0);
	ck_assert(pins_move(pins, k, b[0], b[1], now, WEBSOCKET));
	ck_assert_uint_eq(apart(k), 3);
	pins_settled(pins, k, b[0], &eras[0]); /* where it was: old news */
	ck_assert_uint_eq(apart(k), 3);
	pins_settled(pins, k, b[1], &eras[0]);
	pins_settled(pins, k, b[1], &eras[0]);
	ck_assert_uint_eq(apart(k), 2);
	/* one more move, and who had arrived is under way again */
	ck_assert(pins_move(pins, k, b[1], b[2], now, WEBSOCKET));
	ck_assert_uint_eq(apart(k), 3);
	pins_session_close(pins, k, true, now, HTTP, &eras[0]);
	pins_session_away(pins, k, now, HTTP, eras[1]);
	ck_assert_uint_eq(apart(k), 1);
	ck_assert(pins_session_open(pins, k, b[2], now, WEBSOCKET, &eras[1]));
	ck_assert_uint_eq(apart(k), 1);
	pins_settled(pins, k, b[2], &eras[2]);
	ck_assert_uint_eq(apart(k), 0);
	pins_unsettled(pins, k, &eras[2]);
	pins_unsettled(pins, k, &eras[2]);
	ck_assert_uint_eq(apart(k), 1);
	pins_session_close(pins, k, true, now, HTTP, &eras[2]);
	ck_assert_uint_eq(apart(k), 0);
	pins_session_close(pins, k, true, now, HTTP, &eras[1]);
}
END_TEST

START_TEST(followers_hold_and_lock_but_do_not_count)
{
	struct hash128 k = key_of(1), weak = key_of(2);
	struct pin pin;

	ck_assert(open_on(k, 0));
	ck_assert(pins_session_open(pins, weak, b[0], now, WEBSOCKET, NULL));
	ck_assert(!pins_session_open(pins, weak, b[1], now, WEBSOCKET, NULL));
	ck_assert_uint_eq(sessions_of(0), 1);
	ck_assert_int_eq(bound(weak, &pin), 0);
	ck_assert_uint_eq(pin.followers, 1);
	ck_assert_uint_eq(pin.sessions, 0);
	ck_assert_uint_eq(pin.websocket_until_ms, now + WEBSOCKET);
	now += 2 * WEBSOCKET;
	ck_assert_int_eq(bound(weak, NULL), 0);
	pins_session_close(pins, weak, true, now, HTTP, NULL);
	now += HTTP;
	ck_assert_int_eq(bound(weak, NULL), -1);
	ck_assert_int_eq(bound(k, NULL), 0);
}
END_TEST

START_TEST(a_move_carries_the_count_and_starts_a_new_lock)
{
	struct hash128 k = key_of(1);
	struct pin pin;

	open_on(k, 0);
	open_on(k, 0);
	now += WEBSOCKET + 5;
	ck_assert(!pins_move(pins, k, b[1], b[2], now, WEBSOCKET));
	ck_assert(pins_move(pins, k, b[0], b[2], now, WEBSOCKET));
	ck_assert(!pins_move(pins, k, b[0], b[1], now, WEBSOCKET));
	ck_assert_uint_eq(sessions_of(0), 0);
	ck_assert_uint_eq(sessions_of(2), 2);
	ck_assert_int_eq(bound(k, &pin), 2);
	ck_assert_uint_eq(pin.websocket_until_ms, now + WEBSOCKET);
	ck_assert_uint_eq(pin.since_ms, now);
	close_session(k, true);
	close_session(k, true);
	ck_assert_uint_eq(sessions_of(2), 0);
	ck_assert(!pins_move(pins, key_of(9), b[0], b[1], now, WEBSOCKET));
}
END_TEST

START_TEST(a_move_takes_the_follower_along)
{
	struct hash128 k = key_of(1), weak = key_of(2), other = key_of(3);

	open_on(k, 0);
	pins_session_open(pins, weak, b[0], now, WEBSOCKET, NULL);
	pins_follow(pins, k, weak);
	pins_move(pins, k, b[0], b[1], now, WEBSOCKET);
	ck_assert_int_eq(bound(weak, NULL), 1);
	/* but not from where somebody else put it */
	open_on(other, 1);
	pins_move(pins, weak, b[1], b[3], now, WEBSOCKET);
	pins_move(pins, k, b[1], b[2], now, WEBSOCKET);
	ck_assert_int_eq(bound(weak, NULL), 3);
	/* and not after the last session */
	close_session(k, true);
	pins_move(pins, weak, b[3], b[2], now, WEBSOCKET);
	pins_move(pins, k, b[2], b[0], now, WEBSOCKET);
	ck_assert_int_eq(bound(weak, NULL), 2);
}
END_TEST

START_TEST(a_full_table_drops_http_locks_oldest_first)
{
	pins_set_max(pins, 64 * 3);
	for (uint64_t i = 1; i <= 3; i++) {
		exchange(neighbour(i), 0);
		now += 10;
	}
	exchange(neighbour(1), 0); /* young again */
	exchange(neighbour(4), 0);
	ck_assert_uint_eq(pins_count(pins), 3);
	ck_assert_int_eq(bound(neighbour(2), NULL), -1);
	ck_assert_int_eq(bound(neighbour(1), NULL), 0);
	ck_assert_int_eq(bound(neighbour(3), NULL), 0);
	ck_assert_int_eq(bound(neighbour(4), NULL), 0);
}
END_TEST

START_TEST(websocket_locks_go_only_after_http_locks_and_held_pins_never)
{
	pins_set_max(pins, 64 * 4);
	open_on(neighbour(1), 0);
	close_session(neighbour(1), false);
	exchange(neighbour(2), 0);
	open_on(neighbour(3), 0);
	ck_assert_int_eq(bind_to(neighbour(4), 0, -1, false), 0);

	exchange(neighbour(5), 0);
	ck_assert_int_eq(bound(neighbour(2), NULL), -1);
	ck_assert_int_eq(bind_to(neighbour(6), 0, -1, false), 0);
	ck_assert_int_eq(bound(neighbour(5), NULL), -1);
	ck_assert_int_eq(bound(neighbour(1), NULL), 0);
	ck_assert_int_eq(bind_to(neighbour(7), 0, -1, false), 0);
	ck_assert_int_eq(bound(neighbour(1), NULL), -1);

	ck_assert_int_eq(bind_to(neighbour(8), 0, -1, false), -1);
	ck_assert(!pins_session_open(pins, neighbour(8), b[0], now, WEBSOCKET, NULL));
	ck_assert_uint_eq(pins_count(pins), 4);
	ck_assert(open_on(neighbour(9), 0));
	ck_assert_uint_eq(pins_count(pins), 5);
	ck_assert_uint_eq(sessions_of(0), 2);
}
END_TEST

START_TEST(sweeping_removes_exactly_what_is_over)
{
	for (uint64_t i = 0; i < 1000; i++)
		exchange(key_of(i), i % BACKENDS);
	for (uint64_t i = 1000; i < 1500; i++) {
		open_on(key_of(i), i % BACKENDS);
		close_session(key_of(i), false);
	}
	for (uint64_t i = 1500; i < 1600; i++)
		open_on(key_of(i), i % BACKENDS);
	ck_assert_uint_eq(pins_count(pins), 1600);
	ck_assert_uint_eq(pins_sweep(pins, now), 0);
	now += HTTP;
	ck_assert_uint_eq(pins_sweep(pins, now), 1000);
	now += WEBSOCKET;
	ck_assert_uint_eq(pins_sweep(pins, now), 500);
	now += WEBSOCKET;
	ck_assert_uint_eq(pins_sweep(pins, now), 0);
	ck_assert_uint_eq(pins_count(pins), 100);
}
END_TEST

START_TEST(a_long_lock_does_not_keep_shorter_ones_in_the_table)
{
	ck_assert_int_eq(bind_to(neighbour(1), 0, -1, false), 0);
	pins_exchange_end(pins, neighbour(1), now, 3600000);
	for (uint64_t i = 2; i < 500; i++)
		exchange(neighbour(i), 0);
	now += HTTP;
	for (int i = 0; i < 40; i++)
		pins_sweep(pins, now);
	ck_assert_uint_eq(pins_count(pins), 1);
}
END_TEST

START_TEST(an_http_lock_outlives_the_websocket_lock)
{
	struct hash128 k = key_of(1);

	open_on(k, 0);
	close_session(k, false);
	now += WEBSOCKET - 1000;
	exchange(k, 0);
	now += 2000;
	ck_assert_uint_eq(pins_sweep(pins, now), 0);
	ck_assert_int_eq(bound(k, NULL), 0);
	now += HTTP;
	ck_assert_uint_eq(pins_sweep(pins, now), 1);
}
END_TEST

START_TEST(collecting_finds_holders_of_sessions)
{
	struct hash128 keys[200];
	size_t n;

	for (uint64_t i = 0; i < 100; i++)
		open_on(key_of(i), i % 2);
	for (uint64_t i = 100; i < 200; i++)
		exchange(key_of(i), 0);
	ck_assert_uint_eq(pins_collect(pins, b[0], now, 0, 0, keys, 200), 50);
	ck_assert_uint_eq(pins_collect(pins, b[0], now, 0, 0, keys, 7), 7);
	ck_assert_uint_eq(pins_collect(pins, b[0], now, 0, 1, keys, 200), 0);
	ck_assert_uint_eq(pins_collect(pins, b[0], now, 9, 0, keys, 200), 0);
	ck_assert_uint_eq(pins_collect(pins, b[3], now, 0, 0, keys, 200), 0);
	now += WEBSOCKET;
	n = pins_collect(pins, b[1], now, 1, WEBSOCKET, keys, 200);
	ck_assert_uint_eq(n, 50);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(bound(keys[i], NULL), 1);
}
END_TEST

START_TEST(a_list_has_everybody_on_these_backends_once)
{
	static struct pin_row rows[2000];
	bool complete, seen[2000] = {false};
	size_t n;

	for (uint64_t i = 0; i < 2000; i++)
		exchange(key_of(i), (int)(i % 4));
	n = pins_list(pins, b + 1, 2, now, rows, 2000, &complete);
	ck_assert(complete);
	ck_assert_uint_eq(n, 1000);
	for (size_t i = 0; i < n; i++)
		for (uint64_t j = 0; j < 2000; j++)
			if (hash128_eq(key_of(j), rows[i].key)) {
				ck_assert(!seen[j] && (j % 4 == 1 || j % 4 == 2));
				ck_assert_ptr_eq(rows[i].pin.backend, b[j % 4]);
				seen[j] = true;
			}
	for (size_t i = 0; i < n; i++)
		backend_put(rows[i].pin.backend);
	n = pins_list(pins, b, 4, now, rows, 10, &complete);
	ck_assert(!complete);
	ck_assert_uint_eq(n, 10);
	while (n)
		backend_put(rows[--n].pin.backend);
	ck_assert_uint_eq(pins_list(pins, b, 4, now + HTTP, rows, 10, &complete), 0);
	ck_assert(complete);
	ck_assert_uint_eq(pins_list(pins, b, 4, now, rows, 0, &complete), 0);
	ck_assert(!complete);
}
END_TEST

START_TEST(collecting_the_unlocked_spares_the_big_and_the_busy)
{
	struct hash128 keys[10];

	open_on(key_of(1), 0);
	open_on(key_of(2), 0);
	open_on(key_of(2), 0);
	open_on(key_of(3), 0);
	now += WEBSOCKET;
	ck_assert_int_eq(bind_to(key_of(3), 0, -1, false), 0);
	ck_assert_uint_eq(pins_collect(pins, b[0], now, 1, 0, keys, 10), 1);
	ck_assert(hash128_eq(keys[0], key_of(1)));
	ck_assert_uint_eq(pins_collect(pins, b[0], now, 2, 0, keys, 10), 2);
	ck_assert_uint_eq(pins_collect(pins, b[0], now, 0, 0, keys, 10), 3);
}
END_TEST

START_TEST(repeated_collecting_reaches_everybody)
{
	unsigned moved = 0;

	for (uint64_t i = 0; i < 1000; i++)
		open_on(key_of(i), 0);
	for (int round = 0; round < 200 && sessions_of(0); round++) {
		struct hash128 keys[10];
		size_t n = pins_collect(pins, b[0], now, 0, 0, keys, 10);

		for (size_t i = 0; i < n; i++)
			moved += pins_move(pins, keys[i], b[0], b[1], now, WEBSOCKET);
	}
	ck_assert_uint_eq(moved, 1000);
	ck_assert_uint_eq(sessions_of(1), 1000);
}
END_TEST

/* Many threads on few keys: every one keeps a list of the sessions it opened. */
enum { THREADS = 4, KEYS = 50, OPEN = 200, STEPS = 20000 };

struct crowd {
	struct random dice;
	struct {
		struct hash128 key;
		bool follower;
		uint16_t era;
	} open[OPEN];
	unsigned n_open, n_sessions;
};

static void
crowd_open_or_close(struct crowd *c, struct hash128 key, struct backend *on,
    uint64_t at_ms)
{
	bool follower = random_below(&c->dice, 3) == 0;
	unsigned i = c->n_open;
	uint16_t *was;

	if (c->n_open < OPEN && random_below(&c->dice, 4)) {
		was = follower ? NULL : &c->open[i].era;
		if (!pins_session_open(pins, key, on, at_ms, 50, was))
			return;
		c->open[c->n_open].key = key;
		c->open[c->n_open++].follower = follower;
		c->n_sessions += !follower;
	} else if (c->n_open) {
		i = random_below(&c->dice, c->n_open);
		was = c->open[i].follower ? NULL : &c->open[i].era;
		pins_session_close(pins, c->open[i].key, random_below(&c->dice, 2),
		    at_ms, 20, was);
		c->n_sessions -= !c->open[i].follower;
		c->open[i] = c->open[--c->n_open];
	}
}

static void
crowd_exchange(struct crowd *c, struct hash128 key, struct backend *on, uint64_t at_ms)
{
	bool held;
	const struct backend *expected =
	    random_below(&c->dice, 2) ? b[random_below(&c->dice, BACKENDS)] : NULL;
	struct backend *winner = pins_bind(pins, key, on, expected, at_ms,
	    random_below(&c->dice, 10) == 0, &held);

	if (held)
		pins_exchange_end(pins, key, at_ms, 20);
	backend_put(winner);
}

static void
crowd_step(struct crowd *c, uint64_t at_ms)
{
	struct hash128 key = key_of(random_below(&c->dice, KEYS)), keys[8];
	struct backend *from = b[random_below(&c->dice, BACKENDS)];
	struct backend *to = b[random_below(&c->dice, BACKENDS)];
	struct pin pin;

	switch (random_below(&c->dice, 8)) {
	case 0: pins_move(pins, key, from, to, at_ms, 50); break;
	case 1: crowd_exchange(c, key, to, at_ms); break;
	case 2:
		if (pins_lookup(pins, key, at_ms, &pin))
			backend_put(pin.backend);
		break;
	case 3: pins_follow(pins, key, key_of(random_below(&c->dice, KEYS))); break;
	case 4:
		if (random_below(&c->dice, 50) == 0)
			pins_sweep(pins, at_ms);
		pins_collect(pins, from, at_ms, random_below(&c->dice, 2), 0, keys, 8);
		break;
	default: crowd_open_or_close(c, key, to, at_ms);
	}
}

static void *
crowd_run(void *arg)
{
	struct crowd *c = arg;

	for (unsigned i = 0; i < STEPS; i++)
		crowd_step(c, 1000 + i / 10);
	return NULL;
}

START_TEST(backends_always_count_the_live_sessions)
{
	static struct crowd crowds[THREADS];
	pthread_t threads[THREADS];
	unsigned live = 0, counted = 0;

	pins_set_max(pins, 64);
	for (unsigned i = 0; i < THREADS; i++) {
		random_seed(&crowds[i].dice, i);
		pthread_create(&threads[i], NULL, crowd_run, &crowds[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		live += crowds[i].n_sessions;
	}
	for (int i = 0; i < BACKENDS; i++)
		counted += sessions_of(i);
	ck_assert_uint_gt(live, 0);
	ck_assert_uint_eq(counted, live);
	for (int i = 0; i < THREADS; i++) {
		for (unsigned j = 0; j < crowds[i].n_open; j++)
			pins_session_close(pins, crowds[i].open[j].key, true, 10000, 20,
			    crowds[i].open[j].follower ? NULL : &crowds[i].open[j].era);
	}
	for (int i = 0; i < BACKENDS; i++)
		ck_assert_uint_eq(sessions_of(i), 0);
	for (int i = 0; i < 100; i++)
		pins_sweep(pins, 100000);
	ck_assert_uint_eq(pins_count(pins), 0);
}
END_TEST

static TCase *
locks(void)
{
	TCase *t = tcase_create("locks");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_exchange_holds_and_then_locks_for_fifteen_seconds);
	tcase_add_test(t, each_exchange_starts_the_http_lock_anew);
	tcase_add_test(t,
	    a_session_locks_for_five_minutes_and_holds_as_long_as_it_is_open);
	tcase_add_test(t, a_clean_end_falls_back_to_an_http_lock);
	tcase_add_test(t, an_abnormal_end_leaves_the_rest_of_the_window);
	tcase_add_test(t, what_another_thread_bound_wins);
	tcase_add_test(t, a_lock_on_a_backend_that_became_unusable_breaks);
	tcase_add_test(t, a_full_backend_keeps_what_is_bound_to_it);
	tcase_add_test(t, what_the_caller_saw_is_replaced);
	tcase_add_test(t, a_request_never_moves_sessions);
	tcase_add_test(t, force_moves_them);
	tcase_add_test(t, a_session_does_not_open_where_its_key_is_bound_elsewhere);
	tcase_add_test(t, sessions_are_apart_until_each_has_followed);
	tcase_add_test(t, followers_hold_and_lock_but_do_not_count);
	tcase_add_test(t, a_move_carries_the_count_and_starts_a_new_lock);
	tcase_add_test(t, a_move_takes_the_follower_along);
	return t;
}

static TCase *
table(void)
{
	TCase *t = tcase_create("table");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_full_table_drops_http_locks_oldest_first);
	tcase_add_test(t, websocket_locks_go_only_after_http_locks_and_held_pins_never);
	tcase_add_test(t, sweeping_removes_exactly_what_is_over);
	tcase_add_test(t, a_long_lock_does_not_keep_shorter_ones_in_the_table);
	tcase_add_test(t, an_http_lock_outlives_the_websocket_lock);
	tcase_add_test(t, collecting_finds_holders_of_sessions);
	tcase_add_test(t, a_list_has_everybody_on_these_backends_once);
	tcase_add_test(t, collecting_the_unlocked_spares_the_big_and_the_busy);
	tcase_add_test(t, repeated_collecting_reaches_everybody);
	return t;
}

static TCase *
threads(void)
{
	TCase *t = tcase_create("threads");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, backends_always_count_the_live_sessions);
	return t;
}

Suite *
suite_pins(void)
{
	Suite *s = suite_create("pins");

	suite_add_tcase(s, locks());
	suite_add_tcase(s, table());
	suite_add_tcase(s, threads());
	return s;
}
