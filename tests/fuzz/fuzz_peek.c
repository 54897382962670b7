/* SPDX-License-Identifier: MIT
 *
 * fuzz_peek.c - any bytes as the frames of a message that is looked into, as the text
 * of one, and as its compressed payload.
 *
 * A text that is packed, cut into frames and masked in whatever way is read as itself.
 * Whether it is wanted is told without the short cuts of peek.c as well. What inflates
 * there does so at once by zlib alone.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "fuzz.h"
#include "ws/app_heartbeat.h"
#include "ws/frame.h"
#include "ws/peek.h"
#include <jansson.h>
#include <zlib.h>

enum { RSV1 = 0x40, FIN = 0x80, ROOM = PEEK_TEXT_MAX + 65536 };

static char type[] = "type", ping[] = "ping", one[] = "1", yes[] = "true";
static char *values[] = {ping, one, yes};

/* ---- making frames ---- */

static void
frame_add(struct strbuf *out, unsigned first, struct str payload, uint32_t mask)
{
	uint8_t head[8] = {(uint8_t)first};
	size_t n = 2, at;

	if (payload.n < 126) {
		head[1] = (uint8_t)payload.n;
	} else {
		head[1] = 126;
		head[n++] = (uint8_t)(payload.n >> 8);
		head[n++] = (uint8_t)payload.n;
	}
	if (mask) {
		head[1] |= 0x80;
		memcpy(head + n, &mask, 4);
		n += 4;
	}
	strbuf_append(out, head, n);
	at = out->len;
	strbuf_str(out, payload);
	must(!out->failed);
	for (size_t i = 0; mask && i < payload.n; i++)
		out->data[at + i] ^= (char)head[n - 4 + i % 4];
}

static void
frames_fill(struct strbuf *out, unsigned rsv, struct str payload, uint32_t seed)
{
	uint32_t mask = seed % 2 ? seed * 2654435761u : 0;
	unsigned first = rsv | OP_TEXT;

	do {
		size_t n = next_cut(&seed, 300) - 1;

		if (n >= payload.n)
			n = payload.n;
		frame_add(out, n == payload.n ? first | FIN : first,
		    (struct str){payload.p, n}, mask);
		payload.p += n;
		payload.n -= n;
		first = OP_CONTINUATION;
	} while (payload.n);
}

/* As RFC 7692, 7.2.1 says, or with a block that ends its stream (7.2.3.4). */
static void
deflate_all(struct str text, bool final, struct strbuf *out)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)text.p, .avail_in = (uInt)text.n};

	must(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	must(strbuf_reserve(out, deflateBound(&z, text.n) + 64));
	z.next_out = (Bytef *)out->data;
	z.avail_out = (uInt)out->cap;
	deflate(&z, final ? Z_FINISH : Z_SYNC_FLUSH);
	must(z.avail_in == 0);
	out->len = out->cap - z.avail_out;
	deflateEnd(&z);
	if (final)
		strbuf_append(out, "", 1);
	else
		out->len -= 4;
}

/* ---- what must hold ---- */

static void
read_back(struct str text, bool packs, bool final, uint32_t seed)
{
	struct strbuf packed = STRBUF_INIT, frames = STRBUF_INIT, again = STRBUF_INIT;

	if (packs)
		deflate_all(text, final, &packed);
	frames_fill(&frames, packs ? RSV1 : 0,
	    packs ? (struct str){packed.data, packed.len} : text, seed);
	must(peek_text((uint8_t *)frames.data, frames.len, &again));
	must(str_eq((struct str){again.data, again.len}, text));
	strbuf_fini(&packed);
	strbuf_fini(&frames);
	strbuf_fini(&again);
}

/* zlib alone stops where a block ends the stream; the text goes on behind it. */
static void
inflated_check(struct str payload, uint32_t seed)
{
	static char room[ROOM];
	struct strbuf frames = STRBUF_INIT, text = STRBUF_INIT;
	z_stream z = {.next_in = (Bytef *)(uintptr_t)payload.p,
	    .avail_in = (uInt)payload.n,
	    .next_out = (Bytef *)room,
	    .avail_out = ROOM};
	int got;

	must(inflateInit2(&z, -15) == Z_OK);
	got = inflate(&z, Z_SYNC_FLUSH);
	frames_fill(&frames, RSV1, payload, seed);
	if (peek_text((uint8_t *)frames.data, frames.len, &text)) {
		must(got != Z_DATA_ERROR && text.len <= PEEK_TEXT_MAX);
		must(text.len >= z.total_out);
		must(str_eq((struct str){room, z.total_out},
		    (struct str){text.data, z.total_out}));
	}
	inflateEnd(&z);
	strbuf_fini(&frames);
	strbuf_fini(&text);
}

static bool
is_wanted(const json_t *member)
{
	const char *text = json_string_value(member);

	for (size_t i = 0; text && i < 3; i++)
		if (str_eq((struct str){text, json_string_length(member)},
			str_of(values[i])))
			return true;
	return json_is_true(member) ||
	       (json_is_integer(member) && json_integer_value(member) == 1);
}

static void
matches_check(struct str text)
{
	const struct peek_wanted any = {type, NULL, 0}, some = {type, values, 3};
	const struct config_app_heartbeat heartbeat = {.field = type, .value = ping};
	json_t *json = text.n ? json_loadb(text.p, text.n, 0, NULL) : NULL;
	const json_t *member = json_object_get(json, type);
	const char *value = json_string_value(member);

	must(peek_matches(text, &any) == (member != NULL));
	must(peek_matches(text, &some) == is_wanted(member));
	must(!app_heartbeat_match(&heartbeat, 1, text) ==
	     !(value && strcmp(value, ping) == 0));
	json_decref(json);
}

/* As the first bytes of it come, it is a part of one, then whole; or no such frame. */
static void
heartbeat_check(const uint8_t *p, size_t size)
{
	enum app_look whole = app_heartbeat_look(p, size);
	char out[APP_HEARTBEAT_MAX];
	bool was_whole = false;

	for (size_t n = 0; n < size && n < APP_HEARTBEAT_MAX + 16; n++) {
		enum app_look look = app_heartbeat_look(p, n);

		must(look == APP_PART || look == whole);
		must(!was_whole || look == APP_WHOLE);
		if (look == APP_WHOLE && !was_whole) {
			struct strbuf text = STRBUF_INIT;

			must(peek_text(p, n, &text));
			must(str_eq(app_heartbeat_unmask(p, n, out),
			    (struct str){text.data, text.len}));
			strbuf_fini(&text);
		}
		was_whole = look == APP_WHOLE;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	const struct peek_wanted some = {type, values, 3};
	unsigned how = cut_byte(&text);
	uint32_t seed = cut_byte(&text);

	(void)peek_message((const uint8_t *)text.p, text.n, &some);
	heartbeat_check((const uint8_t *)text.p, text.n);
	read_back(text, how & 1, how & 2, seed);
	inflated_check(text, seed);
	matches_check(text);
	return 0;
}
