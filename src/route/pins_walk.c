/* SPDX-License-Identifier: MIT
 *
 * pins_walk.c - looks through all pins: whom to move, a list for people, sums.
 *
 * There may be a million, so a walk lets go of each lock after a few; only the
 * self-check of debug builds holds them all.
 *
 * Threads: any.
 */
#include "route/pins_private.h"

#include <stdlib.h>

/* COLLECT_CHUNK: pins looked at before the lock is let go, about 50 us when none of
 * them is in the cache. A list looks at LIST_MAX pins in all, and at LIST_CHUNK buckets
 * under the lock. */
#define ALL SIZE_MAX

enum { COLLECT_CHUNK = 128, LIST_MAX = 250000, LIST_CHUNK = 64 };

/* ---- whom to move ---- */

static bool
entry_may_move(const struct entry *e, uint64_t now_ms, unsigned max_sessions,
    uint64_t stay_ms)
{
	if (e->sessions == 0 || e->since + stay_ms > now_ms || e->hold_until > now_ms)
		return false;
	return max_sessions == 0 ||
	       (e->sessions <= max_sessions && e->websocket_until <= now_ms &&
		   e->exchanges == 0 && e->apart == 0);
}

/* What a collection looks for. */
struct search {
	const struct backend *backend;
	uint64_t now_ms;
	unsigned max_sessions;
	uint64_t stay_ms;
	struct hash128 *keys;
	size_t n, max;
};

/* Looks at the next few of those that `left` says, all where it says ALL. */
static void
shard_collect(struct shard *s, struct search *search, size_t *left)
{
	struct list *list = &s->lists[HELD];
	unsigned chunk = COLLECT_CHUNK;

	pthread_mutex_lock(&s->lock);
	if (*left == ALL)
		*left = list->count;
	while (*left && chunk-- && search->n < search->max && list->head) {
		struct entry *e = list->cursor ? list->cursor : list->head;

		list->cursor = e->next;
		--*left;
		if (e->backend == search->backend &&
		    entry_may_move(e, search->now_ms, search->max_sessions,
			search->stay_ms))
			search->keys[search->n++] = e->key;
	}
	if (!list->head)
		*left = 0;
	shard_unlock(s);
}

/* One round past all shards, beginning with the shard number *at; false: there is
 * nobody left to look at. Between two chunks of a shard are those of all others: a
 * thread that waits for its lock would not get it if it were taken again at once. */
static bool
collect_round(struct pins *pins, struct search *search, unsigned *at, size_t *left)
{
	bool more = false;

	for (unsigned i = 0; i < SHARDS && search->n < search->max; i++) {
		if (left[*at])
			shard_collect(&pins->shards[*at], search, &left[*at]);
		more = more || left[*at];
		if (search->n < search->max)
			*at = (*at + 1) % SHARDS; /* else it may hold more */
	}
	return more;
}

/* Goes on where the last call stopped, so that a backend that is being emptied does not
 * cost a walk past everybody who was moved before. */
size_t
pins_collect(struct pins *pins, const struct backend *backend, uint64_t now_ms,
    unsigned max_sessions, uint64_t stay_ms, struct hash128 *keys_r, size_t max)
{
	unsigned at = atomic_load_explicit(&pins->collect_from, memory_order_relaxed);
	struct search search = {.backend = backend,
	    .now_ms = now_ms,
	    .max_sessions = max_sessions,
	    .stay_ms = stay_ms,
	    .keys = keys_r,
	    .max = max};
	size_t left[SHARDS];

	for (unsigned i = 0; i < SHARDS; i++)
		left[i] = ALL;
	while (collect_round(pins, &search, &at, left) && search.n < max)
		;
	atomic_store_explicit(&pins->collect_from, at, memory_order_relaxed);
	return search.n;
}

/* ---- who stays ---- */

static enum pin_hold
entry_hold(const struct entry *e, uint64_t now_ms, uint64_t stay_ms, uint64_t *until_r)
{
	*until_r = 0;
	if (e->apart || e->awaited)
		return HELD_BY_MOVE;
	if ((*until_r = e->hold_until) > now_ms)
		return HELD_BY_FAILURE;
	if ((*until_r = e->websocket_until) > now_ms)
		return HELD_BY_LOCK;
	if ((*until_r = e->since + stay_ms) > now_ms)
		return HELD_BY_STAY;
	*until_r = 0;
	return e->exchanges ? HELD_BY_REQUEST : HELD_BY_NOTHING;
}

static void
entry_count_hold(const struct entry *e, uint64_t now_ms, uint64_t stay_ms,
    struct pin_holds *holds)
{
	uint64_t until;
	enum pin_hold hold = entry_hold(e, now_ms, stay_ms, &until);

	if (holds->clients[hold]++ == 0 || until < holds->until_ms[hold])
		holds->until_ms[hold] = until;
}

static void
bucket_count_holds(const struct shard *s, size_t bucket, const struct backend *backend,
    uint64_t now_ms, uint64_t stay_ms, struct pin_holds *holds)
{
	const UT_hash_table *t = s->table ? s->table->hh.tbl : NULL;
	const UT_hash_handle *h =
	    t && bucket < t->num_buckets ? t->buckets[bucket].hh_head : NULL;

	for (; h; h = h->hh_next) {
		const struct entry *e =
		    (const struct entry *)(const void *)ELMT_FROM_HH(t, h);

		if (e->backend == backend && e->sessions)
			entry_count_hold(e, now_ms, stay_ms, holds);
	}
}

void
pins_count_holds(struct pins *pins, const struct backend *backend, uint64_t now_ms,
    uint64_t stay_ms, struct pin_holds *holds_r)
{
	size_t most = 1; /* buckets of the greatest shard */

	*holds_r = (struct pin_holds){.clients = {0}};
	for (size_t done = 0; done < most; done += LIST_CHUNK)
		for (size_t i = 0; i < SHARDS; i++) {
			struct shard *s = &pins->shards[i];

			pthread_mutex_lock(&s->lock);
			if (s->table && s->table->hh.tbl->num_buckets > most)
				most = s->table->hh.tbl->num_buckets;
			for (size_t b = done; b < done + LIST_CHUNK; b++)
				bucket_count_holds(s, b, backend, now_ms, stay_ms,
				    holds_r);
			shard_unlock(s);
		}
}

/* ---- a list for people ---- */

struct listing {
	struct backend *const *backends;
	size_t n_backends;
	uint64_t now_ms;
	struct pin_row *rows;
	size_t n, max;
	size_t looked; /* at so many pins */
	bool more;
};

static void
entry_report(const struct entry *e, struct listing *l)
{
	size_t i = 0;

	l->looked++;
	while (i < l->n_backends && l->backends[i] != e->backend)
		i++;
	if (i == l->n_backends || !entry_is_live(e, l->now_ms))
		return;
	l->more = l->n == l->max;
	if (!l->more)
		l->rows[l->n++] = (struct pin_row){e->key, entry_copy(e)};
}

/* One bucket of a table that had n of them; it may have grown since, by doubling, which
 * spreads a bucket over those whose number is the same modulo n. */
static void
bucket_list(const struct shard *s, size_t bucket, size_t n, struct listing *l)
{
	const UT_hash_table *t = s->table ? s->table->hh.tbl : NULL;

	for (size_t i = bucket; t && i < t->num_buckets; i += n)
		for (UT_hash_handle *h = t->buckets[i].hh_head; h; h = h->hh_next)
			entry_report((const struct entry *)(const void *)ELMT_FROM_HH(t,
					 h),
			    l);
}

static void
shard_list(struct shard *s, struct listing *l)
{
	size_t n, done = 0;

	pthread_mutex_lock(&s->lock);
	n = s->table ? s->table->hh.tbl->num_buckets : 0;
	while (done < n && !l->more && l->looked < LIST_MAX) {
		for (int i = 0; i < LIST_CHUNK && done < n; i++)
			bucket_list(s, done++, n, l);
		pthread_mutex_unlock(&s->lock);
		pthread_mutex_lock(&s->lock);
	}
	l->more |= done < n;
	pthread_mutex_unlock(&s->lock);
}

size_t
pins_list(struct pins *pins, struct backend *const *backends, size_t n_backends,
    uint64_t now_ms, struct pin_row *rows_r, size_t max, bool *complete_r)
{
	struct listing l = {.backends = backends,
	    .n_backends = n_backends,
	    .now_ms = now_ms,
	    .rows = rows_r,
	    .max = max};
	size_t i;

	for (i = 0; i < SHARDS && !l.more; i++)
		shard_list(&pins->shards[i], &l);
	*complete_r = !l.more;
	return l.n;
}

/* ---- sums ---- */

void
pins_census(struct pins *pins, struct pins_census *census_r)
{
	*census_r = (struct pins_census){.evicted = atomic_load(&pins->evicted)};
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &pins->shards[i];

		pthread_mutex_lock(&s->lock);
		census_r->held += s->lists[HELD].count;
		census_r->websocket += s->lists[IDLE_WEBSOCKET].count;
		census_r->http += s->lists[IDLE_HTTP].count;
		shard_unlock(s);
	}
}

size_t
pins_count(const struct pins *pins)
{
	return atomic_load_explicit(&pins->count, memory_order_relaxed);
}

static size_t
place_of(struct backend *const *backends, size_t n, const struct backend *b)
{
	size_t i = 0;

	while (i < n && backends[i] != b)
		i++;
	return i;
}

struct sum {
	uint32_t sessions, awaited;
};

static void
shard_sum(const struct shard *s, struct backend *const *backends, size_t n,
    struct sum *sums)
{
	const struct entry *e;

	/* whoever has sessions is in one of these lists */
	for (int which = HELD; which <= AWAITED; which++)
		for (e = s->lists[which].head; e; e = e->next) {
			struct sum *sum = &sums[place_of(backends, n, e->backend)];

			sum->sessions += e->sessions;
			sum->awaited += e->awaited;
		}
}

/* The one place where more than one lock is held: all of them, in their order. (No
 * more than 64: the thread sanitizer bears no more at once.) */
bool
pins_counts_are_right(struct pins *pins, struct backend *const *backends, size_t n)
{
	struct sum *sums = calloc(n + 1, sizeof(*sums)); /* one for all others */
	bool right = true;

	if (!sums)
		return true;
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_lock(&pins->shards[i].lock);
	for (size_t i = 0; i < SHARDS; i++)
		shard_sum(&pins->shards[i], backends, n, sums);
	for (size_t i = 0; i < n; i++)
		right = right &&
			atomic_load(&backends[i]->sessions) == sums[i].sessions &&
			atomic_load(&backends[i]->awaited) == sums[i].awaited;
	for (size_t i = SHARDS; i-- > 0;)
		pthread_mutex_unlock(&pins->shards[i].lock);
	free(sums);
	return right;
}
