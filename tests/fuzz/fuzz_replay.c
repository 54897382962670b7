/* SPDX-License-Identifier: MIT
 *
 * fuzz_replay.c - any bytes as what a client says, of which some is kept, or as what a
 * new backend says, of which answers are cut out.
 *
 * The first bytes choose who speaks and the rules, and seed the places where the stream
 * is cut. A naive reader with the whole stream before it says which messages have to be
 * kept, or taken away; the cuts must change nothing.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "fuzz.h"
#include "upstream/view.h"
#include "ws/answers.h"
#include "ws/peek.h"
#include "ws/replay.h"

static char type[] = "type", login[] = "login", one[] = "1";
static char *values[] = {login, one};
static struct view view = {.refs = 1};

/* One message of the stream: its data frames, one behind the other. */
struct message {
	struct strbuf frames;
	size_t end; /* in the stream, of what was read of it */
	bool whole;
};

/* Reads the next message; what is between its frames, and before it, goes to `others`
 * (or nowhere: NULL). False: none begins here. */
static bool
message_read(struct frame_scanner *scan, const uint8_t *p, size_t size, size_t *at,
    struct strbuf *others, struct message *m)
{
	struct frame_control control;
	enum frame_event event;
	enum reason why;
	size_t used = 1;

	m->frames.len = 0;
	m->whole = false;
	while (used && !m->whole) {
		used =
		    frame_scan(scan, NULL, p + *at, size - *at, &event, &control, &why);
		if (event == FRAME_BAD ||
		    (event == FRAME_CONTROL && control.opcode == OP_CLOSE))
			break;
		if (event != FRAME_CONTROL)
			strbuf_append(&m->frames, p + *at, used);
		else if (others)
			strbuf_append(others, p + *at, used);
		*at += used;
		m->whole = event == FRAME_MESSAGE;
	}
	return m->frames.len > 0;
}

/* ---- what a client says ---- */

/* What has to be kept of it: the frames of all messages, as replay_next gives them. */
static void
keep_naive(const struct config_replay *conf, const uint8_t *p, size_t size,
    struct strbuf *kept)
{
	const struct peek_wanted wanted = {conf->field, conf->values, conf->n_values};
	struct frame_scanner scan;
	struct message m = {.frames = STRBUF_INIT};
	unsigned n = 0;
	size_t at = 0;

	frame_scanner_init(&scan, true, true);
	while (message_read(&scan, p, size, &at, NULL, &m) && m.whole)
		if (n++ < conf->first ||
		    (conf->field && m.frames.len <= conf->max_size &&
			peek_message((uint8_t *)m.frames.data, m.frames.len, &wanted)))
			strbuf_append(kept, m.frames.data, m.frames.len);
	strbuf_fini(&m.frames);
}

/* The same by replay.c, which gets the stream in pieces. False: it was too much. */
static bool
keep_cut(const struct config_replay *conf, const uint8_t *p, size_t size, uint32_t seed,
    struct strbuf *kept)
{
	struct replay replay;
	struct frame_scanner scan;
	struct frame_control control;
	enum frame_event event;
	enum reason why;
	struct str frames;
	uint64_t number = 1;
	size_t at = 0, shown = 0, next = 0;
	bool goes_on = true, kept_all;

	replay_init(&replay, &view, conf);
	frame_scanner_init(&scan, true, true);
	while (goes_on) {
		size_t used =
		    frame_scan(&scan, NULL, p + at, shown - at, &event, &control, &why);

		if (event == FRAME_BAD ||
		    (event == FRAME_CONTROL && control.opcode == OP_CLOSE) ||
		    (used == 0 && shown == size))
			break;
		if (used == 0) {
			size_t piece = next_cut(&seed, 40);

			shown = size - shown > piece ? shown + piece : size;
		} else if (event != FRAME_CONTROL) {
			goes_on = replay_take(&replay, p + at, used,
			    event == FRAME_MESSAGE, number);
			number += event == FRAME_MESSAGE;
		}
		at += used;
	}
	kept_all = !replay.overflowed;
	must(replay.kept.len <= conf->max_size);
	while (replay_next(&replay, &next, UINT64_MAX, &frames))
		strbuf_str(kept, frames);
	replay_fini(&replay);
	return kept_all;
}

static void
client_speaks(const struct config_replay *conf, struct str input, uint32_t seed)
{
	const uint8_t *p = (const uint8_t *)input.p;
	struct strbuf naive = STRBUF_INIT, cut = STRBUF_INIT;

	keep_naive(conf, p, input.n, &naive);
	if (keep_cut(conf, p, input.n, seed, &cut))
		must(str_eq((struct str){naive.data, naive.len},
		    (struct str){cut.data, cut.len}));
	must(view.refs == 1);
	strbuf_fini(&naive);
	strbuf_fini(&cut);
}

/* ---- what a backend says ---- */

/* What has to be left of it. */
static void
leave_naive(const struct config_replay *conf, struct str input, unsigned due,
    bool compressed, struct strbuf *left)
{
	const struct peek_wanted wanted = {conf->answer_field, conf->answer_values,
	    conf->n_answer_values};
	const uint8_t *p = (const uint8_t *)input.p;
	struct message m = {.frames = STRBUF_INIT};
	struct strbuf others = STRBUF_INIT;
	struct frame_scanner scan;
	size_t at = 0, from = 0;

	frame_scanner_init(&scan, false, compressed);
	do {
		bool answers;

		others.len = 0;
		if (!message_read(&scan, p, input.n, &at, &others, &m))
			answers = true; /* nothing that is one */
		else if (!conf->answer_field)
			answers = due > 0;
		else
			answers = due > 0 && m.whole &&
				  peek_message((uint8_t *)m.frames.data, m.frames.len,
				      &wanted);
		due -= answers && m.whole;
		if (answers)
			strbuf_append(left, others.data, others.len);
		else
			strbuf_append(left, p + from, at - from);
		from = at;
	} while (m.whole);
	strbuf_append(left, p + at, input.n - at);
	strbuf_fini(&m.frames);
	strbuf_fini(&others);
}

static enum answers_event
leave_cut(const struct config_replay *conf, struct str input, unsigned due,
    bool compressed, uint32_t seed, struct strbuf *left)
{
	enum answers_event event = ANSWERS_MORE;
	struct answers answers;
	unsigned code = 0;

	answers_init(&answers, conf, compressed);
	answers.due = due;
	while (event == ANSWERS_MORE && input.n) {
		size_t n = next_cut(&seed, 40);

		if (n > input.n)
			n = input.n;
		strbuf_append(left, input.p, n);
		input.p += n;
		input.n -= n;
		event = answers_take(&answers, left, &code);
		must(answers.at <= left->len && answers.due <= due);
	}
	strbuf_str(left, input);
	must(event != ANSWERS_CLOSED || close_code_is_legal(code) ||
	     code == CLOSE_NO_STATUS);
	answers_fini(&answers);
	return event;
}

static void
backend_speaks(const struct config_replay *conf, struct str input, unsigned due,
    bool compressed, uint32_t seed)
{
	struct strbuf naive = STRBUF_INIT, cut = STRBUF_INIT;

	leave_naive(conf, input, due, compressed, &naive);
	/* what is no WebSocket is thrown away */
	if (leave_cut(conf, input, due, compressed, seed, &cut) != ANSWERS_BAD)
		must(str_eq((struct str){naive.data, naive.len},
		    (struct str){cut.data, cut.len}));
	strbuf_fini(&naive);
	strbuf_fini(&cut);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = {(const char *)data, size};
	unsigned how = cut_byte(&input);
	uint32_t seed = cut_byte(&input);
	struct config_replay conf = {.first = how >> 1 & 3,
	    .field = how & 8 ? type : NULL,
	    .values = values,
	    .n_values = how & 16 ? 2 : 0,
	    .max_size = how & 32 ? 200 : 4096};

	conf.answer_field = conf.field;
	conf.answer_values = conf.values;
	conf.n_answer_values = conf.n_values;
	if (how & 1)
		client_speaks(&conf, input, seed);
	else
		backend_speaks(&conf, input, conf.first, how & 64, seed);
	return 0;
}
