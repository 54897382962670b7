/* SPDX-License-Identifier: MIT
 *
 * table.c - rows and columns; see table.h.
 */
#include "ctl/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char GAP[] = "  ";

void
table_init(struct table *t, const char *const *titles)
{
	*t = (struct table){.titles = titles};
	while (titles[t->n_columns])
		t->n_columns++;
	assert(t->n_columns <= TABLE_COLUMNS);
}

static bool
reserve(struct table *t)
{
	size_t cap = t->cap ? t->cap * 2 : 64;
	struct table_cell *cells;

	if (t->n < t->cap)
		return true;
	cells = realloc(t->cells, cap * sizeof(*cells));
	if (!cells)
		return false;
	t->cells = cells;
	t->cap = cap;
	return true;
}

void
table_text(struct table *t, enum paint paint, const char *text)
{
	char *clean = text_clean(text && *text ? text : "-");

	if (!clean || !reserve(t)) {
		free(clean);
		t->failed = true;
		return;
	}
	t->cells[t->n++] = (struct table_cell){clean, paint};
}

void
table_printf(struct table *t, enum paint paint, const char *format, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		t->failed = true;
		return;
	}
	table_text(t, paint, text);
	free(text);
}

static bool
is_right(const struct table *t, size_t column)
{
	return t->titles[column][0] == '>';
}

static const char *
title_of(const struct table *t, size_t column)
{
	return t->titles[column] + is_right(t, column);
}

static void
measure(const struct table *t, size_t widths[TABLE_COLUMNS])
{
	for (size_t i = 0; i < t->n_columns; i++)
		widths[i] = text_width(title_of(t, i));
	for (size_t i = 0; i < t->n; i++) {
		size_t width = text_width(t->cells[i].text);

		if (width > widths[i % t->n_columns])
			widths[i % t->n_columns] = width;
	}
}

/* No blanks at the end of a line. */
static void
print_cell(const struct table *t, struct out *o, size_t column, const size_t *widths,
    enum paint paint, const char *text)
{
	int blanks = (int)(widths[column] - text_width(text));
	bool is_last = column + 1 == t->n_columns;

	if (is_right(t, column))
		out_printf(o, "%*s", blanks, "");
	out_paint(o, paint, text);
	if (is_last)
		strbuf_lit(&o->text, "\n");
	else
		out_printf(o, "%*s%s", is_right(t, column) ? 0 : blanks, "", GAP);
}

void
table_end(struct table *t, struct out *o)
{
	size_t widths[TABLE_COLUMNS];

	measure(t, widths);
	for (size_t i = 0; i < t->n_columns; i++)
		print_cell(t, o, i, widths, BOLD, title_of(t, i));
	for (size_t i = 0; i < t->n; i++)
		print_cell(t, o, i % t->n_columns, widths, t->cells[i].paint,
		    t->cells[i].text);
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i].text);
	free(t->cells);
	o->text.failed |= t->failed;
}
