/* SPDX-License-Identifier: MIT
 *
 * proxy_protocol.h - the PROXY header, versions 1 and 2, parser and writer. Pure.
 *
 * Follows "The PROXY protocol", HAProxy's specification of it (sections 2.1 and 2.2).
 * Strict: version 1 lines have exactly one space between words, no leading zeroes in
 * ports, at most 107 bytes; version 2 headers at most PROXY_HEADER_MAX bytes. Of what
 * may follow the addresses in version 2 the lengths are checked and a checksum is
 * verified; the rest is skipped.
 */
#ifndef ROOST_NET_PROXY_PROTOCOL_H
#define ROOST_NET_PROXY_PROTOCOL_H

#include "base/addr.h"

enum { PROXY_HEADER_MAX = 2048, PROXY_HEADER_OUT = 108 };

enum proxy_verdict {
	PROXY_MORE, /* a header so far, but not whole: come with more bytes behind it */
	PROXY_DONE,
	PROXY_NONE, /* something else begins here */
	PROXY_BAD   /* begins as a header and is none */
};

struct proxy_header {
	bool local; /* LOCAL or UNKNOWN: about the connection itself, no addresses */
	struct addr source, destination; /* family 0 where it said none we know */
};

/* Looks at p[0..n). DONE: *used_r is the header's length. With n == 0: MORE. The other
 * verdicts leave *header_r and *used_r alone. */
enum proxy_verdict proxy_header_parse(const void *p, size_t n,
    struct proxy_header *header_r, size_t *used_r);

/* Writes a header of version 1 or 2; returns its length. Families that differ, or have
 * no address (unix sockets), give UNKNOWN or LOCAL. */
size_t proxy_header_write(char out[PROXY_HEADER_OUT], unsigned version,
    const struct addr *source, const struct addr *destination);

#endif
