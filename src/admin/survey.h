/* SPDX-License-Identifier: MIT
 *
 * survey.h - asks every worker for its sessions, and collects the answers.
 *
 * Workers look at some hundred sessions in each turn of their loop, so that a survey
 * among 100,000s holds up no traffic; who has not answered after a second is left out,
 * and who has not even begun by then does nothing.
 */
#ifndef ROOST_ADMIN_SURVEY_H
#define ROOST_ADMIN_SURVEY_H

#include "ws/describe.h"

struct admin_host;
struct survey;

/* Which come first; among equals the newest. */
enum survey_sort {
	SORT_NEWEST,
	SORT_OLDEST,
	SORT_IDLE, /* the client's side was quiet for the longest time */
	SORT_MESSAGES,
	SORT_BYTES,
	SORT_MOVES,
	SORT_RTT, /* of the client's side */
	SORT_QUEUED
};

/* Bits of session states; a session may be of several. */
enum {
	STATE_CONNECTED = 1,
	STATE_RECONNECTING = 2,
	STATE_CLOSING = 4,
	STATE_MOVING = 8
};

/* Which sessions. Copied. */
struct survey_filter {
	const char *upstream, *backend;  /* names, or NULL: any; the numbered records of
					    a backend have its name, too */
	const char *session;             /* id, or NULL: any */
	unsigned worker;                 /* number + 1; 0: any */
	unsigned states;                 /* 0: any */
	uint64_t min_age_ms, max_age_ms; /* max 0: any */
	enum survey_sort sort;
	const struct hash128 *keys; /* of clients; NULL: any */
	size_t n_keys;
	struct addr address; /* beside the keys: or the client has this one */
	size_t max;          /* rows; all that fit are counted */
	unsigned kick_code;  /* closes what fits with this code; 0: only looks */
};

struct survey_row {
	struct session_view view; /* its texts are in `text` */
	char *text;
	unsigned worker;
	size_t number; /* in the worker's order */
	uint64_t rank; /* the highest first */
};

/* Valid for the call. */
struct survey_result {
	struct survey_row *rows; /* sorted */
	size_t n;
	uint64_t matched; /* sessions that fit, also beyond `max` */
	size_t n_workers, n_answered;
	bool no_memory; /* some rows are lost */
};

/* done is called once, later, on the control thread. NULL: no memory. */
struct survey *survey_start(const struct admin_host *host,
    const struct survey_filter *filter,
    void (*done)(void *arg, struct survey_result *result), void *arg);

/* done will not be called. Only before it was. */
void survey_cancel(struct survey *s);

#endif
