/* SPDX-License-Identifier: MIT
 *
 * addr.h - socket addresses of IPv4 and IPv6.
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

/* As addr_parse reads it; returns buf. with_port false: the address alone. */
const char *addr_print(const struct addr *a, bool with_port, char buf[ADDR_TEXT]);

socklen_t addr_len(const struct addr *a);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
bool addr_eq(const struct addr *a, const struct addr *b);

/* The bytes of the IP alone, for hashing; an IPv4-mapped IPv6 address gives its
 * four IPv4 bytes. Points into a. */
struct str addr_bytes(const struct addr *a);

#endif
