/* SPDX-License-Identifier: MIT
 *
 * pace.h - how fast clients may be moved: so many a second within an upstream, and so
 * many to each of its backends.
 *
 * One pace for everybody who moves clients (the planner for good reasons, workers for
 * sessions whose backend died), so that their rates do not add up. It belongs to the
 * upstream, not to one configuration of it: a reload every second makes nothing faster.
 *
 * Two token buckets in one, each holding a tenth of a second's worth. A move that may
 * not be made yet can be booked ahead; both buckets then count it for its time.
 */
#ifndef ROOST_UPSTREAM_PACE_H
#define ROOST_UPSTREAM_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct backend;
struct pace;
struct upstream;

enum { PACE_BURST_MS = 100 };

/* Owner: reference counted, by every snapshot that has the upstream. NULL: no memory.
 * Thread: any. */
struct pace *pace_new(void);
struct pace *pace_get(struct pace *pace); /* returns pace */
void pace_put(struct pace *pace);         /* NULL is fine */

/* Could a client be moved to `to` (NULL: to anybody) right now? Books nothing. */
bool pace_allows(const struct upstream *up, const struct backend *to, uint64_t now_us);

/* In so many milliseconds it could. */
uint64_t pace_wait_ms(const struct upstream *up, const struct backend *to,
    uint64_t now_us);

/* Books one move to `to`; it may be made in so many milliseconds. */
uint64_t pace_book_ms(const struct upstream *up, struct backend *to, uint64_t now_us);

#endif
