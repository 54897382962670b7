/* SPDX-License-Identifier: MIT
 *
 * addr.h - socket addresses of IPv4 and IPv6, and ranges of them.
 *
 * A unix socket is an addr with family AF_UNIX and nothing else: its path stays where
 * it was configured, so that every client connection need not carry 108 bytes for it.
 */
#ifndef ROOST_BASE_ADDR_H
#define ROOST_BASE_ADDR_H

#include "base/str.h"
#include <netinet/in.h>
#include <stdint.h>

/* Plain value, copied freely. Family 0 (zeroed): no address. */
struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	};
};

enum { ADDR_TEXT = 64 }; /* enough for addr_print with its NUL */

/* "127.0.0.1:80", "[::1]:80", "*:80" (any IPv4), ":80" (the same). Numeric only.
 * False: not such an address. */
bool addr_parse(struct str text, struct addr *addr_r);

/* Splits "host:port" or "[v6]:port" without looking at the host. False: no port, or
 * not 1-65535 (0 is allowed: any port). */
bool addr_split(struct str text, struct str *host_r, uint16_t *port_r);

/* 0-65535 in digits alone, without leading zeroes. */
bool addr_parse_port(struct str text, uint16_t *port_r);

/* As addr_parse reads it; returns buf. with_port false: the address alone. A unix
 * socket is "unix", none is "-". */
const char *addr_print(const struct addr *a, bool with_port, char buf[ADDR_TEXT]);

socklen_t addr_len(const struct addr *a);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
bool addr_eq(const struct addr *a, const struct addr *b);

/* A range in CIDR form. An IPv4 range also holds the IPv4-mapped IPv6 addresses. */
struct addr_range {
	struct addr addr;
	uint8_t bits;
};

/* "10.0.0.0/8", "fd00::/8", or an address alone. False: no such range, or bits set
 * beyond its prefix. */
bool addr_range_parse(struct str text, struct addr_range *range_r);

bool addr_in_range(const struct addr *a, const struct addr_range *range);

/* "unix:/path": the path, within text. False: something else, or too long for a socket
 * (107 bytes). */
bool addr_unix_path(struct str text, struct str *path_r);

/* An IP without port ("10.0.0.1", "::1", "[::1]"). False: something else. */
bool addr_parse_ip(struct str text, struct addr *addr_r);

/* The bytes of the IP alone, for hashing; an IPv4-mapped IPv6 address gives its
 * four IPv4 bytes. Points into a. */
struct str addr_bytes(const struct addr *a);

#endif
