/* SPDX-License-Identifier: MIT
 *
 * clock.c - the only source of time.
 *
 * Deadlines ask for the time very often and need it only roughly, so they read the
 * kernel's coarse clock, which is a few loads in the vDSO. One relaxed load tells
 * whether a test has stopped the clock.
 *
 * Threads: any.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

/* The time tests have set, in milliseconds; 0: the real time counts. */
static _Atomic uint64_t fake_ms;

static inline uint64_t
fake_get(void)
{
	return atomic_load_explicit(&fake_ms, memory_order_relaxed);
}

static struct timespec
clock_read(clockid_t id)
{
	struct timespec ts = {0};

	clock_gettime(id, &ts);
	return ts;
}

uint64_t
clock_now_ms(void)
{
	uint64_t fake = fake_get();
	struct timespec ts;
	uint64_t ms;

	if (__builtin_expect(fake != 0, 0))
		return fake;
	ts = clock_read(CLOCK_MONOTONIC_COARSE);
	ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	return ms ? ms : 1;
}

uint64_t
clock_now_us(void)
{
	uint64_t fake = fake_get();
	struct timespec ts;

	if (__builtin_expect(fake != 0, 0))
		return fake * 1000;
	ts = clock_read(CLOCK_MONOTONIC);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int64_t
clock_wall(void)
{
	return clock_wall_ms() / 1000;
}

int64_t
clock_wall_ms(void)
{
	uint64_t fake = fake_get();
	struct timespec ts;

	if (__builtin_expect(fake != 0, 0))
		return (int64_t)fake;
	ts = clock_read(CLOCK_REALTIME);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void
clock_fake_set(uint64_t ms)
{
	atomic_store_explicit(&fake_ms, ms ? ms : 1, memory_order_relaxed);
}

void
clock_fake_advance(uint64_t ms)
{
	atomic_fetch_add_explicit(&fake_ms, ms, memory_order_relaxed);
}

void
clock_fake_stop(void)
{
	atomic_store_explicit(&fake_ms, 0, memory_order_relaxed);
}
