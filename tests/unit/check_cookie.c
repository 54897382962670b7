/* SPDX-License-Identifier: MIT
 *
 * check_cookie.c - the identity that roost issues.
 */
#include "route/cookie.h"

#include <check.h>
#include <stdlib.h>

Suite *suite_cookie(void);

enum { CHAT = 1, API, B1, B2 };

static uint8_t secret[HASH_SECRET], other_secret[HASH_SECRET];

static void
setup(void)
{
	hash_derive_secret(secret, "one", 3);
	hash_derive_secret(other_secret, "two", 3);
}

START_TEST(what_is_written_is_read_back)
{
	char id[COOKIE_ID + 1], value[COOKIE_VALUE + 1];
	struct cookie c;

	cookie_new_id(id);
	ck_assert_uint_eq(strlen(id), COOKIE_ID);
	cookie_write(value, secret, id, 1700000000, CHAT, B1);
	ck_assert_uint_eq(strlen(value), COOKIE_VALUE);
	ck_assert(cookie_parse(str_of(value), &c));
	ck_assert(str_eq(c.id, str_of(id)));
	ck_assert_uint_eq(c.issued, 1700000000);
	ck_assert(cookie_names(&c, secret, CHAT, B1));
}
END_TEST

START_TEST(the_tag_names_one_backend_of_one_upstream)
{
	char id[COOKIE_ID + 1], value[COOKIE_VALUE + 1];
	struct cookie c;

	cookie_new_id(id);
	cookie_write(value, secret, id, 1700000000, CHAT, B1);
	ck_assert(cookie_parse(str_of(value), &c));
	ck_assert(!cookie_names(&c, secret, CHAT, B2));
	ck_assert(!cookie_names(&c, secret, API, B1));
	ck_assert(!cookie_names(&c, other_secret, CHAT, B1));
	c.issued++;
	ck_assert(!cookie_names(&c, secret, CHAT, B1));
}
END_TEST

START_TEST(a_changed_cookie_names_nothing)
{
	char id[COOKIE_ID + 1], value[COOKIE_VALUE + 1];

	cookie_new_id(id);
	cookie_write(value, secret, id, 1700000000, CHAT, B1);
	for (int i = 0; i < COOKIE_VALUE; i++) {
		char was = value[i];
		struct cookie c;

		value[i] = was == 'B' ? 'C' : 'B';
		if (cookie_parse(str_of(value), &c))
			ck_assert(!cookie_names(&c, secret, CHAT, B1));
		value[i] = was;
	}
}
END_TEST

START_TEST(other_shapes_are_refused)
{
	static const char *const bad[] = {"", "x", "AAAAAAAAAAAAAAAAAAAAAA",
	    "AAAAAAAAAAAAAAAAAAAAAA.AAAAAA.AAAAAAAAAA",
	    "AAAAAAAAAAAAAAAAAAAAAA.AAAAAA.AAAAAAAAAAAA",
	    "AAAAAAAAAAAAAAAAAAAAAA.AAAAAA-AAAAAAAAAAA",
	    "AAAAAAAAAAAAAAAAAAAAAA-AAAAAA.AAAAAAAAAAA",
	    "AAAAAAAAAAAAAAAAAAAAA+.AAAAAA.AAAAAAAAAAA",
	    "AAAAAAAAAAAAAAAAAAAAAA.AAAA=A.AAAAAAAAAAA",
	    "AAAAAAAAAAAAAAAAAAAAAA.AAAAAA.AAAAAAAAAA ",
	    /* more than 64 bits */
	    "AAAAAAAAAAAAAAAAAAAAAA.AAAAAA.Q__________",
	    "Q_____________________.AAAAAA.AAAAAAAAAAA"};
	struct cookie c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!cookie_parse(str_of(bad[i]), &c), "%s", bad[i]);
	ck_assert(cookie_parse(STR("P__________P__________.______.P__________"), &c));
	ck_assert_uint_eq(c.tag, UINT64_MAX);
	ck_assert_uint_eq(c.issued, (UINT64_C(1) << 36) - 1);
}
END_TEST

START_TEST(ids_never_repeat)
{
	enum { IDS = 2000 };
	static char ids[IDS][COOKIE_ID + 1];

	for (int i = 0; i < IDS; i++)
		cookie_new_id(ids[i]);
	qsort(ids, IDS, sizeof(ids[0]), (int (*)(const void *, const void *))strcmp);
	for (int i = 1; i < IDS; i++)
		ck_assert_str_ne(ids[i - 1], ids[i]);
}
END_TEST

static void
finds(const char *header, const char *name, const char *expected)
{
	struct str value;
	bool found = cookie_find(str_of(header), str_of(name), &value);

	ck_assert_msg(found == (expected != NULL), "%s in %s", name, header);
	if (expected)
		ck_assert(str_eq(value, str_of(expected)));
}

START_TEST(cookies_are_found_by_whole_name)
{
	finds("roost=1", "roost", "1");
	finds("a=b; roost=1; c=d", "roost", "1");
	finds("a=b;roost=1;c=d", "roost", "1");
	finds("xroost=0; roostx=2; roost=1", "roost", "1");
	finds("roost=1; roost=2", "roost", "1");
	finds("roost=a=b", "roost", "a=b");
	finds("roost=", "roost", "");
	finds("roost", "roost", NULL);
	finds("Roost=1", "roost", NULL);
	finds("a=roost=1", "roost", NULL);
	finds("", "roost", NULL);
	finds(";;; ;", "roost", NULL);
}
END_TEST

Suite *
suite_cookie(void)
{
	Suite *s = suite_create("cookie");
	TCase *t = tcase_create("cookie");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, what_is_written_is_read_back);
	tcase_add_test(t, the_tag_names_one_backend_of_one_upstream);
	tcase_add_test(t, a_changed_cookie_names_nothing);
	tcase_add_test(t, other_shapes_are_refused);
	tcase_add_test(t, ids_never_repeat);
	tcase_add_test(t, cookies_are_found_by_whole_name);
	suite_add_tcase(s, t);
	return s;
}
