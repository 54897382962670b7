/* SPDX-License-Identifier: MIT
 *
 * lists.c - values of several elements, between text and fields: lists and maps.
 *
 * Elements of all types go one way: read into a new array, and put into the struct
 * when all of them were good. Two are not quite arrays: flags are bits of one number,
 * and the word unix among address ranges is a bool beside them.
 */
#include "base/addr.h"
#include "base/strbuf.h"
#include "config/arena.h"
#include "config/config.h"
#include "config/form.h"
#include "config/schema.h"
#include "config/value.h"

enum { MAX_IN_DEFAULT = 16 };

/* How one element is read into its struct in an array, and printed. */
struct list_type {
	size_t size;
	bool (*read)(const struct schema_row *row, const struct element *from, void *to,
	    struct arena *arena);
	void (*print)(const void *element, bool quoted, struct strbuf *out);
};

static bool
read_client_key(const struct schema_row *row, const struct element *from, void *to,
    struct arena *arena)
{
	static const struct {
		struct str prefix;
		enum client_key_kind kind;
	} kinds[] = {{{"cookie:", 7}, KEY_COOKIE}, {{"header:", 7}, KEY_HEADER},
	    {{"query:", 6}, KEY_QUERY}};
	struct config_client_key *key = to;
	struct str text = from->text;

	(void)row;
	if (!form_is_client_key(text))
		return false;
	key->kind = KEY_ADDRESS;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t n = kinds[i].prefix.n;

		if (text.n < n || memcmp(text.p, kinds[i].prefix.p, n) != 0)
			continue;
		key->kind = kinds[i].kind;
		key->name = arena_copy(arena, (struct str){text.p + n, text.n - n});
	}
	return true;
}

static void
print_client_key(const void *element, bool quoted, struct strbuf *out)
{
	static const char *const prefixes[] = {[KEY_COOKIE] = "cookie:",
	    [KEY_HEADER] = "header:",
	    [KEY_QUERY] = "query:",
	    [KEY_ADDRESS] = "address"};
	const struct config_client_key *key = element;

	strbuf_puts(out, quoted ? "\"" : "");
	strbuf_puts(out, prefixes[key->kind]);
	strbuf_puts(out, key->name ? key->name : "");
	strbuf_puts(out, quoted ? "\"" : "");
}

static bool
read_string(const struct schema_row *row, const struct element *from, void *to,
    struct arena *arena)
{
	char **string = to;

	if (!value_is_good_text(row, from->text))
		return false;
	*string = arena_copy(arena, from->text);
	return true;
}

static void
print_string(const void *element, bool quoted, struct strbuf *out)
{
	char *const *string = element;

	value_print_text(str_of(*string), quoted, out);
}

/* The word unix becomes a range of family AF_UNIX, which take_unix takes out again. */
static bool
read_range(const struct schema_row *row, const struct element *from, void *to,
    struct arena *arena)
{
	struct addr_range *range = to;

	(void)row, (void)arena;
	if (!str_eq(from->text, STR("unix")))
		return addr_range_parse(from->text, range);
	range->addr.sa.sa_family = AF_UNIX;
	return true;
}

static void
print_range(const void *element, bool quoted, struct strbuf *out)
{
	const struct addr_range *range = element;
	char text[ADDR_TEXT];

	addr_print(&range->addr, false, text);
	strbuf_printf(out, quoted ? "\"%s/%u\"" : "%s/%u", text, range->bits);
}

/* "*" stands for any value where values are no templates: in conditions. */
static bool
read_header(const struct schema_row *row, const struct element *from, void *to,
    struct arena *arena)
{
	struct config_header *header = to;

	if (!value_is_good_text(row, from->text))
		return false;
	header->name = arena_copy(arena, from->name);
	if (row->template || !str_eq(from->text, STR("*")))
		header->value = arena_copy(arena, from->text);
	return true;
}

static void
print_header(const void *element, bool quoted, struct strbuf *out)
{
	const struct config_header *header = element;

	value_print_text(str_of(header->name), quoted, out);
	strbuf_lit(out, ": ");
	value_print_text(header->value ? str_of(header->value) : STR("*"), quoted, out);
}

static const struct list_type types[] = {
    [VALUE_CLIENT_KEYS] = {sizeof(struct config_client_key), read_client_key,
	print_client_key},
    [VALUE_STRINGS] = {sizeof(char *), read_string, print_string},
    [VALUE_RANGES] = {sizeof(struct addr_range), read_range, print_range},
    [VALUE_HEADERS] = {sizeof(struct config_header), read_header, print_header},
};

bool
value_is_many(const struct schema_row *row)
{
	return row->type >= VALUE_CLIENT_KEYS;
}

static bool
read_flags(const struct schema_row *row, const struct element *elements, size_t n,
    void *section, struct element_fault *fault_r)
{
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++) {
		const struct value_name *name = row->names;

		while (name->name && !str_eq(elements[i].text, str_of(name->name)))
			name++;
		fault_r->number = i;
		if (!name->name)
			return false;
		bits |= name->value;
	}
	memcpy((char *)section + row->offset, &bits, sizeof(bits));
	return true;
}

/* Names of a map: each good, and none twice. */
static bool
are_good_names(const struct schema_row *row, const struct element *elements, size_t n,
    struct element_fault *fault_r)
{
	for (size_t i = 0; i < n; i++) {
		fault_r->number = i;
		fault_r->what = FAULT_NAME;
		if (!row->good_name(elements[i].name))
			return false;
		fault_r->what = FAULT_AGAIN;
		for (size_t j = 0; j < i; j++)
			if (str_ieq(elements[i].name, elements[j].name))
				return false;
	}
	fault_r->what = FAULT_VALUE;
	return true;
}

/* How many are left without the word unix, which goes into its bool. */
static size_t
take_unix(const struct schema_row *row, struct addr_range *ranges, size_t n,
    void *section)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		if (ranges[i].addr.sa.sa_family != AF_UNIX)
			ranges[left++] = ranges[i];
	*((bool *)section + row->unix_too) = left < n;
	return left;
}

static bool
read_array(const struct schema_row *row, const struct element *elements, size_t n,
    void *section, struct arena *arena, struct element_fault *fault_r)
{
	const struct list_type *type = &types[row->type];
	char *array = arena_alloc(arena, n, type->size);

	for (size_t i = 0; array && i < n; i++) {
		fault_r->number = i;
		if (!type->read(row, &elements[i], array + i * type->size, arena))
			return false;
	}
	if (!array)
		n = 0;
	if (row->type == VALUE_RANGES)
		n = take_unix(row, (struct addr_range *)(void *)array, n, section);
	memcpy((char *)section + row->offset, &array, sizeof(array));
	memcpy((char *)section + row->count, &n, sizeof(n));
	return true;
}

bool
value_read_many(const struct schema_row *row, const struct element *elements, size_t n,
    void *section, struct arena *arena, struct element_fault *fault_r)
{
	*fault_r = (struct element_fault){0, FAULT_COUNT};
	if (n < row->min || n > row->max)
		return false;
	fault_r->what = FAULT_VALUE;
	if (row->type == VALUE_FLAGS)
		return read_flags(row, elements, n, section, fault_r);
	if (row->type == VALUE_HEADERS && !are_good_names(row, elements, n, fault_r))
		return false;
	return read_array(row, elements, n, section, arena, fault_r);
}

bool
value_read_many_text(const struct schema_row *row, struct str text, void *section,
    struct arena *arena)
{
	bool map = row->type == VALUE_HEADERS;
	struct element elements[MAX_IN_DEFAULT] = {0};
	struct element_fault fault;
	struct str rest;
	size_t n = 0;

	if (text.n < 2 || text.p[0] != (map ? '{' : '[') ||
	    text.p[text.n - 1] != (map ? '}' : ']'))
		return false;
	rest = (struct str){text.p + 1, text.n - 2};
	while (!map && n < MAX_IN_DEFAULT && str_next_element(&rest, &elements[n].text))
		n++;
	return rest.n == 0 && value_read_many(row, elements, n, section, arena, &fault);
}

static void
print_separated(const char *text, bool quoted, bool first, struct strbuf *out)
{
	strbuf_puts(out, first ? "" : ", ");
	value_print_text(str_of(text), quoted, out);
}

static void
print_flags(const struct schema_row *row, const void *section, bool quoted,
    struct strbuf *out)
{
	unsigned bits, seen = 0;

	memcpy(&bits, (const char *)section + row->offset, sizeof(bits));
	for (const struct value_name *name = row->names; name->name; name++) {
		if (!(bits & name->value))
			continue;
		print_separated(name->name, quoted, seen == 0, out);
		seen |= name->value;
	}
}

static void
print_array(const struct schema_row *row, const void *section, bool quoted,
    struct strbuf *out)
{
	const struct list_type *type = &types[row->type];
	const char *array;
	size_t n;

	memcpy(&array, (const char *)section + row->offset, sizeof(array));
	memcpy(&n, (const char *)section + row->count, sizeof(n));
	for (size_t i = 0; i < n; i++) {
		strbuf_puts(out, i ? ", " : "");
		type->print(array + i * type->size, quoted, out);
	}
	if (row->type == VALUE_RANGES && *((const bool *)section + row->unix_too))
		print_separated("unix", quoted, n == 0, out);
}

void
value_print_names(const struct schema_row *row, const void *section, bool quoted,
    struct strbuf *out)
{
	const struct config_header *headers;
	size_t n;

	memcpy(&headers, (const char *)section + row->offset, sizeof(headers));
	memcpy(&n, (const char *)section + row->count, sizeof(n));
	strbuf_lit(out, "{");
	for (size_t i = 0; i < n; i++) {
		print_separated(headers[i].name, quoted, i == 0, out);
		strbuf_lit(out, ": ");
		value_print_text(STR("(hidden)"), quoted, out);
	}
	strbuf_lit(out, "}");
}

void
value_print_many(const struct schema_row *row, const void *section, bool quoted,
    struct strbuf *out)
{
	bool map = row->type == VALUE_HEADERS;

	strbuf_puts(out, map ? "{" : "[");
	if (row->type == VALUE_FLAGS)
		print_flags(row, section, quoted, out);
	else
		print_array(row, section, quoted, out);
	strbuf_puts(out, map ? "}" : "]");
}
