/* SPDX-License-Identifier: MIT
 *
 * out.h - what people read: text, colours, tables, bars.
 *
 * Everything is written to memory first and goes out in one piece, so that a picture
 * does not flicker and a test can look at it. Whatever came from elsewhere is cleaned
 * of control characters on its way: a backend's name must not drive a terminal.
 */
#ifndef ROOST_CTL_OUT_H
#define ROOST_CTL_OUT_H

#include "base/strbuf.h"

enum paint { PLAIN, GOOD, WARN, BAD, DIM, BOLD };

struct out {
	struct strbuf text;
	bool colours;
	bool is_terminal;
	bool utf8;
};

/* when: auto, always or never (NULL: auto). False: none of these. */
bool out_init(struct out *o, const char *when) MUST_CHECK;

/* Writes what there is to standard output, and begins anew. False: it could not be. */
bool out_flush(struct out *o);
void out_fini(struct out *o);

void out_printf(struct out *o, const char *format, ...) PRINTF_LIKE(2, 3);
void out_paint(struct out *o, enum paint paint, const char *text);

/* Columns that it takes on a terminal. */
size_t text_width(const char *text);

/* A copy without control characters, to be freed; NULL: no memory. */
char *text_clean(const char *text);

/* "3m 12s", "250ms"; buf is returned. */
enum { NUMBER_TEXT = 32 };
const char *text_duration(uint64_t ms, char buf[NUMBER_TEXT]);

/* "12.3k", "4.0M" of bytes. */
const char *text_size(uint64_t bytes, char buf[NUMBER_TEXT]);

/* A bar of `width` columns, part/whole of it full. */
void out_bar(struct out *o, enum paint paint, uint64_t part, uint64_t whole,
    unsigned width);

#endif
