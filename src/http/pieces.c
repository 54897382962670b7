/* SPDX-License-Identifier: MIT
 *
 * pieces.c - body data on its way out; see pieces.h.
 */
#include "http/pieces.h"

#include "http/headers.h"

void
pieces_init(struct pieces *out)
{
	out->n = 1;
	out->n_pieces = 0;
	out->end = STRBUF_INIT;
	out->coded = STRBUF_INIT;
}

void
pieces_fini(struct pieces *out)
{
	strbuf_fini(&out->end);
	strbuf_fini(&out->coded);
}

static void
add(struct pieces *out, const void *p, size_t n)
{
	out->iov[out->n++] = (struct iovec){(void *)(uintptr_t)p, n};
}

/* "1a\r\n"; returns its length. */
static size_t
write_size(char line[CHUNK_LINE], size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char reversed[CHUNK_LINE];
	size_t len = 0, at = 0;

	do
		reversed[len++] = digits[n & 15];
	while (n >>= 4);
	while (len)
		line[at++] = reversed[--len];
	line[at++] = '\r';
	line[at++] = '\n';
	return at;
}

void
pieces_add(struct pieces *out, const char *p, size_t n, bool as_chunk)
{
	char *line = out->lines[out->n_pieces];

	if (n == 0)
		return; /* as a chunk it would be the last one */
	out->n_pieces++;
	if (as_chunk)
		add(out, line, write_size(line, n));
	add(out, p, n);
	if (as_chunk)
		add(out, "\r\n", 2);
}

void
pieces_end_chunks(struct pieces *out, struct str trailers)
{
	strbuf_lit(&out->end, "0\r\n");
	headers_write_trailers(&out->end, trailers);
	strbuf_lit(&out->end, "\r\n");
	add(out, out->end.data, out->end.len);
}

const struct iovec *
pieces_with_head(struct pieces *out, const void *head, size_t n, int *n_r)
{
	out->iov[0] = (struct iovec){(void *)(uintptr_t)head, n};
	*n_r = n ? out->n : out->n - 1;
	return out->iov + (n ? 0 : 1);
}
