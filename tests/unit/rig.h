/* SPDX-License-Identifier: MIT
 *
 * rig.h - an upstream to test with: a snapshot made from a line of configuration, pins
 * and a chooser. One at a time, for tests of whatever chooses or moves.
 */
#ifndef ROOST_TESTS_RIG_H
#define ROOST_TESTS_RIG_H

#include "route/choose.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"

struct rig {
	struct snapshot *snapshot;
	const struct upstream *up; /* its only upstream: chat */
	struct pins *pins;
	struct chooser chooser;
	uint8_t secret[HASH_SECRET];
	uint64_t crowd; /* other clients are behind the same numbers */
};

extern struct rig rig;

/* rig_end also looks whether everybody has given back what he took. */
void rig_begin(uint64_t seed);
void rig_end(void);

/* The same but for what is configured: as after a restart. */
void rig_forget(uint64_t seed);

/* settings: keys of the upstream, each with a comma behind it ("balance: hash,").
 * backends: "b0 | b1 weight: 3, state: drain | b2"; the number is the port's. */
void rig_configure(const char *settings, const char *backends);

struct backend *rig_backend(const char *name); /* borrowed; NULL: not configured */
unsigned rig_sessions(const char *name);

/* Client number n of the crowd, known by something strong. */
struct client_key rig_client(uint64_t n);

#endif
