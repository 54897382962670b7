/* SPDX-License-Identifier: MIT
 *
 * schema_walk.c - ways through the table of all keys.
 */
#include "base/strbuf.h"
#include "config/schema.h"

const struct schema_row *
schema_next(enum section_id section, const struct schema_row *previous)
{
	const struct schema_row *row = previous ? previous + 1 : schema_rows;

	for (; row < schema_rows + schema_n_rows; row++)
		if (row->section == section)
			return row;
	return NULL;
}

const struct schema_row *
schema_find(enum section_id section, struct str key)
{
	const struct schema_row *r = NULL;

	while ((r = schema_next(section, r)))
		if (str_eq(key, str_of(r->key)))
			return r;
	return NULL;
}

enum section_id
schema_next_section(enum section_id parent, enum section_id previous)
{
	for (unsigned id = previous + 1u; id < SECTION_COUNT; id++)
		if (schema_sections[id].parent == parent)
			return (enum section_id)id;
	return SECTION_TOP;
}

char *
schema_elements(enum section_id section, const void *parent, size_t *n_r)
{
	const struct schema_section *s = &schema_sections[section];
	const char *base = parent;
	char *elements;

	if (s->shape == SHAPE_MAP) {
		*n_r = 1;
		return (char *)(uintptr_t)(base + s->offset);
	}
	memcpy(&elements, base + s->offset, sizeof(elements));
	memcpy(n_r, base + s->count, sizeof(*n_r));
	return elements;
}

static void
section_path(enum section_id section, struct strbuf *out)
{
	static const char *const suffixes[] =
	    {[SHAPE_MAP] = ".", [SHAPE_LIST] = "[].", [SHAPE_NAMED] = ".NAME."};
	const struct schema_section *s = &schema_sections[section];

	if (section == SECTION_TOP)
		return;
	section_path(s->parent, out);
	strbuf_puts(out, s->key);
	strbuf_puts(out, suffixes[s->shape]);
}

void
schema_path(const struct schema_row *row, struct strbuf *out)
{
	section_path(row->section, out);
	strbuf_puts(out, row->key);
}

void
schema_print(FILE *out)
{
	struct strbuf path = STRBUF_INIT;

	for (size_t i = 0; i < schema_n_rows; i++) {
		strbuf_reset(&path);
		schema_path(&schema_rows[i], &path);
		fprintf(out, "%s\n", strbuf_cstr(&path));
	}
	strbuf_fini(&path);
}
