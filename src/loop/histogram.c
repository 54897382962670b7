/* SPDX-License-Identifier: MIT
 *
 * histogram.c - bounds, and reading; see histogram.h.
 */
#include "loop/histogram.h"

enum { MS = 1000, S = 1000 * MS };

const uint64_t short_times[TIME_BOUNDS] = {MS / 2, MS, MS * 5 / 2, 5 * MS, 10 * MS,
    25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, S, S * 5 / 2, 5 * S, 10 * S, 30 * S,
    60 * S};

const uint64_t long_times[TIME_BOUNDS] = {UINT64_C(1) * S, UINT64_C(5) * S,
    UINT64_C(15) * S, UINT64_C(60) * S, UINT64_C(300) * S, UINT64_C(900) * S,
    UINT64_C(1800) * S, UINT64_C(3600) * S, UINT64_C(7200) * S, UINT64_C(14400) * S,
    UINT64_C(28800) * S, UINT64_C(43200) * S, UINT64_C(86400) * S, UINT64_C(172800) * S,
    UINT64_C(345600) * S, UINT64_C(604800) * S};

uint64_t
size_upto(const struct size_histogram *h, unsigned power)
{
	uint64_t n = tally_get(&h->buckets[SIZE_BUCKETS - 1]);

	for (unsigned i = 0; i < power; i++)
		n += tally_get(&h->buckets[i]);
	return n;
}
