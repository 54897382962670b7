/* SPDX-License-Identifier: MIT
 *
 * hash.c - the three uses of xxhash.
 *
 * Tables hash what clients send, so they use a whole random secret: a seed alone would
 * leave the secret of xxhash's source, which everybody knows, in place for short keys.
 *
 * Threads: any.
 */
#include "base/hash.h"

#include "base/random.h"
#include <pthread.h>
#include <string.h>
#include <xxhash.h>

static pthread_once_t table_once = PTHREAD_ONCE_INIT;
static uint8_t key_secret[HASH_SECRET];
static uint8_t space_secret[HASH_SECRET];

_Static_assert(sizeof(key_secret) + sizeof(space_secret) == HASH_TABLE_SECRETS,
    "both secrets");

static void
table_secrets_draw(void)
{
	random_secret(key_secret, sizeof(key_secret));
	random_secret(space_secret, sizeof(space_secret));
}

void
hash_table_secrets(uint8_t secrets_r[HASH_TABLE_SECRETS])
{
	pthread_once(&table_once, table_secrets_draw);
	memcpy(secrets_r, key_secret, sizeof(key_secret));
	memcpy(secrets_r + sizeof(key_secret), space_secret, sizeof(space_secret));
}

void
hash_table_inherit(const uint8_t secrets[HASH_TABLE_SECRETS])
{
	pthread_once(&table_once, table_secrets_draw); /* and not after this */
	memcpy(key_secret, secrets, sizeof(key_secret));
	memcpy(space_secret, secrets + sizeof(key_secret), sizeof(space_secret));
}

struct hash128
hash_table_key(uint64_t space, const void *p, size_t n)
{
	XXH128_hash_t key, mask;

	pthread_once(&table_once, table_secrets_draw);
	key = XXH3_128bits_withSecret(p, n, key_secret, sizeof(key_secret));
	mask = XXH3_128bits_withSecret(&space, sizeof(space), space_secret,
	    sizeof(space_secret));
	return (struct hash128){key.low64 ^ mask.low64,
	    (key.high64 ^ mask.high64) & ~HASH_ANONYMOUS};
}

uint64_t
hash_stable(uint64_t seed, const void *p, size_t n)
{
	return XXH3_64bits_withSeed(p, n, seed);
}

uint64_t
hash_keyed(const uint8_t secret[HASH_SECRET], const void *p, size_t n)
{
	return XXH3_64bits_withSecret(p, n, secret, HASH_SECRET);
}

/* Not XXH3_generateSecret: its result is not promised to stay the same, and nodes with
 * different builds of xxhash must agree. */
void
hash_derive_secret(uint8_t secret_r[HASH_SECRET], const void *p, size_t n)
{
	XXH128_canonical_t block;

	for (size_t at = 0; at < HASH_SECRET; at += sizeof(block)) {
		XXH128_canonicalFromHash(&block, XXH3_128bits_withSeed(p, n, at + 1));
		memcpy(secret_r + at, &block, sizeof(block));
	}
}
