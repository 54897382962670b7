/* SPDX-License-Identifier: MIT
 *
 * fuzz_frame.c - any bytes as WebSocket frames, held against a naive decoder.
 *
 * The first byte sets direction, extension and rules, the second seeds the places where
 * the stream is cut. The naive decoder sees everything at once and decides frame by
 * frame; the scanner must report the same events at the same places, whatever the cuts.
 * Only of text that is bad the place depends on them: it lies between the frame's
 * beginning and the first bad byte.
 */
#include "fuzz.h"
#include "ws/frame.h"

/* What data[0] asks for. */
struct setting {
	bool masked, deflate;
	struct frame_rules rules;
};

struct event {
	enum frame_event event;
	size_t at;
	size_t bad_at; /* of bad text: its first bad byte; else 0 */
	unsigned opcode, close_code;
	enum reason why;
};

struct log {
	struct event *events;
	size_t n;
	size_t consumed;
};

static void
note(struct log *log, struct event e)
{
	log->events[log->n++] = e;
}

static bool
is_utf8_naive(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
		unsigned tails = p[i] < 0x80             ? 0
				 : (p[i] & 0xe0) == 0xc0 ? 1
				 : (p[i] & 0xf0) == 0xe0 ? 2
				 : (p[i] & 0xf8) == 0xf0 ? 3
							 : 9;
		uint32_t c = tails ? p[i] & (0x3fu >> tails) : p[i];

		if (tails == 9 || n - i <= tails)
			return false;
		for (unsigned k = 1; k <= tails; k++) {
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
			c = c << 6 | (p[i + k] & 0x3f);
		}
		if (c < least[tails] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
		i += tails + 1;
	}
	return true;
}

/* Length of the longest prefix that can still become UTF-8; n: all of it. */
static size_t
good_prefix_naive(const uint8_t *p, size_t n)
{
	static const char *const tails[] = {"", "\x80", "\xbf", "\x80\x80", "\xa0\x80",
	    "\x9f\x80", "\x90\x80\x80", "\xbf\xbf", "\x80\x80\x80", "\x8f\x80\x80"};
	uint8_t *copy = malloc(n + 4);
	size_t good = 0;

	must(copy != NULL);
	for (size_t end = 1; end <= n && good == end - 1; end++)
		for (size_t t = 0; t < sizeof(tails) / sizeof(*tails); t++) {
			size_t start = end > 4 ? end - 4 : 0;
			size_t length = strlen(tails[t]);

			/* the window must begin between two characters */
			while (start > 0 && (p[start] & 0xc0) == 0x80)
				start--;
			memcpy(copy, p + start, end - start);
			memcpy(copy + end - start, tails[t], length);
			if (is_utf8_naive(copy, end - start + length))
				good = end;
		}
	free(copy);
	return good;
}

/* The text message under way, in the clear. */
struct naive_text {
	uint8_t *bytes;
	size_t n;
	bool checked;
};

struct naive {
	unsigned first, second, opcode, head, extended;
	bool control, fin;
	uint64_t length;
};

/* False when the header is not whole; what is wrong is judged apart. */
static bool
naive_header(const uint8_t *p, size_t n, struct naive *f)
{
	*f = (struct naive){.first = p[0], .opcode = p[0] & 15u};
	f->control = f->opcode >= 8;
	f->fin = p[0] >= 128;
	if (n < 2)
		return false;
	f->second = p[1];
	f->length = p[1] & 127;
	f->extended = f->length == 126 ? 2 : f->length == 127 ? 8 : 0;
	if (n < 2 + f->extended)
		return false;
	if (f->extended)
		f->length = 0;
	for (unsigned i = 0; i < f->extended; i++)
		f->length = f->length * 256 + p[2 + i];
	f->head = 2 + f->extended + (p[1] >= 128 ? 4 : 0);
	return n >= f->head;
}

static enum reason
naive_judge(const struct naive *f, size_t n, bool in_message, bool masked, bool deflate)
{
	bool starts = f->opcode == 1 || f->opcode == 2;

	if ((f->first & 0x30) || ((f->first & 0x40) && (!deflate || !starts)))
		return REASON_FRAME_RESERVED;
	if ((f->opcode > 2 && f->opcode < 8) || f->opcode > 10)
		return REASON_FRAME_OPCODE;
	if (f->control && !f->fin)
		return REASON_FRAME_CONTROL;
	if (!f->control && (f->opcode == 0) != in_message)
		return REASON_FRAME_FRAGMENT;
	if (n < 2)
		return REASON_NONE;
	if ((f->second >= 128) != masked)
		return REASON_FRAME_MASK;
	if (f->control && (f->second & 127) > 125)
		return REASON_FRAME_CONTROL;
	if (f->opcode == 8 && (f->second & 127) == 1)
		return REASON_FRAME_CLOSE;
	if (n >= 2 + f->extended &&
	    ((f->extended == 2 && f->length < 126) ||
		(f->extended == 8 && (f->length < 65536 || f->length >> 63))))
		return REASON_FRAME_LENGTH;
	return REASON_NONE;
}

static enum reason
naive_close(const uint8_t *p, const struct naive *f, unsigned *code_r)
{
	uint8_t plain[125];

	*code_r = 1005;
	if (f->length == 0)
		return REASON_NONE;
	for (unsigned i = 0; i < f->length; i++)
		plain[i] = p[f->head + i] ^ (f->second >= 128 ? p[2 + i % 4] : 0);
	*code_r = plain[0] * 256u + plain[1];
	if (*code_r < 1000 || *code_r > 4999 || (*code_r > 1014 && *code_r < 3000) ||
	    *code_r == 1004 || *code_r == 1005 || *code_r == 1006)
		return REASON_FRAME_CLOSE;
	return is_utf8_naive(plain + 2, f->length - 2) ? REASON_NONE
						       : REASON_FRAME_UTF8;
}

/* Too big, when its header stands alone? */
static enum reason
naive_size(const struct naive *f, size_t n, uint64_t before,
    const struct frame_rules *rules)
{
	if (f->control || n < 2 || n < 2 + f->extended)
		return REASON_NONE;
	if (rules->max_frame && f->length > rules->max_frame)
		return REASON_FRAME_TOO_BIG;
	if (rules->max_message && before + f->length > rules->max_message)
		return REASON_FRAME_TOO_BIG;
	return REASON_NONE;
}

/* Adds what is there of a frame's payload. False: the text is bad; *bad_at_r: where, in
 * the payload. */
static bool
naive_text(struct naive_text *t, const struct naive *f, const uint8_t *frame, size_t n,
    size_t *bad_at_r)
{
	const uint8_t *key = frame + f->head - 4;
	size_t before = t->n, good;

	for (size_t i = 0; i < n; i++)
		t->bytes[t->n++] =
		    frame[f->head + i] ^ (f->second >= 128 ? key[i % 4] : 0);
	good = good_prefix_naive(t->bytes, t->n);
	*bad_at_r = good > before ? good - before : 0;
	return good == t->n &&
	       (!f->fin || n < f->length || is_utf8_naive(t->bytes, t->n));
}

static void
decode_naive(const uint8_t *p, size_t size, const struct setting *set, struct log *log)
{
	bool in_message = false;
	struct naive_text text = {.bytes = malloc(size + 1)};
	uint64_t message = 0;
	size_t at = 0;

	while (at < size) {
		struct event e = {.event = FRAME_BAD, .at = at};
		struct naive f;
		bool whole = naive_header(p + at, size - at, &f);

		must(text.bytes != NULL);
		e.why =
		    naive_judge(&f, size - at, in_message, set->masked, set->deflate);
		if (e.why == REASON_NONE)
			e.why = naive_size(&f, size - at, in_message ? message : 0,
			    &set->rules);
		if (e.why == REASON_NONE && whole && f.control) {
			if (size - at - f.head < f.length)
				break;
			e.opcode = f.opcode;
			if (f.opcode == 8)
				e.why = naive_close(p + at, &f, &e.close_code);
			if (e.why == REASON_NONE) {
				at += f.head + (size_t)f.length;
				e.event = FRAME_CONTROL;
				e.at = at;
				note(log, e);
				continue;
			}
			e.opcode = e.close_code = 0;
		}
		if (e.why != REASON_NONE) {
			note(log, e);
			break;
		}
		if (!whole)
			break;
		if (!in_message) {
			text.n = 0;
			text.checked =
			    set->rules.utf8 && f.opcode == 1 && !(f.first & 0x40);
			message = 0;
		}
		message += f.length;
		if (text.checked) {
			uint64_t there = size - at - f.head;
			size_t bad_at;

			if (there > f.length)
				there = f.length;
			if (!naive_text(&text, &f, p + at, (size_t)there, &bad_at)) {
				e.event = FRAME_BAD;
				e.why = REASON_FRAME_UTF8;
				e.bad_at = at + f.head + bad_at;
				note(log, e);
				break;
			}
		}
		at += f.head;
		in_message = true;
		if (size - at < f.length) {
			at = size;
			break;
		}
		at += (size_t)f.length;
		if (f.fin) {
			in_message = false;
			note(log, (struct event){.event = FRAME_MESSAGE, .at = at});
		}
	}
	log->consumed = at;
	free(text.bytes);
}

/* Scans what is shown until nothing more is consumed; false when it was bad. */
static bool
scan_shown(struct frame_scanner *s, const struct frame_rules *rules, const uint8_t *p,
    size_t shown, struct log *log)
{
	for (;;) {
		size_t n = shown - log->consumed, used;
		struct frame_control c = {0};
		struct event e = {0};

		used = frame_scan(s, rules, p + log->consumed, n, &e.event, &c, &e.why);
		must(used <= n);
		log->consumed += used;
		e.at = log->consumed;
		if (e.event == FRAME_CONTROL) {
			must(used == (size_t)c.header_len + c.payload_len);
			e.opcode = c.opcode;
			e.close_code = c.close_code;
		}
		if (e.event != FRAME_MORE)
			note(log, e);
		if (e.event == FRAME_BAD)
			return false;
		if (used == 0) {
			must(n < FRAME_CARRY);
			return true;
		}
	}
}

static void
scan_cut(const uint8_t *p, size_t size, const struct setting *set, unsigned seed,
    struct log *log)
{
	struct frame_scanner s;
	size_t shown = 0;

	frame_scanner_init(&s, set->masked, set->deflate);
	do {
		size_t piece;

		seed = seed * 1103515245u + 12345u;
		piece = (seed >> 16) % ((seed >> 8) % 4 ? 8 : 300);
		shown = size - shown < piece ? size : shown + piece;
	} while (scan_shown(&s, &set->rules, p, shown, log) && shown < size);
}

static void
compare(const struct log *naive, const struct log *scanned)
{
	must(naive->n == scanned->n);
	for (size_t i = 0; i < naive->n; i++) {
		const struct event *a = &naive->events[i];
		const struct event *b = &scanned->events[i];

		must(a->event == b->event && a->opcode == b->opcode &&
		     a->why == b->why && a->close_code == b->close_code);
		must(a->bad_at ? b->at >= a->at && b->at <= a->bad_at : a->at == b->at);
		if (a->bad_at)
			return;
	}
	must(naive->consumed == scanned->consumed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log naive = {0}, scanned = {0};
	struct setting set;

	if (size < 2)
		return 0;
	set = (struct setting){
	    .masked = data[0] & 1,
	    .deflate = data[0] & 2,
	    .rules.utf8 = data[0] & 4,
	    .rules.max_frame = data[0] & 8 ? 20 : 0,
	    .rules.max_message = data[0] & 16 ? 50 : 0,
	};
	naive.events = calloc(size + 1, sizeof(*naive.events));
	scanned.events = calloc(size + 1, sizeof(*scanned.events));
	if (naive.events && scanned.events) {
		decode_naive(data + 2, size - 2, &set, &naive);
		scan_cut(data + 2, size - 2, &set, data[1], &scanned);
		compare(&naive, &scanned);
	}
	free(naive.events);
	free(scanned.events);
	return 0;
}
