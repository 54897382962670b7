/* SPDX-License-Identifier: MIT
 *
 * check_edits.c - headers that a route sets, adds or removes.
 */
#include "base/strbuf.h"
#include "route/edits.h"

#include <check.h>

Suite *suite_edits(void);

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define LONG "X-A-Name-That-Is-Longer-Than-Sixty-Three-Bytes-And-Goes-On-And-On-And-On"

static struct config_header set[] = {{(char *)"X-Set", (char *)"{method}"},
    {(char *)"hOST", (char *)"{upstream}.internal"}};
static struct config_header add[] = {{(char *)"X-Add", (char *)"1"},
    {(char *)"X-Add", (char *)"2"}, {(char *)"Host", (char *)"evil"}};
static char *removed[] = {(char *)"X-Gone", (char *)LONG};
static const struct config_header_edits all = {
    .set = set,
    .n_set = N(set),
    .add = add,
    .n_add = N(add),
    .remove = removed,
    .n_remove = N(removed),
};
static const struct template_values values = {{
    [TEMPLATE_METHOD] = {"GET", 3},
    [TEMPLATE_UPSTREAM] = {"app", 3},
    [TEMPLATE_QUERY] = {"a\r\nX-Evil: 1", 12},
}};

static struct edits *
made(const struct config_header_edits *conf)
{
	bool ok = false;
	struct edits *e = edits_new(conf, &ok);

	ck_assert(ok);
	return e;
}

static void
writes(const struct edits *e, const char *wanted)
{
	struct strbuf out = STRBUF_INIT;

	edits_write(e, &values, &out);
	ck_assert_str_eq(strbuf_cstr(&out), wanted);
	strbuf_fini(&out);
}

START_TEST(nothing_to_edit_is_null_and_does_nothing)
{
	const struct config_header_edits none = {0};
	struct edits *e = made(&none);
	struct strbuf out = STRBUF_INIT;

	ck_assert_ptr_null(e);
	ck_assert(!edits_drop(e, STR("Host")));
	ck_assert(!edits_host(e, &values, &out));
	writes(e, "");
	ck_assert_uint_eq(out.len, 0);
	edits_free(e);
}
END_TEST

START_TEST(set_and_removed_names_are_dropped)
{
	struct edits *e = made(&all);

	ck_assert(edits_drop(e, STR("X-Set")));
	ck_assert(edits_drop(e, STR("x-gone")));
	ck_assert(edits_drop(e, STR("Host")));
	ck_assert(edits_drop(e, STR(LONG)));
	ck_assert(!edits_drop(e, STR(LONG "-Still")));
	ck_assert(!edits_drop(e, STR("X-Add")));
	ck_assert(!edits_drop(e, STR("X-Gon")));
	ck_assert(!edits_drop(e, STR("X-Gonf")));
	ck_assert(!edits_drop(e, STR("")));
	edits_free(e);
}
END_TEST

START_TEST(set_lines_come_before_added_ones_and_host_in_neither)
{
	struct edits *e = made(&all);

	writes(e, "X-Set: GET\r\nX-Add: 1\r\nX-Add: 2\r\n");
	edits_free(e);
}
END_TEST

START_TEST(a_host_that_is_set_is_told_apart)
{
	struct edits *e = made(&all);
	struct strbuf out = STRBUF_INIT;

	ck_assert(edits_host(e, &values, &out));
	ck_assert_str_eq(strbuf_cstr(&out), "app.internal");
	strbuf_fini(&out);
	edits_free(e);
}
END_TEST

START_TEST(adding_alone_drops_nothing)
{
	const struct config_header_edits conf = {.add = add, .n_add = 1};
	struct edits *e = made(&conf);
	struct strbuf out = STRBUF_INIT;

	ck_assert(!edits_drop(e, STR("X-Add")));
	ck_assert(!edits_host(e, &values, &out));
	writes(e, "X-Add: 1\r\n");
	edits_free(e);
}
END_TEST

START_TEST(a_value_cannot_begin_another_line)
{
	struct config_header line = {(char *)"X-Query", (char *)"[{query}]\n"};
	const struct config_header_edits conf = {.set = &line, .n_set = 1};
	struct edits *e = made(&conf);

	writes(e, "X-Query: [aX-Evil: 1]\r\n");
	edits_free(e);
}
END_TEST

START_TEST(a_value_may_be_empty)
{
	struct config_header lines[] = {{(char *)"X-Empty", (char *)""},
	    {(char *)"X-Null", NULL}};
	const struct config_header_edits conf = {.set = lines, .n_set = N(lines)};
	struct edits *e = made(&conf);

	writes(e, "X-Empty: \r\nX-Null: \r\n");
	edits_free(e);
}
END_TEST

START_TEST(a_value_that_is_no_template_makes_no_edits)
{
	struct config_header lines[] = {{(char *)"X-Good", (char *)"1"},
	    {(char *)"X-Bad", (char *)"{"}};
	const struct config_header_edits conf = {.set = lines, .n_set = N(lines)};
	bool ok = true;

	ck_assert_ptr_null(edits_new(&conf, &ok));
	ck_assert(!ok);
}
END_TEST

Suite *
suite_edits(void)
{
	Suite *s = suite_create("edits");
	TCase *t = tcase_create("edits");

	tcase_add_test(t, nothing_to_edit_is_null_and_does_nothing);
	tcase_add_test(t, set_and_removed_names_are_dropped);
	tcase_add_test(t, set_lines_come_before_added_ones_and_host_in_neither);
	tcase_add_test(t, a_host_that_is_set_is_told_apart);
	tcase_add_test(t, adding_alone_drops_nothing);
	tcase_add_test(t, a_value_cannot_begin_another_line);
	tcase_add_test(t, a_value_may_be_empty);
	tcase_add_test(t, a_value_that_is_no_template_makes_no_edits);
	suite_add_tcase(s, t);
	return s;
}
