/* SPDX-License-Identifier: MIT
 *
 * check_utf8.c - UTF-8 piece by piece, through any mask.
 */
#include "ws/utf8.h"
#include <check.h>
#include <string.h>

Suite *suite_utf8(void);

static const uint8_t no_mask[4], some_mask[4] = {0x81, 0x00, 0xff, 0x5a};

/* The verdict on a text, whole, cut at every place, and masked; all must agree. */
static bool
is_good(const char *text, size_t n)
{
	const uint8_t *p = (const uint8_t *)text;
	bool good = utf8_take(UTF8_BETWEEN, p, n, no_mask) == UTF8_BETWEEN;
	uint8_t masked[64];

	ck_assert_uint_le(n, sizeof masked);
	for (size_t i = 0; i < n; i++)
		masked[i] = p[i] ^ some_mask[i % 4];
	ck_assert(
	    (utf8_take(UTF8_BETWEEN, masked, n, some_mask) == UTF8_BETWEEN) == good);
	ck_assert(utf8_is_valid(p, n) == good);
	for (size_t cut = 0; cut <= n; cut++) {
		uint8_t state = utf8_take(UTF8_BETWEEN, p, cut, no_mask);

		state = utf8_take(state, p + cut, n - cut, no_mask);
		ck_assert((state == UTF8_BETWEEN) == good);
	}
	return good;
}

#define good(literal) is_good(literal, sizeof(literal) - 1)

START_TEST(text_of_all_lengths_is_good)
{
	ck_assert(good(""));
	ck_assert(good("plain ASCII that is longer than one word of eight bytes"));
	ck_assert(good("gr\xc3\xbc\xc3\x9f"
		       "e, \xe2\x82\xac, \xf0\x9f\x98\x80, 12345678"));
	ck_assert(good("\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80"));
	ck_assert(good("\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80"));
	ck_assert(good("nul \0 is a character"));
}
END_TEST

START_TEST(what_rfc_3629_forbids_is_bad)
{
	ck_assert(!good("\x80"));
	ck_assert(!good("\xbf tail"));
	ck_assert(!good("\xc0\xaf"));
	ck_assert(!good("\xc1\xbf"));
	ck_assert(!good("\xe0\x9f\xbf"));
	ck_assert(!good("\xed\xa0\x80"));
	ck_assert(!good("\xed\xbf\xbf"));
	ck_assert(!good("\xf0\x8f\xbf\xbf"));
	ck_assert(!good("\xf4\x90\x80\x80"));
	ck_assert(!good("\xf5\x80\x80\x80"));
	ck_assert(!good("\xff"));
	ck_assert(!good("\xfe"));
}
END_TEST

START_TEST(characters_that_do_not_end_are_bad)
{
	ck_assert(!good("12345678\xc3"));
	ck_assert(!good("\xe2\x82"));
	ck_assert(!good("\xf0\x9f\x98"));
	ck_assert(!good("\xe2\x82"
			"A"));
	ck_assert(!good("\xc3"
			"12345678"));
	ck_assert(!good("a\x80\x80\x80\x80\x80\x80\x80\x80"));
}
END_TEST

START_TEST(bad_stays_bad)
{
	ck_assert_uint_eq(utf8_take(UTF8_BAD, (const uint8_t *)"good", 4, no_mask),
	    UTF8_BAD);
}
END_TEST

/* Every sequence of two bytes, against the table of the RFC's section 4. */
START_TEST(all_pairs_are_judged_as_the_rfc_says)
{
	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b++) {
			uint8_t pair[2] = {(uint8_t)a, (uint8_t)b};
			bool right =
			    a < 0x80 ? b < 0x80
				     : a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf;

			ck_assert(utf8_is_valid(pair, 2) == right);
		}
}
END_TEST

Suite *
suite_utf8(void)
{
	Suite *s = suite_create("utf8");
	TCase *t = tcase_create("utf8");

	tcase_add_test(t, text_of_all_lengths_is_good);
	tcase_add_test(t, what_rfc_3629_forbids_is_bad);
	tcase_add_test(t, characters_that_do_not_end_are_bad);
	tcase_add_test(t, bad_stays_bad);
	tcase_add_test(t, all_pairs_are_judged_as_the_rfc_says);
	suite_add_tcase(s, t);
	return s;
}
