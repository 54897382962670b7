/* SPDX-License-Identifier: MIT
 *
 * simulator.h - a world for the planner to be tried in, on the fake clock.
 *
 * Planner, pins, chooser, pace, policies and backend records are the real ones. Played
 * are people with their sockets and requests (simulator_people.c) and what workers do
 * with a move (simulator_workers.c): each hears of it late, at a time of its own, has a
 * configuration that may be an old one, and finds a backend dead when it finds it.
 * What must hold at every step is in simulator_law.c; trouble comes from
 * check_simulator.c.
 */
#ifndef ROOST_TESTS_SIMULATOR_H
#define ROOST_TESTS_SIMULATOR_H

#include "base/random.h"
#include "rig.h"
#include "route/choose.h"
#include "route/pins.h"
#include "route/planner.h"

#include <check.h>

enum {
	TICK = 100,
	PEOPLE = 1500,
	SOCKETS = 4,
	WORKERS = 3,
	BACKENDS = 7,
	ROOM = 900,   /* max_sessions in peace */
	TRIES = 5,    /* to move one */
	LAG_MS = 400, /* of a worker, at most */
};

enum stage {
	SETTLED,
	MOVING,  /* to another backend, under its open socket */
	LEAVING, /* to be sent away, at its turn */
	AWAY     /* sent away, to come back */
};

/* A socket. */
struct place {
	struct claim claim;
	struct backend *home, *to, *next; /* references */
	enum stage stage;
	bool lost; /* its home is dead: there is no way back */
	bool cut;  /* too late to turn */
	uint64_t due;
	uint64_t notices_at; /* that its home is dead; 0: it is not */
	unsigned worker, tries;
};

struct person {
	struct place places[SOCKETS];
	unsigned n;
	struct choice request; /* backend NULL: none under way */
	uint64_t request_until;
	/* what the law believes of its lock */
	uint64_t lock_until;
	const struct backend *lock_at;
	const struct backend *left; /* in peace: by its last move for balance */
};

struct world {
	struct person people[PEOPLE];
	struct planner *planner;
	struct chooser choosers[WORKERS];
	struct snapshot *views[WORKERS];
	struct random dice;
	uint64_t now, start;
	uint64_t dead_until[BACKENDS];
	unsigned ticks, moves, failures, returns, asked, dropped;
	bool peace;
};

extern struct world world;

/* ck_assert tells another process of each time that it holds; there are millions. */
#define LAW(holds, ...)                            \
	do {                                       \
		if (!(holds))                      \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

static inline unsigned
roll(unsigned n)
{
	return random_below(&world.dice, n);
}

static inline unsigned
number_of(const struct backend *b)
{
	return (unsigned)(b->name[1] - '0');
}

static inline bool
is_dead(const struct backend *b)
{
	return world.now < world.dead_until[number_of(b)];
}

static inline const struct upstream *
view_of(unsigned worker)
{
	return &world.views[worker]->upstreams[0];
}

/* ---- simulator_people.c ---- */

void people_begin(void);
struct person *person_of(struct hash128 key); /* NULL: nobody's */
void come(unsigned i);
void people_come_and_go(unsigned n);
void people_wait(void); /* their requests end in time */
void people_end(void);
unsigned all_sessions(void);

/* Takes it off its person, whose last place is there afterwards. */
void forget(struct person *p, struct place *place);

/* ---- simulator_workers.c ---- */

void workers_begin(uint64_t seed);
void workers_end(void);
void workers_work(void);

/* A new configuration reaches them one after the other. */
void workers_reload(void);

/* Everybody hears of it, sooner or later. */
void tell_workers(const struct move *m);

/* Has this one news of the client that it has not read yet? */
bool has_news(unsigned worker, struct hash128 key);

void settle(struct place *place);
void kill_backend(struct backend *b, uint64_t ms);

/* ---- simulator_law.c ---- */

void law_begin(void);
void on_move(void *arg, const struct move *m);
void law_lock(struct person *p, const struct backend *at, const struct upstream *up);

/* Somebody moves a client there, at that time. */
void law_counts_move(const struct upstream *up, const struct backend *to, uint64_t at);
void judge_rates(void);
void judge_choice(const struct upstream *up, const struct pin *pin,
    const struct choice *choice, bool found, bool websocket);
void judge_homes(void);
void judge_peace(void);
unsigned worst_surplus(void);

#endif
