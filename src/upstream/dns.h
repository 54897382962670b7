/* SPDX-License-Identifier: MIT
 *
 * dns.h - what addresses a name has, and for how long. Blocks: the resolver's thread.
 */
#ifndef ROOST_UPSTREAM_DNS_H
#define ROOST_UPSTREAM_DNS_H

#include "base/addr.h"

struct config_resolver;

enum { DNS_MAX = 64 }; /* places of one name; more are left out */

struct place {
	struct addr addr;
	uint32_t weight; /* as a SRV record has it; 0: none was said */
};

struct dns_answer {
	size_t n; /* 0: it has no address; `why` says why */
	struct place places[DNS_MAX];
	bool has_ttl;
	uint32_t ttl_s; /* the shortest of all records that led to the places */
	bool partial;   /* a server did not answer: there may be more places */
	const char *why;
};

/* Looks up the address of a backend that is no numeric one: "host:port", or "srv:name".
 *
 * Without servers of our own a host is what the system says it is (getaddrinfo: hosts
 * file and all), and DNS is asked beside that for how long. With servers only these are
 * asked. Places are of one family, the first that the system names, else IPv4 where
 * there is one: a host with both would be two backends. */
void dns_lookup(const struct config_resolver *conf, const char *address,
    struct dns_answer *answer_r);

/* ---- pure ---- */

/* What a reply to a question for records of that type (A, AAAA) adds to the answer.
 * False: not a reply. */
bool dns_take_addresses(const unsigned char *reply, size_t n, int type, uint16_t port,
    uint32_t weight, struct dns_answer *answer);

/* One record of a SRV reply (RFC 2782). */
struct dns_target {
	char host[256];
	uint16_t port, priority, weight;
};

/* The targets of the most preferred priority; *n_r of them, weights between 1 and 1000.
 * False: not a reply. */
bool dns_take_targets(const unsigned char *reply, size_t n, struct dns_target *targets,
    size_t max, size_t *n_r, struct dns_answer *answer);

#endif
