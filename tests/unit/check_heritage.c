/* SPDX-License-Identifier: MIT
 *
 * check_heritage.c - sockets that one process leaves to the next.
 */
#include "base/log.h"
#include "base/strbuf.h"
#include "daemon/estate.h"
#include "daemon/heritage.h"
#include "net/listener.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

Suite *suite_heritage(void);

static struct heritage h;
static struct strbuf line;

static void
setup(void)
{
	/* what is said about sockets that nobody takes is not for the tests' output */
	log_set_level(LEVEL_ERROR + 1);
	unsetenv("ROOST_HERITAGE");
	unsetenv("LISTEN_FDS");
	strbuf_reset(&line);
}

static void
teardown(void)
{
	heritage_fini(&h);
	if (h.link >= 0)
		close(h.link);
	strbuf_fini(&line);
}

static int
listening(struct addr *addr)
{
	int fd;

	ck_assert(addr_parse(STR("127.0.0.1:0"), addr));
	fd = listener_bind(addr);
	ck_assert_int_ge(fd, 0);
	ck_assert(listener_addr(fd, addr));
	return fd;
}

/* The line goes the way through the environment. */
static void
pass(void)
{
	ck_assert(!line.failed);
	ck_assert_int_eq(putenv(line.data), 0);
	ck_assert(heritage_find(&h));
	ck_assert_ptr_null(getenv("ROOST_HERITAGE"));
}

START_TEST(without_a_predecessor_there_is_nothing)
{
	struct addr addr;
	bool own_file;

	ck_assert(heritage_find(&h));
	ck_assert_int_eq(h.link, -1);
	ck_assert_int_eq(h.pid_file, -1);
	ck_assert(!h.secret_given);
	ck_assert(addr_parse(STR("127.0.0.1:80"), &addr));
	ck_assert_int_eq(heritage_take(&h, false, &addr, NULL, &own_file), -1);
	heritage_say_ready(&h);
}
END_TEST

START_TEST(sockets_are_told_apart_by_address_and_use)
{
	struct addr one, two, admin, unknown;
	int fds[] = {listening(&one), listening(&two), listening(&admin)}, link[2];
	bool own_file;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, link), 0);
	heritage_begin(&line, link[1], -1);
	heritage_add(&line, fds[0], false, false);
	heritage_add(&line, fds[1], false, false);
	heritage_add(&line, fds[2], true, true);
	pass();
	ck_assert(addr_parse(STR("127.0.0.1:1"), &unknown));
	ck_assert_int_eq(heritage_take(&h, false, &unknown, NULL, &own_file), -1);
	ck_assert_int_eq(heritage_take(&h, false, &admin, NULL, &own_file), -1);
	ck_assert_int_eq(heritage_take(&h, true, &admin, NULL, &own_file), fds[2]);
	ck_assert(own_file);
	ck_assert_int_eq(heritage_take(&h, false, &two, NULL, &own_file), fds[1]);
	ck_assert(!own_file);
	ck_assert_int_eq(heritage_take(&h, false, &two, NULL, &own_file), -1);
	heritage_fini(&h);
	ck_assert_int_eq(close(fds[0]), -1); /* nobody took it */
	close(fds[1]);
	close(fds[2]);
	close(link[0]);
}
END_TEST

START_TEST(any_port_is_any_of_the_predecessors)
{
	struct addr there, any;
	int fd = listening(&there), link[2];
	bool own_file;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, link), 0);
	heritage_begin(&line, link[1], -1);
	heritage_add(&line, fd, false, false);
	pass();
	ck_assert(addr_parse(STR("127.0.0.1:0"), &any));
	ck_assert_int_eq(heritage_take(&h, false, &any, NULL, &own_file), fd);
	ck_assert(addr_eq(&any, &there));
	close(fd);
	close(link[0]);
}
END_TEST

START_TEST(secret_and_words_go_over_the_link)
{
	uint8_t secret[HASH_SECRET];
	char text[16];
	int link[2];

	memset(secret, 7, sizeof(secret));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, link), 0);
	ck_assert_int_eq(send(link[0], secret, sizeof(secret), 0), sizeof(secret));
	heritage_begin(&line, link[1], -1);
	pass();
	ck_assert(h.secret_given);
	ck_assert_uint_eq(h.estate, ESTATE_VERSION);
	ck_assert_mem_eq(h.secret, secret, sizeof(secret));
	heritage_ask(&h);
	ck_assert_int_eq(recv(link[0], text, sizeof(text), 0), 6);
	ck_assert_mem_eq(text, "estate", 6);
	heritage_say_ready(&h);
	ck_assert_int_eq(recv(link[0], text, sizeof(text), 0), 5);
	ck_assert_mem_eq(text, "ready", 5);
	heritage_say_failed(&h, "bad file");
	ck_assert_int_eq(recv(link[0], text, sizeof(text), 0), 8);
	close(link[0]);
	heritage_say_ready(&h); /* nobody hears it, and nothing happens */
}
END_TEST

START_TEST(words_of_another_version_are_left_alone)
{
	strbuf_puts(&line, "ROOST_HERITAGE=link=-1 pid=-1 later=7 sooner=0f");
	(void)strbuf_cstr(&line);
	pass();
	ck_assert_uint_eq(h.n, 0);
	ck_assert_uint_eq(h.estate, 0);
	ck_assert_int_ge(fcntl(0, F_GETFD), 0);
}
END_TEST

START_TEST(what_is_no_socket_is_closed)
{
	struct addr any;
	int fds[2];
	bool own_file;

	ck_assert_int_eq(pipe(fds), 0);
	heritage_begin(&line, -1, -1);
	heritage_add(&line, fds[0], false, false);
	pass();
	ck_assert_uint_eq(h.n, 0);
	ck_assert(addr_parse(STR("127.0.0.1:0"), &any));
	ck_assert_int_eq(heritage_take(&h, false, &any, NULL, &own_file), -1);
	ck_assert_int_eq(close(fds[0]), -1);
	close(fds[1]);
}
END_TEST

START_TEST(what_was_for_one_process_is_not_passed_on)
{
	ck_assert(heritage_is_variable("ROOST_HERITAGE=link=3"));
	ck_assert(heritage_is_variable("LISTEN_PID=1"));
	ck_assert(heritage_is_variable("WATCHDOG_PID=1"));
	ck_assert(!heritage_is_variable("WATCHDOG_USEC=1"));
	ck_assert(!heritage_is_variable("NOTIFY_SOCKET=/x"));
	ck_assert(!heritage_is_variable("LISTEN_PIDS=1"));
}
END_TEST

Suite *
suite_heritage(void)
{
	Suite *s = suite_create("heritage");
	TCase *t = tcase_create("heritage");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, without_a_predecessor_there_is_nothing);
	tcase_add_test(t, sockets_are_told_apart_by_address_and_use);
	tcase_add_test(t, any_port_is_any_of_the_predecessors);
	tcase_add_test(t, secret_and_words_go_over_the_link);
	tcase_add_test(t, words_of_another_version_are_left_alone);
	tcase_add_test(t, what_is_no_socket_is_closed);
	tcase_add_test(t, what_was_for_one_process_is_not_passed_on);
	suite_add_tcase(s, t);
	return s;
}
