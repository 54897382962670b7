/* SPDX-License-Identifier: MIT
 *
 * counters.c - names of the counters, from counters.def.
 */
#include "loop/counters.h"

static const char *const names[] = {
#define COUNTER(symbol, name, help) name,
#include "loop/counters.def"
#undef COUNTER
};

const char *
counter_name(enum counter which)
{
	return names[which];
}
