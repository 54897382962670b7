/* SPDX-License-Identifier: MIT
 *
 * diff.c - what changed between two configurations, and what of it needs a restart.
 *
 * Compares by value and by name: the order of elements and where they stand in the
 * file mean nothing. Walks the schema, so a new key is compared without a line here.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "config/load.h"
#include "config/schema.h"
#include "config/value.h"

struct differ {
	struct strbuf path;          /* of the section, as "upstreams.chat." */
	struct strbuf line, was, is; /* scratch */
	struct strbuf *changes, *restart;
};

static const char *
id_part(enum section_id section, const char *element, int i)
{
	size_t offset = schema_sections[section].id[i];
	const char *text;

	if (offset == NO_FIELD)
		return NULL;
	memcpy(&text, element + offset, sizeof(text));
	return text;
}

static bool
is_same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static const char *
find_twin(enum section_id section, const char *element, const char *others, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *other = others + i * schema_sections[section].size;

		if (is_same_text(id_part(section, element, 0),
			id_part(section, other, 0)) &&
		    is_same_text(id_part(section, element, 1),
			id_part(section, other, 1)))
			return other;
	}
	return NULL;
}

/* Says "PATH what" to those who want to know. */
static void
report(struct differ *d, const char *key, const char *what, bool reloadable)
{
	strbuf_reset(&d->line);
	strbuf_puts(&d->line, strbuf_cstr(&d->path));
	if (!*key && d->line.len)
		d->line.len--; /* the dot */
	strbuf_printf(&d->line, "%s: %s\n", key, what);
	strbuf_append(d->changes, d->line.data, d->line.len);
	if (!reloadable)
		strbuf_append(d->restart, d->line.data, d->line.len);
}

static void
diff_row(struct differ *d, const struct schema_row *row, const void *old,
    const void *new)
{
	strbuf_reset(&d->was);
	strbuf_reset(&d->is);
	value_print(row, old, false, &d->was);
	value_print(row, new, false, &d->is);
	if (strcmp(strbuf_cstr(&d->was), strbuf_cstr(&d->is)) == 0 &&
	    value_is_set(row, old) == value_is_set(row, new))
		return;
	strbuf_lit(&d->was, " -> ");
	strbuf_append(&d->was, d->is.data, d->is.len);
	report(d, row->key, strbuf_cstr(&d->was), row->reloadable);
}

/* "chat." of a map, "b1." of a list with names, "a.com/api." of the rest */
static void
enter_element(struct differ *d, enum section_id section, const char *element)
{
	const char *id = id_part(section, element, 0);
	const char *more = id_part(section, element, 1);

	strbuf_puts(&d->path, id ? id : "*");
	strbuf_puts(&d->path, more ? more : "");
	strbuf_lit(&d->path, ".");
}

static void diff_section(struct differ *d, enum section_id section, const void *old,
    const void *new);

/* Elements of `these`: those without a twin in `others` are reported as `what`; NULL:
 * those with one are compared. */
static void
diff_elements(struct differ *d, enum section_id section, const void *these,
    const void *others, const char *what)
{
	const struct schema_section *s = &schema_sections[section];
	size_t n, n_others, length = d->path.len;
	const char *elements = schema_elements(section, these, &n);
	const char *candidates = schema_elements(section, others, &n_others);

	for (size_t i = 0; i < n; i++) {
		const char *element = elements + i * s->size;
		const char *twin = find_twin(section, element, candidates, n_others);

		enter_element(d, section, element);
		if (!twin && what)
			report(d, "", what, s->reloadable);
		else if (twin && !what)
			diff_section(d, section, element, twin);
		d->path.len = length;
	}
}

static void
diff_section(struct differ *d, enum section_id section, const void *old,
    const void *new)
{
	const struct schema_row *row = NULL;
	enum section_id sub = SECTION_TOP;
	size_t n, length = d->path.len;

	while ((row = schema_next(section, row)))
		diff_row(d, row, old, new);
	while ((sub = schema_next_section(section, sub)) != SECTION_TOP) {
		strbuf_printf(&d->path, "%s.", schema_sections[sub].key);
		if (schema_sections[sub].shape == SHAPE_MAP) {
			diff_section(d, sub, schema_elements(sub, old, &n),
			    schema_elements(sub, new, &n));
		} else {
			diff_elements(d, sub, old, new, "removed");
			diff_elements(d, sub, old, new, NULL);
			diff_elements(d, sub, new, old, "added");
		}
		d->path.len = length;
	}
}

void
config_diff(const struct config *old, const struct config *new,
    struct strbuf *changes_r, struct strbuf *restart_r)
{
	struct differ d = {.changes = changes_r, .restart = restart_r};

	diff_section(&d, SECTION_TOP, old, new);
	strbuf_fini(&d.path);
	strbuf_fini(&d.line);
	strbuf_fini(&d.was);
	strbuf_fini(&d.is);
}
