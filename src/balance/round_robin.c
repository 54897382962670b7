/* SPDX-License-Identifier: MIT
 *
 * round_robin.c - smooth weighted round robin.
 *
 * Each call adds its weight to every candidate's turn and takes the largest, which then
 * pays the sum of all weights. Weights 3 and 1 give AABA, not AAAB.
 */
#include "balance/policies.h"

size_t
round_robin_pick(struct candidate *candidates, size_t n, bool all_zero,
    struct random *random)
{
	size_t best = n;
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++) {
		struct candidate *c = &candidates[i];
		unsigned weight = candidate_weight(c, all_zero);

		if (weight == 0)
			continue;
		sum += weight;
		*c->turn += (int32_t)weight;
		if (best == n || *c->turn > *candidates[best].turn)
			best = i;
	}
	*candidates[best].turn -= (int32_t)sum;
	return best;
}
