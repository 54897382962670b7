/* SPDX-License-Identifier: MIT
 *
 * sink.h - lines to a file that may be slow, without ever waiting for it.
 *
 * Each producer appends to a buffer of its own; a thread writes them out. When the disk
 * stalls, buffers fill up to a limit and lines beyond it are dropped and counted; when
 * it is full, what cannot be written is. Lines are whole or not there at all, and those
 * of one producer keep their order.
 */
#ifndef ROOST_BASE_SINK_H
#define ROOST_BASE_SINK_H

#include "base/str.h"
#include <stdint.h>

enum { SINK_FEED_MAX = 4 << 20 }; /* bytes that one producer may have waiting */

struct sink;
struct sink_feed;

/* Opens file for appending and starts the thread. "stderr" is the process's own. A FIFO
 * must have a reader. NULL: errno says why. */
struct sink *sink_open(const char *file);

/* Writes what is there (waiting at most a second for a stalled disk), ends the thread.
 * All feeds must be closed. NULL is fine. */
void sink_close(struct sink *s);

/* The thread opens the file anew, for rotation, before it writes again; it is woken for
 * that, so that the old file is let go. Where that fails the old one stays, and the log
 * says so. Any thread. */
void sink_reopen(struct sink *s);

/* A producer. NULL: no memory. Owner and thread: the producer. */
struct sink_feed *sink_feed_open(struct sink *s);
/* What it holds is still written. NULL is fine. */
void sink_feed_close(struct sink_feed *f);

/* Appends a whole line (with its newline). The lock it takes is held by the thread only
 * to swap buffers; no allocation in the steady state; a system call only to wake the
 * thread: once per 32 KiB, or for the first line after a pause. */
void sink_put(struct sink_feed *f, struct str line);

/* Counts a line that could not even be put together. */
void sink_drop(struct sink_feed *f);

/* Lines dropped since it was opened, for whatever reason. Any thread. */
uint64_t sink_dropped(const struct sink *s);

#endif
