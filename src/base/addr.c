/* SPDX-License-Identifier: MIT
 *
 * addr.c - socket addresses of IPv4 and IPv6.
 *
 * Strict on purpose: an address that is read in a way its writer did not mean would
 * send traffic to the wrong place, so nothing but the plain numeric forms is taken.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

static bool
port_parse(struct str s, uint16_t *port_r)
{
	unsigned value = 0;

	if (s.n == 0 || s.n > 5 || (s.p[0] == '0' && s.n > 1))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		value = value * 10 + (unsigned)(s.p[i] - '0');
	}
	if (value > UINT16_MAX)
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
	return port_parse((struct str){colon + 1, (size_t)(stop - colon - 1)}, port_r);
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
	return port_parse(port, port_r);
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

const char *
addr_print(const struct addr *a, bool with_port, char buf[ADDR_TEXT])
{
	bool v6 = a->sa.sa_family == AF_INET6;
	char ip[INET6_ADDRSTRLEN];
	const void *bytes = v6 ? (const void *)&a->in6.sin6_addr : &a->in4.sin_addr;

	if (addr_len(a) == 0 || !inet_ntop(a->sa.sa_family, bytes, ip, sizeof(ip)))
		snprintf(buf, ADDR_TEXT, "-");
	else if (!with_port)
		snprintf(buf, ADDR_TEXT, "%s", ip);
	else if (v6)
		snprintf(buf, ADDR_TEXT, "[%s]:%u", ip, addr_port(a));
	else
		snprintf(buf, ADDR_TEXT, "%s:%u", ip, addr_port(a));
	return buf;
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
