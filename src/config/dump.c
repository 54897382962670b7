/* SPDX-License-Identifier: MIT
 *
 * dump.c - a configuration as YAML, every value filled in.
 *
 * Walks the schema, so a new key is printed without a line here. Sections that hold
 * scalars come first, then those that nest, in the order of the table.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "config/load.h"
#include "config/schema.h"
#include "config/value.h"

struct dumper {
	struct strbuf *out;
	unsigned depth;
	bool is_public;
	bool item; /* the next line begins an element of a list */
};

static void
begin_line(struct dumper *d)
{
	for (unsigned i = 0; i + d->item < d->depth; i++)
		strbuf_lit(d->out, "  ");
	if (d->item)
		strbuf_lit(d->out, "- ");
	d->item = false;
}

static void dump_section(struct dumper *d, enum section_id section, const void *base);

static void
dump_name(struct dumper *d, const struct schema_section *s, const char *element)
{
	const char *name;

	memcpy(&name, element + s->name, sizeof(name));
	begin_line(d);
	value_print_text(str_of(name), true, d->out);
	strbuf_lit(d->out, ":\n");
}

static void
dump_elements(struct dumper *d, enum section_id section, const void *parent)
{
	const struct schema_section *s = &schema_sections[section];
	size_t n;
	const char *elements = schema_elements(section, parent, &n);

	for (size_t i = 0; i < n; i++) {
		const char *element = elements + i * s->size;

		if (s->shape == SHAPE_NAMED)
			dump_name(d, s, element);
		d->item = s->shape == SHAPE_LIST;
		d->depth++;
		dump_section(d, section, element);
		d->depth--;
	}
}

static void
dump_subsection(struct dumper *d, enum section_id section, const void *parent)
{
	size_t n;
	const char *base = schema_elements(section, parent, &n);

	begin_line(d);
	strbuf_puts(d->out, schema_sections[section].key);
	strbuf_lit(d->out, ":\n");
	d->depth++;
	if (schema_sections[section].shape == SHAPE_MAP)
		dump_section(d, section, base);
	else
		dump_elements(d, section, parent);
	d->depth--;
}

static void
dump_section(struct dumper *d, enum section_id section, const void *base)
{
	const struct schema_row *row = NULL;
	enum section_id sub = SECTION_TOP;

	while ((row = schema_next(section, row))) {
		if (!value_is_set(row, base) || (row->applies && !row->applies(base)))
			continue;
		begin_line(d);
		strbuf_puts(d->out, row->key);
		strbuf_lit(d->out, ": ");
		if (d->is_public)
			value_print_public(row, base, true, d->out);
		else
			value_print(row, base, true, d->out);
		strbuf_lit(d->out, "\n");
	}
	while ((sub = schema_next_section(section, sub)) != SECTION_TOP)
		dump_subsection(d, sub, base);
}

void
config_dump(const struct config *config, struct strbuf *out)
{
	struct dumper d = {.out = out};

	dump_section(&d, SECTION_TOP, config);
}

void
config_dump_public(const struct config *config, struct strbuf *out)
{
	struct dumper d = {.out = out, .is_public = true};

	dump_section(&d, SECTION_TOP, config);
}
