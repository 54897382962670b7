/* SPDX-License-Identifier: MIT
 *
 * counters.h - numbers that each loop keeps for itself; summed when somebody asks.
 *
 * Thread: one writer, the loop's; readers on other threads may see a value that is
 * a moment old, never a torn one.
 */
#ifndef ROOST_LOOP_COUNTERS_H
#define ROOST_LOOP_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

enum counter {
#define COUNTER(symbol, name, help) COUNT_##symbol,
#include "loop/counters.def"
#undef COUNTER
	COUNTER_COUNT
};

struct counters {
	_Atomic uint64_t values[COUNTER_COUNT];
};

/* One writer, so a load and a store do; no locked instruction. */
static inline void
count_add(struct counters *c, enum counter which, uint64_t n)
{
	uint64_t old = atomic_load_explicit(&c->values[which], memory_order_relaxed);

	atomic_store_explicit(&c->values[which], old + n, memory_order_relaxed);
}

static inline uint64_t
count_get(const struct counters *c, enum counter which)
{
	return atomic_load_explicit(&c->values[which], memory_order_relaxed);
}

const char *counter_name(enum counter which);

#endif
