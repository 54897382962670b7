/* SPDX-License-Identifier: MIT
 *
 * peek.h - looks into a whole message of the application: what does its JSON say? Pure.
 *
 * Only few messages of few sessions are looked at, and only small ones; the scanner
 * (frame.h) never does.
 */
#ifndef ROOST_WS_PEEK_H
#define ROOST_WS_PEEK_H

#include "base/str.h"
#include <stdint.h>

struct strbuf;

/* What a text of this many bytes says is not looked at. */
enum { PEEK_TEXT_MAX = 256 * 1024 };

/* What a member has to be: a string, number or boolean that reads as one of values
 * (n_values 0: anything). */
struct peek_wanted {
	const char *field;
	char *const *values;
	size_t n_values;
};

/* The text of a message: its frames one behind the other, with nothing in between, as
 * they came; masked or not, with RSV1 (permessage-deflate without context takeover) or
 * not. False: not text, too big, not to be inflated, or no memory. */
bool peek_text(const uint8_t *frames, size_t n, struct strbuf *text);

/* Is this text a JSON object that has such a member? */
bool peek_matches(struct str text, const struct peek_wanted *wanted);

/* Both at once. */
bool peek_message(const uint8_t *frames, size_t n, const struct peek_wanted *wanted);

#endif
