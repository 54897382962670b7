/* SPDX-License-Identifier: MIT
 *
 * load.h - from a YAML file and flags to a frozen struct config, and back to text.
 */
#ifndef ROOST_CONFIG_LOAD_H
#define ROOST_CONFIG_LOAD_H

#include <stddef.h>

struct config;
struct strbuf;

/* What the command line says over the file; see roost(8). Borrowed for the call. */
struct config_flags {
	const char **listens; /* -L, replaces the file's listeners */
	size_t n_listens;
	const char **upstreams; /* -U ADDR[=WEIGHT], backends of upstream "default" */
	size_t n_upstreams;
	const char *admin;      /* -A, or NULL */
	const char *workers;    /* -w, or NULL */
	const char *log_level;  /* -l, or NULL */
	const char *log_format; /* --log-format, or NULL */
};

/* Reads `file` (NULL: flags alone; then the single upstream "default" gets every
 * request), checks everything, fills in defaults. Returns the frozen configuration, to
 * be freed by config_free, or NULL: then errors_r got one line per problem, all of
 * them, as FILE:LINE:COLUMN: what is wrong, what was expected (FLAG: ... for flags).
 * Does not log and does not exit. Any thread. */
struct config *config_load(const char *file, const struct config_flags *flags,
    struct strbuf *errors_r);

/* The same from text that is in memory already; `name` stands in the errors. */
struct config *config_parse(const char *name, const char *yaml, size_t n,
    const struct config_flags *flags, struct strbuf *errors_r);

void config_free(struct config *config);

/* The effective configuration as YAML, defaults filled in; loading the result gives
 * an equal configuration. */
void config_dump(const struct config *config, struct strbuf *out);

/* The same for others than who may read the file: values that may be passwords, of
 * headers that go to backends or that a request must have, are "(hidden)". */
void config_dump_public(const struct config *config, struct strbuf *out);

/* Compares by value; order means nothing. Appends one line per difference to changes_r
 * ("upstreams.chat.backends.b2.state: up -> drain", "routes.a.com/api: added" with
 * "*" for a route of any host), and those which a running daemon cannot take over
 * (workers, log.file ...) to restart_r as well; both may stay empty. Values that
 * config_dump_public hides are not told. changes_r->failed: no memory, they may lack
 * something. */
void config_diff(const struct config *old, const struct config *new,
    struct strbuf *changes_r, struct strbuf *restart_r);

#endif
