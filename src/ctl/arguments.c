/* SPDX-License-Identifier: MIT
 *
 * arguments.c - what was typed; see arguments.h.
 */
#include "ctl/arguments.h"

#include "base/strbuf.h"
#include <errno.h>
#include <stdlib.h>

const struct flag_row flag_rows[FLAG_COUNT] = {
#define FLAG(symbol, letter, name, argument, help) \
	[FLAG_##symbol] = {letter, name, argument, help},
#include "ctl/flags.def"
#undef FLAG
};

enum flag
flag_named(const char *name, size_t n)
{
	for (int i = 0; i < FLAG_COUNT; i++)
		if (strlen(flag_rows[i].name) == n &&
		    memcmp(flag_rows[i].name, name, n) == 0)
			return (enum flag)i;
	return FLAG_COUNT;
}

static enum flag
flag_lettered(char letter)
{
	for (int i = 0; i < FLAG_COUNT; i++)
		if (letter && flag_rows[i].letter == letter)
			return (enum flag)i;
	return FLAG_COUNT;
}

bool
duration_parse(const char *text, uint64_t *ms_r)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || errno || value > UINT32_MAX)
		return false;
	if (value == 0 && *end == '\0') {
		*ms_r = 0;
		return true;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (strcmp(end, units[i].unit) == 0) {
			*ms_r = value * units[i].ms;
			return true;
		}
	return false;
}

/* What is still to be read. */
struct reader {
	int argc;
	char *const *argv;
	struct arguments *a;
	struct strbuf *error;
};

static bool
takes_value(enum flag flag)
{
	return flag_rows[flag].argument != NULL;
}

static bool
needs_value(enum flag flag)
{
	return takes_value(flag) && flag_rows[flag].argument[0] != '[';
}

/* A value that may be missing is there where the next word looks like one. */
static bool
next_is_value(const struct reader *r, enum flag flag)
{
	uint64_t ignored;

	return r->argc > 0 &&
	       (needs_value(flag) || duration_parse(r->argv[0], &ignored));
}

/* `value`: written together with it, or NULL. */
static bool
take_flag(struct reader *r, enum flag flag, const char *value)
{
	const char *name = flag_rows[flag].name;

	if (value && !takes_value(flag)) {
		strbuf_printf(r->error, "--%s takes no value", name);
		return false;
	}
	if (!value && takes_value(flag) && next_is_value(r, flag)) {
		value = *r->argv++;
		r->argc--;
	}
	if (!value && needs_value(flag)) {
		strbuf_printf(r->error, "--%s needs a value: %s", name,
		    flag_rows[flag].argument);
		return false;
	}
	r->a->flags[flag] = value ? value : "";
	return true;
}

static bool
take_long(struct reader *r, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t n = equals ? (size_t)(equals - text) : strlen(text);
	enum flag flag = flag_named(text, n);

	if (flag != FLAG_COUNT)
		return take_flag(r, flag, equals ? equals + 1 : NULL);
	strbuf_printf(r->error, "there is no flag --%.*s", (int)n, text);
	return false;
}

static bool
take_short(struct reader *r, const char *text)
{
	for (; *text; text++) {
		enum flag flag = flag_lettered(*text);

		if (flag == FLAG_COUNT) {
			strbuf_printf(r->error, "there is no flag -%c", *text);
			return false;
		}
		if (takes_value(flag))
			return take_flag(r, flag, text[1] ? text + 1 : NULL);
		if (!take_flag(r, flag, NULL))
			return false;
	}
	return true;
}

static bool
take_word(struct reader *r, const char *text)
{
	if (r->a->n_words == WORDS_MAX) {
		strbuf_printf(r->error, "too many words: %s", text);
		return false;
	}
	r->a->words[r->a->n_words++] = text;
	return true;
}

bool
arguments_parse(int argc, char *const *argv, struct arguments *a_r,
    struct strbuf *error_r)
{
	struct reader r = {argc, argv, a_r, error_r};
	bool only_words = false, ok = true;

	*a_r = (struct arguments){.n_words = 0};
	while (ok && r.argc > 0) {
		const char *text = *r.argv++;

		r.argc--;
		if (only_words || text[0] != '-' || text[1] == '\0')
			ok = take_word(&r, text);
		else if (strcmp(text, "--") == 0)
			only_words = true;
		else if (text[1] == '-')
			ok = take_long(&r, text + 2);
		else
			ok = take_short(&r, text + 1);
	}
	return ok;
}
