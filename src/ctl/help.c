/* SPDX-License-Identifier: MIT
 *
 * help.c - what can be typed, from the tables that decide it.
 */
#include "ctl/ctl.h"

#include <stdio.h>

enum { COLUMN = 30 };

static void
help_flags(uint32_t which, struct out *o)
{
	for (int i = 0; i < FLAG_COUNT; i++) {
		const struct flag_row *row = &flag_rows[i];
		char text[64], letter[4] = "   ";

		if (!(which & FLAG_BIT(i)))
			continue;
		if (row->letter)
			snprintf(letter, sizeof(letter), "-%c,", row->letter);
		snprintf(text, sizeof(text), "%s --%s%s%s", letter, row->name,
		    row->argument ? " " : "", row->argument ? row->argument : "");
		out_printf(o, "  %-*s %s\n", COLUMN, text, row->help);
	}
}

void
help_all(struct out *o)
{
	out_printf(o, "usage: roostctl [flags] COMMAND [...]\n\n");
	for (size_t i = 0; i < n_commands; i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s %s", commands[i].word,
		    commands[i].arguments);
		out_printf(o, "  %-*s %s\n", COLUMN, text, commands[i].help);
	}
	out_printf(o, "\nflags of all commands:\n");
	help_flags(command_common_flags(), o);
	out_printf(o,
	    "\nMore flags: roostctl help COMMAND. Without --server and --config the "
	    "address is\nthat of $ROOST_ADMIN, or admin.bind of " SYSCONFDIR
	    "/roost/roost.yaml. See roostctl(8).\n");
}

void
help_command(const struct command *command, struct out *o)
{
	out_printf(o, "usage: roostctl %s%s%s%s\n\n%s\n", command->word,
	    command->arguments[0] ? " " : "", command->arguments,
	    command->flags ? " [flags]" : "", command->help);
	if (command->flags)
		out_printf(o, "\n");
	help_flags(command->flags, o);
	if (command->endpoints[0])
		out_printf(o, "\nasks: %s\n", command->endpoints);
}

void
run_help(struct ctl *c)
{
	const char *word = ctl_word(c, 1);
	const struct command *command = word ? command_find(word) : NULL;

	if (command)
		help_command(command, &c->out);
	else if (word)
		ctl_fail(c, CTL_USAGE, "there is no command \"%s\"", word);
	else
		help_all(&c->out);
}
