/* SPDX-License-Identifier: MIT
 *
 * check_sockets.c - listeners over several configurations, with a worker that is slow
 * to hear of the next one.
 */
#include "base/clock.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/load.h"
#include "daemon/ears.h"
#include "daemon/sockets.h"
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

Suite *suite_sockets(void);

static struct sockets *sockets;
static struct strbuf error;
static struct config *configs[8];
static size_t n_configs;

static void
setup(void)
{
	clock_fake_set(1000000);
	sockets = sockets_new(1);
	ck_assert_ptr_nonnull(sockets);
	error = (struct strbuf)STRBUF_INIT;
	n_configs = 0;
}

static void
teardown(void)
{
	sockets_free(sockets);
	strbuf_fini(&error);
	while (n_configs)
		config_free(configs[--n_configs]);
	clock_fake_stop();
}

/* A port that was free a moment ago; held by the socket if that is wanted. */
static unsigned
port_of(int *fd_r)
{
	struct sockaddr_in name = {
	    .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t n = sizeof name;
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, n), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &n), 0);
	if (fd_r) {
		ck_assert_int_eq(listen(fd, 1), 0);
		*fd_r = fd;
	} else {
		close(fd);
	}
	return ntohs(name.sin_port);
}

/* A configuration that listens on any port and on this one (0: on no other). */
static struct config *
listening(unsigned port)
{
	char text[400];
	int n = snprintf(text, sizeof text,
	    "listeners: [{bind: \"127.0.0.1:0\"}%s%.0u%s]\n"
	    "routes: [{path: /, upstream: a}]\n"
	    "upstreams: {a: {backends: [{name: b, address: \"127.0.0.1:1\"}]}}\n",
	    port ? ", {bind: \"127.0.0.1:" : "", port, port ? "\"}" : "");
	struct config *config = config_parse("test", text, (size_t)n, NULL, &error);

	ck_assert_msg(config != NULL, "%s", strbuf_cstr(&error));
	configs[n_configs++] = config;
	return config;
}

/* NULL: refused. What the worker holds until it hears of something else. */
static struct share *
change_to(struct config *config)
{
	struct sockets_change *change = sockets_prepare(sockets, config, NULL, &error);
	struct share *share;

	if (!change)
		return NULL;
	share = sockets_share(change, 0);
	sockets_commit(sockets, change);
	return share;
}

START_TEST(listener_comes_back_before_its_worker_has_left)
{
	unsigned port = port_of(NULL);
	struct share *first = change_to(listening(port));
	struct share *second = change_to(listening(0));
	struct share *third = change_to(listening(port));

	ck_assert_ptr_nonnull(first);
	ck_assert_uint_eq(first->n_sockets, 2);
	ck_assert_ptr_nonnull(second);
	ck_assert_msg(third != NULL, "%s", strbuf_cstr(&error));
	ck_assert_uint_eq(third->n_sockets, 1);
	share_free(first);
	share_free(second);
	share_free(third);
}
END_TEST

START_TEST(who_took_the_address_later_is_seen)
{
	unsigned port = port_of(NULL);
	struct share *first = change_to(listening(port));
	struct share *second = change_to(listening(0));

	/* who still listens after that time is not a worker of ours */
	clock_fake_advance(10000);
	ck_assert_ptr_null(change_to(listening(port)));
	ck_assert(strstr(strbuf_cstr(&error), "cannot listen on 127.0.0.1:"));
	share_free(first);
	share_free(second);
}
END_TEST

START_TEST(address_of_another_process_is_not_shared)
{
	int fd = -1;
	unsigned port = port_of(&fd);

	ck_assert_ptr_null(change_to(listening(port)));
	ck_assert(strstr(strbuf_cstr(&error), "cannot listen on 127.0.0.1:"));
	close(fd);
}
END_TEST

Suite *
suite_sockets(void)
{
	Suite *suite = suite_create("sockets");
	TCase *tc = tcase_create("sockets");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, listener_comes_back_before_its_worker_has_left);
	tcase_add_test(tc, who_took_the_address_later_is_seen);
	tcase_add_test(tc, address_of_another_process_is_not_shared);
	suite_add_tcase(suite, tc);
	return suite;
}
