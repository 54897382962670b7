/* SPDX-License-Identifier: MIT
 *
 * causes.c - the table of causes.def, to be looked up; slots of close codes.
 *
 * Threads: any; constant.
 */
#include "base/causes.h"

#include <assert.h>

enum { FIRST_CODE = 1000, SLOT_3000 = 16, SLOT_4000, SLOT_OTHER };

static const char *const cause_labels[CAUSE_COUNT] = {
#define CAUSE(symbol, label, text) [CAUSE_##symbol] = (label),
#include "base/causes.def"
#undef CAUSE
};

const char *
cause_label(enum cause cause)
{
	assert(cause < CAUSE_COUNT);
	return cause_labels[cause];
}

unsigned
code_slot(unsigned code)
{
	if (code >= FIRST_CODE && code < FIRST_CODE + SLOT_3000)
		return code - FIRST_CODE;
	return code / 1000 == 3 ? SLOT_3000 : code / 1000 == 4 ? SLOT_4000 : SLOT_OTHER;
}

const char *
code_slot_label(unsigned slot)
{
	static const char *const labels[CODE_SLOTS] = {"1000", "1001", "1002", "1003",
	    "1004", "1005", "1006", "1007", "1008", "1009", "1010", "1011", "1012",
	    "1013", "1014", "1015", "3xxx", "4xxx", "other"};

	assert(slot < CODE_SLOTS);
	return labels[slot];
}
