/* SPDX-License-Identifier: MIT
 *
 * outlier.c - passive health; see outlier.h.
 *
 * Counting is a few relaxed atomics: two workers that count at once may be one off,
 * which no threshold minds. Who ejects takes a lock, so that two workers do not both
 * eject the last but one; that happens once in seconds.
 *
 * Threads: any. The lock is a leaf.
 */
#include "upstream/outlier.h"

#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <stdlib.h>
#include <string.h>

enum { EJECT_MS = 1000, MAX_EJECT_MS = 30000, JITTER = 30 };

static pthread_mutex_t eject_lock = PTHREAD_MUTEX_INITIALIZER;

void
outlier_init(struct outlier *o)
{
	atomic_init(&o->connect_errors, 1);
	atomic_init(&o->eject_ms, EJECT_MS);
	atomic_init(&o->max_eject_ms, MAX_EJECT_MS);
}

void
outlier_configure(struct outlier *o, const struct config_outliers *conf)
{
	atomic_store(&o->connect_errors, conf->connect_errors);
	atomic_store(&o->eject_ms, conf->eject_ms);
	atomic_store(&o->max_eject_ms, conf->max_eject_ms);
}

/* ---- arithmetic ---- */

uint64_t
outlier_eject_ms(uint64_t first, uint64_t max, uint32_t n, uint64_t jitter)
{
	uint64_t ms = first;

	while (n-- > 1 && ms < max)
		ms *= 2;
	if (ms > max)
		ms = max;
	return ms * (100 - JITTER + jitter % (2 * JITTER + 1)) / 100;
}

bool
outlier_may_eject(unsigned n, unsigned ejected, unsigned serving, unsigned max_percent)
{
	uint64_t most = (uint64_t)n * max_percent / 100;

	if (most == 0 && max_percent)
		most = 1; /* so that few backends, and small shares, are not exempt */
	return serving > 1 && ejected < most;
}

/* ---- ejecting ---- */

static bool
may_eject(const struct upstream *up, uint64_t now_ms)
{
	unsigned ejected = 0, serving = 0;

	for (size_t i = 0; i < up->n_backends; i++) {
		enum backend_use use = backend_use(up->backends[i], now_ms);

		ejected += use == BACKEND_EJECTED;
		serving += backend_use_is_serving(use);
	}
	return outlier_may_eject((unsigned)up->n_backends, ejected, serving,
	    up->conf->outliers.max_ejected_percent);
}

/* The time doubles while it comes back only to be ejected anew; one that has done well
 * for as long as the longest ejection begins at the start again. */
static void
eject(const struct upstream *up, struct backend *b, enum ejected_for why,
    uint64_t now_ms, uint64_t jitter)
{
	static const char *const texts[] = {
	    [EJECTED_ANSWERS] = "bad answers",
	    [EJECTED_SLOW] = "slow answers",
	    [EJECTED_CLOSES] = "sessions ended abnormally",
	};

	const struct config_outliers *conf = &up->conf->outliers;
	struct outlier *o = &b->outlier;
	uint64_t was = atomic_load(&o->ejected_until_ms);
	uint32_t n = 1;
	uint64_t ms;

	if (was && now_ms < was + conf->max_eject_ms)
		n += atomic_load(&o->ejections);
	ms = outlier_eject_ms(conf->eject_ms, conf->max_eject_ms, n, jitter);
	atomic_store(&o->ejections, n);
	atomic_store(&o->ejected_until_ms, now_ms + ms);
	backend_log(LEVEL_WARN, b, "backend %s/%s gets nothing new for %.1f s (%s)",
	    b->upstream, b->name, (double)ms / 1000, texts[why]);
	atomic_fetch_add(&o->times[why], 1);
}

static void
eject_if_allowed(const struct upstream *up, struct backend *b, enum ejected_for why,
    uint64_t now_ms, uint64_t jitter)
{
	pthread_mutex_lock(&eject_lock);
	if (!outlier_is_ejected(&b->outlier, now_ms) && may_eject(up, now_ms))
		eject(up, b, why, now_ms, jitter);
	pthread_mutex_unlock(&eject_lock);
}

/* One more of its kind, or the end of a row. True: there are enough of them, and the
 * next row begins. */
static bool
count(_Atomic uint32_t *row, bool bad, unsigned enough)
{
	if (!bad) {
		if (atomic_load_explicit(row, memory_order_relaxed))
			atomic_store_explicit(row, 0, memory_order_relaxed);
		return false;
	}
	if (enough == 0 || atomic_fetch_add(row, 1) + 1 < enough)
		return false;
	atomic_store(row, 0);
	return true;
}

void
outlier_note_answer(const struct upstream *up, struct backend *b, bool bad,
    uint64_t after_ms, uint64_t now_ms, uint64_t jitter)
{
	const struct config_outliers *conf = &up->conf->outliers;
	struct outlier *o = &b->outlier;
	bool slow = conf->latency_ms && after_ms > conf->latency_ms;

	/* what it still answers says nothing about the time after */
	if (outlier_is_ejected(o, now_ms))
		return;
	if (count(&o->errors, bad, conf->errors))
		eject_if_allowed(up, b, EJECTED_ANSWERS, now_ms, jitter);
	if (conf->latency_ms && count(&o->slow, slow, conf->slow))
		eject_if_allowed(up, b, EJECTED_SLOW, now_ms, jitter);
}

void
outlier_note_end(const struct upstream *up, struct backend *b, bool bad,
    uint64_t now_ms, uint64_t jitter)
{
	if (!outlier_is_ejected(&b->outlier, now_ms) &&
	    count(&b->outlier.closes, bad, up->conf->outliers.closes))
		eject_if_allowed(up, b, EJECTED_CLOSES, now_ms, jitter);
}

/* ---- all out ---- */

struct census {
	unsigned well; /* in service, and not only because nobody asked lately */
	unsigned serving, ailing;
	unsigned unresolved; /* nobody knows: whoever looks them up tells */
};

static struct census
take_census(const struct upstream *up, uint64_t now_ms)
{
	struct census c = {0};

	for (size_t i = 0; i < up->n_backends; i++) {
		const struct backend *b = up->backends[i];
		enum backend_use use = backend_use(b, now_ms);
		bool serving = backend_use_is_serving(use);

		c.serving += serving;
		c.well += serving && atomic_load(&b->failures) == 0;
		c.ailing += backend_use_is_ailing(use);
		c.unresolved += use == BACKEND_UNRESOLVED;
	}
	return c;
}

static struct panic *
panic_of(struct panics *p, uint64_t id)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->all[i].upstream == id)
			return &p->all[i];
	return NULL;
}

/* NULL: no memory; tried again at the next look. */
static struct panic *
panic_add(struct panics *p, uint64_t id)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 4;
		struct panic *more = realloc(p->all, cap * sizeof *more);

		if (!more)
			return NULL;
		p->all = more;
		p->cap = cap;
	}
	p->all[p->n] = (struct panic){.upstream = id};
	return &p->all[p->n++];
}

#define tell(level, up, ...)                                   \
	log_about_at((level), TOPIC_BACKEND,                   \
	    &(struct log_about){.upstream = (up)->conf->name}, \
	    "upstream %s: " __VA_ARGS__)

static void
tell_panic(const struct upstream *up, const struct census *c)
{
	if (c->ailing)
		tell(LEVEL_ERROR, up,
		    "all of its backends are out; requests go to these %u anyway",
		    up->conf->name, c->ailing);
	else
		tell(LEVEL_WARN, up,
		    "all of its backends are drained or down; what is new gets 503",
		    up->conf->name);
}

static void
look(struct panics *p, const struct upstream *up, const struct census *c)
{
	struct panic *panic = panic_of(p, up->id);
	bool by_order = !c->ailing;

	if (c->serving == 0 && !(by_order && c->unresolved)) {
		if (panic && panic->by_order == by_order)
			return;
		if (!panic)
			panic = panic_add(p, up->id);
		if (!panic)
			return;
		panic->by_order = by_order;
		tell_panic(up, c);
	} else if (panic && c->well) {
		tell(LEVEL_NOTICE, up, "%u of its backends are %s again",
		    up->conf->name, c->well, panic->by_order ? "in service" : "well");
		*panic = p->all[--p->n];
	}
}

void
panics_look(struct panics *p, const struct snapshot *s, uint64_t now_ms)
{
	for (size_t i = 0; i < s->n_upstreams; i++) {
		struct census c = take_census(&s->upstreams[i], now_ms);

		look(p, &s->upstreams[i], &c);
	}
}

void
panics_fini(struct panics *p)
{
	free(p->all);
	*p = (struct panics){0};
}
