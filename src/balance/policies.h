/* SPDX-License-Identifier: MIT
 *
 * policies.h - what the files of balance/ share: one pick function per policy.
 *
 * Each is called with n > 0 and with `all_zero` when every weight is 0, in which case
 * all count as 1.
 */
#ifndef ROOST_BALANCE_POLICIES_H
#define ROOST_BALANCE_POLICIES_H

#include "balance/balance.h"

static inline unsigned
candidate_weight(const struct candidate *c, bool all_zero)
{
	return all_zero ? 1 : c->weight;
}

size_t least_sessions_pick(struct candidate *candidates, size_t n, bool all_zero,
    struct random *random);
size_t round_robin_pick(struct candidate *candidates, size_t n, bool all_zero,
    struct random *random);
size_t p2c_pick(struct candidate *candidates, size_t n, bool all_zero,
    struct random *random);
size_t hash_pick(struct candidate *candidates, size_t n, bool all_zero,
    struct random *random);

#endif
