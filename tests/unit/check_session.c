/* SPDX-License-Identifier: MIT
 *
 * check_session.c - sessions in time: heartbeats and what they race with, queues that
 * do not move, ages, the sweep.
 *
 * A session stands between two socket pairs on a real loop; only the clock is not real.
 * Nothing happens but in turn().
 */
#include "base/strbuf.h"
#include "config/load.h"
#include "route/choose.h"
#include "route/pins.h"
#include "route/router.h"
#include "upstream/backend.h"
#include "upstream/pace.h"
#include "upstream/pool.h"
#include "upstream/upstream.h"
#include "ws/describe.h"
#include "ws/registry.h"
#include "ws/session_private.h"
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

Suite *suite_session(void);

enum { INTERVAL = 20000, TIMEOUT = 10000, BUFFER = 8192, PING_SIZE = 2 + 21 };

static struct loop *loop;
static struct snapshot *snapshot;
static struct pins *pins;
static struct chooser chooser;
static struct pools pools;
static struct registry registry;
static struct session *s;
static int client, backend; /* our ends */
static uint8_t heard[200000];

static void
configure(const char *keys, const char *route)
{
	struct strbuf text = STRBUF_INIT, errors = STRBUF_INIT;
	struct config *config;

	strbuf_printf(&text,
	    "listeners: [{bind: \"127.0.0.1:0\"}]\n"
	    "routes: [{path: /, upstream: chat%s}]\n"
	    "upstreams:\n"
	    "  chat:\n"
	    "%s"
	    "    backends:\n"
	    "      - {name: b0, address: \"127.0.0.1:1\"}\n"
	    "      - {name: b1, address: \"127.0.0.1:2\"}\n",
	    route, keys);
	config = config_parse("test", text.data, text.len, NULL, &errors);
	ck_assert_msg(config != NULL, "%s", strbuf_cstr(&errors));
	strbuf_fini(&text);
	strbuf_fini(&errors);
	snapshot = snapshot_new(config, NULL);
	ck_assert_ptr_nonnull(snapshot);
}

static void
turn(void)
{
	for (int i = 0; i < 4; i++)
		loop_turn(loop);
}

/* Lets time pass as a loop would: no timer fires late. */
static void
pass(uint64_t ms)
{
	for (uint64_t step; ms; ms -= step) {
		step = ms < 50 ? ms : 50;
		clock_fake_advance(step);
		turn();
	}
}

static void
connect_half(struct half *h, bool masked, int *end)
{
	int fds[2], size = BUFFER;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	h->session = s;
	h->alive_ms = clock_now_ms();
	frame_scanner_init(&h->scan, masked, false);
	stream_init(&h->stream, loop, fds[0], &half_ops);
	*end = fds[1];
}

static void
open_session(void)
{
	struct client_key key = {.found = true, .hash = {1, 2}};
	const struct upstream *up = &snapshot->upstreams[0];
	uint64_t now = clock_now_ms();
	struct choice choice;

	s = calloc(1, sizeof *s);
	ck_assert_ptr_nonnull(s);
	magic_set(s, SESSION_MAGIC);
	s->registry = &registry;
	s->view = view_new(snapshot_get(snapshot));
	view_take_pages(s->view);
	s->up = up;
	ck_assert(choose(&chooser, up, &key, true, NULL, now, &choice));
	s->claim = choose_session_opened(&chooser, up, &choice, now);
	s->home = backend_get(choice.backend);
	choice_end(&chooser, up, &choice, now);
	s->opened_ms = s->state_ms = now;
	s->jitter = 127; /* none, nearly */
	s->token = 0x11111111;
	memcpy(s->id, "0123456789abcdef", SESSION_ID);
	watch_init(s);
	connect_half(&s->client, true, &client);
	connect_half(&s->backend, false, &backend);
	ck_assert(session_follow_settings(s));
	ck_assert(registry_add(&registry, s));
	half_resume(&s->client);
	half_resume(&s->backend);
	watch_arm(s);
	turn();
}

static void
begin(const char *keys, const char *route)
{
	log_set_level(LEVEL_ERROR);
	clock_fake_set(1000000);
	configure(keys, route);
	loop = loop_new(NULL);
	ck_assert_ptr_nonnull(loop);
	pins = pins_new(1000);
	static uint8_t secret[HASH_SECRET];
	chooser_init(&chooser, pins, secret, 1);
	pools_init(&pools, loop);
	registry_init(&registry, loop, &pools, &chooser);
	open_session();
}

static void
standard(void)
{
	begin("", "");
}

static void
teardown(void)
{
	registry_fini(&registry);
	pools_fini(&pools);
	chooser_fini(&chooser);
	pins_free(pins);
	loop_free(loop);
	snapshot_put(snapshot);
	close(client);
	close(backend);
	clock_fake_stop();
}

static void
say(int fd, const void *p, size_t n)
{
	ck_assert_int_eq(send(fd, p, n, MSG_NOSIGNAL), (int)n);
	turn();
}

#define say_lit(fd, literal) say(fd, literal, sizeof(literal) - 1)

/* What has come to one of our ends. */
static size_t
hear(int fd)
{
	size_t n = 0;
	ssize_t got;

	turn();
	while ((got = recv(fd, heard + n, sizeof heard - n, MSG_DONTWAIT)) > 0)
		n += (size_t)got;
	return n;
}

static uint64_t
counted(enum counter which)
{
	return count_get(&loop->counters, which);
}

/* The ping that has come to an end, and nothing else; its payload in *payload. */
static void
hear_ping(int fd, uint8_t payload[21])
{
	bool masked = fd == backend;
	size_t n = hear(fd), header = masked ? 6 : 2;

	ck_assert_uint_eq(n, header + 21);
	ck_assert_uint_eq(heard[0], 0x89);
	ck_assert_uint_eq(heard[1], masked ? 0x95 : 0x15);
	for (size_t i = 0; i < 21; i++)
		payload[i] = heard[header + i] ^ (masked ? heard[2 + i % 4] : 0);
	ck_assert_mem_eq(payload, "roost", 5);
}

static void
say_pong(int fd, const uint8_t payload[21])
{
	uint8_t frame[FRAME_CARRY];
	size_t n = frame_write_control(frame, OP_PONG, payload, 21, fd == client);

	ck_assert_int_eq(send(fd, frame, n, MSG_NOSIGNAL), (int)n);
}

/* The code of a Close that stands in heard at `at`, whose payload is not masked. */
static unsigned
close_at(size_t at)
{
	ck_assert_uint_eq(heard[at], 0x88);
	return heard[at + 2] * 256u + heard[at + 3];
}

/* ---- heartbeats ---- */

START_TEST(both_sides_are_pinged_when_silent_and_pongs_are_swallowed)
{
	uint8_t to_client[21], to_backend[21];

	pass(INTERVAL - 100);
	ck_assert_uint_eq(hear(client) + hear(backend), 0);
	while (counted(COUNT_PINGS) == 0)
		pass(10);
	ck_assert_uint_le(clock_now_ms(), 1000000 + INTERVAL + 50);
	hear_ping(client, to_client);
	hear_ping(backend, to_backend);
	ck_assert_mem_ne(to_client, to_backend, 21);
	clock_fake_advance(40);
	say_pong(client, to_client);
	say_pong(backend, to_backend);
	turn();
	ck_assert_uint_eq(hear(client) + hear(backend), 0);
	ck_assert_uint_eq(counted(COUNT_PINGS), 2);
	ck_assert_uint_eq(counted(COUNT_PONGS), 2);
	ck_assert_uint_eq(s->client.rtt_us, 40000);
	pass(INTERVAL + TIMEOUT - 1000);
	ck_assert_uint_eq(registry.n_sessions, 1);
	ck_assert_uint_eq(counted(COUNT_PINGS), 4);
}
END_TEST

START_TEST(pings_and_pongs_of_the_application_travel)
{
	say_lit(client, "\x8a\x82\0\0\0\0hi");
	ck_assert_uint_eq(hear(backend), 8);
	ck_assert_mem_eq(heard, "\x8a\x82\0\0\0\0hi", 8);
	say_lit(backend, "\x89\x02yo");
	ck_assert_uint_eq(hear(client), 4);
	/* also one that looks like ours, with another's secret */
	say_lit(backend, "\x8a\x15roost1111111100000001");
	ck_assert_uint_eq(hear(client), PING_SIZE);
	ck_assert_uint_eq(counted(COUNT_PONGS), 0);
}
END_TEST

START_TEST(traffic_of_a_side_spares_it_the_ping)
{
	uint8_t payload[21];

	pass(INTERVAL - 1000);
	say_lit(client, "\x81\x80mask");
	ck_assert_uint_eq(hear(backend), 6);
	pass(2000);
	ck_assert_uint_eq(hear(client), 0);
	hear_ping(backend, payload); /* it was silent itself */
}
END_TEST

START_TEST(a_client_that_does_not_answer_is_closed_as_stale)
{
	uint8_t payload[21];

	pass(INTERVAL + 100);
	hear_ping(client, payload);
	hear_ping(backend, payload);
	say_pong(backend, payload);
	pass(TIMEOUT - 300);
	ck_assert_int_eq(s->state, SESSION_CONNECTED);
	pass(300);
	ck_assert_uint_gt(hear(client), 4);
	ck_assert_uint_eq(close_at(0), CLOSE_GOING_AWAY);
	ck_assert_mem_eq(heard + 4, "stale", 5);
	ck_assert_uint_gt(hear(backend), 4);
	ck_assert_uint_eq(heard[0], 0x88);
	pass(6000);
	ck_assert_uint_eq(registry.n_sessions, 0);
	ck_assert_uint_eq(counted(COUNT_END_HEARTBEAT_TIMEOUT), 1);
	ck_assert_uint_eq(counted(COUNT_SWEEP_FOUND), 0);
}
END_TEST

START_TEST(any_byte_is_an_answer)
{
	uint8_t payload[21];

	pass(INTERVAL + 100);
	hear_ping(client, payload);
	hear_ping(backend, payload);
	pass(TIMEOUT - 200);
	say_lit(client, "\x81");
	say_lit(backend, "\x81");
	pass(TIMEOUT);
	ck_assert_uint_eq(registry.n_sessions, 1);
	ck_assert_int_eq(s->state, SESSION_CONNECTED);
}
END_TEST

START_TEST(an_answer_that_is_there_unread_counts)
{
	uint8_t to_client[21], to_backend[21];

	pass(INTERVAL + 100);
	hear_ping(client, to_client);
	hear_ping(backend, to_backend);
	say_pong(client, to_client);
	say_pong(backend, to_backend);
	/* the thread sleeps; when it wakes up the timers come first */
	clock_fake_advance(10 * TIMEOUT);
	timers_run(&loop->timers, clock_now_ms());
	ck_assert_int_eq(s->state, SESSION_CONNECTED);
	pass(1000);
	ck_assert_int_eq(s->state, SESSION_CONNECTED);
	ck_assert_uint_eq(counted(COUNT_PONGS), 2);
	ck_assert_uint_eq(counted(COUNT_SWEEP_FOUND), 0);
}
END_TEST

START_TEST(a_late_answer_to_an_earlier_ping_is_swallowed)
{
	uint8_t first[21], second[21], other[21];

	pass(INTERVAL + 100);
	hear_ping(client, first);
	hear_ping(backend, other);
	say_pong(backend, other);
	say_lit(client, "\x81\x80mask");
	ck_assert_uint_eq(hear(backend), 6);
	pass(INTERVAL + 100);
	hear_ping(client, second);
	ck_assert_mem_ne(first, second, 21);
	hear(backend);
	say_pong(client, first);
	ck_assert_uint_eq(hear(backend), 0);
	ck_assert_uint_eq(counted(COUNT_PONGS), 1); /* nobody knows when it was asked */
	say_pong(client, second);
	say_pong(client, second);
	ck_assert_uint_eq(hear(backend), 0);
	ck_assert_uint_eq(counted(COUNT_PONGS), 2);
}
END_TEST

START_TEST(no_ping_lands_inside_a_frame)
{
	pass(INTERVAL - 1000);
	say_lit(backend, "\x82\x06"
			 "abc");
	ck_assert_uint_eq(hear(client), 5);
	pass(3000); /* the client was silent for long enough, but this is its frame */
	ck_assert_uint_eq(hear(client), 0);
	say_lit(backend, "def");
	ck_assert_uint_eq(hear(client), 3 + PING_SIZE);
	ck_assert_mem_eq(heard, "def\x89\x15roost", 10);
}
END_TEST

START_TEST(a_ping_may_stand_between_the_frames_of_a_message)
{
	pass(INTERVAL - 1000);
	say_lit(backend, "\x02\x03"
			 "abc");
	ck_assert_uint_eq(hear(client), 5);
	pass(2000);
	ck_assert_uint_eq(hear(client), PING_SIZE);
	ck_assert_uint_eq(heard[0], 0x89);
}
END_TEST

START_TEST(a_ping_that_had_to_wait_is_dropped_when_it_is_not_needed_any_more)
{
	pass(INTERVAL - 1000);
	say_lit(backend, "\x82\x06"
			 "abc");
	hear(client);
	pass(3000);
	ck_assert(s->client.ping_due);
	say_lit(client, "\x81\x80mask");
	say_lit(backend, "def");
	ck_assert_uint_eq(hear(client), 3);
	ck_assert(!s->client.ping_due);
}
END_TEST

START_TEST(nothing_is_said_after_a_close)
{
	pass(INTERVAL - 1000);
	say_lit(backend, "\x88\x02\x03\xe8");
	ck_assert_uint_eq(hear(client), 4);
	pass(3000);
	ck_assert_uint_eq(hear(client) + hear(backend), 0);
	ck_assert_uint_eq(counted(COUNT_PINGS), 0);
}
END_TEST

START_TEST(a_backend_that_does_not_answer_is_as_good_as_lost)
{
	uint8_t payload[21];

	pass(INTERVAL + 100);
	hear_ping(client, payload);
	say_pong(client, payload);
	hear_ping(backend, payload);
	pass(TIMEOUT + 100);
	pass(100); /* its turn has come */
	/* a code that makes clients come back */
	ck_assert_uint_gt(hear(client), 4);
	ck_assert_uint_eq(close_at(0), CLOSE_RESTART);
	ck_assert_uint_gt(hear(backend), 6);
	ck_assert_uint_eq(heard[0], 0x88);
	say_lit(client, "\x88\x82\0\0\0\0\x03\xf4");
	pass(100);
	ck_assert_uint_eq(registry.n_sessions, 0);
	ck_assert_uint_eq(counted(COUNT_END_HEARTBEAT_TIMEOUT), 1);
}
END_TEST

static void
no_heartbeats(void)
{
	begin("    heartbeat: {interval: 0}\n", "");
}

START_TEST(heartbeats_can_be_turned_off)
{
	ck_assert(!timer_is_set(&s->timer));
	pass(200000);
	ck_assert_uint_eq(hear(client) + hear(backend), 0);
	ck_assert_uint_eq(counted(COUNT_SWEEP_FOUND), 0);
	ck_assert_int_eq(s->state, SESSION_CONNECTED);
}
END_TEST

/* ---- queues ---- */

static void
flood(int fd)
{
	static const uint8_t header[10] = {0x82, 127, 0, 0, 0, 0, 0, 16, 0, 0};
	static uint8_t bytes[1 << 16];

	say(fd, header, sizeof header);
	for (int i = 0; i < 4; i++) {
		send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
		turn();
	}
	ck_assert_uint_gt(stream_queued(&s->client.stream), 0);
}

START_TEST(a_client_that_takes_nothing_is_closed)
{
	flood(backend);
	pass(29000);
	ck_assert_int_eq(s->state, SESSION_CONNECTED);
	pass(9000);
	ck_assert_uint_eq(registry.n_sessions, 0);
	ck_assert_uint_eq(counted(COUNT_END_SLOW_READER), 1);
	/* one could not take a ping, the other was not listened to */
	ck_assert_uint_eq(counted(COUNT_PINGS), 0);
}
END_TEST

START_TEST(a_client_that_takes_a_little_now_and_then_stays)
{
	flood(backend);
	for (int i = 0; i < 4; i++) {
		pass(20000);
		ck_assert_uint_gt(stream_queued(&s->client.stream), 0);
		/* what is in its socket, and no more */
		while (recv(client, heard, sizeof heard, MSG_DONTWAIT) > 0)
			continue;
		ck_assert_uint_eq(registry.n_sessions, 1);
	}
	/* it showed life all the time, so nobody asked */
	ck_assert_uint_eq(s->client.pings, 0);
	/* the sweep comes just when the last of it has been taken */
	pass(9900);
	while (stream_queued(&s->client.stream) || stream_queued(&s->backend.stream))
		hear(client);
	while (hear(client))
		continue;
	pass(200);
	ck_assert_int_eq(s->state, SESSION_CONNECTED);
	ck_assert_uint_eq(counted(COUNT_SWEEP_FOUND), 0);
}
END_TEST

static void
patient(void)
{
	begin("    timeouts: {write: 10m}\n", "");
}

START_TEST(a_side_that_was_not_read_is_not_blamed_for_its_silence)
{
	static const uint8_t frame[8 + 60000] = {0x82, 0xfe, 60000 >> 8, 60000 & 255};
	size_t n;

	say(client, frame, sizeof frame);
	ck_assert(!s->client.stream.reading);
	pass(89900);
	ck_assert_uint_eq(s->client.pings, 0);
	for (n = 0; n < sizeof frame;)
		n += hear(backend);
	/* and now the sweep comes */
	pass(200);
	ck_assert(s->client.stream.reading);
	ck_assert_uint_eq(counted(COUNT_SWEEP_FOUND), 0);
	ck_assert_int_eq(s->state, SESSION_CONNECTED);
}
END_TEST

/* ---- dates ---- */

static void
aged(void)
{
	begin("    heartbeat: {interval: 0}\n    limits: {max_session_age: 60s}\n", "");
}

START_TEST(an_old_session_is_sent_away_to_come_back)
{
	pass(59000);
	ck_assert_int_eq(s->state, SESSION_CONNECTED);
	pass(1200);
	ck_assert_uint_gt(hear(client), 4);
	ck_assert_uint_eq(close_at(0), CLOSE_RESTART);
	say_lit(client, "\x88\x82\0\0\0\0\x03\xf4");
	pass(100);
	ck_assert_uint_eq(counted(COUNT_END_SESSION_AGE), 1);
}
END_TEST

START_TEST(who_has_no_backend_leaves_although_a_reload_forgets_its_age)
{
	struct config_limits *limits = &snapshot->config->upstreams[0].limits;

	pass(59000);
	for (int i = 0; i < 210; i++)
		pace_book_ms(s->up, s->home, clock_now_us());
	shutdown(backend, SHUT_RDWR);
	turn();
	ck_assert_int_eq(s->state, SESSION_RECONNECTING);
	limits->max_session_age_ms = 0;
	ck_assert(session_follow_settings(s));
	watch_arm(s);
	pass(3000);
	ck_assert_uint_gt(hear(client), 4);
	ck_assert_uint_eq(close_at(0), CLOSE_RESTART);
	ck_assert_uint_eq(counted(COUNT_REHOMES_CLOSED), 1);
}
END_TEST

START_TEST(a_message_under_way_may_end_first)
{
	pass(59000);
	say_lit(backend, "\x01\x02"
			 "ab");
	pass(1200);
	ck_assert_int_eq(s->state, SESSION_CONNECTED);
	say_lit(backend, "\x80\x02"
			 "cd");
	pass(100);
	ck_assert_uint_gt(hear(client), 12);
	ck_assert_mem_eq(heard,
	    "\x01\x02"
	    "ab\x80\x02"
	    "cd\x88",
	    9);
}
END_TEST

START_TEST(but_not_for_ever)
{
	pass(59000);
	say_lit(backend, "\x01\x02"
			 "ab");
	pass(3000);
	ck_assert_int_ne(s->state, SESSION_CONNECTED);
}
END_TEST

START_TEST(a_shutdown_comes_before_any_age)
{
	registry_stop(&registry, REASON_SHUTDOWN, 1000);
	ck_assert(session_follow_settings(s));
	pass(1100);
	ck_assert_uint_gt(hear(client), 4);
	ck_assert_uint_eq(close_at(0), CLOSE_RESTART);
	pass(6000);
	ck_assert_uint_eq(counted(COUNT_END_SHUTDOWN), 1);
}
END_TEST

START_TEST(who_comes_while_roost_stops_is_told_as_well)
{
	registry_remove(&registry, s);
	registry_stop(&registry, REASON_SHUTDOWN, 1000);
	pass(900);
	ck_assert(registry_add(&registry, s));
	watch_arm(s);
	pass(200);
	ck_assert_uint_gt(hear(client), 4);
	ck_assert_uint_eq(close_at(0), CLOSE_RESTART);
}
END_TEST

START_TEST(an_upgrade_keeps_the_pace_of_rehoming)
{
	uint64_t ms = 0;

	/* others have been told before */
	while (ms < 2000)
		ms = pace_book_ms(s->up, s->home, clock_now_ms() * 1000);
	registry_stop(&registry, REASON_UPGRADED, 10000);
	pass(1900);
	ck_assert_uint_eq(hear(client), 0);
	pass(300);
	ck_assert_uint_gt(hear(client), 4);
	ck_assert_uint_eq(close_at(0), CLOSE_RESTART);
	ck_assert_mem_eq(heard + 4, "upgraded", 8);
}
END_TEST

START_TEST(but_an_upgrade_ends_in_time)
{
	while (pace_book_ms(s->up, s->home, clock_now_ms() * 1000) < 20000)
		continue;
	registry_stop(&registry, REASON_UPGRADED, 3000);
	pass(3100);
	ck_assert_uint_gt(hear(client), 4);
}
END_TEST

/* ---- the sweep ---- */

START_TEST(the_sweep_finds_what_a_timer_missed)
{
	timer_clear(&s->timer);
	pass(INTERVAL + TIMEOUT + 31000);
	ck_assert_uint_eq(counted(COUNT_SWEEP_FOUND), 1);
	ck_assert_uint_gt(hear(client), 4);
	ck_assert_uint_eq(close_at(0), CLOSE_GOING_AWAY);
	pass(6000);
	ck_assert_uint_eq(registry.n_sessions, 0);
	ck_assert_uint_eq(counted(COUNT_END_STALE), 1);
}
END_TEST

START_TEST(the_sweep_finds_nothing_when_the_thread_had_slept)
{
	for (int i = 0; i < 50; i++) {
		pass(9000);
		clock_fake_advance(37000);
		turn();
		if (hear(client))
			say_lit(client, "\x81\x80mask");
		if (hear(backend))
			say_lit(backend, "\x81\x00");
	}
	ck_assert_uint_eq(counted(COUNT_SWEEP_FOUND), 0);
	ck_assert_uint_eq(registry.n_sessions, 1);
}
END_TEST

/* ---- heartbeats of the application ---- */

static void
with_app_heartbeats(void)
{
	begin("", ", app_heartbeats: [{value: ping, answer: '{\"type\":\"pong\"}'}, "
		  "{value: both, answer: '{\"at\":\"{time_ms}\"}', forward: true}]");
	struct view *view = view_new(snapshot_get(snapshot));
	ck_assert(app_heartbeats_begin(s, view, &snapshot->config->routes[0]));
	view_put(view);
}

static void
say_text(const char *text)
{
	uint8_t frame[200] = {0x81, (uint8_t)(0x80 | strlen(text)), 1, 2, 3, 4};

	for (size_t i = 0; text[i]; i++)
		frame[6 + i] = (uint8_t)text[i] ^ frame[2 + i % 4];
	say(client, frame, 6 + strlen(text));
}

START_TEST(a_heartbeat_is_answered_and_goes_no_further)
{
	say_text("{\"type\":\"ping\"}");
	ck_assert_uint_eq(hear(backend), 0);
	ck_assert_uint_eq(hear(client), 17);
	ck_assert_mem_eq(heard, "\x81\x0f{\"type\":\"pong\"}", 17);
	ck_assert_uint_eq(s->unanswered, 0);
	say_text("{\"type\":\"pin\"}");
	ck_assert_uint_eq(hear(backend), 6 + 14);
	ck_assert_uint_eq(hear(client), 0);
	say_text("{\"type\":\"both\"}");
	ck_assert_uint_eq(hear(backend), 6 + 15);
	ck_assert_uint_gt(hear(client), 0);
	ck_assert_mem_eq(heard, "\x81\x0e{\"at\":1", 9);
}
END_TEST

START_TEST(it_may_come_byte_by_byte_and_among_others)
{
	uint8_t bytes[] = "\x81\x81\0\0\0\0a"
			  "\x81\x8f\0\0\0\0{\"type\":\"ping\"}"
			  "\x81\x81\0\0\0\0b";

	for (size_t i = 0; i < sizeof bytes - 1; i++)
		say(client, bytes + i, 1);
	ck_assert_uint_eq(hear(backend), 14);
	ck_assert_mem_eq(heard, "\x81\x81\0\0\0\0a\x81\x81\0\0\0\0b", 14);
	ck_assert_uint_eq(hear(client), 17);
	say(client, bytes, sizeof bytes - 1);
	ck_assert_uint_eq(hear(backend), 14);
	ck_assert_uint_eq(hear(client), 17);
	ck_assert_uint_eq(s->client.messages, 6);
}
END_TEST

START_TEST(an_answer_waits_for_the_end_of_a_message)
{
	say_lit(backend, "\x01\x02"
			 "ab");
	ck_assert_uint_eq(hear(client), 4);
	say_text("{\"type\":\"ping\"}");
	ck_assert_uint_eq(hear(client), 0);
	say_lit(backend, "\x80\x02"
			 "cd\x82\x01");
	ck_assert_uint_eq(hear(client), 4 + 2);
	say_lit(backend, "x");
	ck_assert_uint_eq(hear(client), 1 + 17);
	ck_assert_mem_eq(heard, "x\x81\x0f{", 4);
}
END_TEST

START_TEST(answers_nobody_reads_are_bounded)
{
	for (int i = 0; i < 5000; i++)
		say_text("{\"type\":\"ping\"}");
	ck_assert_uint_lt(stream_queued(&s->client.stream), 8192);
	while (hear(client))
		continue;
	say_text("{\"type\":\"ping\"}");
	ck_assert_uint_eq(hear(client), 17);
}
END_TEST

/* ---- what a new backend has to hear ---- */

static void
replaying(void)
{
	struct greeting_replaying *both = calloc(1, sizeof *both);
	struct view *view;

	begin("    rehome: {mode: transparent, replay: {first: 9, max_size: 64k}}\n",
	    ", app_heartbeats: [{value: ping, answer: '{}'}]");
	view = view_new(snapshot_get(snapshot));
	ck_assert(app_heartbeats_begin(s, view, &snapshot->config->routes[0]));
	replay_init(&both->replay, view, &snapshot->config->upstreams[0].rehome.replay);
	view_put(view);
	both->greeting.cuttable = both->greeting.replays = true;
	both->greeting.request = STR("GET / HTTP/1.1\r\n");
	s->greeting = &both->greeting;
	s->client.watched |= WATCH_REPLAY;
	s->backend.stream.keep_whole = true;
}

/* How many messages would be said again, and the size of the last of them? */
static unsigned
to_replay(size_t *size_r)
{
	struct str frames;
	unsigned n = 0;

	for (size_t at = 0; session_replay_next(s, &at, &frames); n++)
		*size_r = frames.n;
	return n;
}

START_TEST(what_passes_is_kept_without_control_frames)
{
	size_t size;

	say_lit(client, "\x01\x81\0\0\0\0a\x89\x80\0\0\0\0");
	ck_assert_uint_eq(to_replay(&size), 0);
	say_lit(client, "\x80\x81\0\0\0\0b\x81\x80\0\0\0\0");
	ck_assert_uint_eq(to_replay(&size), 2);
	ck_assert_uint_eq(hear(backend), 7 + 6 + 7 + 6);
	say_text("{\"type\":\"ping\"}"); /* answered by us: nobody's message */
	ck_assert_uint_eq(to_replay(&size), 2);
	say_text("third");
	ck_assert_uint_eq(to_replay(&size), 3);
	ck_assert_uint_eq(size, 6 + 5);
	session_close(s, REASON_KICKED, CLOSE_NORMAL, "");
}
END_TEST

START_TEST(what_waits_for_a_backend_is_not_said_twice)
{
	static uint8_t big[8 + 30000 + 7] = {0x82, 0xfe, 30000 >> 8, 30000 & 255};
	size_t size;

	say_text("{\"type\":\"ping\"}");
	say_text("first");
	memcpy(big + 8 + 30000, "\x81\x81\0\0\0\0b", 7);
	say(client, big, sizeof big);
	ck_assert_uint_eq(to_replay(&size), 3);
	ck_assert_uint_gt(stream_queued(&s->backend.stream), 7);
	shutdown(backend, SHUT_RDWR);
	turn();
	ck_assert_int_eq(s->state, SESSION_RECONNECTING);
	/* the big one was taken in part, the one behind it not at all: both go again */
	ck_assert_uint_eq(queue_size(&s->unsent), 8 + 30000 + 7);
	ck_assert_uint_eq(to_replay(&size), 1);
	ck_assert_uint_eq(size, 6 + 5);
}
END_TEST

/* ---- what is told ---- */

static void
transparent(void)
{
	begin("    rehome: {mode: transparent}\n", "");
	s->greeting = calloc(1, sizeof *s->greeting);
	s->greeting->cuttable = true;
	s->greeting->request = STR("GET / HTTP/1.1\r\n");
	s->backend.stream.keep_whole = true;
}

START_TEST(a_plain_session_tells_what_it_did)
{
	struct session_view v;

	say_lit(client, "\x81\x81\0\0\0\0a\x81\x80\0\0\0\0");
	pass(1000);
	say_lit(backend, "\x81\x01z");
	session_describe(s, &v);
	ck_assert_str_eq(v.upstream, "chat");
	ck_assert_int_eq(v.state, SESSION_CONNECTED);
	ck_assert_uint_eq(v.client_side.messages, 2);
	ck_assert_uint_eq(v.client_side.bytes, 13);
	ck_assert_uint_eq(v.client_side.idle_ms, 1000);
	ck_assert_uint_eq(v.backend_side.messages, 1);
	ck_assert_uint_eq(v.backend_side.idle_ms, 0);
	ck_assert_uint_eq(v.age_ms, 1000);
	ck_assert_uint_eq(v.availability, 10000);
	ck_assert_uint_eq(v.n_changes, 1);
	ck_assert_ptr_null(s->history);
	say_lit(client, "\x88\x82\0\0\0\0\x0f\xa1");
	session_describe(s, &v);
	ck_assert_int_eq(v.state, SESSION_CLOSING);
	ck_assert_uint_eq(v.n_changes, 2);
	ck_assert_int_eq(v.changes[0].state, SESSION_CONNECTED);
	ck_assert_uint_eq(v.client_side.close_said, 4001);
	ck_assert_uint_eq(v.backend_side.close_seen, 4001);
}
END_TEST

START_TEST(a_session_without_a_backend_tells_since_when)
{
	struct session_view v;
	uint8_t payload[21];

	pass(6000);
	shutdown(backend, SHUT_RDWR);
	pass(2000);
	session_describe(s, &v);
	ck_assert_int_eq(v.state, SESSION_RECONNECTING);
	ck_assert_uint_ge(v.down_ms, 1900);
	ck_assert_uint_eq(v.n_changes, 2);
	ck_assert_uint_ge(v.tried, 1);
	ck_assert_uint_lt(v.availability, 7700);
	ck_assert_uint_eq(counted(COUNT_RECONNECTS), 1);
	/* meanwhile its client is looked after */
	pass(INTERVAL - 8000 + 200);
	hear_ping(client, payload);
	say_pong(client, payload);
	turn();
	ck_assert_uint_eq(s->client.pings, 1);
	pass(TIMEOUT);
	ck_assert_int_eq(s->state, SESSION_RECONNECTING);
}
END_TEST

/* Says messages of 100 bytes, each of one letter, until the backend's queue has
 * `queued` of them; returns how many. */
static unsigned
say_until_queued(unsigned queued)
{
	uint8_t frame[106] = {0x82, 0x80 | 100};
	unsigned n = 0;

	while (stream_queued(&s->backend.stream) < queued * sizeof frame) {
		memset(frame + 6, 'a' + n % 26, 100);
		half_take(&s->client, frame, sizeof frame);
		n++;
	}
	return n;
}

START_TEST(what_a_lost_backend_did_not_take_whole_is_kept)
{
	unsigned said = say_until_queued(3), kept;
	const uint8_t *p;

	close(backend);
	turn();
	ck_assert_int_eq(s->state, SESSION_RECONNECTING);
	kept = (unsigned)counted(COUNT_SENT_AGAIN);
	ck_assert_uint_ge(kept, 3);
	ck_assert_uint_eq(counted(COUNT_MAYBE_LOST), said - kept);
	ck_assert_uint_eq(tally_get(&s->counts->sent_again), kept);
	ck_assert_uint_eq(tally_get(&s->counts->maybe_lost), said - kept);
	/* from the start of one that was taken in part, to the last one */
	ck_assert_uint_eq(queue_size(&s->unsent), kept * 106);
	p = queue_bytes(&s->unsent);
	ck_assert_uint_eq(p[0], 0x82);
	ck_assert_uint_eq(p[6], 'a' + (said - kept) % 26);
	backend = dup(client);
}
END_TEST

START_TEST(a_close_that_waits_in_the_queue_is_not_for_the_next_one)
{
	unsigned said = say_until_queued(1);
	struct queue *q = &s->backend.stream.out;

	half_send_close(&s->backend, CLOSE_GOING_AWAY, "re-homed");
	session_keep_unsent(s, s->queue_from, q->data, q->len, q->at);
	ck_assert_uint_eq(queue_size(&s->unsent) % 106, 0);
	ck_assert_uint_lt(counted(COUNT_SENT_AGAIN), said);
	ck_assert_uint_gt(counted(COUNT_SENT_AGAIN), 0);
}
END_TEST

START_TEST(a_client_that_leaves_without_a_backend_is_answered)
{
	shutdown(backend, SHUT_RDWR);
	turn();
	ck_assert_int_eq(s->state, SESSION_RECONNECTING);
	say_lit(client, "\x81\x81\0\0\0\0a\x88\x82\0\0\0\0\x03\xe8");
	ck_assert_uint_eq(hear(client), 4);
	ck_assert_uint_eq(close_at(0), CLOSE_NORMAL);
	ck_assert_uint_eq(registry.n_sessions, 0);
	ck_assert_uint_eq(counted(COUNT_MAYBE_LOST), 1);
	ck_assert_uint_eq(counted(COUNT_END_CLEAN), 1);
}
END_TEST

START_TEST(who_lost_its_backend_leaves_at_its_turn)
{
	unsigned awaited = 0;

	for (int i = 0; i < 210; i++) /* at 100 a second */
		pace_book_ms(s->up, s->home, clock_now_us());
	shutdown(backend, SHUT_RDWR);
	pass(1000);
	ck_assert_int_eq(s->state, SESSION_RECONNECTING);
	say_lit(client, "\x81\x81\0\0\0\0a");
	ck_assert_uint_eq(hear(client), 0);
	pass(2000);
	ck_assert_uint_gt(hear(client), 4);
	ck_assert_uint_eq(close_at(0), CLOSE_RESTART);
	ck_assert_uint_eq(counted(COUNT_MAYBE_LOST), 1);
	ck_assert_uint_eq(counted(COUNT_REHOMES_CLOSED), 1);
	ck_assert_uint_eq(tally_get(&s->counts->moves[MOVES_CLOSED][MOVE_LOST]), 1);
	ck_assert_uint_eq(counted(COUNT_RECONNECTS), 0);
	/* it is not back yet, and no longer with the old one */
	ck_assert_uint_eq(atomic_load(&s->home->sessions), 0);
	for (size_t i = 0; i < s->up->n_backends; i++)
		awaited += atomic_load(&s->up->backends[i]->awaited);
	ck_assert_uint_eq(awaited, 1);
}
END_TEST

START_TEST(who_waits_to_leave_may_go_at_any_time)
{
	for (int i = 0; i < 210; i++)
		pace_book_ms(s->up, s->home, clock_now_us());
	shutdown(backend, SHUT_RDWR);
	turn();
	ck_assert_int_eq(s->state, SESSION_RECONNECTING);
	say_lit(client, "\x81\x81\0\0\0\0a");
	close(client);
	turn();
	ck_assert_uint_eq(registry.n_sessions, 0);
	client = dup(backend);
}
END_TEST

START_TEST(only_the_newest_changes_are_kept)
{
	struct session_view v;
	struct backend *b = snapshot->upstreams[0].backends[0];

	for (int i = 0; i < 20; i++) {
		pass(100);
		session_set_state(s, i % 2 ? SESSION_CONNECTED : SESSION_RECONNECTING);
		history_left_home(s, backend_get(b));
	}
	session_describe(s, &v);
	ck_assert_uint_eq(v.n_changes, HISTORY_CHANGES + 1);
	ck_assert_uint_eq(v.n_homes, HISTORY_HOMES);
	ck_assert_uint_eq(v.down_ms, 1000);
	ck_assert_uint_eq(v.availability, 5000);
	for (unsigned i = 1; i < v.n_changes; i++)
		ck_assert_uint_eq(v.changes[i].since_ms,
		    v.changes[i - 1].since_ms + 100);
}
END_TEST

START_TEST(an_idle_plain_session_is_small)
{
	/* with its client's group and pin it has to stay below 1.5 KiB */
	ck_assert_uint_le(sizeof(struct session), 1040);
}
END_TEST

static void
add(Suite *suite, const char *name, void (*setup)(void), const TTest *const *tests)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown);
	for (; *tests; tests++)
		tcase_add_test(t, *tests);
	suite_add_tcase(suite, t);
}

Suite *
suite_session(void)
{
	Suite *suite = suite_create("session");

	add(suite, "heartbeats", standard,
	    (const TTest
		    *const[]){both_sides_are_pinged_when_silent_and_pongs_are_swallowed,
		pings_and_pongs_of_the_application_travel,
		traffic_of_a_side_spares_it_the_ping,
		a_client_that_does_not_answer_is_closed_as_stale, any_byte_is_an_answer,
		an_answer_that_is_there_unread_counts,
		a_late_answer_to_an_earlier_ping_is_swallowed,
		no_ping_lands_inside_a_frame,
		a_ping_may_stand_between_the_frames_of_a_message,
		a_ping_that_had_to_wait_is_dropped_when_it_is_not_needed_any_more,
		nothing_is_said_after_a_close,
		a_backend_that_does_not_answer_is_as_good_as_lost,
		who_lost_its_backend_leaves_at_its_turn,
		who_waits_to_leave_may_go_at_any_time,
		a_client_that_takes_nothing_is_closed,
		a_client_that_takes_a_little_now_and_then_stays,
		the_sweep_finds_what_a_timer_missed,
		the_sweep_finds_nothing_when_the_thread_had_slept,
		a_plain_session_tells_what_it_did, an_idle_plain_session_is_small,
		NULL});
	add(suite, "without heartbeats", no_heartbeats,
	    (const TTest *const[]){heartbeats_can_be_turned_off, NULL});
	add(suite, "patience", patient,
	    (const TTest
		    *const[]){a_side_that_was_not_read_is_not_blamed_for_its_silence,
		NULL});
	add(suite, "dates", aged,
	    (const TTest *const[]){an_old_session_is_sent_away_to_come_back,
		who_has_no_backend_leaves_although_a_reload_forgets_its_age,
		a_message_under_way_may_end_first, but_not_for_ever,
		a_shutdown_comes_before_any_age,
		who_comes_while_roost_stops_is_told_as_well,
		an_upgrade_keeps_the_pace_of_rehoming, but_an_upgrade_ends_in_time,
		NULL});
	add(suite, "application", with_app_heartbeats,
	    (const TTest *const[]){a_heartbeat_is_answered_and_goes_no_further,
		it_may_come_byte_by_byte_and_among_others,
		an_answer_waits_for_the_end_of_a_message,
		answers_nobody_reads_are_bounded, NULL});
	add(suite, "transparent", transparent,
	    (const TTest *const[]){a_session_without_a_backend_tells_since_when,
		only_the_newest_changes_are_kept,
		what_a_lost_backend_did_not_take_whole_is_kept,
		a_close_that_waits_in_the_queue_is_not_for_the_next_one,
		a_client_that_leaves_without_a_backend_is_answered, NULL});
	add(suite, "replay", replaying,
	    (const TTest *const[]){what_passes_is_kept_without_control_frames,
		what_waits_for_a_backend_is_not_said_twice, NULL});
	return suite;
}
