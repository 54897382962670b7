/* SPDX-License-Identifier: MIT
 *
 * latency.h - how fast a backend answers: a moving average in one word.
 *
 * One word, so that many threads can keep it in an atomic without a lock: each loads
 * it, adds its sample and stores it. Of two that do so at once one sample is lost,
 * which an average does not mind.
 */
#ifndef ROOST_BALANCE_LATENCY_H
#define ROOST_BALANCE_LATENCY_H

#include <stdint.h>

/* The average with one more sample. 0 is the word of a backend never heard of. */
uint64_t latency_add(uint64_t word, uint64_t sample_us, uint64_t now_ms);

/* The average as it is to be judged now, in microseconds; 0: not known. What is old
 * counts less and less, so that a backend that once was slow is asked again. */
double latency_now(uint64_t word, uint64_t now_ms);

#endif
