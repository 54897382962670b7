/* SPDX-License-Identifier: MIT
 *
 * table.h - rows and columns, as wide as what is in them.
 *
 * Owner: the function that prints it.
 */
#ifndef ROOST_CTL_TABLE_H
#define ROOST_CTL_TABLE_H

#include "ctl/out.h"

enum { TABLE_COLUMNS = 16 };

struct table_cell {
	char *text;
	enum paint paint;
};

struct table {
	const char *const *titles; /* ends with NULL; one that begins with '>' stands on
				      the right, with its numbers */
	size_t n_columns;
	struct table_cell *cells;
	size_t n, cap;
	bool failed; /* no memory */
};

void table_init(struct table *t, const char *const *titles);

/* The next cell of the row, from left to right. NULL: "-". */
void table_text(struct table *t, enum paint paint, const char *text);
void table_printf(struct table *t, enum paint paint, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Ends the table, whose titles are printed even above no rows. */
void table_end(struct table *t, struct out *o);

#endif
