/* SPDX-License-Identifier: MIT
 *
 * check_endpoints.c - which endpoint does a request mean, and is its token good?
 */
#include "admin/endpoints.h"
#include "admin/token.h"
#include "base/strbuf.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

Suite *suite_endpoints(void);

static struct endpoint_match match;

static enum endpoint_found
find(const char *method, const char *path)
{
	return endpoint_find(str_of(method), str_of(path), &match);
}

START_TEST(a_path_is_found_as_it_is_written)
{
	ck_assert_int_eq(find("GET", "/v1"), ENDPOINT_FOUND);
	ck_assert_str_eq(match.endpoint->path, "/v1");
	ck_assert_int_eq(find("GET", "/v1/status"), ENDPOINT_FOUND);
	ck_assert_str_eq(match.endpoint->path, "/v1/status");
	ck_assert_uint_eq(match.n_args, 0);
	ck_assert_int_eq(find("HEAD", "/v1/status"), ENDPOINT_FOUND);
}
END_TEST

START_TEST(a_placeholder_stands_for_one_segment)
{
	ck_assert_int_eq(find("GET", "/v1/pins/a%2Fb/header:x"), ENDPOINT_FOUND);
	ck_assert_uint_eq(match.n_args, 2);
	ck_assert(str_eq(match.args[0], STR("a%2Fb")));
	ck_assert(str_eq(match.args[1], STR("header:x")));
	ck_assert_int_eq(find("GET", "/v1/pins/a/b/c"), ENDPOINT_NO_PATH);
	ck_assert_int_eq(find("GET", "/v1/pins/a/"), ENDPOINT_NO_PATH);
	ck_assert_int_eq(find("GET", "/v1/pins//b"), ENDPOINT_NO_PATH);
}
END_TEST

START_TEST(other_paths_are_not_found)
{
	static const char *const others[] = {"", "/", "v1", "/v", "/v1/", "/v1x", "/V1",
	    "/v1/status/", "/v1/statu", "//v1", "/v1/../v1", "*"};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		ck_assert_int_eq(find("GET", others[i]), ENDPOINT_NO_PATH);
	ck_assert_int_eq(endpoint_find(STR("GET"), (struct str){NULL, 0}, &match),
	    ENDPOINT_NO_PATH);
}
END_TEST

START_TEST(another_method_is_told_which_ones_there_are)
{
	ck_assert_int_eq(find("POST", "/v1/status"), ENDPOINT_NO_METHOD);
	ck_assert_str_eq(match.allow, "GET, HEAD");
	ck_assert_int_eq(find("GET", "/v1/rehome"), ENDPOINT_NO_METHOD);
	ck_assert_str_eq(match.allow, "POST");
	ck_assert_int_eq(find("get", "/v1/status"), ENDPOINT_NO_METHOD);
}
END_TEST

START_TEST(parameters_are_known_by_their_whole_name)
{
	ck_assert_int_eq(find("GET", "/v1/sessions"), ENDPOINT_FOUND);
	ck_assert(endpoint_has_parameter(match.endpoint, STR("client")));
	ck_assert(endpoint_has_parameter(match.endpoint, STR("offset")));
	ck_assert(!endpoint_has_parameter(match.endpoint, STR("off")));
	ck_assert(!endpoint_has_parameter(match.endpoint, STR("client upstream")));
	ck_assert(!endpoint_has_parameter(match.endpoint, STR("")));
	ck_assert_int_eq(find("GET", "/v1/status"), ENDPOINT_FOUND);
	ck_assert(!endpoint_has_parameter(match.endpoint, STR("")));
}
END_TEST

START_TEST(rows_are_complete)
{
	for (size_t i = 0; i < n_endpoints; i++) {
		const struct endpoint *e = &endpoints[i];

		ck_assert(e->path[0] == '/' && e->help[0] && e->handle);
		for (size_t j = 0; j < i; j++)
			ck_assert(strcmp(e->path, endpoints[j].path) ||
				  strcmp(e->method, endpoints[j].method));
	}
}
END_TEST

START_TEST(percent_encoding_is_undone)
{
	char buf[8];

	ck_assert(endpoint_decode(STR("a%2fb+%C3"), buf, sizeof(buf)));
	ck_assert_str_eq(buf, "a/b+\xc3");
	ck_assert(endpoint_decode(STR(""), buf, sizeof(buf)));
	ck_assert_str_eq(buf, "");
	ck_assert(endpoint_decode(STR("1234567"), buf, sizeof(buf)));
	ck_assert(!endpoint_decode(STR("12345678"), buf, sizeof(buf)));
	ck_assert(!endpoint_decode(STR("%"), buf, sizeof(buf)));
	ck_assert(!endpoint_decode(STR("%4"), buf, sizeof(buf)));
	ck_assert(!endpoint_decode(STR("%4g"), buf, sizeof(buf)));
	ck_assert(!endpoint_decode(STR("%00"), buf, sizeof(buf)));
}
END_TEST

/* ---- tokens ---- */

static bool
read_from(const char *text, size_t n, struct token *token)
{
	char path[] = "/tmp/check_endpoints.XXXXXX";
	struct strbuf error = STRBUF_INIT;
	int fd = mkstemp(path);
	bool ok;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
	close(fd);
	ok = token_read(path, token, &error);
	ck_assert(ok == (error.len == 0));
	ck_assert(ok || strstr(strbuf_cstr(&error), path));
	strbuf_fini(&error);
	unlink(path);
	return ok;
}

START_TEST(a_token_is_one_word)
{
	struct token token = {.n = 0};
	char long_one[TOKEN_MAX + 2];

	memset(long_one, 'x', sizeof(long_one));
	ck_assert(read_from("0123456789abcdef \r\n", 19, &token));
	ck_assert_uint_eq(token.n, 16);
	ck_assert(read_from(long_one, TOKEN_MAX, &token));
	ck_assert_uint_eq(token.n, TOKEN_MAX);
	ck_assert(!read_from(long_one, TOKEN_MAX + 1, &token));
	ck_assert(!read_from("0123456789abcde\n", 16, &token));
	ck_assert(!read_from("01234567 9abcdef", 16, &token));
	ck_assert(!read_from("01234567\0"
			     "9abcdef",
	    16, &token));
	ck_assert(!read_from("", 0, &token));
	ck_assert_uint_eq(token.n, TOKEN_MAX); /* as it was */
}
END_TEST

START_TEST(only_the_whole_token_is_good)
{
	struct token none = {.n = 0}, token = {.text = "0123456789abcdef", .n = 16};

	ck_assert(token_matches(&none, NULL));
	ck_assert(token_matches(&token, "Bearer 0123456789abcdef"));
	ck_assert(token_matches(&token, "bearer  0123456789abcdef"));
	ck_assert(!token_matches(&token, NULL));
	ck_assert(!token_matches(&token, ""));
	ck_assert(!token_matches(&token, "Bearer"));
	ck_assert(!token_matches(&token, "Bearer "));
	ck_assert(!token_matches(&token, "Bearer 0123456789abcde"));
	ck_assert(!token_matches(&token, "Bearer 0123456789abcdeF"));
	ck_assert(!token_matches(&token, "Bearer 0123456789abcdef "));
	ck_assert(!token_matches(&token, "Basic 0123456789abcdef"));
	ck_assert(!token_matches(&token, "0123456789abcdef"));
}
END_TEST

Suite *
suite_endpoints(void)
{
	Suite *s = suite_create("endpoints");
	TCase *t = tcase_create("endpoints");

	tcase_add_test(t, a_path_is_found_as_it_is_written);
	tcase_add_test(t, a_placeholder_stands_for_one_segment);
	tcase_add_test(t, other_paths_are_not_found);
	tcase_add_test(t, another_method_is_told_which_ones_there_are);
	tcase_add_test(t, parameters_are_known_by_their_whole_name);
	tcase_add_test(t, rows_are_complete);
	tcase_add_test(t, percent_encoding_is_undone);
	tcase_add_test(t, a_token_is_one_word);
	tcase_add_test(t, only_the_whole_token_is_good);
	suite_add_tcase(s, t);
	return s;
}
