/* SPDX-License-Identifier: MIT
 *
 * commands.c - from what was typed to the function that does it.
 */
#include "config/nearest.h"
#include "ctl/ctl.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>

#define F(flag) FLAG_BIT(FLAG_##flag)

const struct command commands[] = {
#define COMMAND(word, arguments, function, endpoints, flags, help) \
	{word, arguments, endpoints, help, flags, run_##function},
#include "ctl/commands.def"
#undef COMMAND
};

const size_t n_commands = sizeof(commands) / sizeof(*commands);

const struct command *
command_find(const char *word)
{
	for (size_t i = 0; i < n_commands; i++)
		if (strcmp(commands[i].word, word) == 0)
			return &commands[i];
	return NULL;
}

uint32_t
command_common_flags(void)
{
	return F(SERVER) | F(CONFIG) | F(TOKEN_FILE) | F(JSON) | F(COLOR) | F(HELP) |
	       F(VERSION);
}

bool
command_argument(const struct command *command, size_t i, char *buf, size_t size,
    bool *optional_r)
{
	const char *p = command->arguments;
	size_t n;

	for (; *p && i; i--) {
		p += strcspn(p, " ");
		p += strspn(p, " ");
	}
	n = strcspn(p, " ");
	if (n == 0)
		return false;
	*optional_r = p[0] == '[';
	snprintf(buf, size, "%.*s", (int)(*optional_r ? n - 2 : n), p + *optional_r);
	return true;
}

/* ---- is it right? ---- */

static bool
words_are_right(struct ctl *c)
{
	char name[32];
	bool optional;
	size_t n = 0;

	while (command_argument(c->command, n, name, sizeof(name), &optional)) {
		if (!optional && n + 1 >= c->args.n_words) {
			ctl_fail(c, CTL_USAGE, "%s: %s is missing: roostctl %s %s",
			    c->command->word, name, c->command->word,
			    c->command->arguments);
			return false;
		}
		n++;
	}
	if (c->args.n_words <= n + 1)
		return true;
	ctl_fail(c, CTL_USAGE, "%s: \"%s\" is one word too many: roostctl %s %s",
	    c->command->word, c->args.words[n + 1], c->command->word,
	    c->command->arguments);
	return false;
}

static bool
flags_are_right(struct ctl *c)
{
	uint32_t allowed = c->command->flags | command_common_flags();

	for (int i = 0; i < FLAG_COUNT; i++)
		if (c->args.flags[i] && !(allowed & FLAG_BIT(i))) {
			ctl_fail(c, CTL_USAGE, "--%s says nothing to %s",
			    flag_rows[i].name, c->command->word);
			return false;
		}
	return true;
}

static void
no_command(struct ctl *c, const char *word)
{
	struct nearest nearest = NEAREST_INIT(str_of(word));

	for (size_t i = 0; i < n_commands; i++)
		nearest_offer(&nearest, commands[i].word);
	if (nearest.best)
		ctl_fail(c, CTL_USAGE, "there is no command \"%s\"; did you mean %s?",
		    word, nearest.best);
	else
		ctl_fail(c, CTL_USAGE,
		    "there is no command \"%s\"; see roostctl --help", word);
}

/* ---- running ---- */

static void
run_command(struct ctl *c)
{
	struct strbuf error = STRBUF_INIT;
	const char *const *flags = c->args.flags;

	if (!words_are_right(c) || !flags_are_right(c))
		return;
	if (c->command->endpoints[0] &&
	    !client_init(&c->client, flags[FLAG_SERVER], flags[FLAG_TOKEN_FILE],
		flags[FLAG_CONFIG], &error))
		ctl_fail(c, CTL_USAGE, "%s", strbuf_cstr(&error));
	else
		c->command->run(c);
	strbuf_fini(&error);
}

static void
run_words(struct ctl *c)
{
	const char *word = ctl_word(c, 0);

	c->command = word ? command_find(word) : NULL;
	if (c->args.flags[FLAG_VERSION])
		out_printf(&c->out, "roostctl " PACKAGE_VERSION "\n");
	else if (c->args.flags[FLAG_HELP] && c->command)
		help_command(c->command, &c->out);
	else if (c->args.flags[FLAG_HELP])
		help_all(&c->out);
	else if (!word)
		ctl_fail(c, CTL_USAGE, "what is to be done? See roostctl --help");
	else if (!c->command)
		no_command(c, word);
	else
		run_command(c);
}

static void
run_typed(struct ctl *c, int argc, char *const *argv)
{
	struct strbuf error = STRBUF_INIT;

	if (!arguments_parse(argc, argv, &c->args, &error))
		ctl_fail(c, CTL_USAGE, "%s; see roostctl --help", strbuf_cstr(&error));
	else if (!out_init(&c->out, c->args.flags[FLAG_COLOR]))
		ctl_fail(c, CTL_USAGE, "--color: expected auto, always or never");
	else
		run_words(c);
	strbuf_fini(&error);
}

int
ctl_run(int argc, char **argv)
{
	struct ctl c = {.exit = CTL_OK};

	setlocale(LC_CTYPE, "");
	if (argc > 1 && strcmp(argv[1], "--complete") == 0)
		ctl_complete(&c, argc - 2, argv + 2);
	else
		run_typed(&c, argc - 1, argv + 1);
	errno = ENOMEM; /* where it is not the writing that failed */
	if (!out_flush(&c.out))
		ctl_fail(&c, CTL_REFUSED, "the answer cannot be written (%s)",
		    strerror(errno));
	out_fini(&c.out);
	client_fini(&c.client);
	return c.exit;
}
