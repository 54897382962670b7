/* SPDX-License-Identifier: MIT
 *
 * screen.h - the terminal, taken over for a live view and given back as it was.
 */
#ifndef ROOST_CTL_SCREEN_H
#define ROOST_CTL_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

struct strbuf;

enum screen_event { SCREEN_TIME, SCREEN_RESIZED, SCREEN_QUIT };

/* Once per process. Without a terminal on both ends only screen_wait does anything. */
void screen_open(void);

/* Idempotent; also what happens when the process is told to end. */
void screen_close(void);

/* Shows a text from the upper left corner, as much of it as fits. */
void screen_show(const struct strbuf *text);

/* Until so many milliseconds are over, the window has another size, or somebody wants
 * to leave: by q, Ctrl-C, a signal, or by closing what is written to. */
enum screen_event screen_wait(uint64_t ms);

#endif
