/* SPDX-License-Identifier: MIT
 *
 * complete.c - what the word that is being typed may become.
 *
 * The shell calls `roostctl --complete` with the words so far, so that commands, flags
 * and the names of upstreams and backends are those of this roostctl and of the roost
 * that it talks to. Nothing is complained about here.
 */
#include "ctl/ctl.h"

static void
offer(struct ctl *c, const char *begun, const char *candidate)
{
	if (strncmp(candidate, begun, strlen(begun)) == 0)
		out_printf(&c->out, "%s\n", candidate);
}

static void
offer_flags(struct ctl *c, const char *begun, uint32_t which)
{
	char text[64];

	for (int i = 0; i < FLAG_COUNT; i++) {
		if (!(which & FLAG_BIT(i)))
			continue;
		snprintf(text, sizeof(text), "--%s", flag_rows[i].name);
		offer(c, begun, text);
	}
}

static void
offer_words(struct ctl *c, const char *begun, const char *const *words)
{
	for (; *words; words++)
		offer(c, begun, *words);
}

/* ---- names that the daemon knows ---- */

static void
offer_names(struct ctl *c, const char *begun, const json_t *all, const char *name)
{
	const json_t *one;
	size_t i;

	json_array_foreach(all, i, one) offer(c, begun, json_words(one, name));
}

static void
offer_live(struct ctl *c, const char *begun, const char *kind, const char *upstream)
{
	const char *const *flags = c->args.flags;
	struct strbuf error = STRBUF_INIT;
	json_t *json = NULL;
	const json_t *up;
	unsigned status;
	size_t i;

	if (client_init(&c->client, flags[FLAG_SERVER], flags[FLAG_TOKEN_FILE],
		flags[FLAG_CONFIG], &error))
		json = ctl_ask_quietly(c, "GET", "/v1/upstreams", &status);
	strbuf_fini(&error);
	if (strcmp(kind, "UPSTREAM") == 0) {
		offer_names(c, begun, json_object_get(json, "upstreams"), "name");
	} else {
		json_array_foreach(json_object_get(json, "upstreams"), i,
		    up) if (!upstream || strcmp(upstream, json_words(up, "name")) == 0)
		    offer_names(c, begun, json_object_get(up, "backends"), "name");
	}
	json_decref(json);
}

/* ---- by what is asked for ---- */

static void
offer_commands(struct ctl *c, const char *begun)
{
	for (size_t i = 0; i < n_commands; i++)
		offer(c, begun, commands[i].word);
}

static void
offer_argument(struct ctl *c, const char *begun, const char *kind, const char *upstream)
{
	static const char *const levels[] = {"debug", "info", "notice", "warn", "error",
	    "configured", NULL};

	if (strcmp(kind, "COMMAND") == 0)
		offer_commands(c, begun);
	else if (strcmp(kind, "LEVEL") == 0)
		offer_words(c, begun, levels);
	else if (strcmp(kind, "UPSTREAM") == 0 || strcmp(kind, "BACKEND") == 0)
		offer_live(c, begun, kind, upstream);
}

static void
offer_value(struct ctl *c, const char *begun, enum flag flag, const char *upstream)
{
	static const char *const states[] = {"connected", "reconnecting", "closing",
	    "moving", NULL};
	static const char *const own[] = {"up", "drain", "down", NULL};
	static const char *const sorts[] = {"newest", "oldest", "idle", "messages",
	    "bytes", "moves", "rtt", "queued", NULL};
	static const char *const whens[] = {"auto", "always", "never", NULL};

	switch (flag) {
	case FLAG_STATE:
		offer_words(c, begun,
		    c->command && strcmp(c->command->word, "add") == 0 ? own : states);
		break;
	case FLAG_SORT: offer_words(c, begun, sorts); break;
	case FLAG_COLOR: offer_words(c, begun, whens); break;
	case FLAG_UPSTREAM: offer_live(c, begun, "UPSTREAM", NULL); break;
	case FLAG_BACKEND:
	case FLAG_TO: offer_live(c, begun, "BACKEND", upstream); break;
	default: break;
	}
}

/* "--upstream" and "-u"; FLAG_COUNT: it is none. */
static enum flag
flag_of(const char *word)
{
	enum flag flag = 0;

	if (word[0] != '-' || strchr(word, '='))
		return FLAG_COUNT;
	if (word[1] == '-')
		return flag_named(word + 2, strlen(word + 2));
	if (word[1] == '\0' || word[2] != '\0')
		return FLAG_COUNT;
	while (flag < FLAG_COUNT && flag_rows[flag].letter != word[1])
		flag++;
	return flag;
}

/* The flag whose value is being typed, or FLAG_COUNT. */
static enum flag
open_flag(int argc, char *const *argv)
{
	enum flag flag = flag_of(argc > 1 ? argv[argc - 2] : "");

	if (flag == FLAG_COUNT || !flag_rows[flag].argument ||
	    flag_rows[flag].argument[0] == '[')
		return FLAG_COUNT;
	return flag;
}

void
ctl_complete(struct ctl *c, int argc, char *const *argv)
{
	const char *begun = argc ? argv[argc - 1] : "", *upstream;
	enum flag flag = open_flag(argc, argv);
	struct strbuf ignored = STRBUF_INIT;
	char kind[32];
	bool optional;

	/* what is wrong so far may become right */
	if (!arguments_parse(argc - 1 - (flag != FLAG_COUNT), argv, &c->args, &ignored))
		c->exit = CTL_OK;
	strbuf_fini(&ignored);
	c->command = c->args.n_words ? command_find(c->args.words[0]) : NULL;
	upstream = c->args.n_words > 1 ? c->args.words[1] : ctl_flag(c, FLAG_UPSTREAM);
	if (flag != FLAG_COUNT)
		offer_value(c, begun, flag, upstream);
	else if (begun[0] == '-')
		offer_flags(c, begun,
		    command_common_flags() | (c->command ? c->command->flags : 0));
	else if (c->args.n_words == 0)
		offer_commands(c, begun);
	else if (c->command && command_argument(c->command, c->args.n_words - 1, kind,
				   sizeof(kind), &optional))
		offer_argument(c, begun, kind, upstream);
}
