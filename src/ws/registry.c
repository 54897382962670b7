/* SPDX-License-Identifier: MIT
 *
 * registry.c - the sessions of one worker, by client; see registry.h.
 */
#include "ws/registry.h"

#include "base/log.h"
#include "upstream/backend.h"
#include "upstream/pace.h"
#include "ws/rehome.h"
#include "ws/session_private.h"
#include <stdlib.h>

/* the keys are hashes already; and running out of memory is no reason to exit */
#define HASH_FUNCTION(key, len, hashv) \
	((hashv) = (unsigned)(((const struct hash128 *)(const void *)(key))->lo))
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->failed = true)
#include <uthash.h>
#include <utlist.h>

/* The sessions of one client. Owner: the registry, while it has any. */
struct group {
	struct hash128 key;
	struct session *first;
	bool failed; /* set by uthash when it had no memory */
	UT_hash_handle hh;
};

void
registry_init(struct registry *r, struct loop *loop, struct pools *pools,
    struct chooser *chooser)
{
	*r = (struct registry){
	    .loop = loop,
	    .pools = pools,
	    .chooser = chooser,
	};
	reaper_init(r);
}

static struct group *
group_of(struct registry *r, struct hash128 key)
{
	struct group *g;

	HASH_FIND(hh, r->groups, &key, sizeof key, g);
	if (g)
		return g;
	g = calloc(1, sizeof *g);
	if (!g)
		return NULL;
	g->key = key;
	HASH_ADD(hh, r->groups, key, sizeof g->key, g);
	if (!g->failed)
		return g;
	free(g);
	return NULL;
}

/* When it is told, from now. */
static uint64_t
stop_delay_ms(struct registry *r, const struct session *s, uint64_t now)
{
	uint64_t left = r->stop_by_ms > now ? r->stop_by_ms - now : 0;
	uint64_t paced = UINT64_MAX;

	if (r->stop_why == REASON_UPGRADED)
		paced =
		    pace_book_ms(s->up, s->home, now * 1000); /* it comes back there */
	return paced <= left ? paced
			     : random_below(&r->loop->random, (uint32_t)left + 1);
}

static void
set_end(struct registry *r, struct session *s)
{
	uint64_t now = clock_now_ms();

	s->ends_ms = now + stop_delay_ms(r, s, now);
	s->ends_why = (uint8_t)r->stop_why;
}

bool
registry_add(struct registry *r, struct session *s)
{
	struct group *g = group_of(r, s->claim.key);

	if (!g)
		return false;
	s->group = g;
	DL_PREPEND2(g->first, s, prev_of_key, next_of_key);
	DL_PREPEND(r->sessions, s);
	r->n_sessions++;
	if (r->stop_why != REASON_NONE)
		set_end(r, s);
	reaper_start(r, s);
	return true;
}

static void
leave_group(struct registry *r, struct session *s)
{
	struct group *g = s->group;

	DL_DELETE2(g->first, s, prev_of_key, next_of_key);
	s->group = NULL;
	if (g->first)
		return;
	HASH_DELETE(hh, r->groups, g);
	free(g);
}

void
registry_walk_start(struct registry *r, struct registry_walk *walk)
{
	walk->at = r->sessions;
	LL_PREPEND(r->walks, walk);
}

struct session *
registry_walk_next(struct registry_walk *walk)
{
	struct session *s = walk->at;

	if (s)
		walk->at = s->next;
	return s;
}

void
registry_walk_end(struct registry *r, struct registry_walk *walk)
{
	LL_DELETE(r->walks, walk);
}

void
registry_remove(struct registry *r, struct session *s)
{
	if (!s->group)
		return;
	leave_group(r, s);
	reaper_forget(r, s);
	for (struct registry_walk *w = r->walks; w; w = w->next)
		if (w->at == s)
			w->at = s->next;
	DL_DELETE(r->sessions, s);
	r->n_sessions--;
}

/* The first session of a client (next_of_key leads on), or NULL. */
static struct session *
first_of(const struct registry *r, struct hash128 key)
{
	struct group *g;

	HASH_FIND(hh, r->groups, &key, sizeof key, g);
	return g ? g->first : NULL;
}

static void
follow(struct session *s, struct view *view, const struct upstream *up)
{
	bool was_pinged = s->up->conf->heartbeat.interval_ms != 0;

	view_put(s->view);
	s->view = view_get(view);
	s->up = up;
	if (was_pinged && up->conf->heartbeat.interval_ms == 0)
		session_watch_peer(&s->backend);
	if (!session_follow_settings(s))
		count_add(&s->registry->loop->counters, COUNT_NO_MEMORY, 1);
}

void
registry_set_view(struct registry *r, struct view *view)
{
	for (struct session *s = r->sessions; s; s = s->next) {
		const struct upstream *up =
		    snapshot_upstream(view->snapshot, s->up->id);

		if (!up)
			continue; /* it is gone: the session lives on as it is */
		follow(s, view, up);
		watch_arm(s);
		reaper_start(r, s);
	}
	reaper_delay(r);
}

void
registry_rehome(struct registry *r, struct hash128 key, struct backend *to,
    enum move_why why, uint32_t delay_ms)
{
	struct session *s, *next;

	for (s = first_of(r, key); s; s = next) {
		next = s->next_of_key;
		if (s->home != to || s->move)
			rehome_start(s, to, why, delay_ms);
		else if (s->state == SESSION_CONNECTED)
			choose_settled(r->chooser, &s->claim, to);
	}
}

void
registry_stop(struct registry *r, enum reason why, uint64_t spread_ms)
{
	r->stop_why = why;
	r->stop_by_ms = clock_now_ms() + spread_ms;
	for (struct session *s = r->sessions; s; s = s->next) {
		set_end(r, s);
		watch_arm(s);
	}
}

void
registry_fini(struct registry *r)
{
	struct session *s, *next;

	for (s = r->sessions; s; s = next) {
		next = s->next;
		session_end(s, REASON_SHUTDOWN);
	}
	timer_clear(&r->sweep);
	graveyard_bury(&r->loop->graveyard);
}
