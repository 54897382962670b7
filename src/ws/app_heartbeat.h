/* SPDX-License-Identifier: MIT
 *
 * app_heartbeat.h - heartbeats that applications send as messages of their own, such as
 * {"type":"ping"}, answered by roost.
 *
 * Only routes that name some look at messages at all, and only at small ones: text,
 * whole in one frame, not compressed, at most APP_HEARTBEAT_MAX bytes. Such a frame is
 * not passed on before it is whole. Pure but for what app_heartbeats_* in
 * session_private.h do with a session.
 */
#ifndef ROOST_WS_APP_HEARTBEAT_H
#define ROOST_WS_APP_HEARTBEAT_H

#include "base/str.h"
#include <stdint.h>

struct config_app_heartbeat;
struct strbuf;

enum { APP_HEARTBEAT_MAX = 1024 };

enum app_look {
	APP_OTHER, /* not such a message */
	APP_PART,  /* maybe one, and not all of it is there */
	APP_WHOLE
};

/* What begins at p, between two messages of a client? */
enum app_look app_heartbeat_look(const uint8_t *p, size_t n);

/* The text of a whole frame (APP_WHOLE) of n bytes, without its mask, in out. */
struct str app_heartbeat_unmask(const uint8_t *frame, size_t n,
    char out[APP_HEARTBEAT_MAX]);

/* Which of all[0..n) is this message? NULL: none. */
const struct config_app_heartbeat *app_heartbeat_match(const struct config_app_heartbeat
							   *all,
    size_t n, struct str message);

/* Appends its answer: the configured text, each member that is "{time_ms}" replaced by
 * the number wall_ms. */
void app_heartbeat_answer(const struct config_app_heartbeat *heartbeat, int64_t wall_ms,
    struct strbuf *out);

#endif
