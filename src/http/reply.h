/* SPDX-License-Identifier: MIT
 *
 * reply.h - answers that roost makes itself, from reasons.def. Pure.
 */
#ifndef ROOST_HTTP_REPLY_H
#define ROOST_HTTP_REPLY_H

#include "base/reasons.h"
#include "base/str.h"

struct strbuf;

struct reply {
	enum reason why;       /* must have a status */
	struct str request_id; /* may be empty */
	unsigned minor;        /* what the client speaks */
	bool html;             /* the client prefers HTML over JSON */
	bool head_only;        /* answer to HEAD */
	bool keep_alive;
};

/* Appends the whole response. 426 and 503 say what the client can do about it
 * (Sec-WebSocket-Version, Retry-After). */
void reply_write(struct strbuf *out, const struct reply *reply);

/* Does this Accept value ask for HTML? (as browsers do; anything else gets JSON) */
bool reply_wants_html(struct str accept);

#endif
