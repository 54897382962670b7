/* SPDX-License-Identifier: MIT
 *
 * rehome.h - moves a session to another backend under its client's open socket.
 *
 *   WAITING --> DIALING --> GREETING --> CUTTING --> DRAINING --> done
 *      ^  (pace,   | (connect)  | (101)      | (message   | (old backend's Close,
 *      |  backoff) |            |            |  boundary) |  end or drain_timeout)
 *      `-----------+------------+------------'            `--> session closed, when the
 *          (this try failed: 1 s doubling to 30 s, 10 tries)   old one left a torn message
 *
 * Up to CUTTING traffic flows to the old backend. From the cut on the client is not
 * read; everything it asked before is answered by the old one, everything after by the
 * new one. A session whose backend is lost goes the same way without CUTTING and
 * DRAINING.
 */
#ifndef ROOST_WS_REHOME_H
#define ROOST_WS_REHOME_H

#include "route/planner.h"
#include <stdint.h>

struct backend;
struct session;

/* Moves s to `to`, delay_ms from now. The client's pin points there already. */
void rehome_start(struct session *s, struct backend *to, enum move_why why,
    uint32_t delay_ms);

#endif
