/* SPDX-License-Identifier: MIT
 *
 * value.c - one value, between text and field, as its schema row says.
 */
#include "config/value.h"
#include "base/strbuf.h"
#include "base/template.h"
#include "config/arena.h"
#include "config/config.h"
#include "config/form.h"
#include "config/schema.h"
#include <inttypes.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* the largest first, so that printing finds the shortest form */
static const struct unit duration_units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000},
    {"ms", 1}, {NULL, 0}};

static const struct unit size_units[] = {{"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10},
    {"", 1}, {NULL, 0}};

static const struct unit percent_units[] = {{"%", 1}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *
units_of(enum value_type type)
{
	switch (type) {
	case VALUE_DURATION: return duration_units;
	case VALUE_SIZE: return size_units;
	case VALUE_PERCENT: return percent_units;
	default: return no_units;
	}
}

static uint64_t
field_get(const struct schema_row *row, const void *section)
{
	const char *field = (const char *)section + row->offset;
	uint64_t wide;
	unsigned narrow;
	bool yes;

	if (row->width == sizeof(wide))
		return memcpy(&wide, field, sizeof(wide)), wide;
	if (row->width == sizeof(narrow))
		return memcpy(&narrow, field, sizeof(narrow)), narrow;
	return memcpy(&yes, field, sizeof(yes)), yes;
}

static void
field_set(const struct schema_row *row, void *section, uint64_t value)
{
	char *field = (char *)section + row->offset;
	unsigned narrow = (unsigned)value;
	bool yes = value != 0;

	if (row->width == sizeof(value))
		memcpy(field, &value, sizeof(value));
	else if (row->width == sizeof(narrow))
		memcpy(field, &narrow, sizeof(narrow));
	else
		memcpy(field, &yes, sizeof(yes));
}

static const char *
field_string(const struct schema_row *row, const void *section)
{
	const char *text;

	memcpy(&text, (const char *)section + row->offset, sizeof(text));
	return text;
}

/* A zero and one to four digits, so that nobody takes it for a decimal number. */
static bool
read_mode(const struct schema_row *row, struct str text, uint64_t *value_r)
{
	*value_r = 0;
	if (text.n < 2 || text.n > 5 || text.p[0] != '0')
		return false;
	for (size_t i = 1; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '7')
			return false;
		*value_r = *value_r * 8 + (uint64_t)(text.p[i] - '0');
	}
	return *value_r <= row->max;
}

/* Cuts digits off the front. No leading zero: YAML 1.1 would read an octal number. */
static bool
cut_number(struct str *s, uint64_t *value_r)
{
	size_t digits = 0;

	*value_r = 0;
	for (; digits < s->n && s->p[digits] >= '0' && s->p[digits] <= '9'; digits++) {
		if (*value_r > (UINT64_MAX - 9) / 10)
			return false;
		*value_r = *value_r * 10 + (uint64_t)(s->p[digits] - '0');
	}
	if (digits == 0 || (digits > 1 && s->p[0] == '0'))
		return false;
	s->p += digits;
	s->n -= digits;
	return true;
}

static bool
read_number(const struct schema_row *row, struct str text, uint64_t *value_r)
{
	const struct unit *u = units_of(row->type);
	uint64_t number;

	if (row->zero && str_eq(text, str_of(row->zero)))
		return *value_r = 0, true;
	if (!cut_number(&text, &number) || (number == 0 && row->zero))
		return false;
	if (number == 0 && text.n == 0 && row->type == VALUE_DURATION)
		return *value_r = 0, row->min == 0;
	while (u->name && !str_eq(text, str_of(u->name)))
		u++;
	if (!u->name || number > UINT64_MAX / u->factor)
		return false;
	*value_r = number * u->factor;
	return *value_r >= row->min && *value_r <= row->max;
}

static bool
read_name(const struct value_name *names, struct str text, uint64_t *value_r)
{
	for (; names->name; names++) {
		if (str_eq(text, str_of(names->name)))
			return *value_r = names->value, true;
	}
	return false;
}

static void
read_string(const struct schema_row *row, struct str text, void *section,
    struct arena *arena)
{
	char *copy = arena_copy(arena, text);

	memcpy((char *)section + row->offset, &copy, sizeof(copy));
}

bool
value_read(const struct schema_row *row, struct str text, void *section,
    struct arena *arena)
{
	static const struct value_name bools[] = {{"true", 1}, {"false", 0}, {NULL, 0}};
	uint64_t value = 0;
	bool good = true;

	if (value_is_many(row))
		return value_read_many_text(row, text, section, arena);
	if (row->type == VALUE_ENUM || row->type == VALUE_BOOL)
		good = read_name(row->names ? row->names : bools, text, &value);
	else if (row->type == VALUE_MODE)
		good = read_mode(row, text, &value);
	else if (row->type != VALUE_STRING)
		good = read_number(row, text, &value);
	if (!good || !value_is_good_text(row, text))
		return false;
	if (row->type == VALUE_STRING)
		read_string(row, text, section, arena);
	else
		field_set(row, section, value);
	return true;
}

bool
value_is_good_text(const struct schema_row *row, struct str text)
{
	struct str bad;

	return (!row->good || row->good(text)) &&
	       (!row->template || template_check(text, &bad));
}

/* A number whose range does not begin at 0 has no value while it is 0. */
bool
value_is_set(const struct schema_row *row, const void *section)
{
	if (row->type == VALUE_STRING)
		return field_string(row, section) != NULL;
	return value_is_many(row) || row->min == 0 || field_get(row, section) != 0;
}

static void
print_number(const struct schema_row *row, uint64_t value, struct strbuf *out)
{
	const struct unit *u = units_of(row->type);

	if (value == 0 && row->zero) {
		strbuf_puts(out, row->zero);
		return;
	}
	if (value == 0 && row->type != VALUE_PERCENT)
		u = no_units;
	while (value % u->factor != 0)
		u++;
	strbuf_u64(out, value / u->factor);
	strbuf_puts(out, u->name);
}

static void
print_name(const struct value_name *names, uint64_t value, struct strbuf *out)
{
	while (names->name && names->value != value)
		names++;
	strbuf_puts(out, names->name ? names->name : "?");
}

void
value_print(const struct schema_row *row, const void *section, bool quoted,
    struct strbuf *out)
{
	if (!value_is_set(row, section)) {
		strbuf_puts(out, "none");
	} else if (value_is_many(row)) {
		value_print_many(row, section, quoted, out);
	} else if (row->type == VALUE_STRING) {
		value_print_text(str_of(field_string(row, section)), quoted, out);
	} else if (row->type == VALUE_ENUM) {
		print_name(row->names, field_get(row, section), out);
	} else if (row->type == VALUE_BOOL) {
		strbuf_puts(out, field_get(row, section) ? "true" : "false");
	} else if (row->type == VALUE_MODE) {
		strbuf_printf(out, quoted ? "\"%04o\"" : "%04o",
		    (unsigned)field_get(row, section));
	} else {
		print_number(row, field_get(row, section), out);
	}
}

void
value_print_public(const struct schema_row *row, const void *section, bool quoted,
    struct strbuf *out)
{
	if (row->secret && value_is_set(row, section))
		value_print_names(row, section, quoted, out);
	else
		value_print(row, section, quoted, out);
}

static void
print_byte(char c, bool quoted, struct strbuf *out)
{
	if (c == '\n')
		strbuf_lit(out, "\\n");
	else if (c == '\t')
		strbuf_lit(out, "\\t");
	else if (quoted && (c == '"' || c == '\\'))
		strbuf_printf(out, "\\%c", c);
	else
		strbuf_append(out, &c, 1);
}

/* The rest may stand as it is: libyaml refused what is not UTF-8, form_is_text what
 * YAML would take for a line break or not take at all. */
void
value_print_text(struct str text, bool quoted, struct strbuf *out)
{
	if (quoted)
		strbuf_lit(out, "\"");
	for (size_t i = 0; i < text.n; i++)
		print_byte(text.p[i], quoted, out);
	if (quoted)
		strbuf_lit(out, "\"");
}

static void
expect_name(const struct value_name *names, struct strbuf *out)
{
	for (size_t i = 0; names[i].name; i++) {
		if (i)
			strbuf_puts(out, names[i + 1].name ? ", " : " or ");
		strbuf_puts(out, names[i].name);
	}
}

static void
expect_number(const struct schema_row *row, struct strbuf *out)
{
	static const char *const kinds[] = {[VALUE_DURATION] =
						"a duration (ms, s, m, h)",
	    [VALUE_PERCENT] = "a percentage",
	    [VALUE_UNSIGNED] = "a number",
	    [VALUE_SIZE] = "a size (k, m, g)"};
	uint64_t min = row->zero && row->min == 0 ? 1 : row->min;
	struct schema_row plain = *row;

	plain.zero = NULL;
	strbuf_puts(out, kinds[row->type]);
	strbuf_lit(out, " from ");
	print_number(&plain, min, out);
	strbuf_lit(out, " to ");
	print_number(&plain, row->max, out);
	if (row->zero)
		strbuf_printf(out, ", or %s", row->zero);
}

void
value_expect(const struct schema_row *row, struct strbuf *out)
{
	if (row->expected)
		strbuf_puts(out, row->expected);
	else if (row->type == VALUE_ENUM)
		expect_name(row->names, out);
	else if (row->type == VALUE_BOOL)
		strbuf_puts(out, "true or false");
	else if (row->type == VALUE_MODE)
		strbuf_printf(out, "an octal mode from \"0000\" to \"%04o\"",
		    (unsigned)row->max);
	else if (row->type == VALUE_STRING)
		strbuf_puts(out, "text");
	else
		expect_number(row, out);
}
