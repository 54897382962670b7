/* SPDX-License-Identifier: MIT
 *
 * pool.h - a worker's kept connections, by backend.
 *
 * Owner and thread: the worker. The most recently used connection is taken first, so
 * that the surplus of a busy moment grows old and closes.
 */
#ifndef ROOST_UPSTREAM_POOL_H
#define ROOST_UPSTREAM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend;
struct backend_counts;
struct conn;
struct conn_ops;
struct loop;

enum { POOL_MAX_IDLE = 1024 }; /* per worker and backend */

struct pool {
	struct conn *idle; /* newest first */
	unsigned n_idle;
	uint64_t backend_id;           /* whose counts these are: */
	struct backend_counts *counts; /* borrowed from its books */
};

struct pools {
	struct loop *loop;    /* borrowed */
	struct pool *by_slot; /* index: backend's slot */
	size_t n_slots;
};

void pools_init(struct pools *pools, struct loop *loop);

/* Closes what is kept. */
void pools_fini(struct pools *pools);

/* Where this worker counts what has to do with a backend; while the caller holds it. */
struct backend_counts *pools_counts(struct pools *pools, const struct backend *backend);

/* A kept connection, now in use by `user`, or NULL. `surely`: what will be sent must
 * not be sent twice, so look once more whether the backend has closed it meanwhile. */
struct conn *pool_take(struct pools *pools, const struct backend *backend, bool surely,
    const struct conn_ops *ops, void *user);

/* The user is done with a connection that may be used again: keeps it for idle_ms, or
 * closes it when there are enough, the backend is gone, or it said hello for one client
 * (see conn_open). */
void pool_keep(struct conn *c, uint64_t idle_ms);

/* For conn_close: takes an idle conn out of its list. */
void pool_forget(struct conn *c);

/* After a reload: closes kept connections to backends that were removed. */
void pools_retire(struct pools *pools);

#endif
