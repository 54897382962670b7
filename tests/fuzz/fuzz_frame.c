/* SPDX-License-Identifier: MIT
 *
 * fuzz_frame.c - any bytes as WebSocket frames, held against a naive decoder.
 *
 * The first byte sets direction and extension, the second seeds the places where the
 * stream is cut. The naive decoder sees everything at once and decides frame by frame;
 * the scanner must report the same events at the same places, whatever the cuts.
 */
#include "ws/frame.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct event {
	enum frame_event event;
	size_t at;
	unsigned opcode, close_code;
	enum reason why;
};

struct log {
	struct event *events;
	size_t n;
	size_t consumed;
};

static void
must(bool holds)
{
	if (!holds)
		abort();
}

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
	    *code_r == 1004 || *code_r == 1005 || *code_r == 1006 ||
	    !is_utf8_naive(plain + 2, f->length - 2))
		return REASON_FRAME_CLOSE;
	return REASON_NONE;
}

static void
decode_naive(const uint8_t *p, size_t size, bool masked, bool deflate, struct log *log)
{
	bool in_message = false;
	size_t at = 0;

	while (at < size) {
		struct event e = {.event = FRAME_BAD, .at = at};
		struct naive f;
		bool whole = naive_header(p + at, size - at, &f);

		e.why = naive_judge(&f, size - at, in_message, masked, deflate);
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
}

/* Scans what is shown until nothing more is consumed; false when it was bad. */
static bool
scan_shown(struct frame_scanner *s, const uint8_t *p, size_t shown, struct log *log)
{
	for (;;) {
		size_t n = shown - log->consumed, used;
		struct frame_control c = {0};
		struct event e = {0};

		used = frame_scan(s, p + log->consumed, n, &e.event, &c, &e.why);
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
scan_cut(const uint8_t *p, size_t size, bool masked, bool deflate, unsigned seed,
    struct log *log)
{
	struct frame_scanner s;
	size_t shown = 0;

	frame_scanner_init(&s, masked, deflate);
	do {
		size_t piece;

		seed = seed * 1103515245u + 12345u;
		piece = (seed >> 16) % ((seed >> 8) % 4 ? 8 : 300);
		shown = size - shown < piece ? size : shown + piece;
	} while (scan_shown(&s, p, shown, log) && shown < size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log naive = {0}, scanned = {0};
	bool masked, deflate;

	if (size < 2)
		return 0;
	masked = data[0] & 1;
	deflate = data[0] & 2;
	naive.events = calloc(size + 1, sizeof(*naive.events));
	scanned.events = calloc(size + 1, sizeof(*scanned.events));
	if (naive.events && scanned.events) {
		decode_naive(data + 2, size - 2, masked, deflate, &naive);
		scan_cut(data + 2, size - 2, masked, deflate, data[1], &scanned);
		must(naive.n == scanned.n && naive.consumed == scanned.consumed);
		for (size_t i = 0; i < naive.n; i++) {
			const struct event *a = &naive.events[i];
			const struct event *b = &scanned.events[i];

			must(a->event == b->event && a->at == b->at &&
			     a->opcode == b->opcode && a->why == b->why &&
			     a->close_code == b->close_code);
		}
	}
	free(naive.events);
	free(scanned.events);
	return 0;
}
