/* SPDX-License-Identifier: MIT
 *
 * value.h - one value, between text and field, as its schema row says.
 */
#ifndef ROOST_CONFIG_VALUE_H
#define ROOST_CONFIG_VALUE_H

#include "base/str.h"

struct arena;
struct schema_row;
struct strbuf;

/* Reads text into the row's field of the section's struct. False: not such a value,
 * nothing written. Strings are copied to the arena; its failure is the caller's to see.
 * Lists and maps are written as in a default: [a, b], {}. */
bool value_read(const struct schema_row *row, struct str text, void *section,
    struct arena *arena);

/* Is a value a list or a map of elements? */
bool value_is_many(const struct schema_row *row);

/* One element as it was written; lists have no names. */
struct element {
	struct str name, text;
};

/* What is wrong with some elements. */
struct element_fault {
	size_t number; /* of the first that is bad */
	enum {
		FAULT_VALUE,
		FAULT_NAME,  /* bad in itself */
		FAULT_AGAIN, /* there already, when case does not count */
		FAULT_COUNT  /* too few or too many of them */
	} what;
};

/* The same as value_read for the elements of a list or map. */
bool value_read_many(const struct schema_row *row, const struct element *elements,
    size_t n, void *section, struct arena *arena, struct element_fault *fault_r);

/* value_read for those. */
bool value_read_many_text(const struct schema_row *row, struct str text, void *section,
    struct arena *arena);

/* Is the text, of the value or one element, what `good` and `template` ask for? */
bool value_is_good_text(const struct schema_row *row, struct str text);

/* False: the field holds nothing (a string or number without default). */
bool value_is_set(const struct schema_row *row, const void *section);

/* Appends the value in its shortest form, on one line, or "none"; quoted: as YAML that
 * reads back equal. */
void value_print(const struct schema_row *row, const void *section, bool quoted,
    struct strbuf *out);

/* The same for everybody to see: of headers that are secret only the names. */
void value_print_public(const struct schema_row *row, const void *section, bool quoted,
    struct strbuf *out);

/* value_print for a list or map; for a map, without what is in it. */
void value_print_many(const struct schema_row *row, const void *section, bool quoted,
    struct strbuf *out);
void value_print_names(const struct schema_row *row, const void *section, bool quoted,
    struct strbuf *out);

/* Appends text on one line; quoted: as a YAML string in double quotes. */
void value_print_text(struct str text, bool quoted, struct strbuf *out);

/* Appends what a good value is, to follow "expected". */
void value_expect(const struct schema_row *row, struct strbuf *out);

#endif
