/* SPDX-License-Identifier: MIT
 *
 * hash.h - xxhash: seeded for tables, keyed for the cookie, stable for choosing.
 */
#ifndef ROOST_BASE_HASH_H
#define ROOST_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 128 bits that stand for a key; two keys of one process never meet by chance. */
struct hash128 {
	uint64_t lo, hi;
};

static inline bool
hash128_eq(struct hash128 a, struct hash128 b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

/* Table hash under a secret drawn at the first call: not to be predicted, and
 * different in each process. `space` keeps kinds of keys apart. Any thread. */
struct hash128 hash_table_key(uint64_t space, const void *p, size_t n);

/* The same bytes give the same value in every process and release. */
uint64_t hash_stable(uint64_t seed, const void *p, size_t n);

/* A keyed hash: `secret` of HASH_SECRET bytes. For tags that clients carry and
 * that only steer; not a signature. */
enum { HASH_SECRET = 192 };
uint64_t hash_keyed(const uint8_t secret[HASH_SECRET], const void *p, size_t n);

/* Stretches any text (the content of a secret file) to a hash secret. */
void hash_derive_secret(uint8_t secret_r[HASH_SECRET], const void *p, size_t n);

#endif
