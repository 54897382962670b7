/* SPDX-License-Identifier: MIT
 *
 * resolver.h - follows the names of backends, on a thread of its own.
 *
 * Looking up blocks; a loop must not. Each name is looked up at once, again when its
 * records' time to live is over (1 s to 5 min; 30 s where that is not known), and every
 * 2 s while that fails. An address that is missing once is kept: servers that give out
 * a few of many addresses, and hiccups, must not move anybody. One that is missing
 * twice in a row is gone. Answers that are known to be incomplete take nothing away. A
 * name that has no address at all any more keeps what it had.
 */
#ifndef ROOST_UPSTREAM_RESOLVER_H
#define ROOST_UPSTREAM_RESOLVER_H

#include "upstream/dns.h"

struct resolver;
struct snapshot;

/* The addresses of one name as they are now. */
struct found {
	const char *address; /* as configured */
	const struct place *places;
	size_t n; /* at least one */
};

/* on_found is called from the resolver's thread when a name has other addresses or
 * weights than before, and for every name again after resolver_watch; never after
 * resolver_stop. NULL: no memory or no thread (errno). */
struct resolver *resolver_start(void (*on_found)(void *arg, const struct found *found),
    void *arg);

/* From now on look after the named backends of this snapshot (a reference is taken).
 * Control thread. */
void resolver_watch(struct resolver *r, struct snapshot *s);

/* Ends the thread. One that hangs in a lookup is left behind after a second: the
 * process is about to end. */
void resolver_stop(struct resolver *r);

/* ---- pure ---- */

/* What is remembered of a name's addresses. */
struct memory {
	struct place places[DNS_MAX];
	bool missed[DNS_MAX]; /* in the last answer */
	size_t n;
};

/* Takes in an answer that has places, as described above. True: something changed. */
bool memory_take(struct memory *m, const struct dns_answer *answer);

#endif
