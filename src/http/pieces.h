/* SPDX-License-Identifier: MIT
 *
 * pieces.h - body data on its way out, collected for one write.
 *
 * iov[0] is left free for a head that goes along with the first piece. Data is borrowed
 * until the write. Thread: its worker's, on the stack.
 */
#ifndef ROOST_HTTP_PIECES_H
#define ROOST_HTTP_PIECES_H

#include "base/str.h"
#include "base/strbuf.h"
#include <sys/uio.h>

enum { PIECES_MAX = 16, CHUNK_LINE = 20 };

struct pieces {
	struct iovec iov[1 + 3 * PIECES_MAX + 1];
	int n; /* of iov, the free one included */
	int n_pieces;
	char lines[PIECES_MAX][CHUNK_LINE];
	struct strbuf end;   /* last chunk and trailers */
	struct strbuf coded; /* data after compression */
};

void pieces_init(struct pieces *out);
void pieces_fini(struct pieces *out);

static inline bool
pieces_is_full(const struct pieces *out)
{
	return out->n_pieces == PIECES_MAX;
}

/* Data as it is, or as a chunk (RFC 9112, 7.1). Not when full. */
void pieces_add(struct pieces *out, const char *p, size_t n, bool as_chunk);

/* The last chunk with those trailer lines that may be passed on. At most once. */
void pieces_end_chunks(struct pieces *out, struct str trailers);

/* Puts a head in front, or nothing (n = 0); returns where to write from, and how many
 * in *n_r: 0 when there is nothing at all. */
const struct iovec *pieces_with_head(struct pieces *out, const void *head, size_t n,
    int *n_r);

#endif
