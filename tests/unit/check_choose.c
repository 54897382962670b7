/* SPDX-License-Identifier: MIT
 *
 * check_choose.c - the order of precedence, identities, and what a choice costs.
 */
#include "base/clock.h"
#include "route/choose.h"
#include "route/pins.h"
#include "steering.h"

#include <check.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

Suite *suite_choose(void);

enum { WEBSOCKET = 300000, HTTP = 15000 };

static struct backend *b0, *b1, *b2;

static void
configure(const char *settings)
{
	rig_configure(settings, "b0 | b1 | b2");
	b0 = rig.up->backends[0];
	b1 = rig.up->backends[1];
	b2 = rig.up->backends[2];
}

static void
setup(void)
{
	steering_begin();
	configure("");
}

/* Clients */

static struct client_key
strong(uint64_t n)
{
	struct client_key key = rig_client(n);

	key.stable = 0;
	return key;
}

static struct client_key
weak(uint64_t n)
{
	struct client_key key = strong(n + 1000000);

	key.weak = true;
	return key;
}

/* Without a cookie where one is wanted; known by its address only. */
static struct client_key
newcomer(uint64_t n)
{
	struct client_key key = weak(n);

	key.issue = true;
	return key;
}

/* Back with the cookie of a choice; `value` must outlive the key. */
static struct client_key
returning(const struct choice *c, const struct backend *chosen, uint64_t issued_s,
    char value[COOKIE_VALUE + 1])
{
	struct client_key key = {.found = true, .has_hint = true};

	cookie_write(value, rig.secret, c->cookie_id, issued_s, rig.up->id,
	    backend_identity(chosen));
	ck_assert(cookie_parse(str_of(value), &key.cookie));
	key.hash = client_key_of_id(rig.up->id, c->cookie_id);
	return key;
}

/* Requests */

/* One whole exchange; returns its backend and, in *by_r, why. */
static void
set_state(struct backend *b, enum backend_admin_state state)
{
	atomic_store(&b->admin_state, state);
}

static struct backend *
other_than(const struct backend *b)
{
	return b == b0 ? b1 : b0;
}

static unsigned
sessions(const struct backend *b)
{
	return atomic_load(&b->sessions);
}

static unsigned
all_sessions(void)
{
	return sessions(b0) + sessions(b1) + sessions(b2);
}

/* Makes `b` the last thing the policy would pick. */
static void
weigh_down(struct backend *b, unsigned load)
{
	atomic_fetch_add(&b->exchanges, load);
}

static void
weigh_up(struct backend *b, unsigned load)
{
	atomic_fetch_sub(&b->exchanges, load);
}

/* Precedence */

START_TEST(the_policy_chooses_first_and_the_http_lock_afterwards)
{
	enum choose_by by;
	struct backend *b = exchange(strong(1), &by);

	ck_assert_int_eq(by, CHOSE_POLICY);
	weigh_down(b, 50);
	for (int i = 0; i < 5; i++) {
		tick(HTTP - 1);
		ck_assert_ptr_eq(exchange(strong(1), &by), b);
		ck_assert_int_eq(by, CHOSE_HTTP_LOCK);
	}
	tick(HTTP);
	ck_assert_ptr_ne(exchange(strong(1), &by), b);
	ck_assert_int_eq(by, CHOSE_POLICY);
	weigh_up(b, 50);
}
END_TEST

START_TEST(an_exchange_in_flight_holds_its_backend)
{
	struct choice poll = ask(strong(1), false);
	enum choose_by by;

	tick(10 * HTTP);
	weigh_down(poll.backend, 50);
	ck_assert_ptr_eq(exchange(strong(1), &by), poll.backend);
	ck_assert_int_eq(by, CHOSE_HTTP_LOCK);
	weigh_up(poll.backend, 50);
	choice_end(&rig.chooser, rig.up, &poll, now);
}
END_TEST

START_TEST(http_goes_where_the_socket_is)
{
	struct backend *b;
	struct claim claim = open_session(strong(1), &b, NULL);
	enum choose_by by;

	weigh_down(b, 50);
	ck_assert_ptr_eq(exchange(strong(1), &by), b);
	ck_assert_int_eq(by, CHOSE_WEBSOCKET_LOCK);
	tick(WEBSOCKET);
	ck_assert_ptr_eq(exchange(strong(1), &by), b);
	ck_assert_int_eq(by, CHOSE_SESSION);
	weigh_up(b, 50);
	close_session(&claim, true);
}
END_TEST

START_TEST(a_socket_goes_where_http_was)
{
	enum choose_by by;
	struct backend *b = exchange(strong(1), NULL), *socket;
	struct choice c;
	struct claim claim;

	weigh_down(b, 50);
	claim = open_session(strong(1), &socket, &c);
	ck_assert_ptr_eq(socket, b);
	ck_assert_int_eq(c.by, CHOSE_HTTP_LOCK);
	weigh_up(b, 50);
	close_session(&claim, true);
	ck_assert_ptr_eq(exchange(strong(1), &by), b);
	ck_assert_int_eq(by, CHOSE_HTTP_LOCK);
}
END_TEST

START_TEST(after_an_abnormal_end_the_window_stays)
{
	struct backend *b;
	struct claim claim = open_session(strong(1), &b, NULL);
	enum choose_by by;

	weigh_down(b, 50);
	close_session(&claim, false);
	tick(WEBSOCKET - 1);
	ck_assert_ptr_eq(exchange(strong(1), &by), b);
	ck_assert_int_eq(by, CHOSE_WEBSOCKET_LOCK);
	weigh_up(b, 50);
}
END_TEST

START_TEST(a_lock_on_an_unusable_backend_breaks_at_once)
{
	static const enum backend_admin_state states[] = {BACKEND_DRAIN, BACKEND_DOWN};
	enum choose_by by;

	for (unsigned i = 0; i < 2; i++) {
		struct backend *b = exchange(strong(i), NULL), *next;

		set_state(b, states[i]);
		next = exchange(strong(i), &by);
		ck_assert_ptr_ne(next, b);
		ck_assert_int_eq(by, CHOSE_POLICY);
		set_state(b, BACKEND_UP);
		ck_assert_ptr_eq(exchange(strong(i), &by), next);
		ck_assert_int_eq(by, CHOSE_HTTP_LOCK);
	}
}
END_TEST

START_TEST(a_failing_backend_is_left_alone)
{
	struct backend *b = exchange(strong(1), NULL);

	backend_mark_failed(b, now, 30);
	ck_assert_ptr_ne(exchange(strong(1), NULL), b);
	for (uint64_t i = 2; i < 20; i++)
		ck_assert_ptr_ne(exchange(strong(i), NULL), b);
}
END_TEST

START_TEST(except_is_never_returned)
{
	struct client_key key = strong(1);
	struct backend *b;
	struct claim claim = open_session(key, &b, NULL);

	for (int websocket = 0; websocket < 2; websocket++) {
		struct choice c;

		ck_assert(choose(&rig.chooser, rig.up, &key, websocket, b, now, &c));
		ck_assert_ptr_ne(c.backend, b);
		ck_assert(!c.bound);
		choice_end(&rig.chooser, rig.up, &c, now);
	}
	ck_assert_ptr_eq(exchange(key, NULL), b);
	close_session(&claim, true);
}
END_TEST

START_TEST(a_retry_takes_the_pin_along)
{
	struct client_key key = strong(1);
	struct choice first = ask(key, true), second;
	struct backend *next;

	ck_assert(
	    choose(&rig.chooser, rig.up, &key, true, first.backend, now, &second));
	next = second.backend;
	ck_assert_ptr_ne(next, first.backend);
	choice_end(&rig.chooser, rig.up, &first, now);
	choice_end(&rig.chooser, rig.up, &second, now);
	ck_assert_ptr_eq(exchange(key, NULL), next);
}
END_TEST

START_TEST(where_all_are_failing_they_are_tried)
{
	struct client_key key = strong(1);
	struct choice c;

	backend_mark_failed(b0, now, 30);
	backend_mark_failed(b1, now, 30);
	set_state(b2, BACKEND_DOWN);
	for (int websocket = 0; websocket < 2; websocket++) {
		c = ask(strong(5), websocket);
		ck_assert_ptr_ne(c.backend, b2);
		choice_end(&rig.chooser, rig.up, &c, now);
	}
	set_state(b0, BACKEND_DOWN);
	set_state(b1, BACKEND_DOWN);
	ck_assert(!choose(&rig.chooser, rig.up, &key, false, NULL, now, &c));
	ck_assert_ptr_null(c.backend);
	ck_assert_ptr_null(choose_policy(&rig.chooser, rig.up, 0, 1, NULL, now));
}
END_TEST

/* Draining */

START_TEST(a_draining_backend_stays_right_for_its_sockets_clients)
{
	struct backend *b, *again;
	struct claim claim = open_session(strong(1), &b, NULL), second;
	enum choose_by by;

	configure("rehome: {mode: \"off\"},");
	exchange(strong(2), NULL);
	set_state(b, BACKEND_DRAIN);
	ck_assert_ptr_eq(exchange(strong(1), &by), b);
	ck_assert_int_eq(by, CHOSE_WEBSOCKET_LOCK);
	second = open_session(strong(1), &again, NULL);
	ck_assert_ptr_eq(again, b);
	for (uint64_t i = 2; i < 10; i++)
		ck_assert_ptr_ne(exchange(strong(i), NULL), b);
	close_session(&second, true);
	close_session(&claim, false);
	ck_assert_ptr_ne(exchange(strong(1), NULL), b);
}
END_TEST

START_TEST(a_newcomer_never_gets_to_a_draining_backend)
{
	struct backend *b, *own;
	struct claim claim = open_session(newcomer(1), &b, NULL), second;

	set_state(b, BACKEND_DRAIN);
	ck_assert_ptr_eq(exchange(newcomer(1), NULL), b);
	second = open_session(newcomer(1), &own, NULL);
	ck_assert_ptr_ne(own, b);
	ck_assert(!second.has_follower);
	close_session(&second, true);
	close_session(&claim, true);
}
END_TEST

START_TEST(down_and_failing_backends_are_right_for_nobody)
{
	struct backend *b;
	struct claim claim = open_session(strong(1), &b, NULL);

	set_state(b, BACKEND_DOWN);
	ck_assert_ptr_ne(exchange(strong(1), NULL), b);
	set_state(b, BACKEND_UP);
	backend_mark_failed(b, now, 30);
	ck_assert_ptr_ne(exchange(strong(1), NULL), b);
	/* the pin itself stays with the socket */
	backend_mark_ok(b);
	ck_assert_ptr_eq(exchange(strong(1), NULL), b);
	close_session(&claim, true);
}
END_TEST

/* Limits */

START_TEST(where_all_are_ailing_a_full_one_does_not_stand_in_the_way)
{
	struct backend *on;
	struct claim claims[3];

	configure("balance: hash, limits: {max_sessions: 1},");
	atomic_store(&b0->unhealthy_since_ms, 1);
	atomic_store(&b1->unhealthy_since_ms, 1);
	backend_mark_failed(b2, now, 30);
	for (uint64_t i = 0; i < 3; i++)
		claims[i] = open_session(strong(i), &on, NULL);
	ck_assert_uint_eq(sessions(b0), 1);
	ck_assert_uint_eq(sessions(b1), 1);
	ck_assert_uint_eq(sessions(b2), 1);
	for (int i = 0; i < 3; i++)
		close_session(&claims[i], true);
}
END_TEST

START_TEST(a_full_backend_takes_no_session_but_serves_its_clients)
{
	struct claim claims[3], extra;
	struct backend *b, *on[3];
	struct client_key key = strong(9);
	struct choice c;

	configure("limits: {max_sessions: 1},");
	for (uint64_t i = 0; i < 3; i++)
		claims[i] = open_session(strong(i), &on[i], NULL);
	ck_assert_uint_eq(sessions(b0), 1);
	ck_assert_uint_eq(sessions(b1), 1);
	ck_assert_uint_eq(sessions(b2), 1);
	ck_assert(!choose(&rig.chooser, rig.up, &key, true, NULL, now, &c));
	for (uint64_t i = 0; i < 3; i++)
		ck_assert_ptr_eq(exchange(strong(i), NULL), on[i]);
	exchange(strong(9), NULL);
	close_session(&claims[0], true);
	extra = open_session(key, &b, NULL);
	ck_assert_ptr_eq(b, on[0]);
	close_session(&extra, true);
	close_session(&claims[1], true);
	close_session(&claims[2], true);
}
END_TEST

START_TEST(a_busy_backend_takes_nothing_and_its_clients_wait_for_it)
{
	struct client_key key = strong(1), other = strong(2);
	struct choice held, c[3];

	configure("limits: {max_connections: 1},");
	held = ask(key, false);
	ck_assert(!choose(&rig.chooser, rig.up, &key, false, NULL, now, &c[0]));
	ck_assert(choose_may_wait(rig.up, false, now));
	for (int i = 0; i < 2; i++) {
		c[i] = ask(other, false);
		ck_assert_ptr_ne(c[i].backend, held.backend);
		other = strong(3);
	}
	ck_assert(!choose(&rig.chooser, rig.up, &other, true, NULL, now, &c[2]));
	choice_end(&rig.chooser, rig.up, &held, now);
	c[2] = ask(key, false);
	for (int i = 0; i < 3; i++)
		choice_end(&rig.chooser, rig.up, &c[i], now);
	ck_assert_uint_eq(backend_load(b0) + backend_load(b1) + backend_load(b2), 0);
}
END_TEST

START_TEST(without_a_queue_a_busy_backend_sends_its_clients_elsewhere)
{
	struct choice held, c;

	configure("limits: {max_connections: 1, queue: 0},");
	held = ask(strong(1), false);
	c = ask(strong(1), false);
	ck_assert_ptr_ne(c.backend, held.backend);
	choice_end(&rig.chooser, rig.up, &c, now);
	choice_end(&rig.chooser, rig.up, &held, now);
}
END_TEST

START_TEST(busy_is_better_than_failing)
{
	struct client_key key = strong(9);
	struct choice held, c;

	configure("limits: {max_connections: 1},");
	backend_mark_failed(b1, now, 0);
	backend_mark_failed(b2, now, 0);
	held = ask(strong(1), false);
	ck_assert_ptr_eq(held.backend, b0);
	ck_assert(!choose(&rig.chooser, rig.up, &key, false, NULL, now, &c));
	ck_assert(choose_may_wait(rig.up, false, now));
	choice_end(&rig.chooser, rig.up, &held, now);
}
END_TEST

START_TEST(handshakes_in_flight_count_against_the_limit)
{
	struct client_key key = strong(9);
	struct choice c[4];

	configure("limits: {max_sessions: 1},");
	for (uint64_t i = 0; i < 3; i++)
		c[i] = ask(strong(i), true);
	ck_assert_ptr_ne(c[0].backend, c[1].backend);
	ck_assert_ptr_ne(c[1].backend, c[2].backend);
	ck_assert_ptr_ne(c[0].backend, c[2].backend);
	ck_assert(!choose(&rig.chooser, rig.up, &key, true, NULL, now, &c[3]));
	for (uint64_t i = 0; i < 3; i++)
		choice_end(&rig.chooser, rig.up, &c[i], now);
	c[3] = ask(key, true);
	choice_end(&rig.chooser, rig.up, &c[3], now);
}
END_TEST

START_TEST(a_second_socket_that_does_not_fit_gets_a_claim_of_its_own)
{
	struct backend *b, *other;
	struct claim first, second;

	configure("limits: {max_sessions: 1},");
	first = open_session(strong(1), &b, NULL);
	second = open_session(strong(1), &other, NULL);
	ck_assert_ptr_ne(other, b);
	ck_assert(!hash128_eq(first.key, second.key));
	ck_assert_uint_eq(all_sessions(), 2);
	ck_assert_ptr_eq(exchange(strong(1), NULL), b);
	close_session(&second, true);
	close_session(&first, true);
	ck_assert_uint_eq(all_sessions(), 0);
}
END_TEST

/* Identities */

START_TEST(a_client_without_identity_costs_no_pin)
{
	char last[COOKIE_ID + 1] = "";

	for (uint64_t i = 0; i < 100; i++) {
		struct choice c = ask(newcomer(1), false);

		ck_assert(!c.bound);
		ck_assert_int_eq(c.by, CHOSE_POLICY);
		ck_assert_uint_eq(strlen(c.cookie_id), COOKIE_ID);
		ck_assert_str_ne(c.cookie_id, last);
		memcpy(last, c.cookie_id, sizeof(last));
		choice_end(&rig.chooser, rig.up, &c, now);
		/* a handshake that comes to nothing either */
		c = ask(newcomer(1), true);
		choice_end(&rig.chooser, rig.up, &c, now);
		exchange((struct client_key){.found = false}, NULL);
	}
	ck_assert_uint_eq(pins_count(rig.pins), 0);
}
END_TEST

START_TEST(a_fresh_cookie_stands_for_the_http_lock)
{
	char value[COOKIE_VALUE + 1];
	struct choice c;
	struct client_key key;
	enum choose_by by;

	/* issued with each backend in turn, against the policy's wish */
	for (size_t i = 0; i < 3; i++) {
		struct backend *b = rig.up->backends[i];

		c = ask(newcomer(i), false);
		choice_end(&rig.chooser, rig.up, &c, now);
		key = returning(&c, b, (uint64_t)clock_wall(), value);
		weigh_down(b, 50);
		tick(HTTP - 1000);
		ck_assert_ptr_eq(exchange(key, &by), b);
		ck_assert_int_eq(by, CHOSE_HINT);
		tick(HTTP - 1000);
		ck_assert_ptr_eq(exchange(key, &by), b);
		ck_assert_int_eq(by, CHOSE_HTTP_LOCK);
		weigh_up(b, 50);
	}
	ck_assert_uint_gt(pins_count(rig.pins), 0);
}
END_TEST

START_TEST(a_stale_or_foreign_cookie_steers_nothing)
{
	char value[COOKIE_VALUE + 1];
	struct choice c = ask(newcomer(1), false);
	struct client_key key;
	enum choose_by by;

	choice_end(&rig.chooser, rig.up, &c, now);
	key = returning(&c, b1, (uint64_t)clock_wall() - HTTP / 1000, value);
	exchange(key, &by);
	ck_assert_int_eq(by, CHOSE_POLICY);

	c = ask(newcomer(1), false);
	choice_end(&rig.chooser, rig.up, &c, now);
	key = returning(&c, b1, (uint64_t)clock_wall() + HTTP / 1000, value);
	exchange(key, &by);
	ck_assert_int_eq(by, CHOSE_POLICY);

	c = ask(newcomer(1), false);
	choice_end(&rig.chooser, rig.up, &c, now);
	key = returning(&c, b1, (uint64_t)clock_wall(), value);
	key.cookie.tag ^= 1;
	exchange(key, &by);
	ck_assert_int_eq(by, CHOSE_POLICY);

	c = ask(newcomer(1), false);
	choice_end(&rig.chooser, rig.up, &c, now);
	key = returning(&c, b1, (uint64_t)clock_wall(), value);
	set_state(b1, BACKEND_DRAIN);
	ck_assert_ptr_ne(exchange(key, &by), b1);
	ck_assert_int_eq(by, CHOSE_POLICY);
}
END_TEST

START_TEST(the_table_knows_better_than_the_cookie)
{
	char value[COOKIE_VALUE + 1];
	struct choice c;
	struct backend *b, *to;
	struct claim claim = open_session(newcomer(1), &b, &c);
	struct client_key key = returning(&c, b, (uint64_t)clock_wall(), value);

	to = other_than(b);
	ck_assert(pins_move(rig.pins, claim.key, b, to, now, WEBSOCKET));
	ck_assert_ptr_eq(exchange(key, NULL), to);
	/* and the address that opened it goes along */
	ck_assert_ptr_eq(exchange(newcomer(1), NULL), to);
	close_session(&claim, true);
}
END_TEST

START_TEST(a_cookie_older_than_a_broken_lock_steers_nothing)
{
	char value[COOKIE_VALUE + 1];
	struct choice c = ask(newcomer(1), false);
	struct client_key key;
	bool held;

	choice_end(&rig.chooser, rig.up, &c, now);
	key = returning(&c, b1, (uint64_t)clock_wall(), value);
	backend_put(pins_bind(rig.pins, key.hash, b0, NULL, now, false, &held));
	pins_exchange_end(rig.pins, key.hash, now, HTTP);
	set_state(b0, BACKEND_DRAIN);
	weigh_down(b1, 1);
	ck_assert_ptr_eq(exchange(key, NULL), b2);
	weigh_up(b1, 1);
}
END_TEST

START_TEST(a_socket_without_cookie_is_found_by_cookie_and_by_address)
{
	char value[COOKIE_VALUE + 1];
	struct choice c;
	struct backend *b;
	struct claim claim = open_session(newcomer(1), &b, &c);
	enum choose_by by;

	ck_assert(claim.has_follower);
	ck_assert_uint_eq(all_sessions(), 1);
	weigh_down(b, 10);
	ck_assert_ptr_eq(exchange(newcomer(1), &by), b);
	ck_assert_int_eq(by, CHOSE_WEBSOCKET_LOCK);
	tick(WEBSOCKET);
	ck_assert_ptr_eq(exchange(newcomer(1), &by), b);
	ck_assert_int_eq(by, CHOSE_SESSION);
	ck_assert_ptr_eq(exchange(returning(&c, b, 0, value), &by), b);
	ck_assert_int_eq(by, CHOSE_SESSION);
	weigh_up(b, 10);
	close_session(&claim, true);
	ck_assert_uint_eq(all_sessions(), 0);
}
END_TEST

START_TEST(a_new_identity_inherits_what_the_address_has)
{
	struct backend *b, *inherited;
	struct claim first = open_session(newcomer(1), &b, NULL);
	struct choice c;
	struct claim second = open_session(newcomer(1), &inherited, &c);

	ck_assert_ptr_eq(inherited, b);
	ck_assert_int_eq(c.by, CHOSE_WEBSOCKET_LOCK);
	ck_assert(second.has_follower);
	ck_assert(!hash128_eq(first.key, second.key));
	close_session(&first, true);
	close_session(&second, true);
}
END_TEST

START_TEST(one_address_cannot_flood_one_backend)
{
	enum { SOCKETS = 90 };
	struct claim claims[SOCKETS];

	for (unsigned i = 0; i < SOCKETS; i++)
		claims[i] = open_session(newcomer(1), NULL, NULL);
	ck_assert_uint_eq(all_sessions(), SOCKETS);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_le(sessions(rig.up->backends[i]),
		    SOCKETS / 3 * 125 / 100 + 1);
		ck_assert_uint_ge(sessions(rig.up->backends[i]), SOCKETS / 5);
	}
	for (unsigned i = 0; i < SOCKETS; i++)
		close_session(&claims[i], true);
	ck_assert_uint_eq(all_sessions(), 0);
}
END_TEST

START_TEST(a_crowded_address_keeps_its_pin_and_newcomers_stay_anonymous)
{
	enum { SOCKETS = 20 };
	struct claim claims[SOCKETS];
	struct backend *pinned, *b;
	unsigned strangers = 0;

	claims[0] = open_session(weak(1), &pinned, NULL);
	for (unsigned i = 1; i < SOCKETS; i++) {
		struct choice c;

		claims[i] = open_session(weak(1), &b, &c);
		ck_assert_uint_eq(strlen(c.cookie_id), 0);
		if (b != pinned) {
			strangers++;
			ck_assert(!hash128_eq(claims[i].key, weak(1).hash));
		}
	}
	ck_assert_uint_gt(strangers, SOCKETS / 2);
	ck_assert_ptr_eq(exchange(weak(1), NULL), pinned);
	for (unsigned i = 0; i < SOCKETS; i++)
		close_session(&claims[i], true);
	ck_assert_uint_eq(all_sessions(), 0);
}
END_TEST

START_TEST(a_lone_client_known_by_address_is_steered)
{
	/* long polling, then the upgrade, with exchanges in flight all the time */
	struct choice poll = ask(weak(1), false), post = ask(weak(1), false);
	struct backend *b;
	struct claim claim;

	ck_assert_ptr_eq(post.backend, poll.backend);
	claim = open_session(weak(1), &b, NULL);
	ck_assert_ptr_eq(b, poll.backend);
	for (int i = 0; i < 5; i++)
		ck_assert_ptr_eq(exchange(weak(1), NULL), b);
	choice_end(&rig.chooser, rig.up, &post, now);
	choice_end(&rig.chooser, rig.up, &poll, now);
	close_session(&claim, true);
}
END_TEST

START_TEST(a_flood_of_exchanges_from_one_address_spreads)
{
	enum { MANY = 300 };
	static struct choice choices[MANY];
	const struct backend *first;
	unsigned on_first = 0;

	for (unsigned i = 0; i < MANY; i++)
		choices[i] = ask(weak(1), false);
	for (unsigned i = 0; i < MANY; i++)
		on_first += choices[i].backend == choices[0].backend;
	ck_assert_uint_le(on_first, MANY / 3 * 125 / 100 + 2);
	first = choices[0].backend;
	for (unsigned i = 0; i < MANY; i++)
		choice_end(&rig.chooser, rig.up, &choices[i], now);
	ck_assert_ptr_eq(exchange(weak(1), NULL), first);
}
END_TEST

/* Concurrency */

START_TEST(choosers_see_each_others_choices)
{
	struct choice c[30];
	unsigned on[3] = {0};

	for (uint64_t i = 0; i < 30; i++)
		c[i] = ask(strong(i), i % 2);
	for (unsigned i = 0; i < 30; i++) {
		for (size_t j = 0; j < 3; j++)
			on[j] += c[i].backend == rig.up->backends[j];
	}
	for (size_t j = 0; j < 3; j++)
		ck_assert_uint_eq(on[j], 10);
	for (unsigned i = 0; i < 30; i++)
		choice_end(&rig.chooser, rig.up, &c[i], now);
}
END_TEST

enum { ROUNDS = 10000, FEW_ROUNDS = 100, SECONDS = 5 };

static struct backend *agreed[2][ROUNDS];
static atomic_uint arrived;
static atomic_uint rounds = ROUNDS; /* set by the first of the two, before they meet */

/* Spins, since being woken would take longer than what is to collide; and a little
 * longer by chance, since one of the two always sees the other late. */
static void
meet(unsigned times, unsigned longer)
{
	atomic_fetch_add(&arrived, 1);
	for (unsigned spins = 1; atomic_load(&arrived) < 2 * times; spins++) {
		if (spins % 1000 == 0)
			sched_yield();
	}
	while (longer--)
		atomic_load(&arrived);
}

/* Where others want the CPUs, too, each meeting takes milliseconds. */
static bool
has_taken_long(void)
{
	static struct timespec begun;
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	if (!begun.tv_sec)
		begun = t;
	return t.tv_sec - begun.tv_sec > SECONDS;
}

static void *
ask_many(void *at)
{
	struct backend **mine = at;
	struct chooser own;

	chooser_init(&own, rig.pins, rig.secret, mine == agreed[0]);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		struct client_key key = strong(i);
		struct choice c;

		if (mine == agreed[0] && i >= FEW_ROUNDS && has_taken_long())
			atomic_store(&rounds, (unsigned)i);
		meet(2 * (unsigned)i + 1, random_below(&own.random, 1000));
		if (i == atomic_load(&rounds))
			break;
		mine[i] =
		    choose(&own, rig.up, &key, i % 2, NULL, now, &c) ? c.backend : NULL;
		meet(2 * (unsigned)i + 2, 0);
		choice_end(&own, rig.up, &c, now);
	}
	chooser_fini(&own);
	return NULL;
}

START_TEST(the_first_two_requests_of_a_client_agree)
{
	pthread_t second;

	pthread_create(&second, NULL, ask_many, agreed[1]);
	ask_many(agreed[0]);
	pthread_join(second, NULL);
	for (unsigned i = 0; i < atomic_load(&rounds); i++) {
		ck_assert_ptr_nonnull(agreed[0][i]);
		ck_assert_ptr_eq(agreed[0][i], agreed[1][i]);
	}
}
END_TEST

START_TEST(a_session_whose_pin_moved_during_the_handshake_claims_for_itself)
{
	struct choice c = ask(strong(1), true);
	struct backend *b = c.backend;
	struct claim claim;

	ck_assert(pins_move(rig.pins, c.key, b, other_than(b), now, WEBSOCKET));
	claim = choose_session_opened(&rig.chooser, rig.up, &c, now);
	choice_end(&rig.chooser, rig.up, &c, now);
	ck_assert(claim.held && !hash128_eq(claim.key, strong(1).hash));
	ck_assert_uint_eq(sessions(b), 1);
	close_session(&claim, true);
}
END_TEST

/* Re-homing */

START_TEST(rehoming_moves_the_pin_and_http_follows)
{
	struct backend *from, *to, *again;
	struct claim claim = open_session(newcomer(1), &from, NULL);

	backend_mark_failed(from, now, 30);
	to = choose_rehome(&rig.chooser, rig.up, &claim, from, now);
	ck_assert_ptr_nonnull(to);
	ck_assert_ptr_ne(to, from);
	ck_assert_uint_eq(sessions(from), 0);
	ck_assert_uint_eq(sessions(to), 1);
	ck_assert_ptr_eq(exchange(newcomer(1), NULL), to);
	again = choose_rehome(&rig.chooser, rig.up, &claim, from, now);
	ck_assert_ptr_eq(again, to);
	backend_put(again);
	choose_rehome_undo(&rig.chooser, rig.up, &claim, from, to, now, 0);
	ck_assert_uint_eq(sessions(from), 1);
	backend_mark_ok(from);
	ck_assert_ptr_eq(exchange(newcomer(1), NULL), from);
	backend_put(to);
	close_session(&claim, true);
}
END_TEST

START_TEST(sessions_of_one_client_go_to_one_place)
{
	struct backend *from, *b, *to[3];
	struct claim claims[3];

	for (int i = 0; i < 3; i++) {
		claims[i] = open_session(strong(1), &from, NULL);
	}
	set_state(from, BACKEND_DOWN);
	for (int i = 0; i < 3; i++)
		to[i] = choose_rehome(&rig.chooser, rig.up, &claims[i], from, now);
	b = to[0];
	for (int i = 0; i < 3; i++) {
		ck_assert_ptr_eq(to[i], b);
		backend_put(to[i]);
		close_session(&claims[i], true);
	}
}
END_TEST

START_TEST(rehoming_passes_over_a_target_that_failed_too)
{
	struct backend *from, *to, *last;
	struct claim claim = open_session(strong(1), &from, NULL);

	set_state(from, BACKEND_DOWN);
	to = choose_rehome(&rig.chooser, rig.up, &claim, from, now);
	set_state(to, BACKEND_DOWN);
	last = choose_rehome(&rig.chooser, rig.up, &claim, from, now);
	ck_assert_ptr_nonnull(last);
	ck_assert(last != to && last != from);
	ck_assert_uint_eq(sessions(last), 1);
	set_state(last, BACKEND_DOWN);
	ck_assert_ptr_null(choose_rehome(&rig.chooser, rig.up, &claim, last, now));
	backend_put(to);
	backend_put(last);
	close_session(&claim, true);
}
END_TEST

START_TEST(rehoming_many_spreads_them)
{
	enum { MANY = 100 };
	struct claim claims[MANY];

	set_state(b1, BACKEND_DOWN);
	set_state(b2, BACKEND_DOWN);
	for (uint64_t i = 0; i < MANY; i++)
		claims[i] = open_session(strong(i), NULL, NULL);
	set_state(b1, BACKEND_UP);
	set_state(b2, BACKEND_UP);
	set_state(b0, BACKEND_DOWN);
	for (int i = 0; i < MANY; i++)
		backend_put(choose_rehome(&rig.chooser, rig.up, &claims[i], b0, now));
	ck_assert_uint_eq(sessions(b0), 0);
	ck_assert_uint_eq(sessions(b1), MANY / 2);
	ck_assert_uint_eq(sessions(b2), MANY / 2);
	for (int i = 0; i < MANY; i++)
		close_session(&claims[i], true);
}
END_TEST

/* Snapshots */

START_TEST(a_reload_keeps_records_and_marks_what_is_gone)
{
	struct backend *before = backend_get(b0);

	configure("");
	ck_assert_ptr_eq(b0, before);
	ck_assert(!atomic_load(&before->removed));
	backend_put(before);
	ck_assert_ptr_eq(snapshot_upstream(rig.snapshot, rig.up->id), rig.up);
	ck_assert_ptr_null(snapshot_upstream(rig.snapshot, rig.up->id + 1));
}
END_TEST

START_TEST(failing_doubles_and_ends)
{
	uint64_t until, last = 0;

	for (int i = 0; i < 8; i++) {
		backend_mark_failed(b0, now, 30);
		until = atomic_load(&b0->failing_until_ms);
		backend_mark_failed(b0, now, 30); /* the same outage */
		ck_assert_uint_eq(atomic_load(&b0->failing_until_ms), until);
		ck_assert_uint_eq(until - now, i < 5 ? 1000u << i : 30000u);
		ck_assert_uint_ge(until - now, last);
		last = until - now;
		tick(last);
		ck_assert(backend_is_usable(b0, now));
	}
	backend_mark_ok(b0);
	backend_mark_failed(b0, now, 60);
	ck_assert_uint_eq(atomic_load(&b0->failing_until_ms) - now, 1300);
	ck_assert(backend_is_leaving(b0, now));
}
END_TEST

START_TEST(choices_have_names)
{
	ck_assert_str_eq(choose_by_name(CHOSE_WEBSOCKET_LOCK), "websocket_lock");
	ck_assert_str_eq(choose_by_name(CHOSE_POLICY), "policy");
}
END_TEST

static TCase *
order(void)
{
	TCase *t = tcase_create("order");

	tcase_add_checked_fixture(t, setup, steering_end);
	tcase_add_test(t, the_policy_chooses_first_and_the_http_lock_afterwards);
	tcase_add_test(t, an_exchange_in_flight_holds_its_backend);
	tcase_add_test(t, http_goes_where_the_socket_is);
	tcase_add_test(t, a_socket_goes_where_http_was);
	tcase_add_test(t, after_an_abnormal_end_the_window_stays);
	tcase_add_test(t, a_lock_on_an_unusable_backend_breaks_at_once);
	tcase_add_test(t, a_failing_backend_is_left_alone);
	tcase_add_test(t, except_is_never_returned);
	tcase_add_test(t, a_retry_takes_the_pin_along);
	tcase_add_test(t, where_all_are_failing_they_are_tried);
	tcase_add_test(t, where_all_are_ailing_a_full_one_does_not_stand_in_the_way);
	tcase_add_test(t, a_draining_backend_stays_right_for_its_sockets_clients);
	tcase_add_test(t, a_newcomer_never_gets_to_a_draining_backend);
	tcase_add_test(t, down_and_failing_backends_are_right_for_nobody);
	tcase_add_test(t, a_full_backend_takes_no_session_but_serves_its_clients);
	tcase_add_test(t, a_busy_backend_takes_nothing_and_its_clients_wait_for_it);
	tcase_add_test(t, without_a_queue_a_busy_backend_sends_its_clients_elsewhere);
	tcase_add_test(t, busy_is_better_than_failing);
	tcase_add_test(t, handshakes_in_flight_count_against_the_limit);
	tcase_add_test(t, a_second_socket_that_does_not_fit_gets_a_claim_of_its_own);
	return t;
}

static TCase *
identities(void)
{
	TCase *t = tcase_create("identities");

	tcase_add_checked_fixture(t, setup, steering_end);
	tcase_add_test(t, a_client_without_identity_costs_no_pin);
	tcase_add_test(t, a_fresh_cookie_stands_for_the_http_lock);
	tcase_add_test(t, a_stale_or_foreign_cookie_steers_nothing);
	tcase_add_test(t, the_table_knows_better_than_the_cookie);
	tcase_add_test(t, a_cookie_older_than_a_broken_lock_steers_nothing);
	tcase_add_test(t, a_socket_without_cookie_is_found_by_cookie_and_by_address);
	tcase_add_test(t, a_new_identity_inherits_what_the_address_has);
	tcase_add_test(t, one_address_cannot_flood_one_backend);
	tcase_add_test(t, a_crowded_address_keeps_its_pin_and_newcomers_stay_anonymous);
	tcase_add_test(t, a_lone_client_known_by_address_is_steered);
	tcase_add_test(t, a_flood_of_exchanges_from_one_address_spreads);
	return t;
}

static TCase *
moving(void)
{
	TCase *t = tcase_create("moving");

	tcase_add_checked_fixture(t, setup, steering_end);
	tcase_add_test(t, choosers_see_each_others_choices);
	tcase_add_test(t, the_first_two_requests_of_a_client_agree);
	tcase_add_test(t,
	    a_session_whose_pin_moved_during_the_handshake_claims_for_itself);
	tcase_add_test(t, rehoming_moves_the_pin_and_http_follows);
	tcase_add_test(t, sessions_of_one_client_go_to_one_place);
	tcase_add_test(t, rehoming_passes_over_a_target_that_failed_too);
	tcase_add_test(t, rehoming_many_spreads_them);
	tcase_add_test(t, a_reload_keeps_records_and_marks_what_is_gone);
	tcase_add_test(t, failing_doubles_and_ends);
	tcase_add_test(t, choices_have_names);
	return t;
}

/* On the way to another backend */

START_TEST(who_was_sent_away_finds_its_place_kept)
{
	struct claim claim, other;
	struct backend *from, *to, *there;
	struct choice c;

	configure("limits: {max_sessions: 1},");
	claim = open_session(strong(1), &from, NULL);
	to = choose_rehome(&rig.chooser, rig.up, &claim, from, now);
	choose_session_sent_away(&rig.chooser, rig.up, &claim, now);
	ck_assert_uint_eq(sessions(to), 0);
	ck_assert_uint_eq(atomic_load(&to->awaited), 1);
	set_state(from, BACKEND_DRAIN);
	other = open_session(strong(2), &there, NULL);
	ck_assert_ptr_ne(there, to);
	c = ask(strong(1), true); /* full for everybody else */
	ck_assert_ptr_eq(c.backend, to);
	claim = choose_session_opened(&rig.chooser, rig.up, &c, now);
	choice_end(&rig.chooser, rig.up, &c, now);
	ck_assert_uint_eq(atomic_load(&to->awaited), 0);
	ck_assert_uint_eq(sessions(to), 1);
	close_session(&claim, true);
	close_session(&other, true);
	backend_put(to);
}
END_TEST

START_TEST(a_place_is_not_kept_for_ever)
{
	struct claim claim;
	struct backend *from, *to;

	claim = open_session(strong(1), &from, NULL);
	to = choose_rehome(&rig.chooser, rig.up, &claim, from, now);
	choose_session_sent_away(&rig.chooser, rig.up, &claim, now);
	tick(PINS_AWAIT_MS - 1);
	pins_sweep(rig.pins, now);
	ck_assert_uint_eq(atomic_load(&to->awaited), 1);
	tick(1);
	pins_sweep(rig.pins, now);
	ck_assert_uint_eq(atomic_load(&to->awaited), 0);
	backend_put(to);
}
END_TEST

START_TEST(a_move_is_not_taken_back_once_a_session_has_arrived)
{
	struct claim one = open_session(strong(1), NULL, NULL), two;
	struct backend *from, *to;

	two = open_session(strong(1), &from, NULL);
	to = choose_rehome(&rig.chooser, rig.up, &one, from, now);
	ck_assert(!choose_points_to(&rig.chooser, &two, from, now));
	choose_rehome_done(&rig.chooser, rig.up, &one, to, now);
	ck_assert(!choose_rehome_undo(&rig.chooser, rig.up, &two, from, to, now, 1000));
	ck_assert_uint_eq(sessions(to), 2);
	close_session(&one, true);
	close_session(&two, true);
	backend_put(to);
}
END_TEST

START_TEST(a_pin_moved_by_a_worker_is_noted_for_its_other_sessions)
{
	struct claim one = open_session(strong(1), NULL, NULL), two;
	struct backend *from, *to;
	struct hash128 key;

	ck_assert(!pins_next_stray(rig.pins, &key));
	two = open_session(strong(1), &from, NULL);
	to = choose_rehome(&rig.chooser, rig.up, &one, from, now);
	ck_assert(pins_next_stray(rig.pins, &key));
	ck_assert(hash128_eq(key, strong(1).hash));
	ck_assert(!pins_next_stray(rig.pins, &key));
	ck_assert(choose_rehome_undo(&rig.chooser, rig.up, &two, from, to, now, 1000));
	ck_assert(choose_points_to(&rig.chooser, &one, from, now));
	close_session(&one, true);
	close_session(&two, true);
	backend_put(to);
}
END_TEST

static TCase *
on_the_way(void)
{
	TCase *t = tcase_create("on the way");

	tcase_add_checked_fixture(t, setup, steering_end);
	tcase_add_test(t, who_was_sent_away_finds_its_place_kept);
	tcase_add_test(t, a_place_is_not_kept_for_ever);
	tcase_add_test(t, a_move_is_not_taken_back_once_a_session_has_arrived);
	tcase_add_test(t, a_pin_moved_by_a_worker_is_noted_for_its_other_sessions);
	return t;
}

Suite *
suite_choose(void)
{
	Suite *s = suite_create("choose");

	suite_add_tcase(s, order());
	suite_add_tcase(s, identities());
	suite_add_tcase(s, moving());
	suite_add_tcase(s, on_the_way());
	return s;
}
