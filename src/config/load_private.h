/* SPDX-License-Identifier: MIT
 *
 * load_private.h - what load.c, fill.c, flags.c, check.c, routes.c and pages.c share
 * while a configuration is being made. Included by them alone.
 */
#ifndef ROOST_CONFIG_LOAD_PRIVATE_H
#define ROOST_CONFIG_LOAD_PRIVATE_H

#include "base/object.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/schema.h"

struct arena;
struct config_flags;
struct node;

/* Where a value came from: a place in the file, a flag, or neither (a default). */
struct origin {
	const void *field; /* in the configuration */
	struct config_place place;
	const char *flag; /* "-L", or NULL */
};

struct problem {
	struct origin at;
	size_t number; /* keeps the order of those at one place */
	const char *text;
};

/* Owner and thread: the call of config_load. */
struct loader {
	const char *name; /* stands in messages */
	bool has_file;
	struct config *config;
	struct arena *keep;     /* memory of the configuration */
	struct arena *temp;     /* memory of the tree and of what is below */
	struct origin *origins; /* sorted by field once all values are read */
	size_t n_origins, max_origins;
	struct problem *problems;
	size_t n_problems, max_problems;
	struct strbuf path; /* of the section being read, as "upstreams.chat." */
};

void loader_complain(struct loader *l, struct origin at, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Notes where a field was given. */
void loader_remember(struct loader *l, const void *field, struct origin at);

/* Fills a section's struct, its defaults and its subsections from a map; NULL: defaults
 * alone. */
void loader_fill(struct loader *l, enum section_id section, const struct node *map,
    void *base);

/* Reads one value into a section's struct, remembers where from, complains if it is
 * bad. */
void loader_read(struct loader *l, const struct schema_row *row, struct str text,
    void *base, struct origin at);

/* Where it was given, well or badly; all zero for a default. Works once all values are
 * read. */
struct origin loader_origin(const struct loader *l, const void *field);

/* A text for a message: clipped, and without what would spoil a line. */
enum { SHOWN = 64 };
const char *text_show(struct str text, char buf[SHOWN]);

/* flags.c: what the command line says over the file. */
void loader_apply_flags(struct loader *l, const struct config_flags *flags);

/* flags.c: one route for everything to that upstream. */
void loader_add_route(struct loader *l, const struct config_upstream *upstream);

/* check.c: looks across the values and completes what follows from others. */
void loader_check(struct loader *l);

/* Was it in the file or a flag, if only to be refused? */
bool loader_is_given(const struct loader *l, const void *field);

/* Where to complain about something that is nowhere. */
struct origin loader_lack(const struct loader *l, const char *flag);

/* A key that must differ from its neighbours' keys. */
struct item {
	const char *key;
	struct origin at;
	size_t number; /* as the file has them, from 0 */
};

/* Complains about those that are not the first of their key; sorts them. */
void loader_check_doubles(struct loader *l, const char *what, struct item *items,
    size_t n);

/* Complains about values that mean nothing beside the others, as their rows say;
 * `path` of the element, as "routes[1]". */
void loader_check_belongs(struct loader *l, enum section_id section,
    const void *element, const char *path);

/* routes.c, pages.c: the same for those sections. */
void loader_check_routes(struct loader *l);
void loader_check_error_pages(struct loader *l);

#endif
