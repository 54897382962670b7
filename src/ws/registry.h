/* SPDX-License-Identifier: MIT
 *
 * registry.h - the sessions of one worker, by client.
 *
 * Owner and thread: the worker.
 */
#ifndef ROOST_WS_REGISTRY_H
#define ROOST_WS_REGISTRY_H

#include "base/hash.h"
#include "base/reasons.h"
#include "loop/timer.h"
#include "route/planner.h"
#include <stdbool.h>
#include <stddef.h>

struct access;
struct backend;
struct chooser;
struct group;
struct loop;
struct pools;
struct quota;
struct session;
struct view;

struct registry {
	struct loop *loop; /* borrowed, as all of these */
	struct pools *pools;
	struct chooser *chooser;
	struct quota *quota;      /* shared; only touched where there are seats */
	struct access *access;    /* NULL: no access log */
	struct session *sessions; /* owned */
	size_t n_sessions;
	struct group *groups;        /* by client key */
	struct registry_walk *walks; /* borrowed, those under way */
	struct timer sweep;          /* reaper.c */
	struct session *sweep_at;    /* the next one to look at; NULL: not sweeping */
	uint64_t sweep_ms;           /* shortest of those seen */
	uint64_t stop_by_ms;  /* all are told by then, also those who still come */
	enum reason stop_why; /* NONE: not stopping */
};

/* quota and access are NULL afterwards: the worker sets them. */
void registry_init(struct registry *r, struct loop *loop, struct pools *pools,
    struct chooser *chooser);

/* False: no memory; the session is not in it then. */
bool registry_add(struct registry *r, struct session *s);
void registry_remove(struct registry *r, struct session *s);

/* A walk over all sessions, newest first, which may pause between turns: sessions that
 * end meanwhile are left out, new ones are not met. */
struct registry_walk {
	struct session *at; /* the next one; NULL: at the end */
	struct registry_walk *next;
};

void registry_walk_start(struct registry *r, struct registry_walk *walk);
struct session *registry_walk_next(struct registry_walk *walk); /* NULL: the end */
void registry_walk_end(struct registry *r, struct registry_walk *walk);

/* After a reload: sessions whose upstream is still there follow its new settings. */
void registry_set_view(struct registry *r, struct view *view);

/* Re-homes every session of the client that is not on `to` yet (re-homing mode as the
 * session's upstream says). The client's pin points to `to` already. */
void registry_rehome(struct registry *r, struct hash128 key, struct backend *to,
    enum move_why why, uint32_t delay_ms);

/* Closes every session within spread_ms, also those that still come: SHUTDOWN with
 * 1012, at random; UPGRADED with the upstream's rehome.close_code, at its rehome.rate,
 * and at random those for whom that would take too long. */
void registry_stop(struct registry *r, enum reason why, uint64_t spread_ms);

/* Ends what is left, at once. */
void registry_fini(struct registry *r);

/* ---- reaper.c, for registry.c ---- */

void reaper_init(struct registry *r);

/* s has come, or its settings are new: when is the next sweep? */
void reaper_start(struct registry *r, const struct session *s);

/* New settings made many timers run out at once: first they, then the sweep. */
void reaper_delay(struct registry *r);

/* s is about to leave the list. */
void reaper_forget(struct registry *r, const struct session *s);

#endif
