/* SPDX-License-Identifier: MIT
 *
 * check_compress.c - what is compressed and by which coding; what comes out is undone
 * by the libraries' own decoders.
 */
#include "base/random.h"
#include "base/strbuf.h"
#include "http/compress.h"
#include "message/response.h"

#include <check.h>
#include <stdlib.h>
#include <zlib.h>
#ifdef HAVE_BROTLI_DECODER
#include <brotli/decode.h>
#endif

Suite *suite_compress(void);

enum { GZIP = COMPRESS_GZIP, BROTLI = COMPRESS_BROTLI, BOTH = GZIP | BROTLI };

/* ---- what the client likes ---- */

static const struct {
	const char *accept;
	unsigned best; /* of both */
} likings[] = {
    {"", 0},
    {"gzip", GZIP},
    {"x-gzip", GZIP},
    {"GZIP", GZIP},
    {"br", BROTLI},
    {"deflate", 0},
    {"gzip, deflate, br", BROTLI},
    {"gzip, deflate, br, zstd", BROTLI},
    {" gzip\t;  q=0.5 ,br;q=0.5", BROTLI},
    {"gzip;q=1.0, br;q=0.8", GZIP},
    {"gzip;q=0.801, br;q=0.8", GZIP},
    {"gzip;q=0.8, br;q=0.801", BROTLI},
    {"gzip;q=0", 0},
    {"gzip;q=0.000", 0},
    {"gzip;q=0.001", GZIP},
    {"gzip;Q=1", GZIP},
    {"br;q=0, gzip", GZIP},
    {"*", BROTLI},
    {"*;q=0", 0},
    {"*;q=0.1, br;q=0", GZIP},
    {"gzip, *;q=0", GZIP},
    {"br;q=0.5, *", GZIP},
    {"identity", 0},
    {"identity, gzip", GZIP},
    {"identity;q=1, gzip;q=0.5", 0},
    {"identity;q=0.4, gzip;q=0.5", GZIP},
    {"identity;q=0", 0},
    {"identity;q=0, gzip;q=0.1", GZIP},
    /* what is no weight is no wish */
    {"gzip;q=", 0},
    {"gzip;q=1.001", 0},
    {"gzip;q=2", 0},
    {"gzip;q=.5", 0},
    {"gzip;q=0.1234", 0},
    {"gzip;q=-1", 0},
    {"gzip;q=0,5", 0},
    {"gzip;level=9", 0},
    {"gzip;", 0},
    {"gzipped, brotli, b", 0},
    {",, ,gzip,,", GZIP},
};

/* The coding for this response and a client that says this, as the relay finds it. */
static unsigned
coding_for(const struct config_compress *c, const struct response *r, struct str accept)
{
	return compress_varies(c, r) ? compress_negotiate(accept, c->codings) : 0;
}

START_TEST(codings_are_chosen_by_weight)
{
	const char *accept = likings[_i].accept;

	ck_assert_msg(compress_negotiate(str_of(accept), BOTH) == likings[_i].best,
	    "%s", accept);
}
END_TEST

START_TEST(only_offered_codings_are_chosen)
{
	ck_assert_uint_eq(compress_negotiate(STR("gzip, br"), GZIP), GZIP);
	ck_assert_uint_eq(compress_negotiate(STR("br, gzip;q=0.1"), GZIP), GZIP);
	ck_assert_uint_eq(compress_negotiate(STR("br"), GZIP), 0);
	ck_assert_uint_eq(compress_negotiate(STR("*"), GZIP), GZIP);
	ck_assert_uint_eq(compress_negotiate(STR("gzip"), BROTLI), 0);
	ck_assert_uint_eq(compress_negotiate(STR("gzip, br"), 0), 0);
	ck_assert_uint_eq(compress_negotiate(STR("br, gzip;q=0.1, identity;q=0.5"),
			      GZIP),
	    0);
}
END_TEST

/* ---- what may be compressed ---- */

static char *types[] = {(char[]){"text/html"}, (char[]){"application/JSON"},
    (char[]){"image/*"}};

static const struct config_compress conf = {
    .codings = GZIP,
    .types = types,
    .n_types = 3,
    .min_length = 100,
    .level = 4,
};

/* Good until the next one. */
static struct response
answer(enum method method, const char *status, const char *lines)
{
	static char memory[512];
	struct strbuf text = strbuf_over(memory, sizeof(memory));
	struct response r;
	size_t used;

	strbuf_printf(&text, "HTTP/1.1 %s X\r\n%s\r\n", status, lines);
	ck_assert_int_eq(response_parse(strbuf_cstr(&text), text.len, method, &r,
			     &used),
	    PARSE_DONE);
	return r;
}

#define HTML "Content-Type: text/html\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static const struct {
	const char *status, *lines;
	bool may;
} answers[] = {
    {"200", HTML CHUNKED, true},
    {"200", HTML, true}, /* until close */
    {"200", HTML "Content-Length: 100\r\n", true},
    {"200", HTML "Content-Length: 99\r\n", false},
    {"200", HTML "Content-Length: 0\r\n", false},
    {"200", "content-type: TEXT/html ; charset=utf-8\r\n" CHUNKED, true},
    {"200", "Content-Type: application/json\r\n" CHUNKED, true},
    {"200", "Content-Type: image/svg+xml\r\n" CHUNKED, true},
    {"200", "Content-Type: image/\r\n" CHUNKED, false},
    {"200", "Content-Type: images/png\r\n" CHUNKED, false},
    {"200", "Content-Type: text/html5\r\n" CHUNKED, false},
    {"200", "Content-Type: text/htm\r\n" CHUNKED, false},
    {"200", "Content-Type: text/plain\r\n" CHUNKED, false},
    {"200", "Content-Type: ;text/html\r\n" CHUNKED, false},
    {"200", "Content-Type:\r\n" CHUNKED, false},
    {"200", CHUNKED, false},
    {"200", HTML HTML CHUNKED, false},
    {"200", HTML CHUNKED "Content-Encoding: gzip\r\n", false},
    {"200", HTML CHUNKED "content-encoding: identity\r\n", false},
    {"200", HTML CHUNKED "Content-MD5: x\r\n", false},
    {"200", HTML CHUNKED "Digest: x\r\n", false},
    {"200", HTML CHUNKED "Repr-Digest: x\r\n", false},
    {"200", HTML CHUNKED "Content-Digest: x\r\n", false},
    {"200", HTML CHUNKED "Cache-Control: max-age=1, No-Transform\r\n", false},
    {"200", HTML CHUNKED "Cache-Control: a\r\nCache-Control: no-transform\r\n", false},
    {"200", HTML CHUNKED "Cache-Control: no-transformation\r\n", true},
    {"201", HTML CHUNKED, true},
    {"404", HTML CHUNKED, true},
    {"500", HTML CHUNKED, true},
    {"204", HTML, false},
    {"205", HTML CHUNKED, false},
    {"206", HTML CHUNKED "Content-Range: bytes 0-199/1000\r\n", false},
    {"304", HTML, false},
    {"103", HTML, false},
};

START_TEST(answers_are_compressed_where_it_is_right)
{
	struct response r = answer(METHOD_GET, answers[_i].status, answers[_i].lines);
	unsigned expected = answers[_i].may ? GZIP : 0;

	ck_assert_msg(coding_for(&conf, &r, STR("gzip")) == expected, "%s",
	    answers[_i].lines);
	ck_assert(compress_varies(&conf, &r) == answers[_i].may);
	/* for others it may be what it is, but caches must know */
	ck_assert_uint_eq(coding_for(&conf, &r, STR("gzip;q=0")), 0);
	ck_assert_uint_eq(coding_for(&conf, &r, (struct str){NULL, 0}), 0);
}
END_TEST

START_TEST(events_are_never_compressed)
{
	char *all[] = {(char[]){"text/event-stream"}, (char[]){"text/*"}};
	struct config_compress c = {.codings = GZIP,
	    .types = all,
	    .n_types = 2,
	    .level = 1};
	struct response r =
	    answer(METHOD_GET, "200", "Content-Type: text/Event-Stream; x=y\r\n");

	ck_assert(!compress_varies(&c, &r));
	r = answer(METHOD_GET, "200", "Content-Type: text/plain\r\n");
	ck_assert(compress_varies(&c, &r));
}
END_TEST

START_TEST(the_answer_to_a_head_is_told_what_get_would_get)
{
	struct response r = answer(METHOD_HEAD, "200", HTML "Content-Length: 100\r\n");

	ck_assert_uint_eq(coding_for(&conf, &r, STR("gzip")), GZIP);
	r = answer(METHOD_HEAD, "200", HTML);
	ck_assert_uint_eq(coding_for(&conf, &r, STR("gzip")), GZIP);
	r = answer(METHOD_HEAD, "200", HTML "Content-Length: 99\r\n");
	ck_assert_uint_eq(coding_for(&conf, &r, STR("gzip")), 0);
}
END_TEST

START_TEST(an_empty_body_stays_empty)
{
	struct config_compress all = conf;
	struct response r = answer(METHOD_GET, "200", HTML "Content-Length: 0\r\n");

	all.min_length = 0;
	ck_assert_uint_eq(coding_for(&all, &r, STR("gzip")), 0);
	r = answer(METHOD_GET, "200", HTML "Content-Length: 1\r\n");
	ck_assert_uint_eq(coding_for(&all, &r, STR("gzip")), GZIP);
}
END_TEST

START_TEST(off_is_off)
{
	struct config_compress off = conf;
	struct response r = answer(METHOD_GET, "200", HTML CHUNKED);

	off.codings = 0;
	ck_assert_uint_eq(coding_for(&off, &r, STR("gzip, br")), 0);
	ck_assert(!compress_varies(&off, &r));
}
END_TEST

START_TEST(a_coding_that_was_not_built_in_is_not_chosen)
{
	struct config_compress c = conf;
	struct response r = answer(METHOD_GET, "200", HTML CHUNKED);

	c.codings = BOTH;
	ck_assert(compress_codings() & GZIP);
	ck_assert_uint_eq(coding_for(&c, &r, STR("gzip;q=0.5, br")),
	    compress_codings() & BROTLI ? BROTLI : GZIP);
	c.codings = BROTLI;
	ck_assert(compress_varies(&c, &r) == !!(compress_codings() & BROTLI));
	ck_assert_str_eq(compress_coding_name(GZIP), "gzip");
	if (compress_codings() & BROTLI)
		ck_assert_str_eq(compress_coding_name(BROTLI), "br");
	else
		ck_assert_ptr_null(compressor_new(BROTLI, 4));
}
END_TEST

/* ---- compressing, and back ---- */

static void
gunzip(const struct strbuf *in, struct strbuf *out, bool whole)
{
	z_stream z = {.next_in = (Bytef *)in->data, .avail_in = (uInt)in->len};
	int verdict = Z_OK;

	ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
	while (verdict == Z_OK) {
		ck_assert(strbuf_reserve(out, 65536));
		z.next_out = (Bytef *)out->data + out->len;
		z.avail_out = (uInt)(out->cap - out->len);
		verdict = inflate(&z, Z_SYNC_FLUSH);
		out->len = out->cap - z.avail_out;
		if (!whole && z.avail_in == 0 && z.avail_out)
			break;
	}
	ck_assert_int_eq(verdict, whole ? Z_STREAM_END : Z_OK);
	ck_assert_uint_eq(z.avail_in, 0);
	inflateEnd(&z);
}

#ifdef HAVE_BROTLI_DECODER
static void
unbrotli(const struct strbuf *in, struct strbuf *out, bool whole)
{
	BrotliDecoderState *d = BrotliDecoderCreateInstance(NULL, NULL, NULL);
	const uint8_t *next = (const uint8_t *)in->data;
	BrotliDecoderResult verdict;
	size_t n = in->len;

	do {
		size_t room;
		uint8_t *to;

		ck_assert(strbuf_reserve(out, 65536));
		room = out->cap - out->len;
		to = (uint8_t *)out->data + out->len;
		verdict = BrotliDecoderDecompressStream(d, &n, &next, &room, &to, NULL);
		out->len = out->cap - room;
	} while (verdict == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
	ck_assert_int_eq(verdict, whole ? BROTLI_DECODER_RESULT_SUCCESS
					: BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT);
	ck_assert_uint_eq(n, 0);
	BrotliDecoderDestroyInstance(d);
}
#endif

static void
undo(unsigned coding, const struct strbuf *in, struct strbuf *out, bool whole)
{
	strbuf_reset(out);
	if (coding == GZIP)
		gunzip(in, out, whole);
#ifdef HAVE_BROTLI_DECODER
	else
		unbrotli(in, out, whole);
#endif
}

/* The codings whose output can be undone here. */
static const unsigned undoable[] = {
    GZIP,
#ifdef HAVE_BROTLI_DECODER
    BROTLI,
#endif
};

enum { N_UNDOABLE = sizeof(undoable) / sizeof(*undoable), LEVELS = 9 };

/* Like a page: words that come again. */
static void
write_page(struct strbuf *out, size_t n, struct random *dice)
{
	static const char *words[] = {"<div>", "</div>\n", "roost ", "session ", "of ",
	    "backend ", "the ", "client ", "is ", "\xc3\xa4rger "};

	while (out->len < n)
		strbuf_puts(out, words[random_below(dice, 10)]);
	out->len = n;
}

static void
write_noise(struct strbuf *out, size_t n, struct random *dice)
{
	while (out->len < n) {
		char c = (char)random_below(dice, 256);

		strbuf_append(out, &c, 1);
	}
}

static void
check_round(unsigned coding, unsigned level, const struct strbuf *body, size_t piece)
{
	struct compressor *c = compressor_new(coding, level);
	struct strbuf packed = STRBUF_INIT, back = STRBUF_INIT;

	ck_assert_ptr_nonnull(c);
	for (size_t at = 0; at < body->len; at += piece) {
		size_t n = body->len - at < piece ? body->len - at : piece;

		ck_assert(compressor_push(c, body->data + at, n, false, &packed));
	}
	ck_assert(compressor_push(c, NULL, 0, true, &packed));
	compressor_free(c);
	undo(coding, &packed, &back, true);
	ck_assert_uint_eq(back.len, body->len);
	if (back.len)
		ck_assert_mem_eq(back.data, body->data, body->len);
	strbuf_fini(&packed);
	strbuf_fini(&back);
}

START_TEST(bodies_of_every_size_come_back_as_they_were)
{
	static const size_t sizes[] = {0, 1, 2, 100, 4095, 4096, 4097, 65536, 300000};
	struct random dice;

	random_seed(&dice, 7);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct strbuf page = STRBUF_INIT, noise = STRBUF_INIT;

		write_page(&page, sizes[i], &dice);
		write_noise(&noise, sizes[i], &dice);
		check_round(undoable[_i], 4, &page, 65536);
		check_round(undoable[_i], 4, &noise, 65536);
		if (sizes[i] <= 4096)
			check_round(undoable[_i], 4, &page, 7);
		strbuf_fini(&page);
		strbuf_fini(&noise);
	}
}
END_TEST

START_TEST(all_levels_work)
{
	unsigned coding = undoable[_i % N_UNDOABLE], level = (unsigned)_i / N_UNDOABLE;
	struct strbuf page = STRBUF_INIT;
	struct random dice;

	random_seed(&dice, 8);
	write_page(&page, 200000, &dice);
	check_round(coding, level + 1, &page, 16384);
	strbuf_fini(&page);
}
END_TEST

START_TEST(each_piece_can_be_read_as_soon_as_it_is_pushed)
{
	struct compressor *c = compressor_new(undoable[_i], 4);
	struct strbuf packed = STRBUF_INIT, back = STRBUF_INIT, said = STRBUF_INIT;

	for (int i = 0; i < 50; i++) {
		struct strbuf piece = STRBUF_INIT;

		strbuf_printf(&piece, "message number %d\n", i);
		strbuf_append(&said, piece.data, piece.len);
		ck_assert(compressor_push(c, piece.data, piece.len, false, &packed));
		undo(undoable[_i], &packed, &back, false);
		ck_assert_uint_eq(back.len, said.len);
		ck_assert_mem_eq(back.data, said.data, said.len);
		strbuf_fini(&piece);
	}
	compressor_free(c);
	strbuf_fini(&packed);
	strbuf_fini(&back);
	strbuf_fini(&said);
}
END_TEST

START_TEST(pushing_nothing_writes_nothing)
{
	struct compressor *c = compressor_new(undoable[_i], 4);
	struct strbuf packed = STRBUF_INIT;
	size_t len;

	ck_assert(compressor_push(c, NULL, 0, false, &packed));
	ck_assert_uint_eq(packed.len, 0);
	ck_assert(compressor_push(c, "x", 1, false, &packed));
	len = packed.len;
	ck_assert(compressor_push(c, NULL, 0, false, &packed));
	ck_assert_uint_eq(packed.len, len);
	compressor_free(c);
	strbuf_fini(&packed);
}
END_TEST

START_TEST(a_page_becomes_much_smaller)
{
	struct compressor *c = compressor_new(undoable[_i], 4);
	struct strbuf packed = STRBUF_INIT, page = STRBUF_INIT;
	struct random dice;

	random_seed(&dice, 9);
	write_page(&page, 65536, &dice);
	ck_assert(compressor_push(c, page.data, page.len, true, &packed));
	ck_assert_uint_lt(packed.len, page.len / 4);
	compressor_free(c);
	strbuf_fini(&packed);
	strbuf_fini(&page);
}
END_TEST

START_TEST(no_memory_is_told)
{
	struct compressor *c = compressor_new(undoable[_i], 1);
	struct strbuf packed = {.limit = 100}, noise = STRBUF_INIT;
	struct random dice;

	random_seed(&dice, 10);
	write_noise(&noise, 10000, &dice);
	ck_assert(!compressor_push(c, noise.data, noise.len, false, &packed));
	compressor_free(c);
	compressor_free(NULL);
	strbuf_fini(&packed);
	strbuf_fini(&noise);
}
END_TEST

Suite *
suite_compress(void)
{
	enum {
		N_LIKINGS = sizeof(likings) / sizeof(*likings),
		N_ANSWERS = sizeof(answers) / sizeof(*answers)
	};
	Suite *suite = suite_create("compress");
	TCase *choice = tcase_create("choice"), *coders = tcase_create("coders");

	tcase_add_loop_test(choice, codings_are_chosen_by_weight, 0, N_LIKINGS);
	tcase_add_test(choice, only_offered_codings_are_chosen);
	tcase_add_loop_test(choice, answers_are_compressed_where_it_is_right, 0,
	    N_ANSWERS);
	tcase_add_test(choice, events_are_never_compressed);
	tcase_add_test(choice, the_answer_to_a_head_is_told_what_get_would_get);
	tcase_add_test(choice, an_empty_body_stays_empty);
	tcase_add_test(choice, off_is_off);
	tcase_add_test(choice, a_coding_that_was_not_built_in_is_not_chosen);
	suite_add_tcase(suite, choice);

	tcase_set_timeout(coders, 60);
	tcase_add_loop_test(coders, bodies_of_every_size_come_back_as_they_were, 0,
	    N_UNDOABLE);
	tcase_add_loop_test(coders, all_levels_work, 0, LEVELS * N_UNDOABLE);
	tcase_add_loop_test(coders, each_piece_can_be_read_as_soon_as_it_is_pushed, 0,
	    N_UNDOABLE);
	tcase_add_loop_test(coders, pushing_nothing_writes_nothing, 0, N_UNDOABLE);
	tcase_add_loop_test(coders, a_page_becomes_much_smaller, 0, N_UNDOABLE);
	tcase_add_loop_test(coders, no_memory_is_told, 0, N_UNDOABLE);
	suite_add_tcase(suite, coders);
	return suite;
}
