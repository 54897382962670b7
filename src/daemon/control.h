/* SPDX-License-Identifier: MIT
 *
 * control.h - what the files of the control thread share.
 *
 * It owns the pin table, the newest snapshot, the planner, the prober and the resolver,
 * and touches no connection but those of health checks and of the admin API. Workers
 * hear from it by messages only.
 */
#ifndef ROOST_DAEMON_CONTROL_H
#define ROOST_DAEMON_CONTROL_H

#include "base/hash.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "loop/counters.h"
#include "loop/mailbox.h"
#include "loop/timer.h"
#include "route/choose.h"
#include "route/planner.h"
#include "upstream/outlier.h"
#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

struct admin;
struct admin_reload_answer;
struct amendments;
struct bequest;
struct event;
struct files;
struct heir;
struct found;
struct loop;
struct pins;
struct prober;
struct quota;
struct resolver;
struct sink;
struct snapshot;
struct sockets;
struct sockets_change;
struct strbuf;
struct worker;

enum { CONTROL_SIGNALS = 5 };

enum upgrade_state {
	UPGRADE_NONE,
	UPGRADE_STARTING, /* waiting for the new process to be ready */
	UPGRADE_FAILED,   /* waiting for its end */
	UPGRADE_DONE      /* it has taken over: waiting for our own */
};

/* Of the old process. */
struct upgrade {
	enum upgrade_state state;
	pid_t pid;
	int link;
	struct event *event;
	struct timer timer;
	unsigned looks;          /* how often we have looked for its end, or ours */
	char *program;           /* owned */
	struct bequest *bequest; /* owned; NULL: the new one has not asked */
};

/* What systemd wants to hear again and again. */
struct pulse {
	struct timer timer;
	uint64_t watchdog_ms; /* 0: none */
	atomic_bool *alive;   /* owned: one for each worker */
	bool asked;
	char status[96]; /* the last that was told */
};

/* Owner and thread: the control thread, for the life of the process. */
struct control {
	const struct daemon_options *options;
	struct loop *loop;
	struct bridge *bridge;     /* for evhttp, signals and the link of an upgrade */
	struct snapshot *snapshot; /* a reference: the newest */
	struct snapshot *first;    /* a reference: what cannot change is as there */
	struct pins *pins;
	struct quota *quota;
	struct sink *access_log; /* NULL: off */
	struct chooser chooser;
	struct planner *planner;
	struct resolver *resolver;
	struct prober *prober;
	struct panics panics;
	struct sockets *sockets;
	struct files *files; /* NULL: not watched */
	struct admin *admin; /* NULL: none */
	struct worker **workers;
	size_t n_workers;
	atomic_size_t n_gone;    /* of these, whose threads have nothing left to do */
	struct message all_gone; /* posted by the last of them */
	struct event *signals[CONTROL_SIGNALS];
	struct event *predecessor; /* what it says; NULL: there is none, or no more */
	struct heir *heir;         /* NULL: it tells us nothing */
	struct timer plan_timer, sweep_timer;
	struct upgrade upgrade;
	struct pulse pulse;
	bool admin_is_heir; /* its file becomes ours when the predecessor is gone */
	bool follows;       /* the predecessor has not said "go" yet */
	bool stopping;
	uint8_t secret[HASH_SECRET];
};

/* Of all workers together. */
uint64_t control_count(const struct control *c, enum counter which);

/* Where none is configured there is none, which is right. */
bool control_open_admin(struct control *c);

/* Writes the file with the addresses, if there is to be one. */
bool control_write_ports(const struct control *c);

/* The secret that a file gives, or (NULL) one of our own. False: error_r says why. */
bool control_read_secret(const char *path, uint8_t secret_r[HASH_SECRET],
    struct strbuf *error_r);

/* ---- signals.c ---- */

bool signals_catch(struct control *c);
void signals_forget(struct control *c);

/* ---- reload.c ---- */

/* Logs every line of a text on its own, each behind `before`. */
void control_log_lines(enum log_level level, enum log_topic topic, const char *before,
    struct strbuf *text);

/* Takes over config; NULL: no memory. */
struct snapshot *control_make_snapshot(struct config *config,
    const struct snapshot *old);

/* Everybody gets the new snapshot, and of listeners that change (else NULL) what falls
 * to him; returns the old one, whose reference is the caller's now. */
struct snapshot *control_set_snapshot(struct control *c, struct snapshot *s,
    struct sockets_change *change);

/* From now on these amendments of backends, or NULL: none (a reference is taken).
 * False: no memory. */
bool control_amend(struct control *c, struct amendments *amendments);

/* Reads the configuration again and takes it over, all of it or nothing; logs what
 * changes, or what is wrong. `answer` is empty before. */
void control_reload(struct control *c, struct admin_reload_answer *answer);

/* The same for those who do not want to hear. */
void control_reload_silently(struct control *c);

/* Watches the files of the configuration, if that is wanted. */
bool control_watch_files(struct control *c);

/* ---- names.c ---- */

/* For resolver_start: on the resolver's thread. */
void control_on_found(void *arg, const struct found *found);

/* ---- upgrade.c ---- */

/* Before anything else. */
void upgrade_init(struct control *c);

/* Starts the new process. False: not, text_r says why; else what happens now. */
bool upgrade_start(struct control *c, struct strbuf *text_r);

/* What may be under way comes to nothing; the process is going to end. */
void upgrade_cancel(struct control *c);
void upgrade_fini(struct control *c);

/* We are the new process, or one that nobody waited for, and everything runs. */
bool upgrade_say_ready(struct control *c);

/* ---- bequest.c: of the old process ---- */

/* The new one asks for what we know: tells it, and what changes. False: no memory. */
bool bequest_begin(struct control *c);

/* Tells at once what is left to be told. */
void bequest_hurry(struct control *c);
void bequest_end(struct control *c);

/* ---- heir.c: of the new process ---- */

/* Asks the one before us for what it knows, waits for it and takes it over; logs what
 * came of it. Nothing of it is needed. Before there are workers. */
void heir_ask(struct control *c);

/* One more packet. */
void heir_take(struct control *c, const void *p, size_t n);
void heir_free(struct control *c);

/* ---- pulse.c ---- */

/* Tells systemd that we are ready, and goes on telling how it is. */
void pulse_start(struct control *c);

/* How it is, in a line. */
const char *pulse_status(struct control *c);
void pulse_fini(struct control *c);

#endif
