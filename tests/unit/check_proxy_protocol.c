/* SPDX-License-Identifier: MIT
 *
 * check_proxy_protocol.c - PROXY headers are taken exactly as specified, however they
 * arrive, and what is written is read back.
 */
#include "net/proxy_protocol.h"

#include <check.h>
#include <stdlib.h>

Suite *suite_proxy_protocol(void);

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_BYTES \
	"\12\0\0\1\300\250\1\2\x1f\x90\1\273" /* 10.0.0.1:8080 192.168.1.2:443 */

/* A header of version 2 put together from what a test wants it to say. */
struct v2 {
	char bytes[PROXY_HEADER_MAX + 64];
	size_t n;
};

static struct v2
v2_of(unsigned command, unsigned family, struct str body)
{
	struct v2 h = {.n = 16 + body.n};

	memcpy(h.bytes, SIGNATURE, 12);
	h.bytes[12] = (char)command;
	h.bytes[13] = (char)family;
	h.bytes[14] = (char)(body.n >> 8);
	h.bytes[15] = (char)body.n;
	memcpy(h.bytes + 16, body.p, body.n);
	return h;
}

/* The verdict on these bytes, from the heap, where the sanitizer sees a look behind the
 * end; every shorter piece of them must have said MORE or the same. */
static enum proxy_verdict
verdict_of(struct str bytes, struct proxy_header *h, size_t *used_r)
{
	enum proxy_verdict whole = proxy_header_parse(bytes.p, bytes.n, h, used_r);

	for (size_t n = 0; n < bytes.n; n++) {
		char *copy = malloc(n + 1);
		struct proxy_header cut;
		size_t used;
		enum proxy_verdict v;

		memcpy(copy + 1, bytes.p, n);
		v = proxy_header_parse(copy + 1, n, &cut, &used);
		free(copy);
		ck_assert_msg(v == PROXY_MORE || v == whole,
		    "verdict %d after %zu of "
		    "%zu bytes, then %d",
		    v, n, bytes.n, whole);
		ck_assert_msg(v != PROXY_DONE || used == *used_r, "length changed");
		if (v == PROXY_MORE)
			ck_assert_msg(whole != PROXY_DONE || n < *used_r,
			    "whole after %zu, but more was wanted", n);
	}
	return whole;
}

static struct proxy_header
taken(struct str bytes, size_t *used_r)
{
	struct proxy_header h;

	ck_assert_msg(verdict_of(bytes, &h, used_r) == PROXY_DONE, "refused: %.*s",
	    (int)bytes.n, bytes.p);
	return h;
}

static void
ck_header(struct str bytes, const char *source, const char *destination)
{
	char text[ADDR_TEXT];
	size_t used;
	struct proxy_header h = taken(bytes, &used);

	ck_assert(!h.local);
	ck_assert_str_eq(addr_print(&h.source, true, text), source);
	ck_assert_str_eq(addr_print(&h.destination, true, text), destination);
}

static void
ck_refused(struct str bytes)
{
	struct proxy_header h = {0};
	size_t used = 77;

	ck_assert_msg(verdict_of(bytes, &h, &used) == PROXY_BAD, "not refused: %.*s",
	    (int)bytes.n, bytes.p);
	ck_assert_uint_eq(used, 77);
	ck_assert_uint_eq(h.source.sa.sa_family, 0);
}

/* ---- version 1 ---- */

START_TEST(line_gives_its_addresses)
{
	ck_header(STR("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"),
	    "192.168.0.1:56324", "192.168.0.11:443");
	ck_header(STR("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	    "255.255.255.255:65535", "255.255.255.255:65535");
	ck_header(STR("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0", "0.0.0.0:0");
	ck_header(STR("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "[2001:db8::1]:1",
	    "[::1]:2");
	ck_header(STR("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}
END_TEST

START_TEST(line_ends_where_it_ends)
{
	size_t used;

	taken(STR("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n\r\n"), &used);
	ck_assert_uint_eq(used, sizeof("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n") - 1);
	taken(STR("PROXY UNKNOWN\r\n\r\n"), &used);
	ck_assert_uint_eq(used, 15);
}
END_TEST

START_TEST(unknown_line_is_about_the_connection_itself)
{
	static const char *const lines[] = {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\n",
	    "PROXY UNKNOWN whatever it says  here\r\n",
	    "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		size_t used;
		struct proxy_header h = taken(str_of(lines[i]), &used);

		ck_assert(h.local);
		ck_assert_uint_eq(h.source.sa.sa_family, 0);
		ck_assert_uint_eq(h.destination.sa.sa_family, 0);
		ck_assert_uint_eq(used, strlen(lines[i]));
	}
}
END_TEST

START_TEST(refuses_lines_that_deviate)
{
	static const char *const lines[] = {"PROXY \r\n", "PROXY \n", "PROXY TCP4\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
	    "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
	    "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
	    "PROXY TCP4 1.2.3.4\t5.6.7.8 1 2\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
	    "PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n", "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
	    "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
	    "PROXY TCP6 ::1 5.6.7.8 1 2\r\n", "PROXY TCP6 [::1] [::1] 1 2\r\n",
	    "PROXY TCP6 ::1%lo ::1 1 2\r\n", "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
	    "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY TCP 1.2.3.4 5.6.7.8 1 2\r\n",
	    "PROXY UNKNOWNX\r\n", "PROXY unknown\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "PROXY UNKNOWN\n",
	    "PROXY UNKNOWN\r\r\n", "PROXY UNKNOWN a\rb\r\n",
	    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n", "PROXY / HTTP/1.1\r\n"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ck_refused(str_of(lines[i]));
	ck_refused(STR("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n"));
}
END_TEST

START_TEST(refuses_lines_that_are_too_long)
{
	char line[128];
	size_t used;

	memset(line, 'x', sizeof line);
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + 105, "\r\n", 2);
	taken((struct str){line, 107}, &used);
	line[105] = 'x';
	memcpy(line + 106, "\r\n", 2);
	ck_refused((struct str){line, 108});
	memset(line + 106, 'x', 2);
	ck_refused((struct str){line, 107});
}
END_TEST

/* ---- version 2 ---- */

START_TEST(binary_header_gives_its_addresses)
{
	struct v2 v4 = v2_of(0x21, 0x11, STR(V4_BYTES));
	struct v2 v6 = v2_of(0x21, 0x21,
	    STR("\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1"
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
		"\0\1\377\377"));

	ck_header((struct str){v4.bytes, v4.n}, "10.0.0.1:8080", "192.168.1.2:443");
	ck_header((struct str){v6.bytes, v6.n}, "[2001:db8::1]:1", "[::1]:65535");
}
END_TEST

START_TEST(binary_header_ends_where_its_length_says)
{
	struct v2 h = v2_of(0x21, 0x11, STR(V4_BYTES "\4\0\2ab"));
	size_t used;

	memcpy(h.bytes + h.n, "GET /", 5);
	taken((struct str){h.bytes, h.n + 5}, &used);
	ck_assert_uint_eq(used, h.n);
}
END_TEST

START_TEST(local_header_is_about_the_connection_itself)
{
	/* whatever its family, even one that does not exist */
	static const unsigned families[] = {0x00, 0x11, 0x21, 0x31, 0xff};

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		struct v2 h = v2_of(0x20, families[i], STR("junk"));
		size_t used;
		struct proxy_header header = taken((struct str){h.bytes, h.n}, &used);

		ck_assert(header.local);
		ck_assert_uint_eq(header.source.sa.sa_family, 0);
		ck_assert_uint_eq(used, 20);
	}
}
END_TEST

START_TEST(relayed_without_an_ip_stream_gives_no_address)
{
	static const char nothing[216];
	static const struct {
		unsigned family;
		size_t n;
	} cases[] = {{0x00, 0}, {0x00, 9}, {0x01, 3}, {0x10, 5}, {0x20, 0}, {0x12, 12},
	    {0x22, 36}, {0x31, 216}, {0x32, 216}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v2 h =
		    v2_of(0x21, cases[i].family, (struct str){nothing, cases[i].n});
		size_t used;
		struct proxy_header header = taken((struct str){h.bytes, h.n}, &used);

		ck_assert(!header.local);
		ck_assert_uint_eq(header.source.sa.sa_family, 0);
		ck_assert_uint_eq(header.destination.sa.sa_family, 0);
		ck_assert_uint_eq(used, 16 + cases[i].n);
	}
}
END_TEST

START_TEST(refuses_binary_headers_that_deviate)
{
	static const struct {
		unsigned command, family;
		size_t n;
	} cases[] = {{0x11, 0x11, 12}, {0x31, 0x11, 12}, {0x22, 0x11, 12},
	    {0x2f, 0x11, 12}, {0x01, 0x11, 12}, {0x21, 0x41, 216}, {0x21, 0xf1, 216},
	    {0x21, 0x13, 12}, {0x21, 0x1f, 12}, {0x21, 0x11, 11}, {0x21, 0x11, 0},
	    {0x21, 0x12, 11}, {0x21, 0x21, 35}, {0x21, 0x31, 215}, {0x21, 0x11, 13},
	    {0x21, 0x11, 14}};
	static const char nothing[216];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v2 h = v2_of(cases[i].command, cases[i].family,
		    (struct str){nothing, cases[i].n});

		ck_refused((struct str){h.bytes, h.n});
	}
}
END_TEST

START_TEST(refuses_binary_headers_that_are_too_long)
{
	static const char nothing[PROXY_HEADER_MAX];
	struct v2 h = v2_of(0x20, 0, (struct str){nothing, PROXY_HEADER_MAX - 16});
	size_t used;

	taken((struct str){h.bytes, h.n}, &used);
	ck_assert_uint_eq(used, PROXY_HEADER_MAX);
	h = v2_of(0x20, 0, (struct str){nothing, PROXY_HEADER_MAX - 15});
	ck_refused((struct str){h.bytes, 16}); /* known from the length alone */
	memset(h.bytes + 14, 0xff, 2);
	ck_refused((struct str){h.bytes, 16});
}
END_TEST

START_TEST(extra_values_must_fill_their_place)
{
	static const struct {
		struct str tlvs;
		bool good;
	} cases[] = {{STR("\4\0\0"), true}, {STR("\4\0\0\4\0\1x\2\0\3abc"), true},
	    {STR("\xee\0\2ab"), true}, {STR("\4"), false}, {STR("\4\0"), false},
	    {STR("\4\0\1"), false}, {STR("\4\1\0abc"), false},
	    {STR("\4\0\0\4\0\2x"), false}, {STR("\4\xff\xff"), false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char body[64];
		struct v2 h;

		memcpy(body, V4_BYTES, 12);
		memcpy(body + 12, cases[i].tlvs.p, cases[i].tlvs.n);
		h = v2_of(0x21, 0x11, (struct str){body, 12 + cases[i].tlvs.n});
		if (cases[i].good)
			ck_header((struct str){h.bytes, h.n}, "10.0.0.1:8080",
			    "192.168.1.2:443");
		else
			ck_refused((struct str){h.bytes, h.n});
	}
}
END_TEST

/* Another way to the checksum than the parser's: the remainder of a division of
 * polynomials, bits taken most significant first. */
static uint32_t
long_division(const char *p, size_t n)
{
	uint32_t rest = UINT32_MAX, reversed = 0;

	for (size_t i = 0; i < n * 8; i++) {
		uint32_t bit = (uint8_t)p[i / 8] >> i % 8 & 1;
		bool carry = (rest >> 31 ^ bit) & 1;

		rest <<= 1;
		if (carry)
			rest ^= UINT32_C(0x1EDC6F41);
	}
	for (int i = 0; i < 32; i++)
		reversed |= (rest >> i & 1) << (31 - i);
	return ~reversed;
}

START_TEST(checksum_is_verified)
{
	struct v2 h = v2_of(0x21, 0x11, STR(V4_BYTES "\3\0\4\0\0\0\0\4\0\1x"));
	uint32_t sum;

	ck_assert_uint_eq(long_division("123456789", 9), 0xE3069283);
	sum = long_division(h.bytes, h.n);
	for (int i = 0; i < 4; i++)
		h.bytes[16 + 12 + 3 + i] = (char)(sum >> (24 - 8 * i));
	ck_header((struct str){h.bytes, h.n}, "10.0.0.1:8080", "192.168.1.2:443");
	for (size_t i = 16; i < h.n; i++) {
		if (i == 16 + 12)
			continue; /* its type: without it nothing is verified */
		h.bytes[i] ^= 0x10;
		ck_refused((struct str){h.bytes, h.n});
		h.bytes[i] ^= 0x10;
	}
}
END_TEST

START_TEST(checksum_has_four_bytes)
{
	struct v2 none = v2_of(0x21, 0x11, STR(V4_BYTES "\3\0\0"));
	struct v2 three = v2_of(0x21, 0x11, STR(V4_BYTES "\3\0\3abc"));
	struct v2 five = v2_of(0x21, 0x11, STR(V4_BYTES "\3\0\5abcde"));

	ck_refused((struct str){none.bytes, none.n});
	ck_refused((struct str){three.bytes, three.n});
	ck_refused((struct str){five.bytes, five.n});
}
END_TEST

/* ---- both ---- */

START_TEST(anything_else_is_left_alone)
{
	static const char *const texts[] = {"GET / HTTP/1.1\r\n\r\n", "POST /", "PRI *",
	    "PROPFIND / HTTP/1.1\r\n", "PROXYX", "PROXY\r\n", "proxy TCP4", " PROXY",
	    "\r\nGET / HTTP/1.1\r\n", "\r\n\r\nPROXY", "\n", "\26\3\1"};
	struct proxy_header h;
	size_t used;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_int_eq(verdict_of(str_of(texts[i]), &h, &used), PROXY_NONE);
	ck_assert_int_eq(verdict_of(STR("\r\n\r\n\0\r\nQUIZ\n"), &h, &used),
	    PROXY_NONE);
	ck_assert_int_eq(verdict_of(STR("\0"), &h, &used), PROXY_NONE);
}
END_TEST

START_TEST(waits_for_the_rest)
{
	struct v2 h = v2_of(0x21, 0x11, STR(V4_BYTES));
	struct proxy_header header;
	size_t used;

	ck_assert_int_eq(proxy_header_parse(NULL, 0, &header, &used), PROXY_MORE);
	ck_assert_int_eq(proxy_header_parse("P", 1, &header, &used), PROXY_MORE);
	ck_assert_int_eq(proxy_header_parse("PROXY UNKNOWN\r", 14, &header, &used),
	    PROXY_MORE);
	ck_assert_int_eq(proxy_header_parse(h.bytes, 12, &header, &used), PROXY_MORE);
	ck_assert_int_eq(proxy_header_parse(h.bytes, h.n - 1, &header, &used),
	    PROXY_MORE);
}
END_TEST

static struct addr
addr_of(const char *text)
{
	struct addr a;

	ck_assert(addr_parse(str_of(text), &a));
	return a;
}

START_TEST(reads_back_what_it_writes)
{
	static const char *const pairs[][2] = {{"1.2.3.4:5", "6.7.8.9:10"},
	    {"255.255.255.255:65535", "255.255.255.254:65534"},
	    {"[2001:db8::1]:443", "[::]:0"}, {"[::ffff:1.2.3.4]:1", "[::1]:2"},
	    {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		"[fff0:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65534"}};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		for (unsigned version = 1; version <= 2; version++) {
			struct addr from = addr_of(pairs[i][0]);
			struct addr to = addr_of(pairs[i][1]);
			char out[PROXY_HEADER_OUT];
			size_t n = proxy_header_write(out, version, &from, &to), used;

			ck_header((struct str){out, n}, pairs[i][0], pairs[i][1]);
			taken((struct str){out, n}, &used);
			ck_assert_uint_eq(used, n);
		}
}
END_TEST

START_TEST(writes_what_the_specification_shows)
{
	struct addr from = addr_of("192.168.0.1:56324"),
		    to = addr_of("192.168.0.11:443");
	struct v2 h = v2_of(0x21, 0x11, STR(V4_BYTES));
	char out[PROXY_HEADER_OUT];
	size_t n = proxy_header_write(out, 1, &from, &to);

	ck_assert(str_eq((struct str){out, n},
	    STR("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n")));
	from = addr_of("10.0.0.1:8080");
	to = addr_of("192.168.1.2:443");
	n = proxy_header_write(out, 2, &from, &to);
	ck_assert(str_eq((struct str){out, n}, (struct str){h.bytes, h.n}));
}
END_TEST

START_TEST(writes_no_address_where_there_is_none_in_common)
{
	struct addr v4 = addr_of("1.2.3.4:5"), v6 = addr_of("[::1]:5"), none = {0};
	struct addr unix_peer = {0};
	const struct addr *pairs[][2] = {{&v4, &v6}, {&v6, &v4}, {&none, &none},
	    {&v4, &none}, {&unix_peer, &unix_peer}, {&v4, &unix_peer}};

	unix_peer.sa.sa_family = AF_UNIX;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char out[PROXY_HEADER_OUT];
		size_t n = proxy_header_write(out, 1, pairs[i][0], pairs[i][1]);

		ck_assert(str_eq((struct str){out, n}, STR("PROXY UNKNOWN\r\n")));
		n = proxy_header_write(out, 2, pairs[i][0], pairs[i][1]);
		ck_assert(str_eq((struct str){out, n}, STR(SIGNATURE "\x20\0\0\0")));
	}
}
END_TEST

Suite *
suite_proxy_protocol(void)
{
	Suite *s = suite_create("proxy_protocol");
	TCase *tc = tcase_create("version 1");

	tcase_add_test(tc, line_gives_its_addresses);
	tcase_add_test(tc, line_ends_where_it_ends);
	tcase_add_test(tc, unknown_line_is_about_the_connection_itself);
	tcase_add_test(tc, refuses_lines_that_deviate);
	tcase_add_test(tc, refuses_lines_that_are_too_long);
	suite_add_tcase(s, tc);

	tc = tcase_create("version 2");
	tcase_add_test(tc, binary_header_gives_its_addresses);
	tcase_add_test(tc, binary_header_ends_where_its_length_says);
	tcase_add_test(tc, local_header_is_about_the_connection_itself);
	tcase_add_test(tc, relayed_without_an_ip_stream_gives_no_address);
	tcase_add_test(tc, refuses_binary_headers_that_deviate);
	tcase_add_test(tc, refuses_binary_headers_that_are_too_long);
	tcase_add_test(tc, extra_values_must_fill_their_place);
	tcase_add_test(tc, checksum_is_verified);
	tcase_add_test(tc, checksum_has_four_bytes);
	suite_add_tcase(s, tc);

	tc = tcase_create("both");
	tcase_add_test(tc, anything_else_is_left_alone);
	tcase_add_test(tc, waits_for_the_rest);
	tcase_add_test(tc, reads_back_what_it_writes);
	tcase_add_test(tc, writes_what_the_specification_shows);
	tcase_add_test(tc, writes_no_address_where_there_is_none_in_common);
	suite_add_tcase(s, tc);
	return s;
}
