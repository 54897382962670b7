/* SPDX-License-Identifier: MIT
 *
 * fill.c - from the tree of a file to the structs, row by row of the schema.
 *
 * Nothing here knows a single key: what is in the table is read, anything else is
 * unknown. A bad value leaves its field empty and reading goes on, so that one run
 * finds all problems.
 */
#include "base/template.h"
#include "config/arena.h"
#include "config/form.h"
#include "config/load_private.h"
#include "config/nearest.h"
#include "config/value.h"
#include "config/yaml.h"

/* The name that a template used and that does not exist, or the odd brace. */
static void
explain_template(const struct schema_row *row, struct str text, struct strbuf *out)
{
	struct str bad;
	char shown[SHOWN];

	if (!row->template || template_check(text, &bad))
		return;
	if (str_eq(bad, STR("{")) || str_eq(bad, STR("}")))
		strbuf_printf(out, " (a single %s)", text_show(bad, shown));
	else
		strbuf_printf(out, " (no name \"%s\")", text_show(bad, shown));
}

void
loader_read(struct loader *l, const struct schema_row *row, struct str text, void *base,
    struct origin at)
{
	struct strbuf why = STRBUF_INIT;
	char shown[SHOWN];

	loader_remember(l, (char *)base + row->offset, at);
	if (value_read(row, text, base, l->keep))
		return;
	explain_template(row, text, &why);
	strbuf_lit(&why, ", expected ");
	value_expect(row, &why);
	if (at.flag)
		loader_complain(l, at, "bad value \"%s\"%s", text_show(text, shown),
		    strbuf_cstr(&why));
	else
		loader_complain(l, at, "%s%s: bad value \"%s\"%s",
		    strbuf_cstr(&l->path), row->key, text_show(text, shown),
		    strbuf_cstr(&why));
	strbuf_fini(&why);
}

/* A value is missing or of the wrong kind; what: how it is described. */
static void
complain_value(struct loader *l, const struct schema_row *row,
    struct config_place place, const char *what)
{
	struct strbuf expected = STRBUF_INIT;

	if (row->type == VALUE_HEADERS)
		strbuf_lit(&expected, "a map from headers to values");
	else
		value_expect(row, &expected);
	loader_complain(l, (struct origin){.place = place}, "%s%s: %s, expected %s",
	    strbuf_cstr(&l->path), row->key, what, strbuf_cstr(&expected));
	strbuf_fini(&expected);
}

static const char *
kind_of(const struct node *node)
{
	if (node_is_null(node))
		return "no value";
	return node->kind == NODE_LIST  ? "a list"
	       : node->kind == NODE_MAP ? "a map"
					: "a single value";
}

static void
complain_bad_element(struct loader *l, const struct schema_row *row,
    const struct node *node)
{
	struct strbuf why = STRBUF_INIT;
	char name[SHOWN], shown[SHOWN];

	explain_template(row, node->text, &why);
	strbuf_lit(&why, ", expected ");
	value_expect(row, &why);
	loader_complain(l, (struct origin){.place = node->place},
	    "%s%s%s%s: bad value \"%s\"%s", strbuf_cstr(&l->path), row->key,
	    node->key.n ? "." : "", text_show(node->key, name),
	    text_show(node->text, shown), strbuf_cstr(&why));
	strbuf_fini(&why);
}

/* An element of a list or map is bad. */
static void
complain_element(struct loader *l, const struct schema_row *row,
    const struct node *node, const struct element_fault *fault)
{
	struct origin at = {.place = node->key_place};
	const char *path = strbuf_cstr(&l->path);
	char shown[SHOWN];

	text_show(node->key, shown);
	if (fault->what == FAULT_VALUE)
		complain_bad_element(l, row, node);
	else if (fault->what == FAULT_NAME)
		loader_complain(l, at, "%s%s: bad name \"%s\", expected %s", path,
		    row->key, shown, row->expected_name);
	else
		loader_complain(l, at,
		    "%s%s.%s: the same header again, expected it once", path, row->key,
		    shown);
}

/* Too few elements of a list, or too many. */
static void
complain_count(struct loader *l, const struct schema_row *row, const struct node *node)
{
	char what[SHOWN];

	if (node->n < row->min)
		snprintf(what, sizeof(what), "bad value \"[]\"");
	else
		snprintf(what, sizeof(what), "%zu of them, at most %ju are allowed",
		    node->n, (uintmax_t)row->max);
	complain_value(l, row, node->place, what);
}

static void
complain_child(struct loader *l, const struct schema_row *row, const struct node *child)
{
	struct strbuf expected = STRBUF_INIT;
	char name[SHOWN];

	value_expect(row, &expected);
	loader_complain(l, (struct origin){.place = child->place},
	    "%s%s%s%s: %s, expected %s", strbuf_cstr(&l->path), row->key,
	    child->key.n ? "." : "", text_show(child->key, name), kind_of(child),
	    strbuf_cstr(&expected));
	strbuf_fini(&expected);
}

/* An element that was left out; but null is an origin's name, which nobody quotes. */
static bool
is_nothing(const struct node *child)
{
	return node_is_null(child) &&
	       (child->key.n || !str_eq(child->text, STR("null")));
}

/* Collects what is in a list or map of single values. NULL: something else is in it,
 * which was complained about, or there is no memory. */
static struct element *
collect_elements(struct loader *l, const struct schema_row *row,
    const struct node *node)
{
	struct element *elements = arena_alloc(l->temp, node->n, sizeof(*elements));
	size_t n = 0;

	for (const struct node *child = node->first; child; child = child->next) {
		if (child->bad)
			return NULL;
		if (child->kind != NODE_SCALAR || is_nothing(child)) {
			complain_child(l, row, child);
			return NULL;
		}
		if (elements)
			elements[n++] = (struct element){child->key, child->text};
	}
	return elements;
}

static void
read_many(struct loader *l, const struct schema_row *row, const struct node *node,
    void *base)
{
	struct element *elements = collect_elements(l, row, node);
	struct element_fault fault;

	if (!elements || value_read_many(row, elements, node->n, base, l->keep, &fault))
		return;
	if (fault.what == FAULT_COUNT) {
		complain_count(l, row, node);
		return;
	}
	node = node->first;
	while (fault.number--)
		node = node->next;
	complain_element(l, row, node, &fault);
}

static enum node_kind
many_kind(const struct schema_row *row)
{
	return row->type == VALUE_HEADERS ? NODE_MAP : NODE_LIST;
}

static void
read_row(struct loader *l, const struct schema_row *row, const struct node *map,
    const struct node *node, void *base)
{
	struct origin at = {0};

	if (node && node->bad)
		return;
	if (!node && row->required && map)
		complain_value(l, row, map->place, "missing");
	if (!node && row->standard &&
	    !value_read(row, str_of(row->standard), base, l->keep))
		assert(arena_has_failed(l->keep));
	if (!node)
		return;
	at.place = node->place;
	if (value_is_many(row) && node->kind == many_kind(row)) {
		loader_remember(l, (char *)base + row->offset, at);
		read_many(l, row, node, base);
	} else if (value_is_many(row) || node->kind != NODE_SCALAR ||
		   node_is_null(node)) {
		loader_remember(l, (char *)base + row->offset, at);
		complain_value(l, row, node->place, kind_of(node));
	} else {
		loader_read(l, row, node->text, base, at);
	}
}

/* Lists the keys of a section, and offers them to nearest. */
static void
expect_keys(enum section_id section, struct nearest *nearest, struct strbuf *out)
{
	const struct schema_row *row = NULL;
	enum section_id sub = SECTION_TOP;

	while ((row = schema_next(section, row))) {
		strbuf_printf(out, "%s%s", out->len ? ", " : "", row->key);
		nearest_offer(nearest, row->key);
	}
	while ((sub = schema_next_section(section, sub)) != SECTION_TOP) {
		strbuf_printf(out, "%s%s", out->len ? ", " : "",
		    schema_sections[sub].key);
		nearest_offer(nearest, schema_sections[sub].key);
	}
}

static void
complain_unknown(struct loader *l, enum section_id section, const struct node *node)
{
	struct nearest nearest = NEAREST_INIT(node->key);
	struct strbuf keys = STRBUF_INIT;
	char shown[SHOWN];

	expect_keys(section, &nearest, &keys);
	loader_complain(l, (struct origin){.place = node->key_place},
	    "%s%s: unknown key%s%s%s, expected one of %s", strbuf_cstr(&l->path),
	    text_show(node->key, shown), nearest.best ? " (did you mean " : "",
	    nearest.best ? nearest.best : "", nearest.best ? "?)" : "",
	    strbuf_cstr(&keys));
	strbuf_fini(&keys);
}

static bool
is_known(enum section_id section, struct str key)
{
	enum section_id sub = SECTION_TOP;

	while ((sub = schema_next_section(section, sub)) != SECTION_TOP)
		if (str_eq(key, str_of(schema_sections[sub].key)))
			return true;
	return schema_find(section, key) != NULL;
}

static void
complain_kind(struct loader *l, const struct node *node, enum node_kind expected)
{
	loader_complain(l, (struct origin){.place = node->place},
	    "%.*s: %s, expected a %s", (int)(l->path.len ? l->path.len - 1 : 0),
	    strbuf_cstr(&l->path), kind_of(node),
	    expected == NODE_LIST ? "list" : "map of keys");
}

/* Is it a map (or a list)? Nothing at all is fine and means an empty one. */
static bool
is_of_kind(const struct node *node, enum node_kind kind)
{
	return node && node->kind == kind && !node->bad;
}

/* Complains if it is something else, once. False: nothing was wrong. */
static bool
refuse_kind(struct loader *l, const struct node *node, enum node_kind kind)
{
	if (!node || node_is_null(node) || is_of_kind(node, kind))
		return false;
	if (!node->bad)
		complain_kind(l, node, kind);
	return true;
}

static void
name_element(struct loader *l, const struct node *node, char *element)
{
	const struct schema_section *s = &schema_sections[SECTION_UPSTREAM];
	char *name = arena_copy(l->keep, node->key);

	memcpy(element + s->name, &name, sizeof(name));
	memcpy(element + s->place, &node->key_place, sizeof(node->key_place));
}

/* After a complaint about the whole it is no news that there are no backends. */
static void
refuse_element(struct loader *l, enum section_id section, const struct node *node,
    char *element)
{
	enum section_id sub = SECTION_TOP;

	if (schema_sections[section].shape == SHAPE_LIST && node_is_null(node))
		complain_kind(l, node, NODE_MAP);
	if (!refuse_kind(l, node, NODE_MAP))
		return;
	while ((sub = schema_next_section(section, sub)) != SECTION_TOP)
		loader_remember(l, element + schema_sections[sub].offset,
		    (struct origin){.place = node->place});
}

/* One element of a list of maps, or of a map of maps. */
static void
read_element(struct loader *l, enum section_id section, const struct node *node,
    size_t number, char *element)
{
	const struct schema_section *s = &schema_sections[section];
	size_t length = l->path.len;
	char shown[SHOWN];

	if (s->shape == SHAPE_NAMED) {
		strbuf_printf(&l->path, "%s.", text_show(node->key, shown));
		name_element(l, node, element);
	} else {
		l->path.len -= l->path.len > 0; /* the dot */
		strbuf_printf(&l->path, "[%zu].", number);
		memcpy(element + s->place, &node->place, sizeof(node->place));
	}
	refuse_element(l, section, node, element);
	loader_fill(l, section, is_of_kind(node, NODE_MAP) ? node : NULL, element);
	l->path.len = length;
}

static void
read_elements(struct loader *l, enum section_id section, const struct node *node,
    void *base)
{
	const struct schema_section *s = &schema_sections[section];
	enum node_kind kind = s->shape == SHAPE_NAMED ? NODE_MAP : NODE_LIST;
	char *array, *field = (char *)base + s->offset;
	size_t n = 0;

	if (refuse_kind(l, node, kind))
		loader_remember(l, field, (struct origin){.place = node->place});
	if (!is_of_kind(node, kind))
		node = NULL;
	/* one more than there are: flags may add one, see flags.c */
	array = arena_alloc(l->keep, (node ? node->n : 0) + 1, s->size);
	if (!array)
		return;
	memcpy(field, &array, sizeof(array));
	for (const struct node *child = node ? node->first : NULL; child;
	     child = child->next)
		if (!child->bad || child->key.n || s->shape == SHAPE_LIST)
			read_element(l, section, child, n, array + n * s->size), n++;
	memcpy((char *)base + s->count, &n, sizeof(n));
}

/* A single value instead of the map: that of the key that matters most. */
static bool
read_single(struct loader *l, enum section_id section, const struct node *node,
    void *base)
{
	const struct schema_section *s = &schema_sections[section];

	if (!s->single || !node || node->kind != NODE_SCALAR || node->bad ||
	    node_is_null(node))
		return false;
	loader_fill(l, section, NULL, base);
	loader_read(l, schema_find(section, str_of(s->single)), node->text, base,
	    (struct origin){.place = node->place});
	return true;
}

static void
read_section(struct loader *l, enum section_id section, const struct node *node,
    void *base)
{
	const struct schema_section *s = &schema_sections[section];
	size_t length = l->path.len;

	strbuf_printf(&l->path, "%s.", s->key);
	if (s->shape != SHAPE_MAP) {
		read_elements(l, section, node, base);
	} else if (!read_single(l, section, node, (char *)base + s->offset)) {
		refuse_kind(l, node, NODE_MAP);
		loader_fill(l, section, is_of_kind(node, NODE_MAP) ? node : NULL,
		    (char *)base + s->offset);
	}
	l->path.len = length;
}

void
loader_fill(struct loader *l, enum section_id section, const struct node *map,
    void *base)
{
	const struct schema_row *row = NULL;
	enum section_id sub = SECTION_TOP;

	while ((row = schema_next(section, row)))
		read_row(l, row, map, node_get(map, row->key), base);
	while ((sub = schema_next_section(section, sub)) != SECTION_TOP)
		read_section(l, sub, node_get(map, schema_sections[sub].key), base);
	for (const struct node *child = map ? map->first : NULL; child;
	     child = child->next)
		if (!child->bad && !is_known(section, child->key))
			complain_unknown(l, section, child);
}
