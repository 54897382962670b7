/* SPDX-License-Identifier: MIT
 *
 * resolver.h - turns the names of backends into addresses, on a thread of its own.
 *
 * The system's resolver (getaddrinfo, so hosts file and all) blocks; a loop must not.
 * Each name is looked up at once, again every 30 s, and every 2 s while it has no
 * address. A backend with a numeric address or a unix socket never comes here.
 */
#ifndef ROOST_UPSTREAM_RESOLVER_H
#define ROOST_UPSTREAM_RESOLVER_H

struct resolver;
struct snapshot;

/* NULL: no memory or no thread. */
struct resolver *resolver_start(void);

/* From now on look after the named backends of this snapshot (a reference is taken).
 * Control thread. */
void resolver_watch(struct resolver *r, struct snapshot *s);

/* Ends the thread. One that hangs in the system's resolver is left behind after a
 * second: the process is about to end. */
void resolver_stop(struct resolver *r);

#endif
