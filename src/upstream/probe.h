/* SPDX-License-Identifier: MIT
 *
 * probe.h - active health checks: asks the backends of a snapshot how they are.
 *
 * One prober serves the whole process. Each backend whose upstream has a section
 * `health` is checked at its interval, +-10 %, the first time spread over the interval,
 * by a connection of its own that never blocks. What comes of it is the backend's
 * `unhealthy`; that is logged when it changes, and only then.
 *
 * Thread: the control thread's.
 */
#ifndef ROOST_UPSTREAM_PROBE_H
#define ROOST_UPSTREAM_PROBE_H

struct loop;
struct prober;
struct snapshot;

/* NULL: no memory. */
struct prober *prober_new(struct loop *loop);

/* From now on check the backends of this snapshot (a reference is taken). Those that
 * were checked before go on with what is known of them. */
void prober_watch(struct prober *p, struct snapshot *s);

/* Before the loop goes. NULL is fine. */
void prober_free(struct prober *p);

#endif
