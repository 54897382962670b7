/* SPDX-License-Identifier: MIT
 *
 * session.h - one WebSocket through roost: client side and backend side.
 *
 *   CONNECTED --(Close seen or sent)--> CLOSING --(both sides out)--> CLOSED
 *       |  ^                               ^
 *   (backend lost)  (taken by another)     | (no backend takes it)
 *       v  |                               |
 *   RECONNECTING --------------------------'
 *
 * Connecting is not a state of its own here: until the backend has agreed, the session
 * is an exchange (http/exchange.h).
 *
 * Also the WebSocket side of an upgrade: session_upgrade_ops are the door's hooks.
 */
#ifndef ROOST_WS_SESSION_H
#define ROOST_WS_SESSION_H

#include "base/reasons.h"

struct registry;
struct session;
struct upgrade_ops;

/* For front_init, with the worker's registry as argument. */
extern const struct upgrade_ops session_upgrade_ops;

enum session_state {
	SESSION_CONNECTED,    /* waiting for either side to say something */
	SESSION_RECONNECTING, /* waiting for a new backend; its client is held */
	SESSION_CLOSING,      /* waiting for Close frames and queues to get through */
	SESSION_CLOSED        /* waiting for the end of the turn */
};

/* "connected" ... */
const char *session_state_name(enum session_state state);

/* Ends a session in good order: Close with client_code to the client, 1001 with text to
 * the backend (where a frame boundary allows it), and out when the client has answered
 * or time is up. Does nothing to a session that is closing already. */
void session_close(struct session *s, enum reason why, unsigned client_code,
    const char *text);

/* The one way out: releases the pin, counts, logs one line, closes both sides.
 * Idempotent; freed at the end of the turn. */
void session_end(struct session *s, enum reason why);

#endif
