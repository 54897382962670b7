/* SPDX-License-Identifier: MIT
 *
 * metrics_sources.c - what is known of upstreams, backends and sessions, as samples;
 * each function writes those of one kind of metric.
 */
#include "admin/metrics_sources.h"

#include "admin/api_private.h"
#include "admin/metrics.h"
#include "base/causes.h"
#include "route/planner.h"
#include "upstream/amend.h"
#include "upstream/backend.h"
#include <stdio.h>

static const char *const sides[SIDES] = {"client", "backend"};

static const struct snapshot *
snapshot_of(const struct exposition *e)
{
	const struct admin_host *host = &e->admin->host;

	return host->snapshot(host->arg);
}

void
write_worker(struct exposition *e, const struct metric *m)
{
	const struct admin_host *host = &e->admin->host;

	sample(e, m, host->counter(host->arg, (enum counter)m->argument), NULL);
}

/* ---- upstreams ---- */

/* Its counts that the metric is about. */
static const _Atomic uint64_t *
counts_of(const struct exposition *e, const struct metric *m, size_t upstream)
{
	const char *counts = (const char *)&e->upstreams[upstream];

	return (const _Atomic uint64_t *)(const void *)(counts + m->argument);
}

static void
each_upstream(struct exposition *e, const struct metric *m,
    void (*write)(struct exposition *e, const struct metric *m, const char *name,
	const _Atomic uint64_t *counts))
{
	const struct snapshot *s = snapshot_of(e);

	for (size_t i = 0; i < s->n_upstreams; i++)
		write(e, m, s->upstreams[i].conf->name, counts_of(e, m, i));
}

static void
upstream_one(struct exposition *e, const struct metric *m, const char *name,
    const _Atomic uint64_t *count)
{
	sample(e, m, tally_get(count), (const char *[]){name});
}

void
write_upstream(struct exposition *e, const struct metric *m)
{
	each_upstream(e, m, upstream_one);
}

static void
upstream_sides(struct exposition *e, const struct metric *m, const char *name,
    const _Atomic uint64_t *counts)
{
	for (unsigned i = 0; i < SIDES; i++)
		sample(e, m, tally_get(&counts[i]), (const char *[]){name, sides[i]});
}

void
write_upstream_sides(struct exposition *e, const struct metric *m)
{
	each_upstream(e, m, upstream_sides);
}

static void
upstream_moves(struct exposition *e, const struct metric *m, const char *name,
    const _Atomic uint64_t *counts)
{
	for (unsigned i = 0; i < MOVE_CAUSES; i++)
		sample(e, m, tally_get(&counts[i]),
		    (const char *[]){name, i == MOVE_LOST ? "lost" : move_why_name(i)});
}

void
write_moves(struct exposition *e, const struct metric *m)
{
	static_assert(MOVE_LOST == MOVE_ASKED + 1, "it comes after them");
	each_upstream(e, m, upstream_moves);
}

void
write_failures(struct exposition *e, const struct metric *m)
{
	const struct snapshot *s = snapshot_of(e);

	for (size_t i = 0; i <= s->n_upstreams; i++) {
		const char *name = i < s->n_upstreams ? s->upstreams[i].conf->name : "";
		const _Atomic uint64_t *failures = e->upstreams[i].failures;

		for (unsigned why = 0; why < REASON_COUNT; why++)
			if (tally_get(&failures[why]))
				sample(e, m, tally_get(&failures[why]),
				    (const char *[]){name, reason_label(why)});
	}
}

void
write_quota_refusals(struct exposition *e, const struct metric *m)
{
	static const enum reason reasons[] = {REASON_CLIENT_RATE,
	    REASON_CLIENT_EXCHANGES, REASON_CLIENT_SESSIONS, REASON_CLIENT_UPGRADES,
	    REASON_UPGRADES};
	const struct snapshot *s = snapshot_of(e);

	for (size_t i = 0; i < s->n_upstreams; i++)
		for (size_t j = 0; j < sizeof reasons / sizeof *reasons; j++)
			sample(e, m, tally_get(&e->upstreams[i].failures[reasons[j]]),
			    (const char *[]){s->upstreams[i].conf->name,
				reason_label(reasons[j])});
}

/* ---- histograms ---- */

static void
write_seconds(struct strbuf *out, uint64_t us)
{
	strbuf_printf(out, "%llu.%06llu", (unsigned long long)us / 1000000,
	    (unsigned long long)us % 1000000);
}

static void
write_bucket(struct exposition *e, const struct metric *m, const char *const values[],
    double bound, uint64_t n)
{
	char le[32];

	snprintf(le, sizeof le, "%.15g", bound);
	sample_begin(e, m, "_bucket", values, le);
	strbuf_printf(e->out, "%llu\n", (unsigned long long)n);
}

static void
write_count(struct exposition *e, const struct metric *m, const char *const values[],
    uint64_t n)
{
	sample_begin(e, m, "_bucket", values, "+Inf");
	strbuf_printf(e->out, "%llu\n", (unsigned long long)n);
	sample_begin(e, m, "_count", values, NULL);
	strbuf_printf(e->out, "%llu\n", (unsigned long long)n);
	sample_begin(e, m, "_sum", values, NULL);
}

static void
write_times(struct exposition *e, const struct metric *m, const char *name,
    const struct time_histogram *h, const uint64_t bounds[TIME_BOUNDS])
{
	const char *const values[] = {name};
	uint64_t n = 0;

	for (unsigned i = 0; i < TIME_BOUNDS; i++) {
		n += tally_get(&h->buckets[i]);
		write_bucket(e, m, values, (double)bounds[i] / 1e6, n);
	}
	write_count(e, m, values, n + tally_get(&h->buckets[TIME_BOUNDS]));
	write_seconds(e->out, tally_get(&h->sum_us));
	strbuf_lit(e->out, "\n");
}

static void
upstream_short_times(struct exposition *e, const struct metric *m, const char *name,
    const _Atomic uint64_t *counts)
{
	write_times(e, m, name, (const struct time_histogram *)(const void *)counts,
	    short_times);
}

void
write_short_times(struct exposition *e, const struct metric *m)
{
	each_upstream(e, m, upstream_short_times);
}

static void
upstream_long_times(struct exposition *e, const struct metric *m, const char *name,
    const _Atomic uint64_t *counts)
{
	write_times(e, m, name, (const struct time_histogram *)(const void *)counts,
	    long_times);
}

void
write_long_times(struct exposition *e, const struct metric *m)
{
	each_upstream(e, m, upstream_long_times);
}

/* 64 bytes to 16 MiB, each four times the one before. */
static void
upstream_sizes(struct exposition *e, const struct metric *m, const char *name,
    const _Atomic uint64_t *counts)
{
	const struct size_histogram *h = (const void *)counts;

	for (unsigned i = 0; i < SIDES; i++) {
		const char *const values[] = {name, sides[i]};

		for (unsigned power = 6; power <= 24; power += 2)
			write_bucket(e, m, values, (double)(UINT64_C(1) << power),
			    size_upto(&h[i], power));
		write_count(e, m, values, size_upto(&h[i], SIZE_BUCKETS - 1));
		strbuf_printf(e->out, "%llu\n",
		    (unsigned long long)tally_get(&h[i].sum));
	}
}

void
write_sizes(struct exposition *e, const struct metric *m)
{
	each_upstream(e, m, upstream_sizes);
}

/* ---- backends ---- */

struct seen_backend {
	const char *upstream, *name;
	const struct backend *b;
	const struct backend_counts *counts;
};

static void
each_backend(struct exposition *e, const struct metric *m,
    void (*write)(struct exposition *e, const struct metric *m,
	const struct seen_backend *seen))
{
	const struct snapshot *s = snapshot_of(e);
	size_t n = 0;

	for (size_t i = 0; i < s->n_upstreams; i++)
		for (size_t j = 0; j < s->upstreams[i].n_backends; j++) {
			const struct backend *b = s->upstreams[i].backends[j];
			struct seen_backend seen = {s->upstreams[i].conf->name, b->name,
			    b, &e->backends[n++]};

			write(e, m, &seen);
		}
}

static void
backend_sample(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen, const char *label, uint64_t value)
{
	sample(e, m, value, (const char *[]){seen->upstream, seen->name, label});
}

static const _Atomic uint64_t *
backend_counts_of(const struct metric *m, const struct seen_backend *seen)
{
	return (const void *)((const char *)seen->counts + m->argument);
}

static void
backend_one(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	backend_sample(e, m, seen, "", tally_get(backend_counts_of(m, seen)));
}

void
write_backend(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_one);
}

static void
backend_sides(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	for (unsigned i = 0; i < SIDES; i++)
		backend_sample(e, m, seen, sides[i],
		    tally_get(&backend_counts_of(m, seen)[i]));
}

void
write_backend_sides(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_sides);
}

static const char *const classes[STATUS_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx",
    "5xx"};

static void
backend_exchanges(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	for (unsigned i = 0; i < STATUS_CLASSES; i++)
		backend_sample(e, m, seen, classes[i],
		    tally_get(&seen->counts->answers[i]));
}

void
write_exchanges(struct exposition *e, const struct metric *m)
{
	const struct snapshot *s = snapshot_of(e);

	each_backend(e, m, backend_exchanges);
	for (size_t i = 0; i <= s->n_upstreams; i++) {
		const char *name = i < s->n_upstreams ? s->upstreams[i].conf->name : "";

		for (unsigned j = 0; j < STATUS_CLASSES; j++)
			sample(e, m, tally_get(&e->upstreams[i].answers[j]),
			    (const char *[]){name, "", classes[j]});
	}
}

static void
backend_up(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	backend_sample(e, m, seen, "",
	    backend_use_is_serving(backend_use(seen->b, e->now_ms)));
}

void
write_up(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_up);
}

static void
backend_uses(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	enum backend_use now = backend_use(seen->b, e->now_ms);

	for (unsigned use = 0; view_use(use); use++)
		backend_sample(e, m, seen, view_use(use), use == now);
}

void
write_use(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_uses);
}

static void
backend_states(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	static const enum backend_admin_state states[] = {BACKEND_UP, BACKEND_DRAIN,
	    BACKEND_DOWN};
	int now = atomic_load(&seen->b->admin_state);

	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		backend_sample(e, m, seen, backend_state_name(states[i]),
		    now == (int)states[i]);
}

void
write_state(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_states);
}

static void
backend_weight(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	backend_sample(e, m, seen, "", atomic_load(&seen->b->weight));
}

void
write_weight(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_weight);
}

static void
backend_in_flight(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	backend_sample(e, m, seen, "", atomic_load(&seen->b->exchanges));
}

void
write_in_flight(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_in_flight);
}

static void
backend_sessions(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	backend_sample(e, m, seen, "", atomic_load(&seen->b->sessions));
}

void
write_sessions(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_sessions);
}

static void
backend_sockets(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	backend_sample(e, m, seen, "", atomic_load(&seen->b->sockets));
}

void
write_sockets(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_sockets);
}

static void
backend_awaited(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	backend_sample(e, m, seen, "", atomic_load(&seen->b->awaited));
}

void
write_awaited(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_awaited);
}

static void
backend_health(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	backend_sample(e, m, seen, "unhealthy", atomic_load(&seen->b->sickened));
	backend_sample(e, m, seen, "healthy", atomic_load(&seen->b->recovered));
}

void
write_health_changes(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_health);
}

static void
backend_ejections(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	static const char *const names[EJECTED_REASONS] = {
	    [EJECTED_ANSWERS] = "bad_answers",
	    [EJECTED_SLOW] = "slow_answers",
	    [EJECTED_CLOSES] = "abnormal_ends",
	    [EJECTED_CONNECTS] = "failed_connections",
	};

	for (unsigned i = 0; i < EJECTED_REASONS; i++)
		backend_sample(e, m, seen, names[i],
		    tally_get(&seen->b->outlier.times[i]));
}

void
write_ejections(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_ejections);
}

/* ---- ends of sessions ---- */

static void
backend_causes(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	for (unsigned i = 0; i < CAUSE_COUNT; i++)
		if (tally_get(&seen->b->ends[i]))
			backend_sample(e, m, seen, cause_label(i),
			    tally_get(&seen->b->ends[i]));
}

void
write_causes(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_causes);
}

static void
backend_codes(struct exposition *e, const struct metric *m,
    const struct seen_backend *seen)
{
	const _Atomic uint64_t *const counts[] = {seen->b->client_codes,
	    seen->b->backend_codes};

	for (unsigned side = 0; side < SIDES; side++)
		for (unsigned slot = 0; slot < CODE_SLOTS; slot++)
			if (tally_get(&counts[side][slot]))
				sample(e, m, tally_get(&counts[side][slot]),
				    (const char *[]){seen->upstream, seen->name,
					sides[side], code_slot_label(slot)});
}

void
write_codes(struct exposition *e, const struct metric *m)
{
	each_backend(e, m, backend_codes);
}
