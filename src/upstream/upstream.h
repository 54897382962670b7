/* SPDX-License-Identifier: MIT
 *
 * upstream.h - the upstreams of one configuration, with their live backends.
 *
 * A snapshot ties an immutable configuration to the shared backend records. The
 * control thread makes one at start and at each reload; workers hold the newest and
 * whatever still serves old exchanges. It goes when the last holder puts it.
 */
#ifndef ROOST_UPSTREAM_UPSTREAM_H
#define ROOST_UPSTREAM_UPSTREAM_H

#include "config/config.h"
#include <stdatomic.h>
#include <stdbool.h>

struct amendments;
struct backend;
struct books;
struct found;
struct pace;
struct router;

struct upstream {
	const struct config_upstream *conf;
	uint64_t id;         /* stable hash of the name: the space of its client keys */
	struct books *books; /* a reference */
	size_t index;        /* in its snapshot */
	struct config_backend *rows; /* conf's backends, as amended while running */
	size_t n_rows;
	struct backend **backends; /* in the rows' order, a name's addresses one after
				      the other; references held */
	size_t n_backends;
	struct pace *pace; /* of moves; a reference: the same in all snapshots */
};

/* Owner: reference counted. Thread: immutable, any. */
struct snapshot {
	atomic_uint refs;
	struct snapshot *origin; /* a reference to the one that owns config and router,
				    or NULL: this one does */
	struct config *config;
	struct router *router; /* see route/router.h */
	void (*router_free)(struct router *);
	struct amendments *amendments; /* a reference; NULL: none */
	struct upstream *upstreams;    /* same order as config->upstreams */
	size_t n_upstreams;
	struct books *books; /* a reference: of what belongs to no upstream */
};

/* Takes over `config`. Backends that `old` (may be NULL) has under the same upstream,
 * name and address are kept and reconfigured; those of old that are gone are marked
 * removed. What was amended stays where the file says what it said. NULL: no memory,
 * nothing changed, config still the caller's. Control thread only. */
struct snapshot *snapshot_new(struct config *config, const struct snapshot *old);

/* The same configuration with what the resolver found of a name: each address is a
 * backend; those that are new come in, those that are gone are marked removed. Where
 * that adds and removes none (weights, the first address) the records of `old` are
 * changed. *changed_r false: nothing more is to be done, NULL is returned. NULL with
 * *changed_r true: no memory. Control thread only. */
struct snapshot *snapshot_found(struct snapshot *old, const struct found *found,
    bool *changed_r);

/* The same configuration with other amendments (a reference is taken; NULL: none):
 * their backends come in, are reconfigured, or are marked removed. NULL: no memory.
 * Control thread only. */
struct snapshot *snapshot_amended(struct snapshot *old, struct amendments *amendments);

struct snapshot *snapshot_get(struct snapshot *s);
void snapshot_put(struct snapshot *s);

/* The upstream of that id, or NULL. */
const struct upstream *snapshot_upstream(const struct snapshot *s, uint64_t id);

#endif
