/* SPDX-License-Identifier: MIT
 *
 * chunk.h - a strict incremental decoder of the chunked coding (RFC 9112, 7.1). Pure.
 *
 * Extensions are checked and dropped. Sizes are hex digits only, at most 15 of them.
 * Trailers are checked and handed out whole.
 */
#ifndef ROOST_MESSAGE_CHUNK_H
#define ROOST_MESSAGE_CHUNK_H

#include "base/str.h"
#include <stdint.h>

enum { CHUNK_MAX_LINE = 4096, CHUNK_MAX_TRAILERS = 8192 };

/* Plain value; zeroed is a decoder at the start of a body. */
struct chunk_decoder {
	uint64_t left; /* data bytes left of this chunk */
	uint8_t state;
};

enum chunk_event {
	CHUNK_MORE, /* everything complete is consumed; keep the rest, come with more */
	CHUNK_DATA, /* *out_r is data */
	CHUNK_END,  /* *out_r is the trailer section, without its final empty line */
	CHUNK_BAD
};

/* Looks at p[0..n) and takes the next step; *used_r bytes are consumed (with MORE the
 * rest, always less than CHUNK_MAX_LINE or CHUNK_MAX_TRAILERS, must come again with
 * more bytes behind it). DATA hands out as much as there is, so data never waits. */
enum chunk_event chunk_next(struct chunk_decoder *d, const char *p, size_t n,
    size_t *used_r, struct str *out_r);

#endif
