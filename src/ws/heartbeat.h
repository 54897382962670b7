/* SPDX-License-Identifier: MIT
 *
 * heartbeat.h - is a silent side still there? Pure: times in, what to do out.
 *
 * A side that has shown no life for `interval` is pinged; one that shows none within
 * `timeout` after that is dead. Life is any byte read from it, and any queued byte that
 * it took. Where a side cannot show life, because it is not read or has not yet taken
 * what waits for it, nothing is concluded: such a side has a limit of its own
 * (timeouts.write).
 *
 * Our pings carry a payload of our own, so that only the answers to them are swallowed:
 * "roost", 8 hex digits that nobody else knows, 8 that count.
 */
#ifndef ROOST_WS_HEARTBEAT_H
#define ROOST_WS_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

/* What is known of one side. Times of clock_now_ms. */
struct heartbeat_side {
	uint64_t alive_ms; /* its last sign of life */
	uint64_t asked_ms; /* when our last ping went to it; 0: none did */
	bool mute;         /* not read, or blocked: it cannot show life */
};

struct heartbeat_times {
	uint64_t interval_ms; /* jittered; 0: no heartbeats */
	uint64_t timeout_ms;  /* 0: a ping may stay without an answer */
};

enum heartbeat_act { HEARTBEAT_WAIT, HEARTBEAT_PING, HEARTBEAT_DEAD };

/* What is to be done now. *wait_r: when to ask again, in ms, at least 1; UINT64_MAX:
 * never. */
enum heartbeat_act heartbeat_next(const struct heartbeat_side *side,
    const struct heartbeat_times *times, uint64_t now_ms, uint64_t *wait_r);

/* Should heartbeat_next have been asked about it `slack_ms` ago at the latest, and was
 * not? */
bool heartbeat_is_overdue(const struct heartbeat_side *side,
    const struct heartbeat_times *times, uint64_t slack_ms, uint64_t now_ms);

/* ms, 10 % less to 10 % more by where `jitter` lies in its range: what was set up
 * together drifts apart. The same jitter always gives the same. */
uint64_t heartbeat_jitter(uint64_t ms, uint8_t jitter);

enum { HEARTBEAT_PAYLOAD = 5 + 8 + 8 };

void heartbeat_write(uint8_t out[HEARTBEAT_PAYLOAD], uint32_t token, uint32_t number);

/* Is this unmasked payload of a pong the answer to a ping with this token? */
bool heartbeat_read(const uint8_t *payload, unsigned n, uint32_t token,
    uint32_t *number_r);

#endif
