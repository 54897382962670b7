/* SPDX-License-Identifier: MIT
 *
 * syntax.h - what is wrong with text that is no YAML, for whoever wrote it. Pure.
 */
#ifndef ROOST_CONFIG_SYNTAX_H
#define ROOST_CONFIG_SYNTAX_H

#include "config/config.h"
#include <stddef.h>

/* What libyaml says of it: where it stopped and why, and within what, which began
 * earlier (context NULL: within nothing). */
struct syntax_error {
	const char *problem, *context;
	struct config_place place, context_place;
};

/* "what is wrong, what was expected" into text. Returns where that is. */
struct config_place syntax_explain(const struct syntax_error *e, char *text, size_t n);

#endif
