/* SPDX-License-Identifier: MIT
 *
 * resolver.c - a thread that looks names up when it is time to; see resolver.h.
 *
 * One name after the other: there are few, and a server that does not answer one would
 * not answer the next either.
 */
#include "upstream/resolver.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { UNKNOWN_S = 30, SHORTEST_S = 1, LONGEST_S = 300, RETRY_S = 2, STOP_S = 1 };

/* Owner and thread: the resolver's. */
struct name {
	struct name *next;
	char *address;
	struct memory memory;
	uint64_t due_ms;
	bool seen;       /* in the newest snapshot */
	bool tell;       /* though nothing has changed */
	bool complained; /* it was said that there is no address */
};

struct resolver {
	pthread_t thread;
	void (*on_found)(void *arg, const struct found *found);
	void *arg;
	atomic_int holders; /* the thread, and who started it; the last frees it */
	struct name *names;

	pthread_mutex_t lock; /* guards what follows; on_found is called under it */
	pthread_cond_t wake;
	struct snapshot *snapshot; /* a reference, or NULL */
	bool fresh;                /* snapshot was just changed */
	bool stopping;
};

/* ---- one name ---- */

static bool
memory_has(const struct memory *m, const struct addr *addr, size_t *at_r)
{
	for (*at_r = 0; *at_r < m->n; ++*at_r)
		if (addr_eq(&m->places[*at_r].addr, addr))
			return true;
	return false;
}

static bool
answer_has(const struct dns_answer *answer, const struct addr *addr)
{
	for (size_t i = 0; i < answer->n; i++)
		if (addr_eq(&answer->places[i].addr, addr))
			return true;
	return false;
}

/* Forgets what has been missing twice. */
static bool
memory_forget(struct memory *m, const struct dns_answer *answer)
{
	size_t kept = 0, before = m->n;

	for (size_t i = 0; i < m->n; i++) {
		bool missing = !answer_has(answer, &m->places[i].addr);

		if (missing && m->missed[i])
			continue;
		m->places[kept] = m->places[i];
		m->missed[kept++] = missing;
	}
	m->n = kept;
	return kept != before;
}

bool
memory_take(struct memory *m, const struct dns_answer *answer)
{
	bool changed = !answer->partial && memory_forget(m, answer);
	size_t at;

	for (size_t i = 0; i < answer->n; i++) {
		const struct place *p = &answer->places[i];

		if (!memory_has(m, &p->addr, &at)) {
			if (m->n == DNS_MAX)
				continue;
			m->n++;
			changed = true;
		} else {
			changed |= m->places[at].weight != p->weight;
		}
		m->places[at] = *p;
		m->missed[at] = false;
	}
	return changed;
}

static uint64_t
wait_ms(const struct dns_answer *answer)
{
	uint64_t s = answer->has_ttl ? answer->ttl_s : UNKNOWN_S;

	if (answer->n == 0)
		s = RETRY_S;
	if (s < SHORTEST_S)
		s = SHORTEST_S;
	return 1000 * (s < LONGEST_S ? s : LONGEST_S);
}

static void
complain(struct name *name, const struct dns_answer *answer)
{
	if (answer->n == 0 && !name->complained)
		log_warn(TOPIC_BACKEND, "name %s has no address%s (%s)", name->address,
		    name->memory.n ? " any more, those it had are kept" : "",
		    answer->why);
	name->complained = answer->n == 0;
}

/* Under the lock. */
static void
heed(struct resolver *r, struct name *name, const struct dns_answer *answer)
{
	bool changed;

	name->due_ms = clock_now_ms() + wait_ms(answer);
	complain(name, answer);
	changed = answer->n && memory_take(&name->memory, answer);
	if (name->memory.n && (changed || name->tell)) {
		const struct found found = {name->address, name->memory.places,
		    name->memory.n};

		r->on_found(r->arg, &found);
	}
	name->tell = false;
}

/* Who stops us waits for a silent name server a moment at most: nothing is said to
 * anybody from then on, since they may be gone. False: we are to stop. */
static bool
look_up(struct resolver *r, const struct config_resolver *conf, struct name *name)
{
	struct dns_answer answer;
	bool stopping;

	dns_lookup(conf, name->address, &answer);
	pthread_mutex_lock(&r->lock);
	stopping = r->stopping;
	if (!stopping)
		heed(r, name, &answer);
	pthread_mutex_unlock(&r->lock);
	return !stopping;
}

/* ---- all names ---- */

static void
want(struct resolver *r, const char *address)
{
	struct name *name = r->names;

	while (name && strcmp(name->address, address) != 0)
		name = name->next;
	if (!name) {
		name = calloc(1, sizeof *name);
		if (!name || !(name->address = strdup(address))) {
			free(name);
			return; /* it has no address until the next reload */
		}
		name->next = r->names;
		r->names = name;
	}
	name->seen = name->tell = true;
	name->due_ms = 0;
}

static void
forget_unseen(struct resolver *r)
{
	struct name **at = &r->names, *name;

	while ((name = *at)) {
		if (name->seen) {
			name->seen = false;
			at = &name->next;
		} else {
			*at = name->next;
			free(name->address);
			free(name);
		}
	}
}

static void
take_names(struct resolver *r, const struct snapshot *s)
{
	for (size_t u = 0; s && u < s->n_upstreams; u++) {
		const struct upstream *up = &s->upstreams[u];

		for (size_t i = 0; i < up->n_rows; i++)
			if (backend_address_is_name(up->rows[i].address))
				want(r, up->rows[i].address);
	}
	forget_unseen(r);
}

/* When the next is due; UINT64_MAX: none. */
static uint64_t
look_up_due(struct resolver *r, const struct snapshot *s)
{
	uint64_t next = UINT64_MAX;

	for (struct name *name = r->names; name; name = name->next) {
		if (name->due_ms <= clock_now_ms() &&
		    !look_up(r, &s->config->resolver, name))
			break;
		if (name->due_ms < next)
			next = name->due_ms;
	}
	return next;
}

/* ---- thread ---- */

/* Until then, or until there is something new. */
static void
wait_until(struct resolver *r, uint64_t due_ms)
{
	uint64_t now_ms = clock_now_ms(), ms;
	struct timespec until;

	if (due_ms == UINT64_MAX) {
		while (!r->stopping && !r->fresh)
			pthread_cond_wait(&r->wake, &r->lock);
		return;
	}
	ms = due_ms > now_ms ? due_ms - now_ms : 0;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!r->stopping && !r->fresh)
		if (pthread_cond_timedwait(&r->wake, &r->lock, &until) == ETIMEDOUT)
			break;
}

static void
resolver_put(struct resolver *r)
{
	if (atomic_fetch_sub(&r->holders, 1) > 1)
		return;
	forget_unseen(r); /* which is all of them */
	if (r->snapshot)
		snapshot_put(r->snapshot);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void *
run(void *arg)
{
	struct resolver *r = arg;

	pthread_mutex_lock(&r->lock);
	while (!r->stopping) {
		struct snapshot *s = r->snapshot ? snapshot_get(r->snapshot) : NULL;
		bool fresh = r->fresh;
		uint64_t due;

		r->fresh = false;
		pthread_mutex_unlock(&r->lock);
		if (fresh)
			take_names(r, s);
		due = s ? look_up_due(r, s) : UINT64_MAX;
		if (s)
			snapshot_put(s);
		pthread_mutex_lock(&r->lock);
		wait_until(r, due);
	}
	pthread_mutex_unlock(&r->lock);
	resolver_put(r);
	return NULL;
}

struct resolver *
resolver_start(void (*on_found)(void *arg, const struct found *found), void *arg)
{
	struct resolver *r = calloc(1, sizeof *r);
	int error;

	if (!r)
		return NULL;
	r->on_found = on_found;
	r->arg = arg;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	atomic_init(&r->holders, 2);
	error = thread_start(&r->thread, run, r);
	if (error == 0)
		return r;
	atomic_store(&r->holders, 1);
	resolver_put(r);
	errno = error;
	return NULL;
}

void
resolver_watch(struct resolver *r, struct snapshot *s)
{
	struct snapshot *old;

	pthread_mutex_lock(&r->lock);
	old = r->snapshot;
	r->snapshot = snapshot_get(s);
	r->fresh = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	if (old)
		snapshot_put(old);
}

void
resolver_stop(struct resolver *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	(void)thread_join(r->thread, STOP_S);
	resolver_put(r);
}
