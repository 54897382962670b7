/* SPDX-License-Identifier: MIT
 *
 * act.c - backends are set, added and removed, and waited for.
 *
 * Who waits asks again and again, each time for half a second at most, so that there is
 * something to show; the API answers at once when the backend is empty.
 */
#include "base/clock.h"
#include "ctl/ctl.h"

enum { BAR = 30, LINE_MS = 1000 };

static const char ASK_AGAIN[] = "500ms"; /* ... to be answered at the latest */

static void
backend_target(struct ctl *c, struct strbuf *target)
{
	strbuf_puts(target, "/v1/upstreams");
	target_segment(target, ctl_word(c, 1));
	strbuf_puts(target, "/backends");
	if (ctl_word(c, 2))
		target_segment(target, ctl_word(c, 2));
}

/* ---- waiting ---- */

struct waiting {
	struct ctl *c;
	struct strbuf target;
	uint64_t begun_ms, until_ms; /* until 0: for ever */
	uint64_t told_ms;            /* when the last line was written */
	long long most;              /* sessions at once */
	long long told;              /* in the last line */
	const char *upstream, *backend;
};

/* Pins go first and sockets follow. */
static long long
sessions_left(const json_t *json)
{
	long long pinned = json_number(json, "sessions"),
		  there = json_number(json, "sockets");

	return pinned > there ? pinned : there;
}

static long long
held_by(const json_t *json)
{
	return sessions_left(json) + json_number(json, "exchanges");
}

static void
show_numbers(struct out *o, const struct waiting *w, const json_t *json)
{
	char text[NUMBER_TEXT];

	out_printf(o, "%lld of %lld sessions left, %lld exchanges, %s",
	    sessions_left(json), w->most, json_number(json, "exchanges"),
	    text_duration(clock_now_ms() - w->begun_ms, text));
}

/* On a terminal the same line is drawn again and again. */
static void
show_progress(struct waiting *w, const json_t *json)
{
	struct out *o = &w->c->out;
	long long left = sessions_left(json);
	uint64_t now = clock_now_ms();

	if (left > w->most)
		w->most = left;
	if (o->is_terminal) {
		strbuf_lit(&o->text, "\r");
		out_printf(o, "%s/%s ", w->upstream, w->backend);
		out_bar(o, GOOD, (uint64_t)(w->most - left), (uint64_t)w->most, BAR);
		out_printf(o, " ");
		show_numbers(o, w, json);
		strbuf_lit(&o->text, "\033[K");
	} else if (held_by(json) != w->told && now >= w->told_ms + LINE_MS) {
		out_printf(o, "%s/%s: ", w->upstream, w->backend);
		show_numbers(o, w, json);
		out_printf(o, "\n");
		w->told_ms = now;
		w->told = held_by(json);
	}
	out_flush(o);
}

static void
show_end(struct waiting *w, const json_t *json, bool empty)
{
	struct out *o = &w->c->out;
	char text[NUMBER_TEXT];

	if (o->is_terminal)
		strbuf_lit(&o->text, "\r\033[K");
	if (empty) {
		out_printf(o, "%s/%s ", w->upstream, w->backend);
		out_paint(o, GOOD, "is empty");
		out_printf(o, " after %s\n",
		    text_duration(clock_now_ms() - w->begun_ms, text));
		return;
	}
	ctl_fail(w->c, CTL_REFUSED,
	    "%s/%s still holds %lld sessions and %lld exchanges after %s", w->upstream,
	    w->backend, sessions_left(json), json_number(json, "exchanges"),
	    text_duration(clock_now_ms() - w->begun_ms, text));
}

static json_t *
ask_again(struct waiting *w)
{
	struct strbuf target = STRBUF_INIT;
	json_t *json;

	strbuf_append(&target, w->target.data, w->target.len);
	target_parameter(&target, "wait", ASK_AGAIN);
	json = ctl_ask(w->c, "GET", strbuf_cstr(&target), NULL, 0);
	strbuf_fini(&target);
	return json;
}

/* Returns the last answer, NULL: none (said so). */
static json_t *
wait_loop(struct waiting *w, bool quiet)
{
	json_t *json = ask_again(w);

	while (json && !json_is(json, "empty") &&
	       (!w->until_ms || clock_now_ms() < w->until_ms)) {
		if (!quiet)
			show_progress(w, json);
		json_decref(json);
		json = ask_again(w);
	}
	return json;
}

/* To be asked before anything is done. False: said so. */
static bool
wait_is_right(struct ctl *c)
{
	const char *limit = ctl_flag(c, FLAG_WAIT);
	uint64_t ignored;

	if (!limit || !*limit || duration_parse(limit, &ignored))
		return true;
	ctl_fail(c, CTL_USAGE, "--wait: expected a duration (ms, s, m, h)");
	return false;
}

/* Waits as --wait says. first: what it held when the waiting began, or NULL. False: it
 * is not empty (said so). *json_r: the last answer. */
static bool
wait_empty(struct ctl *c, const json_t *first, json_t **json_r)
{
	struct waiting w = {.c = c,
	    .begun_ms = clock_now_ms(),
	    .most = sessions_left(first),
	    .told = -1,
	    .upstream = ctl_word(c, 1),
	    .backend = ctl_word(c, 2)};
	const char *limit = ctl_flag(c, FLAG_WAIT);
	bool quiet = ctl_flag(c, FLAG_JSON) != NULL, empty;
	uint64_t ms = 0;

	if (*limit && duration_parse(limit, &ms))
		w.until_ms = w.begun_ms + ms;
	backend_target(c, &w.target);
	*json_r = wait_loop(&w, quiet);
	strbuf_fini(&w.target);
	empty = *json_r && json_is(*json_r, "empty");
	if (*json_r && !(quiet && empty))
		show_end(&w, *json_r, empty);
	return empty;
}

/* ---- setting ---- */

static void
show_difference(struct out *o, const json_t *json)
{
	const char *source = json_words(json, "source");
	const json_t *file = json_object_get(json, "configured");

	if (strcmp(source, "added") == 0)
		out_printf(o, " (not in the file)");
	else if (strcmp(source, "changed") == 0)
		out_printf(o, " (the file: %s, weight %lld)", json_words(file, "state"),
		    json_number(file, "weight"));
}

static void
show_set(struct ctl *c, const json_t *json)
{
	struct out *o = &c->out;

	out_printf(o, "%s/%s: %s", json_words(json, "upstream"),
	    json_words(json, "name"), json_words(json, "state"));
	if (json_is_integer(json_object_get(json, "weight")))
		out_printf(o, ", weight %lld", json_number(json, "weight"));
	show_difference(o, json);
	out_printf(o, ", %lld sessions, %lld exchanges\n",
	    json_number(json, "sessions"), json_number(json, "exchanges"));
	show_ailing(o, json_words(json, "upstream"), json_object_get(json, "addresses"),
	    SIZE_MAX);
}

/* Sets it; NULL: refused. Takes over body. */
static json_t *
set_backend(struct ctl *c, json_t *body)
{
	struct strbuf target = STRBUF_INIT;
	json_t *json;

	backend_target(c, &target);
	json = ctl_ask(c, "POST", strbuf_cstr(&target), body, 0);
	strbuf_fini(&target);
	return json;
}

/* Takes over body. */
static void
set_and_wait(struct ctl *c, json_t *body)
{
	json_t *json, *last = NULL;

	if (!wait_is_right(c)) {
		json_decref(body);
		return;
	}
	json = set_backend(c, body);
	if (!json)
		return;
	if (!ctl_flag(c, FLAG_JSON))
		show_set(c, json);
	if (ctl_flag(c, FLAG_WAIT)) {
		out_flush(&c->out);
		wait_empty(c, json, &last);
	}
	(void)ctl_wants_json(c, last ? last : json);
	json_decref(last);
	json_decref(json);
}

void
run_drain(struct ctl *c)
{
	set_and_wait(c, json_pack("{s:s}", "state", "drain"));
}

void
run_up(struct ctl *c)
{
	set_and_wait(c, json_pack("{s:s}", "state", "up"));
}

void
run_down(struct ctl *c)
{
	set_and_wait(c, json_pack("{s:s}", "state", "down"));
}

void
run_weight(struct ctl *c)
{
	long long weight;

	if (ctl_number(c, "weight", ctl_word(c, 3), &weight))
		set_and_wait(c, json_pack("{s:I}", "weight", (json_int_t)weight));
}

void
run_backend(struct ctl *c)
{
	struct strbuf target = STRBUF_INIT;
	json_t *json = NULL;

	if (!wait_is_right(c))
		return;
	if (ctl_flag(c, FLAG_WAIT)) {
		wait_empty(c, NULL, &json);
		if (json)
			(void)ctl_wants_json(c, json);
		json_decref(json);
		return;
	}
	backend_target(c, &target);
	json = ctl_ask(c, "GET", strbuf_cstr(&target), NULL, 0);
	strbuf_fini(&target);
	if (json && !ctl_wants_json(c, json))
		show_set(c, json);
	json_decref(json);
}

/* ---- adding and removing ---- */

void
run_add(struct ctl *c)
{
	const char *text = ctl_flag(c, FLAG_WEIGHT);
	struct strbuf target = STRBUF_INIT;
	long long weight = 1;
	json_t *body, *json;

	if (text && !ctl_number(c, "weight", text, &weight))
		return;
	strbuf_puts(&target, "/v1/upstreams");
	target_segment(&target, ctl_word(c, 1));
	strbuf_puts(&target, "/backends");
	body = json_pack("{s:s, s:s*, s:s*, s:I}", "address", ctl_word(c, 2), "name",
	    ctl_flag(c, FLAG_NAME), "state", ctl_flag(c, FLAG_STATE), "weight",
	    (json_int_t)weight);
	if (ctl_flag(c, FLAG_BACKUP))
		json_object_set_new(body, "backup", json_true());
	json = ctl_ask(c, "POST", strbuf_cstr(&target), body, 0);
	strbuf_fini(&target);
	if (json && !ctl_wants_json(c, json))
		show_set(c, json);
	json_decref(json);
}

/* With --wait it is drained first, so that there is something to look at. */
static bool
drain_first(struct ctl *c)
{
	json_t *json, *last = NULL;
	bool empty;

	if (!ctl_flag(c, FLAG_WAIT))
		return true;
	if (!wait_is_right(c))
		return false;
	json = set_backend(c, json_pack("{s:s}", "state", "drain"));
	empty = json && wait_empty(c, json, &last);
	json_decref(json);
	json_decref(last);
	return empty;
}

void
run_remove(struct ctl *c)
{
	struct strbuf target = STRBUF_INIT;
	json_t *json;

	if (!drain_first(c))
		return;
	backend_target(c, &target);
	json = ctl_ask(c, "DELETE", strbuf_cstr(&target), NULL, 0);
	strbuf_fini(&target);
	if (json && !ctl_wants_json(c, json))
		show_set(c, json);
	json_decref(json);
}
