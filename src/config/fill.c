/* SPDX-License-Identifier: MIT
 *
 * fill.c - from the tree of a file to the structs, row by row of the schema.
 *
 * Nothing here knows a single key: what is in the table is read, anything else is
 * unknown. A bad value leaves its field empty and reading goes on, so that one run
 * finds all problems.
 */
#include "config/arena.h"
#include "config/load_private.h"
#include "config/nearest.h"
#include "config/value.h"
#include "config/yaml.h"

void
loader_read(struct loader *l, const struct schema_row *row, struct str text, void *base,
    struct origin at)
{
	struct strbuf expected = STRBUF_INIT;
	char shown[SHOWN];

	loader_remember(l, (char *)base + row->offset, at);
	if (value_read(row, text, base, l->keep))
		return;
	value_expect(row, &expected);
	if (at.flag)
		loader_complain(l, at, "bad value \"%s\", expected %s",
		    text_show(text, shown), strbuf_cstr(&expected));
	else
		loader_complain(l, at, "%s%s: bad value \"%s\", expected %s",
		    strbuf_cstr(&l->path), row->key, text_show(text, shown),
		    strbuf_cstr(&expected));
	strbuf_fini(&expected);
}

/* A value is missing or of the wrong kind; what: how it is described. */
static void
complain_value(struct loader *l, const struct schema_row *row,
    struct config_place place, const char *what)
{
	struct strbuf expected = STRBUF_INIT;

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
read_list(struct loader *l, const struct schema_row *row, const struct node *node,
    void *base)
{
	struct str *elements;
	const struct node **nodes;
	size_t n = 0, bad;
	char shown[SHOWN], what[SHOWN + 16];

	elements = arena_alloc(l->temp, node->n, sizeof(*elements));
	nodes = arena_alloc(l->temp, node->n, sizeof(*nodes));
	if (!elements || !nodes)
		return;
	for (const struct node *child = node->first; child; child = child->next) {
		if (child->bad || child->kind != NODE_SCALAR) {
			if (!child->bad)
				complain_value(l, row, child->place, kind_of(child));
			return;
		}
		nodes[n] = child;
		elements[n++] = child->text;
	}
	if (value_read_list(row, elements, n, base, l->keep, &bad))
		return;
	snprintf(what, sizeof(what), "bad value \"%s\"",
	    text_show(n ? elements[bad] : STR("[]"), shown));
	complain_value(l, row, n ? nodes[bad]->place : node->place, what);
}

static void
read_row(struct loader *l, const struct schema_row *row, const struct node *map,
    const struct node *node, void *base)
{
	if (node && node->bad)
		return;
	if (!node && row->required && map)
		complain_value(l, row, map->place, "missing");
	if (!node && row->standard &&
	    !value_read(row, str_of(row->standard), base, l->keep))
		assert(arena_has_failed(l->keep));
	if (!node)
		return;
	if (row->type == VALUE_CLIENT_KEYS && node->kind == NODE_LIST)
		read_list(l, row, node, base);
	else if (row->type == VALUE_CLIENT_KEYS || node->kind != NODE_SCALAR ||
		 node_is_null(node))
		complain_value(l, row, node->place, kind_of(node));
	else
		loader_read(l, row, node->text, base,
		    (struct origin){.place = node->place});
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

	memcpy(element + s->id[0], &name, sizeof(name));
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

static void
read_section(struct loader *l, enum section_id section, const struct node *node,
    void *base)
{
	const struct schema_section *s = &schema_sections[section];
	size_t length = l->path.len;

	strbuf_printf(&l->path, "%s.", s->key);
	if (s->shape != SHAPE_MAP) {
		read_elements(l, section, node, base);
	} else {
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
