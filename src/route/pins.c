/* SPDX-License-Identifier: MIT
 *
 * pins.c - what binds a client key to a backend; see pins.h.
 *
 * Each shard keeps its pins in four lists besides the hash table: held (by sessions
 * or exchanges), awaited, idle with a WebSocket lock, idle with an HTTP lock at most.
 * So making room and sweeping look only at pins that may go, oldest first, never at the
 * table. Awaited is who was sent away with any of its sessions, the others may be held
 * or back already; nobody collects from there.
 *
 * A pin's sessions are counted on its backend by the same lines that change either, all
 * under the shard's lock; therefore the sum over backends is always exact.
 *
 * Threads: any. One lock per shard, a leaf: under it only atomics of backends are
 * touched. What leaves the table is given back after the lock.
 */
#include "route/pins_private.h"

#include <stdlib.h>

/* Beyond the oldest idle pins, each sweep looks at an eighth of the others and at
 * SWEEP_LEAST, so that the last few do not take for ever; at SWEEP_CHUNK under the
 * lock, and in so many rounds. */
enum {
	SWEEP_SHARE = 8,
	SWEEP_LEAST = 16,
	SWEEP_CHUNK = 64,
	SWEEP_ROUNDS = 16,
	APART_MAX = UINT16_MAX
};

struct pins *
pins_new(uint64_t max)
{
	struct pins *pins = aligned_alloc(64, sizeof(*pins));

	if (!pins)
		return NULL;
	memset(pins, 0, sizeof(*pins));
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&pins->shards[i].lock, NULL);
	pthread_mutex_init(&pins->strays_lock, NULL);
	atomic_init(&pins->max, max);
	return pins;
}

void
pins_set_max(struct pins *pins, uint64_t max)
{
	atomic_store(&pins->max, max);
}

struct entry *
entry_find(struct shard *s, struct hash128 key)
{
	struct entry *e;

	HASH_FIND(hh, s->table, &key, sizeof(key), e);
	return e;
}

/* May the binding win over another wish? A full backend still serves its own. */
static bool
entry_is_good(const struct entry *e, uint64_t now_ms)
{
	enum backend_use use = backend_use(e->backend, now_ms);

	return entry_is_live(e, now_ms) && backend_use_is_serving(use);
}

static void
entry_list(struct shard *s, struct entry *e, enum idle which)
{
	struct list *list = &s->lists[which];

	DL_APPEND(list->head, e);
	if (!list->news)
		list->news = e;
	list->count++;
	e->list = (uint8_t)which;
}

static void
entry_unlist(struct shard *s, struct entry *e)
{
	struct list *list = &s->lists[e->list];

	if (list->cursor == e)
		list->cursor = e->next;
	if (list->news == e)
		list->news = e->next;
	DL_DELETE(list->head, e);
	list->count--;
}

void
entry_settle(struct shard *s, struct entry *e, uint64_t now_ms)
{
	enum idle which = IDLE_HTTP;

	if (e->awaited)
		which = AWAITED;
	else if (entry_is_held(e))
		which = HELD;
	else if (e->websocket_until > now_ms)
		which = IDLE_WEBSOCKET;
	entry_unlist(s, e);
	entry_list(s, e, which);
}

void
entry_await(struct entry *e, int n)
{
	e->awaited = (uint16_t)(e->awaited + n);
	atomic_fetch_add(&e->backend->awaited, (uint32_t)n);
}

/* Takes it out of the table; *dead_r collects what entries_free gets afterwards. */
static void
entry_remove(struct pins *pins, struct shard *s, struct entry *e, struct entry **dead_r)
{
	entry_unlist(s, e);
	HASH_DELETE(hh, s->table, e);
	s->count--;
	atomic_fetch_sub_explicit(&pins->count, 1, memory_order_relaxed);
	atomic_fetch_sub(&e->backend->sessions, e->sessions);
	atomic_fetch_sub(&e->backend->awaited, e->awaited);
	e->next = *dead_r;
	*dead_r = e;
}

void
entries_free(struct entry *dead)
{
	while (dead) {
		struct entry *next = dead->next;

		backend_put(dead->backend);
		free(dead);
		dead = next;
	}
}

void
pins_free(struct pins *pins)
{
	struct hash128 ignored;

	if (!pins)
		return;
	while (pins_next_stray(pins, &ignored))
		;
	pthread_mutex_destroy(&pins->strays_lock);
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &pins->shards[i];
		struct entry *dead = NULL;

		for (int which = 0; which < LISTS; which++) {
			while (s->lists[which].head)
				entry_remove(pins, s, s->lists[which].head, &dead);
		}
		entries_free(dead);
		pthread_mutex_destroy(&s->lock);
	}
	free(pins);
}

bool
shard_make_room(struct pins *pins, struct shard *s, struct entry **dead_r)
{
	uint64_t limit =
	    atomic_load_explicit(&pins->max, memory_order_relaxed) / SHARDS;

	while (s->count >= (limit ? limit : 1)) {
		struct entry *oldest = s->lists[IDLE_HTTP].head;

		if (!oldest)
			oldest = s->lists[IDLE_WEBSOCKET].head;
		if (!oldest)
			return false;
		entry_remove(pins, s, oldest, dead_r);
		atomic_fetch_add_explicit(&pins->evicted, 1, memory_order_relaxed);
	}
	return true;
}

struct entry *
entry_new(struct pins *pins, struct shard *s, struct hash128 key,
    struct backend *backend, uint64_t now_ms)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->key = key;
	HASH_ADD(hh, s->table, key, sizeof(key), e);
	if (!e->hh.tbl) {
		free(e);
		return NULL;
	}
	e->backend = backend_get(backend);
	e->since = now_ms;
	s->count++;
	atomic_fetch_add_explicit(&pins->count, 1, memory_order_relaxed);
	entry_list(s, e, HELD);
	return e;
}

struct backend *
entry_rebind(struct entry *e, struct backend *to, uint64_t now_ms)
{
	struct backend *from = e->backend;

	atomic_fetch_add(&to->sessions, e->sessions);
	atomic_fetch_sub(&from->sessions, e->sessions);
	atomic_fetch_add(&to->awaited, e->awaited);
	atomic_fetch_sub(&from->awaited, e->awaited);
	e->backend = backend_get(to);
	e->since = now_ms;
	e->websocket_until = 0;
	e->http_until = 0;
	e->arrived = false;
	e->era++;
	e->apart = e->sessions < APART_MAX ? e->sessions : APART_MAX;
	return from;
}

/* A session is where the pin points, or ends. */
static void
entry_gather(struct entry *e, uint16_t era)
{
	if (era != e->era && e->apart)
		e->apart--;
}

struct pin
entry_copy(const struct entry *e)
{
	return (struct pin){
	    .backend = backend_get(e->backend),
	    .sessions = e->sessions,
	    .followers = e->followers,
	    .exchanges = e->exchanges,
	    .awaited = e->awaited,
	    .apart = e->apart,
	    .websocket_until_ms = e->websocket_until,
	    .http_until_ms = e->http_until,
	    .since_ms = e->since,
	    .stable = e->stable,
	};
}

bool
pins_lookup(struct pins *pins, struct hash128 key, uint64_t now_ms, struct pin *pin_r)
{
	struct shard *s = shard_lock(pins, key);
	const struct entry *e = entry_find(s, key);
	bool found = e && entry_is_live(e, now_ms);

	if (found)
		*pin_r = entry_copy(e);
	shard_unlock(s);
	return found;
}

/* The rules of pins_bind for a key that is in the table. True: the exchange counts. */
static bool
entry_bind(struct entry *e, struct backend *proposed, const struct backend *expected,
    uint64_t now_ms, bool force, struct backend **drop_r)
{
	if (!entry_is_live(e, now_ms))
		e->since = now_ms;
	if (e->backend == proposed)
		return true;
	if (!force && e->backend != expected && entry_is_good(e, now_ms))
		return true;
	if (!force && entry_is_seated(e))
		return false;
	*drop_r = entry_rebind(e, proposed, now_ms);
	return true;
}

struct backend *
pins_bind(struct pins *pins, struct hash128 key, struct backend *proposed,
    const struct backend *expected, uint64_t now_ms, bool force, bool *held_r)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *e = entry_find(s, key);
	struct entry *dead = NULL;
	struct backend *drop = NULL, *winner = proposed;

	*held_r = false;
	if (e)
		*held_r = entry_bind(e, proposed, expected, now_ms, force, &drop);
	else if (shard_make_room(pins, s, &dead) &&
		 (e = entry_new(pins, s, key, proposed, now_ms)))
		*held_r = true;
	if (*held_r) {
		e->exchanges++;
		e->inherited = false;
		entry_settle(s, e, now_ms);
		winner = e->backend;
	}
	backend_get(winner);
	shard_unlock(s);
	backend_put(drop);
	entries_free(dead);
	return winner;
}

void
pins_exchange_end(struct pins *pins, struct hash128 key, uint64_t now_ms,
    uint64_t http_ms)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *e = entry_find(s, key);

	if (e && e->exchanges) {
		e->exchanges--;
		if (e->http_until < now_ms + http_ms)
			e->http_until = now_ms + http_ms;
		entry_settle(s, e, now_ms);
	}
	shard_unlock(s);
}

/* The entry for a session on `backend`, or NULL: the key is bound elsewhere. */
static struct entry *
entry_for_session(struct pins *pins, struct shard *s, struct hash128 key,
    struct backend *backend, uint64_t now_ms, struct entry **dead_r,
    struct backend **drop_r)
{
	struct entry *e = entry_find(s, key);

	if (!e) {
		(void)shard_make_room(pins, s, dead_r);
		return entry_new(pins, s, key, backend, now_ms);
	}
	if (!entry_is_live(e, now_ms))
		e->since = now_ms;
	if (e->backend == backend)
		return e;
	if (entry_is_seated(e) || entry_is_good(e, now_ms))
		return NULL;
	*drop_r = entry_rebind(e, backend, now_ms);
	return e;
}

/* One of those who are awaited is there. After the last it is as free to be moved as
 * one that was never held for longer. */
static void
entry_arrive(struct entry *e, uint64_t now_ms)
{
	entry_await(e, -1);
	if (!e->awaited && e->hold_until > now_ms + PINS_AWAIT_MS)
		e->hold_until = now_ms + PINS_AWAIT_MS;
}

bool
pins_session_open(struct pins *pins, struct hash128 key, struct backend *backend,
    uint64_t now_ms, uint64_t websocket_ms, uint16_t *era_r)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *dead = NULL, *e = NULL;
	struct backend *drop = NULL;

	if (era_r || entry_find(s, key) || shard_make_room(pins, s, &dead))
		e = entry_for_session(pins, s, key, backend, now_ms, &dead, &drop);
	if (e) {
		if (!era_r) {
			e->followers++;
		} else {
			e->sessions++;
			*era_r = (uint16_t)e->era;
			e->arrived = true;
			atomic_fetch_add(&backend->sessions, 1);
			if (e->awaited)
				entry_arrive(e, now_ms);
		}
		e->inherited = false;
		if (e->websocket_until <= now_ms)
			e->websocket_until = now_ms + websocket_ms;
		entry_settle(s, e, now_ms);
	}
	shard_unlock(s);
	backend_put(drop);
	entries_free(dead);
	return e != NULL;
}

void
pins_settled(struct pins *pins, struct hash128 key, const struct backend *backend,
    uint16_t *era)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *e = entry_find(s, key);

	if (e && e->backend == backend) {
		entry_gather(e, *era);
		*era = (uint16_t)e->era;
	}
	shard_unlock(s);
}

void
pins_unsettled(struct pins *pins, struct hash128 key, uint16_t *era)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *e = entry_find(s, key);

	if (e && e->era == *era) {
		--*era; /* as if it had missed the last move */
		e->apart += e->apart < APART_MAX;
	}
	shard_unlock(s);
}

void
pins_follow(struct pins *pins, struct hash128 key, struct hash128 follower)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *e = entry_find(s, key);

	if (e && e->sessions) {
		e->follower = follower;
		e->has_follower = true;
	}
	shard_unlock(s);
}

void
pins_set_stable(struct pins *pins, struct hash128 key, uint64_t stable)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *e = entry_find(s, key);

	if (e)
		e->stable = stable;
	shard_unlock(s);
}

/* Takes one session off; false: there was none. */
static bool
entry_leave(struct entry *e, const uint16_t *era)
{
	uint32_t *count = era ? &e->sessions : &e->followers;

	if (*count == 0)
		return false;
	--*count;
	if (era) {
		entry_gather(e, *era);
		atomic_fetch_sub(&e->backend->sessions, 1);
		e->has_follower = e->has_follower && e->sessions;
	}
	return true;
}

/* What remains when the last session has left. */
static void
entry_keep_lock(struct entry *e, bool clean, uint64_t now_ms, uint64_t http_ms)
{
	if (entry_is_seated(e))
		return;
	if (clean)
		e->websocket_until = 0;
	if (e->http_until < now_ms + http_ms)
		e->http_until = now_ms + http_ms;
}

void
pins_session_close(struct pins *pins, struct hash128 key, bool clean, uint64_t now_ms,
    uint64_t http_ms, const uint16_t *era)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *e = entry_find(s, key);

	if (e && entry_leave(e, era)) {
		entry_keep_lock(e, clean, now_ms, http_ms);
		entry_settle(s, e, now_ms);
	}
	shard_unlock(s);
}

void
pins_session_away(struct pins *pins, struct hash128 key, uint64_t now_ms,
    uint64_t http_ms, uint16_t era)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *e = entry_find(s, key);

	if (e && e->sessions) {
		/* the place it comes back to is taken before this one is free */
		if (e->awaited < UINT16_MAX)
			entry_await(e, 1);
		entry_leave(e, &era);
		entry_keep_lock(e, false, now_ms, http_ms);
		e->hold_until = now_ms + PINS_AWAIT_MS;
		entry_settle(s, e, now_ms);
	}
	shard_unlock(s);
}

static bool
move_one(struct pins *pins, struct hash128 key, struct backend *from,
    struct backend *to, uint64_t now_ms, uint64_t websocket_ms, bool *has_follower_r,
    struct hash128 *follower_r)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *e = entry_find(s, key);
	struct backend *drop = NULL;
	bool moved = e && e->backend == from && entry_is_live(e, now_ms);

	*has_follower_r = false;
	if (moved && from != to) {
		drop = entry_rebind(e, to, now_ms);
		e->websocket_until = now_ms + websocket_ms;
		e->inherited = false;
		entry_settle(s, e, now_ms);
		*has_follower_r = e->has_follower;
		*follower_r = e->follower;
	}
	shard_unlock(s);
	backend_put(drop);
	return moved;
}

bool
pins_move(struct pins *pins, struct hash128 key, struct backend *from,
    struct backend *to, uint64_t now_ms, uint64_t websocket_ms)
{
	struct hash128 follower;
	bool has_follower, ignored;

	if (!move_one(pins, key, from, to, now_ms, websocket_ms, &has_follower,
		&follower))
		return false;
	if (has_follower)
		move_one(pins, follower, from, to, now_ms, websocket_ms, &ignored,
		    &follower);
	return true;
}

void
pins_arrived(struct pins *pins, struct hash128 key, const struct backend *backend)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *e = entry_find(s, key);

	if (e && e->backend == backend)
		e->arrived = true;
	shard_unlock(s);
}

bool
pins_may_return(struct pins *pins, struct hash128 key, const struct backend *to)
{
	struct shard *s = shard_lock(pins, key);
	const struct entry *e = entry_find(s, key);
	bool may = !e || e->backend != to || !e->arrived;

	shard_unlock(s);
	return may;
}

void
pins_note_stray(struct pins *pins, struct hash128 key)
{
	struct stray *stray = malloc(sizeof(*stray));

	if (!stray)
		return; /* its sessions stay apart until one of them ends */
	stray->key = key;
	pthread_mutex_lock(&pins->strays_lock);
	LL_PREPEND(pins->strays, stray);
	pthread_mutex_unlock(&pins->strays_lock);
}

bool
pins_next_stray(struct pins *pins, struct hash128 *key_r)
{
	struct stray *stray;

	pthread_mutex_lock(&pins->strays_lock);
	stray = pins->strays;
	if (stray)
		LL_DELETE(pins->strays, stray);
	pthread_mutex_unlock(&pins->strays_lock);
	if (!stray)
		return false;
	*key_r = stray->key;
	free(stray);
	return true;
}

void
pins_hold(struct pins *pins, struct hash128 key, uint64_t now_ms, uint64_t until_ms)
{
	struct shard *s = shard_lock(pins, key);
	struct entry *e = entry_find(s, key);

	if (e) {
		e->hold_until = until_ms;
		entry_await(e, -e->awaited); /* it was to go elsewhere */
		entry_settle(s, e, now_ms);
	}
	shard_unlock(s);
}

/* True: it stays in its list. */
static bool
entry_sweep(struct pins *pins, struct shard *s, struct entry *e, uint64_t now_ms,
    struct entry **dead_r)
{
	if (!entry_is_live(e, now_ms)) {
		entry_remove(pins, s, e, dead_r);
		return false;
	}
	if (e->list == AWAITED && e->hold_until <= now_ms) {
		entry_await(e, -e->awaited);
		entry_settle(s, e, now_ms);
		return false;
	}
	if (e->list == IDLE_WEBSOCKET && e->websocket_until <= now_ms) {
		entry_settle(s, e, now_ms);
		return false;
	}
	return true;
}

/* The oldest that are over, and some of the others; returns what of the budget is left.
 */
static unsigned
list_sweep(struct pins *pins, struct shard *s, enum idle which, uint64_t now_ms,
    size_t *others, unsigned budget, struct entry **dead_r)
{
	struct list *list = &s->lists[which];

	while (
	    budget && list->head && !entry_sweep(pins, s, list->head, now_ms, dead_r))
		budget--;
	for (; budget && *others && list->head; budget--, --*others) {
		struct entry *e = list->cursor ? list->cursor : list->head;

		list->cursor = e->next;
		entry_sweep(pins, s, e, now_ms, dead_r);
	}
	return budget;
}

/* A part of what is to be done; true: there is more. */
static bool
shard_sweep(struct pins *pins, struct shard *s, uint64_t now_ms, size_t others[LISTS],
    size_t *swept)
{
	unsigned budget = SWEEP_CHUNK;
	struct entry *dead = NULL;
	size_t before;

	pthread_mutex_lock(&s->lock);
	before = s->count;
	for (int which = AWAITED; which < LISTS; which++) {
		if (others[which] == SIZE_MAX)
			others[which] =
			    s->lists[which].count / SWEEP_SHARE + SWEEP_LEAST;
		budget = list_sweep(pins, s, (enum idle)which, now_ms, &others[which],
		    budget, &dead);
	}
	*swept += before - s->count;
	shard_unlock(s);
	entries_free(dead);
	return budget == 0;
}

/* A shard has its next turn after all others, as in pins_collect. */
size_t
pins_sweep(struct pins *pins, uint64_t now_ms)
{
	size_t others[SHARDS][LISTS], swept = 0;
	bool more = true;

	memset(others, 0xff, sizeof(others)); /* SIZE_MAX: not known yet */
	for (unsigned i = 0; i < SWEEP_ROUNDS && more; i++) {
		more = false;
		for (size_t at = 0; at < SHARDS; at++)
			more |= shard_sweep(pins, &pins->shards[at], now_ms, others[at],
			    &swept);
	}
	return swept;
}
