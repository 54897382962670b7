/* SPDX-License-Identifier: MIT
 *
 * yaml.h - YAML text to a tree that knows where everything was written.
 *
 * The plain part of YAML only: no anchors and aliases, no tags, one document, no key
 * twice in a map. What is refused has a place. Pure but for memory; any thread.
 */
#ifndef ROOST_CONFIG_YAML_H
#define ROOST_CONFIG_YAML_H

#include "base/str.h"
#include "config/config.h"

struct arena;

enum {
	TREE_MAX_BYTES = 4 << 20,
	TREE_MAX_NODES = 1 << 18,
	TREE_MAX_DEPTH = 16 /* the deepest key that exists has five */
};

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	bool plain; /* a scalar without quotes */
	bool bad;   /* complained about already: to be passed over in silence */
	struct config_place place;
	struct str text; /* of a scalar; NUL-terminated */

	struct str key; /* the name it has in its map; NUL-terminated */
	struct config_place key_place;

	struct node *first, *next; /* children in the file's order */
	size_t n;                  /* how many */
};

/* Told about each problem, with a text of one line to be copied. */
typedef void tree_complain(void *arg, struct config_place place, const char *text);

/* The tree of `text`, in the arena's memory, or NULL: nothing in it, not YAML, or out
 * of memory. May return a tree and have complained. */
struct node *tree_parse(struct arena *arena, struct str text, tree_complain *complain,
    void *arg);

/* The child of that name, or NULL; NULL also for a NULL map. */
struct node *node_get(const struct node *map, const char *key);

/* Written as nothing, "~" or "null". */
bool node_is_null(const struct node *node);

#endif
