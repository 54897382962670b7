/* SPDX-License-Identifier: MIT
 *
 * reasons.h - why something was refused, ended or closed; see reasons.def.
 */
#ifndef ROOST_BASE_REASONS_H
#define ROOST_BASE_REASONS_H

enum reason {
#define REASON(symbol, label, status, text) REASON_##symbol,
#include "base/reasons.def"
#undef REASON
	REASON_COUNT
};

/* For metrics and structured logs: lower case, no blanks. */
const char *reason_label(enum reason why);

/* For people. */
const char *reason_text(enum reason why);

/* HTTP status a client gets for it; 0 where none. */
int reason_status(enum reason why);

#endif
