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

/* Table hash under a secret drawn at the first call: not to be predicted, and different
 * in each process, unless it has the secrets of another. `space` keeps kinds of keys
 * apart. Never anonymous. Any thread. */
struct hash128 hash_table_key(uint64_t space, const void *p, size_t n);

/* The highest bit tells a key that was drawn, for somebody who brought none and whom
 * nobody will know again. */
#define HASH_ANONYMOUS (UINT64_C(1) << 63)

static inline bool
hash128_is_anonymous(struct hash128 key)
{
	return key.hi & HASH_ANONYMOUS;
}

/* The same bytes give the same value in every process and release. */
uint64_t hash_stable(uint64_t seed, const void *p, size_t n);

/* The secrets of table hashes, for a process that takes over; there before anything is
 * hashed, and before other threads. */
enum { HASH_TABLE_SECRETS = 384 };
void hash_table_secrets(uint8_t secrets_r[HASH_TABLE_SECRETS]);
void hash_table_inherit(const uint8_t secrets[HASH_TABLE_SECRETS]);

/* A keyed hash: `secret` of HASH_SECRET bytes. For tags that clients carry and
 * that only steer; not a signature. */
enum { HASH_SECRET = 192 };
uint64_t hash_keyed(const uint8_t secret[HASH_SECRET], const void *p, size_t n);

/* Stretches any text (the content of a secret file) to a hash secret. */
void hash_derive_secret(uint8_t secret_r[HASH_SECRET], const void *p, size_t n);

#endif
