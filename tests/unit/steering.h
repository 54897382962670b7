/* SPDX-License-Identifier: MIT
 *
 * steering.h - what clients of the rig do, at the time of the fake clock: for tests of
 * whom the chooser takes.
 */
#ifndef ROOST_TESTS_STEERING_H
#define ROOST_TESTS_STEERING_H

#include "rig.h"

extern uint64_t now; /* as the fake clock says */

/* rig_begin and rig_end, with the clock. */
void steering_begin(void);
void steering_end(void);

void tick(uint64_t ms);

struct choice ask(struct client_key key, bool websocket);

/* One whole exchange; returns its backend and, in *by_r, why. */
struct backend *exchange(struct client_key key, enum choose_by *by_r);

/* A session's backend, and the choice that led there; either may be NULL. */
struct claim open_session(struct client_key key, struct backend **b_r,
    struct choice *choice_r);
void close_session(struct claim *claim, bool clean);

#endif
