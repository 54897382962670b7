/* SPDX-License-Identifier: MIT
 *
 * manage.c - roost as a process: reload, upgrade, configuration, log, numbers.
 */
#include "ctl/ctl.h"
#include "ctl/table.h"
#include <time.h>

enum { LOOK_MS = 100 };

/* What is text goes out as it came. */
static void
print_text(struct ctl *c, const char *target)
{
	struct strbuf error = STRBUF_INIT;
	struct answer answer;

	if (!client_ask(&c->client, "GET", target, NULL, 0, &answer, &error)) {
		ctl_fail(c, CTL_AWAY, "%s", strbuf_cstr(&error));
	} else if (answer.status == 200) {
		strbuf_append(&c->out.text, answer.body.data, answer.body.len);
	} else {
		/* asked again, so that the refusal is told as any other */
		json_decref(ctl_ask(c, "GET", target, NULL, 0));
		if (c->exit == CTL_OK)
			c->exit = CTL_REFUSED;
	}
	answer_fini(&answer);
	strbuf_fini(&error);
}

void
run_metrics(struct ctl *c)
{
	print_text(c, "/metrics");
}

void
run_config(struct ctl *c)
{
	json_t *json;

	if (!ctl_flag(c, FLAG_JSON)) {
		print_text(c, "/v1/config?format=yaml");
		return;
	}
	json = ctl_ask(c, "GET", "/v1/config", NULL, 0);
	if (json)
		(void)ctl_wants_json(c, json);
	json_decref(json);
}

/* ---- reload and upgrade ---- */

static bool
is_among(const json_t *line, const json_t *lines)
{
	const json_t *other;
	size_t i;

	json_array_foreach(lines, i, other)
	{
		if (json_equal(line, other))
			return true;
	}
	return false;
}

/* Those that are not among others, too. */
static void
show_lines(struct out *o, enum paint paint, const char *before, const json_t *lines,
    const json_t *others)
{
	const json_t *line;
	size_t i;

	json_array_foreach(lines, i, line)
	{
		if (is_among(line, others))
			continue;
		out_paint(o, paint, before);
		out_printf(o, "%s\n", json_string_value(line));
	}
}

void
run_reload(struct ctl *c)
{
	json_t *json = ctl_ask(c, "POST", "/v1/reload", json_object(), 30000);

	if (json && !ctl_wants_json(c, json)) {
		show_lines(&c->out, GOOD, "  ", json_object_get(json, "changes"),
		    json_object_get(json, "restart"));
		show_lines(&c->out, WARN,
		    "needs a restart: ", json_object_get(json, "restart"), NULL);
		out_printf(&c->out, "reloaded%s\n",
		    json_is(json, "changed") ? "" : ", nothing has changed");
	}
	json_decref(json);
}

/* Waits until it is known what came of it: who answers then is the one or the other. */
static void
follow_upgrade(struct ctl *c, long long old)
{
	struct timespec pause = {.tv_nsec = LOOK_MS * 1000000};
	bool is_new, is_waiting = true;
	json_t *json;

	while (is_waiting) {
		nanosleep(&pause, NULL);
		json = ctl_ask(c, "GET", "/v1/status", NULL, 0);
		if (!json)
			return;
		is_new = json_number(json, "pid") != old;
		is_waiting = !is_new && json_is(json, "upgrading");
		if (is_new)
			out_printf(&c->out, "process %lld has taken over (roost %s)\n",
			    json_number(json, "pid"), json_words(json, "version"));
		else if (!is_waiting)
			ctl_fail(c, CTL_REFUSED,
			    "it did not get ready, and process %lld goes on; the log "
			    "says why",
			    old);
		json_decref(json);
	}
}

void
run_upgrade(struct ctl *c)
{
	json_t *status = ctl_ask(c, "GET", "/v1/status", NULL, 0), *json = NULL;

	if (status)
		json = ctl_ask(c, "POST", "/v1/upgrade", json_object(), 60000);
	if (json && !ctl_wants_json(c, json)) {
		out_printf(&c->out, "%s\n", json_words(json, "message"));
		out_flush(&c->out);
		follow_upgrade(c, json_number(status, "pid"));
	}
	json_decref(json);
	json_decref(status);
}

/* ---- log ---- */

/* A level that was set counts for all topics. */
static void
show_topics(struct out *o, const json_t *topics)
{
	const char *name, *before = "; ";
	const json_t *level;

	json_object_foreach((json_t *)topics, name, level)
	{
		out_printf(o, "%s%s %s", before, name, json_string_value(level));
		before = ", ";
	}
}

static void
show_log(struct out *o, const json_t *json)
{
	bool is_set =
	    strcmp(json_words(json, "level"), json_words(json, "configured")) != 0;

	out_printf(o, "level %s", json_words(json, "level"));
	if (is_set)
		out_printf(o, " (the file says %s)", json_words(json, "configured"));
	out_printf(o, ", %s to %s", json_words(json, "format"),
	    json_words(json, "file"));
	if (!is_set)
		show_topics(o, json_object_get(json, "topics"));
	if (json_number(json, "lines_dropped"))
		out_printf(o, ", %lld lines lost", json_number(json, "lines_dropped"));
	out_printf(o, "\n");
}

void
run_log(struct ctl *c)
{
	const char *level = ctl_word(c, 1);
	json_t *json;

	if (!level)
		json = ctl_ask(c, "GET", "/v1/log", NULL, 0);
	else
		json = ctl_ask(c, "PUT", "/v1/log",
		    json_pack("{s:o}", "level",
			strcmp(level, "configured") ? json_string(level) : json_null()),
		    0);
	if (json && !ctl_wants_json(c, json))
		show_log(&c->out, json);
	json_decref(json);
}

/* ---- what it is ---- */

void
run_health(struct ctl *c)
{
	json_t *json = ctl_ask(c, "GET", "/healthz", NULL, 0);

	if (json && !ctl_wants_json(c, json))
		out_printf(&c->out, "%s\n", json_words(json, "status"));
	json_decref(json);
}

static void
show_versions(struct out *o, const json_t *json)
{
	const char *name;
	json_t *value;

	out_printf(o, "roost %s (%s)\n", json_words(json, "version"),
	    json_words(json, "compiler"));
	json_object_foreach(json_object_get(json, "libraries"), name, value)
	    out_printf(o, "  %-12s %s\n", name, json_string_value(value));
	json_object_foreach(json_object_get(json, "features"), name, value)
	    out_printf(o, "  %-12s %s\n", name, json_is_true(value) ? "yes" : "no");
}

void
run_version(struct ctl *c)
{
	json_t *json;

	if (!ctl_flag(c, FLAG_JSON)) {
		out_printf(&c->out, "roostctl " PACKAGE_VERSION "\n");
		out_flush(&c->out);
	}
	json = ctl_ask(c, "GET", "/v1/version", NULL, 0);
	if (json && !ctl_wants_json(c, json))
		show_versions(&c->out, json);
	json_decref(json);
}

void
run_api(struct ctl *c)
{
	static const char *const titles[] = {"METHOD", "PATH", "ACCESS", "HELP", NULL};
	json_t *json = ctl_ask(c, "GET", "/v1", NULL, 0);
	const json_t *e;
	struct table t;
	size_t i;

	if (json && !ctl_wants_json(c, json)) {
		table_init(&t, titles);
		json_array_foreach(json_object_get(json, "endpoints"), i, e)
		{
			table_text(&t, PLAIN, json_words(e, "method"));
			table_text(&t, BOLD, json_words(e, "path"));
			table_text(&t, PLAIN, json_words(e, "access"));
			table_text(&t, PLAIN, json_words(e, "help"));
		}
		table_end(&t, &c->out);
	}
	json_decref(json);
}
