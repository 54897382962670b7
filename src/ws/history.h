/* SPDX-License-Identifier: MIT
 *
 * history.h - what history.c keeps; its functions are in session_private.h.
 */
#ifndef ROOST_WS_HISTORY_H
#define ROOST_WS_HISTORY_H

#include <stdint.h>

struct backend;

enum { HISTORY_CHANGES = 8, HISTORY_HOMES = 4, HISTORY_EVENTS = 3 };

struct history_change {
	uint64_t since_ms; /* when it came into this state */
	uint8_t state;     /* enum session_state */
};

struct history_home {
	struct backend *backend; /* a reference */
	uint64_t left_ms;
};

/* Owner: the session. Rings: the newest entry is number n - 1. */
struct history {
	struct history_change changes[HISTORY_CHANGES];
	struct history_home homes[HISTORY_HOMES];
	uint64_t down_ms; /* spent without a backend */
	uint32_t n_changes, n_homes;
	uint32_t events[HISTORY_EVENTS]; /* index: enum history_event */
	uint32_t lost, again;            /* client messages */
};

#endif
