/* SPDX-License-Identifier: MIT
 *
 * check_addr.c - socket addresses are read strictly and printed as they are read.
 */
#include "base/addr.h"

#include <check.h>
#include <stdlib.h>

Suite *suite_addr(void);

static struct addr
parsed(const char *text)
{
	struct addr a;

	ck_assert_msg(addr_parse(str_of(text), &a), "%s was refused", text);
	return a;
}

START_TEST(prints_what_it_reads)
{
	static const char *const texts[] = {"1.2.3.4:80", "0.0.0.0:0",
	    "255.255.255.255:65535", "[::1]:80", "[::]:443", "[2001:db8::a:1]:1",
	    "[::ffff:1.2.3.4]:9"};
	char buf[ADDR_TEXT];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct addr a = parsed(texts[i]);

		ck_assert_str_eq(addr_print(&a, true, buf), texts[i]);
	}
}
END_TEST

START_TEST(prints_the_address_alone)
{
	struct addr v4 = parsed("10.0.0.1:80"), v6 = parsed("[fe80::2]:80");
	struct addr none = {0};
	char buf[ADDR_TEXT];

	ck_assert_str_eq(addr_print(&v4, false, buf), "10.0.0.1");
	ck_assert_str_eq(addr_print(&v6, false, buf), "fe80::2");
	ck_assert_str_eq(addr_print(&none, true, buf), "-");
}
END_TEST

START_TEST(no_host_means_any)
{
	struct addr star = parsed("*:80"), empty = parsed(":80");
	struct addr any = parsed("0.0.0.0:80");

	ck_assert(addr_eq(&star, &any));
	ck_assert(addr_eq(&empty, &any));
}
END_TEST

START_TEST(refuses_anything_else)
{
	static const char *const texts[] = {"", ":", "1.2.3.4", "1.2.3.4:", "80",
	    "1.2.3.4:99999", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+1",
	    "1.2.3.4:0x50", "1.2.3.4:080", "1.2.3.4: 80", "1.2.3.4:80 ", " 1.2.3.4:80",
	    "1.2.3:80", "1.2.3.256:80", "01.2.3.4:80", "1.2.3.4.5:80", "a:80",
	    "localhost:80", "[::1", "[::1]", "[::1]80", "[::1]:", "[]:80", "[", "[]",
	    "[1.2.3.4]:80", "[*]:80", "::1:80", "::1", "[::1%lo]:80", "[::g]:80",
	    "[[::1]]:80", "1.2.3.4:80:90",
	    "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]:80"};
	struct addr a = {0};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(!addr_parse(str_of(texts[i]), &a), "%s was taken",
		    texts[i]);
	ck_assert(!addr_parse(STR("1.2.3.4\0:80"), &a));
	ck_assert(!addr_parse((struct str){NULL, 0}, &a));
	ck_assert_msg(addr_len(&a) == 0, "a refused text left something behind");
}
END_TEST

START_TEST(reads_no_further_than_the_slice)
{
	struct str text = STR("1.2.3.4:8012");
	struct addr a;

	text.n = sizeof("1.2.3.4:80") - 1;
	ck_assert(addr_parse(text, &a));
	ck_assert_uint_eq(addr_port(&a), 80);
	/* on the heap, where the sanitizer sees a look behind the end */
	for (size_t n = 0; n < 8; n++) {
		char *copy = malloc(n + 1);

		memcpy(copy + 1, "[::1]:80", n);
		ck_assert_int_eq(addr_parse((struct str){copy + 1, n}, &a), n == 7);
		free(copy);
	}
}
END_TEST

START_TEST(splits_names_too)
{
	struct str host;
	uint16_t port;

	ck_assert(addr_split(STR("app.internal:3000"), &host, &port));
	ck_assert(str_eq(host, STR("app.internal")));
	ck_assert_uint_eq(port, 3000);
	ck_assert(addr_split(STR("[::1]:0"), &host, &port));
	ck_assert(str_eq(host, STR("::1")));
	ck_assert_uint_eq(port, 0);
	ck_assert(!addr_split(STR("app.internal"), &host, &port));
	ck_assert(!addr_split(STR("app:http"), &host, &port));
}
END_TEST

START_TEST(compares_family_address_and_port)
{
	struct addr a = parsed("1.2.3.4:80"), b = parsed("1.2.3.4:81");
	struct addr c = parsed("1.2.3.5:80"), d = parsed("[::1]:80");
	struct addr e = parsed("[::2]:80"), f = parsed("[::2]:80");

	ck_assert(addr_eq(&a, &a));
	ck_assert(!addr_eq(&a, &b));
	ck_assert(!addr_eq(&a, &c));
	ck_assert(!addr_eq(&a, &d));
	ck_assert(!addr_eq(&d, &e));
	f.in6.sin6_flowinfo = 7;
	ck_assert(addr_eq(&e, &f));
	f.in6.sin6_scope_id = 7;
	ck_assert(!addr_eq(&e, &f));
	addr_set_port(&b, 80);
	ck_assert(addr_eq(&a, &b));
}
END_TEST

START_TEST(mapped_addresses_have_the_bytes_of_ipv4)
{
	struct addr a = parsed("1.2.3.4:80"), m = parsed("[::ffff:1.2.3.4]:9");
	struct addr v6 = parsed("[::1]:80"), none = {0};

	ck_assert_uint_eq(addr_bytes(&a).n, 4);
	ck_assert(str_eq(addr_bytes(&a), addr_bytes(&m)));
	ck_assert_mem_eq(addr_bytes(&a).p, "\1\2\3\4", 4);
	ck_assert_uint_eq(addr_bytes(&v6).n, 16);
	ck_assert_uint_eq(addr_bytes(&none).n, 0);
}
END_TEST

START_TEST(a_unix_peer_has_a_name_and_no_bytes)
{
	struct addr a = {0}, b = {0};
	char buf[ADDR_TEXT];

	a.sa.sa_family = b.sa.sa_family = AF_UNIX;
	ck_assert_str_eq(addr_print(&a, true, buf), "unix");
	ck_assert_str_eq(addr_print(&a, false, buf), "unix");
	ck_assert(addr_eq(&a, &b));
	ck_assert_uint_eq(addr_bytes(&a).n, 0);
	ck_assert_uint_eq(addr_port(&a), 0);
	ck_assert_uint_eq(sizeof(struct addr), sizeof(struct sockaddr_in6));
}
END_TEST

START_TEST(reads_unix_paths)
{
	char text[128] = "unix:/";
	struct str path;

	ck_assert(addr_unix_path(STR("unix:/run/a.sock"), &path));
	ck_assert(str_eq(path, STR("/run/a.sock")));
	memset(text + 6, 'x', 107);
	ck_assert(addr_unix_path((struct str){text, 5 + 107}, &path));
	ck_assert_uint_eq(path.n, 107);
	ck_assert(!addr_unix_path((struct str){text, 5 + 108}, &path));
}
END_TEST

START_TEST(refuses_what_is_no_unix_path)
{
	static const char *const texts[] = {"", "unix", "unix:", "unix:run", "unix:80",
	    "unix:@x", "UNIX:/run", " unix:/run", "/run", "1.2.3.4:80", "unix:./x"};
	struct str path;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(!addr_unix_path(str_of(texts[i]), &path), "%s was taken",
		    texts[i]);
	ck_assert(!addr_unix_path(STR("unix:/a\0b"), &path));
	ck_assert(!addr_unix_path((struct str){NULL, 0}, &path));
}
END_TEST

START_TEST(reads_an_ip_alone)
{
	static const char *const texts[][2] = {{"10.0.0.1", "10.0.0.1"}, {"::1", "::1"},
	    {"[::1]", "::1"}, {"::ffff:1.2.3.4", "::ffff:1.2.3.4"}};
	static const char *const bad[] = {"", "10.0.0.1:80", "[::1]:80", "[10.0.0.1]",
	    "[]", "[", "]", "[::1", "::1]", "*", "10.0.0", " 10.0.0.1", "10.0.0.1 ",
	    "fe80::1%lo", "[[::1]]", "unix", "unknown", "010.0.0.1", "0x7f.1"};
	char buf[ADDR_TEXT];
	struct addr a;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert(addr_parse_ip(str_of(texts[i][0]), &a));
		ck_assert_str_eq(addr_print(&a, false, buf), texts[i][1]);
		ck_assert_uint_eq(addr_port(&a), 0);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!addr_parse_ip(str_of(bad[i]), &a), "%s was taken",
		    bad[i]);
	ck_assert(!addr_parse_ip(STR("1.2.3.4\0"), &a));
	ck_assert(!addr_parse_ip((struct str){NULL, 0}, &a));
}
END_TEST

static bool
holds(const char *range_text, const char *ip)
{
	struct addr_range range;
	struct addr a;

	ck_assert_msg(addr_range_parse(str_of(range_text), &range), "%s was refused",
	    range_text);
	ck_assert(addr_parse_ip(str_of(ip), &a));
	return addr_in_range(&a, &range);
}

START_TEST(a_range_holds_what_shares_its_prefix)
{
	ck_assert(holds("10.0.0.0/8", "10.255.255.255"));
	ck_assert(!holds("10.0.0.0/8", "11.0.0.0"));
	ck_assert(holds("192.168.4.0/22", "192.168.7.255"));
	ck_assert(!holds("192.168.4.0/22", "192.168.8.0"));
	ck_assert(!holds("192.168.4.0/22", "192.168.3.255"));
	ck_assert(holds("128.0.0.0/1", "255.1.2.3"));
	ck_assert(!holds("128.0.0.0/1", "127.255.255.255"));
	ck_assert(holds("0.0.0.0/0", "9.9.9.9"));
	ck_assert(holds("10.0.0.1", "10.0.0.1"));
	ck_assert(!holds("10.0.0.1", "10.0.0.0"));
	ck_assert(holds("10.0.0.1/32", "10.0.0.1"));
	ck_assert(holds("fd00::/8", "fdff::1"));
	ck_assert(!holds("fd00::/8", "fe00::1"));
	ck_assert(holds("2001:db8::/33", "2001:db8:7fff::"));
	ck_assert(!holds("2001:db8::/33", "2001:db8:8000::"));
	ck_assert(holds("::1", "::1"));
	ck_assert(!holds("::1/128", "::2"));
	ck_assert(holds("::/0", "::2"));
}
END_TEST

START_TEST(a_range_of_ipv4_holds_mapped_addresses)
{
	ck_assert(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
	ck_assert(!holds("10.0.0.0/8", "::ffff:11.1.2.3"));
	ck_assert(!holds("10.0.0.0/8", "a00::1"));
	ck_assert(!holds("0.0.0.0/0", "::1"));
	ck_assert(!holds("::/0", "10.0.0.1"));
	ck_assert(holds("::ffff:0:0/96", "::ffff:10.1.2.3"));
}
END_TEST

START_TEST(a_range_holds_no_other_kind_of_address)
{
	struct addr unix_peer = {0}, none = {0};
	struct addr_range range, nothing = {0};

	unix_peer.sa.sa_family = AF_UNIX;
	ck_assert(addr_range_parse(STR("0.0.0.0/0"), &range));
	ck_assert(!addr_in_range(&unix_peer, &range));
	ck_assert(!addr_in_range(&none, &range));
	ck_assert(addr_range_parse(STR("::/0"), &range));
	ck_assert(!addr_in_range(&unix_peer, &range));
	ck_assert(!addr_in_range(&none, &range));
	ck_assert(!addr_in_range(&none, &nothing));
}
END_TEST

START_TEST(refuses_what_is_no_range)
{
	static const char *const texts[] = {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33",
	    "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/8 ", "10.0.0.0/8/8",
	    "10.0.0.0/255.0.0.0", "10.0.0/8", "10/8", "10.0.0.1/8", "10.0.0.0/6",
	    "0.0.0.1/0", "fd00::/129", "fd00::1/8", "fd00::/7", "[fd00::]/8", "[::1]",
	    "fd00:/8", "10.0.0.1:80", "host", "unix", "10.0.0.0/99999999999"};
	struct addr_range range = {0};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(!addr_range_parse(str_of(texts[i]), &range),
		    "%s was taken", texts[i]);
	ck_assert(!addr_range_parse((struct str){NULL, 0}, &range));
	ck_assert_uint_eq(range.addr.sa.sa_family, 0);
}
END_TEST

Suite *
suite_addr(void)
{
	Suite *s = suite_create("addr");
	TCase *tc = tcase_create("addr");

	tcase_add_test(tc, prints_what_it_reads);
	tcase_add_test(tc, prints_the_address_alone);
	tcase_add_test(tc, no_host_means_any);
	tcase_add_test(tc, refuses_anything_else);
	tcase_add_test(tc, reads_no_further_than_the_slice);
	tcase_add_test(tc, splits_names_too);
	tcase_add_test(tc, compares_family_address_and_port);
	tcase_add_test(tc, mapped_addresses_have_the_bytes_of_ipv4);
	tcase_add_test(tc, a_unix_peer_has_a_name_and_no_bytes);
	tcase_add_test(tc, reads_unix_paths);
	tcase_add_test(tc, refuses_what_is_no_unix_path);
	tcase_add_test(tc, reads_an_ip_alone);
	tcase_add_test(tc, a_range_holds_what_shares_its_prefix);
	tcase_add_test(tc, a_range_of_ipv4_holds_mapped_addresses);
	tcase_add_test(tc, a_range_holds_no_other_kind_of_address);
	tcase_add_test(tc, refuses_what_is_no_range);
	suite_add_tcase(s, tc);
	return s;
}
