/* SPDX-License-Identifier: MIT
 *
 * reasons.c - the table of reasons.def, to be looked up.
 *
 * Threads: any; constant.
 */
#include "base/reasons.h"

#include <assert.h>
#include <stddef.h>

static const struct row {
	const char *label;
	const char *text;
	int status;
} rows[REASON_COUNT] = {
#define REASON(symbol, name, http, words) \
	[REASON_##symbol] = {.label = (name), .text = (words), .status = (http)},
#include "base/reasons.def"
#undef REASON
};

static const struct row *
row_of(enum reason why)
{
	assert((size_t)why < REASON_COUNT);
	return &rows[why];
}

const char *
reason_label(enum reason why)
{
	return row_of(why)->label;
}

const char *
reason_text(enum reason why)
{
	return row_of(why)->text;
}

int
reason_status(enum reason why)
{
	return row_of(why)->status;
}
