/* SPDX-License-Identifier: MIT
 *
 * describe.h - everything that can be told of a live session, as plain values.
 *
 * Thread: the session's worker; what it points to lives as long as the session is not
 * buried.
 */
#ifndef ROOST_WS_DESCRIBE_H
#define ROOST_WS_DESCRIBE_H

#include "base/addr.h"
#include "base/hash.h"
#include "ws/history.h"
#include "ws/session.h"

struct side_view {
	uint64_t messages, bytes;        /* that came from it */
	uint64_t idle_ms;                /* since its last sign of life */
	uint64_t queued;                 /* bytes it has yet to take */
	uint64_t held;                   /* bytes it said that wait here */
	unsigned pings, pongs;           /* ours to it; answered */
	unsigned rtt_us, rtt_mean_us;    /* the last one; smoothed; 0: not known */
	unsigned close_said, close_seen; /* codes; 0: no Close so far */
};

struct state_view {
	enum session_state state;
	uint64_t since_ms; /* of clock_now_ms */
};

struct home_view {
	const char *backend;
	uint64_t left_ms;
};

struct session_view {
	const char *id, *upstream, *backend;
	struct hash128 key;      /* the client's */
	struct hash128 follower; /* the weaker one that goes along */
	bool has_follower;
	bool moving; /* to another backend, just now */
	struct addr peer;
	enum session_state state;
	const char *chosen_by;
	uint64_t opened_ms; /* of clock_now_ms, when it became connected */
	uint64_t age_ms, in_state_ms;
	struct side_view client_side, backend_side;
	unsigned moves;                    /* re-homed so often */
	unsigned tried, succeeded, failed; /* tries to reach another backend */
	unsigned lost, again;  /* client messages that may be lost; sent again */
	uint64_t down_ms;      /* time without a backend */
	unsigned availability; /* per ten thousand of its age */
	/* oldest first; the last one is how it is now */
	struct state_view changes[HISTORY_CHANGES + 1];
	unsigned n_changes;
	/* backends it was with before, oldest first */
	struct home_view homes[HISTORY_HOMES];
	unsigned n_homes;
};

void session_describe(const struct session *s, struct session_view *view_r);

#endif
