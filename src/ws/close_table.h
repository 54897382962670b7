/* SPDX-License-Identifier: MIT
 *
 * close_table.h - what an end of a session counts as. Pure.
 */
#ifndef ROOST_WS_CLOSE_TABLE_H
#define ROOST_WS_CLOSE_TABLE_H

#include "base/causes.h"
#include "base/reasons.h"

/* `why` as session_end got it; `code`: what the side that ended it said, or roost (1005
 * where it was a Close without a code). */
enum cause close_cause(enum reason why, unsigned code);

#endif
