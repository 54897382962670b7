/* SPDX-License-Identifier: MIT
 *
 * random.h - randomness: from the kernel for identities, seedable for balancers.
 */
#ifndef ROOST_BASE_RANDOM_H
#define ROOST_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills p with bytes nobody can guess (getrandom, many at a time, wiped once given).
 * Not across a fork that both sides survive. Stops the program only when the
 * kernel has no such source. Any thread. */
void random_secret(void *p, size_t n);

/* A small fast generator, not for secrets. One owner, one thread. */
struct random {
	uint64_t s[2];
};

void random_seed(struct random *r, uint64_t seed);
uint64_t random_u64(struct random *r);

/* Uniform in [0, bound), bound > 0. */
uint32_t random_below(struct random *r, uint32_t bound);

/* ms, at random up to `percent` per cent less or more. */
uint64_t random_jitter(struct random *r, uint64_t ms, unsigned percent);

#endif
