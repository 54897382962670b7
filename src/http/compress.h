/* SPDX-License-Identifier: MIT
 *
 * compress.h - response bodies made smaller on the way: gzip (zlib), brotli if found.
 *
 * What may be compressed and by which coding is decided here as well, so that one place
 * answers for RFC 9110, 8.4 and 12.5.3. Each piece of body that comes is flushed, so
 * compression never holds back what a backend has said.
 */
#ifndef ROOST_HTTP_COMPRESS_H
#define ROOST_HTTP_COMPRESS_H

#include "config/config.h"

struct compressor;
struct response;
struct strbuf;

/* Codings this build has: bits of enum compress_coding. */
unsigned compress_codings(void);

/* Which of these codings a client likes best that said accept_encoding; 0: none of them
 * as well as the body as it is. `q=0` and `*` are understood; brotli before gzip where
 * the client likes both the same. */
unsigned compress_negotiate(struct str accept_encoding, unsigned codings);

/* May this response be compressed for a client that accepts one of the codings? Then a
 * cache must know (Vary: Accept-Encoding), whatever this client gets. Never: what has a
 * Content-Encoding or a digest of its bytes, a status of 206 or without body,
 * no-transform, text/event-stream, a media type not in the list ("text/" and a star
 * stands for all of text), a known length of 0 or below min_length. The answer to a
 * HEAD is judged as what GET would get: the same head, but nothing to compress. */
bool compress_varies(const struct config_compress *conf, const struct response *r);

/* "gzip" or "br". */
const char *compress_coding_name(unsigned coding);

/* level: 1-9. NULL: no memory. Owner: the exchange. Thread: its worker's. */
struct compressor *compressor_new(unsigned coding, unsigned level);
void compressor_free(struct compressor *c); /* NULL is fine */

/* Compresses in[0..n) onto out, flushed; last: and ends the stream. False: no memory.
 */
bool compressor_push(struct compressor *c, const void *in, size_t n, bool last,
    struct strbuf *out);

#endif
