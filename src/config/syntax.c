/* SPDX-License-Identifier: MIT
 *
 * syntax.c - libyaml's complaints in the words of those who write the file.
 *
 * libyaml tells the state of its parser ("did not find expected key") and the place
 * where it noticed, which may be lines behind the slip. The slips that people make are
 * few: a line that is indented differently, a forgotten quote, brace, colon or blank.
 * What is not in the table is told as libyaml says it.
 */
#include "config/syntax.h"
#include "base/str.h"
#include <stdio.h>
#include <string.h>

struct slip {
	const char *problem, *context; /* context NULL: any, or none */
	bool at_context;  /* there was the slip, not where it was noticed */
	const char *what; /* %u: the line in which the context began */
	const char *expected;
};

static const struct slip slips[] = {
    {"did not find expected key", "while parsing a block mapping", false,
	"no key that lines up with the others of the map from line %u",
	"the same indentation for all of them"},
    {"did not find expected '-' indicator", "while parsing a block collection", false,
	"no dash that lines up with the others of the list from line %u",
	"the same indentation for all of them"},
    {"did not find expected ',' or '}'", NULL, false, "the { of line %u is not closed",
	"a comma or }"},
    {"did not find expected ',' or ']'", NULL, false, "the [ of line %u is not closed",
	"a comma or ]"},
    {"could not find expected ':'", "while scanning a simple key", true,
	"a key without a colon", "\"key: value\""},
    {"mapping values are not allowed in this context", NULL, false,
	"a colon where no key can end",
	"all keys of a map below each other, and quotes around text with a colon"},
    {"found unexpected ':'", NULL, false, "a colon within a word",
	"a blank behind it, or quotes around the text"},
    {"found unexpected end of stream", "while scanning a quoted scalar", true,
	"a quote that is not closed", "the same one at its end"},
    {"found unknown escape character", NULL, false, "a backslash within double quotes",
	"single quotes around the text, or two backslashes"},
    {"did not find expected alphabetic or numeric character", "while scanning an alias",
	true, "a value that begins with *", "quotes around it"},
    {"did not find expected alphabetic or numeric character",
	"while scanning an anchor", true, "a value that begins with &",
	"quotes around it"},
    {"found character that cannot start any token", NULL, false,
	"a value cannot begin with this character", "quotes around it"},
    {"did not find expected node content", NULL, false, "a value is missing",
	"one here, or one comma less"},
    {"did not find expected <document start>", NULL, false,
	"something behind the end of the first value", "one map with all keys"},
    {"block sequence entries are not allowed in this context", NULL, false,
	"a dash where no list can begin", "the list below its key, not behind it"},
    {"invalid leading UTF-8 octet", NULL, false, "bytes that are no UTF-8", "UTF-8"},
    {"invalid trailing UTF-8 octet", NULL, false, "bytes that are no UTF-8", "UTF-8"},
    {"incomplete UTF-8 octet sequence", NULL, false, "bytes that are no UTF-8",
	"UTF-8"},
    {"control characters are not allowed", NULL, false, "a control character", "text"},
};

static bool
fits(const struct slip *slip, const struct syntax_error *e)
{
	return strcmp(slip->problem, e->problem) == 0 &&
	       (!slip->context ||
		   (e->context && strcmp(slip->context, e->context) == 0));
}

static const struct slip *
slip_of(const struct syntax_error *e)
{
	for (size_t i = 0; e->problem && i < sizeof slips / sizeof *slips; i++)
		if (fits(&slips[i], e))
			return &slips[i];
	return NULL;
}

struct config_place
syntax_explain(const struct syntax_error *e, char *text, size_t n)
{
	const struct slip *slip = slip_of(e);
	const char *mark = slip ? strstr(slip->what, "%u") : NULL;

	if (!slip)
		snprintf(text, n, "not valid YAML (%s%s%s), expected YAML 1.1",
		    e->context ? e->context : "", e->context ? ": " : "",
		    e->problem ? e->problem : "no reason given");
	else if (mark)
		snprintf(text, n, "not valid YAML (%.*s%u%s), expected %s",
		    (int)(mark - slip->what), slip->what, e->context_place.line,
		    mark + 2, slip->expected);
	else
		snprintf(text, n, "not valid YAML (%s), expected %s", slip->what,
		    slip->expected);
	return slip && slip->at_context ? e->context_place : e->place;
}
