/* SPDX-License-Identifier: MIT
 *
 * check_moves.c - moves of a session, one event at a time: those orders of events that
 * a test from outside cannot bring about at will.
 */
#include "stand.h"

#include "route/pins.h"
#include <check.h>
#include <sys/socket.h>
#include <unistd.h>

Suite *suite_moves(void);

static uint8_t heard[100000];

static void
setup(void)
{
	stand_begin(1, "drain_timeout: 2s, backoff: 1s,", 0);
}

static size_t
hear(int fd)
{
	bool end;

	stand_turn();
	return stand_hear(fd, heard, sizeof heard, &end);
}

#define say(fd, literal) stand_say(fd, literal, sizeof(literal) - 1)

#define CLIENT_SAYS(letter) "\x81\x81\0\0\0\0" letter

/* The frames that have come to an end are these, and no more. */
#define ck_hears(fd, literal)                                          \
	do {                                                           \
		size_t n_ = hear(fd);                                  \
		ck_assert_uint_eq(n_, sizeof(literal) - 1);            \
		ck_assert_mem_eq(heard, literal, sizeof(literal) - 1); \
	} while (0)

static int
old_backend(void)
{
	return stand.lines[0].fd;
}

/* The client's pin is led back, as it is when another session of it could not move. */
static void
take_pin_back(void)
{
	struct session *s = stand.s;
	uint64_t now = clock_now_ms();

	ck_assert(
	    pins_move(rig.pins, s->claim.key, rig.up->backends[1], s->home, now, 1000));
}

/* The client is to be moved to b1, which has agreed; but the old backend speaks unasked
 * and the client was heard just now, so this is no moment to cut. */
static struct line *
move_until_cutting(void)
{
	struct line *line;

	say(old_backend(), "\x81\x01u");
	ck_hears(stand.client, "\x81\x01u");
	ck_assert(stand_move(1));
	stand_pass(20);
	line = stand_accept(1);
	ck_assert_ptr_nonnull(line);
	hear(line->fd);
	say(stand.client, CLIENT_SAYS("a"));
	ck_hears(old_backend(), CLIENT_SAYS("a"));
	stand_greet(line, NULL, 0);
	stand_turn();
	ck_assert(stand.s->move && !rehome_is_cut(stand.s));
	return line;
}

/* A second later the end of the client's message, which is under way, will do. */
static struct line *
move_until_wanted(void)
{
	struct line *line = move_until_cutting();

	say(stand.client, "\x01\x81\0\0\0\0b");
	stand_pass(1200);
	ck_hears(old_backend(), "\x01\x81\0\0\0\0b");
	ck_assert(stand.s->cut_wanted);
	return line;
}

/* ---- the cut ---- */

START_TEST(a_pin_that_is_back_at_the_cut_holds_up_nobody)
{
	move_until_wanted();
	take_pin_back();
	say(stand.client, "\x80\x81\0\0\0\0c" CLIENT_SAYS("d"));
	ck_hears(old_backend(), "\x80\x81\0\0\0\0c" CLIENT_SAYS("d"));
	ck_assert_ptr_null(stand.s->move);
}
END_TEST

START_TEST(a_pin_that_is_back_when_patience_ends_ends_the_move)
{
	move_until_cutting();
	take_pin_back();
	for (int i = 0; i < 60 && stand.s->move; i++) { /* it is never silent */
		say(stand.client, CLIENT_SAYS("b"));
		stand_pass(20);
		ck_hears(old_backend(), CLIENT_SAYS("b"));
	}
	ck_assert_ptr_null(stand.s->move);
	stand_pass(1000);
}
END_TEST

START_TEST(words_held_for_a_backend_that_dies_go_to_the_old_one)
{
	struct line *line = move_until_wanted();

	say(stand.client, "\x80\x81\0\0\0\0c" CLIENT_SAYS("d"));
	ck_hears(old_backend(), "\x80\x81\0\0\0\0c");
	ck_assert(rehome_is_cut(stand.s));
	close(line->fd);
	line->fd = -1;
	ck_hears(old_backend(), CLIENT_SAYS("d"));
	/* and still do when it is tried again */
	say(stand.client, CLIENT_SAYS("e"));
	ck_hears(old_backend(), CLIENT_SAYS("e"));
	stand_pass(2000);
	ck_assert_ptr_nonnull(stand_accept(1));
}
END_TEST

START_TEST(what_stands_behind_words_that_a_dead_backend_refused_is_said)
{
	uint8_t words[2 * 7 + FRAME_CARRY], payload[21];
	struct line *line = move_until_cutting();
	size_t n;

	half_send_ping(&stand.s->client);
	ck_assert_uint_eq(hear(stand.client), 2 + sizeof payload);
	memcpy(payload, heard + 2, sizeof payload);
	memcpy(words, CLIENT_SAYS("b"), 7);
	n = 7 + frame_write_control(words + 7, OP_PONG, payload, sizeof payload, true);
	memcpy(words + n, CLIENT_SAYS("c"), 7);
	close(old_backend());
	stand.lines[0].fd = -1;
	half_take(&stand.s->client, words, n + 7);
	ck_assert_str_eq(stand.s->home->name, "b1");
	ck_hears(line->fd, CLIENT_SAYS("b") CLIENT_SAYS("c"));
}
END_TEST

START_TEST(a_long_message_of_the_old_backend_is_not_torn)
{
	struct line *line = move_until_wanted();

	say(old_backend(), "\x01\x01x");
	ck_hears(stand.client, "\x01\x01x");
	say(stand.client, "\x80\x81\0\0\0\0c" CLIENT_SAYS("d"));
	ck_hears(old_backend(), "\x80\x81\0\0\0\0c");
	stand_pass(1900);
	say(old_backend(), "\x00\x01y");
	ck_hears(stand.client, "\x00\x01y");
	stand_pass(200);
	/* it goes on as before, and is moved another time */
	ck_hears(old_backend(), CLIENT_SAYS("d"));
	say(old_backend(), "\x80\x01z");
	ck_hears(stand.client, "\x80\x01z");
	stand_pass(2000);
	line = stand_accept(1);
	ck_assert_ptr_nonnull(line);
	stand_greet(line, NULL, 0);
	stand_pass(200);
	ck_assert_uint_eq(hear(old_backend()), 8 + 8);
	say(old_backend(), "\x88\x02\x03\xe9");
	stand_turn();
	ck_assert_str_eq(stand.s->home->name, "b1");
}
END_TEST

START_TEST(questions_to_the_old_backend_are_none_to_the_new_one)
{
	struct line *line;

	say(stand.client, CLIENT_SAYS("a") CLIENT_SAYS("b"));
	ck_hears(old_backend(), CLIENT_SAYS("a") CLIENT_SAYS("b"));
	ck_assert(stand_move(1));
	stand_pass(20);
	line = stand_accept(1);
	ck_assert_ptr_nonnull(line);
	stand_greet(line, NULL, 0);
	stand_pass(1100); /* two answers might come */
	hear(old_backend());
	say(old_backend(), "\x88\x02\x03\xe9");
	stand_turn();
	ck_assert_str_eq(stand.s->home->name, "b1");
	close(line->fd);
	line->fd = -1;
	stand_turn();
	ck_assert_int_eq(stand.s->state, SESSION_RECONNECTING);
	ck_assert_uint_eq(count_get(&stand.loop->counters, COUNT_MAYBE_LOST), 0);
}
END_TEST

START_TEST(a_client_between_two_dead_backends_is_seen_to_go)
{
	static uint8_t much[8 + 60000] = {0x82, 0xfe, 60000 >> 8, 60000 & 255};
	struct line *line = move_until_cutting();

	half_take(&stand.s->client, much, sizeof much);
	ck_assert_uint_gt(stream_queued(&stand.s->backend.stream), 0);
	stand_pass(120);
	ck_assert(rehome_is_cut(stand.s));
	close(line->fd);
	close(old_backend());
	line->fd = stand.lines[0].fd = -1;
	stand_turn();
	ck_assert_int_eq(stand.s->state, SESSION_RECONNECTING);
	close(stand.client);
	stand.client = -1;
	stand_turn();
	ck_assert_uint_eq(stand.registry.n_sessions, 0);
}
END_TEST

/* ---- last words ---- */

START_TEST(a_close_stands_although_its_backend_was_spoken_to_later)
{
	say(old_backend(), "\x81\x01x\x88\x02\x0f\xa1");
	close(old_backend());
	stand.lines[0].fd = -1;
	half_take(&stand.s->client, (const uint8_t *)CLIENT_SAYS("a"), 7);
	ck_assert_int_eq(stand.s->state, SESSION_CLOSING);
	ck_hears(stand.client, "\x81\x01x\x88\x02\x0f\xa1");
	ck_assert_uint_eq(count_get(&stand.loop->counters, COUNT_MAYBE_LOST), 0);
}
END_TEST

START_TEST(the_last_answer_of_a_backend_that_dies_is_passed_on)
{
	say(old_backend(), "\x81\x01x\x81");
	stand_turn();
	say(old_backend(), "\x01y");
	close(old_backend());
	stand.lines[0].fd = -1;
	half_take(&stand.s->client, (const uint8_t *)CLIENT_SAYS("a"), 7);
	ck_assert_int_eq(stand.s->state, SESSION_RECONNECTING);
	ck_hears(stand.client, "\x81\x01x\x81\x01y");
}
END_TEST

START_TEST(a_client_that_says_something_and_leaves_has_said_it)
{
	say(stand.client, CLIENT_SAYS("a") "\x88\x82\0\0\0\0\x03\xe8");
	close(stand.client);
	stand.client = -1;
	half_take(&stand.s->backend, (const uint8_t *)"\x81\x01x", 3);
	ck_hears(old_backend(), CLIENT_SAYS("a") "\x88\x82\0\0\0\0\x03\xe8");
	ck_assert_uint_eq(count_get(&stand.loop->counters, COUNT_END_CLEAN), 1);
}
END_TEST

START_TEST(the_last_words_of_an_old_backend_count_as_well)
{
	struct line *line = move_until_wanted();

	say(stand.client, "\x80\x81\0\0\0\0c" CLIENT_SAYS("d"));
	ck_hears(old_backend(), "\x80\x81\0\0\0\0c");
	say(old_backend(), "\x81\x01x");
	close(old_backend());
	stand.lines[0].fd = -1;
	half_ops.on_broken(&stand.s->backend.stream);
	ck_hears(stand.client, "\x81\x01x");
	ck_hears(line->fd, CLIENT_SAYS("d"));
}
END_TEST

/* ---- closing ---- */

static void
narrow(void)
{
	stand_begin(1, "", 4608);
}

/* A message of 60,000 bytes and a Close, as far as the peer takes it. */
static bool
say_much(int fd, bool masked, size_t *at)
{
	static uint8_t words[8 + 60000 + 8];
	size_t header = masked ? 8 : 4, n = header + 60000;
	ssize_t sent;

	memcpy(words, masked ? "\x82\xfe\xea\x60\0\0\0\0" : "\x82\x7e\xea\x60", header);
	memcpy(words + n, masked ? "\x88\x82\0\0\0\0\x03\xe8" : "\x88\x02\x03\xe8",
	    header);
	n += header;
	sent = send(fd, words + *at, n - *at, MSG_NOSIGNAL | MSG_DONTWAIT);
	*at += sent > 0 ? (size_t)sent : 0;
	return *at == n;
}

START_TEST(a_close_behind_much_that_is_read_slowly_gets_through)
{
	int from = _i ? stand.client : old_backend(),
	    to = _i ? old_backend() : stand.client;
	size_t at = 0, got = 0, n;

	ck_assert(!say_much(from, _i, &at));
	stand_turn();
	if (_i)
		say(to, "\x88\x02\x03\xe8");
	else
		say(to, "\x88\x82\0\0\0\0\x03\xe8");
	stand_turn();
	ck_assert_int_eq(stand.s->state, SESSION_CLOSING);
	for (int i = 0; i < 100; i++) {
		say_much(from, _i, &at);
		n = hear(to);
		got += n < 2000 ? n : n;
	}
	ck_assert_uint_eq(got, 60000 + (_i ? 16 : 8));
	ck_assert_uint_eq(stand.registry.n_sessions, 0);
	ck_assert_uint_eq(count_get(&stand.loop->counters, COUNT_END_CLEAN), 1);
}
END_TEST

START_TEST(a_backend_that_says_close_and_is_gone_leaves_time_to_answer)
{
	bool end;

	say(old_backend(), "\x88\x02\x0f\xa1");
	close(old_backend());
	stand.lines[0].fd = -1;
	stand_turn();
	/* who still talks must not be answered with a reset, which could go before */
	say(stand.client, CLIENT_SAYS("a"));
	stand_pass(1000);
	say(stand.client, CLIENT_SAYS("b"));
	ck_hears(stand.client, "\x88\x02\x0f\xa1");
	stand_hear(stand.client, heard, 1, &end);
	ck_assert(end);
	say(stand.client, "\x88\x82\0\0\0\0\x0f\xa1");
	stand_turn();
	ck_assert_uint_eq(stand.registry.n_sessions, 0);
	ck_assert_uint_eq(count_get(&stand.loop->counters, COUNT_END_APPLICATION), 1);
}
END_TEST

Suite *
suite_moves(void)
{
	Suite *suite = suite_create("moves");
	TCase *t = tcase_create("moves"), *slow = tcase_create("slow");

	tcase_add_checked_fixture(t, setup, stand_end);
	tcase_add_test(t, a_pin_that_is_back_at_the_cut_holds_up_nobody);
	tcase_add_test(t, a_pin_that_is_back_when_patience_ends_ends_the_move);
	tcase_add_test(t, words_held_for_a_backend_that_dies_go_to_the_old_one);
	tcase_add_test(t, what_stands_behind_words_that_a_dead_backend_refused_is_said);
	tcase_add_test(t, a_long_message_of_the_old_backend_is_not_torn);
	tcase_add_test(t, questions_to_the_old_backend_are_none_to_the_new_one);
	tcase_add_test(t, a_close_stands_although_its_backend_was_spoken_to_later);
	tcase_add_test(t, the_last_answer_of_a_backend_that_dies_is_passed_on);
	tcase_add_test(t, a_client_that_says_something_and_leaves_has_said_it);
	tcase_add_test(t, the_last_words_of_an_old_backend_count_as_well);
	tcase_add_test(t, a_backend_that_says_close_and_is_gone_leaves_time_to_answer);
	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(slow, narrow, stand_end);
	tcase_add_loop_test(slow, a_close_behind_much_that_is_read_slowly_gets_through,
	    0, 2);
	tcase_add_test(slow, a_client_between_two_dead_backends_is_seen_to_go);
	suite_add_tcase(suite, slow);
	return suite;
}
