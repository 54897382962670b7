/* SPDX-License-Identifier: MIT
 *
 * heritage.h - what a new process has from the one before it: sockets that listen
 * already, the pid file, the cookies' secret, and a link to tell when it is ready.
 *
 * The predecessor is a running roost that is being upgraded (upgrade.c), which says so
 * in the environment, or systemd with sockets of its own. Whose a socket is tells its
 * address, so a new configuration takes what it still wants.
 *
 * Between old and new goes, over the link: the secret; "estate", upon which the old one
 * tells what it knows (estate.h), if it offered that and the new one understands it;
 * "ready" or an error as text; "go", or the end of the old one, after which everything
 * is the new one's own. What changes in the old one is told as long as it lives.
 *
 * Thread: main, before any other.
 */
#ifndef ROOST_DAEMON_HERITAGE_H
#define ROOST_DAEMON_HERITAGE_H

#include "base/addr.h"
#include "base/hash.h"
#include <stdbool.h>
#include <stddef.h>

struct strbuf;

enum { HERITAGE_TEXT = 2048 };

/* One socket. Its file, where it is a unix one, may be ours to remove. */
struct heirloom {
	int fd; /* -1: taken */
	bool own_file;
	bool admin;
	struct addr addr;
	char path[108];
};

struct heritage {
	struct heirloom *heirlooms; /* owned, with what is not taken */
	size_t n;
	int link;        /* -1: nobody waits for us */
	int pid_file;    /* -1: none */
	unsigned estate; /* the format in which it would tell what it knows; 0: none */
	bool secret_given;
	uint8_t secret[HASH_SECRET];
};

/* Takes what the environment tells of out of it. False: no memory. */
bool heritage_find(struct heritage *h);

/* A socket bound to that address, of a unix one with that path (else NULL); where the
 * port is 0, one of the predecessor's to any port, which *addr gets. -1: there is none.
 */
int heritage_take(struct heritage *h, bool admin, struct addr *addr, const char *path,
    bool *own_file_r);

/* To the old process, if there is one. Upon the first it tells what it knows. */
void heritage_ask(struct heritage *h);
void heritage_say_ready(struct heritage *h);
void heritage_say_failed(struct heritage *h, const char *text);

/* Closes what nobody took, which is logged. Idempotent. */
void heritage_fini(struct heritage *h);

/* ---- for the old one ---- */

/* The line for the environment, built piece by piece. */
void heritage_begin(struct strbuf *line, int link, int pid_file);
void heritage_add(struct strbuf *line, int fd, bool admin, bool own_file);

/* Variables that are ours: not to be passed on as they are. */
bool heritage_is_variable(const char *entry);

#endif
