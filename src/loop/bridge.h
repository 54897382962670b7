/* SPDX-License-Identifier: MIT
 *
 * bridge.h - a loop and a libevent base on one thread.
 *
 * evhttp and libevent's signals want a base. Each wakes the other: the base watches the
 * loop's epoll descriptor, and has a timer for what the loop's wheel has next.
 *
 * Owner and thread: that thread.
 */
#ifndef ROOST_LOOP_BRIDGE_H
#define ROOST_LOOP_BRIDGE_H

struct bridge;
struct event_base;
struct loop;

/* The loop is borrowed. NULL: no memory or descriptors. */
struct bridge *bridge_new(struct loop *loop);

/* All events of the base must have been freed. NULL is fine. */
void bridge_free(struct bridge *b);

/* Borrowed. It takes no locks, since only its own thread touches it. */
struct event_base *bridge_base(const struct bridge *b);

/* Runs both until loop_stop. */
void bridge_run(struct bridge *b);

#endif
