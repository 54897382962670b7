/* SPDX-License-Identifier: MIT
 *
 * api.h - the admin API: a small HTTP server beside the traffic.
 *
 * It runs on the control thread, which carries no connection of a client, so nothing
 * asked here can hold traffic up; what workers know they are asked for by message.
 * evhttp does for this what it cannot do in front: small requests of people who may be
 * trusted with the whole daemon.
 *
 * Owner and thread: the control thread.
 */
#ifndef ROOST_ADMIN_API_H
#define ROOST_ADMIN_API_H

#include "base/strbuf.h"
#include "loop/counters.h"
#include <stdbool.h>
#include <stddef.h>

struct admin;
struct amendments;
struct chooser;
struct config_admin;
struct event_base;
struct loop;
struct pins;
struct planner;
struct registry;
struct sink;
struct snapshot;

/* What became of a reload. Texts of lines; empty where there is nothing to say. Owner:
 * who made it; give it to admin_reload_fini. */
struct admin_reload_answer {
	bool ok;
	struct strbuf problems; /* not ok: FILE:LINE:COLUMN: what is wrong, ... */
	struct strbuf changes;  /* ok: "upstreams.chat.backends.b2.weight: 1 -> 2" */
	struct strbuf restart;  /* those of changes that need a restart */
};
void admin_reload_fini(struct admin_reload_answer *answer);

/* What the daemon lends. All borrowed, and outliving the API. */
struct admin_host {
	struct loop *loop;
	struct event_base *base; /* of the same thread */
	struct pins *pins;
	struct planner *planner;
	struct chooser *chooser;                 /* the control thread's */
	const struct sink *access_log;           /* NULL: none */
	struct snapshot *(*snapshot)(void *arg); /* the newest, borrowed */
	size_t (*n_workers)(void *arg);
	/* as worker_visit, by number */
	bool (*visit)(void *arg, size_t worker,
	    bool (*visit)(void *arg, struct registry *registry), void *visit_arg);
	uint64_t (*counter)(void *arg, enum counter which); /* of all workers */
	bool (*is_stopping)(void *arg);
	/* from now on these amendments of backends, or NULL: none (a reference is
	 * taken); false: no memory */
	bool (*amend)(void *arg, struct amendments *amendments);
	void (*reload)(void *arg, struct admin_reload_answer *answer); /* empty before
									*/
	/* Begins to; false: not, text_r says why. NULL: it cannot be done. */
	bool (*upgrade)(void *arg, struct strbuf *text_r);
	/* Is a process being waited for that upgrade has started? NULL: never. */
	bool (*is_upgrading)(void *arg);
	void *arg;
};

/* Is there what the configuration names? False: error_r says what is wrong. Any thread.
 */
bool admin_check(const struct config_admin *conf, struct strbuf *error_r);

/* Binds as conf says, which has a `bind`, or takes over fd (also on failure), which is
 * bound there already (else -1); answers as soon as the loop runs. NULL: could not be
 * bound, or no memory (logged). */
struct admin *admin_open(const struct admin_host *host, const struct config_admin *conf,
    int fd);

/* The descriptor it listens on, borrowed, or -1; *own_file_r: it is that of a unix
 * socket whose file goes with us. */
int admin_socket(const struct admin *a, bool *own_file_r);

/* Of a socket that was taken over: the file is ours from now on. */
void admin_own(struct admin *a);

/* Another process answers on the same socket: accepts nobody and forgets the file. Some
 * turns of the loop later comes admin_stop. */
void admin_leave(struct admin *a);

/* Where it listens, as a line for people and scripts: "127.0.0.1:9900", "unix:/path".
 */
void admin_address(const struct admin *a, struct strbuf *out);

/* After a reload: reads the token anew. If that fails the old one stays (logged). True:
 * it is another one. */
bool admin_reload(struct admin *a, const struct config_admin *conf);

/* A reload was asked for and went well, also if nothing had changed, or not. NULL is
 * fine. */
void admin_note_reload(struct admin *a, bool good);

/* Accepts nobody any more: another roost may come to the address. Idempotent. */
void admin_stop(struct admin *a);

/* Drops what is asked and not answered. Before the loop goes. NULL is fine. */
void admin_free(struct admin *a);

#endif
