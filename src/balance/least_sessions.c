/* SPDX-License-Identifier: MIT
 *
 * least_sessions.c - the candidate with the least load for its weight.
 *
 * Ties are frequent (an idle upstream is one big tie), and several workers choose at
 * the same time without knowing of each other; drawing lots by weight keeps them from
 * all taking the first one.
 */
#include "balance/policies.h"

#include "base/random.h"

/* -1, 0, 1: a is less, equally, more loaded than b for its weight. */
static int
load_compare(const struct candidate *a, unsigned a_weight, const struct candidate *b,
    unsigned b_weight)
{
	uint64_t left = (uint64_t)a->load * b_weight;
	uint64_t right = (uint64_t)b->load * a_weight;

	return (left > right) - (left < right);
}

size_t
least_sessions_pick(struct candidate *candidates, size_t n, bool all_zero,
    struct random *random)
{
	size_t best = n;
	unsigned best_weight = 0, tied_weight = 0;

	for (size_t i = 0; i < n; i++) {
		const struct candidate *c = &candidates[i];
		unsigned weight = candidate_weight(c, all_zero);
		int order;

		if (weight == 0)
			continue;
		order = best == n
			    ? -1
			    : load_compare(c, weight, &candidates[best], best_weight);
		if (order > 0)
			continue;
		/* One pass: the k-th of a tie replaces the others with the chance that
		 * its weight has among the first k. */
		tied_weight = order < 0 ? weight : tied_weight + weight;
		if (order < 0 || random_below(random, tied_weight) < weight) {
			best = i;
			best_weight = weight;
		}
	}
	return best;
}
