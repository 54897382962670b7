/* SPDX-License-Identifier: MIT
 *
 * frame.c - scanner and writer of WebSocket frames.
 *
 * What is wrong with a header is found in the order of its bytes and as soon as they
 * are there, so the verdict does not depend on how the network cut them.
 *
 * Owner and thread: the half of a session whose bytes are scanned.
 */
#include "ws/frame.h"

#include "base/random.h"
#include "ws/utf8.h"
#include <assert.h>
#include <string.h>

enum {
	BIT_FIN = 0x80,
	BIT_RSV1 = 0x40,
	BITS_RSV23 = 0x30,
	BITS_OPCODE = 0x0f,
	BIT_CONTROL = 0x08,
	BIT_MASK = 0x80,
	BITS_LENGTH = 0x7f,
	LENGTH_16 = 126, /* the length follows in 2 bytes */
	LENGTH_64 = 127, /* in 8 */
	MAX_CONTROL = 125,
	MASK_KEY = 4
};

static_assert(sizeof(struct frame_scanner) == 24, "sessions count on its size");

/* A decoded frame header. */
struct frame_header {
	uint64_t length;
	unsigned size; /* of the header itself */
	uint8_t opcode;
	bool fin, rsv1;
};

void
frame_scanner_init(struct frame_scanner *s, bool masked, bool compressed)
{
	*s = (struct frame_scanner){.masked = masked, .compressed = compressed};
}

bool
close_code_is_legal(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

/* The first byte: FIN, RSV1-3 and opcode. RSV1 marks the first frame of a compressed
 * message and no other (RFC 7692, 6). */
static enum reason
first_byte_check(const struct frame_scanner *s, uint8_t byte)
{
	uint8_t opcode = byte & BITS_OPCODE;
	bool starts = opcode == OP_TEXT || opcode == OP_BINARY;

	if ((byte & BITS_RSV23) || ((byte & BIT_RSV1) && !(s->compressed && starts)))
		return REASON_FRAME_RESERVED;
	if (opcode & BIT_CONTROL) {
		if (opcode > OP_PONG)
			return REASON_FRAME_OPCODE;
		return byte & BIT_FIN ? REASON_NONE : REASON_FRAME_CONTROL;
	}
	if (opcode > OP_BINARY)
		return REASON_FRAME_OPCODE;
	return starts == s->in_message ? REASON_FRAME_FRAGMENT : REASON_NONE;
}

/* The second byte: masking and length. */
static enum reason
second_byte_check(const struct frame_scanner *s, uint8_t opcode, uint8_t byte)
{
	uint8_t length = byte & BITS_LENGTH;

	if (((byte & BIT_MASK) != 0) != s->masked)
		return REASON_FRAME_MASK;
	if ((opcode & BIT_CONTROL) && length > MAX_CONTROL)
		return REASON_FRAME_CONTROL;
	return opcode == OP_CLOSE && length == 1 ? REASON_FRAME_CLOSE : REASON_NONE;
}

static uint64_t
big_endian(const uint8_t *p, unsigned n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | *p++;
	return value;
}

/* A length must not be written longer than needed nor have its top bit set. */
static enum reason
length_check(uint64_t length, unsigned bytes)
{
	uint64_t min = bytes == 2 ? LENGTH_16 : UINT64_C(1) << 16;

	return length < min || length > INT64_MAX ? REASON_FRAME_LENGTH : REASON_NONE;
}

/* Is a data frame of that length, which begins or goes on with a message, too big? */
static enum reason
size_check(const struct frame_scanner *s, const struct frame_rules *rules,
    uint64_t length)
{
	uint64_t before = s->in_message ? s->size : 0;

	if (rules->max_frame && length > rules->max_frame)
		return REASON_FRAME_TOO_BIG;
	if (rules->max_message &&
	    (before > rules->max_message || length > rules->max_message - before))
		return REASON_FRAME_TOO_BIG;
	return REASON_NONE;
}

/* False: more bytes are needed, or (*why_r set) it is wrong. */
static bool
header_read(const struct frame_scanner *s, const struct frame_rules *rules,
    const uint8_t *p, size_t n, struct frame_header *h_r, enum reason *why_r)
{
	unsigned extended = 0;

	*why_r = first_byte_check(s, p[0]);
	if (*why_r != REASON_NONE || n < 2)
		return false;
	h_r->opcode = p[0] & BITS_OPCODE;
	h_r->fin = (p[0] & BIT_FIN) != 0;
	h_r->rsv1 = (p[0] & BIT_RSV1) != 0;
	*why_r = second_byte_check(s, h_r->opcode, p[1]);
	if (*why_r != REASON_NONE)
		return false;
	h_r->length = p[1] & BITS_LENGTH;
	if (h_r->length >= LENGTH_16) {
		extended = h_r->length == LENGTH_16 ? 2 : 8;
		if (n < 2 + extended)
			return false;
		h_r->length = big_endian(p + 2, extended);
		*why_r = length_check(h_r->length, extended);
		if (*why_r != REASON_NONE)
			return false;
	}
	if (rules && !(h_r->opcode & BIT_CONTROL)) {
		*why_r = size_check(s, rules, h_r->length);
		if (*why_r != REASON_NONE)
			return false;
	}
	h_r->size = 2 + extended + (s->masked ? MASK_KEY : 0);
	return n >= h_r->size;
}

/* The payload of a Close: nothing, or a code and a reason in UTF-8. */
static enum reason
close_read(const uint8_t *payload, struct frame_control *c)
{
	uint8_t plain[MAX_CONTROL];

	c->close_code = CLOSE_NO_STATUS;
	if (c->payload_len == 0)
		return REASON_NONE;
	for (unsigned i = 0; i < c->payload_len; i++)
		plain[i] = payload[i] ^ c->mask[i % MASK_KEY];
	c->close_code = (uint16_t)big_endian(plain, 2);
	if (!close_code_is_legal(c->close_code))
		return REASON_FRAME_CLOSE;
	return utf8_is_valid(plain + 2, c->payload_len - 2u) ? REASON_NONE
							     : REASON_FRAME_UTF8;
}

static enum reason
control_read(const struct frame_scanner *s, const uint8_t *p,
    const struct frame_header *h, struct frame_control *c)
{
	*c = (struct frame_control){
	    .opcode = h->opcode,
	    .header_len = (uint8_t)h->size,
	    .payload_len = (uint8_t)h->length,
	};
	if (s->masked)
		memcpy(c->mask, p + h->size - MASK_KEY, MASK_KEY);
	return c->opcode == OP_CLOSE ? close_read(p + h->size, c) : REASON_NONE;
}

/* Turns a mask so that its first byte is for the byte n further on. */
static void
mask_turn(uint8_t mask[MASK_KEY], uint64_t n)
{
	uint8_t old[MASK_KEY];

	memcpy(old, mask, MASK_KEY);
	for (unsigned i = 0; i < MASK_KEY; i++)
		mask[i] = old[(i + n) % MASK_KEY];
}

/* Looks at n bytes of text, the next of their frame. False: it cannot be UTF-8. */
static bool
text_take(struct frame_scanner *s, const uint8_t *p, size_t n)
{
	bool last = s->fin && n == s->left;

	s->utf8 = utf8_take(s->utf8, p, n, s->mask);
	mask_turn(s->mask, n);
	return last ? s->utf8 == UTF8_BETWEEN : s->utf8 != UTF8_BAD;
}

/* Takes what is there of the data frame's payload: MORE, MESSAGE (it ended) or BAD. */
static enum frame_event
payload_take(struct frame_scanner *s, const uint8_t *p, size_t *pos, size_t n,
    enum reason *why_r)
{
	uint64_t take = n - *pos;

	if (take > s->left)
		take = s->left;
	if (s->text && !text_take(s, p + *pos, (size_t)take)) {
		*why_r = REASON_FRAME_UTF8;
		return FRAME_BAD;
	}
	s->left -= take;
	*pos += (size_t)take;
	if (s->left == 0 && s->fin)
		s->in_message = false;
	return s->in_message ? FRAME_MORE : FRAME_MESSAGE;
}

/* A data frame begins, with its header at p. */
static void
data_begin(struct frame_scanner *s, const struct frame_rules *rules,
    const struct frame_header *h, const uint8_t *p)
{
	if (!s->in_message) {
		s->size = 0;
		s->utf8 = UTF8_BETWEEN;
		s->text = rules && rules->utf8 && h->opcode == OP_TEXT && !h->rsv1;
	}
	s->left = h->length;
	s->size += h->length;
	s->opcode = h->opcode;
	s->fin = h->fin;
	s->in_message = true;
	if (s->text && s->masked)
		memcpy(s->mask, p + h->size - MASK_KEY, MASK_KEY);
}

/* What stands at a frame's beginning, at p: MORE also for a data frame's header, which
 * is then in *size_r and the scanner. */
static enum frame_event
frame_begin(struct frame_scanner *s, const struct frame_rules *rules, const uint8_t *p,
    size_t n, size_t *size_r, struct frame_control *control_r, enum reason *why_r)
{
	struct frame_header h;

	*size_r = 0;
	if (!header_read(s, rules, p, n, &h, why_r))
		return *why_r == REASON_NONE ? FRAME_MORE : FRAME_BAD;
	if (h.opcode & BIT_CONTROL) {
		if (n - h.size < h.length)
			return FRAME_MORE;
		*why_r = control_read(s, p, &h, control_r);
		if (*why_r != REASON_NONE)
			return FRAME_BAD;
		*size_r = h.size + (size_t)h.length;
		return FRAME_CONTROL;
	}
	data_begin(s, rules, &h, p);
	*size_r = h.size;
	return FRAME_MORE;
}

size_t
frame_scan(struct frame_scanner *s, const struct frame_rules *rules, const uint8_t *p,
    size_t n, enum frame_event *event_r, struct frame_control *control_r,
    enum reason *why_r)
{
	struct frame_scanner before = {0};
	size_t pos = 0;

	*why_r = REASON_NONE;
	*event_r = FRAME_MORE;
	while (pos < n) {
		size_t good = pos;

		if (rules || s->text) /* only text can be bad behind its header */
			before = *s;
		if (s->left == 0) {
			size_t size;

			*event_r = frame_begin(s, rules, p + pos, n - pos, &size,
			    control_r, why_r);
			if (*event_r == FRAME_CONTROL && pos > 0) {
				*event_r = FRAME_MORE;
				return pos;
			}
			pos += size;
			if (*event_r != FRAME_MORE || size == 0)
				return pos;
		}
		*event_r = payload_take(s, p, &pos, n, why_r);
		if (*event_r == FRAME_BAD) {
			*s = before;
			return good;
		}
		if (*event_r == FRAME_MESSAGE)
			return pos;
	}
	return pos;
}

/* Cuts n to at most `max` without cutting a character in two. */
static size_t
utf8_cut(const char *text, size_t n, size_t max)
{
	if (n <= max)
		return n;
	n = max;
	while (n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80)
		n--;
	return n;
}

size_t
frame_write_control(uint8_t out[FRAME_CARRY], enum opcode opcode, const void *payload,
    size_t n, bool masked)
{
	uint8_t key[MASK_KEY] = {0}, *p = out;
	const uint8_t *from = payload;

	assert(n <= MAX_CONTROL);
	*p++ = (uint8_t)(BIT_FIN | opcode);
	*p++ = (uint8_t)((masked ? BIT_MASK : 0) | n);
	if (masked) {
		random_secret(key, sizeof(key));
		memcpy(p, key, sizeof(key));
		p += sizeof(key);
	}
	for (size_t i = 0; i < n; i++)
		*p++ = from[i] ^ key[i % MASK_KEY];
	return (size_t)(p - out);
}

size_t
frame_write_close(uint8_t out[FRAME_CARRY], unsigned code, const char *text,
    bool masked)
{
	uint8_t payload[MAX_CONTROL];
	size_t n = 0;

	if (close_code_is_legal(code)) {
		payload[0] = (uint8_t)(code >> 8);
		payload[1] = (uint8_t)code;
		n = text ? utf8_cut(text, strlen(text), MAX_CONTROL - 2) : 0;
		if (n)
			memcpy(payload + 2, text, n);
		n += 2;
	}
	return frame_write_control(out, OP_CLOSE, payload, n, masked);
}

size_t
frame_write_text_header(uint8_t out[FRAME_HEADER_MAX], size_t n)
{
	unsigned extended = n < LENGTH_16 ? 0 : n <= UINT16_MAX ? 2 : 8;

	out[0] = BIT_FIN | OP_TEXT;
	out[1] = (uint8_t)(extended == 0 ? n : extended == 2 ? LENGTH_16 : LENGTH_64);
	for (unsigned i = 0; i < extended; i++)
		out[2 + i] = (uint8_t)((uint64_t)n >> 8 * (extended - 1 - i));
	return 2 + extended;
}
