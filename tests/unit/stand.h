/* SPDX-License-Identifier: MIT
 *
 * stand.h - a session that can be moved, on a real loop, between a client and backends
 * that listen on unix sockets; all in the test's thread, where nothing happens but in
 * stand_turn. Only the clock is not real. Builds on rig.h.
 */
#ifndef ROOST_TESTS_STAND_H
#define ROOST_TESTS_STAND_H

#include "rig.h"
#include "upstream/pool.h"
#include "ws/registry.h"
#include "ws/session_private.h"

enum { STAND_BACKENDS = 3, STAND_LINES = 256 };

/* One connection to one of the backends, seen from there. */
struct line {
	unsigned backend; /* its number */
	int fd;           /* -1: closed by us */
	bool greeted;     /* the 101 was sent */
};

struct stand {
	struct loop *loop;
	struct pools pools;
	struct registry registry;
	struct session *s; /* on b0 */
	int client;        /* our end */
	int listeners[STAND_BACKENDS];
	struct line lines[STAND_LINES]; /* the first is the one it was opened with */
	unsigned n_lines;
};

extern struct stand stand;

/* rehome: more keys of rehome, each with a comma behind it. window: how many bytes a
 * socket takes, about; 0: as many as it likes. */
void stand_begin(uint64_t seed, const char *rehome, int window);
void stand_end(void);

void stand_turn(void);
void stand_pass(uint64_t ms); /* no timer fires late */

/* What the planner does: the pin first. False: it is there already. */
bool stand_move(unsigned to);

void stand_write_101(struct strbuf *out);

/* Answers the handshake of a line: the 101, and behind it n bytes of p in one send. */
void stand_greet(struct line *line, const void *p, size_t n);

/* The next line to a backend, which has come or comes in this turn. */
struct line *stand_accept(unsigned backend);

/* Bytes that have come to an end so far, or 0; *end_r: it will say no more. */
size_t stand_hear(int fd, void *p, size_t n, bool *end_r);

void stand_say(int fd, const void *p, size_t n);

#endif
