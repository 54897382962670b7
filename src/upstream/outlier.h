/* SPDX-License-Identifier: MIT
 *
 * outlier.h - passive health: which backends does traffic meet trouble with?
 *
 * Three kinds of trouble, each counted in a row and each off unless configured: bad
 * answers, sessions that end abnormally, answers that come late. A backend that has had
 * enough of one kind is ejected: nothing new goes there for a while, but what it has it
 * keeps, since it works well enough to answer. (Failed connections are another matter,
 * see backend_mark_failed.) How many may be out at once is limited, and at least one
 * backend stays.
 *
 * Atomics only; where a kind is off it costs one look at the configuration.
 */
#ifndef ROOST_UPSTREAM_OUTLIER_H
#define ROOST_UPSTREAM_OUTLIER_H

#include "base/clock.h"
#include "base/random.h"
#include "base/reasons.h"
#include "upstream/upstream.h"

/* Why a backend was left alone for a while. */
enum ejected_for {
	EJECTED_ANSWERS,
	EJECTED_SLOW,
	EJECTED_CLOSES,
	EJECTED_CONNECTS, /* by backend_mark_failed */
	EJECTED_REASONS
};

/* Of one backend; embedded there. Thread: any. */
struct outlier {
	/* of the configuration, for backend_mark_failed */
	_Atomic uint32_t connect_errors;
	_Atomic uint64_t eject_ms, max_eject_ms;

	_Atomic uint32_t errors, closes, slow;   /* in a row */
	_Atomic uint32_t ejections;              /* in a row */
	_Atomic uint64_t ejected_until_ms;       /* 0: never was */
	_Atomic uint64_t times[EJECTED_REASONS]; /* in all */
};

void outlier_init(struct outlier *o);

void outlier_configure(struct outlier *o, const struct config_outliers *conf);

static inline bool
outlier_is_ejected(const struct outlier *o, uint64_t now_ms)
{
	return atomic_load_explicit(&o->ejected_until_ms, memory_order_relaxed) >
	       now_ms;
}

/* The slow halves of what follows. jitter: any random number. */
void outlier_note_answer(const struct upstream *up, struct backend *b, bool bad,
    uint64_t after_ms, uint64_t now_ms, uint64_t jitter);
void outlier_note_end(const struct upstream *up, struct backend *b, bool bad,
    uint64_t now_ms, uint64_t jitter);

/* Is the time of first bytes wanted? */
static inline bool
outlier_is_timed(const struct upstream *up)
{
	return up->conf->outliers.latency_ms != 0;
}

/* The backend answered what was sent to it at sent_us (0: not measured). */
static inline void
outlier_answered(const struct upstream *up, struct backend *b, unsigned status,
    uint64_t sent_us, struct random *random)
{
	const struct config_outliers *conf = &up->conf->outliers;
	bool bad = status == 500 || (status >= 502 && status <= 504);

	if (conf->errors || conf->latency_ms)
		outlier_note_answer(up, b, bad,
		    sent_us ? (clock_now_us() - sent_us) / 1000 : 0, clock_now_ms(),
		    random_u64(random));
}

/* An exchange with it failed, for that reason: no, no whole or no right answer counts
 * as a bad one; failed connections, and what is not the backend's fault, do not. */
static inline void
outlier_failed(const struct upstream *up, struct backend *b, enum reason why,
    struct random *random)
{
	bool bad = why == REASON_BACKEND_LOST || why == REASON_BAD_RESPONSE ||
		   why == REASON_FIRST_BYTE_TIMEOUT || why == REASON_RESPONSE_TIMEOUT;

	if (bad && up->conf->outliers.errors)
		outlier_note_answer(up, b, true, 0, clock_now_ms(), random_u64(random));
}

/* A session with it ended, by its doing or not, with this code (1006: without any).
 * What clients and roost end counts as a good end. */
static inline void
outlier_session_ended(const struct upstream *up, struct backend *b, bool by_backend,
    unsigned code, struct random *random)
{
	bool bad = by_backend && (code == 1006 || code == 1011);

	if (up->conf->outliers.closes)
		outlier_note_end(up, b, bad, clock_now_ms(), random_u64(random));
}

/* ---- arithmetic; pure ---- */

/* How long for the n-th time in a row (from 1): first, doubling up to max, +-30 %. */
uint64_t outlier_eject_ms(uint64_t first, uint64_t max, uint32_t n, uint64_t jitter);

/* May one more of n backends be ejected, `ejected` being out for that reason and
 * `serving`, this one included, being in service? */
bool outlier_may_eject(unsigned n, unsigned ejected, unsigned serving,
    unsigned max_percent);

/* ---- all out ---- */

/* An upstream without a backend in service. */
struct panic {
	uint64_t upstream; /* its id */
	bool by_order;     /* all are drained or down: nobody is served; else some are
			      ailing, and requests go to these */
};

/* Says when that begins and when it is over. Owner and thread: the control thread.
 * Zeroed at first. */
struct panics {
	struct panic *all;
	size_t n, cap;
};

void panics_look(struct panics *p, const struct snapshot *s, uint64_t now_ms);
void panics_fini(struct panics *p);

#endif
