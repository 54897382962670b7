/* SPDX-License-Identifier: MIT
 *
 * pace.c - how fast clients may be moved; see pace.h.
 *
 * A bucket is one number: when the next move may be made. Two of them are looked at and
 * changed together, so there is a lock; it is taken once per move, of which there are
 * some hundreds a second at most.
 *
 * A move that waits for its target is entered in the upstream's bucket at the time when
 * it will be made, not earlier: places that are left empty before it stay empty, but no
 * second ever sees more than the rate.
 *
 * Threads: any. The lock is a leaf.
 */
#include "upstream/pace.h"

#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct pace {
	atomic_uint refs;
	pthread_mutex_t lock; /* also guards next_move_us of the upstream's backends */
	uint64_t next_us;
};

struct pace *
pace_new(void)
{
	struct pace *pace = calloc(1, sizeof(*pace));

	if (!pace)
		return NULL;
	atomic_init(&pace->refs, 1);
	pthread_mutex_init(&pace->lock, NULL);
	return pace;
}

struct pace *
pace_get(struct pace *pace)
{
	atomic_fetch_add_explicit(&pace->refs, 1, memory_order_relaxed);
	return pace;
}

void
pace_put(struct pace *pace)
{
	if (!pace ||
	    atomic_fetch_sub_explicit(&pace->refs, 1, memory_order_acq_rel) > 1)
		return;
	pthread_mutex_destroy(&pace->lock);
	free(pace);
}

/* When the next of `rate` a second (0: no limit) may be: not earlier than what has
 * piled up. */
static uint64_t
bucket_next(uint64_t next_us, unsigned rate, uint64_t now_us)
{
	uint64_t burst = PACE_BURST_MS * UINT64_C(1000);
	uint64_t earliest = now_us > burst ? now_us - burst : 0;

	return rate && next_us > earliest ? next_us : earliest;
}

static uint64_t
bucket_after(uint64_t at_us, unsigned rate)
{
	return rate ? at_us + 1000000 / rate : 0;
}

static uint64_t
later(uint64_t one, uint64_t other)
{
	return one > other ? one : other;
}

/* When a client could be moved to `to` (NULL: to anybody), if not before now. */
static uint64_t
next_move_us(const struct upstream *up, const struct backend *to, uint64_t now_us)
{
	const struct config_rehome *conf = &up->conf->rehome;
	uint64_t at, at_target = 0;

	pthread_mutex_lock(&up->pace->lock);
	at = bucket_next(up->pace->next_us, conf->rate, now_us);
	if (to)
		at_target = bucket_next(to->next_move_us, conf->target_rate, now_us);
	pthread_mutex_unlock(&up->pace->lock);
	return later(at, at_target);
}

static uint64_t
ms_until(uint64_t at_us, uint64_t now_us)
{
	return at_us > now_us ? (at_us - now_us + 999) / 1000 : 0;
}

bool
pace_allows(const struct upstream *up, const struct backend *to, uint64_t now_us)
{
	return next_move_us(up, to, now_us) <= now_us;
}

uint64_t
pace_wait_ms(const struct upstream *up, const struct backend *to, uint64_t now_us)
{
	return ms_until(next_move_us(up, to, now_us), now_us);
}

uint64_t
pace_book_ms(const struct upstream *up, struct backend *to, uint64_t now_us)
{
	const struct config_rehome *conf = &up->conf->rehome;
	uint64_t at, at_target, ahead;

	pthread_mutex_lock(&up->pace->lock);
	at = bucket_next(up->pace->next_us, conf->rate, now_us);
	at_target = bucket_next(to->next_move_us, conf->target_rate, now_us);
	ahead = later(at, at_target);
	if (ahead > now_us)
		at = at_target = ahead;
	up->pace->next_us = bucket_after(at, conf->rate);
	to->next_move_us = bucket_after(at_target, conf->target_rate);
	pthread_mutex_unlock(&up->pace->lock);
	return ms_until(ahead, now_us);
}
