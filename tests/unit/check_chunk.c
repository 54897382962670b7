/* SPDX-License-Identifier: MIT
 *
 * check_chunk.c - the chunked decoder, with bodies cut at every place.
 */
#include "base/strbuf.h"
#include "message/chunk.h"
#include <check.h>
#include <stdlib.h>

Suite *suite_chunk(void);

static struct strbuf data, trailers;
static size_t consumed;

static enum chunk_event
step(struct chunk_decoder *d, const char *p, size_t n, size_t *used_r)
{
	char *copy = malloc(n ? n : 1); /* of the exact size, for the sanitizer */
	enum chunk_event event;
	struct str out;

	memcpy(copy, p, n);
	event = chunk_next(d, copy, n, used_r, &out);
	if (event == CHUNK_DATA) {
		ck_assert_uint_gt(out.n, 0);
		strbuf_str(&data, out);
	} else if (event == CHUNK_END) {
		strbuf_str(&trailers, out);
	}
	ck_assert_uint_le(*used_r, n);
	free(copy);
	return event;
}

/* Feeds up to `end`, until nothing more is consumed. */
static enum chunk_event
run(struct chunk_decoder *d, const char *p, size_t end)
{
	for (;;) {
		size_t used;
		enum chunk_event event = step(d, p + consumed, end - consumed, &used);

		consumed += used;
		if (event == CHUNK_BAD || event == CHUNK_END || used == 0)
			return event;
	}
}

static void
reset(void)
{
	strbuf_reset(&data);
	strbuf_reset(&trailers);
	consumed = 0;
}

/* The whole at once, then cut in two at every place, then byte by byte. */
static enum chunk_event
decode(const char *text)
{
	struct chunk_decoder d = {0};
	size_t n = strlen(text), all;
	enum chunk_event last, event = CHUNK_MORE;

	reset();
	last = run(&d, text, n);
	all = consumed;
	for (size_t cut = 0; cut <= n; cut++) {
		d = (struct chunk_decoder){0};
		reset();
		event = run(&d, text, cut);
		if (event == CHUNK_MORE)
			event = run(&d, text, n);
		ck_assert_int_eq(event, last);
		ck_assert(event == CHUNK_BAD || consumed == all);
	}
	d = (struct chunk_decoder){0};
	reset();
	event = CHUNK_MORE;
	for (size_t i = 0; i <= n && event == CHUNK_MORE; i++)
		event = run(&d, text, i);
	ck_assert_int_eq(event, last);
	return event;
}

static bool
is(const struct strbuf *sb, const char *text)
{
	return str_eq((struct str){sb->data, sb->len}, str_of(text));
}

START_TEST(a_body_is_decoded_and_what_follows_left_alone)
{
	ck_assert_int_eq(decode("5\r\nhello\r\n0006\r\n world\r\n0\r\n\r\nGET /"),
	    CHUNK_END);
	ck_assert(is(&data, "hello world"));
	ck_assert_uint_eq(trailers.len, 0);
	ck_assert_uint_eq(consumed,
	    strlen("5\r\nhello\r\n0006\r\n world\r\n0\r\n\r\n"));
}
END_TEST

START_TEST(sizes_are_hex_of_either_case)
{
	ck_assert_int_eq(decode("A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n"),
	    CHUNK_END);
	ck_assert_uint_eq(data.len, 21);
}
END_TEST

START_TEST(extensions_are_dropped)
{
	ck_assert_int_eq(decode("1;a\r\nx\r\n1 ; a = b;c=\"q\\\" "
				";\"\t;d\r\ny\r\n0;e=f\r\n\r\n"),
	    CHUNK_END);
	ck_assert(is(&data, "xy"));
}
END_TEST

START_TEST(trailers_are_handed_out_whole)
{
	ck_assert_int_eq(decode("0\r\nServer-Timing: a\r\nGrpc-Status: 0\r\n\r\n"),
	    CHUNK_END);
	ck_assert(is(&trailers, "Server-Timing: a\r\nGrpc-Status: 0\r\n"));
}
END_TEST

static const char *const bad_bodies[] = {"\r\n", "x", " 5\r\nhello", "+5\r\nhello",
    "-1\r\n", "0x5\r\nhello", "5 \r\nhello", "5\nhello", "5\rhello", "5\r\r\nhello",
    "5\r\nhelloX", "5\r\nhello\n", "5\r\nhello\rX", "5;\r\nhello", "5;=a\r\nhello",
    "5;a=\r\nhello", "5;a=b c\r\nhello", "5;a b\r\nhello", "5;a=\"\r\nhello",
    "5;a=\"\x01\"\r\nhello", "5;a=\"b\"c\r\nhello", "5;a\nhello", "5,a\r\nhello",
    "0000000000000001\r\nx", "ffffffffffffffff\r\nx", "0\r\nA : b\r\n\r\n",
    "0\r\nA: b\n\r\n", "0\r\n A: b\r\n\r\n", "0\r\nA: b\r\n c\r\n\r\n", "0\r\n\n",
    "0\r\n\rX", "0\r\nContent-Length: 5\r\n\r\n",
    "0\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\nHost: a\r\n\r\n",
    "0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"};

START_TEST(malformed_bodies_are_refused)
{
	ck_assert_msg(decode(bad_bodies[_i]) == CHUNK_BAD, "taken: %s", bad_bodies[_i]);
}
END_TEST

START_TEST(data_never_waits_for_the_end_of_its_chunk)
{
	struct chunk_decoder d = {0};

	reset();
	ck_assert_int_eq(run(&d, "fffffffffffffff\r\nab", 19), CHUNK_MORE);
	ck_assert(is(&data, "ab"));
	ck_assert_uint_eq(consumed, 19);
	ck_assert(d.left == (UINT64_C(1) << 60) - 3);
}
END_TEST

START_TEST(a_size_line_without_end_is_refused)
{
	static char text[CHUNK_MAX_LINE + 1];
	struct chunk_decoder d = {0};
	size_t used;

	memset(text, 'a', sizeof(text));
	memcpy(text, "1;", 2);
	ck_assert_int_eq(step(&d, text, CHUNK_MAX_LINE - 1, &used), CHUNK_MORE);
	ck_assert_uint_eq(used, 0);
	ck_assert_int_eq(step(&d, text, CHUNK_MAX_LINE, &used), CHUNK_BAD);
	d = (struct chunk_decoder){0};
	ck_assert_int_eq(step(&d, text, CHUNK_MAX_LINE + 1, &used), CHUNK_BAD);
}
END_TEST

START_TEST(trailers_without_end_are_refused)
{
	static char text[3 + CHUNK_MAX_TRAILERS];
	struct chunk_decoder d = {0};
	size_t used;

	memset(text, 'a', sizeof(text));
	memcpy(text, "0\r\nx:", 5);
	ck_assert_int_eq(step(&d, text, sizeof(text) - 1, &used), CHUNK_MORE);
	ck_assert_uint_eq(used, 3);
	ck_assert_int_eq(step(&d, text + 3, CHUNK_MAX_TRAILERS, &used), CHUNK_BAD);
}
END_TEST

START_TEST(after_the_end_nothing_is_consumed)
{
	struct chunk_decoder d = {0};
	size_t used;

	reset();
	ck_assert_int_eq(run(&d, "0\r\n\r\n", 5), CHUNK_END);
	ck_assert_int_eq(step(&d, "5\r\n", 3, &used), CHUNK_END);
	ck_assert_uint_eq(used, 0);
}
END_TEST

static void
teardown(void)
{
	strbuf_fini(&data);
	strbuf_fini(&trailers);
}

Suite *
suite_chunk(void)
{
	Suite *s = suite_create("chunk");
	TCase *t = tcase_create("chunked bodies");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_body_is_decoded_and_what_follows_left_alone);
	tcase_add_test(t, sizes_are_hex_of_either_case);
	tcase_add_test(t, extensions_are_dropped);
	tcase_add_test(t, trailers_are_handed_out_whole);
	tcase_add_loop_test(t, malformed_bodies_are_refused, 0,
	    sizeof(bad_bodies) / sizeof(*bad_bodies));
	tcase_add_test(t, data_never_waits_for_the_end_of_its_chunk);
	tcase_add_test(t, a_size_line_without_end_is_refused);
	tcase_add_test(t, trailers_without_end_are_refused);
	tcase_add_test(t, after_the_end_nothing_is_consumed);
	suite_add_tcase(s, t);
	return s;
}
