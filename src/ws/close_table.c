/* SPDX-License-Identifier: MIT
 *
 * close_table.c - from reasons and close codes to causes; see close_table.h.
 *
 * A reason that roost or an accident gave decides; where the two sides closed it
 * between them, the code of the one that began does.
 */
#include "ws/close_table.h"

#include "ws/frame.h"

/* CLEAN, which is 0, stands for "not in the table". */
static const uint8_t by_reason[REASON_COUNT] = {
    [REASON_CLIENT_LOST] = CAUSE_CLIENT_LOST,
    [REASON_SESSION_BACKEND_LOST] = CAUSE_BACKEND_LOST,
    [REASON_CLIENT_PROTOCOL] = CAUSE_PROTOCOL,
    [REASON_BACKEND_PROTOCOL] = CAUSE_PROTOCOL,
    [REASON_FRAME_UTF8] = CAUSE_BAD_DATA,
    [REASON_FRAME_TOO_BIG] = CAUSE_TOO_BIG,
    [REASON_CLOSE_TIMEOUT] = CAUSE_CLOSE_TIMEOUT,
    [REASON_REHOMED] = CAUSE_SERVER_SWITCH,
    [REASON_REPLAY] = CAUSE_SERVER_SWITCH,
    [REASON_REHOME_FAILED] = CAUSE_NO_BACKEND,
    [REASON_HEARTBEAT_TIMEOUT] = CAUSE_HEARTBEAT_TIMEOUT,
    [REASON_STALE] = CAUSE_STALE,
    [REASON_SLOW_READER] = CAUSE_SLOW_READER,
    [REASON_SESSION_AGE] = CAUSE_SESSION_AGE,
    [REASON_REPLACED] = CAUSE_REPLACED,
    [REASON_KICKED] = CAUSE_KICKED,
    [REASON_SHUTDOWN] = CAUSE_SHUTDOWN,
    [REASON_UPGRADED] = CAUSE_SHUTDOWN,
    [REASON_NO_MEMORY] = CAUSE_INTERNAL,
    [REASON_INTERNAL] = CAUSE_INTERNAL,
};

static enum cause
by_code(unsigned code)
{
	switch (code) {
	case CLOSE_NORMAL:
	case CLOSE_NO_STATUS: return CAUSE_CLEAN;
	case CLOSE_GOING_AWAY: return CAUSE_GOING_AWAY;
	case CLOSE_PROTOCOL: return CAUSE_PROTOCOL;
	case CLOSE_UNSUPPORTED:
	case CLOSE_BAD_DATA: return CAUSE_BAD_DATA;
	case CLOSE_POLICY: return CAUSE_POLICY;
	case CLOSE_TOO_BIG: return CAUSE_TOO_BIG;
	case CLOSE_RESTART:
	case CLOSE_TRY_LATER:
	case CLOSE_BAD_GATEWAY: return CAUSE_RESTART;
	default: return code >= 3000 ? CAUSE_APPLICATION : CAUSE_ERROR;
	}
}

enum cause
close_cause(enum reason why, unsigned code)
{
	enum cause cause = by_reason[why];

	return cause != CAUSE_CLEAN ? cause : by_code(code);
}
