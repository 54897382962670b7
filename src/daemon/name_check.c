/* SPDX-License-Identifier: MIT
 *
 * name_check.c - do the names of backends have addresses? see name_check.h.
 *
 * Looking up blocks, so a few threads do it. Those that hang are left behind with
 * copies of all that they need: the process is about to exit.
 */
#include "daemon/name_check.h"

#include "config/config.h"
#include "upstream/dns.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_S = 3, MAX_THREADS = 16 };

struct name {
	char *address;
	bool done;
	bool good;
	char why[96];
};

/* Stays behind with threads that hang. */
static struct names {
	pthread_mutex_t lock; /* guards all that follows */
	pthread_cond_t changed;
	struct config_resolver conf;
	struct name *names;
	size_t n, next, n_done, n_threads;
} * all;

static bool
is_name(const char *address)
{
	struct addr addr;
	struct str path;

	return address && !addr_unix_path(str_of(address), &path) &&
	       !addr_parse(str_of(address), &addr);
}

static bool
has(const struct names *s, const char *address)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->names[i].address, address) == 0)
			return true;
	return false;
}

static void
add_names(struct names *s, const struct config_upstream *up)
{
	struct name *more = realloc(s->names, (s->n + up->n_backends) * sizeof *more);

	if (!more)
		return;
	s->names = more;
	for (size_t i = 0; i < up->n_backends; i++) {
		const char *address = up->backends[i].address;

		if (!is_name(address) || has(s, address))
			continue;
		s->names[s->n] = (struct name){.address = strdup(address)};
		s->n += s->names[s->n].address != NULL;
	}
}

static void
copy_servers(struct names *s, const struct config_resolver *from)
{
	s->conf.servers = calloc(from->n_servers, sizeof *s->conf.servers);
	for (size_t i = 0; s->conf.servers && i < from->n_servers; i++) {
		s->conf.servers[i] = strdup(from->servers[i]);
		if (!s->conf.servers[i])
			break;
		s->conf.n_servers++;
	}
}

static void
look_up(struct names *s, struct name *name)
{
	struct dns_answer answer = {0};

	dns_lookup(&s->conf, name->address, &answer);
	pthread_mutex_lock(&s->lock);
	name->done = true;
	name->good = answer.n > 0;
	if (!name->good)
		snprintf(name->why, sizeof name->why, "%s", answer.why);
	s->n_done++;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void *
run(void *arg)
{
	struct names *s = arg;

	for (;;) {
		struct name *name;

		pthread_mutex_lock(&s->lock);
		name = s->next < s->n ? &s->names[s->next++] : NULL;
		pthread_mutex_unlock(&s->lock);
		if (!name)
			break;
		look_up(s, name);
	}
	pthread_mutex_lock(&s->lock);
	s->n_threads--;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void
start_threads(struct names *s)
{
	pthread_attr_t detached;
	pthread_t thread;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	pthread_mutex_lock(&s->lock);
	while (s->n_threads < s->n && s->n_threads < MAX_THREADS &&
	       pthread_create(&thread, &detached, run, s) == 0)
		s->n_threads++;
	pthread_mutex_unlock(&s->lock);
	pthread_attr_destroy(&detached);
}

static void
free_names(struct names *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->names[i].address);
	for (size_t i = 0; i < s->conf.n_servers; i++)
		free(s->conf.servers[i]);
	free(s->conf.servers);
	free(s->names);
	free(s);
}

/* Under the lock. */
static void
report(const struct names *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct name *name = &s->names[i];

		if (!name->good)
			fprintf(stderr,
			    "roost: warning: name %s has no address now (%s)\n",
			    name->address,
			    name->done ? name->why : "no answer in time");
	}
}

void
name_check(const struct config *config)
{
	struct timespec until;
	bool idle;

	all = calloc(1, sizeof *all);
	if (!all)
		return;
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->changed, NULL);
	copy_servers(all, &config->resolver);
	for (size_t i = 0; i < config->n_upstreams; i++)
		add_names(all, &config->upstreams[i]);
	start_threads(all);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&all->lock);
	while (all->n_threads &&
	       pthread_cond_timedwait(&all->changed, &all->lock, &until) == 0)
		;
	report(all);
	idle = all->n_threads == 0;
	pthread_mutex_unlock(&all->lock);
	if (idle) {
		free_names(all);
		all = NULL;
	}
}
