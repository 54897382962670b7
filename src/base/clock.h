/* SPDX-License-Identifier: MIT
 *
 * clock.h - the only source of time, so that tests can replace it.
 */
#ifndef ROOST_BASE_CLOCK_H
#define ROOST_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of monotonic time, never 0. Cheap (a few ns) and coarse (about
 * 4 ms): for deadlines. Any thread. */
uint64_t clock_now_ms(void);

/* Microseconds of monotonic time, precise: for durations. Any thread. */
uint64_t clock_now_us(void);

/* Seconds since 1970, and the same in milliseconds. Any thread. */
int64_t clock_wall(void);
int64_t clock_wall_ms(void);

/* Tests: from now on time stands at `ms` (all clocks agree) and moves only
 * by these two calls. */
void clock_fake_set(uint64_t ms);
void clock_fake_advance(uint64_t ms);

/* Tests: back to real time. */
void clock_fake_stop(void);

#endif
