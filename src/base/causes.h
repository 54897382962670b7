/* SPDX-License-Identifier: MIT
 *
 * causes.h - how sessions end, as it is counted: by cause, and by close code.
 */
#ifndef ROOST_BASE_CAUSES_H
#define ROOST_BASE_CAUSES_H

enum cause {
#define CAUSE(symbol, label, text) CAUSE_##symbol,
#include "base/causes.def"
#undef CAUSE
	CAUSE_COUNT
};

/* For metrics, API and log: lower case, no blanks. */
const char *cause_label(enum cause cause);

/* Close codes are counted in few slots: 1000 to 1015 each, then 3000-3999, 4000-4999
 * and the rest. */
enum { CODE_SLOTS = 16 + 3 };

unsigned code_slot(unsigned code);

/* "1000" ... "1015", "3xxx", "4xxx", "other". */
const char *code_slot_label(unsigned slot);

#endif
