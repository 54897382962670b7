/* SPDX-License-Identifier: MIT
 *
 * control.h - what the files of the control thread share.
 *
 * It owns the pin table, the newest snapshot, the planner, the prober and the resolver,
 * and touches no connection but those of health checks and of the admin API. Workers
 * hear from it by messages only.
 */
#ifndef ROOST_DAEMON_CONTROL_H
#define ROOST_DAEMON_CONTROL_H

#include "base/hash.h"
#include "daemon/daemon.h"
#include "loop/counters.h"
#include "loop/timer.h"
#include "route/choose.h"
#include "route/planner.h"
#include "upstream/outlier.h"
#include <stddef.h>

struct admin;
struct event;
struct found;
struct loop;
struct pins;
struct prober;
struct quota;
struct resolver;
struct sink;
struct snapshot;
struct sockets;
struct worker;

enum { CONTROL_SIGNALS = 4 };

/* Owner and thread: the control thread, for the life of the process. */
struct control {
	const struct daemon_options *options;
	struct loop *loop;
	struct snapshot *snapshot; /* a reference: the newest */
	struct pins *pins;
	struct quota *quota;
	struct sink *access_log; /* NULL: off */
	struct chooser chooser;
	struct planner *planner;
	struct resolver *resolver;
	struct prober *prober;
	struct panics panics;
	struct sockets *sockets;
	struct admin *admin; /* NULL: none */
	struct worker **workers;
	size_t n_workers, n_gone;
	struct event *signals[CONTROL_SIGNALS];
	struct timer plan_timer, sweep_timer;
	bool stopping;
	uint8_t secret[HASH_SECRET];
};

/* Of all workers together. */
uint64_t control_count(const struct control *c, enum counter which);

/* Where none is configured there is none, which is right. */
bool control_open_admin(struct control *c);

/* ---- signals.c ---- */

bool signals_catch(struct control *c);
void signals_forget(struct control *c);

/* The first time in good order, the second time now. */
void control_stop(struct control *c);

/* ---- reload.c ---- */

/* Takes over config; NULL: no memory. */
struct snapshot *control_make_snapshot(struct config *config,
    const struct snapshot *old);

/* Everybody gets the new snapshot; returns the old one, whose reference is the caller's
 * now. */
struct snapshot *control_set_snapshot(struct control *c, struct snapshot *s);

void control_reload(struct control *c);

/* ---- names.c ---- */

/* For resolver_start: on the resolver's thread. */
void control_on_found(void *arg, const struct found *found);

#endif
