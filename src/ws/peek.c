/* SPDX-License-Identifier: MIT
 *
 * peek.c - looks into a whole message of the application; see peek.h.
 */
#include "ws/peek.h"

#include "base/strbuf.h"
#include "ws/frame.h"
#include <jansson.h>
#include <zlib.h>

enum {
	OPCODE = 0x0f,
	RSV1 = 0x40,
	MASKED = 0x80,
	LENGTH = 0x7f,
	LENGTH_16 = 126,
	LENGTH_64 = 127,
	INFLATE_PIECE = 4096
};

/* ---- frames ---- */

struct piece {
	uint8_t first; /* byte of its header */
	const uint8_t *payload;
	uint64_t n;
	uint8_t mask[4];
	size_t size; /* of all of it */
};

static uint64_t
read_length(const uint8_t *p, unsigned bytes)
{
	uint64_t n = 0;

	while (bytes--)
		n = n << 8 | *p++;
	return n;
}

/* False: not all of it is there. */
static bool
read_piece(const uint8_t *p, size_t n, struct piece *piece_r)
{
	unsigned extra, header;

	if (n < 2)
		return false;
	*piece_r = (struct piece){.first = p[0], .n = p[1] & LENGTH};
	extra = piece_r->n == LENGTH_16 ? 2 : piece_r->n == LENGTH_64 ? 8 : 0;
	header = 2 + extra + (p[1] & MASKED ? 4 : 0);
	if (n < header)
		return false;
	if (extra)
		piece_r->n = read_length(p + 2, extra);
	if (p[1] & MASKED)
		memcpy(piece_r->mask, p + header - 4, 4);
	piece_r->payload = p + header;
	piece_r->size = header + piece_r->n;
	return piece_r->n <= n - header;
}

static void
append_unmasked(struct strbuf *out, const struct piece *piece)
{
	size_t at = out->len;

	strbuf_append(out, piece->payload, piece->n);
	if (!out->failed)
		for (size_t i = 0; i < piece->n; i++)
			out->data[at + i] ^= (char)piece->mask[i % 4];
}

/* ---- permessage-deflate ---- */

/* RFC 7692, 7.2.2: these four bytes were taken off the end. */
static const uint8_t tail[4] = {0, 0, 0xff, 0xff};

static bool
inflate_piece(z_stream *z, const void *p, size_t n, struct strbuf *out)
{
	char piece[INFLATE_PIECE];
	int got;

	z->next_in = (Bytef *)(uintptr_t)p;
	z->avail_in = (uInt)n;
	do {
		z->next_out = (Bytef *)piece;
		z->avail_out = sizeof piece;
		got = inflate(z, Z_SYNC_FLUSH);
		if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR)
			return false;
		strbuf_append(out, piece, sizeof piece - z->avail_out);
		/* a block that ends the stream may be followed by the empty one */
		if (got == Z_STREAM_END && z->avail_in)
			inflateReset(z);
	} while (
	    !out->failed && (z->avail_in || z->avail_out == 0) && got != Z_BUF_ERROR);
	return !out->failed;
}

static bool
inflate_text(const struct strbuf *packed, struct strbuf *out)
{
	z_stream z = {0};
	bool good;

	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return false;
	good = inflate_piece(&z, packed->data, packed->len, out) &&
	       inflate_piece(&z, tail, sizeof tail, out);
	inflateEnd(&z);
	return good;
}

/* ---- the message ---- */

static bool
collect(const uint8_t *p, size_t n, struct strbuf *out)
{
	struct piece piece;

	for (size_t at = 0; at < n; at += piece.size) {
		if (!read_piece(p + at, n - at, &piece))
			return false;
		append_unmasked(out, &piece);
	}
	return !out->failed;
}

bool
peek_text(const uint8_t *frames, size_t n, struct strbuf *text)
{
	struct strbuf packed = {.limit = PEEK_TEXT_MAX};
	bool good;

	if (n == 0 || (frames[0] & OPCODE) != OP_TEXT)
		return false;
	text->limit = PEEK_TEXT_MAX;
	if (!(frames[0] & RSV1))
		return collect(frames, n, text);
	good = collect(frames, n, &packed) && inflate_text(&packed, text);
	strbuf_fini(&packed);
	return good;
}

/* Reads a number as one would write it into a configuration. */
static bool
is_number(const json_t *json, const char *value)
{
	char text[24];

	if (!json_is_integer(json))
		return false;
	snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
	return strcmp(text, value) == 0;
}

static bool
is_value(const json_t *json, const char *value)
{
	switch (json_typeof(json)) {
	case JSON_STRING:
		return json_string_length(json) == strlen(value) &&
		       strcmp(json_string_value(json), value) == 0;
	case JSON_TRUE: return strcmp(value, "true") == 0;
	case JSON_FALSE: return strcmp(value, "false") == 0;
	default: return is_number(json, value);
	}
}

/* Anything but an object with that name in it need not be parsed; an escape may hide
 * the name. */
static bool
is_worth_parsing(struct str text, const char *field)
{
	return text.n && (memmem(text.p, text.n, field, strlen(field)) ||
			     memchr(text.p, '\\', text.n));
}

bool
peek_matches(struct str text, const struct peek_wanted *wanted)
{
	json_t *json, *member;
	bool found;

	if (!is_worth_parsing(text, wanted->field))
		return false;
	json = json_loadb(text.p, text.n, 0, NULL);
	member = json_object_get(json, wanted->field);
	found = member && wanted->n_values == 0;
	for (size_t i = 0; member && i < wanted->n_values && !found; i++)
		found = is_value(member, wanted->values[i]);
	json_decref(json);
	return found;
}

bool
peek_message(const uint8_t *frames, size_t n, const struct peek_wanted *wanted)
{
	struct strbuf text = STRBUF_INIT;
	bool found = peek_text(frames, n, &text) &&
		     peek_matches((struct str){text.data, text.len}, wanted);

	strbuf_fini(&text);
	return found;
}
