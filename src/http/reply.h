/* SPDX-License-Identifier: MIT
 *
 * reply.h - answers that roost makes itself: for the reasons of reasons.def, and what a
 * route says instead of a backend. Pure.
 *
 * A client that likes HTML better than JSON gets the configuration's page for the
 * status, where there is one, or a small one of ours; every other client gets JSON with
 * the members status, error (the reason's label; of 400 and more), message, request_id
 * (where there is one) and location (of redirects).
 */
#ifndef ROOST_HTTP_REPLY_H
#define ROOST_HTTP_REPLY_H

#include "base/reasons.h"
#include "base/str.h"

struct config;
struct config_route;
struct strbuf;

/* Everything borrowed; what is left out is 0. */
struct reply {
	enum reason why; /* has a status, or is RESPONDED or REDIRECTED */
	const struct config_route *route; /* of these two: whose status and text */
	struct str location;              /* REDIRECTED: where to */
	unsigned retry_s;   /* Retry-After of 429 and 503, which say 1 at least */
	struct str headers; /* more lines, each with its CRLF */
	const struct config *pages; /* whose error pages; NULL: ours */
	struct str request_id;      /* may be empty */
	unsigned minor;             /* what the client speaks */
	bool html;                  /* the client prefers HTML over JSON */
	bool head_only;             /* answer to HEAD */
	bool keep_alive;
};

/* Appends the whole response; returns the length of its head. */
size_t reply_write(struct strbuf *out, const struct reply *reply);

/* The status that reply_write writes. */
unsigned reply_status(const struct reply *reply);

/* Does this Accept value prefer HTML over JSON? Who takes anything gets JSON. */
bool reply_wants_html(struct str accept);

#endif
