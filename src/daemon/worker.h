/* SPDX-License-Identifier: MIT
 *
 * worker.h - one thread with its loop, listeners, pools, doors and sessions.
 *
 * Workers share nothing but the snapshot, the backends' atomics and the pin table; they
 * are told things by messages and live as long as the process, also across reloads.
 */
#ifndef ROOST_DAEMON_WORKER_H
#define ROOST_DAEMON_WORKER_H

#include "base/hash.h"
#include "base/reasons.h"
#include "loop/counters.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct move;
struct pins;
struct quota;
struct registry;
struct share;
struct sink;
struct snapshot;
struct worker;

/* What all workers share; all borrowed, and outliving them. */
struct worker_shared {
	struct pins *pins;
	struct quota *quota;
	struct sink *access_log;    /* NULL: none */
	const uint8_t *secret;      /* HASH_SECRET bytes */
	void (*on_gone)(void *arg); /* called on the worker's thread as its last act */
	void *arg;
};

/* Starts a thread that serves the listening sockets of the share (taken over, also on
 * failure) with this snapshot (a reference is taken). NULL: no memory, descriptors or
 * thread (errno). */
struct worker *worker_start(const struct worker_shared *shared,
    struct snapshot *snapshot, struct share *share);

/* From now on this snapshot (a reference is taken), and what falls to the worker of its
 * listeners (taken over), or NULL: they are the same as before. Where the worker lacks
 * memory for it, it tries again until it has some. Control thread. */
void worker_set_snapshot(struct worker *w, struct snapshot *snapshot,
    struct share *share);

/* Carry out what the planner decided. Control thread. */
void worker_rehome(struct worker *w, const struct move *move);

/* Calls visit on the worker's thread, between two turns of its loop, and again in each
 * further turn as long as it returns true. At the worker's end `registry` is NULL,
 * which is the last call. False: no memory, it will not be called. Control thread. */
bool worker_visit(struct worker *w, bool (*visit)(void *arg, struct registry *registry),
    void *arg);

/* How to stop. */
struct worker_stop {
	enum reason why; /* SHUTDOWN; or UPGRADED: another process accepts meanwhile */
	uint64_t grace_ms; /* so long may it take */
	uint64_t idle_ms;  /* idle connections stay so long */
};

/* Stop accepting and, when all of them have, finish exchanges and close sessions spread
 * over the grace (as registry_stop says): whoever is sent away must not come back to a
 * worker that has not got to it yet. A worker ends when nothing is left or the grace is
 * over. Without memory to say so: as worker_quit. The array is borrowed for as long as
 * they run, and not empty. Control thread. */
void workers_stop(struct worker *const *workers, size_t n,
    const struct worker_stop *how);

/* *alive becomes true when the worker gets to it. False: no memory. Control thread. */
bool worker_ask(struct worker *w, atomic_bool *alive);

/* End now. Needs no memory. Idempotent. Control thread. */
void worker_quit(struct worker *w);

/* Waits for the thread's end and frees everything. */
void worker_join(struct worker *w);

/* A value of another thread's counters. Any thread. */
uint64_t worker_counter(const struct worker *w, enum counter which);

#endif
