/* SPDX-License-Identifier: MIT
 *
 * balance.h - choosing one of many. Pure arithmetic on candidates, no backends here.
 */
#ifndef ROOST_BALANCE_BALANCE_H
#define ROOST_BALANCE_BALANCE_H

#include "config/config.h"

struct random;

struct candidate {
	unsigned weight;   /* > 0 unless nothing else is there */
	unsigned step;     /* p2c, hash: what this choice adds to a load, > 0 */
	uint64_t load;     /* sessions and exchanges it holds now, by their cost */
	int32_t *turn;     /* round-robin: this worker's memory of it, starts at 0 */
	double latency_us; /* p2c: see latency.h; 0: not known */
	uint64_t lot;      /* hash: of the client and this candidate; evenly spread */
};

/* Picks one of candidates[0..n), n > 0; returns its index. Candidates of weight 0 are
 * taken only where all have weight 0. No allocation.
 * least-sessions: smallest load/weight; ties are drawn by weight.
 * round-robin: smooth weighted (each call adds the weight to every turn, takes the
 * largest, subtracts the sum from it).
 * p2c: of two drawn by weight the one with the smaller latency x load/weight.
 * hash: the same for the same lots, each with the chance of its weight; passed over is
 * who holds too much already. */
size_t balance_pick(enum balance_policy policy, struct candidate *candidates, size_t n,
    struct random *random);

/* Would a backend with `load` and `weight` be beyond its fair share by more than
 * `percent`, all backends together holding total_load by total_weight? A load of a few
 * (beyond its share by at most 1) never is. */
bool balance_is_over(uint64_t load, unsigned weight, uint64_t total_load,
    unsigned total_weight, unsigned percent);

/* How many sessions are surplus: load above fair share x (100 + percent) / 100, rounded
 * down; 0 when not over. */
unsigned balance_surplus(unsigned load, unsigned weight, unsigned total_load,
    unsigned total_weight, unsigned percent);

#endif
