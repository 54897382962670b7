/* SPDX-License-Identifier: MIT
 *
 * check_estate.c - what a process leaves to the next, as packets: whole, cut, damaged.
 */
#include "base/strbuf.h"
#include "daemon/estate.h"

#include <check.h>
#include <stdlib.h>

Suite *suite_estate(void);

static struct strbuf out;
static struct estate_packet packet;

static void
setup(void)
{
	strbuf_reset(&out);
}

static void
teardown(void)
{
	strbuf_fini(&out);
}

/* From memory of exactly its size, so that a sanitizer sees what is read beyond. */
static bool
parses(size_t n)
{
	char *copy = malloc(n ? n : 1);
	bool ok;

	ck_assert_ptr_nonnull(copy);
	if (n)
		memcpy(copy, out.data, n);
	ok = estate_parse(copy, n, &packet);
	free(copy);
	return ok;
}

/* The packet is good, and none of its beginnings is. */
static void
check_cut(void)
{
	for (size_t n = 0; n < out.len; n++)
		ck_assert_msg(!parses(n), "%zu of %zu bytes", n, out.len);
	strbuf_lit(&out, "\0");
	ck_assert(!parses(out.len));
	out.len--;
	ck_assert(estate_parse(out.data, out.len, &packet));
}

START_TEST(head_is_as_it_was)
{
	struct estate_head head = {.stays_ms = 300000};

	memset(head.secrets, 7, sizeof(head.secrets));
	estate_write_head(&head, &out);
	check_cut();
	ck_assert_int_eq(packet.kind, ESTATE_HEAD);
	ck_assert_mem_eq(packet.head.secrets, head.secrets, sizeof(head.secrets));
	ck_assert_uint_eq(packet.head.stays_ms, 300000);
}
END_TEST

START_TEST(counts_and_ends_are_as_they_were)
{
	estate_write_count(3, &out);
	check_cut();
	ck_assert_int_eq(packet.kind, ESTATE_AMENDMENTS);
	ck_assert_uint_eq(packet.n_amendments, 3);
	strbuf_reset(&out);
	estate_write_end(&out);
	check_cut();
	ck_assert_int_eq(packet.kind, ESTATE_END);
}
END_TEST

static char chat[] = "chat", b1[] = "b1", address[] = "10.0.0.1:80", nothing[] = "";

static struct amendment
amendment(void)
{
	return (struct amendment){.upstream = chat,
	    .name = b1,
	    .in_file = true,
	    .is_there = true,
	    .file = {.address = address, .weight = 1},
	    .row = {.address = address,
		.weight = 1000,
		.state = BACKEND_DRAIN,
		.backup = true}};
}

START_TEST(amendment_is_as_it_was)
{
	struct amendment a = amendment();

	estate_write_amendment(&a, &out);
	check_cut();
	ck_assert_int_eq(packet.kind, ESTATE_AMENDMENT);
	ck_assert_str_eq(packet.amendment.upstream, "chat");
	ck_assert_str_eq(packet.amendment.name, "b1");
	ck_assert_str_eq(packet.amendment.row.name, "b1");
	ck_assert(backend_row_eq(&packet.amendment.file, &a.file));
	ck_assert(backend_row_eq(&packet.amendment.row, &a.row));
}
END_TEST

START_TEST(amendment_adds_or_removes)
{
	struct amendment a = amendment();

	a.in_file = false;
	estate_write_amendment(&a, &out);
	check_cut();
	ck_assert(!packet.amendment.in_file && packet.amendment.is_there);
	strbuf_reset(&out);
	a.in_file = true;
	a.is_there = false;
	estate_write_amendment(&a, &out);
	check_cut();
	ck_assert(packet.amendment.in_file && !packet.amendment.is_there);
	strbuf_reset(&out);
	a.in_file = false;
	estate_write_amendment(&a, &out);
	ck_assert(!parses(out.len));
}
END_TEST

START_TEST(amendment_that_no_file_could_have_said_is_bad)
{
	struct amendment a = amendment();

	a.row.weight = 1001;
	estate_write_amendment(&a, &out);
	ck_assert(!parses(out.len));
	strbuf_reset(&out);
	a = amendment();
	a.row.state = BACKEND_DOWN + 1;
	estate_write_amendment(&a, &out);
	ck_assert(!parses(out.len));
	strbuf_reset(&out);
	a = amendment();
	a.name = nothing;
	estate_write_amendment(&a, &out);
	ck_assert(!parses(out.len));
}
END_TEST

static struct estate_backend
backend(void)
{
	return (struct estate_backend){.number = 5,
	    .upstream = "chat",
	    .name = "b1#2",
	    .address = "app.test:80",
	    .place = "[::1]:80",
	    .announced_weight = 10,
	    .unhealthy_since_ms = 7,
	    .refused = 1,
	    .failures = 2,
	    .errors = 3,
	    .closes = 4,
	    .slow = 5,
	    .ejections = 6,
	    .failing_until_ms = UINT64_MAX,
	    .ejected_until_ms = 8,
	    .up_since_ms = 9,
	    .latency = 10};
}

START_TEST(backend_is_as_it_was)
{
	struct estate_backend b = backend();

	estate_write_backend(&b, &out);
	check_cut();
	ck_assert_int_eq(packet.kind, ESTATE_BACKEND);
	ck_assert_uint_eq(packet.backend.number, 5);
	ck_assert_str_eq(packet.backend.name, "b1#2");
	ck_assert_str_eq(packet.backend.address, "app.test:80");
	ck_assert_str_eq(packet.backend.place, "[::1]:80");
	ck_assert_uint_eq(packet.backend.announced_weight, 10);
	ck_assert_uint_eq(packet.backend.unhealthy_since_ms, 7);
	ck_assert_uint_eq(packet.backend.refused, 1);
	ck_assert_uint_eq(packet.backend.ejections, 6);
	ck_assert_uint_eq(packet.backend.failing_until_ms, UINT64_MAX);
	ck_assert_uint_eq(packet.backend.latency, 10);
}
END_TEST

START_TEST(backend_number_has_a_limit)
{
	struct estate_backend b = backend();

	b.number = ESTATE_NUMBER_MAX + 1;
	estate_write_backend(&b, &out);
	ck_assert(!parses(out.len));
}
END_TEST

START_TEST(text_has_no_nul_and_ends_with_one)
{
	struct estate_backend b = backend();
	char *name;

	estate_write_backend(&b, &out);
	name = memmem(out.data, out.len, "b1#2", 5);
	ck_assert_ptr_nonnull(name);
	name[4] = 'x';
	ck_assert(!parses(out.len));
	name[4] = '\0';
	ck_assert(parses(out.len));
	name[2] = '\0';
	ck_assert(!parses(out.len));
}
END_TEST

START_TEST(pins_are_as_they_were)
{
	struct estate_pin pin = {.key = {1, 2},
	    .stable = 3,
	    .backend = 4,
	    .websocket_left_ms = 5,
	    .http_left_ms = 6,
	    .age_ms = 7,
	    .seats = 8,
	    .exchanges = true};
	size_t n = 0;

	while (estate_has_room(&out)) {
		pin.key.hi = n++;
		estate_add_pin(&pin, &out);
	}
	ck_assert_uint_le(out.len, ESTATE_PACKET);
	ck_assert(estate_parse(out.data, out.len, &packet));
	ck_assert_int_eq(packet.kind, ESTATE_PINS);
	ck_assert_uint_eq(packet.pins.n, n);
	for (size_t i = 0; i < n; i++) {
		struct estate_pin one = estate_pin_at(&packet, i);

		ck_assert(one.key.lo == 1 && one.key.hi == i && one.stable == 3);
		ck_assert(one.backend == 4 && one.websocket_left_ms == 5);
		ck_assert(one.http_left_ms == 6 && one.age_ms == 7);
		ck_assert(one.seats == 8 && !one.followers && one.exchanges);
	}
}
END_TEST

START_TEST(pins_are_whole)
{
	struct estate_pin pin = {.backend = 1};

	estate_add_pin(&pin, &out);
	check_cut();
	pin.backend = ESTATE_NUMBER_MAX + 1;
	estate_add_pin(&pin, &out);
	ck_assert(!parses(out.len));
}
END_TEST

START_TEST(what_is_no_packet_is_bad)
{
	ck_assert(!estate_parse("", 0, &packet));
	ck_assert(!estate_parse("go", 2, &packet));
	ck_assert(!estate_parse("\0", 1, &packet));
	ck_assert(!estate_parse("\7", 1, &packet));
	for (size_t i = 0; i <= ESTATE_PACKET; i++)
		strbuf_lit(&out, "\5");
	ck_assert(!parses(out.len));
}
END_TEST

/* Whatever bytes change, it is parsed to something sound or not at all. */
START_TEST(damage_is_survived)
{
	struct estate_backend b = backend();
	struct amendment a = amendment();

	for (int which = 0; which < 2; which++) {
		strbuf_reset(&out);
		if (which)
			estate_write_backend(&b, &out);
		else
			estate_write_amendment(&a, &out);
		for (size_t i = 0; i < out.len; i++) {
			char was = out.data[i];

			for (int bit = 0; bit < 8; bit++) {
				out.data[i] = (char)(was ^ (1 << bit));
				(void)parses(out.len);
			}
			out.data[i] = was;
		}
	}
}
END_TEST

Suite *
suite_estate(void)
{
	Suite *s = suite_create("estate");
	TCase *t = tcase_create("estate");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, head_is_as_it_was);
	tcase_add_test(t, counts_and_ends_are_as_they_were);
	tcase_add_test(t, amendment_is_as_it_was);
	tcase_add_test(t, amendment_adds_or_removes);
	tcase_add_test(t, amendment_that_no_file_could_have_said_is_bad);
	tcase_add_test(t, backend_is_as_it_was);
	tcase_add_test(t, backend_number_has_a_limit);
	tcase_add_test(t, text_has_no_nul_and_ends_with_one);
	tcase_add_test(t, pins_are_as_they_were);
	tcase_add_test(t, pins_are_whole);
	tcase_add_test(t, what_is_no_packet_is_bad);
	tcase_add_test(t, damage_is_survived);
	suite_add_tcase(s, t);
	return s;
}
