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
 * Lists are written as in a default: [a, b]. */
bool value_read(const struct schema_row *row, struct str text, void *section,
    struct arena *arena);

/* The same for the elements of a list; *bad_r: the first that was wrong. */
bool value_read_list(const struct schema_row *row, const struct str *elements, size_t n,
    void *section, struct arena *arena, size_t *bad_r);

/* False: the field holds nothing (a string without default). */
bool value_is_set(const struct schema_row *row, const void *section);

/* Appends the value in its shortest form; quoted: as YAML that reads back equal. */
void value_print(const struct schema_row *row, const void *section, bool quoted,
    struct strbuf *out);

/* Appends text as a YAML string in double quotes. */
void value_quote(struct str text, struct strbuf *out);

/* Appends what a good value is, to follow "expected". */
void value_expect(const struct schema_row *row, struct strbuf *out);

#endif
