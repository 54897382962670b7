/* SPDX-License-Identifier: MIT
 *
 * check_template.c - text with names in braces.
 */
#include "base/strbuf.h"
#include "base/template.h"

#include <check.h>

Suite *suite_template(void);

static const struct template_values values = {{
    [TEMPLATE_SCHEME] = {"https", 5},
    [TEMPLATE_HOST] = {"example.com", 11},
    [TEMPLATE_PATH] = {"/a", 2},
    [TEMPLATE_QUERY] = {"b=c", 3},
    [TEMPLATE_URI] = {"/a?b=c", 6},
    [TEMPLATE_METHOD] = {"GET", 3},
    [TEMPLATE_CLIENT] = {"10.0.0.1", 8},
    [TEMPLATE_REQUEST_ID] = {"id", 2},
    [TEMPLATE_UPSTREAM] = {"up", 2},
    [TEMPLATE_BACKEND] = {"b1", 2},
}};

static void
expands_with(const struct template_values *v, const char *text, struct str wanted)
{
	struct template *t = template_new(text);
	struct strbuf out = STRBUF_INIT;

	ck_assert_msg(t != NULL, "%s is no template", text);
	template_expand(t, v, &out);
	ck_assert_msg(str_eq(wanted, (struct str){out.data, out.len}),
	    "%s gives %s, not %s", text, strbuf_cstr(&out), wanted.p);
	strbuf_fini(&out);
	template_free(t);
}

static void
expands(const char *text, const char *wanted)
{
	struct str bad;

	ck_assert(template_check(str_of(text), &bad));
	expands_with(&values, text, str_of(wanted));
}

static void
is_refused(const char *text, size_t at, const char *wanted)
{
	struct str bad = {NULL, 0};

	ck_assert_msg(!template_check(str_of(text), &bad), "%s passes", text);
	ck_assert_msg(str_eq(bad, str_of(wanted)), "%s: %.*s", text, (int)bad.n, bad.p);
	ck_assert_uint_eq((size_t)(bad.p - text), at);
	ck_assert_ptr_null(template_new(text));
}

START_TEST(names_stand_for_values)
{
	expands("https://{host}{uri}", "https://example.com/a?b=c");
	expands("{scheme} {path} {query} {method} {client} {request_id} {upstream} "
		"{backend}",
	    "https /a b=c GET 10.0.0.1 id up b1");
	expands("", "");
	expands("no names", "no names");
	expands("{host}", "example.com");
	expands("{host}{host}.", "example.comexample.com.");
}
END_TEST

START_TEST(doubled_braces_are_braces)
{
	expands("{{", "{");
	expands("}}", "}");
	expands("{{host}}", "{host}");
	expands("{{{host}}}", "{example.com}");
	expands("{{}}", "{}");
	expands("a{{{{b}}}}c", "a{{b}}c");
}
END_TEST

START_TEST(absent_values_are_empty)
{
	static const struct template_values none;

	expands_with(&none, "[{host}{query}]", STR("[]"));
}
END_TEST

START_TEST(errors_are_pointed_at)
{
	is_refused("a{nobody}", 2, "nobody");
	is_refused("{Host}", 1, "Host");
	is_refused("{ host}", 1, " host");
	is_refused("x{host", 1, "{");
	is_refused("x{", 1, "{");
	is_refused("x}y", 1, "}");
	is_refused("{host}}", 6, "}");
	is_refused("{}", 0, "{}");
	is_refused("{{{}}}", 2, "{}");
}
END_TEST

START_TEST(control_bytes_are_never_written)
{
	struct template_values evil = {{
	    [TEMPLATE_QUERY] = STR("a\r\nSet-Cookie: x\n\n"),
	    [TEMPLATE_PATH] = STR("\0\x01/\x7f\t\x1f"),
	    [TEMPLATE_HOST] = STR("\xc3\xa9"),
	}};

	expands_with(&evil, "{query}", STR("aSet-Cookie: x"));
	expands_with(&evil, "<{path}>", STR("</\t>"));
	expands_with(&evil, "{host}", STR("\xc3\xa9"));
	expands_with(&evil, "a\r\nb", STR("ab"));
}
END_TEST

Suite *
suite_template(void)
{
	Suite *s = suite_create("template");
	TCase *t = tcase_create("template");

	tcase_add_test(t, names_stand_for_values);
	tcase_add_test(t, doubled_braces_are_braces);
	tcase_add_test(t, absent_values_are_empty);
	tcase_add_test(t, errors_are_pointed_at);
	tcase_add_test(t, control_bytes_are_never_written);
	suite_add_tcase(s, t);
	return s;
}
