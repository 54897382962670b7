/* SPDX-License-Identifier: MIT
 *
 * metrics_sources.h - who writes the samples of a metric; named by metrics.def.
 */
#ifndef ROOST_ADMIN_METRICS_SOURCES_H
#define ROOST_ADMIN_METRICS_SOURCES_H

struct exposition;
struct metric;

#define METRIC(name, type, labels, source, argument, help) \
	void write_##source(struct exposition *e, const struct metric *m);
#include "admin/metrics.def"
#undef METRIC

#endif
