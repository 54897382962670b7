/* SPDX-License-Identifier: MIT
 *
 * pool.c - kept connections; see pool.h.
 *
 * An idle conn holds a reference to its backend, so a backend's slot is not given to
 * another while conns wait under it.
 */
#include "upstream/pool.h"

#include "upstream/backend.h"
#include "upstream/books.h"
#include "upstream/conn.h"
#include <stdlib.h>
#include <utlist.h>

void
pools_init(struct pools *pools, struct loop *loop)
{
	*pools = (struct pools){.loop = loop};
}

static void
close_all(struct pool *pool)
{
	while (pool->idle)
		conn_close(pool->idle);
}

void
pools_fini(struct pools *pools)
{
	for (size_t i = 0; i < pools->n_slots; i++)
		close_all(&pools->by_slot[i]);
	free(pools->by_slot);
	*pools = (struct pools){.loop = pools->loop};
}

static struct pool *
pool_grow(struct pools *pools, unsigned slot)
{
	struct pool *grown;
	size_t n = slot + 16;

	grown = realloc(pools->by_slot, n * sizeof *grown);
	if (!grown)
		return NULL;
	memset(grown + pools->n_slots, 0, (n - pools->n_slots) * sizeof *grown);
	pools->by_slot = grown;
	pools->n_slots = n;
	return &grown[slot];
}

/* The pool of a slot; NULL: no memory. */
static inline struct pool *
pool_of(struct pools *pools, unsigned slot)
{
	return slot < pools->n_slots ? &pools->by_slot[slot] : pool_grow(pools, slot);
}

/* The slot may have belonged to another backend before. */
static struct backend_counts *
pool_counts(struct pool *pool, const struct backend *backend)
{
	if (pool->backend_id != backend->id) {
		pool->counts = books_page(backend->books);
		pool->backend_id = backend->id;
	}
	return pool->counts;
}

struct backend_counts *
pools_counts(struct pools *pools, const struct backend *backend)
{
	struct pool *pool = pool_of(pools, backend->slot);

	return pool ? pool_counts(pool, backend) : books_page(backend->books);
}

static void
count_idle(struct pool *pool, int n)
{
	pool->n_idle += (unsigned)n;
	tally(&pool->counts->idle, (uint64_t)n);
}

void
pool_forget(struct conn *c)
{
	struct pool *pool = &c->pools->by_slot[c->backend->slot];

	DL_DELETE(pool->idle, c);
	count_idle(pool, -1);
}

/* The newest idle one; with `surely` the newest that is open to the last moment. */
static struct conn *
newest(struct pool *pool, bool surely)
{
	while (surely && pool->idle && !stream_is_quiet(&pool->idle->stream))
		conn_close(pool->idle);
	return pool->idle;
}

struct conn *
pool_take(struct pools *pools, const struct backend *backend, bool surely,
    const struct conn_ops *ops, void *user)
{
	struct conn *c;

	if (backend->slot >= pools->n_slots)
		return NULL;
	c = newest(&pools->by_slot[backend->slot], surely);
	if (!c)
		return NULL;
	pool_forget(c);
	c->state = CONN_USED;
	c->reused = true;
	c->ops = ops;
	c->user = user;
	/* the timer stays armed: its owner pushes it back when the conn is kept again,
	 * and a conn in use ignores it */
	count_add(&pools->loop->counters, COUNT_REUSED, 1);
	tally(&pools->by_slot[backend->slot].counts->reuses, 1);
	return c;
}

void
pool_keep(struct conn *c, uint64_t idle_ms)
{
	struct pool *pool = pool_of(c->pools, c->backend->slot);

	if (c->introduced || !pool || pool->n_idle >= POOL_MAX_IDLE ||
	    atomic_load_explicit(&c->backend->removed, memory_order_relaxed) ||
	    stream_queued(&c->stream)) {
		conn_close(c);
		return;
	}
	stream_read_on(&c->stream);
	c->state = CONN_IDLE;
	c->user = NULL;
	c->ops = NULL;
	DL_PREPEND(pool->idle, c);
	pool_counts(pool, c->backend);
	count_idle(pool, 1);
	if (idle_ms)
		loop_timer(c->pools->loop, &c->timer, idle_ms);
}

void
pools_retire(struct pools *pools)
{
	for (size_t i = 0; i < pools->n_slots; i++) {
		struct conn *c = pools->by_slot[i].idle;

		if (c && atomic_load(&c->backend->removed))
			close_all(&pools->by_slot[i]);
	}
}
