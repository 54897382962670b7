/* SPDX-License-Identifier: MIT
 *
 * random.c - randomness from the kernel, and a small seedable generator.
 *
 * The generator is xoroshiro128++ (Blackman and Vigna): two words of state, good enough
 * for choosing and spreading, and repeatable in tests.
 *
 * Threads: random_secret any; a struct random belongs to one.
 */
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void
random_secret(void *p, size_t n)
{
	uint8_t *at = p;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort(); /* going on would mean identities that can be guessed
				  */
		at += got;
		n -= (size_t)got;
	}
}

static inline uint64_t
rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

/* splitmix64: spreads any seed, even 0, over the whole state. */
static uint64_t
split_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void
random_seed(struct random *r, uint64_t seed)
{
	r->s[0] = split_next(&seed);
	r->s[1] = split_next(&seed);
}

uint64_t
random_u64(struct random *r)
{
	uint64_t a = r->s[0], b = r->s[1];
	uint64_t result = rotate(a + b, 17) + a;

	b ^= a;
	r->s[0] = rotate(a, 49) ^ b ^ b << 21;
	r->s[1] = rotate(b, 28);
	return result;
}

/* Lemire: the high half of a product is uniform once the few low halves that would
 * favour some results are drawn again. */
uint32_t
random_below(struct random *r, uint32_t bound)
{
	uint64_t product = (random_u64(r) >> 32) * bound;

	if ((uint32_t)product < bound) {
		uint32_t uneven = -bound % bound;

		while ((uint32_t)product < uneven)
			product = (random_u64(r) >> 32) * bound;
	}
	return (uint32_t)(product >> 32);
}

uint64_t
random_jitter(struct random *r, uint64_t ms, unsigned percent)
{
	unsigned part = percent < 100 ? percent : 100;
	uint64_t span = ms / 100 * part + ms % 100 * part / 100;

	if (ms > UINT64_MAX / 4)
		return ms; /* stands for never */
	return ms - span + random_u64(r) % (2 * span + 1);
}
