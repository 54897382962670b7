/* SPDX-License-Identifier: MIT
 *
 * check_base.c - slices, growing strings, randomness, hashes, clock, reasons.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/reasons.h"
#include "base/str.h"
#include "base/strbuf.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

Suite *suite_base(void);

/* str */

START_TEST(str_compares_bytes)
{
	ck_assert(str_eq(STR("abc"), str_of("abc")));
	ck_assert(!str_eq(STR("abc"), STR("abd")));
	ck_assert(!str_eq(STR("abc"), STR("ab")));
	ck_assert(!str_eq(STR("abc"), STR("ABC")));
	ck_assert(str_ieq(STR("aBc"), STR("AbC")));
	ck_assert(!str_ieq(STR("abc"), STR("abcd")));
	ck_assert(str_eq(str_of(NULL), STR("")));
}
END_TEST

START_TEST(str_trims_blanks_and_tabs_only)
{
	ck_assert(str_eq(str_trim(STR(" \t a b\t ")), STR("a b")));
	ck_assert(str_eq(str_trim(STR("\na\r")), STR("\na\r")));
	ck_assert(str_eq(str_trim(STR(" \t ")), STR("")));
}
END_TEST

START_TEST(str_lists_skip_empty_elements)
{
	struct str list = STR(" ,a, b c ,,\t, d,"), e;

	ck_assert(str_next_element(&list, &e) && str_eq(e, STR("a")));
	ck_assert(str_next_element(&list, &e) && str_eq(e, STR("b c")));
	ck_assert(str_next_element(&list, &e) && str_eq(e, STR("d")));
	ck_assert(!str_next_element(&list, &e));
	list = STR("");
	ck_assert(!str_next_element(&list, &e));
}
END_TEST

/* strbuf */

START_TEST(strbuf_grows_with_what_is_appended)
{
	struct strbuf sb = STRBUF_INIT;
	char expected[5001];

	for (int i = 0; i < 5000; i++) {
		expected[i] = (char)('a' + i % 26);
		strbuf_append(&sb, &expected[i], 1);
	}
	expected[5000] = '\0';
	ck_assert(!sb.failed);
	ck_assert_uint_eq(sb.len, 5000);
	ck_assert_str_eq(strbuf_cstr(&sb), expected);
	strbuf_fini(&sb);
}
END_TEST

START_TEST(strbuf_keeps_its_memory_when_reset)
{
	struct strbuf sb = STRBUF_INIT;
	const char *memory;

	ck_assert_str_eq(strbuf_cstr(&sb), "");
	strbuf_puts(&sb, "hello");
	memory = sb.data;
	strbuf_reset(&sb);
	strbuf_lit(&sb, "you");
	strbuf_str(&sb, STR("!"));
	ck_assert_ptr_eq(sb.data, memory);
	ck_assert_str_eq(strbuf_cstr(&sb), "you!");
	strbuf_fini(&sb);
	ck_assert_ptr_null(sb.data);
}
END_TEST

START_TEST(strbuf_stops_at_its_limit)
{
	struct strbuf sb = {.limit = 10};

	strbuf_puts(&sb, "12345678");
	ck_assert(!sb.failed);
	strbuf_puts(&sb, "90");
	ck_assert(!sb.failed);
	ck_assert_str_eq(strbuf_cstr(&sb), "1234567890");
	strbuf_puts(&sb, "x");
	ck_assert(sb.failed);
	ck_assert_str_eq(strbuf_cstr(&sb), "");
	strbuf_reset(&sb);
	strbuf_puts(&sb, "12345678");
	strbuf_puts(&sb, "too long");
	strbuf_puts(&sb, "9");
	strbuf_printf(&sb, "%d", 9);
	ck_assert_msg(sb.len == 8, "appended after a failure");
	ck_assert(!strbuf_reserve(&sb, 1));
	strbuf_fini(&sb);
}
END_TEST

START_TEST(strbuf_refuses_absurd_sizes)
{
	struct strbuf sb = STRBUF_INIT;

	strbuf_puts(&sb, "x");
	ck_assert(!strbuf_reserve(&sb, SIZE_MAX - 1));
	ck_assert(sb.failed);
	strbuf_fini(&sb);
}
END_TEST

START_TEST(strbuf_over_memory_never_leaves_it)
{
	char memory[8];
	struct strbuf sb = strbuf_over(memory, sizeof(memory));

	strbuf_puts(&sb, "1234567");
	ck_assert(!sb.failed);
	ck_assert_str_eq(strbuf_cstr(&sb), "1234567");
	strbuf_puts(&sb, "8");
	ck_assert(sb.failed);
	ck_assert_ptr_eq(sb.data, memory);
}
END_TEST

START_TEST(strbuf_prints_numbers)
{
	struct strbuf sb = STRBUF_INIT;

	strbuf_u64(&sb, 0);
	strbuf_lit(&sb, " ");
	strbuf_u64(&sb, UINT64_MAX);
	strbuf_printf(&sb, " %d %s", -5, "x");
	ck_assert_str_eq(strbuf_cstr(&sb), "0 18446744073709551615 -5 x");
	strbuf_fini(&sb);
}
END_TEST

START_TEST(strbuf_printf_grows_as_needed)
{
	struct strbuf sb = STRBUF_INIT;

	strbuf_printf(&sb, "%s", "");
	ck_assert_uint_eq(sb.len, 0);
	for (int i = 0; i < 100; i++)
		strbuf_printf(&sb, "%0*d", i, 7);
	ck_assert(!sb.failed);
	ck_assert_uint_eq(sb.len, 1 + 99 * 100 / 2);
	ck_assert_uint_eq(strlen(strbuf_cstr(&sb)), sb.len);
	strbuf_fini(&sb);
}
END_TEST

static void
check_json(struct str in, const char *expected)
{
	struct strbuf sb = STRBUF_INIT;

	strbuf_json(&sb, in);
	ck_assert_str_eq(strbuf_cstr(&sb), expected);
	strbuf_fini(&sb);
}

START_TEST(json_escapes_what_it_must)
{
	check_json(STR("a \"b\" \\ /"), "a \\\"b\\\" \\\\ /");
	check_json(STR("\n\r\t\x01\x1f\x7f"), "\\n\\r\\t\\u0001\\u001f\\u007f");
	check_json(STR("a\0b"), "a\\u0000b");
	check_json(STR(""), "");
}
END_TEST

START_TEST(json_keeps_utf8_and_replaces_the_rest)
{
	static const char good[] =
	    "\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xef\xbf\xbf"
	    " \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf";

	check_json(STR(good), good);
	check_json(STR("\x80"), "\xef\xbf\xbd");
	check_json(STR("a\xffz"), "a\xef\xbf\xbdz");
	/* overlong, a surrogate, beyond U+10FFFF, cut off: one for each byte */
	check_json(STR("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd");
	check_json(STR("\xe0\x9f\xbf"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	check_json(STR("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	check_json(STR("\xf0\x8f\xbf\xbf"),
	    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	check_json(STR("\xf4\x90\x80\x80"),
	    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	check_json(STR("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
	check_json(STR("\xe2\x82x"), "\xef\xbf\xbd\xef\xbf\xbdx");
}
END_TEST

/* random */

START_TEST(random_repeats_with_its_seed)
{
	struct random a, b, c;
	bool differs = false;

	random_seed(&a, 42);
	random_seed(&b, 42);
	random_seed(&c, 43);
	for (int i = 0; i < 100; i++) {
		uint64_t x = random_u64(&a);

		ck_assert_uint_eq(x, random_u64(&b));
		differs = differs || x != random_u64(&c);
	}
	ck_assert(differs);
}
END_TEST

/* 16 cells of 10,000 expected each; a cell's deviation beyond 6 sigma is a bug. */
START_TEST(random_below_is_uniform)
{
	static const uint32_t bounds[] = {16, 48, 3000000000u / 16 * 16};
	struct random r;

	random_seed(&r, 0);
	for (size_t b = 0; b < 3; b++) {
		unsigned cells[16] = {0};

		for (int i = 0; i < 160000; i++) {
			uint32_t x = random_below(&r, bounds[b]);

			if (x >= bounds[b])
				ck_abort_msg("%u is not below %u", x, bounds[b]);
			cells[x / (bounds[b] / 16)]++;
		}
		for (int i = 0; i < 16; i++) {
			ck_assert_uint_gt(cells[i], 9400);
			ck_assert_uint_lt(cells[i], 10600);
		}
	}
	ck_assert_uint_eq(random_below(&r, 1), 0);
}
END_TEST

/* With a bound of 3/4 of 2^32 a careless reduction gives every third value twice as
 * often as the others. */
START_TEST(random_below_favours_nothing)
{
	unsigned hits[3] = {0};
	struct random r;

	random_seed(&r, 7);
	for (int i = 0; i < 90000; i++)
		hits[random_below(&r, 0xc0000000) % 3]++;
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_gt(hits[i], 29000);
		ck_assert_uint_lt(hits[i], 31000);
	}
}
END_TEST

START_TEST(jitter_stays_within_its_share)
{
	uint64_t least = UINT64_MAX, most = 0;
	struct random r;

	random_seed(&r, 1);
	for (int i = 0; i < 20000; i++) {
		uint64_t x = random_jitter(&r, 1000, 30);

		least = x < least ? x : least;
		most = x > most ? x : most;
	}
	ck_assert_uint_eq(least, 700);
	ck_assert_uint_eq(most, 1300);
	ck_assert_uint_eq(random_jitter(&r, 1000, 0), 1000);
	ck_assert_uint_eq(random_jitter(&r, 0, 30), 0);
	ck_assert_uint_le(random_jitter(&r, 10, 500), 20);
	ck_assert_uint_eq(random_jitter(&r, UINT64_MAX, 30), UINT64_MAX);
}
END_TEST

START_TEST(secrets_differ)
{
	uint8_t a[HASH_SECRET] = {0}, b[HASH_SECRET] = {0};

	random_secret(a, sizeof(a));
	random_secret(b, sizeof(b));
	ck_assert_mem_ne(a, b, sizeof(a));
	ck_assert_mem_ne(a + 176, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
}
END_TEST

/* hash */

START_TEST(table_keys_differ_by_content_and_space)
{
	uint64_t one = 1;
	struct hash128 a = hash_table_key(1, "key", 3);

	ck_assert(hash128_eq(a, hash_table_key(1, "key", 3)));
	ck_assert(!hash128_eq(a, hash_table_key(2, "key", 3)));
	ck_assert(!hash128_eq(a, hash_table_key(1, "kez", 3)));
	ck_assert(!hash128_eq(a, hash_table_key(1, "key", 2)));
	ck_assert(!hash128_eq(hash_table_key(1, NULL, 0), hash_table_key(2, NULL, 0)));
	/* a key that looks like the space must not cancel it */
	ck_assert(
	    !hash128_eq(hash_table_key(1, &one, sizeof(one)), (struct hash128){0}));
}
END_TEST

START_TEST(table_keys_cannot_be_predicted)
{
	struct hash128 a = hash_table_key(0, "key", 3);

	ck_assert_uint_ne(a.lo, hash_stable(0, "key", 3));
	ck_assert_uint_ne(a.lo, 0);
	ck_assert_uint_ne(a.hi, 0);
}
END_TEST

START_TEST(table_keys_are_the_same_under_inherited_secrets)
{
	uint8_t secrets[HASH_TABLE_SECRETS], others[HASH_TABLE_SECRETS];
	struct hash128 a = hash_table_key(1, "key", 3);

	hash_table_secrets(secrets);
	for (size_t i = 0; i < sizeof(others); i++)
		others[i] = (uint8_t)(secrets[i] + i * 7 + 1);
	hash_table_inherit(others);
	ck_assert(!hash128_eq(a, hash_table_key(1, "key", 3)));
	hash_table_inherit(secrets);
	ck_assert(hash128_eq(a, hash_table_key(1, "key", 3)));
}
END_TEST

/* Nodes of different builds must agree: these values may never change. */
START_TEST(stable_hashes_stay)
{
	uint8_t secret[HASH_SECRET];

	ck_assert_uint_eq(hash_stable(0, "", 0), 0x2d06800538d394c2);
	ck_assert_uint_eq(hash_stable(1, "backend-1", 9), 0xbd830ab380386077);
	hash_derive_secret(secret, "a secret", 8);
	ck_assert_uint_eq(hash_keyed(secret, "backend-1", 9), 0x1ca166850450c0f1);
}
END_TEST

START_TEST(keyed_hashes_depend_on_the_secret)
{
	uint8_t a[HASH_SECRET], b[HASH_SECRET];

	hash_derive_secret(a, "secret a", 8);
	hash_derive_secret(b, "secret b", 8);
	ck_assert_uint_eq(hash_keyed(a, "x", 1), hash_keyed(a, "x", 1));
	ck_assert_uint_ne(hash_keyed(a, "x", 1), hash_keyed(b, "x", 1));
	ck_assert_uint_ne(hash_keyed(a, "x", 1), hash_keyed(a, "y", 1));
	/* stretched, not repeated */
	for (size_t i = 16; i < HASH_SECRET; i += 16)
		ck_assert_mem_ne(a, a + i, 16);
}
END_TEST

/* clock */

START_TEST(fake_time_moves_only_when_told)
{
	clock_fake_set(5000);
	ck_assert_uint_eq(clock_now_ms(), 5000);
	ck_assert_uint_eq(clock_now_us(), 5000000);
	ck_assert_int_eq(clock_wall(), 5);
	clock_fake_advance(1234);
	ck_assert_uint_eq(clock_now_ms(), 6234);
	ck_assert_uint_eq(clock_now_us(), 6234000);
	ck_assert_int_eq(clock_wall(), 6);
	ck_assert_int_eq(clock_wall_ms(), 6234);
	clock_fake_set(0);
	ck_assert_uint_gt(clock_now_ms(), 0);
}
END_TEST

START_TEST(real_time_comes_back)
{
	uint64_t ms, us;
	int64_t wall_ms;

	clock_fake_set(1);
	clock_fake_stop();
	ms = clock_now_ms();
	us = clock_now_us();
	ck_assert_uint_gt(clock_now_ms(), 1);
	ck_assert_uint_ge(clock_now_us(), us);
	/* the coarse clock is the same one, some milliseconds behind */
	ck_assert_uint_le(ms, us / 1000);
	ck_assert_uint_le(us / 1000, clock_now_ms() + 1000);
	ck_assert_int_gt(clock_wall(), 1600000000);
	wall_ms = (int64_t)clock_wall_ms();
	ck_assert_int_le(wall_ms / 1000 - clock_wall(), 1);
}
END_TEST

/* reasons */

START_TEST(reasons_come_from_the_table)
{
	ck_assert_str_eq(reason_label(REASON_NONE), "none");
	ck_assert_str_eq(reason_label(REASON_NO_BACKEND), "no_backend");
	ck_assert_str_eq(reason_text(REASON_NO_BACKEND), "no usable backend");
	ck_assert_int_eq(reason_status(REASON_NO_BACKEND), 503);
}
END_TEST

START_TEST(labels_are_different_words)
{
	for (int i = 0; i < REASON_COUNT; i++) {
		const char *label = reason_label((enum reason)i);
		int status = reason_status((enum reason)i);

		ck_assert_uint_eq(strspn(label, "abcdefghijklmnopqrstuvwxyz_"),
		    strlen(label));
		ck_assert(status == 0 || (status >= 400 && status <= 599));
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(label, reason_label((enum reason)j));
	}
}
END_TEST

static void
add_str_cases(Suite *s)
{
	TCase *tc = tcase_create("str");

	tcase_add_test(tc, str_compares_bytes);
	tcase_add_test(tc, str_trims_blanks_and_tabs_only);
	tcase_add_test(tc, str_lists_skip_empty_elements);
	tcase_add_test(tc, strbuf_grows_with_what_is_appended);
	tcase_add_test(tc, strbuf_keeps_its_memory_when_reset);
	tcase_add_test(tc, strbuf_stops_at_its_limit);
	tcase_add_test(tc, strbuf_refuses_absurd_sizes);
	tcase_add_test(tc, strbuf_over_memory_never_leaves_it);
	tcase_add_test(tc, strbuf_prints_numbers);
	tcase_add_test(tc, strbuf_printf_grows_as_needed);
	tcase_add_test(tc, json_escapes_what_it_must);
	tcase_add_test(tc, json_keeps_utf8_and_replaces_the_rest);
	suite_add_tcase(s, tc);
}

static void
add_number_cases(Suite *s)
{
	TCase *tc = tcase_create("numbers");

	tcase_add_test(tc, random_repeats_with_its_seed);
	tcase_add_test(tc, random_below_is_uniform);
	tcase_add_test(tc, random_below_favours_nothing);
	tcase_add_test(tc, jitter_stays_within_its_share);
	tcase_add_test(tc, secrets_differ);
	tcase_add_test(tc, table_keys_differ_by_content_and_space);
	tcase_add_test(tc, table_keys_cannot_be_predicted);
	tcase_add_test(tc, table_keys_are_the_same_under_inherited_secrets);
	tcase_add_test(tc, stable_hashes_stay);
	tcase_add_test(tc, keyed_hashes_depend_on_the_secret);
	tcase_add_test(tc, fake_time_moves_only_when_told);
	tcase_add_test(tc, real_time_comes_back);
	tcase_add_test(tc, reasons_come_from_the_table);
	tcase_add_test(tc, labels_are_different_words);
	suite_add_tcase(s, tc);
}

Suite *
suite_base(void)
{
	Suite *s = suite_create("base");

	add_str_cases(s);
	add_number_cases(s);
	return s;
}
