/* SPDX-License-Identifier: MIT
 *
 * fuzz_chunk.c - any bytes as a chunked body, whole and in pieces.
 *
 * The first byte chooses how the rest is cut; data, trailers, end and verdict must not
 * depend on it.
 */
#include "fuzz.h"
#include "message/chunk.h"

struct result {
	enum chunk_event event;
	size_t consumed;
	uint64_t data_len;
	uint64_t data_sum; /* depends on every byte and its place */
	struct str trailers;
};

static void
take_step(struct chunk_decoder *d, struct result *r, const char *p, size_t shown)
{
	struct str out;
	size_t used;

	r->event = chunk_next(d, p + r->consumed, shown - r->consumed, &used, &out);
	must(used <= shown - r->consumed);
	r->consumed += used;
	if (r->event == CHUNK_DATA) {
		must(out.n > 0 && out.p + out.n == p + r->consumed);
		for (size_t i = 0; i < out.n; i++)
			r->data_sum = r->data_sum * 31 + (unsigned char)out.p[i] + 1;
		r->data_len += out.n;
	} else if (r->event == CHUNK_END) {
		r->trailers = out;
	} else if (r->event == CHUNK_MORE) {
		must(shown - r->consumed < CHUNK_MAX_TRAILERS);
	}
}

/* Shows the bytes in pieces of at most `piece` new ones. */
static struct result
decode(const char *p, size_t size, size_t piece)
{
	struct result r = {.event = CHUNK_MORE};
	struct chunk_decoder d = {0};
	size_t shown = 0;

	while (r.event != CHUNK_END && r.event != CHUNK_BAD) {
		size_t before = r.consumed;

		take_step(&d, &r, p, shown);
		if (r.event == CHUNK_MORE && r.consumed == before) {
			if (shown == size)
				break;
			shown = size - shown > piece ? shown + piece : size;
		}
	}
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data + 1;
	struct result whole, cut;

	if (size < 1)
		return 0;
	size--;
	whole = decode(p, size, SIZE_MAX);
	cut = decode(p, size, data[0] % 32u + 1);
	must(whole.event == cut.event && whole.data_len == cut.data_len &&
	     whole.data_sum == cut.data_sum && str_eq(whole.trailers, cut.trailers));
	must(whole.event == CHUNK_BAD || whole.consumed == cut.consumed);
	if (whole.trailers.n)
		must(whole.trailers.n >= 4 &&
		     memcmp(whole.trailers.p + whole.trailers.n, "\r\n", 2) == 0);
	return 0;
}
