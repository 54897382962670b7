/* SPDX-License-Identifier: MIT
 *
 * identity.c - what tells one element of a section from another, as a text.
 */
#include "config/identity.h"
#include "base/strbuf.h"
#include "config/value.h"

enum {
	N_ID = sizeof(schema_sections[0].id) / sizeof(schema_sections[0].id[0]),
	N_MORE = sizeof(schema_sections[0].more) / sizeof(schema_sections[0].more[0])
};

/* Appends "KEY VALUE" if the value is not the default. */
static bool
print_if_unusual(const struct schema_row *row, const void *element, const char *before,
    bool is_public, struct strbuf *out)
{
	struct str printed, usual = str_of(row->standard);
	size_t length = out->len;

	strbuf_printf(out, "%s%s ", before, row->key);
	printed.n = out->len;
	if (is_public)
		value_print_public(row, element, false, out);
	else
		value_print(row, element, false, out);
	if (out->failed)
		return false;
	printed = (struct str){out->data + printed.n, out->len - printed.n};
	if (!str_eq(printed, usual))
		return true;
	out->len = length;
	return false;
}

static void
print(enum section_id section, const void *element, bool is_public, struct strbuf *out)
{
	const struct schema_section *s = &schema_sections[section];
	const struct schema_row *row;
	const char *before = " (", *name;

	if (s->shape == SHAPE_NAMED) {
		memcpy(&name, (const char *)element + s->name, sizeof(name));
		strbuf_puts(out, name);
		return;
	}
	for (size_t i = 0; i < N_ID && s->id[i]; i++) {
		row = schema_find(section, str_of(s->id[i]));
		if (value_is_set(row, element))
			value_print(row, element, false, out);
		else
			strbuf_lit(out, "*");
	}
	for (size_t i = 0; i < N_MORE && s->more[i]; i++) {
		row = schema_find(section, str_of(s->more[i]));
		if (print_if_unusual(row, element, before, is_public, out))
			before = ", ";
	}
	if (before[0] == ',')
		strbuf_lit(out, ")");
}

void
identity_print(enum section_id section, const void *element, struct strbuf *out)
{
	print(section, element, false, out);
}

void
identity_print_public(enum section_id section, const void *element, struct strbuf *out)
{
	print(section, element, true, out);
}
