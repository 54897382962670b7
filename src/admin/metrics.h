/* SPDX-License-Identifier: MIT
 *
 * metrics.h - the table of metrics, and how its samples are written.
 *
 * Owner and thread: the control thread.
 */
#ifndef ROOST_ADMIN_METRICS_H
#define ROOST_ADMIN_METRICS_H

#include "base/strbuf.h"
#include "upstream/books.h"

struct admin;
struct exposition;
struct metric;

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
	const char *name, *labels, *help; /* labels: their names, one blank between */
	enum metric_type type;
	void (*write)(struct exposition *e, const struct metric *m);
	size_t argument; /* what its source is told */
};

/* One scrape: what was counted up to now, added up once, so that all of it tells of the
 * same moment, and the text so far. */
struct exposition {
	const struct admin *admin;
	struct strbuf *out;
	uint64_t now_ms;
	struct upstream_counts *upstreams; /* of the snapshot, and of no upstream */
	struct backend_counts *backends;   /* of the snapshot, one after the other */
};

/* Writes the beginning of a sample's line: the name and suffix, the metric's labels
 * with these values (a label whose value is "" is left out), and le, unless NULL. The
 * caller adds a value and '\n'. */
void sample_begin(struct exposition *e, const struct metric *m, const char *suffix,
    const char *const values[], const char *le);

/* A whole sample of an integer. */
void sample(struct exposition *e, const struct metric *m, uint64_t value,
    const char *const values[]);

#endif
