/* SPDX-License-Identifier: MIT
 *
 * addr.c - socket addresses of IPv4 and IPv6, ranges of them, paths of unix sockets.
 *
 * Strict on purpose: an address that is read in a way its writer did not mean would
 * send traffic to the wrong place, so nothing but the plain numeric forms is taken.
 */
#include "base/addr.h"

#include "base/strbuf.h"
#include <arpa/inet.h>
#include <sys/un.h>

/* Digits alone, without leading zeroes. */
static bool
number_parse(struct str s, unsigned max, unsigned *value_r)
{
	unsigned value = 0;

	if (s.n == 0 || s.n > 5 || (s.p[0] == '0' && s.n > 1))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		value = value * 10 + (unsigned)(s.p[i] - '0');
	}
	if (value > max)
		return false;
	*value_r = value;
	return true;
}

bool
addr_parse_port(struct str s, uint16_t *port_r)
{
	unsigned value;

	if (!number_parse(s, UINT16_MAX, &value))
		return false;
	*port_r = (uint16_t)value;
	return true;
}

static bool
is_bracketed(struct str text)
{
	return text.n > 0 && text.p[0] == '[';
}

static bool
split_bracketed(struct str text, struct str *host_r, uint16_t *port_r)
{
	const char *end = memchr(text.p, ']', text.n);
	const char *colon = end ? end + 1 : NULL;
	const char *stop = text.p + text.n;

	if (!end || end == text.p + 1 || colon == stop || *colon != ':')
		return false;
	*host_r = (struct str){text.p + 1, (size_t)(end - text.p - 1)};
	return addr_parse_port((struct str){colon + 1, (size_t)(stop - colon - 1)},
	    port_r);
}

/* Exactly one colon: "::1:80" could be meant in more than one way. */
static bool
split_plain(struct str text, struct str *host_r, uint16_t *port_r)
{
	const char *colon = text.n ? memchr(text.p, ':', text.n) : NULL;
	struct str port;

	if (!colon)
		return false;
	*host_r = (struct str){text.p, (size_t)(colon - text.p)};
	port = (struct str){colon + 1, text.n - host_r->n - 1};
	return addr_parse_port(port, port_r);
}

bool
addr_split(struct str text, struct str *host_r, uint16_t *port_r)
{
	return is_bracketed(text) ? split_bracketed(text, host_r, port_r)
				  : split_plain(text, host_r, port_r);
}

/* inet_pton for a slice; it takes the C string's forms only, without zone or blanks. */
static bool
host_parse(int family, struct str host, void *ip_r)
{
	char text[INET6_ADDRSTRLEN];

	if (host.n >= sizeof(text) || memchr(host.p, '\0', host.n))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(family, text, ip_r) == 1;
}

bool
addr_parse(struct str text, struct addr *addr_r)
{
	struct addr a = {0};
	struct str host;
	uint16_t port;

	if (!addr_split(text, &host, &port))
		return false;
	if (is_bracketed(text)) {
		a.sa.sa_family = AF_INET6;
		if (!host_parse(AF_INET6, host, &a.in6.sin6_addr))
			return false;
	} else {
		a.sa.sa_family = AF_INET;
		if (host.n && !str_eq(host, STR("*")) &&
		    !host_parse(AF_INET, host, &a.in4.sin_addr))
			return false;
	}
	addr_set_port(&a, port);
	*addr_r = a;
	return true;
}

/* By hand: it is done for each connection, and inet_ntop goes through printf. */
static void
print_ipv4(const struct in_addr *ip, struct strbuf *out)
{
	const uint8_t *bytes = (const uint8_t *)ip;

	strbuf_u64(out, bytes[0]);
	for (size_t i = 1; i < sizeof *ip; i++) {
		strbuf_lit(out, ".");
		strbuf_u64(out, bytes[i]);
	}
}

static void
print_ipv6(const struct in6_addr *ip, bool in_brackets, struct strbuf *out)
{
	char text[INET6_ADDRSTRLEN];

	strbuf_puts(out, in_brackets ? "[" : "");
	strbuf_puts(out, inet_ntop(AF_INET6, ip, text, sizeof text));
	strbuf_puts(out, in_brackets ? "]" : "");
}

const char *
addr_print(const struct addr *a, bool with_port, char buf[ADDR_TEXT])
{
	struct strbuf out = strbuf_over(buf, ADDR_TEXT);

	switch (a->sa.sa_family) {
	case AF_INET: print_ipv4(&a->in4.sin_addr, &out); break;
	case AF_INET6: print_ipv6(&a->in6.sin6_addr, with_port, &out); break;
	case AF_UNIX: strbuf_lit(&out, "unix"); break;
	default: strbuf_lit(&out, "-"); break;
	}
	if (with_port && addr_len(a)) {
		strbuf_lit(&out, ":");
		strbuf_u64(&out, addr_port(a));
	}
	return strbuf_cstr(&out);
}

socklen_t
addr_len(const struct addr *a)
{
	switch (a->sa.sa_family) {
	case AF_INET: return sizeof(a->in4);
	case AF_INET6: return sizeof(a->in6);
	default: return 0;
	}
}

uint16_t
addr_port(const struct addr *a)
{
	switch (a->sa.sa_family) {
	case AF_INET: return ntohs(a->in4.sin_port);
	case AF_INET6: return ntohs(a->in6.sin6_port);
	default: return 0;
	}
}

void
addr_set_port(struct addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in4.sin_port = htons(port);
	else if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons(port);
}

/* Not one memcmp: the kernel leaves padding and flow labels in what it fills in. */
bool
addr_eq(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family || addr_port(a) != addr_port(b))
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	if (a->sa.sa_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr) &&
		       a->in6.sin6_scope_id == b->in6.sin6_scope_id;
	return true;
}

/* As addr_bytes, but an IPv4-mapped address keeps its 16 bytes. */
static struct str
plain_bytes(const struct addr *a)
{
	if (a->sa.sa_family == AF_INET6)
		return (struct str){(const char *)&a->in6.sin6_addr, 16};
	return addr_bytes(a);
}

static bool
is_zero_behind(struct str bytes, unsigned bits)
{
	for (unsigned i = bits; i < bytes.n * 8; i++)
		if ((uint8_t)bytes.p[i / 8] & (0x80 >> i % 8))
			return false;
	return true;
}

bool
addr_range_parse(struct str text, struct addr_range *range_r)
{
	const char *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
	size_t n = slash ? (size_t)(slash - text.p) : text.n;
	struct addr_range range;
	unsigned bits;

	if (is_bracketed(text) || !addr_parse_ip((struct str){text.p, n}, &range.addr))
		return false;
	bits = (unsigned)plain_bytes(&range.addr).n * 8;
	if (slash &&
	    !number_parse((struct str){slash + 1, text.n - n - 1}, bits, &bits))
		return false;
	if (!is_zero_behind(plain_bytes(&range.addr), bits))
		return false;
	range.bits = (uint8_t)bits;
	*range_r = range;
	return true;
}

/* Do the first `bits` bits agree? */
static bool
same_bits(const char *a, const char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole))
		return false;
	return rest == 0 || (uint8_t)(a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

bool
addr_in_range(const struct addr *a, const struct addr_range *range)
{
	bool v4 = range->addr.sa.sa_family == AF_INET;
	struct str ip = v4 ? addr_bytes(a) : plain_bytes(a);
	struct str base = plain_bytes(&range->addr);

	return base.n && ip.n == base.n && same_bits(ip.p, base.p, range->bits);
}

bool
addr_unix_path(struct str text, struct str *path_r)
{
	const size_t prefix = sizeof "unix:" - 1;
	const size_t max = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
	struct str path;

	if (text.n <= prefix || memcmp(text.p, "unix:", prefix))
		return false;
	path = (struct str){text.p + prefix, text.n - prefix};
	if (path.p[0] != '/' || path.n > max || memchr(path.p, '\0', path.n))
		return false;
	*path_r = path;
	return true;
}

bool
addr_parse_ip(struct str text, struct addr *addr_r)
{
	struct addr a = {0};
	bool bracketed = is_bracketed(text) && text.n > 2 && text.p[text.n - 1] == ']';
	struct str host = bracketed ? (struct str){text.p + 1, text.n - 2} : text;

	if (!host.n)
		return false;
	if (!bracketed && host_parse(AF_INET, host, &a.in4.sin_addr))
		a.sa.sa_family = AF_INET;
	else if (host_parse(AF_INET6, host, &a.in6.sin6_addr))
		a.sa.sa_family = AF_INET6;
	else
		return false;
	*addr_r = a;
	return true;
}

struct str
addr_bytes(const struct addr *a)
{
	const char *ip = (const char *)&a->in6.sin6_addr;

	if (a->sa.sa_family == AF_INET)
		return (struct str){(const char *)&a->in4.sin_addr, 4};
	if (a->sa.sa_family != AF_INET6)
		return (struct str){NULL, 0};
	if (IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return (struct str){ip + 12, 4};
	return (struct str){ip, 16};
}
