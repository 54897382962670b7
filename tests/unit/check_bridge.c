/* SPDX-License-Identifier: MIT
 *
 * check_bridge.c - a loop and a libevent base on one thread each get what is theirs,
 * and neither waits for the other.
 */
#include "loop/bridge.h"

#include "loop/loop.h"
#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

Suite *suite_bridge(void);

static struct loop *loop;
static struct bridge *bridge;

static void
setup(void)
{
	loop = loop_new(NULL);
	ck_assert_ptr_nonnull(loop);
	bridge = bridge_new(loop);
	ck_assert_ptr_nonnull(bridge);
}

static void
teardown(void)
{
	bridge_free(bridge);
	loop_free(loop);
}

static void
stop_timer(struct timer *t)
{
	loop_stop(loop);
}

START_TEST(wheel_turns_while_libevent_has_nothing)
{
	struct timer timer;

	timer_init(&timer, stop_timer);
	loop_timer(loop, &timer, 20);
	bridge_run(bridge);
	ck_assert(!timer_is_set(&timer));
}
END_TEST

static void
stop_message(struct message *message, void *to)
{
	loop_stop(loop);
}

static void
post_from_libevent(evutil_socket_t fd, short what, void *message)
{
	loop_post(loop, message);
}

START_TEST(mail_wakes_it)
{
	struct message message = {.deliver = stop_message};
	struct timeval at_once = {0};

	event_base_once(bridge_base(bridge), -1, EV_TIMEOUT, post_from_libevent,
	    &message, &at_once);
	bridge_run(bridge);
	ck_assert(loop->stopping);
}
END_TEST

static struct timer set_by_libevent;

static void
set_timer(evutil_socket_t fd, short what, void *arg)
{
	loop_timer(loop, &set_by_libevent, 10);
}

START_TEST(timer_that_libevent_sets_runs_out)
{
	struct timeval at_once = {0};

	timer_init(&set_by_libevent, stop_timer);
	event_base_once(bridge_base(bridge), -1, EV_TIMEOUT, set_timer, NULL, &at_once);
	bridge_run(bridge);
	ck_assert(!timer_is_set(&set_by_libevent));
}
END_TEST

static void
stop_event(evutil_socket_t fd, short what, void *arg)
{
	loop_stop(loop);
}

static void
never_drained(struct io *io, unsigned what)
{
}

START_TEST(libevent_has_its_turn_while_the_loop_is_busy)
{
	int pipes[2];
	struct io io;
	struct timeval soon = {.tv_usec = 10000};

	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(write(pipes[1], "x", 1), 1);
	io_init(&io, loop, pipes[0], never_drained);
	ck_assert(io_want(&io, IO_READ));
	event_base_once(bridge_base(bridge), -1, EV_TIMEOUT, stop_event, NULL, &soon);
	bridge_run(bridge);
	ck_assert(loop->stopping);
	io_close(&io);
	close(pipes[1]);
}
END_TEST

Suite *
suite_bridge(void)
{
	Suite *suite = suite_create("bridge");
	TCase *tc = tcase_create("bridge");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, wheel_turns_while_libevent_has_nothing);
	tcase_add_test(tc, mail_wakes_it);
	tcase_add_test(tc, timer_that_libevent_sets_runs_out);
	tcase_add_test(tc, libevent_has_its_turn_while_the_loop_is_busy);
	suite_add_tcase(suite, tc);
	return suite;
}
