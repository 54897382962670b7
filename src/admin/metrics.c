/* SPDX-License-Identifier: MIT
 *
 * metrics.c - GET /metrics: the text format of Prometheus, version 0.0.4.
 *
 * Everything is read from atomics and tables with leaf locks, so that a scrape asks no
 * worker and answers at once, whatever they do.
 */
#include "admin/metrics.h"

#include "admin/api_private.h"
#include "admin/metrics_sources.h"
#include "base/clock.h"
#include "upstream/backend.h"
#include <stdlib.h>

#define U(field) offsetof(struct upstream_counts, field)
#define B(field) offsetof(struct backend_counts, field)

static const struct metric metrics[] = {
#define METRIC(name, type, labels, source, argument, help) \
	{name, labels, help, METRIC_##type, write_##source, argument},
#include "admin/metrics.def"
#undef METRIC
};

/* ---- text ---- */

/* As a quoted label value wants it. */
static void
write_escaped(struct strbuf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			strbuf_lit(out, "\\");
		if (*text == '\n')
			strbuf_lit(out, "\\n");
		else
			strbuf_append(out, text, 1);
	}
}

static void
write_label(struct strbuf *out, bool first, const char *name, size_t n,
    const char *value)
{
	strbuf_puts(out, first ? "{" : ",");
	strbuf_append(out, name, n);
	strbuf_lit(out, "=\"");
	write_escaped(out, value);
	strbuf_lit(out, "\"");
}

void
sample_begin(struct exposition *e, const struct metric *m, const char *suffix,
    const char *const values[], const char *le)
{
	const char *name = m->labels;
	bool first = true;

	strbuf_puts(e->out, m->name);
	strbuf_puts(e->out, suffix);
	for (size_t i = 0; *name; i++) {
		size_t n = strcspn(name, " ");

		if (values[i][0])
			write_label(e->out, first, name, n, values[i]);
		first = first && !values[i][0];
		name += n + (name[n] == ' ');
	}
	if (le)
		write_label(e->out, first, "le", 2, le);
	strbuf_puts(e->out, first && !le ? " " : "} ");
}

void
sample(struct exposition *e, const struct metric *m, uint64_t value,
    const char *const values[])
{
	sample_begin(e, m, "", values, NULL);
	strbuf_printf(e->out, "%llu\n", (unsigned long long)value);
}

static void
write_family(struct exposition *e, const struct metric *m)
{
	static const char *const types[] = {
	    [METRIC_COUNTER] = "counter",
	    [METRIC_GAUGE] = "gauge",
	    [METRIC_HISTOGRAM] = "histogram",
	};

	strbuf_printf(e->out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
	    types[m->type]);
	m->write(e, m);
}

/* ---- a scrape ---- */

static bool
add_up(struct exposition *e, const struct snapshot *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_upstreams; i++)
		n += s->upstreams[i].n_backends;
	e->upstreams = calloc(s->n_upstreams + 1, sizeof *e->upstreams);
	e->backends = calloc(n + 1, sizeof *e->backends);
	if (!e->upstreams || !e->backends)
		return false;
	n = 0;
	for (size_t i = 0; i < s->n_upstreams; i++) {
		const struct upstream *up = &s->upstreams[i];

		books_sum(up->books, &e->upstreams[i]);
		for (size_t j = 0; j < up->n_backends; j++)
			books_sum(up->backends[j]->books, &e->backends[n++]);
	}
	books_sum(s->books, &e->upstreams[s->n_upstreams]);
	return true;
}

/* False: no memory. */
static bool
exposition_write(const struct admin *a, struct strbuf *out)
{
	struct exposition e = {.admin = a, .out = out, .now_ms = clock_now_ms()};
	bool ok = add_up(&e, a->host.snapshot(a->host.arg));

	for (size_t i = 0; ok && i < sizeof metrics / sizeof *metrics; i++)
		write_family(&e, &metrics[i]);
	free(e.upstreams);
	free(e.backends);
	return ok && !out->failed;
}

void
handle_metrics(struct call *c)
{
	struct strbuf out = STRBUF_INIT;

	if (exposition_write(c->admin, &out))
		call_reply_text(c, "text/plain; version=0.0.4; charset=utf-8", out.data,
		    out.len);
	else
		call_reply(c, 500, NULL);
	strbuf_fini(&out);
}
