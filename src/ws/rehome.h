/* SPDX-License-Identifier: MIT
 *
 * rehome.h - moves a session to another backend under its client's open socket.
 *
 *   WAITING --> DIALING --> GREETING --> CUTTING --> SETTLING --> DRAINING --.
 *   (pace,      (connect)   (101 on the  (a moment   (answers to  (old backend's
 *    backoff)                same terms)  to cut)     what was     Close or end, or
 *      ^                                              asked)       drain_timeout)
 *      |                                                                     |
 *      '-------(lost: nobody else has the session)------- REPLAYING <--------'
 *                                          done <-------- (answers to what is said
 *                                                          again; see replay.h)
 *
 * Up to CUTTING traffic flows to the old backend, and a try that fails leaves the
 * session as it was: the pin goes back, and the planner comes again later (1 s doubling
 * to 30 s). The cut is made between two messages, at a moment when everything asked is
 * answered or nothing was said for a while; where there is none for a second, at the
 * next boundary. From then on the client's words wait: everything asked before the cut
 * is answered by the old backend, everything after by the new one. A message of either
 * side that does not end within drain_timeout is not torn: the try has failed, even
 * after the cut, as long as the old backend was not told.
 *
 * A session whose backend is lost waits and dials (10 tries) with its client held, and
 * has nothing to cut. Mended it cannot be when the old backend left a message torn.
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
