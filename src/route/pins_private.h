/* SPDX-License-Identifier: MIT
 *
 * pins_private.h - the table of pins, for pins.c, which binds, pins_walk.c, which
 * looks through all of them, and pins_pass.c, which hands them on to another process.
 */
#ifndef ROOST_ROUTE_PINS_PRIVATE_H
#define ROOST_ROUTE_PINS_PRIVATE_H

#include "route/pins.h"

#include "upstream/backend.h"
#include <pthread.h>

/* The key is a good hash already. Running out of memory shows as hh.tbl == NULL. */
#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(keyptr, keylen, hashv) \
	((hashv) = (unsigned)((const struct hash128 *)(const void *)(keyptr))->lo)
#include <uthash.h>
#include <utlist.h>

enum { SHARDS = 64 };

enum idle { HELD, AWAITED, IDLE_WEBSOCKET, IDLE_HTTP, LISTS };

/* What a walk looks at stands together. */
struct entry {
	UT_hash_handle hh;
	struct entry *prev, *next; /* of its list */
	struct backend *backend;   /* reference held */
	uint64_t websocket_until;
	uint64_t since : 48;      /* as all times here, in ms; they share their words */
	uint64_t era : 16;        /* so often was it pointed elsewhere */
	uint64_t hold_until : 48; /* not to be collected before; awaited until then */
	uint64_t apart : 16;      /* sessions of older eras; no more than that counts */
	uint32_t sessions, followers, exchanges;
	uint8_t list; /* enum idle */
	bool has_follower : 1;
	bool arrived : 1; /* a session of its own is on its backend, since it was moved
			   */
	bool inherited : 1; /* as the process before has told; not used here so far */
	uint16_t awaited;
	struct hash128 key;
	struct hash128 follower; /* key that moves along */
	uint64_t stable;
	uint64_t http_until;
};

struct list {
	struct entry *head;
	struct entry *cursor; /* where a walk goes on; NULL: at the head */
	struct entry *news;   /* from here on: changed since it was passed on */
	size_t count;
};

struct shard {
	pthread_mutex_t lock;
	struct entry *table;
	struct list lists[LISTS];
	size_t count;
} __attribute__((aligned(64)));

/* A client whose sessions have to follow its pin. */
struct stray {
	struct hash128 key;
	struct stray *next;
};

/* Owner: the daemon. Thread: any. */
struct pins {
	struct shard shards[SHARDS];
	pthread_mutex_t strays_lock; /* a leaf */
	struct stray *strays;
	_Atomic uint64_t max;
	_Atomic size_t count;
	_Atomic uint64_t evicted;
	atomic_uint collect_from; /* shard */
	unsigned news_from;       /* likewise; of who asks for news */
};

static inline struct shard *
shard_lock(struct pins *pins, struct hash128 key)
{
	struct shard *s = &pins->shards[key.hi % SHARDS];

	pthread_mutex_lock(&s->lock);
	return s;
}

static inline void
shard_unlock(struct shard *s)
{
	pthread_mutex_unlock(&s->lock);
}

static inline bool
entry_is_seated(const struct entry *e)
{
	return e->sessions || e->followers;
}

static inline bool
entry_is_held(const struct entry *e)
{
	return entry_is_seated(e) || e->exchanges || e->awaited;
}

static inline bool
entry_is_live(const struct entry *e, uint64_t now_ms)
{
	return entry_is_held(e) || e->websocket_until > now_ms ||
	       e->http_until > now_ms;
}

/* What pins.h tells of it, with a reference to its backend. */
struct pin entry_copy(const struct entry *e);

/* ---- under the shard's lock ---- */

struct entry *entry_find(struct shard *s, struct hash128 key);

/* A new entry in the list of held ones; the caller makes that true or settles it. */
struct entry *entry_new(struct pins *pins, struct shard *s, struct hash128 key,
    struct backend *backend, uint64_t now_ms);

/* Puts it where it belongs after a change, at the young end. */
void entry_settle(struct shard *s, struct entry *e, uint64_t now_ms);

/* n more are on their way to its backend (or less). */
void entry_await(struct entry *e, int n);

/* Points it elsewhere with all its sessions; its locks break. Returns what it pointed
 * to, for backend_put after the lock. */
struct backend *entry_rebind(struct entry *e, struct backend *to, uint64_t now_ms);

/* Idle HTTP locks go first, then WebSocket locks without sessions; held pins never.
 * False: all are held. *dead_r collects what entries_free gets after the lock. */
bool shard_make_room(struct pins *pins, struct shard *s, struct entry **dead_r);
void entries_free(struct entry *dead);

#endif
