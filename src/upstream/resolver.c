/* SPDX-License-Identifier: MIT
 *
 * resolver.c - getaddrinfo on a thread of its own; see resolver.h.
 */
#include "upstream/resolver.h"

#include "base/log.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>

enum { AGAIN_S = 30, RETRY_S = 2, STOP_S = 1 };

struct resolver {
	pthread_t thread;
	pthread_mutex_t lock; /* leaf; guards what follows */
	pthread_cond_t wake;
	struct snapshot *snapshot; /* a reference, or NULL */
	bool fresh;                /* snapshot was just changed */
	bool stopping;
};

static bool
is_name(const struct backend *b)
{
	struct addr ignored;
	struct str path;

	return !addr_parse(str_of(b->address), &ignored) &&
	       !addr_unix_path(str_of(b->address), &path);
}

/* Keeps the address in use while the name still has it. */
static void
take_over(struct backend *b, const struct addrinfo *list, uint16_t port)
{
	struct addr now, first = {0};
	bool had = backend_addr(b, &now);
	char text[ADDR_TEXT];

	for (const struct addrinfo *i = list; i; i = i->ai_next) {
		struct addr addr = {0};

		if (i->ai_addrlen > sizeof addr)
			continue;
		memcpy(&addr, i->ai_addr, i->ai_addrlen);
		addr_set_port(&addr, port);
		if (had && addr_eq(&addr, &now))
			return;
		if (first.sa.sa_family == 0)
			first = addr;
	}
	if (first.sa.sa_family == 0)
		return;
	backend_set_addr(b, &first);
	log_info(TOPIC_BACKEND, "backend %s/%s is at %s", b->upstream, b->name,
	    addr_print(&first, true, text));
}

/* False: it has no address at all. */
static bool
resolve(struct backend *b)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	struct str host;
	struct addr addr;
	uint16_t port;
	char name[256];
	int error;

	if (!addr_split(str_of(b->address), &host, &port) || host.n >= sizeof name)
		return true; /* the configuration was checked: cannot be */
	memcpy(name, host.p, host.n);
	name[host.n] = '\0';
	error = getaddrinfo(name, NULL, &hints, &list);
	if (error == 0)
		take_over(b, list, port);
	else if (!b->complained && !backend_addr(b, &addr))
		log_warn(TOPIC_BACKEND, "backend %s/%s has no address (%s)",
		    b->upstream, b->name, gai_strerror(error));
	b->complained = error != 0;
	if (list)
		freeaddrinfo(list);
	return backend_addr(b, &addr);
}

/* True: every name has an address. */
static bool
resolve_all(const struct snapshot *s)
{
	bool all = true;

	for (size_t u = 0; u < s->n_upstreams; u++)
		for (size_t i = 0; i < s->upstreams[u].n_backends; i++) {
			struct backend *b = s->upstreams[u].backends[i];

			if (is_name(b) && !resolve(b))
				all = false;
		}
	return all;
}

static void
wait_for(struct resolver *r, time_t seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	while (!r->stopping && !r->fresh)
		if (pthread_cond_timedwait(&r->wake, &r->lock, &until) == ETIMEDOUT)
			break;
	r->fresh = false;
}

static void *
run(void *arg)
{
	struct resolver *r = arg;

	pthread_mutex_lock(&r->lock);
	while (!r->stopping) {
		struct snapshot *s = r->snapshot ? snapshot_get(r->snapshot) : NULL;
		bool all;

		pthread_mutex_unlock(&r->lock);
		all = !s || resolve_all(s);
		if (s)
			snapshot_put(s);
		pthread_mutex_lock(&r->lock);
		wait_for(r, all ? AGAIN_S : RETRY_S);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct resolver *
resolver_start(void)
{
	struct resolver *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wake, NULL);
	if (pthread_create(&r->thread, NULL, run, r) == 0)
		return r;
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
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
	struct timespec until;

	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_S;
	if (pthread_timedjoin_np(r->thread, NULL, &until))
		return;
	if (r->snapshot)
		snapshot_put(r->snapshot);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
