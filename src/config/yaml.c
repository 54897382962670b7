/* SPDX-License-Identifier: MIT
 *
 * yaml.c - YAML text to a tree that knows where everything was written.
 *
 * libyaml's events and not its documents: its document loader resolves aliases, which
 * lets ten lines unfold into gigabytes, and keeps the first of two equal keys without a
 * word. The recursion below is bounded by TREE_MAX_DEPTH.
 */
#include "config/yaml.h"
#include "config/arena.h"
#include "config/syntax.h"
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; owned until the next is read */
	struct arena *arena;
	struct str text;
	tree_complain *complain;
	void *arg;
	size_t n_nodes;
};

static struct config_place
place_of_mark(yaml_mark_t mark)
{
	return (
	    struct config_place){(unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

static void
reader_complain(struct reader *r, struct config_place place, const char *text)
{
	r->complain(r->arg, place, text);
}

/* The byte decoder reports an offset where the other stages report a mark. */
static struct config_place
place_of_offset(struct str text, size_t offset)
{
	struct config_place place = {1, 1};

	for (size_t i = 0; i < offset && i < text.n; i++) {
		place.column++;
		if (text.p[i] == '\n')
			place = (struct config_place){place.line + 1, 1};
	}
	return place;
}

/* libyaml says of a tab only that it cannot start a token. */
static bool
is_tab(struct str text, struct config_place place)
{
	for (size_t i = 0; i < text.n; i++) {
		if (place.line == 1 && --place.column == 0)
			return text.p[i] == '\t';
		if (text.p[i] == '\n')
			place.line--;
	}
	return false;
}

static void
complain_syntax(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	struct config_place place = place_of_mark(p->problem_mark);
	char text[256];

	if (p->error == YAML_MEMORY_ERROR) {
		reader_complain(r, place, "out of memory");
		return;
	}
	if (p->error == YAML_READER_ERROR)
		place = place_of_offset(r->text, p->problem_offset);
	if (p->error == YAML_SCANNER_ERROR && is_tab(r->text, place)) {
		reader_complain(r, place,
		    "not valid YAML (a tab), expected blanks to indent with");
		return;
	}
	place = syntax_explain(&(struct syntax_error){.problem = p->problem,
				   .context = p->context,
				   .place = place,
				   .context_place = place_of_mark(p->context_mark)},
	    text, sizeof(text));
	reader_complain(r, place, text);
}

static bool
reader_next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (yaml_parser_parse(&r->parser, &r->event))
		return true;
	complain_syntax(r);
	return false;
}

static struct node *
node_new(struct reader *r, enum node_kind kind)
{
	struct node *node;

	if (r->n_nodes++ == TREE_MAX_NODES) {
		reader_complain(r, place_of_mark(r->event.start_mark),
		    "too many values, expected at most 262144");
		return NULL;
	}
	node = arena_alloc(r->arena, 1, sizeof(*node));
	if (!node)
		return NULL;
	node->kind = kind;
	node->place = place_of_mark(r->event.start_mark);
	return node;
}

static void
refuse_decoration(struct reader *r, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct config_place place = place_of_mark(r->event.start_mark);

	if (anchor)
		reader_complain(r, place,
		    "anchors (&) are not supported, expected a value");
	if (tag)
		reader_complain(r, place,
		    "tags (!) are not supported, expected a value");
}

static struct node *
read_scalar(struct reader *r)
{
	const yaml_event_t *e = &r->event;
	struct str text = {(const char *)e->data.scalar.value, e->data.scalar.length};
	struct node *node = node_new(r, NODE_SCALAR);

	if (!node)
		return NULL;
	refuse_decoration(r, e->data.scalar.anchor, e->data.scalar.tag);
	node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->text.p = arena_copy(r->arena, text);
	node->text.n = text.n;
	return node->text.p ? node : NULL;
}

static struct node *
read_alias(struct reader *r)
{
	struct node *node = node_new(r, NODE_SCALAR);

	if (!node)
		return NULL;
	node->bad = true;
	node->text = STR("");
	reader_complain(r, node->place,
	    "aliases (*) are not supported, expected the value itself");
	return node;
}

static struct node *read_node(struct reader *r, unsigned depth);

static struct node *
read_list(struct reader *r, unsigned depth)
{
	struct node *list = node_new(r, NODE_LIST), **tail;

	if (!list)
		return NULL;
	refuse_decoration(r, r->event.data.sequence_start.anchor,
	    r->event.data.sequence_start.tag);
	for (tail = &list->first;; tail = &(*tail)->next, list->n++) {
		if (!reader_next(r))
			return NULL;
		if (r->event.type == YAML_SEQUENCE_END_EVENT)
			return list;
		*tail = read_node(r, depth + 1);
		if (!*tail)
			return NULL;
	}
}

static int
compare_keys(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
	size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
	int order = memcmp(x->key.p, y->key.p, n);

	if (order == 0)
		order = (x->key.n > y->key.n) - (x->key.n < y->key.n);
	if (order == 0)
		order = (x->key_place.line > y->key_place.line) -
			(x->key_place.line < y->key_place.line);
	if (order == 0)
		order = (x->key_place.column > y->key_place.column) -
			(x->key_place.column < y->key_place.column);
	return order;
}

static void
refuse_double(struct reader *r, struct node *first, struct node *again)
{
	char text[160];

	again->bad = true;
	again->key = STR(""); /* so that nobody finds it */
	snprintf(text, sizeof(text),
	    "the same key again (first in line %u, column %u), expected it once",
	    first->key_place.line, first->key_place.column);
	reader_complain(r, again->key_place, text);
}

/* Sorted, because a hostile map of 100,000 keys would take minutes pair by pair. */
static bool
check_doubles(struct reader *r, struct node *map)
{
	struct node **sorted, *first;
	size_t n = 0;

	if (map->n < 2)
		return true;
	sorted = arena_alloc(r->arena, map->n, sizeof(*sorted));
	if (!sorted)
		return false;
	for (struct node *child = map->first; child; child = child->next)
		sorted[n++] = child;
	qsort(sorted, n, sizeof(*sorted), compare_keys);
	first = sorted[0];
	for (size_t i = 1; i < n; i++) {
		if (str_eq(first->key, sorted[i]->key))
			refuse_double(r, first, sorted[i]);
		else
			first = sorted[i];
	}
	return true;
}

/* The value of a map's entry whose key was just read; its key is filled in. */
static struct node *
read_entry(struct reader *r, const struct node *key, unsigned depth)
{
	struct node *value;

	if (!reader_next(r))
		return NULL;
	value = read_node(r, depth);
	if (!value)
		return NULL;
	value->key = key->kind == NODE_SCALAR ? key->text : STR("");
	value->key_place = key->place;
	if (key->kind != NODE_SCALAR)
		reader_complain(r, key->place,
		    "a list or map as a key, expected a word");
	if (key->kind != NODE_SCALAR || key->bad)
		value->bad = true;
	return value;
}

static struct node *
read_map(struct reader *r, unsigned depth)
{
	struct node *map = node_new(r, NODE_MAP), **tail, *key;

	if (!map)
		return NULL;
	refuse_decoration(r, r->event.data.mapping_start.anchor,
	    r->event.data.mapping_start.tag);
	for (tail = &map->first;; tail = &(*tail)->next, map->n++) {
		if (!reader_next(r))
			return NULL;
		if (r->event.type == YAML_MAPPING_END_EVENT)
			return check_doubles(r, map) ? map : NULL;
		key = read_node(r, depth + 1);
		*tail = key ? read_entry(r, key, depth + 1) : NULL;
		if (!*tail)
			return NULL;
	}
}

/* The node that the current event begins. NULL ends everything. */
static struct node *
read_node(struct reader *r, unsigned depth)
{
	if (depth > TREE_MAX_DEPTH) {
		reader_complain(r, place_of_mark(r->event.start_mark),
		    "nested too deeply, expected at most 16 levels");
		return NULL;
	}
	switch (r->event.type) {
	case YAML_SCALAR_EVENT: return read_scalar(r);
	case YAML_ALIAS_EVENT: return read_alias(r);
	case YAML_SEQUENCE_START_EVENT: return read_list(r, depth);
	case YAML_MAPPING_START_EVENT: return read_map(r, depth);
	default: return NULL;
	}
}

/* stream start, document start, the document, document end, stream end */
static struct node *
read_stream(struct reader *r)
{
	struct node *root;

	if (!reader_next(r) || !reader_next(r) ||
	    r->event.type != YAML_DOCUMENT_START_EVENT || !reader_next(r))
		return NULL;
	root = read_node(r, 0);
	if (!root || !reader_next(r) || !reader_next(r))
		return NULL;
	if (r->event.type == YAML_DOCUMENT_START_EVENT)
		reader_complain(r, place_of_mark(r->event.start_mark),
		    "a second document begins, expected one only");
	return root;
}

struct node *
tree_parse(struct arena *arena, struct str text, tree_complain *complain, void *arg)
{
	struct reader r = {.arena = arena,
	    .text = text,
	    .complain = complain,
	    .arg = arg};
	struct config_place top = {1, 1};
	struct node *root;

	if (text.n > TREE_MAX_BYTES) {
		complain(arg, top, "too large, expected at most 4 MiB");
		return NULL;
	}
	if (!yaml_parser_initialize(&r.parser)) {
		complain(arg, top, "out of memory");
		return NULL;
	}
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
	root = read_stream(&r);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	return root;
}

struct node *
node_get(const struct node *map, const char *key)
{
	if (!map)
		return NULL;
	for (struct node *child = map->first; child; child = child->next)
		if (str_eq(child->key, str_of(key)))
			return child;
	return NULL;
}

bool
node_is_null(const struct node *node)
{
	return node->kind == NODE_SCALAR && node->plain && !node->bad &&
	       (node->text.n == 0 || str_eq(node->text, STR("~")) ||
		   str_eq(node->text, STR("null")));
}
