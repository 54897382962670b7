/* SPDX-License-Identifier: MIT
 *
 * schema.h - the table of all keys of roost.yaml(5): type, place in struct config,
 * default, range, help.
 *
 * Loading, dumping, comparing and the check of the documents all walk these rows, so
 * a key that is in the table is read, printed, compared and asked for in the manual.
 * To add a key: a field in config.h, a row in schema.c. Constant; any thread.
 */
#ifndef ROOST_CONFIG_SCHEMA_H
#define ROOST_CONFIG_SCHEMA_H

#include "base/str.h"
#include <stdint.h>
#include <stdio.h>

struct strbuf;

/* A section is a map of keys that fills one struct. */
enum section_id {
	SECTION_TOP,
	SECTION_LOG,
	SECTION_LOG_TOPICS,
	SECTION_ACCESS_LOG,
	SECTION_ADMIN,
	SECTION_PINS,
	SECTION_SHUTDOWN,
	SECTION_UPGRADE,
	SECTION_RESOLVER,
	SECTION_ERROR_PAGE,
	SECTION_LISTENER,
	SECTION_ROUTE,
	SECTION_REQUEST_HEADERS,
	SECTION_RESPONSE_HEADERS,
	SECTION_COMPRESS,
	SECTION_APP_HEARTBEAT,
	SECTION_UPSTREAM,
	SECTION_PIN,
	SECTION_REHOME,
	SECTION_REPLAY,
	SECTION_HEARTBEAT,
	SECTION_TIMEOUTS,
	SECTION_LIMITS,
	SECTION_CLIENT_LIMITS,
	SECTION_HEALTH,
	SECTION_OUTLIERS,
	SECTION_BACKEND,
	SECTION_COUNT
};

enum section_shape {
	SHAPE_MAP,  /* one, inside its parent's struct */
	SHAPE_LIST, /* many, in an array the parent points to */
	SHAPE_NAMED /* the same, but the key of each is its name */
};

#define NO_FIELD ((size_t)-1)

struct schema_section {
	enum section_id parent; /* that of SECTION_TOP is itself */
	const char *key;        /* in the parent */
	enum section_shape shape;
	size_t offset;     /* in the parent's struct: of this struct, or of the array */
	size_t count;      /* in the parent's struct: how many are in the array */
	size_t size;       /* of this struct */
	size_t place;      /* in this struct: its config_place, or NO_FIELD */
	size_t name;       /* of SHAPE_NAMED, in this struct: the name */
	const char *id[2]; /* of SHAPE_LIST: keys of what tells one from another */
	const char *more[3]; /* as well, but mentioned only beside their defaults */
	bool reloadable;     /* may elements come and go while roost runs? */
	const char
	    *single; /* of SHAPE_MAP: the key that a single value is of, or NULL */
};

enum value_type {
	VALUE_DURATION, /* 300ms, 5s, 5m, 1h; stored as milliseconds */
	VALUE_PERCENT,  /* 20% */
	VALUE_UNSIGNED,
	VALUE_SIZE, /* 512, 16k, 1m, 1g; stored as bytes */
	VALUE_MODE, /* "0660", octal */
	VALUE_BOOL, /* true, false */
	VALUE_ENUM, /* one of names */
	VALUE_STRING,
	/* lists; min and max are of the number of elements */
	VALUE_CLIENT_KEYS,
	VALUE_STRINGS, /* each as `good` says */
	VALUE_RANGES,  /* addresses, CIDR, and the word unix */
	VALUE_FLAGS,   /* some of names, whose values are bits */
	/* a map from names of headers to values */
	VALUE_HEADERS
};

struct value_name {
	const char *name; /* NULL ends a table */
	unsigned value;
};

struct schema_row {
	enum section_id section;
	const char *key;
	enum value_type type;
	size_t offset;        /* in the section's struct */
	size_t width;         /* of the field, for numbers */
	size_t count;         /* of lists: offset of the number of elements */
	size_t unix_too;      /* of ranges: offset of the bool for the word unix */
	size_t content;       /* of file names: offset of the struct str with what is in
				 the file, or 0 */
	const char *standard; /* the default as one would write it; NULL: none */
	bool required;
	bool secret;                    /* headers whose values are not for everybody */
	bool reloadable;                /* taken over by a running daemon */
	uint64_t min, max;              /* of numbers, as stored */
	const char *zero;               /* the word that stands for 0, or NULL */
	const struct value_name *names; /* of enums */
	bool (*good)(struct str text);  /* further demands on the text, or NULL */
	bool template;                  /* text with {names}, see form.h */
	bool (*good_name)(struct str name); /* of headers */
	const char *expected; /* for messages, where type and range do not say it all */
	const char *expected_name; /* of headers */
	/* Does it mean anything beside the other values? NULL: always. */
	bool (*applies)(const void *section);
	const char *belongs; /* where it does, for messages: "beside respond" */
	const char *unit;    /* of plain numbers, or NULL */
	const char *help;
};

extern const struct schema_section schema_sections[SECTION_COUNT];
extern const struct schema_row schema_rows[];
extern const size_t schema_n_rows;

/* The row, or NULL. */
const struct schema_row *schema_find(enum section_id section, struct str key);

/* Iterates over the rows of one section: NULL gives the first and comes at the end. */
const struct schema_row *schema_next(enum section_id section,
    const struct schema_row *previous);

/* Iterates over the sections inside one, starting with SECTION_TOP, which also comes at
 * the end. */
enum section_id schema_next_section(enum section_id parent, enum section_id previous);

/* The first element of the section's array (or the section itself) inside its parent's
 * struct; *n_r: how many. Writable as far as the parent is. */
char *schema_elements(enum section_id section, const void *parent, size_t *n_r);

/* The key in full, as the manual writes it: dots between names, [] after a list,
 * NAME where the administrator chooses the name: upstreams.NAME.backends[].weight */
void schema_path(const struct schema_row *row, struct strbuf *out);

/* All of them, one a line. */
void schema_print(FILE *out);

#endif
