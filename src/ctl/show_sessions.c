/* SPDX-License-Identifier: MIT
 *
 * show_sessions.c - live sessions as a table, and one of them in full.
 */
#include "ctl/ctl.h"
#include "ctl/table.h"

static const char *const titles[] = {"SESSION", "UPSTREAM", "BACKEND", "CLIENT",
    "STATE", ">AGE", ">IDLE", ">MESSAGES", ">BYTES", ">MOVES", ">WORKER", NULL};

static long long
both(const json_t *session, const char *name)
{
	return json_number(json_object_get(session, "client_side"), name) +
	       json_number(json_object_get(session, "backend_side"), name);
}

static const char *
state_of(const json_t *session)
{
	return json_is(session, "moving") ? "moving" : json_words(session, "state");
}

static void
session_row(struct table *t, const json_t *s)
{
	const char *state = state_of(s);
	char text[NUMBER_TEXT];

	table_text(t, BOLD, json_words(s, "id"));
	table_text(t, PLAIN, json_words(s, "upstream"));
	table_text(t, PLAIN, json_words(s, "backend"));
	table_text(t, PLAIN, json_words(s, "address"));
	table_text(t, strcmp(state, "connected") ? WARN : GOOD, state);
	table_text(t, PLAIN, text_duration((uint64_t)json_number(s, "age_ms"), text));
	table_text(t, PLAIN,
	    text_duration((uint64_t)json_number(json_object_get(s, "client_side"),
			      "idle_ms"),
		text));
	table_printf(t, PLAIN, "%lld", both(s, "messages"));
	table_text(t, PLAIN, text_size((uint64_t)both(s, "bytes"), text));
	table_printf(t, PLAIN, "%lld", json_number(s, "moves"));
	table_printf(t, PLAIN, "%lld", json_number(s, "worker"));
}

void
run_sessions(struct ctl *c)
{
	static const struct {
		const char *name;
		enum flag flag;
	} parameters[] = {{"client", FLAG_CLIENT}, {"upstream", FLAG_UPSTREAM},
	    {"backend", FLAG_BACKEND}, {"state", FLAG_STATE}, {"worker", FLAG_WORKER},
	    {"min_age", FLAG_MIN_AGE}, {"max_age", FLAG_MAX_AGE}, {"sort", FLAG_SORT},
	    {"limit", FLAG_LIMIT}, {"offset", FLAG_OFFSET}};
	struct strbuf target = STRBUF_INIT;
	const json_t *session, *all;
	struct table t;
	json_t *json;
	size_t i;

	strbuf_puts(&target, "/v1/sessions");
	for (i = 0; i < sizeof(parameters) / sizeof(*parameters); i++)
		target_parameter(&target, parameters[i].name,
		    ctl_flag(c, parameters[i].flag));
	json = ctl_ask(c, "GET", strbuf_cstr(&target), NULL, 0);
	strbuf_fini(&target);
	if (json && !ctl_wants_json(c, json)) {
		all = json_object_get(json, "sessions");
		table_init(&t, titles);
		json_array_foreach(all, i, session) session_row(&t, session);
		table_end(&t, &c->out);
		if ((long long)json_array_size(all) < json_number(json, "matched"))
			out_printf(&c->out, "%zu of %lld; more with --offset\n",
			    json_array_size(all), json_number(json, "matched"));
		if (!json_is(json, "complete"))
			out_printf(&c->out, "not all workers have answered\n");
	}
	json_decref(json);
}

/* ---- one ---- */

static void
show_side(struct out *o, const char *name, const json_t *side)
{
	char idle[NUMBER_TEXT], bytes[NUMBER_TEXT];

	out_printf(o, "  %-14s %lld messages, %s bytes, idle %s, %lld bytes queued",
	    name, json_number(side, "messages"),
	    text_size((uint64_t)json_number(side, "bytes"), bytes),
	    text_duration((uint64_t)json_number(side, "idle_ms"), idle),
	    json_number(side, "queued_bytes"));
	if (json_number(side, "rtt_us"))
		out_printf(o, ", rtt %.1f ms",
		    (double)json_number(side, "rtt_us") / 1000.0);
	out_printf(o, "\n");
}

static void
show_homes(struct out *o, const json_t *s)
{
	char text[NUMBER_TEXT];
	const json_t *home;
	size_t i;

	json_array_foreach(json_object_get(s, "homes"), i, home)
	    out_printf(o, "  %-14s %s, until %s ago\n", "before",
		json_words(home, "backend"), moment_age(home, "until_at", text));
}

static void
show_session(struct out *o, const json_t *s)
{
	char text[NUMBER_TEXT];

	out_paint(o, BOLD, json_words(s, "id"));
	out_printf(o, "\n  %-14s %s/%s\n", "backend", json_words(s, "upstream"),
	    json_words(s, "backend"));
	show_homes(o, s);
	out_printf(o, "  %-14s %s, key:%s\n", "client", json_words(s, "address"),
	    json_words(s, "key"));
	out_printf(o, "  %-14s %s", "state", state_of(s));
	out_printf(o, " for %s",
	    text_duration((uint64_t)json_number(s, "in_state_ms"), text));
	out_printf(o, ", open for %s\n",
	    text_duration((uint64_t)json_number(s, "age_ms"), text));
	out_printf(o, "  %-14s %s\n", "chosen by", json_words(s, "chosen_by"));
	out_printf(o, "  %-14s %lld moves, %lld tries failed, available %.4f\n",
	    "re-homed", json_number(s, "moves"), json_number(s, "failed"),
	    json_number_value(json_object_get(s, "availability")));
	show_side(o, "client side", json_object_get(s, "client_side"));
	show_side(o, "backend side", json_object_get(s, "backend_side"));
}

void
run_session(struct ctl *c)
{
	struct strbuf target = STRBUF_INIT;
	const json_t *all;
	json_t *json;

	strbuf_puts(&target, "/v1/sessions");
	target_parameter(&target, "session", ctl_word(c, 1));
	json = ctl_ask(c, "GET", strbuf_cstr(&target), NULL, 0);
	strbuf_fini(&target);
	if (!json)
		return;
	all = json_object_get(json, "sessions");
	if (json_array_size(all) == 0)
		ctl_fail(c, CTL_REFUSED, "there is no session \"%s\"", ctl_word(c, 1));
	else if (!ctl_wants_json(c, json_array_get(all, 0)))
		show_session(&c->out, json_array_get(all, 0));
	json_decref(json);
}
