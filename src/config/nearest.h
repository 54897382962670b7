/* SPDX-License-Identifier: MIT
 *
 * nearest.h - which of the known words did somebody mean?
 */
#ifndef ROOST_CONFIG_NEAREST_H
#define ROOST_CONFIG_NEAREST_H

#include "base/str.h"

struct nearest {
	struct str wanted;
	const char *best; /* borrowed; NULL: nothing is near enough */
	unsigned distance;
};

#define NEAREST_INIT(word) ((struct nearest){.wanted = (word)})

/* Offers one known word; the first of the nearest is kept. */
void nearest_offer(struct nearest *nearest, const char *word);

#endif
