/* SPDX-License-Identifier: MIT
 *
 * arguments.h - what was typed: flags anywhere, and the words between them. Pure.
 *
 * Not getopt, because a flag may have a value or not (--wait, --wait 30s), and because
 * the same rows serve parsing, help, completion and the check of the manual.
 */
#ifndef ROOST_CTL_ARGUMENTS_H
#define ROOST_CTL_ARGUMENTS_H

#include "base/object.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

enum flag {
#define FLAG(symbol, letter, name, argument, help) FLAG_##symbol,
#include "ctl/flags.def"
#undef FLAG
	FLAG_COUNT
};

#define FLAG_BIT(flag) (UINT32_C(1) << (flag))

struct flag_row {
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* NULL: takes none; "[X]": may have one */
	const char *help;
};

extern const struct flag_row flag_rows[FLAG_COUNT];

enum { WORDS_MAX = 8 };

/* All borrowed from argv. */
struct arguments {
	const char *flags[FLAG_COUNT]; /* NULL: not given; "": without a value */
	const char *words[WORDS_MAX];
	size_t n_words;
};

/* False: error_r says what is wrong. argv without the program's name. */
bool arguments_parse(int argc, char *const *argv, struct arguments *a_r,
    struct strbuf *error_r) MUST_CHECK;

/* The flag of that name (without dashes), or FLAG_COUNT. */
enum flag flag_named(const char *name, size_t n);

/* Digits and ms, s, m or h, or 0. */
bool duration_parse(const char *text, uint64_t *ms_r);

#endif
