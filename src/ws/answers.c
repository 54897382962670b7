/* SPDX-License-Identifier: MIT
 *
 * answers.c - picks the answers to replayed messages out of what a new backend says;
 * see answers.h.
 */
#include "ws/answers.h"

#include "config/config.h"
#include "ws/peek.h"

void
answers_init(struct answers *a, const struct config_replay *conf, bool compressed)
{
	*a = (struct answers){.conf = conf, .message.limit = PEEK_TEXT_MAX};
	frame_scanner_init(&a->scan, false, compressed);
}

void
answers_fini(struct answers *a)
{
	strbuf_fini(&a->message);
}

static void
cut(struct strbuf *buffer, size_t at, size_t n)
{
	memmove(buffer->data + at, buffer->data + at + n, buffer->len - at - n);
	buffer->len -= n;
}

/* Cuts the message under way, which is whole, out of the buffer. */
static void
cut_message(struct answers *a, struct strbuf *buffer)
{
	struct frame_scanner scan;
	struct frame_control control;
	enum frame_event event;
	enum reason why;
	size_t at = a->from, end = a->at, used = 1;

	frame_scanner_init(&scan, false, a->scan.compressed);
	while (used && at < end) {
		used = frame_scan(&scan, NULL, (uint8_t *)buffer->data + at, end - at,
		    &event, &control, &why);
		if (event == FRAME_CONTROL) {
			at += used;
			continue;
		}
		cut(buffer, at, used);
		end -= used;
	}
	a->at = end;
}

static bool
is_answer(const struct answers *a)
{
	struct peek_wanted wanted = {a->conf->answer_field, a->conf->answer_values,
	    a->conf->n_answer_values};

	return !a->message.failed &&
	       peek_message((uint8_t *)a->message.data, a->message.len, &wanted);
}

static void
message_begins(struct answers *a)
{
	a->from = a->at;
	strbuf_reset(&a->message);
	if (a->due == 0)
		a->kind = ANSWERS_OTHER;
	else
		a->kind = a->conf->answer_field ? ANSWERS_MAYBE : ANSWERS_SURE;
}

static void
message_ends(struct answers *a, struct strbuf *buffer)
{
	if (a->kind == ANSWERS_MAYBE && is_answer(a)) {
		cut_message(a, buffer);
		a->kind = ANSWERS_SURE;
	}
	if (a->kind == ANSWERS_SURE)
		a->due--;
	a->kind = ANSWERS_NONE;
	strbuf_fini(&a->message);
	a->message.limit = PEEK_TEXT_MAX;
}

/* `used` bytes of a message lie at a->at. */
static void
take_piece(struct answers *a, struct strbuf *buffer, size_t used)
{
	if (a->kind == ANSWERS_SURE) {
		cut(buffer, a->at, used);
		return;
	}
	if (a->kind == ANSWERS_MAYBE)
		strbuf_append(&a->message, buffer->data + a->at, used);
	a->at += used;
}

enum answers_event
answers_take(struct answers *a, struct strbuf *buffer, unsigned *close_code_r)
{
	struct frame_control control;
	enum frame_event event;
	enum reason why;
	size_t used = 1;

	while (used && a->at < buffer->len) {
		bool between = frame_between_messages(&a->scan);

		used = frame_scan(&a->scan, NULL, (uint8_t *)buffer->data + a->at,
		    buffer->len - a->at, &event, &control, &why);
		if (event == FRAME_BAD)
			return ANSWERS_BAD;
		if (event == FRAME_CONTROL) {
			if (control.opcode == OP_CLOSE) {
				*close_code_r = control.close_code;
				return ANSWERS_CLOSED;
			}
			a->at += used;
			continue;
		}
		if (between && used)
			message_begins(a);
		take_piece(a, buffer, used);
		if (event == FRAME_MESSAGE)
			message_ends(a, buffer);
	}
	return ANSWERS_MORE;
}
