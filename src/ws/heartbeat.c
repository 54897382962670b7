/* SPDX-License-Identifier: MIT
 *
 * heartbeat.c - when to ping, and when to give up; see heartbeat.h.
 *
 * All of it follows from a few times that traffic stores anyway: nothing is counted or
 * armed per message.
 */
#include "ws/heartbeat.h"

#include <string.h>

enum { PREFIX = 5, DIGITS = 8, JITTER_PERCENT = 10 };

static const char prefix[PREFIX] = {'r', 'o', 'o', 's', 't'};

/* Has it been asked, and not shown life since? */
static bool
is_asked(const struct heartbeat_side *side)
{
	return side->asked_ms > side->alive_ms;
}

/* How long until `span` after `since`; 0: it is over. */
static uint64_t
left_of(uint64_t since, uint64_t span, uint64_t now_ms)
{
	return now_ms < since + span ? since + span - now_ms : 0;
}

static uint64_t
lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

enum heartbeat_act
heartbeat_next(const struct heartbeat_side *side, const struct heartbeat_times *times,
    uint64_t now_ms, uint64_t *wait_r)
{
	uint64_t interval = times->interval_ms, timeout = times->timeout_ms, left;

	*wait_r = interval ? interval : UINT64_MAX;
	if (interval == 0 || side->mute)
		return HEARTBEAT_WAIT;
	if (!is_asked(side)) {
		left = left_of(side->alive_ms, interval, now_ms);
		if (left)
			*wait_r = left;
		else if (timeout)
			*wait_r = lesser(timeout, interval);
		return left ? HEARTBEAT_WAIT : HEARTBEAT_PING;
	}
	if (timeout == 0)
		return HEARTBEAT_WAIT;
	left = left_of(side->asked_ms, timeout, now_ms);
	/* an answer may come at once, and then silence again */
	*wait_r = lesser(left, interval);
	return left ? HEARTBEAT_WAIT : HEARTBEAT_DEAD;
}

bool
heartbeat_is_overdue(const struct heartbeat_side *side,
    const struct heartbeat_times *times, uint64_t slack_ms, uint64_t now_ms)
{
	uint64_t unused;

	return now_ms > slack_ms && heartbeat_next(side, times, now_ms - slack_ms,
					&unused) != HEARTBEAT_WAIT;
}

uint64_t
heartbeat_jitter(uint64_t ms, uint8_t jitter)
{
	return ms - ms * JITTER_PERCENT / 100 +
	       ms * (2 * JITTER_PERCENT) / 100 * jitter / UINT8_MAX;
}

static void
hex_write(uint8_t *out, uint32_t value)
{
	for (int i = DIGITS - 1; i >= 0; i--, value >>= 4)
		out[i] = (uint8_t) "0123456789abcdef"[value & 15];
}

static bool
hex_read(const uint8_t *p, uint32_t *value_r)
{
	*value_r = 0;
	for (unsigned i = 0; i < DIGITS; i++) {
		unsigned digit = p[i] - '0';

		if (p[i] >= 'a' && p[i] <= 'f')
			digit = p[i] - 'a' + 10u;
		else if (digit > 9)
			return false;
		*value_r = *value_r << 4 | digit;
	}
	return true;
}

void
heartbeat_write(uint8_t out[HEARTBEAT_PAYLOAD], uint32_t token, uint32_t number)
{
	memcpy(out, prefix, PREFIX);
	hex_write(out + PREFIX, token);
	hex_write(out + PREFIX + DIGITS, number);
}

bool
heartbeat_read(const uint8_t *payload, unsigned n, uint32_t token, uint32_t *number_r)
{
	uint32_t seen;

	return n == HEARTBEAT_PAYLOAD && memcmp(payload, prefix, PREFIX) == 0 &&
	       hex_read(payload + PREFIX, &seen) && seen == token &&
	       hex_read(payload + PREFIX + DIGITS, number_r);
}
