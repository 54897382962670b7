/* SPDX-License-Identifier: MIT
 *
 * histogram.h - how often something took so long, or was so big.
 *
 * Times fall into buckets with round bounds, found by looking along them; sizes into
 * one for each power of two, found by one instruction, since a size is noted for each
 * message. Only the buckets are kept: their sum is the count, so that the two never
 * disagree for who reads while somebody writes.
 *
 * Thread: one writer; readers on other threads may see a value that is a moment old.
 */
#ifndef ROOST_LOOP_HISTOGRAM_H
#define ROOST_LOOP_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum {
	TIME_BOUNDS = 16,
	SIZE_BUCKETS = 64, /* the n-th: up to 2^(n+1) bytes; the last: empty ones */
};

struct time_histogram {
	_Atomic uint64_t sum_us;
	_Atomic uint64_t buckets[TIME_BOUNDS + 1];
};

struct size_histogram {
	_Atomic uint64_t sum;
	_Atomic uint64_t buckets[SIZE_BUCKETS];
};

/* In microseconds: half a millisecond to a minute, a second to a week. */
extern const uint64_t short_times[TIME_BOUNDS];
extern const uint64_t long_times[TIME_BOUNDS];

/* One writer, so a load and a store do; no locked instruction. */
static inline void
tally(_Atomic uint64_t *count, uint64_t n)
{
	uint64_t old = atomic_load_explicit(count, memory_order_relaxed);

	atomic_store_explicit(count, old + n, memory_order_relaxed);
}

static inline uint64_t
tally_get(const _Atomic uint64_t *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

static inline void
time_note(struct time_histogram *h, const uint64_t bounds[TIME_BOUNDS], uint64_t us)
{
	unsigned i = 0;

	while (i < TIME_BOUNDS && us > bounds[i])
		i++;
	tally(&h->buckets[i], 1);
	tally(&h->sum_us, us);
}

static inline void
size_note(struct size_histogram *h, uint64_t size)
{
	tally(&h->buckets[63 - __builtin_clzll((size - 1) | 1)], 1);
	tally(&h->sum, size);
}

/* How many were at most 2^power bytes; power: 1 to 62. */
uint64_t size_upto(const struct size_histogram *h, unsigned power);

#endif
