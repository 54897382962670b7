/* SPDX-License-Identifier: MIT
 *
 * diff.c - what changed between two configurations, and what of it needs a restart.
 *
 * Compares by value and by name: the order of elements and where they stand in the
 * file mean nothing. Walks the schema, so a new key is compared without a line here.
 */
#include "base/strbuf.h"
#include "config/arena.h"
#include "config/config.h"
#include "config/identity.h"
#include "config/load.h"
#include "config/schema.h"
#include "config/value.h"
#include <stdlib.h>

struct differ {
	struct arena *arena;
	struct strbuf path;                /* of the section, as "upstreams.chat." */
	struct strbuf name, line, was, is; /* scratch */
	struct strbuf *changes, *restart;
	bool no_memory;
};

struct twin {
	const char *name, *element;
};

static const char *
name_of(struct differ *d, enum section_id section, const char *element)
{
	strbuf_reset(&d->name);
	identity_print(section, element, &d->name);
	d->no_memory |= d->name.failed;
	return strbuf_cstr(&d->name);
}

static int
compare_twins(const void *a, const void *b)
{
	const struct twin *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* The elements by name, since a file may have thousands. NULL: no memory. */
static struct twin *
sort_by_name(struct differ *d, enum section_id section, const char *elements, size_t n)
{
	struct twin *twins = arena_alloc(d->arena, n, sizeof(*twins));

	for (size_t i = 0; twins && i < n; i++) {
		twins[i].element = elements + i * schema_sections[section].size;
		twins[i].name =
		    arena_copy(d->arena, str_of(name_of(d, section, twins[i].element)));
		if (!twins[i].name)
			break;
	}
	if (arena_has_failed(d->arena)) {
		d->no_memory = true;
		return NULL;
	}
	if (n)
		qsort(twins, n, sizeof(*twins), compare_twins);
	return twins;
}

static const char *
find_twin(const struct twin *twins, size_t n, const char *name)
{
	const struct twin wanted = {.name = name}, *found = NULL;

	if (n)
		found = bsearch(&wanted, twins, n, sizeof(wanted), compare_twins);
	return found ? found->element : NULL;
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
	d->no_memory |= d->path.failed || d->line.failed;
	strbuf_append(d->changes, d->line.data, d->line.len);
	if (!reloadable)
		strbuf_append(d->restart, d->line.data, d->line.len);
}

static bool
is_same_content(const struct schema_row *row, const void *old, const void *new)
{
	struct str was, is;

	memcpy(&was, (const char *)old + row->content, sizeof(was));
	memcpy(&is, (const char *)new + row->content, sizeof(is));
	return str_eq(was, is);
}

/* Do `was` and `is`, as print writes old and new, say the same? */
static bool
reads_alike(struct differ *d, const struct schema_row *row, const void *old,
    const void *new,
    void (*print)(const struct schema_row *row, const void *section, bool quoted,
	struct strbuf *out))
{
	strbuf_reset(&d->was);
	strbuf_reset(&d->is);
	print(row, old, false, &d->was);
	print(row, new, false, &d->is);
	d->no_memory |= d->was.failed || d->is.failed;
	return strcmp(strbuf_cstr(&d->was), strbuf_cstr(&d->is)) == 0 &&
	       value_is_set(row, old) == value_is_set(row, new);
}

static void
diff_row(struct differ *d, const struct schema_row *row, const void *old,
    const void *new)
{
	if (reads_alike(d, row, old, new, value_print)) {
		if (row->content && !is_same_content(row, old, new))
			report(d, row->key, "what is in it has changed",
			    row->reloadable);
		return;
	}
	/* what is told goes to logs, and to whoever may reload */
	if (reads_alike(d, row, old, new, value_print_public)) {
		report(d, row->key, "a hidden value has changed", row->reloadable);
		return;
	}
	strbuf_lit(&d->was, " -> ");
	strbuf_append(&d->was, d->is.data, d->is.len);
	report(d, row->key, strbuf_cstr(&d->was), row->reloadable);
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
	const struct twin *twins = sort_by_name(d, section, candidates, n_others);

	for (size_t i = 0; twins && i < n; i++) {
		const char *element = elements + i * s->size;
		const char *name = name_of(d, section, element);
		const char *twin = find_twin(twins, n_others, name);

		identity_print_public(section, element, &d->path);
		strbuf_lit(&d->path, ".");
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
	struct differ d = {.arena = arena_new(),
	    .changes = changes_r,
	    .restart = restart_r};

	if (d.arena)
		diff_section(&d, SECTION_TOP, old, new);
	if (!d.arena || d.no_memory)
		changes_r->failed = true;
	arena_free(d.arena);
	strbuf_fini(&d.path);
	strbuf_fini(&d.name);
	strbuf_fini(&d.line);
	strbuf_fini(&d.was);
	strbuf_fini(&d.is);
}
