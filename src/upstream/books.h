/* SPDX-License-Identifier: MIT
 *
 * books.h - what is counted of an upstream, and of a backend.
 *
 * Each of them has its books, with a page for every thread that had to do with it, on
 * which that thread alone writes: counting takes no lock and no locked instruction.
 * Who wants to know adds the pages up. Books live as long as somebody holds them; a
 * reload carries those of an upstream over by its name and those of a backend with its
 * record, so counts go on, and what comes anew begins at zero.
 *
 * A page is nothing but counts, whatever they are called, so that pages can be added
 * up as arrays.
 */
#ifndef ROOST_UPSTREAM_BOOKS_H
#define ROOST_UPSTREAM_BOOKS_H

#include "base/reasons.h"
#include "loop/histogram.h"
#include <stddef.h>

/* A response's status, or 0: the client got none. */
enum { STATUS_CLASSES = 6 };

static inline unsigned
status_class(unsigned status)
{
	return status < STATUS_CLASSES * 100 ? status / 100 : 0;
}

/* Of sessions that were to be moved to another backend, and why. */
enum move_fate { MOVES_STARTED, MOVES_DONE, MOVES_FAILED, MOVES_CLOSED, MOVE_FATES };
/* As enum move_why of route/planner.h, and then: its backend was lost. */
enum { MOVE_LOST = 3, MOVE_CAUSES };

/* The two directions: what clients said, what backends did. */
enum { FROM_CLIENT, FROM_BACKEND, SIDES };

/* Of one upstream; those of the whole, for which no upstream is known, have them too.
 */
struct upstream_counts {
	_Atomic uint64_t answers[STATUS_CLASSES]; /* that no backend gave */
	_Atomic uint64_t
	    failures[REASON_COUNT]; /* refused, answered by us, cut, left */
	_Atomic uint64_t retries;
	_Atomic uint64_t waiting; /* now, in the queue for a place */
	struct time_histogram queue, connect, first_byte, total;

	struct time_histogram lives; /* of sessions */
	struct size_histogram messages[SIDES];
	_Atomic uint64_t bad_frames[SIDES];
	_Atomic uint64_t pings[SIDES], pongs[SIDES],
	    silent[SIDES]; /* to and of a side */
	_Atomic uint64_t app_heartbeats;
	_Atomic uint64_t reconnects;
	_Atomic uint64_t maybe_lost, sent_again; /* client messages */
	_Atomic uint64_t moves[MOVE_FATES][MOVE_CAUSES];
	struct time_histogram pauses;
};

/* Of one backend. */
struct backend_counts {
	_Atomic uint64_t answers[STATUS_CLASSES];
	_Atomic uint64_t bytes[SIDES]; /* of bodies */
	_Atomic uint64_t dials, dials_failed, reuses;
	_Atomic uint64_t idle;     /* now: kept connections */
	_Atomic uint64_t sessions; /* opened there */
};

struct books;

/* For pages of n bytes, with one reference. NULL: no memory. Any thread, as all. */
struct books *books_new(size_t n);
struct books *books_get(struct books *b); /* returns b */
void books_put(struct books *b);          /* NULL is fine */

/* The calling thread's page, to be written by it alone, while the books live. Looks for
 * it: who needs it often keeps the pointer. Without memory what is counted is lost: it
 * goes to a page that nobody reads, of at least n bytes. Never NULL. */
void *books_page(struct books *b);

/* Adds the pages up in *sum, which has the books' size. */
void books_sum(const struct books *b, void *sum);

#endif
