/* SPDX-License-Identifier: MIT
 *
 * counters.c - names and help of the counters, from counters.def.
 */
#include "loop/counters.h"

static const struct {
	const char *name, *help;
} rows[] = {
#define COUNTER(symbol, name, help) {name, help},
#include "loop/counters.def"
#undef COUNTER
};

const char *
counter_name(enum counter which)
{
	return rows[which].name;
}

const char *
counter_help(enum counter which)
{
	return rows[which].help;
}
