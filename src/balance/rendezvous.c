/* SPDX-License-Identifier: MIT
 *
 * rendezvous.c - the same backend for the same client: weighted rendezvous hashing.
 *
 * Each candidate's lot, a number from the client and the candidate's name, becomes a
 * waiting time -ln(lot)/weight; the shortest wins. Such times have the property that
 * each wins with exactly the chance of its weight, and that a change of one candidate
 * moves only the clients who come to it or leave it. Nothing is remembered, so every
 * node agrees, and a node with itself after a restart.
 *
 * A few busy clients can still meet on one backend. So who would hold more than
 * CROWDED_PERCENT of its fair share is passed over, and the next in the client's order
 * is taken. Smaller bounds even out better but scatter more clients (in theory by the
 * square of what is left open); 125 is as much as a weak pin may overload its backend.
 * FEW: of small loads, unevenness by so many is chance and no crowd.
 */
#include "balance/policies.h"

#include <math.h>

enum { CROWDED_PERCENT = 125, FEW = 8 };

struct crowd {
	uint64_t load; /* of all, with the one to come */
	uint64_t weight;
};

static struct crowd
crowd_of(const struct candidate *candidates, size_t n, bool all_zero)
{
	struct crowd crowd = {.load = candidates[0].step};

	for (size_t i = 0; i < n; i++) {
		crowd.load += candidates[i].load;
		crowd.weight += candidate_weight(&candidates[i], all_zero);
	}
	return crowd;
}

static bool
is_crowded(const struct candidate *c, uint64_t weight, const struct crowd *crowd)
{
	uint64_t held = (c->load + c->step) * crowd->weight;
	uint64_t fair = crowd->load * weight;

	return held > fair + (uint64_t)FEW * c->step * crowd->weight &&
	       held * 100 > fair * CROWDED_PERCENT;
}

/* The lot's upper 53 bits, as a number between 0 and 1, but neither. */
static double
waiting_time(uint64_t lot, unsigned weight)
{
	return -log(((double)(lot >> 11) + 0.5) * 0x1p-53) / weight;
}

size_t
hash_pick(struct candidate *candidates, size_t n, bool all_zero, struct random *random)
{
	struct crowd crowd = crowd_of(candidates, n, all_zero);
	double shortest = INFINITY;
	size_t best = n;

	for (size_t i = 0; i < n; i++) {
		unsigned weight = candidate_weight(&candidates[i], all_zero);
		double time;

		/* not all can hold more than their share, so somebody is left */
		if (weight == 0 || is_crowded(&candidates[i], weight, &crowd))
			continue;
		time = waiting_time(candidates[i].lot, weight);
		if (best == n || time < shortest) {
			best = i;
			shortest = time;
		}
	}
	return best;
}
