/* SPDX-License-Identifier: MIT
 *
 * quota.c - what one client may take of an upstream; see quota.h.
 *
 * A bucket is one number: when it will be full again. Taking from it moves that moment
 * on by the time in which it gets one back; it is empty when the moment is farther away
 * than a whole filling takes. So nothing has to tick, and changed limits need no
 * conversion.
 *
 * A client's seats are in three lists, each oldest first:
 *
 *            quota_sit
 *         .------'------.
 *      WAITING ------> SITTING     when sitting + leaving ones that sit < limit
 *         |               |
 *         '--> LEAVING <--'        told to, for a newer one
 *
 * and out of each by quota_rise. Only a leaving one that sat makes room by rising.
 *
 * Threads: any. One lock per shard; under it nothing is called but the two functions of
 * a seat's owner, which take the lock of a mailbox.
 */
#include "route/quota.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* The key is a good hash already. Running out of memory shows as hh.tbl == NULL. */
#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(keyptr, keylen, hashv) \
	((hashv) = (unsigned)((const struct hash128 *)(const void *)(keyptr))->lo)
#include <uthash.h>
#include <utlist.h>

/* Each sweep looks at an eighth of a shard's idle clients and at SWEEP_LEAST, so that
 * the lock is held shortly and the last few do not take for ever. */
enum { SHARDS = 64, SWEEP_SHARE = 8, SWEEP_LEAST = 16 };

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

enum seat_list { SITTING, WAITING, LEAVING, LISTS };

struct quota_client {
	UT_hash_handle hh;
	struct quota_client *prev,
	    *next; /* of the idle ones; NULL: it holds something */
	struct hash128 key;
	uint64_t rate_full_ns, upgrades_full_ns;
	struct quota_seat *seats[LISTS];
	uint32_t exchanges;
	uint32_t n_sit;   /* in SITTING, and in LEAVING where they sit */
	uint32_t n_stay;  /* in SITTING and WAITING */
	uint32_t n_seats; /* all */
	uint32_t max_seats;
	bool idle; /* in the shard's list */
};

struct shard {
	pthread_mutex_t lock;
	struct quota_client *table;
	struct quota_client *idle;   /* longest first */
	struct quota_client *cursor; /* where the next sweep goes on; NULL: the head */
	size_t count, n_idle;
} __attribute__((aligned(64)));

/* Owner: the daemon. Thread: any. */
struct quota {
	struct shard shards[SHARDS];
	size_t max_per_shard;
	_Atomic size_t count;
};

/* ---- buckets */

struct flow {
	uint64_t step_ns;  /* in which the bucket gets one back */
	uint64_t whole_ns; /* in which it fills */
};

static struct flow
flow_of(unsigned per, uint64_t period_ns, unsigned burst)
{
	uint64_t step = per ? period_ns / per : 0;

	return (struct flow){step, step * burst};
}

static struct flow
flow_of_rate(const struct config_client_limits *limits)
{
	return flow_of(limits->rate, NS_PER_S,
	    limits->burst ? limits->burst : limits->rate);
}

static struct flow
flow_of_upgrades(const struct config_client_limits *limits)
{
	return flow_of(limits->upgrades, 60 * NS_PER_S, limits->upgrades);
}

static uint64_t
missing(uint64_t full_ns, struct flow flow, uint64_t now_ns)
{
	uint64_t missing = full_ns > now_ns ? full_ns - now_ns : 0;

	/* after a reload with other limits a bucket is empty at most */
	return missing < flow.whole_ns ? missing : flow.whole_ns;
}

/* How long until one can be taken; 0: now. */
static uint64_t
wait_for_one(uint64_t full_ns, struct flow flow, uint64_t now_ns)
{
	uint64_t after = missing(full_ns, flow, now_ns) + flow.step_ns;

	return after > flow.whole_ns ? after - flow.whole_ns : 0;
}

static uint64_t
take_one(uint64_t full_ns, struct flow flow, uint64_t now_ns)
{
	return now_ns + missing(full_ns, flow, now_ns) + flow.step_ns;
}

static unsigned
seconds_up(uint64_t ns)
{
	return (unsigned)((ns + NS_PER_S - 1) / NS_PER_S);
}

/* ---- the table */

struct quota *
quota_new(size_t max)
{
	struct quota *q = aligned_alloc(64, sizeof(*q));

	if (!q)
		return NULL;
	memset(q, 0, sizeof(*q));
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&q->shards[i].lock, NULL);
	q->max_per_shard = max / SHARDS ? max / SHARDS : 1;
	return q;
}

static struct shard *
shard_lock(struct quota *q, struct hash128 key)
{
	struct shard *s = &q->shards[key.hi % SHARDS];

	pthread_mutex_lock(&s->lock);
	return s;
}

static void
shard_unlock(struct shard *s)
{
	pthread_mutex_unlock(&s->lock);
}

static void
idle_add(struct shard *s, struct quota_client *c)
{
	DL_APPEND(s->idle, c);
	c->idle = true;
	s->n_idle++;
}

static void
idle_remove(struct shard *s, struct quota_client *c)
{
	if (s->cursor == c)
		s->cursor = c->next;
	DL_DELETE(s->idle, c);
	c->idle = false;
	s->n_idle--;
}

static void
client_free(struct quota *q, struct shard *s, struct quota_client *c)
{
	if (c->idle)
		idle_remove(s, c);
	HASH_DELETE(hh, s->table, c);
	s->count--;
	atomic_fetch_sub_explicit(&q->count, 1, memory_order_relaxed);
	free(c);
}

void
quota_free(struct quota *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < SHARDS; i++) {
		while (q->shards[i].table)
			client_free(q, &q->shards[i], q->shards[i].table);
		pthread_mutex_destroy(&q->shards[i].lock);
	}
	free(q);
}

static struct quota_client *
client_new(struct quota *q, struct shard *s, struct hash128 key)
{
	struct quota_client *c;

	if (s->count >= q->max_per_shard && s->idle)
		client_free(q, s, s->idle);
	if (s->count >= q->max_per_shard)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->key = key;
	HASH_ADD(hh, s->table, key, sizeof(key), c);
	if (!c->hh.tbl) {
		free(c);
		return NULL;
	}
	s->count++;
	atomic_fetch_add_explicit(&q->count, 1, memory_order_relaxed);
	return c;
}

/* NULL: nobody can count this client. Afterwards client_settle. */
static struct quota_client *
client_find(struct quota *q, struct shard *s, struct hash128 key)
{
	struct quota_client *c;

	HASH_FIND(hh, s->table, &key, sizeof(key), c);
	return c ? c : client_new(q, s, key);
}

/* Puts it where it belongs after a change, among idle ones at the young end. */
static void
client_settle(struct shard *s, struct quota_client *c)
{
	if (c->idle)
		idle_remove(s, c);
	if (c->exchanges == 0 && c->n_seats == 0)
		idle_add(s, c);
}

void
quota_sweep(struct quota *q, uint64_t now_ms)
{
	uint64_t now_ns = now_ms * NS_PER_MS;

	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &q->shards[i];
		size_t more;

		pthread_mutex_lock(&s->lock);
		more = s->n_idle / SWEEP_SHARE + SWEEP_LEAST;
		while (more-- && s->idle) {
			struct quota_client *c = s->cursor ? s->cursor : s->idle;

			s->cursor = c->next;
			if (c->rate_full_ns <= now_ns && c->upgrades_full_ns <= now_ns)
				client_free(q, s, c);
		}
		shard_unlock(s);
	}
}

size_t
quota_size(const struct quota *q)
{
	return atomic_load_explicit(&q->count, memory_order_relaxed);
}

/* ---- requests */

bool
quota_applies(const struct config_client_limits *limits)
{
	return limits->rate || limits->exchanges || limits->sessions ||
	       limits->upgrades;
}

/* True: there is one to take. */
static bool
look(uint64_t *full_ns, struct flow flow, uint64_t now_ns, unsigned *retry_s_r)
{
	uint64_t wait = wait_for_one(*full_ns, flow, now_ns);

	if (wait == 0)
		return true;
	*full_ns = now_ns + missing(*full_ns, flow, now_ns);
	*retry_s_r = seconds_up(wait);
	return false;
}

/* All limits are looked at before anything is taken. */
static enum reason
client_enter(struct quota_client *c, const struct config_client_limits *limits,
    bool upgrade, uint64_t now_ns, unsigned *retry_s_r)
{
	struct flow rate = flow_of_rate(limits), upgrades = flow_of_upgrades(limits);

	*retry_s_r = 1;
	if (limits->rate && !look(&c->rate_full_ns, rate, now_ns, retry_s_r))
		return REASON_CLIENT_RATE;
	if (limits->exchanges && c->exchanges >= limits->exchanges)
		return REASON_CLIENT_EXCHANGES;
	if (upgrade && !look(&c->upgrades_full_ns, upgrades, now_ns, retry_s_r))
		return REASON_CLIENT_UPGRADES;
	if (limits->rate)
		c->rate_full_ns = take_one(c->rate_full_ns, rate, now_ns);
	if (upgrade)
		c->upgrades_full_ns = take_one(c->upgrades_full_ns, upgrades, now_ns);
	return REASON_NONE;
}

enum reason
quota_enter(struct quota *q, const struct config_client_limits *limits,
    struct hash128 key, bool websocket, uint64_t now_ms, struct quota_hold *hold,
    unsigned *retry_s_r)
{
	bool upgrade = websocket && limits->upgrades;
	enum reason why = REASON_NONE;
	struct quota_client *c;
	struct shard *s;

	hold->client = NULL;
	if (!limits->rate && !limits->exchanges && !upgrade)
		return REASON_NONE;
	s = shard_lock(q, key);
	c = client_find(q, s, key);
	if (c) {
		why = client_enter(c, limits, upgrade, now_ms * NS_PER_MS, retry_s_r);
		if (why == REASON_NONE && limits->exchanges) {
			c->exchanges++;
			hold->client = c;
		}
		client_settle(s, c);
	}
	shard_unlock(s);
	return why;
}

void
quota_leave(struct quota *q, struct quota_hold *hold)
{
	struct quota_client *c = hold->client;
	struct shard *s;

	if (!c)
		return;
	hold->client = NULL;
	s = shard_lock(q, c->key);
	c->exchanges--;
	client_settle(s, c);
	shard_unlock(s);
}

/* ---- sessions at once */

static void
seat_list(struct quota_client *c, struct quota_seat *seat, enum seat_list which)
{
	DL_APPEND(c->seats[which], seat);
	seat->list = (uint8_t)which;
	c->n_stay += which != LEAVING;
}

static void
seat_unlist(struct quota_client *c, struct quota_seat *seat)
{
	DL_DELETE(c->seats[seat->list], seat);
	c->n_stay -= seat->list != LEAVING;
}

static void
seat_add(struct quota_client *c, struct quota_seat *seat, bool sits)
{
	seat_list(c, seat, sits ? SITTING : WAITING);
	seat->sits = sits;
	seat->client = c;
	c->n_sit += sits;
	c->n_seats++;
}

static bool
seat_tell_to_leave(struct quota_client *c, struct quota_seat *seat)
{
	if (!seat->ops->leave(seat))
		return false;
	seat_unlist(c, seat);
	seat_list(c, seat, LEAVING);
	return true;
}

/* Those who wait sit down as long as there is room. */
static void
client_seat_waiting(struct quota_client *c)
{
	struct quota_seat *seat;

	while (c->n_sit < c->max_seats && (seat = c->seats[WAITING]) &&
	       seat->ops->seated(seat)) {
		seat_unlist(c, seat);
		seat_list(c, seat, SITTING);
		seat->sits = true;
		c->n_sit++;
	}
}

/* Makes the oldest leave until one more may stay. */
static bool
client_make_way(struct quota_client *c)
{
	while (c->n_stay >= c->max_seats) {
		struct quota_seat *oldest = c->seats[SITTING];

		if (!oldest)
			oldest = c->seats[WAITING];
		if (!seat_tell_to_leave(c, oldest))
			return false;
	}
	return true;
}

static enum quota_answer
client_sit(struct quota_client *c, struct quota_seat *seat, bool replace)
{
	bool room;

	client_seat_waiting(c); /* the limit may have been raised */
	if (replace ? !client_make_way(c) : c->n_seats >= c->max_seats)
		return QUOTA_FULL;
	room = c->n_sit < c->max_seats && !c->seats[WAITING];
	seat_add(c, seat, room);
	return room ? QUOTA_SEATED : QUOTA_WAIT;
}

enum quota_answer
quota_sit(struct quota *q, const struct config_client_limits *limits,
    struct hash128 key, struct quota_seat *seat)
{
	enum quota_answer answer = QUOTA_SEATED;
	struct quota_client *c;
	struct shard *s;

	seat->client = NULL;
	if (limits->sessions == 0)
		return QUOTA_SEATED;
	s = shard_lock(q, key);
	c = client_find(q, s, key);
	if (c) {
		c->max_seats = limits->sessions;
		answer = client_sit(c, seat, limits->excess == EXCESS_REPLACE_OLDEST);
		client_settle(s, c);
	}
	shard_unlock(s);
	return answer;
}

void
quota_rise(struct quota *q, struct quota_seat *seat)
{
	struct quota_client *c = seat->client;
	struct shard *s;

	if (!c)
		return;
	seat->client = NULL;
	s = shard_lock(q, c->key);
	seat_unlist(c, seat);
	c->n_sit -= seat->sits;
	c->n_seats--;
	client_seat_waiting(c);
	client_settle(s, c);
	shard_unlock(s);
}

void
quota_seat_move(struct quota *q, struct quota_seat *to, struct quota_seat *from)
{
	struct quota_client *c = from->client;
	struct shard *s;

	to->client = c;
	if (!c)
		return;
	s = shard_lock(q, c->key);
	to->list = from->list;
	to->sits = from->sits;
	DL_REPLACE_ELEM(c->seats[from->list], from, to);
	from->client = NULL;
	/* untold, it stays, as the oldest, until the next one comes */
	if (to->list == LEAVING && !to->ops->leave(to)) {
		seat_unlist(c, to);
		to->list = to->sits ? SITTING : WAITING;
		DL_PREPEND(c->seats[to->list], to);
		c->n_stay++;
	}
	shard_unlock(s);
}
