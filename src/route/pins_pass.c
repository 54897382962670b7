/* SPDX-License-Identifier: MIT
 *
 * pins_pass.c - pins go from one process to the next, all of them and then what
 * changes.
 *
 * Every change puts a pin at the young end of its list, so what has changed since a
 * list was passed on is the rest of it, from one pin on (list->news), and costs nobody
 * anything to know. A first call finds everything to be news.
 *
 * The new process cannot have the sessions of the old one, but their clients will come
 * to it sooner or later: it awaits them, as those who were sent away by re-homing. So
 * they count where they are, keep their places, and HTTP is steered there. What else
 * holds a pin in the old one is an HTTP lock in the new one, which the next news of the
 * pin makes as long as it should be.
 *
 * Threads: any; a few pins at a time under their lock.
 */
#include "route/pins_private.h"

/* ---- the old one ---- */

/* Returns at how many it has looked. */
static size_t
shard_news(struct shard *s, struct pin_row *rows_r, size_t max, size_t *n_r)
{
	size_t looked = 0;

	for (int which = 0; which < LISTS; which++) {
		struct list *list = &s->lists[which];

		for (; list->news && looked < max; looked++) {
			const struct entry *e = list->news;

			list->news = e->next;
			if (!hash128_is_anonymous(e->key))
				rows_r[(*n_r)++] =
				    (struct pin_row){e->key, entry_copy(e)};
		}
	}
	return looked;
}

size_t
pins_news(struct pins *pins, struct pin_row *rows_r, size_t max, bool *more_r)
{
	size_t n = 0;

	*more_r = false;
	for (unsigned i = 0; i < SHARDS && !*more_r; i++) {
		struct shard *s = &pins->shards[(pins->news_from + i) % SHARDS];

		pthread_mutex_lock(&s->lock);
		*more_r = shard_news(s, rows_r, max, &n) > 0;
		pthread_mutex_unlock(&s->lock);
		if (*more_r)
			pins->news_from = (pins->news_from + i) % SHARDS;
	}
	return n;
}

void
pins_news_again(struct pins *pins)
{
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &pins->shards[i];

		pthread_mutex_lock(&s->lock);
		for (int which = 0; which < LISTS; which++)
			s->lists[which].news = s->lists[which].head;
		pthread_mutex_unlock(&s->lock);
	}
}

/* ---- the new one ---- */

/* Sessions, there or on their way. */
static uint32_t
pin_seats(const struct pin *pin)
{
	uint32_t seats = pin->sessions + pin->awaited;

	return seats < UINT16_MAX ? seats : UINT16_MAX;
}

static bool
pin_is_held(const struct pin *pin)
{
	return pin->sessions || pin->awaited || pin->followers || pin->exchanges;
}

static bool
pin_is_live(const struct pin *pin, uint64_t now_ms)
{
	return pin_is_held(pin) || pin->websocket_until_ms > now_ms ||
	       pin->http_until_ms > now_ms;
}

/* May the old process still say where the client belongs? */
static bool
entry_yields(const struct entry *e, const struct pin *pin, uint64_t now_ms)
{
	if (e->backend == pin->backend || e->inherited || !entry_is_live(e, now_ms))
		return true;
	/* a session there is more than an HTTP lock here */
	return pin->sessions && !entry_is_held(e) && e->websocket_until <= now_ms;
}

static void
entry_inherit_locks(struct entry *e, const struct pin *pin, uint64_t until_ms)
{
	if (e->inherited || e->websocket_until < pin->websocket_until_ms)
		e->websocket_until = pin->websocket_until_ms;
	if (e->inherited || e->http_until < pin->http_until_ms)
		e->http_until = pin->http_until_ms;
	if (e->inherited)
		e->since = pin->since_ms;
	if (pin->stable)
		e->stable = pin->stable;
	/* whom nobody awaits is held by his HTTP lock */
	if (!pin_seats(pin) && (pin->followers || (pin->exchanges && e->inherited)) &&
	    e->http_until < until_ms)
		e->http_until = until_ms;
}

/* Who is not there any more has come here, is on his way, or has left for good. */
static void
entry_inherit_seats(struct entry *e, const struct pin *pin, uint64_t now_ms,
    uint64_t until_ms)
{
	uint32_t seats = pin_seats(pin);

	if (seats > e->awaited)
		entry_await(e, (int)(seats - e->awaited));
	if (e->awaited)
		e->hold_until = seats ? until_ms : now_ms + PINS_AWAIT_MS;
}

void
pins_inherit(struct pins *pins, const struct pin_row *row, uint64_t now_ms,
    uint64_t until_ms)
{
	const struct pin *pin = &row->pin;
	struct shard *s = shard_lock(pins, row->key);
	struct entry *e = entry_find(s, row->key), *dead = NULL;
	struct backend *drop = NULL;

	if (!e && pin_is_live(pin, now_ms) && shard_make_room(pins, s, &dead)) {
		e = entry_new(pins, s, row->key, pin->backend, now_ms);
		if (e)
			e->inherited = true;
	}
	if (e && entry_yields(e, pin, now_ms)) {
		if (e->backend != pin->backend) {
			drop = entry_rebind(e, pin->backend, now_ms);
			e->inherited = true;
		}
		entry_inherit_locks(e, pin, until_ms);
		entry_inherit_seats(e, pin, now_ms, until_ms);
		entry_settle(s, e, now_ms);
	}
	shard_unlock(s);
	backend_put(drop);
	entries_free(dead);
}
