/* SPDX-License-Identifier: MIT
 *
 * answers.h - picks the answers to replayed messages out of what a new backend says.
 * Pure.
 *
 * The client has had them from the old backend. Without answer_field whole messages are
 * counted; with it a message is looked at when it is whole. What is no answer stays in
 * the buffer as it came, also the control frames between an answer's fragments.
 */
#ifndef ROOST_WS_ANSWERS_H
#define ROOST_WS_ANSWERS_H

#include "base/strbuf.h"
#include "ws/frame.h"

struct config_replay;

enum answers_kind { ANSWERS_NONE, ANSWERS_OTHER, ANSWERS_MAYBE, ANSWERS_SURE };

/* Owner: the move it is embedded in. */
struct answers {
	const struct config_replay *conf; /* borrowed */
	struct frame_scanner scan;
	struct strbuf message; /* MAYBE: so far, without control frames */
	size_t from, at; /* in the buffer: the message under way, what was scanned */
	unsigned due;    /* so many answers are still to come */
	enum answers_kind kind; /* of the message under way */
};

enum answers_event {
	ANSWERS_MORE,   /* all has been looked at */
	ANSWERS_CLOSED, /* a Close lies at `at` */
	ANSWERS_BAD     /* no WebSocket frames */
};

void answers_init(struct answers *a, const struct config_replay *conf, bool compressed);
void answers_fini(struct answers *a);

/* Looks at what has been appended to the buffer since, and cuts answers out of it while
 * some are due. Only a message that begins after `due` was set can be one. */
enum answers_event answers_take(struct answers *a, struct strbuf *buffer,
    unsigned *close_code_r);

#endif
