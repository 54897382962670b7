/* SPDX-License-Identifier: MIT
 *
 * p2c.c - the better of two random choices.
 *
 * To take the best of all would send every worker to the same backend for as long as
 * its figures look good, which are old by the time they are known. The better of two
 * avoids the worst ones as well, and spreads.
 *
 * A backend is judged by how long it would take: its latency, times what it has at hand
 * and this one more, for its weight.
 */
#include "balance/policies.h"

#include "base/random.h"

/* What is not known yet is asked at once while it has nothing to do, but gets no second
 * request before it has answered, as long as others answer faster than this. */
#define UNKNOWN_US 1e6

/* The candidate at `point` of the weights laid end to end, `without` left out. */
static size_t
draw_at(const struct candidate *candidates, size_t n, bool all_zero, size_t without,
    unsigned point)
{
	for (size_t i = 0; i < n; i++) {
		unsigned weight = candidate_weight(&candidates[i], all_zero);

		if (i == without)
			continue;
		if (point < weight)
			return i;
		point -= weight;
	}
	return without;
}

static double
score(const struct candidate *c, bool all_zero)
{
	double latency = c->latency_us;

	if (latency == 0 && c->load)
		latency = UNKNOWN_US;
	return latency * (double)(c->load + c->step) /
	       (double)candidate_weight(c, all_zero);
}

size_t
p2c_pick(struct candidate *candidates, size_t n, bool all_zero, struct random *random)
{
	unsigned sum = 0, rest;
	size_t one, other;

	for (size_t i = 0; i < n; i++)
		sum += candidate_weight(&candidates[i], all_zero);
	one = draw_at(candidates, n, all_zero, n, random_below(random, sum));
	rest = sum - candidate_weight(&candidates[one], all_zero);
	if (rest == 0)
		return one;
	other = draw_at(candidates, n, all_zero, one, random_below(random, rest));
	return score(&candidates[other], all_zero) < score(&candidates[one], all_zero)
		   ? other
		   : one;
}
