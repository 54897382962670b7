/* SPDX-License-Identifier: MIT
 *
 * ctl.h - one run of roostctl, and the table of what it can do.
 */
#ifndef ROOST_CTL_CTL_H
#define ROOST_CTL_CTL_H

#include "ctl/arguments.h"
#include "ctl/client.h"
#include "ctl/out.h"
#include <jansson.h>

enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1, /* roost said no: not found, conflict, bad configuration ... */
	CTL_AWAY = 2,    /* nobody answers */
	CTL_USAGE = 64
};

struct ctl;

struct command {
	const char *word, *arguments, *endpoints, *help;
	uint32_t flags; /* bits, beside those that go with every command */
	void (*run)(struct ctl *c);
};

extern const struct command commands[];
extern const size_t n_commands;

/* Owner and thread: main. */
struct ctl {
	const struct command *command;
	struct arguments args;
	struct client client;
	struct out out;
	enum ctl_exit exit;
};

/* NULL: there is none of that name. */
const struct command *command_find(const char *word);

/* The flags that go with every command. */
uint32_t command_common_flags(void);

/* The i-th word of its arguments without brackets ("UPSTREAM"), or false. */
bool command_argument(const struct command *command, size_t i, char *buf, size_t size,
    bool *optional_r);

/* Runs roostctl; returns the exit status. argv with the program's name. */
int ctl_run(int argc, char **argv);

/* complete.c: candidates for the last word, one a line. */
void ctl_complete(struct ctl *c, int argc, char *const *argv);

/* help.c */
void help_all(struct out *o);
void help_command(const struct command *command, struct out *o);

/* ---- ask.c ---- */

/* Complains on standard error; the exit status is the highest of all that was said. */
void ctl_fail(struct ctl *c, enum ctl_exit code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Asks, with a body (taken over) or NULL. NULL: failed, and said so. */
json_t *ctl_ask(struct ctl *c, const char *method, const char *target, json_t *body,
    uint64_t wait_ms);

/* The same, without complaint; *status_r as answered, 0: nobody did. */
json_t *ctl_ask_quietly(struct ctl *c, const char *method, const char *target,
    unsigned *status_r);

/* With --json prints the answer and returns true. */
bool ctl_wants_json(struct ctl *c, const json_t *json);

/* The i-th word, or NULL; a flag's value, or NULL. */
const char *ctl_word(const struct ctl *c, size_t i);
const char *ctl_flag(const struct ctl *c, enum flag flag);

/* False: it is no number (said so). */
bool ctl_number(struct ctl *c, const char *name, const char *text, long long *value_r);

/* A target piece by piece: segments and parameters are encoded. value NULL: nothing. */
void target_segment(struct strbuf *target, const char *text);
void target_parameter(struct strbuf *target, const char *name, const char *value);

/* ---- members of answers; missing ones are 0, "" or NULL ---- */

long long json_number(const json_t *json, const char *name);
const char *json_words(const json_t *json, const char *name);
bool json_is(const json_t *json, const char *name);

/* "2m 3s" from now or ago; null: "-". */
const char *moment_age(const json_t *json, const char *name, char buf[NUMBER_TEXT]);

/* How a word of `use` is to be painted. */
enum paint paint_of_use(const char *use);

/* A line for each of an upstream's backends that is ill, at most so many; returns how
 * many there are. */
size_t show_ailing(struct out *o, const char *upstream, const json_t *backends,
    size_t room);

/* Every function of commands.def. */
#define COMMAND(word, arguments, function, endpoints, flags, help) \
	void run_##function(struct ctl *c);
#include "ctl/commands.def"
#undef COMMAND

#endif
