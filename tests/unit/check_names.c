/* SPDX-License-Identifier: MIT
 *
 * check_names.c - backends by name: replies of name servers, what is remembered of
 * them, and the backends that follow from it.
 */
#include "base/strbuf.h"
#include "config/form.h"
#include "config/load.h"
#include "upstream/backend.h"
#include "upstream/dns.h"
#include "upstream/resolver.h"
#include "upstream/upstream.h"
#include <arpa/nameser.h>
#include <check.h>
#include <stdlib.h>

Suite *suite_names(void);

/* ---- replies ---- */

static unsigned char reply[1024];
static size_t reply_len;

static void
put(const void *p, size_t n)
{
	memcpy(reply + reply_len, p, n);
	reply_len += n;
}

static void
put16(unsigned n)
{
	put((unsigned char[]){(unsigned char)(n >> 8), (unsigned char)n}, 2);
}

static void
put_name(const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		put((unsigned char[]){(unsigned char)n}, 1);
		put(name, n);
		name += n + (name[n] == '.');
	}
	put("", 1);
}

/* A reply to a question for app, with n records to follow. */
static void
begin_reply(int type, unsigned n)
{
	reply_len = 0;
	put16(1);
	put16(0x8180);
	put16(1);
	put16(n);
	put16(0);
	put16(0);
	put_name("app");
	put16((unsigned)type);
	put16(ns_c_in);
}

static void
put_record(int type, unsigned ttl, const void *data, size_t n)
{
	put("\xc0\x0c", 2); /* the name in the question */
	put16((unsigned)type);
	put16(ns_c_in);
	put16(ttl >> 16);
	put16(ttl & 0xffff);
	put16((unsigned)n);
	put(data, n);
}

static void
put_srv(unsigned ttl, unsigned priority, unsigned weight, unsigned port,
    const char *host)
{
	unsigned char data[300];
	size_t at = reply_len, n;

	put16(priority);
	put16(weight);
	put16(port);
	put_name(host);
	n = reply_len - at;
	memcpy(data, reply + at, n);
	reply_len = at;
	put_record(ns_t_srv, ttl, data, n);
}

static const char *
shown(const struct dns_answer *answer, size_t i)
{
	static char text[ADDR_TEXT];

	ck_assert_uint_lt(i, answer->n);
	return addr_print(&answer->places[i].addr, true, text);
}

START_TEST(test_addresses_and_the_shortest_ttl)
{
	struct dns_answer answer = {0};

	begin_reply(ns_t_a, 4);
	put_record(ns_t_cname, 60, "\3web\0", 5);
	put_record(ns_t_a, 300, "\x0a\0\0\1", 4);
	put_record(ns_t_a, 30, "\x0a\0\0\2", 4);
	put_record(ns_t_a, 300, "\x0a\0\0\1", 4);
	ck_assert(dns_take_addresses(reply, reply_len, ns_t_a, 80, 0, &answer));
	ck_assert_uint_eq(answer.n, 2);
	ck_assert_str_eq(shown(&answer, 0), "10.0.0.1:80");
	ck_assert_str_eq(shown(&answer, 1), "10.0.0.2:80");
	ck_assert(answer.has_ttl);
	ck_assert_uint_eq(answer.ttl_s, 30);
}
END_TEST

START_TEST(test_records_of_another_kind_are_left_out)
{
	struct dns_answer answer = {0};

	begin_reply(ns_t_aaaa, 3);
	put_record(ns_t_aaaa, 5, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	put_record(ns_t_a, 5, "\x0a\0\0\1", 4);
	put_record(ns_t_aaaa, 5, "\xfd\0\0", 3); /* too short to be one */
	ck_assert(dns_take_addresses(reply, reply_len, ns_t_aaaa, 80, 7, &answer));
	ck_assert_uint_eq(answer.n, 1);
	ck_assert_str_eq(shown(&answer, 0), "[fd00::1]:80");
	ck_assert_uint_eq(answer.places[0].weight, 7);
}
END_TEST

START_TEST(test_cut_replies_do_no_harm)
{
	struct dns_target targets[4];
	struct dns_answer answer;
	size_t n;

	begin_reply(ns_t_srv, 2);
	put_srv(5, 0, 1, 80, "b1.app");
	put_record(ns_t_a, 300, "\x0a\0\0\1", 4);
	for (size_t len = 0; len < reply_len; len++) {
		unsigned char *copy = malloc(len ? len : 1);

		memcpy(copy, reply, len);
		answer = (struct dns_answer){0};
		ck_assert(!dns_take_addresses(copy, len, ns_t_a, 80, 0, &answer));
		ck_assert(!dns_take_targets(copy, len, targets, 4, &n, &answer));
		free(copy);
	}
}
END_TEST

START_TEST(test_targets_of_the_best_priority)
{
	struct dns_answer answer = {0};
	struct dns_target targets[4];
	size_t n;

	begin_reply(ns_t_srv, 5);
	put_srv(60, 20, 9, 1, "backup.app");
	put_srv(50, 10, 0, 8001, "b1.app");
	put_srv(40, 10, 65535, 8002, "b2.app");
	put_srv(70, 10, 655, 8003, "b3.app");
	put_srv(70, 10, 1, 8004, "");
	ck_assert(dns_take_targets(reply, reply_len, targets, 4, &n, &answer));
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(targets[0].host, "b1.app");
	ck_assert_uint_eq(targets[0].port, 8001);
	ck_assert_uint_eq(targets[0].weight, 1); /* rarely, not never */
	ck_assert_uint_eq(targets[1].weight, 1000);
	ck_assert_uint_eq(targets[2].weight, 9);
	ck_assert_uint_eq(answer.ttl_s, 40);
}
END_TEST

START_TEST(test_more_targets_than_there_is_room_for)
{
	struct dns_answer answer = {0};
	struct dns_target targets[2];
	size_t n;

	begin_reply(ns_t_srv, 3);
	put_srv(60, 10, 1, 1, "b1.app");
	put_srv(60, 10, 1, 2, "b2.app");
	put_srv(60, 10, 1, 3, "b3.app");
	ck_assert(dns_take_targets(reply, reply_len, targets, 2, &n, &answer));
	ck_assert_uint_eq(n, 2);
}
END_TEST

/* ---- memory ---- */

static struct addr
address(unsigned last)
{
	struct addr addr;
	char text[32];

	snprintf(text, sizeof text, "10.0.0.%u:80", last);
	ck_assert(addr_parse(str_of(text), &addr));
	return addr;
}

/* "1 2": addresses by their last number. */
static struct dns_answer
answer_of(const char *numbers)
{
	struct dns_answer answer = {0};
	char *end;

	while (*numbers) {
		answer.places[answer.n++].addr =
		    address((unsigned)strtoul(numbers, &end, 10));
		numbers = end;
	}
	return answer;
}

static bool
takes(struct memory *m, const char *numbers, const char *then)
{
	struct dns_answer answer = answer_of(numbers), expected = answer_of(then);
	bool changed = memory_take(m, &answer);

	ck_assert_uint_eq(m->n, expected.n);
	for (size_t i = 0; i < m->n; i++)
		ck_assert(addr_eq(&m->places[i].addr, &expected.places[i].addr));
	return changed;
}

START_TEST(test_address_that_is_missing_twice_is_gone)
{
	struct memory m = {0};

	ck_assert(takes(&m, "1 2", "1 2"));
	ck_assert(!takes(&m, "2 1", "1 2"));
	ck_assert(!takes(&m, "2", "1 2"));
	ck_assert(!takes(&m, "1", "1 2"));
	ck_assert(!takes(&m, "2 1", "1 2"));
	ck_assert(!takes(&m, "2", "1 2"));
	ck_assert(takes(&m, "2", "2"));
	ck_assert(takes(&m, "3", "2 3"));
	ck_assert(takes(&m, "3", "3"));
}
END_TEST

START_TEST(test_incomplete_answers_take_nothing_away)
{
	struct dns_answer answer = answer_of("1 2");
	struct memory m = {0};

	ck_assert(memory_take(&m, &answer));
	answer = answer_of("2 3");
	answer.partial = true;
	ck_assert(memory_take(&m, &answer));
	ck_assert(!memory_take(&m, &answer));
	ck_assert(!memory_take(&m, &answer));
	ck_assert_uint_eq(m.n, 3);
}
END_TEST

START_TEST(test_weight_that_changes_is_told)
{
	struct dns_answer answer = answer_of("1");
	struct memory m = {0};

	ck_assert(memory_take(&m, &answer));
	answer.places[0].weight = 5;
	ck_assert(memory_take(&m, &answer));
	ck_assert_uint_eq(m.places[0].weight, 5);
	ck_assert(!memory_take(&m, &answer));
}
END_TEST

START_TEST(test_memory_has_an_end)
{
	struct memory m = {0};
	struct dns_answer answer = {0};

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < DNS_MAX; i++)
			answer.places[i].addr = address(round * DNS_MAX + i);
		answer.n = DNS_MAX;
		memory_take(&m, &answer);
		ck_assert_uint_eq(m.n, DNS_MAX);
	}
	memory_take(&m, &answer);
	ck_assert(addr_eq(&m.places[0].addr, &answer.places[0].addr));
}
END_TEST

/* ---- backends ---- */

static struct snapshot *snapshot;
static const struct upstream *up;

#define NAMED "app.internal:80"

static void
configure(const char *backends)
{
	struct strbuf text = STRBUF_INIT, errors = STRBUF_INIT;
	struct config *config;
	struct snapshot *newer;

	strbuf_printf(&text,
	    "listeners: [{bind: \"127.0.0.1:0\"}]\n"
	    "upstreams: {app: {backends: [%s]}}\n",
	    backends);
	config = config_parse("test", text.data, text.len, NULL, &errors);
	ck_assert_msg(config != NULL, "%s", strbuf_cstr(&errors));
	strbuf_fini(&text);
	strbuf_fini(&errors);
	newer = snapshot_new(config, snapshot);
	ck_assert_ptr_nonnull(newer);
	if (snapshot)
		snapshot_put(snapshot);
	snapshot = newer;
	up = &snapshot->upstreams[0];
}

/* True: there is another snapshot. */
static bool
found_places(const struct place *places, size_t n)
{
	const struct found found = {NAMED, places, n};
	bool changed;
	struct snapshot *newer = snapshot_found(snapshot, &found, &changed);

	ck_assert_int_eq(changed, newer != NULL);
	if (!newer)
		return false;
	snapshot_put(snapshot);
	snapshot = newer;
	up = &snapshot->upstreams[0];
	return true;
}

static bool
found(const char *numbers)
{
	struct dns_answer answer = answer_of(numbers);

	return found_places(answer.places, answer.n);
}

/* "a@1 a#2@2": names, and the last number of the address, 0: none. */
static void
check_backends(const char *expected)
{
	struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < up->n_backends; i++) {
		struct addr addr;
		unsigned last = 0;

		if (backend_addr(up->backends[i], &addr))
			last = ntohl(addr.in4.sin_addr.s_addr) & 0xff;
		strbuf_printf(&text, "%s%s@%u", i ? " " : "", up->backends[i]->name,
		    last);
	}
	ck_assert_str_eq(strbuf_cstr(&text), expected);
	strbuf_fini(&text);
}

static void
fresh_snapshot(void)
{
	log_set_level(LEVEL_ERROR + 1);
	snapshot = NULL;
}

static void
drop_snapshot(void)
{
	snapshot_put(snapshot);
}

START_TEST(test_first_address_needs_no_snapshot)
{
	configure("{name: a, address: \"" NAMED "\"}");
	check_backends("a@0");
	ck_assert_int_eq(backend_use(up->backends[0], 0), BACKEND_UNRESOLVED);
	ck_assert(!found("1"));
	check_backends("a@1");
	ck_assert_int_eq(backend_use(up->backends[0], 0), BACKEND_USABLE);
	ck_assert(!found("1"));
}
END_TEST

START_TEST(test_each_address_is_a_backend)
{
	struct backend *first;

	configure("{name: a, address: \"" NAMED "\", weight: 7}, "
		  "{name: z, address: \"10.0.0.9:80\"}");
	first = up->backends[0];
	ck_assert(found("1 2 3"));
	check_backends("a@1 a#2@2 a#3@3 z@9");
	ck_assert_ptr_eq(up->backends[0], first);
	ck_assert_uint_eq(atomic_load(&up->backends[2]->weight), 7);
	ck_assert(!found("3 2 1"));
}
END_TEST

START_TEST(test_nodes_agree_on_an_address_whatever_its_number)
{
	uint64_t one, two;

	configure("{name: a, address: \"" NAMED "\"}");
	found("1 2");
	one = backend_identity(up->backends[0]);
	two = backend_identity(up->backends[1]);
	ck_assert_uint_ne(one, two);
	snapshot_put(snapshot);
	snapshot = NULL;
	configure("{name: a, address: \"" NAMED "\"}");
	found("2 1");
	check_backends("a@2 a#2@1");
	ck_assert_uint_eq(backend_identity(up->backends[0]), two);
	ck_assert_uint_eq(backend_identity(up->backends[1]), one);
}
END_TEST

START_TEST(test_address_that_goes_is_removed_and_its_number_is_used_again)
{
	struct backend *gone;

	configure("{name: a, address: \"" NAMED "\"}");
	found("1 2 3");
	gone = backend_get(up->backends[1]);
	ck_assert(found("1 3"));
	check_backends("a@1 a#3@3");
	ck_assert_int_eq(backend_use(gone, 0), BACKEND_REMOVED);
	ck_assert(backend_is_leaving(gone, 0));
	backend_put(gone);
	ck_assert(found("1 3 4"));
	check_backends("a@1 a#3@3 a#2@4");
}
END_TEST

START_TEST(test_address_that_changes_is_another_backend)
{
	configure("{name: a, address: \"" NAMED "\"}");
	found("1");
	atomic_store(&up->backends[0]->admin_state, BACKEND_DRAIN);
	ck_assert(found("1 2"));
	/* what was done to it since stays */
	ck_assert_int_eq(atomic_load(&up->backends[0]->admin_state), BACKEND_DRAIN);
	ck_assert(found("2"));
	check_backends("a#2@2");
}
END_TEST

START_TEST(test_reload_keeps_what_is_known)
{
	struct backend *second;

	configure("{name: a, address: \"" NAMED "\"}");
	found("1 2");
	second = up->backends[1];
	configure("{name: a, address: \"" NAMED "\", weight: 3}, "
		  "{name: b, address: \"" NAMED "\"}");
	check_backends("a@1 a#2@2 b@0");
	ck_assert_ptr_eq(up->backends[1], second);
	ck_assert_uint_eq(atomic_load(&second->weight), 3);
	ck_assert(found("1 2"));
	check_backends("a@1 a#2@2 b@1 b#2@2");
	backend_get(second);
	configure("{name: b, address: \"" NAMED "\"}");
	check_backends("b@1 b#2@2");
	ck_assert_int_eq(backend_use(second, 0), BACKEND_REMOVED);
	backend_put(second);
}
END_TEST

START_TEST(test_weights_of_records_are_taken_unless_the_file_says_none)
{
	struct place places[] = {{address(1), 10}, {address(2), 20}};

	configure("{name: a, address: \"" NAMED "\"}");
	ck_assert(found_places(places, 2));
	ck_assert_uint_eq(atomic_load(&up->backends[0]->weight), 10);
	ck_assert_uint_eq(atomic_load(&up->backends[1]->weight), 20);
	places[1].weight = 5;
	ck_assert(!found_places(places, 2));
	ck_assert_uint_eq(atomic_load(&up->backends[1]->weight), 5);
	configure("{name: a, address: \"" NAMED "\", weight: 0}");
	ck_assert_uint_eq(atomic_load(&up->backends[1]->weight), 0);
	configure("{name: a, address: \"" NAMED "\"}");
	ck_assert_uint_eq(atomic_load(&up->backends[1]->weight), 5);
}
END_TEST

START_TEST(test_what_is_found_of_an_unknown_name_changes_nothing)
{
	configure("{name: a, address: \"10.0.0.9:80\"}");
	ck_assert(!found("1 2"));
	check_backends("a@9");
}
END_TEST

START_TEST(test_old_snapshot_can_go_first_or_last)
{
	struct snapshot *old;

	configure("{name: a, address: \"" NAMED "\"}");
	old = snapshot_get(snapshot);
	found("1 2");
	ck_assert_ptr_eq(old->config, snapshot->config);
	ck_assert_uint_eq(old->upstreams[0].n_backends, 1);
	found("2 3");
	snapshot_put(old);
	ck_assert_str_eq(up->conf->name, "app");
}
END_TEST

START_TEST(test_names_in_addresses)
{
	ck_assert(form_is_backend_address(STR("srv:_http._tcp.app.internal")));
	ck_assert(!form_is_backend_address(STR("srv:")));
	ck_assert(!form_is_backend_address(STR("srv:a:80")));
	ck_assert(backend_address_is_name("srv:_http._tcp.app.internal"));
	ck_assert(backend_address_is_name("app:80"));
	ck_assert(!backend_address_is_name("10.0.0.1:80"));
	ck_assert(!backend_address_is_name("[::1]:80"));
	ck_assert(!backend_address_is_name("unix:/run/app.sock"));
	ck_assert(form_is_name_server(STR("127.0.0.1:53")));
	ck_assert(!form_is_name_server(STR("127.0.0.1")));
	ck_assert(!form_is_name_server(STR("127.0.0.1:0")));
	ck_assert(!form_is_name_server(STR("*:53")));
	ck_assert(!form_is_name_server(STR("[::1]:53")));
	ck_assert(!form_is_name_server(STR("dns:53")));
}
END_TEST

Suite *
suite_names(void)
{
	Suite *s = suite_create("names");
	TCase *t = tcase_create("replies");

	tcase_add_test(t, test_addresses_and_the_shortest_ttl);
	tcase_add_test(t, test_records_of_another_kind_are_left_out);
	tcase_add_test(t, test_cut_replies_do_no_harm);
	tcase_add_test(t, test_targets_of_the_best_priority);
	tcase_add_test(t, test_more_targets_than_there_is_room_for);
	suite_add_tcase(s, t);

	t = tcase_create("memory");
	tcase_add_test(t, test_address_that_is_missing_twice_is_gone);
	tcase_add_test(t, test_incomplete_answers_take_nothing_away);
	tcase_add_test(t, test_weight_that_changes_is_told);
	tcase_add_test(t, test_memory_has_an_end);
	suite_add_tcase(s, t);

	t = tcase_create("backends");
	tcase_add_checked_fixture(t, fresh_snapshot, drop_snapshot);
	tcase_add_test(t, test_first_address_needs_no_snapshot);
	tcase_add_test(t, test_each_address_is_a_backend);
	tcase_add_test(t, test_nodes_agree_on_an_address_whatever_its_number);
	tcase_add_test(t,
	    test_address_that_goes_is_removed_and_its_number_is_used_again);
	tcase_add_test(t, test_address_that_changes_is_another_backend);
	tcase_add_test(t, test_reload_keeps_what_is_known);
	tcase_add_test(t, test_weights_of_records_are_taken_unless_the_file_says_none);
	tcase_add_test(t, test_what_is_found_of_an_unknown_name_changes_nothing);
	tcase_add_test(t, test_old_snapshot_can_go_first_or_last);
	suite_add_tcase(s, t);

	t = tcase_create("forms");
	tcase_add_test(t, test_names_in_addresses);
	suite_add_tcase(s, t);
	return s;
}
