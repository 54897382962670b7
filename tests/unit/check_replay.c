/* SPDX-License-Identifier: MIT
 *
 * check_replay.c - what is kept of a client, what of a new backend's words is an
 * answer, and how a message is looked into.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "upstream/upstream.h"
#include "upstream/view.h"
#include "ws/answers.h"
#include "ws/peek.h"
#include "ws/replay.h"
#include <check.h>
#include <zlib.h>

Suite *suite_replay(void);

static char type[] = "type", login[] = "login", two[] = "2", yes[] = "true";
static char *values[] = {login, two, yes};
static struct strbuf frames;

/* ---- messages ---- */

/* Appends a frame of up to 125 bytes. */
static void
frame(struct strbuf *out, unsigned first, const void *payload, size_t n, bool masked)
{
	static const uint8_t mask[4] = {0x5a, 1, 0xff, 7};
	uint8_t head[2] = {(uint8_t)first, (uint8_t)(n | (masked ? 0x80 : 0))};

	strbuf_append(out, head, 2);
	if (masked)
		strbuf_append(out, mask, 4);
	strbuf_append(out, payload, n);
	for (size_t i = 0; masked && i < n; i++)
		out->data[out->len - n + i] ^= (char)mask[i % 4];
}

static void
say(unsigned first, const char *text)
{
	frame(&frames, first, text, strlen(text), false);
}

static void
teardown(void)
{
	strbuf_fini(&frames);
}

/* ---- looking into one ---- */

static bool
matches(const char *text)
{
	struct peek_wanted wanted = {type, values, 3};

	return peek_matches(str_of(text), &wanted);
}

START_TEST(a_member_may_be_text_a_number_or_a_boolean)
{
	ck_assert(matches("{\"type\":\"login\"}"));
	ck_assert(matches("{\"a\":[1], \"t\\u0079pe\" : 2}"));
	ck_assert(matches("{\"type\":true}"));
	ck_assert(!matches("{\"type\":false}"));
	ck_assert(!matches("{\"type\":2.0}"));
	ck_assert(!matches("{\"type\":\"login \"}"));
	ck_assert(!matches("{\"type\":\"login\\u0000\"}"));
	ck_assert(!matches("{\"type\":{\"type\":\"login\"}}"));
	ck_assert(!matches("[\"type\",\"login\"]"));
	ck_assert(!matches("{\"type\":\"login\""));
	ck_assert(!matches(""));
}
END_TEST

START_TEST(without_values_anything_will_do)
{
	struct peek_wanted wanted = {.field = type};

	ck_assert(peek_matches(STR("{\"type\":null}"), &wanted));
	ck_assert(peek_matches(STR("{\"type\":[]}"), &wanted));
	ck_assert(!peek_matches(STR("{\"kind\":\"type\"}"), &wanted));
}
END_TEST

static bool
text_is(const char *expected)
{
	struct strbuf text = STRBUF_INIT;
	bool is = peek_text((uint8_t *)frames.data, frames.len, &text) &&
		  strcmp(strbuf_cstr(&text), expected) == 0;

	strbuf_fini(&text);
	return is;
}

START_TEST(fragments_and_masks_are_undone)
{
	frame(&frames, OP_TEXT, "hello ", 6, true);
	frame(&frames, OP_CONTINUATION, "", 0, true);
	frame(&frames, 0x80, "world", 5, true);
	ck_assert(text_is("hello world"));
	frames.len--;
	ck_assert(!text_is("hello worl"));
}
END_TEST

START_TEST(binary_is_not_looked_at)
{
	say(0x80 | OP_BINARY, "x");
	ck_assert(!text_is("x"));
}
END_TEST

/* As RFC 7692, 7.2.1 says, in two frames. final: ends its stream (7.2.3.4). */
static void
say_packed(const char *text, bool final)
{
	uint8_t packed[512];
	z_stream z = {.next_in = (Bytef *)(uintptr_t)text,
	    .avail_in = (uInt)strlen(text),
	    .next_out = packed,
	    .avail_out = sizeof packed};
	size_t n;

	ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY),
	    Z_OK);
	deflate(&z, final ? Z_FINISH : Z_SYNC_FLUSH);
	n = sizeof packed - z.avail_out;
	deflateEnd(&z);
	if (final)
		packed[n++] = 0;
	else
		n -= 4;
	frame(&frames, 0x40 | OP_TEXT, packed, 3, true);
	frame(&frames, 0x80, packed + 3, n - 3, true);
}

START_TEST(compressed_text_is_inflated)
{
	char text[4001];

	say_packed("{\"type\":\"login\",\"user\":\"anna\"}", false);
	ck_assert(text_is("{\"type\":\"login\",\"user\":\"anna\"}"));
	teardown();
	say_packed("with a final block", true);
	ck_assert(text_is("with a final block"));
	teardown();
	memset(text, 'x', 4000);
	text[4000] = 0;
	say_packed(text, false);
	ck_assert(text_is(text));
	teardown();
	frame(&frames, 0xc0 | OP_TEXT, "\xff\xff\xff", 3, true);
	ck_assert(!text_is(""));
}
END_TEST

/* ---- what is kept ---- */

static struct view view = {.refs = 1};
static struct config_replay conf;
static struct replay record;
static uint64_t number;

static void
begin_record(unsigned first, bool by_field, uint64_t max_size)
{
	conf = (struct config_replay){.first = first, .max_size = max_size};
	if (by_field) {
		conf.field = type;
		conf.values = values;
		conf.n_values = 1;
	}
	number = 0;
	replay_init(&record, &view, &conf);
}

static void
end_record(void)
{
	replay_fini(&record);
	ck_assert_uint_eq(view.refs, 1);
	teardown();
}

static bool
pass(const char *text)
{
	bool go_on;

	teardown();
	frame(&frames, 0x80 | OP_TEXT, text, strlen(text), true);
	go_on =
	    replay_take(&record, (uint8_t *)frames.data, frames.len, true, ++number);
	return go_on;
}

/* Is this the next that is replayed, of those up to `last`? NULL: none. */
static bool
next_is(size_t *at, uint64_t last, const char *text)
{
	struct strbuf got = STRBUF_INIT;
	struct str bytes;
	bool is;

	if (!replay_next(&record, at, last, &bytes))
		return text == NULL;
	is = peek_text((const uint8_t *)bytes.p, bytes.n, &got) && text &&
	     strcmp(strbuf_cstr(&got), text) == 0;
	strbuf_fini(&got);
	return is;
}

START_TEST(the_first_messages_are_kept_and_no_more_looked_at)
{
	size_t at = 0;

	begin_record(2, false, 1000);
	ck_assert(pass("one"));
	ck_assert(!pass("two"));
	ck_assert(next_is(&at, 9, "one"));
	ck_assert(next_is(&at, 9, "two"));
	ck_assert(next_is(&at, 9, NULL));
	end_record();
}
END_TEST

START_TEST(those_with_the_member_are_kept_however_late)
{
	size_t at = 0;

	begin_record(1, true, 1000);
	ck_assert(pass("hello"));
	ck_assert(pass("{\"type\":\"chat\"}"));
	ck_assert(pass("{\"type\":\"login\"}"));
	ck_assert(next_is(&at, 9, "hello"));
	ck_assert(next_is(&at, 9, "{\"type\":\"login\"}"));
	ck_assert(next_is(&at, 9, NULL));
	end_record();
}
END_TEST

START_TEST(what_no_backend_has_heard_is_not_replayed)
{
	size_t at = 0;

	begin_record(3, false, 1000);
	pass("one");
	number++; /* one that is none of them */
	pass("three");
	ck_assert(next_is(&at, 2, "one"));
	ck_assert(next_is(&at, 2, NULL));
	ck_assert(next_is(&at, 3, "three"));
	end_record();
}
END_TEST

START_TEST(pieces_make_one_message)
{
	size_t at = 0;

	begin_record(0, true, 1000);
	frame(&frames, OP_TEXT, "{\"type\":", 8, true);
	frame(&frames, 0x80, "\"login\"}", 8, true);
	for (size_t i = 0; i < frames.len; i++)
		ck_assert(replay_take(&record, (uint8_t *)frames.data + i, 1,
		    i + 1 == frames.len, 1));
	ck_assert(next_is(&at, 9, "{\"type\":\"login\"}"));
	ck_assert(pass("{\"type\":\"login\"}"));
	ck_assert_uint_eq(record.n, 2);
	end_record();
}
END_TEST

START_TEST(a_torn_message_is_none)
{
	begin_record(1, false, 1000);
	frame(&frames, OP_TEXT, "torn", 4, true);
	replay_take(&record, (uint8_t *)frames.data, frames.len, false, 1);
	replay_drop(&record);
	pass("whole");
	size_t at = 0;
	ck_assert(next_is(&at, 9, "whole"));
	ck_assert(next_is(&at, 9, NULL));
	end_record();
}
END_TEST

START_TEST(too_much_is_kept_not_at_all)
{
	begin_record(3, false, 128);
	pass("sixty bytes, or thereabouts, with the frame that is around it");
	ck_assert(!record.overflowed);
	ck_assert(!pass("sixty bytes, or thereabouts, with the frame around it"));
	ck_assert(record.overflowed);
	ck_assert_ptr_null(record.kept.data);
	end_record();
}
END_TEST

START_TEST(a_big_message_that_is_not_wanted_does_no_harm)
{
	char big[1000];

	begin_record(0, true, 128);
	memset(big, 'x', sizeof big);
	frame(&frames, OP_TEXT, big, 100, true);
	for (int i = 0; i < 10; i++)
		ck_assert(replay_take(&record, (uint8_t *)frames.data, frames.len,
		    i == 9, 1));
	ck_assert(!record.overflowed);
	ck_assert_ptr_null(record.message.data);
	ck_assert(pass("{\"type\":\"login\"}"));
	ck_assert_uint_eq(record.n, 1);
	end_record();
}
END_TEST

/* ---- answers ---- */

static struct answers answers;
static unsigned code;

static void
begin_answers(bool by_field)
{
	static char welcome[] = "welcome";
	static char *answer_values[] = {welcome};

	conf = (struct config_replay){.first = 1, .answers = 1};
	if (by_field) {
		conf.answer_field = type;
		conf.answer_values = answer_values;
		conf.n_answer_values = 1;
	}
	answers_init(&answers, &conf, true);
}

static void
end_answers(void)
{
	answers_fini(&answers);
	teardown();
}

/* Is just this left for the client? */
static bool
left_is(const char *bytes, size_t n)
{
	return frames.len == n && memcmp(frames.data, bytes, n) == 0;
}

#define left_is_lit(literal) left_is(literal, sizeof(literal) - 1)

/* Hears what is in frames byte by byte. */
static enum answers_event
hear(void)
{
	struct strbuf all = frames;
	enum answers_event event = ANSWERS_MORE;

	frames = STRBUF_INIT;
	for (size_t i = 0; i < all.len && event == ANSWERS_MORE; i++) {
		strbuf_append(&frames, all.data + i, 1);
		event = answers_take(&answers, &frames, &code);
	}
	strbuf_fini(&all);
	return event;
}

START_TEST(as_many_messages_as_are_due_are_swallowed)
{
	begin_answers(false);
	answers.due = 2;
	say(0x80 | OP_TEXT, "a");
	say(OP_BINARY, "b");
	say(0x80 | OP_PING, "p");
	say(0x80, "b");
	say(0x80 | OP_TEXT, "c");
	ck_assert_int_eq(hear(), ANSWERS_MORE);
	ck_assert_uint_eq(answers.due, 0);
	ck_assert(left_is_lit("\x89\1p\x81\1c"));
	end_answers();
}
END_TEST

START_TEST(a_message_from_before_is_no_answer)
{
	begin_answers(false);
	say(OP_TEXT, "half");
	ck_assert_int_eq(hear(), ANSWERS_MORE);
	answers.due = 1;
	say(0x80, "way");
	say(0x80 | OP_TEXT, "answer");
	ck_assert_int_eq(answers_take(&answers, &frames, &code), ANSWERS_MORE);
	ck_assert_uint_eq(answers.due, 0);
	ck_assert(left_is_lit("\1\4half\x80\3way"));
	end_answers();
}
END_TEST

START_TEST(answers_are_told_by_their_member)
{
	begin_answers(true);
	answers.due = 2;
	say(0x80 | OP_TEXT, "{\"type\":\"news\"}");
	say(OP_TEXT, "{\"type\":");
	say(0x80 | OP_PING, "p");
	say(0x80, "\"welcome\"}");
	say(0x80 | OP_BINARY, "x");
	ck_assert_int_eq(hear(), ANSWERS_MORE);
	ck_assert_uint_eq(answers.due, 1);
	ck_assert(left_is_lit("\x81\17{\"type\":\"news\"}\x89\1p\x82\1x"));
	end_answers();
}
END_TEST

START_TEST(compressed_answers_are_told_as_well)
{
	uint8_t plain[2];

	begin_answers(true);
	answers.due = 1;
	say_packed("{\"type\":\"welcome\"}", false);
	/* as a server says it: without masks */
	struct strbuf masked = frames;
	frames = STRBUF_INIT;
	for (size_t at = 0; at < masked.len; at += 6 + (plain[1] & 0x7f)) {
		memcpy(plain, masked.data + at, 2);
		char *payload = masked.data + at + 6;
		for (int i = 0; i < (plain[1] & 0x7f); i++)
			payload[i] ^= (masked.data + at + 2)[i % 4];
		frame(&frames, plain[0], payload, plain[1] & 0x7f, false);
	}
	strbuf_fini(&masked);
	ck_assert_int_eq(hear(), ANSWERS_MORE);
	ck_assert_uint_eq(answers.due, 0);
	ck_assert_uint_eq(frames.len, 0);
	end_answers();
}
END_TEST

START_TEST(a_close_ends_it)
{
	begin_answers(false);
	answers.due = 1;
	say(OP_TEXT, "half");
	frame(&frames, 0x80 | OP_CLOSE,
	    "\x0f\xa1"
	    "bye",
	    5, false);
	ck_assert_int_eq(hear(), ANSWERS_CLOSED);
	ck_assert_uint_eq(code, 4001);
	ck_assert(left_is_lit("\x88\5\x0f\xa1"
			      "bye"));
	end_answers();
}
END_TEST

START_TEST(what_are_no_frames_is_refused)
{
	begin_answers(true);
	answers.due = 1;
	frame(&frames, 0x80 | OP_TEXT, "masked", 6, true);
	ck_assert_int_eq(hear(), ANSWERS_BAD);
	end_answers();
}
END_TEST

Suite *
suite_replay(void)
{
	Suite *s = suite_create("replay");
	TCase *t = tcase_create("replay");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_member_may_be_text_a_number_or_a_boolean);
	tcase_add_test(t, without_values_anything_will_do);
	tcase_add_test(t, fragments_and_masks_are_undone);
	tcase_add_test(t, binary_is_not_looked_at);
	tcase_add_test(t, compressed_text_is_inflated);
	tcase_add_test(t, the_first_messages_are_kept_and_no_more_looked_at);
	tcase_add_test(t, those_with_the_member_are_kept_however_late);
	tcase_add_test(t, what_no_backend_has_heard_is_not_replayed);
	tcase_add_test(t, pieces_make_one_message);
	tcase_add_test(t, a_torn_message_is_none);
	tcase_add_test(t, too_much_is_kept_not_at_all);
	tcase_add_test(t, a_big_message_that_is_not_wanted_does_no_harm);
	tcase_add_test(t, as_many_messages_as_are_due_are_swallowed);
	tcase_add_test(t, a_message_from_before_is_no_answer);
	tcase_add_test(t, answers_are_told_by_their_member);
	tcase_add_test(t, compressed_answers_are_told_as_well);
	tcase_add_test(t, a_close_ends_it);
	tcase_add_test(t, what_are_no_frames_is_refused);
	suite_add_tcase(s, t);
	return s;
}
