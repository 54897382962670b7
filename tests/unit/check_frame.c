/* SPDX-License-Identifier: MIT
 *
 * check_frame.c - the WebSocket frame scanner and writer.
 *
 * Streams are written as hex and scanned whole and cut in two at every place; events,
 * their places and the verdict must be the same.
 */
#include "ws/frame.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_frame(void);

enum { MAX_EVENTS = 16 };

static const struct frame_rules *rules_in_force; /* NULL: none */

struct trace {
	unsigned n;
	struct {
		enum frame_event event;
		size_t at; /* consumed when it came */
		enum opcode opcode;
	} events[MAX_EVENTS];
	size_t consumed;
	bool between_messages, between_frames;
	enum reason why;
	struct frame_control control; /* the last one */
};

static size_t
bytes_of(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; *hex; hex++) {
		unsigned byte;

		if (*hex == ' ')
			continue;
		ck_assert_int_eq(sscanf(hex, "%2x", &byte), 1);
		out[n++] = (uint8_t)byte;
		hex++;
	}
	return n;
}

static void
note(struct trace *t, enum frame_event event, enum opcode opcode)
{
	ck_assert_uint_lt(t->n, MAX_EVENTS);
	t->events[t->n].event = event;
	t->events[t->n].at = t->consumed;
	t->events[t->n].opcode = opcode;
	t->n++;
}

/* Scans what lies between consumed and end; false when it was bad. */
static bool
scan_to(struct frame_scanner *s, const uint8_t *bytes, size_t end, struct trace *t)
{
	for (;;) {
		size_t n = end - t->consumed, used;
		uint8_t *copy = malloc(n ? n : 1);
		enum frame_event event;
		struct frame_control control;

		memcpy(copy, bytes + t->consumed, n);
		used =
		    frame_scan(s, rules_in_force, copy, n, &event, &control, &t->why);
		free(copy);
		ck_assert_uint_le(used, n);
		t->consumed += used;
		if (event == FRAME_CONTROL) {
			ck_assert_uint_eq(used,
			    (size_t)control.header_len + control.payload_len);
			t->control = control;
			note(t, event, control.opcode);
		} else if (event != FRAME_MORE) {
			note(t, event, 0);
		}
		if (event == FRAME_BAD)
			return false;
		if (used == 0)
			return true;
	}
}

static struct trace
scan_cut(const uint8_t *bytes, size_t n, size_t cut, bool masked, bool compressed)
{
	struct trace t = {0};
	struct frame_scanner s;

	frame_scanner_init(&s, masked, compressed);
	if (scan_to(&s, bytes, cut, &t))
		scan_to(&s, bytes, n, &t);
	t.between_messages = frame_between_messages(&s);
	t.between_frames = frame_between_frames(&s);
	return t;
}

static struct trace
scan_with(const char *hex, bool masked, bool compressed)
{
	static uint8_t bytes[70000];
	size_t n = bytes_of(hex, bytes);
	struct trace whole = scan_cut(bytes, n, n, masked, compressed);

	for (size_t cut = 0; cut < n; cut++) {
		struct trace t = scan_cut(bytes, n, cut, masked, compressed);

		ck_assert_uint_eq(t.n, whole.n);
		ck_assert_uint_eq(t.consumed, whole.consumed);
		ck_assert_int_eq(t.why, whole.why);
		ck_assert(t.between_messages == whole.between_messages);
		for (unsigned i = 0; i < t.n; i++) {
			ck_assert_int_eq(t.events[i].event, whole.events[i].event);
			ck_assert_uint_eq(t.events[i].at, whole.events[i].at);
			ck_assert_int_eq(t.events[i].opcode, whole.events[i].opcode);
		}
	}
	return whole;
}

static struct trace
scan(const char *hex)
{
	return scan_with(hex, false, false);
}

static enum reason
verdict(const char *hex)
{
	struct trace t = scan(hex);

	ck_assert(t.n > 0 ? (t.events[t.n - 1].event == FRAME_BAD) == (t.why != 0)
			  : t.why == REASON_NONE);
	return t.why;
}

START_TEST(messages_end_where_their_last_frame_ends)
{
	struct trace t = scan("81 02 6869  82 00  02 01 41  00 00  80 01 42");

	ck_assert_uint_eq(t.n, 3);
	ck_assert_int_eq(t.events[0].event, FRAME_MESSAGE);
	ck_assert_uint_eq(t.events[0].at, 4);
	ck_assert_uint_eq(t.events[1].at, 6);
	ck_assert_uint_eq(t.events[2].at, 14);
	ck_assert(t.between_messages && t.between_frames);
}
END_TEST

START_TEST(the_scanner_knows_where_it_stands)
{
	struct trace t = scan("81 02 68");

	ck_assert(!t.between_messages && !t.between_frames);
	ck_assert_uint_eq(t.consumed, 3);
	t = scan("01 02 6869");
	ck_assert(!t.between_messages && t.between_frames);
	ck_assert_uint_eq(t.n, 0);
	t = scan("01 00");
	ck_assert(!t.between_messages && t.between_frames);
	t = scan("81 7e 01");
	ck_assert(t.between_messages && t.between_frames);
	ck_assert_uint_eq(t.consumed, 0);
}
END_TEST

START_TEST(control_frames_come_alone_even_inside_a_message)
{
	struct trace t = scan("01 01 41  89 02 6869  8a 00  80 01 42");

	ck_assert_uint_eq(t.n, 3);
	ck_assert_int_eq(t.events[0].event, FRAME_CONTROL);
	ck_assert_int_eq(t.events[0].opcode, OP_PING);
	ck_assert_uint_eq(t.events[0].at, 7);
	ck_assert_int_eq(t.events[1].opcode, OP_PONG);
	ck_assert_int_eq(t.events[2].event, FRAME_MESSAGE);
}
END_TEST

START_TEST(what_lies_before_a_control_frame_is_consumed_first)
{
	const uint8_t bytes[] = {0x01, 0x01, 'A', 0x89, 0x00};
	struct frame_control control;
	struct frame_scanner s;
	enum frame_event event;
	enum reason why;

	frame_scanner_init(&s, false, false);
	ck_assert_uint_eq(frame_scan(&s, NULL, bytes, sizeof(bytes), &event, &control,
			      &why),
	    3);
	ck_assert_int_eq(event, FRAME_MORE);
	ck_assert_uint_eq(frame_scan(&s, NULL, bytes + 3, 2, &event, &control, &why),
	    2);
	ck_assert_int_eq(event, FRAME_CONTROL);
	ck_assert_uint_eq(frame_scan(&s, NULL, bytes + 5, 0, &event, &control, &why),
	    0);
	ck_assert_int_eq(event, FRAME_MORE);
}
END_TEST

START_TEST(an_incomplete_control_frame_is_not_consumed)
{
	struct trace t = scan("81 00 88 0a 03e8");

	ck_assert_uint_eq(t.consumed, 2);
	ck_assert_uint_eq(t.n, 1);
}
END_TEST

START_TEST(a_masked_control_frame_shows_key_and_place)
{
	struct trace t = scan_with("89 82 01020304 6a6b", true, false);

	ck_assert_uint_eq(t.n, 1);
	ck_assert_int_eq(t.control.opcode, OP_PING);
	ck_assert_uint_eq(t.control.header_len, 6);
	ck_assert_uint_eq(t.control.payload_len, 2);
	ck_assert_mem_eq(t.control.mask, "\1\2\3\4", 4);
	ck_assert_uint_eq(t.control.close_code, 0);
}
END_TEST

START_TEST(masking_must_fit_the_direction)
{
	ck_assert_int_eq(scan_with("81 00", true, false).why, REASON_FRAME_MASK);
	ck_assert_int_eq(verdict("81 80 00000000"), REASON_FRAME_MASK);
	ck_assert_int_eq(scan_with("81 80 00000000", true, false).n, 1);
}
END_TEST

START_TEST(reserved_bits_need_an_extension_and_a_first_frame)
{
	ck_assert_int_eq(verdict("c1 00"), REASON_FRAME_RESERVED);
	ck_assert_int_eq(verdict("a1 00"), REASON_FRAME_RESERVED);
	ck_assert_int_eq(verdict("91 00"), REASON_FRAME_RESERVED);
	ck_assert_int_eq(scan_with("c1 00 41 00 80 00", false, true).n, 2);
	ck_assert_int_eq(scan_with("41 00 c0 00", false, true).why,
	    REASON_FRAME_RESERVED);
	ck_assert_int_eq(scan_with("c9 00", false, true).why, REASON_FRAME_RESERVED);
	ck_assert_int_eq(scan_with("e1 00", false, true).why, REASON_FRAME_RESERVED);
}
END_TEST

START_TEST(unknown_opcodes_are_refused)
{
	ck_assert_int_eq(verdict("83 00"), REASON_FRAME_OPCODE);
	ck_assert_int_eq(verdict("87 00"), REASON_FRAME_OPCODE);
	ck_assert_int_eq(verdict("8b 00"), REASON_FRAME_OPCODE);
	ck_assert_int_eq(verdict("8f 00"), REASON_FRAME_OPCODE);
}
END_TEST

START_TEST(control_frames_are_short_and_whole)
{
	ck_assert_int_eq(verdict("09 00"), REASON_FRAME_CONTROL);
	ck_assert_int_eq(verdict("89 7e 007e"), REASON_FRAME_CONTROL);
	ck_assert_int_eq(verdict("89 7f"), REASON_FRAME_CONTROL);
}
END_TEST

START_TEST(fragments_must_be_in_order)
{
	ck_assert_int_eq(verdict("80 00"), REASON_FRAME_FRAGMENT);
	ck_assert_int_eq(verdict("00 00"), REASON_FRAME_FRAGMENT);
	ck_assert_int_eq(verdict("01 00 81 00"), REASON_FRAME_FRAGMENT);
	ck_assert_int_eq(verdict("81 00 80 00"), REASON_FRAME_FRAGMENT);
}
END_TEST

START_TEST(lengths_are_minimal)
{
	ck_assert_int_eq(verdict("82 7e 007d"), REASON_FRAME_LENGTH);
	ck_assert_int_eq(verdict("82 7f 000000000000ffff"), REASON_FRAME_LENGTH);
	ck_assert_int_eq(verdict("82 7f 8000000000000000"), REASON_FRAME_LENGTH);
	ck_assert_int_eq(verdict("82 7e 007e"), REASON_NONE);
	ck_assert_int_eq(verdict("82 7f 0000000000010000"), REASON_NONE);
	ck_assert_int_eq(verdict("82 7f 7fffffffffffffff"), REASON_NONE);
}
END_TEST

START_TEST(long_frames_are_counted_to_their_end)
{
	static const size_t lengths[] = {125, 126, 65535, 65536};
	static uint8_t bytes[10 + 65536 + 1];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		size_t length = lengths[i];
		size_t header = length < 126 ? 2 : length < 65536 ? 4 : 10;
		struct trace t;

		memset(bytes, 0, sizeof(bytes));
		bytes[0] = 0x82;
		bytes[1] = header == 2 ? (uint8_t)length : header == 4 ? 126 : 127;
		for (size_t j = 2; j < header; j++)
			bytes[j] = (uint8_t)(length >> (8 * (header - 1 - j)));
		t = scan_cut(bytes, header + length, header + length / 2, false, false);
		ck_assert_uint_eq(t.n, 1);
		ck_assert_int_eq(t.events[0].event, FRAME_MESSAGE);
		ck_assert_uint_eq(t.events[0].at, header + length);
	}
}
END_TEST

START_TEST(close_tells_its_code)
{
	ck_assert_uint_eq(scan("88 00").control.close_code, CLOSE_NO_STATUS);
	ck_assert_uint_eq(scan("88 02 03e8").control.close_code, 1000);
	ck_assert_uint_eq(scan("88 05 0fa0 e282ac").control.close_code, 4000);
	ck_assert_uint_eq(scan_with("88 82 01020304 02ea", true, false)
			      .control.close_code,
	    1000);
}
END_TEST

START_TEST(malformed_close_frames_are_refused)
{
	static const char *const bad[] = {"88 01 03", "88 02 0000", "88 02 03e7",
	    "88 02 03ec", "88 02 03ed", "88 02 03ee", "88 02 03f7", "88 02 07d0",
	    "88 02 0bb7", "88 02 1388", "88 02 ffff"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(verdict(bad[i]) == REASON_FRAME_CLOSE, "%s", bad[i]);
}
END_TEST

START_TEST(close_reasons_are_utf8_always)
{
	static const char *const bad[] = {"88 03 03e8 ff", "88 03 03e8 c3",
	    "88 04 03e8 c0af", "88 05 03e8 eda080", "88 06 03e8 f4908080",
	    "88 05 03e8 e08080", "88 06 03e8 f0808080", "88 03 03e8 80"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(verdict(bad[i]) == REASON_FRAME_UTF8, "%s", bad[i]);
	ck_assert_int_eq(verdict("88 05 03e8 e282ac"), REASON_NONE);
}
END_TEST

/* The verdict over a stream where these rules hold, whatever the cuts. */
static enum reason
verdict_with(struct frame_rules rules, const char *hex, bool masked, bool compressed)
{
	static uint8_t bytes[1000];
	size_t n = bytes_of(hex, bytes);
	enum reason why;

	rules_in_force = &rules;
	why = scan_cut(bytes, n, n, masked, compressed).why;
	for (size_t cut = 0; cut < n; cut++)
		ck_assert_int_eq(scan_cut(bytes, n, cut, masked, compressed).why, why);
	rules_in_force = NULL;
	return why;
}

START_TEST(frames_over_the_limit_are_refused_by_their_header)
{
	struct frame_rules rules = {.max_frame = 4};

	ck_assert_int_eq(verdict_with(rules, "82 04 01020304", false, false),
	    REASON_NONE);
	ck_assert_int_eq(verdict_with(rules, "82 05", false, false),
	    REASON_FRAME_TOO_BIG);
	ck_assert_int_eq(verdict_with(rules, "82 7e 0100", false, false),
	    REASON_FRAME_TOO_BIG);
	ck_assert_int_eq(verdict_with(rules, "82 85", true, false),
	    REASON_FRAME_TOO_BIG);
	/* control frames have a limit of their own */
	ck_assert_int_eq(verdict_with(rules, "89 06 010203040506", false, false),
	    REASON_NONE);
}
END_TEST

START_TEST(messages_over_the_limit_are_refused_as_a_whole)
{
	struct frame_rules rules = {.max_message = 5};

	ck_assert_int_eq(verdict_with(rules, "02 03 010203 80 02 0405", false, false),
	    REASON_NONE);
	ck_assert_int_eq(verdict_with(rules, "02 03 010203 80 03", false, false),
	    REASON_FRAME_TOO_BIG);
	ck_assert_int_eq(verdict_with(rules, "02 03 010203 00 02 0405 80 00", false,
			     false),
	    REASON_NONE);
	ck_assert_int_eq(verdict_with(rules, "02 05 0102030405 89 01 00 80 01", false,
			     false),
	    REASON_FRAME_TOO_BIG);
	/* each message is counted from nothing */
	ck_assert_int_eq(verdict_with(rules, "82 05 0102030405 82 05 0102030405", false,
			     false),
	    REASON_NONE);
	ck_assert_int_eq(verdict_with(rules, "02 03 010203 80 7f 7fffffffffffffff",
			     false, false),
	    REASON_FRAME_TOO_BIG);
}
END_TEST

START_TEST(text_is_checked_where_it_is_asked)
{
	struct frame_rules rules = {.utf8 = true};

	ck_assert_int_eq(verdict("81 01 ff"), REASON_NONE);
	ck_assert_int_eq(verdict_with(rules, "81 01 ff", false, false),
	    REASON_FRAME_UTF8);
	ck_assert_int_eq(verdict_with(rules, "82 01 ff", false, false), REASON_NONE);
	ck_assert_int_eq(verdict_with(rules, "c1 01 ff", false, true), REASON_NONE);
	ck_assert_int_eq(verdict_with(rules, "81 03 e282ac", false, false),
	    REASON_NONE);
	ck_assert_int_eq(verdict_with(rules, "81 02 e282", false, false),
	    REASON_FRAME_UTF8);
	ck_assert_int_eq(verdict_with(rules, "81 00", false, false), REASON_NONE);
}
END_TEST

START_TEST(characters_may_be_cut_by_frames_but_not_by_the_end)
{
	struct frame_rules rules = {.utf8 = true};

	ck_assert_int_eq(verdict_with(rules, "01 01 e2 00 00 89 00 80 02 82ac", false,
			     false),
	    REASON_NONE);
	ck_assert_int_eq(verdict_with(rules, "01 01 e2 80 00", false, false),
	    REASON_FRAME_UTF8);
	ck_assert_int_eq(verdict_with(rules, "01 02 e282 80 01 28", false, false),
	    REASON_FRAME_UTF8);
	/* and the next message begins anew */
	ck_assert_int_eq(verdict_with(rules, "81 01 41 81 01 82", false, false),
	    REASON_FRAME_UTF8);
}
END_TEST

START_TEST(masked_text_is_checked_through_the_mask)
{
	struct frame_rules rules = {.utf8 = true};

	/* "euro: " and a euro sign, once without its last byte */
	ck_assert_int_eq(verdict_with(rules,
			     "81 89 01020304 6477716b 3b22e186 2d 81 81 00000000 41",
			     true, false),
	    REASON_FRAME_UTF8);
	ck_assert_int_eq(verdict_with(rules,
			     "81 89 01020304 6477716b 3b22e186 ad 81 81 00000000 41",
			     true, false),
	    REASON_NONE);
}
END_TEST

START_TEST(nothing_of_a_frame_with_bad_text_is_consumed_where_it_is_whole)
{
	const uint8_t bytes[] = {0x01, 1, 'a', 0x80, 3, 'b', 'c', 0xff};
	struct frame_rules rules = {.utf8 = true};
	struct frame_control control;
	struct frame_scanner s;
	enum frame_event event;
	enum reason why;

	frame_scanner_init(&s, false, false);
	ck_assert_uint_eq(frame_scan(&s, &rules, bytes, sizeof bytes, &event, &control,
			      &why),
	    3);
	ck_assert_int_eq(event, FRAME_BAD);
	ck_assert(frame_between_frames(&s));
}
END_TEST

START_TEST(close_codes_are_legal_as_the_rfc_says)
{
	for (unsigned code = 0; code < 6000; code++) {
		bool legal = (code >= 1000 && code <= 1014 && code != 1004 &&
				 code != 1005 && code != 1006) ||
			     (code >= 3000 && code < 5000);

		ck_assert(close_code_is_legal(code) == legal);
	}
}
END_TEST

START_TEST(written_control_frames_are_read_back)
{
	uint8_t out[FRAME_CARRY], payload[125];
	struct frame_control c;
	struct frame_scanner s;
	enum frame_event event;
	enum reason why;
	size_t n;

	memset(payload, 0x5a, sizeof(payload));
	for (int masked = 0; masked < 2; masked++) {
		n = frame_write_control(out, OP_PING, payload, sizeof(payload), masked);
		ck_assert_uint_eq(n, 125u + (masked ? 6 : 2));
		frame_scanner_init(&s, masked, false);
		ck_assert_uint_eq(frame_scan(&s, NULL, out, n, &event, &c, &why), n);
		ck_assert_int_eq(event, FRAME_CONTROL);
		ck_assert_int_eq(c.opcode, OP_PING);
		for (size_t i = 0; i < sizeof(payload); i++)
			ck_assert_uint_eq(out[c.header_len + i] ^ c.mask[i % 4], 0x5a);
	}
}
END_TEST

START_TEST(every_mask_is_another)
{
	uint8_t a[FRAME_CARRY], b[FRAME_CARRY];

	for (int i = 0; i < 3; i++) {
		frame_write_control(a, OP_PING, "x", 1, true);
		frame_write_control(b, OP_PING, "x", 1, true);
		if (memcmp(a + 2, b + 2, 4) != 0)
			return;
	}
	ck_abort_msg("three times the same mask");
}
END_TEST

START_TEST(written_close_frames_are_read_back)
{
	uint8_t out[FRAME_CARRY];
	struct frame_control c;
	struct frame_scanner s;
	enum frame_event event;
	enum reason why;
	size_t n = frame_write_close(out, CLOSE_RESTART, "re-homed", true);

	frame_scanner_init(&s, true, false);
	ck_assert_uint_eq(frame_scan(&s, NULL, out, n, &event, &c, &why), n);
	ck_assert_int_eq(event, FRAME_CONTROL);
	ck_assert_uint_eq(c.close_code, 1012);
	ck_assert_uint_eq(c.payload_len, 10);
	ck_assert_uint_eq(frame_write_close(out, CLOSE_NO_STATUS, "x", false), 2);
	ck_assert_mem_eq(out, "\x88\x00", 2);
	/* codes that only a programme may see never go out */
	ck_assert_uint_eq(frame_write_close(out, CLOSE_ABNORMAL, "x", false), 2);
	ck_assert_uint_eq(frame_write_close(out, 1015, "x", false), 2);
	ck_assert_uint_eq(frame_write_close(out, CLOSE_NORMAL, NULL, false), 4);
	ck_assert_mem_eq(out, "\x88\x02\x03\xe8", 4);
}
END_TEST

START_TEST(written_text_headers_are_read_back)
{
	static const size_t lengths[] = {0, 1, 125, 126, 1000, 65535, 65536, 70000};
	static uint8_t out[FRAME_HEADER_MAX + 70000];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		size_t n = frame_write_text_header(out, lengths[i]) + lengths[i];
		struct frame_control c;
		struct frame_scanner s;
		enum frame_event event;
		enum reason why;

		frame_scanner_init(&s, false, false);
		ck_assert_uint_eq(frame_scan(&s, NULL, out, n, &event, &c, &why), n);
		ck_assert_int_eq(event, FRAME_MESSAGE);
		ck_assert_uint_eq(s.opcode, OP_TEXT);
	}
}
END_TEST

START_TEST(a_long_close_text_is_cut_between_characters)
{
	char text[200];
	uint8_t out[FRAME_CARRY];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert_uint_eq(frame_write_close(out, CLOSE_NORMAL, text, false), 127);
	memcpy(text + 121, "\xe2\x82\xac", 3);
	ck_assert_uint_eq(frame_write_close(out, CLOSE_NORMAL, text, false), 125);
	memcpy(text + 120, "\xe2\x82\xacx", 4);
	ck_assert_uint_eq(frame_write_close(out, CLOSE_NORMAL, text, false), 127);
}
END_TEST

Suite *
suite_frame(void)
{
	Suite *s = suite_create("frame");
	TCase *t = tcase_create("scanner"), *w = tcase_create("writer");

	tcase_add_test(t, messages_end_where_their_last_frame_ends);
	tcase_add_test(t, the_scanner_knows_where_it_stands);
	tcase_add_test(t, control_frames_come_alone_even_inside_a_message);
	tcase_add_test(t, what_lies_before_a_control_frame_is_consumed_first);
	tcase_add_test(t, an_incomplete_control_frame_is_not_consumed);
	tcase_add_test(t, a_masked_control_frame_shows_key_and_place);
	tcase_add_test(t, masking_must_fit_the_direction);
	tcase_add_test(t, reserved_bits_need_an_extension_and_a_first_frame);
	tcase_add_test(t, unknown_opcodes_are_refused);
	tcase_add_test(t, control_frames_are_short_and_whole);
	tcase_add_test(t, fragments_must_be_in_order);
	tcase_add_test(t, lengths_are_minimal);
	tcase_add_test(t, long_frames_are_counted_to_their_end);
	tcase_add_test(t, close_tells_its_code);
	tcase_add_test(t, malformed_close_frames_are_refused);
	tcase_add_test(t, close_reasons_are_utf8_always);
	tcase_add_test(t, frames_over_the_limit_are_refused_by_their_header);
	tcase_add_test(t, messages_over_the_limit_are_refused_as_a_whole);
	tcase_add_test(t, text_is_checked_where_it_is_asked);
	tcase_add_test(t, characters_may_be_cut_by_frames_but_not_by_the_end);
	tcase_add_test(t, masked_text_is_checked_through_the_mask);
	tcase_add_test(t,
	    nothing_of_a_frame_with_bad_text_is_consumed_where_it_is_whole);
	tcase_add_test(t, close_codes_are_legal_as_the_rfc_says);
	suite_add_tcase(s, t);
	tcase_add_test(w, written_control_frames_are_read_back);
	tcase_add_test(w, every_mask_is_another);
	tcase_add_test(w, written_close_frames_are_read_back);
	tcase_add_test(w, written_text_headers_are_read_back);
	tcase_add_test(w, a_long_close_text_is_cut_between_characters);
	suite_add_tcase(s, w);
	return s;
}
