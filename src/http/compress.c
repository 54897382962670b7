/* SPDX-License-Identifier: MIT
 *
 * compress.c - response bodies made smaller on the way; see compress.h.
 *
 * A coder is a row of functions, so that a build without brotli lacks a row and
 * nothing else.
 *
 * Threads: any; a compressor is its worker's.
 */
#include "http/compress.h"

#include "base/strbuf.h"
#include "message/response.h"
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>
#ifdef HAVE_BROTLI
#include <brotli/encode.h>
#endif

/* ---- what the client likes ---- */

enum { UNSAID = -1, WEIGHT_MAX = 1000 };

/* Weights in thousandths. */
struct likings {
	int gzip, brotli, identity, any;
};

/* RFC 9110, 12.4.2: up to three decimals, at most 1. What is no weight is no wish. */
static int
weight_parse(struct str s)
{
	int weight = 0, unit = WEIGHT_MAX;

	if (s.n == 0 || s.n > 5 || (s.n > 1 && s.p[1] != '.'))
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		if (i == 1)
			continue;
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		weight += (s.p[i] - '0') * unit;
		unit /= 10;
	}
	return weight <= WEIGHT_MAX ? weight : 0;
}

/* Cuts e at its first semicolon; the weight behind it, or 1 where none is said. */
static int
weight_cut(struct str *e)
{
	const char *semicolon = memchr(e->p, ';', e->n);
	struct str rest;

	if (!semicolon)
		return WEIGHT_MAX;
	rest.p = semicolon + 1;
	rest.n = e->n - (size_t)(rest.p - e->p);
	rest = str_trim(rest);
	*e = str_trim((struct str){e->p, (size_t)(semicolon - e->p)});
	if (rest.n < 2 || (rest.p[0] | 0x20) != 'q' || rest.p[1] != '=')
		return 0;
	return weight_parse((struct str){rest.p + 2, rest.n - 2});
}

static struct likings
likings_parse(struct str list)
{
	struct likings l = {UNSAID, UNSAID, UNSAID, UNSAID};
	struct str e;

	while (str_next_element(&list, &e)) {
		int weight = weight_cut(&e);

		if (str_ieq(e, STR("gzip")) || str_ieq(e, STR("x-gzip")))
			l.gzip = weight;
		else if (str_ieq(e, STR("br")))
			l.brotli = weight;
		else if (str_ieq(e, STR("identity")))
			l.identity = weight;
		else if (str_eq(e, STR("*")))
			l.any = weight;
	}
	return l;
}

unsigned
compress_negotiate(struct str accept_encoding, unsigned codings)
{
	struct likings l = likings_parse(accept_encoding);
	int brotli = l.brotli == UNSAID ? l.any : l.brotli;
	int gzip = l.gzip == UNSAID ? l.any : l.gzip;
	unsigned best = 0;
	int most = 0;

	if ((codings & COMPRESS_BROTLI) && brotli > most) {
		best = COMPRESS_BROTLI;
		most = brotli;
	}
	if ((codings & COMPRESS_GZIP) && gzip > most) {
		best = COMPRESS_GZIP;
		most = gzip;
	}
	return l.identity > most ? 0 : best;
}

/* ---- what may be compressed ---- */

/* Digests are of the very bytes that the backend has sent (RFC 9530; RFC 1864). */
static bool
forbids(struct str name)
{
	switch (name.n) {
	case 6: return str_ieq(name, STR("digest"));
	case 11:
		return str_ieq(name, STR("repr-digest")) ||
		       str_ieq(name, STR("content-md5"));
	case 14: return str_ieq(name, STR("content-digest"));
	case 16: return str_ieq(name, STR("content-encoding"));
	default: return false;
	}
}

/* type/subtype, or type and a star. */
static bool
type_fits(struct str type, struct str pattern)
{
	size_t n = pattern.n;

	if (n > 2 && pattern.p[n - 1] == '*' && pattern.p[n - 2] == '/' &&
	    type.n >= n) {
		pattern.n = n - 1;
		type.n = n - 1;
	}
	return str_ieq(type, pattern);
}

/* Events are sent one by one, and their readers are known to break on it. */
static bool
type_is_listed(const struct config_compress *conf, struct str value)
{
	const char *semicolon = memchr(value.p, ';', value.n);
	struct str type = value;

	if (semicolon)
		type.n = (size_t)(semicolon - value.p);
	type = str_trim(type);
	if (type.n == 0 || str_ieq(type, STR("text/event-stream")))
		return false;
	for (size_t i = 0; i < conf->n_types; i++)
		if (type_fits(type, str_of(conf->types[i])))
			return true;
	return false;
}

/* One Content-Type that is in the list, and nothing that forbids it. */
static bool
headers_allow(const struct config_compress *conf, const struct response *r)
{
	bool listed = false;

	for (unsigned i = 0; i < r->n_headers; i++) {
		const struct header *h = &r->headers[i];

		if (forbids(h->name))
			return false;
		if (!str_ieq(h->name, STR("content-type")))
			continue;
		if (listed || !type_is_listed(conf, h->value))
			return false;
		listed = true;
	}
	return listed && !headers_have_element(r->headers, r->n_headers,
			     HEADER_CACHE_CONTROL, STR("no-transform"));
}

/* Of a HEAD's answer the length is said, though no body follows. */
static bool
length_allows(const struct config_compress *conf, const struct response *r)
{
	uint64_t length = r->length;

	if (r->body == BODY_NONE && r->first[HEADER_CONTENT_LENGTH] < 0)
		return true;
	if (r->body == BODY_NONE &&
	    !content_length_parse(response_value(r, HEADER_CONTENT_LENGTH), &length))
		return false;
	if (r->body != BODY_NONE && r->body != BODY_LENGTH)
		return true;
	return length > 0 && length >= conf->min_length;
}

bool
compress_varies(const struct config_compress *conf, const struct response *r)
{
	if (!(conf->codings & compress_codings()))
		return false;
	switch (r->status) {
	case 204:
	case 205:
	case 206: /* a range is one of the bytes as they are */
	case 304: return false;
	default: break;
	}
	return r->status >= 200 && length_allows(conf, r) && headers_allow(conf, r);
}

/* ---- coders ---- */

struct coder;

/* Owner: the exchange. */
struct compressor {
	const struct coder *coder;
	union {
		z_stream z;
#ifdef HAVE_BROTLI
		BrotliEncoderState *brotli;
#endif
	};
};

struct coder {
	unsigned coding;
	const char *name;
	bool (*init)(struct compressor *c, unsigned level);
	void (*fini)(struct compressor *c);
	bool (*push)(struct compressor *c, const void *in, size_t n, bool last,
	    struct strbuf *out);
};

enum { ROOM = 4096 };

static bool
gzip_init(struct compressor *c, unsigned level)
{
	enum { GZIP_WRAPPER = 16, MEMORY_LEVEL = 8 };

	return deflateInit2(&c->z, (int)level, Z_DEFLATED, MAX_WBITS + GZIP_WRAPPER,
		   MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK;
}

static void
gzip_fini(struct compressor *c)
{
	deflateEnd(&c->z);
}

/* A flush is complete when room is left over; BUF_ERROR says that there was nothing
 * more to write. */
static bool
gzip_push(struct compressor *c, const void *in, size_t n, bool last, struct strbuf *out)
{
	int verdict;

	assert(n <= UINT_MAX);
	c->z.next_in = (z_const Bytef *)in;
	c->z.avail_in = (uInt)n;
	do {
		size_t room;

		if (!strbuf_reserve(out, ROOM))
			return false;
		room = out->cap - out->len;
		if (room > UINT_MAX)
			room = UINT_MAX;
		c->z.next_out = (Bytef *)out->data + out->len;
		c->z.avail_out = (uInt)room;
		verdict = deflate(&c->z, last ? Z_FINISH : Z_SYNC_FLUSH);
		if (verdict == Z_STREAM_ERROR)
			return false;
		out->len += room - c->z.avail_out;
	} while (last ? verdict != Z_STREAM_END : c->z.avail_out == 0);
	return true;
}

#ifdef HAVE_BROTLI
/* A window of 256 KiB: larger ones cost megabytes for every response under way. */
static bool
brotli_init(struct compressor *c, unsigned level)
{
	enum { WINDOW_BITS = 16 };

	c->brotli = BrotliEncoderCreateInstance(NULL, NULL, NULL);
	if (!c->brotli)
		return false;
	BrotliEncoderSetParameter(c->brotli, BROTLI_PARAM_QUALITY, level);
	BrotliEncoderSetParameter(c->brotli, BROTLI_PARAM_LGWIN, WINDOW_BITS);
	return true;
}

static void
brotli_fini(struct compressor *c)
{
	BrotliEncoderDestroyInstance(c->brotli);
}

static bool
brotli_push(struct compressor *c, const void *in, size_t n, bool last,
    struct strbuf *out)
{
	BrotliEncoderOperation todo =
	    last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH;
	const uint8_t *next = in;
	size_t none = 0;

	do {
		const uint8_t *p;
		size_t got = 0;

		if (!BrotliEncoderCompressStream(c->brotli, todo, &n, &next, &none,
			NULL, NULL))
			return false;
		p = BrotliEncoderTakeOutput(c->brotli, &got);
		strbuf_append(out, p, got);
	} while (n || BrotliEncoderHasMoreOutput(c->brotli) ||
		 (last && !BrotliEncoderIsFinished(c->brotli)));
	return !out->failed;
}
#endif

static const struct coder coders[] = {
    {COMPRESS_GZIP, "gzip", gzip_init, gzip_fini, gzip_push},
#ifdef HAVE_BROTLI
    {COMPRESS_BROTLI, "br", brotli_init, brotli_fini, brotli_push},
#endif
};

enum { N_CODERS = sizeof(coders) / sizeof(*coders) };

static const struct coder *
coder_of(unsigned coding)
{
	for (size_t i = 0; i < N_CODERS; i++)
		if (coders[i].coding == coding)
			return &coders[i];
	return NULL;
}

unsigned
compress_codings(void)
{
	unsigned codings = 0;

	for (size_t i = 0; i < N_CODERS; i++)
		codings |= coders[i].coding;
	return codings;
}

const char *
compress_coding_name(unsigned coding)
{
	const struct coder *coder = coder_of(coding);

	return coder ? coder->name : "identity";
}

struct compressor *
compressor_new(unsigned coding, unsigned level)
{
	const struct coder *coder = coder_of(coding);
	struct compressor *c = coder ? calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return NULL;
	c->coder = coder;
	if (coder->init(c, level))
		return c;
	free(c);
	return NULL;
}

void
compressor_free(struct compressor *c)
{
	if (!c)
		return;
	c->coder->fini(c);
	free(c);
}

bool
compressor_push(struct compressor *c, const void *in, size_t n, bool last,
    struct strbuf *out)
{
	if (n == 0 && !last)
		return true; /* to flush nothing would still write something */
	return c->coder->push(c, in, n, last, out);
}
