/* SPDX-License-Identifier: MIT
 *
 * backend.c - one app server, shared by all workers; see backend.h.
 *
 * Workers judge a backend for every request, so everything they look at is an atomic;
 * only the address, needed when a connection is made, has a lock. Slots are given out
 * from a small bitmap so that per-worker arrays stay dense over many reloads.
 *
 * Threads: any. Lock order: addr_lock and the slots' lock are leaves.
 */
#include "upstream/backend.h"

#include "balance/latency.h"
#include "base/clock.h"
#include "base/hash.h"
#include <stdlib.h>
#include <string.h>

/* In per cent: what a backend gets of its weight when its slow start begins. Less would
 * leave it untried for long, more would be no gentle start. */
enum { WARM_UP_FROM = 10 };

static struct {
	pthread_mutex_t lock;
	uint64_t *words; /* bit set: slot in use */
	size_t n_words;
	size_t used;
} slots = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool
slots_grow(void)
{
	size_t n = slots.n_words ? slots.n_words * 2 : 1;
	uint64_t *words = realloc(slots.words, n * sizeof(*words));

	if (!words)
		return false;
	memset(words + slots.n_words, 0, (n - slots.n_words) * sizeof(*words));
	slots.words = words;
	slots.n_words = n;
	return true;
}

static bool
slot_take_locked(unsigned *slot_r)
{
	for (size_t i = 0; i < slots.n_words || slots_grow(); i++) {
		if (slots.words[i] == UINT64_MAX)
			continue;
		unsigned bit = (unsigned)__builtin_ctzll(~slots.words[i]);
		slots.words[i] |= UINT64_C(1) << bit;
		slots.used++;
		*slot_r = (unsigned)i * 64 + bit;
		return true;
	}
	return false;
}

static bool
slot_take(unsigned *slot_r)
{
	pthread_mutex_lock(&slots.lock);
	bool ok = slot_take_locked(slot_r);
	pthread_mutex_unlock(&slots.lock);
	return ok;
}

static void
slot_give_back(unsigned slot)
{
	pthread_mutex_lock(&slots.lock);
	slots.words[slot / 64] &= ~(UINT64_C(1) << slot % 64);
	if (--slots.used == 0) {
		free(slots.words);
		slots.words = NULL;
		slots.n_words = 0;
	}
	pthread_mutex_unlock(&slots.lock);
}

static void
backend_free(struct backend *b)
{
	pthread_mutex_destroy(&b->addr_lock);
	books_put(b->books);
	free(b->upstream);
	free(b->name);
	free(b->address);
	free(b);
}

/* The address that needs no looking up, if it is of that kind. */
static bool
addr_of(const char *address, struct addr *addr_r)
{
	struct str path;

	if (!addr_unix_path(str_of(address), &path))
		return addr_parse(str_of(address), addr_r);
	*addr_r = (struct addr){.sa.sa_family = AF_UNIX};
	return true;
}

struct backend *
backend_new(const char *upstream, const struct config_backend *conf)
{
	static _Atomic uint64_t last_id;
	struct backend *b = calloc(1, sizeof(*b));
	struct addr addr;

	if (!b)
		return NULL;
	pthread_mutex_init(&b->addr_lock, NULL);
	b->upstream = strdup(upstream);
	b->name = strdup(conf->name);
	b->address = strdup(conf->address);
	b->books = books_new(sizeof(struct backend_counts));
	if (!b->upstream || !b->name || !b->address || !b->books ||
	    !slot_take(&b->slot)) {
		backend_free(b);
		return NULL;
	}
	atomic_init(&b->identity, hash_stable(0, conf->name, strlen(conf->name)));
	b->id = atomic_fetch_add(&last_id, 1) + 1;
	atomic_init(&b->refs, 1);
	outlier_init(&b->outlier);
	backend_configure(b, conf, NULL);
	backend_warm_up(b, clock_now_ms());
	if (addr_of(conf->address, &addr))
		backend_set_addr(b, &addr);
	return b;
}

bool
backend_is_of(const struct backend *b, const struct config_backend *conf)
{
	size_t n = strlen(conf->name);

	return strncmp(b->name, conf->name, n) == 0 &&
	       (b->name[n] == '\0' || b->name[n] == '#') &&
	       strcmp(b->address, conf->address) == 0;
}

bool
backend_address_is_name(const char *address)
{
	struct addr ignored;

	return !addr_of(address, &ignored);
}

struct backend *
backend_get(struct backend *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void
backend_put(struct backend *b)
{
	if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) > 1)
		return;
	slot_give_back(b->slot);
	backend_free(b);
}

void
backend_configure(struct backend *b, const struct config_backend *conf,
    const struct config_upstream *up)
{
	int was = atomic_exchange(&b->admin_state, conf->state);

	atomic_store(&b->weight, conf->weight);
	atomic_store(&b->backup, conf->backup);
	atomic_store(&b->max_sessions, up ? up->limits.max_sessions : 0);
	atomic_store(&b->max_connections, up ? up->limits.max_connections : 0);
	atomic_store(&b->session_cost, up ? up->session_cost : 1);
	atomic_store(&b->exchange_cost, up ? up->exchange_cost : 1);
	atomic_store(&b->slow_start_ms, up ? up->slow_start_ms : 0);
	if (was != BACKEND_UP && conf->state == BACKEND_UP)
		backend_warm_up(b, clock_now_ms());
}

void
backend_warm_up(struct backend *b, uint64_t now_ms)
{
	atomic_store(&b->up_since_ms, now_ms);
	atomic_store(&b->latency, 0);
}

/* In per cent. What was left alone for a while is taken on trial afterwards, and not
 * with all its weight. */
static uint32_t
warmth(const struct backend *b, uint64_t slow_start_ms, uint64_t now_ms)
{
	uint64_t since = atomic_load_explicit(&b->up_since_ms, memory_order_relaxed);
	uint64_t until =
	    atomic_load_explicit(&b->failing_until_ms, memory_order_relaxed);

	if (since < until)
		since = until;
	until =
	    atomic_load_explicit(&b->outlier.ejected_until_ms, memory_order_relaxed);
	if (since < until)
		since = until;
	if (now_ms <= since)
		return WARM_UP_FROM;
	if (now_ms - since >= slow_start_ms)
		return 100;
	return WARM_UP_FROM +
	       (uint32_t)((100 - WARM_UP_FROM) * (now_ms - since) / slow_start_ms);
}

uint32_t
backend_weight_now(const struct backend *b, uint64_t now_ms)
{
	uint32_t weight = atomic_load_explicit(&b->weight, memory_order_relaxed);
	uint64_t slow_start_ms =
	    atomic_load_explicit(&b->slow_start_ms, memory_order_relaxed);

	return weight * (slow_start_ms ? warmth(b, slow_start_ms, now_ms) : 100);
}

void
backend_add_latency(struct backend *b, uint64_t sample_us, uint64_t now_ms)
{
	uint64_t word = atomic_load_explicit(&b->latency, memory_order_relaxed);

	atomic_store_explicit(&b->latency, latency_add(word, sample_us, now_ms),
	    memory_order_relaxed);
}

bool
backend_has_places(const struct backend *b, unsigned n)
{
	uint32_t max = atomic_load_explicit(&b->max_sessions, memory_order_relaxed);

	return !max || atomic_load(&b->sessions) + atomic_load(&b->opening) +
			       atomic_load(&b->awaited) + n <=
			   max;
}

static bool
is_busy(const struct backend *b)
{
	uint32_t max = atomic_load_explicit(&b->max_connections, memory_order_relaxed);

	return max && backend_held(b) >= max;
}

enum backend_use
backend_use(const struct backend *b, uint64_t now_ms)
{
	int admin = atomic_load_explicit(&b->admin_state, memory_order_relaxed);

	if (atomic_load_explicit(&b->removed, memory_order_relaxed))
		return BACKEND_REMOVED;
	if (admin == BACKEND_DOWN)
		return BACKEND_OUT;
	if (admin == BACKEND_DRAIN)
		return BACKEND_DRAINING;
	if (atomic_load_explicit(&b->unhealthy_since_ms, memory_order_relaxed))
		return BACKEND_UNHEALTHY;
	if (atomic_load_explicit(&b->failing_until_ms, memory_order_relaxed) > now_ms)
		return BACKEND_FAILING;
	if (outlier_is_ejected(&b->outlier, now_ms))
		return BACKEND_EJECTED;
	if (!atomic_load_explicit(&b->resolved, memory_order_relaxed))
		return BACKEND_UNRESOLVED;
	if (is_busy(b))
		return BACKEND_BUSY;
	return backend_has_places(b, 1) ? BACKEND_USABLE : BACKEND_FULL;
}

/* Raised first and judged after, so that of two workers that see one free place only
 * one gets it. */
bool
backend_exchange_begin(struct backend *b)
{
	uint32_t max = atomic_load_explicit(&b->max_connections, memory_order_relaxed);
	uint32_t exchanges = atomic_fetch_add(&b->exchanges, 1);

	if (!max || atomic_load(&b->sessions) + exchanges < max)
		return true;
	atomic_fetch_sub(&b->exchanges, 1);
	return false;
}

void
backend_exchange_end(struct backend *b)
{
	atomic_fetch_sub(&b->exchanges, 1);
}

/* Judged as above. */
bool
backend_place_take(struct backend *b, bool awaited)
{
	uint32_t max = atomic_load(&b->max_sessions);
	uint32_t kept = awaited ? 0 : atomic_load(&b->awaited);
	uint32_t opening = atomic_fetch_add(&b->opening, 1);

	if (!max || atomic_load(&b->sessions) + opening + kept < max)
		return true;
	atomic_fetch_sub(&b->opening, 1);
	return false;
}

void
backend_place_end(struct backend *b)
{
	atomic_fetch_sub(&b->opening, 1);
}

void
backend_note_trouble(struct backend *b, enum trouble at, const char *why)
{
	pthread_mutex_lock(&b->addr_lock);
	snprintf(b->troubles[at], TROUBLE_TEXT, "%s", why);
	pthread_mutex_unlock(&b->addr_lock);
}

void
backend_trouble(const struct backend *b, enum trouble at, char text[TROUBLE_TEXT])
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&b->addr_lock;

	pthread_mutex_lock(lock);
	memcpy(text, b->troubles[at], TROUBLE_TEXT);
	pthread_mutex_unlock(lock);
}

void
backend_mark_failed(struct backend *b, uint64_t now_ms, uint64_t jitter)
{
	const struct outlier *o = &b->outlier;
	uint64_t until = atomic_load(&b->failing_until_ms);
	uint32_t enough = atomic_load(&o->connect_errors);
	uint32_t failures = atomic_load(&b->failures) + 1;
	char why[TROUBLE_TEXT];
	uint64_t ms;

	if (until > now_ms || enough == 0 ||
	    atomic_fetch_add(&b->refused, 1) + 1 < enough)
		return;
	ms = outlier_eject_ms(atomic_load(&o->eject_ms), atomic_load(&o->max_eject_ms),
	    failures, jitter);
	if (!atomic_compare_exchange_strong(&b->failing_until_ms, &until, now_ms + ms))
		return;
	atomic_store(&b->failures, failures);
	atomic_fetch_add(&b->outlier.times[EJECTED_CONNECTS], 1);
	backend_trouble(b, TROUBLE_CONNECT, why);
	backend_log(LEVEL_WARN, b,
	    "backend %s/%s is left alone for %.1f s (no connection: %s, %u in a row)",
	    b->upstream, b->name, (double)ms / 1000, *why ? why : "it failed",
	    (unsigned)failures);
}

void
backend_mark_ok(struct backend *b)
{
	if (atomic_load_explicit(&b->refused, memory_order_relaxed) == 0)
		return;
	atomic_store(&b->refused, 0);
	uint32_t failures = atomic_exchange(&b->failures, 0);
	atomic_store(&b->failing_until_ms, 0);
	if (!failures)
		return;
	backend_warm_up(b, clock_now_ms());
	backend_log(LEVEL_NOTICE, b,
	    "backend %s/%s accepts connections again (after %u failures)", b->upstream,
	    b->name, (unsigned)failures);
}

bool
backend_addr(struct backend *b, struct addr *addr_r)
{
	pthread_mutex_lock(&b->addr_lock);
	*addr_r = b->addr;
	pthread_mutex_unlock(&b->addr_lock);
	return addr_r->sa.sa_family != 0;
}

void
backend_set_addr(struct backend *b, const struct addr *addr)
{
	bool resolved = addr->sa.sa_family != 0;
	char text[ADDR_TEXT];

	if (resolved && backend_address_is_name(b->address)) {
		addr_print(addr, true, text);
		atomic_store(&b->identity, hash_stable(0, text, strlen(text)));
	}
	pthread_mutex_lock(&b->addr_lock);
	b->addr = *addr;
	if (resolved && !atomic_load(&b->resolved))
		backend_warm_up(b, clock_now_ms());
	atomic_store(&b->resolved, resolved);
	pthread_mutex_unlock(&b->addr_lock);
}

uint32_t
backend_held(const struct backend *b)
{
	return atomic_load_explicit(&b->sessions, memory_order_relaxed) +
	       atomic_load_explicit(&b->exchanges, memory_order_relaxed);
}

uint64_t
backend_load(const struct backend *b)
{
	uint64_t sessions = atomic_load_explicit(&b->sessions, memory_order_relaxed);
	uint64_t exchanges = atomic_load_explicit(&b->exchanges, memory_order_relaxed);
	uint64_t opening = atomic_load_explicit(&b->opening, memory_order_relaxed);
	uint64_t awaited = atomic_load_explicit(&b->awaited, memory_order_relaxed);

	/* a handshake is counted twice, one after the other */
	exchanges = exchanges > opening ? exchanges - opening : 0;
	return (sessions + opening + awaited) *
		   atomic_load_explicit(&b->session_cost, memory_order_relaxed) +
	       exchanges *
		   atomic_load_explicit(&b->exchange_cost, memory_order_relaxed);
}
