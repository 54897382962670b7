/* SPDX-License-Identifier: MIT
 *
 * balance.c - the table of policies, and the arithmetic of fair shares.
 *
 * A fair share is total_load x weight / total_weight. Everything is compared by cross
 * multiplication in 64 bits, so no share is ever rounded.
 */
#include "balance/balance.h"

#include "balance/policies.h"

static size_t (*const policies[])(struct candidate *candidates, size_t n, bool all_zero,
    struct random *random) = {
    [BALANCE_LEAST_SESSIONS] = least_sessions_pick,
    [BALANCE_ROUND_ROBIN] = round_robin_pick,
    [BALANCE_P2C] = p2c_pick,
    [BALANCE_HASH] = hash_pick,
};

size_t
balance_pick(enum balance_policy policy, struct candidate *candidates, size_t n,
    struct random *random)
{
	bool all_zero = true;

	if (n == 1)
		return 0;
	for (size_t i = 0; i < n && all_zero; i++)
		all_zero = candidates[i].weight == 0;
	return policies[policy](candidates, n, all_zero, random);
}

bool
balance_is_over(uint64_t load, unsigned weight, uint64_t total_load,
    unsigned total_weight, unsigned percent)
{
	uint64_t held = load * total_weight;
	uint64_t fair = total_load * weight;

	return held > fair + total_weight && held * 100 > fair * (100 + percent);
}

unsigned
balance_surplus(unsigned load, unsigned weight, unsigned total_load,
    unsigned total_weight, unsigned percent)
{
	uint64_t held = (uint64_t)load * total_weight * 100;
	uint64_t limit = (uint64_t)total_load * weight * (100 + percent);

	if (!balance_is_over(load, weight, total_load, total_weight, percent))
		return 0;
	return (unsigned)((held - limit) / ((uint64_t)total_weight * 100));
}
