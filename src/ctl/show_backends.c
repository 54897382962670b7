/* SPDX-License-Identifier: MIT
 *
 * show_backends.c - upstreams and backends as tables.
 */
#include "ctl/ctl.h"
#include "ctl/table.h"

static const char *const backend_titles[] = {"UPSTREAM", "BACKEND", "ADDRESS", "STATE",
    "USE", ">WEIGHT", ">SESSIONS", ">SOCKETS", ">EXCHANGES", ">FAILURES", "SOURCE",
    NULL};

/* "2 (file: 1)": what was set, where it is not what the file says. */
static void
weight_cell(struct table *t, const json_t *backend)
{
	const json_t *file = json_object_get(backend, "configured");
	long long weight = json_number(backend, "weight"),
		  was = json_number(file, "weight");

	if (json_is_object(file) && was != weight)
		table_printf(t, WARN, "%lld (file: %lld)", weight, was);
	else
		table_printf(t, PLAIN, "%lld", weight);
}

static void
state_cell(struct table *t, const json_t *backend)
{
	const json_t *file = json_object_get(backend, "configured");
	const char *state = json_words(backend, "state"),
		   *was = json_words(file, "state");

	if (*was && strcmp(state, was) != 0)
		table_printf(t, WARN, "%s (file: %s)", state, was);
	else
		table_text(t, PLAIN, state);
}

static void
backend_row(struct table *t, const char *upstream, const json_t *b)
{
	const char *use = json_words(b, "use"), *source = json_words(b, "source");

	table_text(t, PLAIN, upstream);
	table_text(t, BOLD, json_words(b, "name"));
	table_text(t, PLAIN, json_words(b, "address"));
	state_cell(t, b);
	table_text(t, paint_of_use(use), use);
	weight_cell(t, b);
	table_printf(t, PLAIN, "%lld", json_number(b, "sessions"));
	table_printf(t, PLAIN, "%lld", json_number(b, "sockets"));
	table_printf(t, PLAIN, "%lld", json_number(b, "exchanges"));
	table_printf(t, json_number(b, "failures") ? BAD : PLAIN, "%lld",
	    json_number(b, "failures"));
	table_text(t, strcmp(source, "file") ? WARN : PLAIN, source);
}

/* Those of the file that were taken out while running. */
static void
removed_row(struct table *t, const char *upstream, const json_t *removed)
{
	table_text(t, DIM, upstream);
	table_text(t, DIM, json_words(removed, "name"));
	table_text(t, DIM,
	    json_words(json_object_get(removed, "configured"), "address"));
	table_text(t, DIM, "removed");
	for (int i = 0; i < 6; i++)
		table_text(t, DIM, NULL);
	table_text(t, WARN, "removed");
}

static void
upstream_rows(struct table *t, const json_t *up)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(up, "backends"), i, one)
	    backend_row(t, json_words(up, "name"), one);
	json_array_foreach(json_object_get(up, "removed"), i, one)
	    removed_row(t, json_words(up, "name"), one);
}

void
run_backends(struct ctl *c)
{
	const char *upstream = ctl_word(c, 1);
	struct strbuf target = STRBUF_INIT;
	struct table t;
	json_t *json;
	const json_t *up;
	size_t i;

	strbuf_puts(&target, "/v1/upstreams");
	if (upstream)
		target_segment(&target, upstream);
	json = ctl_ask(c, "GET", strbuf_cstr(&target), NULL, 0);
	strbuf_fini(&target);
	if (json && !ctl_wants_json(c, json)) {
		table_init(&t, backend_titles);
		if (upstream)
			upstream_rows(&t, json);
		json_array_foreach(json_object_get(json, "upstreams"), i, up)
		    upstream_rows(&t, up);
		table_end(&t, &c->out);
	}
	json_decref(json);
}

/* How many of its backends take something new? */
static size_t
n_usable(const json_t *up)
{
	const json_t *b;
	size_t i, n = 0;

	json_array_foreach(json_object_get(up, "backends"), i, b) n +=
	    strcmp(json_words(b, "use"), "usable") == 0;
	return n;
}

void
run_upstreams(struct ctl *c)
{
	static const char *const titles[] = {"UPSTREAM", "BALANCE", "RE-HOME",
	    "CLIENT KEY", ">USABLE", ">BACKENDS", ">SESSIONS", ">EXCHANGES", NULL};
	json_t *json = ctl_ask(c, "GET", "/v1/upstreams", NULL, 0);
	const json_t *up;
	struct table t;
	size_t i;

	if (json && !ctl_wants_json(c, json)) {
		table_init(&t, titles);
		json_array_foreach(json_object_get(json, "upstreams"), i, up)
		{
			size_t n = json_array_size(json_object_get(up, "backends")),
			       usable = n_usable(up);

			table_text(&t, BOLD, json_words(up, "name"));
			table_text(&t, PLAIN, json_words(up, "balance"));
			table_text(&t, PLAIN, json_words(up, "rehome_mode"));
			table_text(&t, PLAIN, json_words(up, "client_key"));
			table_printf(&t,
			    usable == n ? GOOD
			    : usable    ? WARN
					: BAD,
			    "%zu", usable);
			table_printf(&t, PLAIN, "%zu", n);
			table_printf(&t, PLAIN, "%lld", json_number(up, "sessions"));
			table_printf(&t, PLAIN, "%lld", json_number(up, "exchanges"));
		}
		table_end(&t, &c->out);
	}
	json_decref(json);
}
