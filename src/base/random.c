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
#include <string.h>
#include <sys/random.h>

enum { POOL = 1024 };

/* Bytes that nobody has had yet, so that a small wish costs no system call. */
static _Thread_local struct {
	uint8_t bytes[POOL];
	size_t left;
} pool;

static void
fill(uint8_t *at, size_t n)
{
	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort(); /* going on would make identities guessable */
		at += got;
		n -= (size_t)got;
	}
}

void
random_secret(void *p, size_t n)
{
	uint8_t *at;

	if (n > POOL) {
		fill(p, n);
		return;
	}
	if (n > pool.left) {
		fill(pool.bytes, POOL);
		pool.left = POOL;
	}
	at = pool.bytes + POOL - pool.left;
	memcpy(p, at, n);
	memset(at, 0, n); /* never twice */
	pool.left -= n;
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
