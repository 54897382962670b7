/* SPDX-License-Identifier: MIT
 *
 * check_io.c - who waits for a descriptor is called while it is ready, for what it
 * wants and as long as it is its descriptor, and never for another's.
 */
#include "loop/io.h"

#include "base/object.h"
#include "loop/loop.h"
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

Suite *suite_io(void);

/* Somebody who waits, and does `then` when called. */
struct waiter {
	struct io io;
	int peer; /* our end */
	unsigned calls, told;
	void (*then)(struct waiter *w);
};

static struct loop *loop;
static struct waiter a, b, c;

static void
on_ready(struct io *io, unsigned what)
{
	struct waiter *w = container_of(io, struct waiter, io);

	w->calls++;
	w->told |= what;
	if (w->then)
		w->then(w);
}

static void
open_waiter(struct waiter *w)
{
	int fds[2];

	*w = (struct waiter){.calls = 0};
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	w->peer = fds[1];
	io_init(&w->io, loop, fds[0], on_ready);
}

static void
close_waiter(struct waiter *w)
{
	io_close(&w->io);
	close(w->peer);
}

static void
say(const struct waiter *w)
{
	ck_assert_int_eq(write(w->peer, "x", 1), 1);
}

static void
turns(int n)
{
	while (n--)
		loop_turn(loop);
}

static void
take(struct waiter *w)
{
	char bytes[64];

	ck_assert_int_gt(read(w->io.fd, bytes, sizeof bytes), 0);
	io_drained(&w->io, IO_READ);
}

static void
setup(void)
{
	loop = loop_new(NULL);
	ck_assert_ptr_nonnull(loop);
	turns(1);
	open_waiter(&a);
	open_waiter(&b);
	open_waiter(&c);
}

static void
teardown(void)
{
	close_waiter(&a);
	close_waiter(&b);
	close_waiter(&c);
	loop_free(loop);
}

START_TEST(called_in_every_turn_until_it_is_drained)
{
	ck_assert(io_want(&a.io, IO_READ));
	turns(2);
	ck_assert_uint_eq(a.calls, 0);
	say(&a);
	turns(3);
	ck_assert_uint_eq(a.calls, 3);
	ck_assert_uint_eq(a.told, IO_READ);
	a.then = take;
	turns(3);
	ck_assert_uint_eq(a.calls, 4);
}
END_TEST

START_TEST(what_nobody_wants_is_remembered)
{
	ck_assert(io_want(&a.io, IO_READ));
	ck_assert(io_want(&a.io, 0));
	say(&a);
	turns(2);
	ck_assert_uint_eq(a.calls, 0);
	ck_assert(io_want(&a.io, IO_READ));
	turns(1);
	ck_assert_uint_eq(a.calls, 1);
}
END_TEST

static void
stop_writing(struct waiter *w)
{
	io_want(&w->io, IO_READ);
}

START_TEST(room_to_write_is_told_to_who_wants_it)
{
	char bytes[65536] = {0};

	ck_assert(io_want(&a.io, IO_READ));
	turns(2);
	ck_assert_uint_eq(a.calls, 0);
	while (write(a.io.fd, bytes, sizeof bytes) > 0)
		continue;
	a.then = stop_writing;
	ck_assert(io_want(&a.io, IO_READ | IO_WRITE));
	turns(2);
	ck_assert_uint_eq(a.calls, 0);
	while (read(a.peer, bytes, sizeof bytes) > 0)
		continue;
	turns(2);
	ck_assert_uint_eq(a.calls, 1);
	ck_assert_uint_eq(a.told, IO_WRITE);
}
END_TEST

START_TEST(end_is_told_with_the_bytes_before_it)
{
	ck_assert(io_want(&a.io, IO_READ));
	say(&a);
	turns(1);
	ck_assert(!(a.io.ready & IO_MORE));
	shutdown(a.peer, SHUT_WR);
	turns(1);
	ck_assert(a.io.ready & IO_MORE);
}
END_TEST

static void
close_others(struct waiter *w)
{
	if (w != &a)
		io_close(&a.io);
	if (w != &b)
		io_close(&b.io);
}

START_TEST(who_is_closed_meanwhile_is_not_called)
{
	a.then = b.then = close_others;
	ck_assert(io_want(&a.io, IO_READ) && io_want(&b.io, IO_READ));
	say(&a);
	say(&b);
	turns(2);
	ck_assert_uint_eq(!!a.calls + !!b.calls, 1);
}
END_TEST

/* Its number goes to the next who opens something. */
static void
give_number_away(struct waiter *w)
{
	struct waiter *other = w == &a ? &b : &a;
	int fd = other->io.fd;

	if (fd < 0)
		return;
	io_close(&other->io);
	ck_assert_int_eq(dup3(c.io.fd, fd, O_CLOEXEC), fd);
	io_close(&c.io);
	io_init(&c.io, loop, fd, on_ready);
	ck_assert(io_want(&c.io, IO_READ));
}

START_TEST(who_gets_the_number_is_not_told_of_the_one_before)
{
	a.then = b.then = give_number_away;
	ck_assert(io_want(&a.io, IO_READ) && io_want(&b.io, IO_READ));
	say(&a);
	say(&b);
	turns(2);
	ck_assert_uint_eq(!!a.calls + !!b.calls, 1);
	ck_assert_uint_eq(c.calls, 0);
	say(&c);
	turns(1);
	ck_assert_uint_eq(c.calls, 1);
}
END_TEST

/* As while a process is being spawned, which has all descriptors until it runs. */
START_TEST(what_is_told_of_a_closed_one_that_lives_on_elsewhere_finds_nobody)
{
	int fd = a.io.fd, copy;

	ck_assert(io_want(&a.io, IO_READ));
	copy = dup(fd);
	io_close(&a.io);
	ck_assert_int_eq(dup3(b.io.fd, fd, O_CLOEXEC), fd);
	io_close(&b.io);
	io_init(&b.io, loop, fd, on_ready);
	ck_assert(io_want(&b.io, IO_READ));
	say(&a);
	turns(2);
	ck_assert_uint_eq(a.calls + b.calls, 0);
	close(copy);
}
END_TEST

static void
on_ready_of_c(struct io *io, unsigned what)
{
	c.calls++;
	take(&c);
}

static void
move_other(struct waiter *w)
{
	struct waiter *other = w == &a ? &b : &a;

	io_close(&c.io);
	io_move(&c.io, &other->io, on_ready_of_c);
	take(w);
	w->then = NULL;
}

START_TEST(who_gets_a_descriptor_hears_what_the_other_was_about_to)
{
	a.then = b.then = move_other;
	ck_assert(io_want(&a.io, IO_READ) && io_want(&b.io, IO_READ));
	say(&a);
	say(&b);
	turns(2);
	ck_assert(a.io.fd < 0 || b.io.fd < 0);
	ck_assert_uint_eq(c.calls, 1);
	say(a.io.fd < 0 ? &a : &b);
	turns(1);
	ck_assert_uint_eq(c.calls, 2);
}
END_TEST

START_TEST(descriptor_that_is_given_away_is_no_longer_watched)
{
	struct loop *other = loop_new(NULL);
	int fd;

	ck_assert(io_want(&a.io, IO_READ));
	fd = io_detach(&a.io);
	ck_assert_int_lt(a.io.fd, 0);
	io_init(&b.io, other, fd, on_ready);
	ck_assert(io_want(&b.io, IO_READ));
	say(&a);
	turns(2);
	ck_assert_uint_eq(a.calls + b.calls, 0);
	loop_turn(other);
	ck_assert_uint_eq(b.calls, 1);
	io_close(&b.io);
	loop_free(other);
}
END_TEST

START_TEST(what_cannot_be_watched_is_said)
{
	struct io io;

	io_init(&io, loop, open("/dev/null", O_RDONLY), on_ready);
	ck_assert(!io_want(&io, IO_READ));
	ck_assert_uint_eq(io.want, 0);
	turns(1);
	io_close(&io);
}
END_TEST

static void
on_timer(struct timer *t)
{
}

START_TEST(idle_until_there_is_something_to_do)
{
	struct timer timer;

	ck_assert_uint_eq(loop_idle_ms(loop), UINT64_MAX);
	timer_init(&timer, on_timer);
	loop_timer(loop, &timer, 60000);
	ck_assert_uint_gt(loop_idle_ms(loop), 0);
	ck_assert_uint_lt(loop_idle_ms(loop), UINT64_MAX);
	ck_assert(io_want(&a.io, IO_READ));
	say(&a);
	turns(1);
	ck_assert_uint_eq(loop_idle_ms(loop), 0);
	take(&a);
	ck_assert_uint_gt(loop_idle_ms(loop), 0);
	timer_clear(&timer);
}
END_TEST

START_TEST(many_descriptors)
{
	enum { MANY = 400 };
	struct waiter *all = calloc(MANY, sizeof *all);

	for (int i = 0; i < MANY; i++) {
		open_waiter(&all[i]);
		ck_assert(io_want(&all[i].io, IO_READ));
		all[i].then = take;
		say(&all[i]);
	}
	turns(3);
	for (int i = 0; i < MANY; i++) {
		ck_assert_uint_eq(all[i].calls, 1);
		close_waiter(&all[i]);
	}
	free(all);
}
END_TEST

Suite *
suite_io(void)
{
	Suite *suite = suite_create("io");
	TCase *tc = tcase_create("io");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, called_in_every_turn_until_it_is_drained);
	tcase_add_test(tc, what_nobody_wants_is_remembered);
	tcase_add_test(tc, room_to_write_is_told_to_who_wants_it);
	tcase_add_test(tc, end_is_told_with_the_bytes_before_it);
	tcase_add_test(tc, who_is_closed_meanwhile_is_not_called);
	tcase_add_test(tc, who_gets_the_number_is_not_told_of_the_one_before);
	tcase_add_test(tc,
	    what_is_told_of_a_closed_one_that_lives_on_elsewhere_finds_nobody);
	tcase_add_test(tc, who_gets_a_descriptor_hears_what_the_other_was_about_to);
	tcase_add_test(tc, descriptor_that_is_given_away_is_no_longer_watched);
	tcase_add_test(tc, what_cannot_be_watched_is_said);
	tcase_add_test(tc, idle_until_there_is_something_to_do);
	tcase_add_test(tc, many_descriptors);
	suite_add_tcase(suite, tc);
	return suite;
}
