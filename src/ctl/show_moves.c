/* SPDX-License-Identifier: MIT
 *
 * show_moves.c - re-homing: planned, under way, asked for; and sessions that are ended.
 */
#include "ctl/ctl.h"
#include "ctl/table.h"

enum { MOVES_SHOWN = 20 };

static void
show_moves(struct out *o, const json_t *moves)
{
	static const char *const titles[] = {"CLIENT", "FROM", "TO", "WHY", ">SESSIONS",
	    ">IN", "WAITS FOR", NULL};
	char text[NUMBER_TEXT];
	const json_t *move;
	struct table t;
	size_t i;

	if (json_array_size(moves) == 0)
		return;
	table_init(&t, titles);
	json_array_foreach(moves, i, move)
	{
		if (i == MOVES_SHOWN)
			break;
		table_printf(&t, PLAIN, "key:%s", json_words(move, "key"));
		table_text(&t, PLAIN, json_words(move, "from"));
		table_text(&t, PLAIN, json_words(move, "to"));
		table_text(&t, PLAIN, json_words(move, "why"));
		table_printf(&t, PLAIN, "%lld", json_number(move, "sessions"));
		table_text(&t, PLAIN,
		    text_duration((uint64_t)(json_number(move, "wait_ms") +
					     json_number(move, "delay_ms")),
			text));
		table_text(&t, PLAIN, json_words(move, "waits_for"));
	}
	table_end(&t, o);
	if (json_array_size(moves) > MOVES_SHOWN)
		out_printf(o, "and %zu more; all with --json\n",
		    json_array_size(moves) - MOVES_SHOWN);
}

/* ---- the plan ---- */

static void
show_loads(struct out *o, const json_t *backends)
{
	static const char *const titles[] = {"BACKEND", "USE", ">WEIGHT", ">SESSIONS",
	    ">FAIR SHARE", NULL};
	const json_t *b, *share;
	struct table t;
	size_t i;

	table_init(&t, titles);
	json_array_foreach(backends, i, b)
	{
		share = json_object_get(b, "fair_share");
		table_text(&t, BOLD, json_words(b, "name"));
		table_text(&t, paint_of_use(json_words(b, "use")),
		    json_words(b, "use"));
		table_printf(&t, PLAIN, "%lld", json_number(b, "weight"));
		table_printf(&t, PLAIN, "%lld", json_number(b, "sessions"));
		if (json_is_number(share))
			table_printf(&t, PLAIN, "%.1f", json_number_value(share));
		else
			table_text(&t, DIM, "none");
	}
	table_end(&t, o);
}

static bool
holds_surplus(const json_t *backends)
{
	const json_t *b;
	size_t i;

	json_array_foreach(backends, i, b)
	{
		const json_t *share = json_object_get(b, "fair_share");

		if (json_is_number(share) &&
		    (double)json_number(b, "sessions") >= json_number_value(share) + 1)
			return true;
	}
	return false;
}

/* What should go and may not. */
static void
show_held(struct out *o, const json_t *held)
{
	static const char *const titles[] = {"BACKEND", ">TOO MANY", "HELD BY",
	    ">CLIENTS", ">FIRST IN", NULL};
	char text[NUMBER_TEXT];
	const json_t *one;
	struct table t;
	size_t i;

	if (json_array_size(held) == 0)
		return;
	table_init(&t, titles);
	json_array_foreach(held, i, one)
	{
		bool ends = json_is_integer(json_object_get(one, "first_in_ms"));

		table_text(&t, BOLD, json_words(one, "backend"));
		table_printf(&t, PLAIN, "%lld", json_number(one, "surplus"));
		table_text(&t, PLAIN, json_words(one, "held_by"));
		table_printf(&t, PLAIN, "%lld", json_number(one, "clients"));
		table_text(&t, PLAIN,
		    ends
			? text_duration((uint64_t)json_number(one, "first_in_ms"), text)
			: NULL);
	}
	table_end(&t, o);
}

static void
show_plan(struct out *o, const json_t *up)
{
	const json_t *moves = json_object_get(up, "moves");
	const json_t *held = json_object_get(up, "held");
	size_t n = json_array_size(moves);
	char text[NUMBER_TEXT];

	out_paint(o, BOLD, json_words(up, "name"));
	out_printf(o, ": %zu%s %s to be re-homed (mode %s, %lld a second", n,
	    json_is(up, "more") ? " and more" : "", n == 1 ? "client" : "clients",
	    json_words(up, "rehome_mode"), json_number(up, "rehome_rate"));
	if (json_number(up, "debounce_ms"))
		out_printf(o, ", not before %s",
		    text_duration((uint64_t)json_number(up, "debounce_ms"), text));
	out_printf(o, ")\n");
	show_loads(o, json_object_get(up, "backends"));
	if (n == 0 && json_array_size(held) == 0 &&
	    holds_surplus(json_object_get(up, "backends")))
		out_printf(o, "what is above a fair share stays: it is within "
			      "rehome.threshold\n");
	show_moves(o, moves);
	show_held(o, held);
}

void
run_plan(struct ctl *c)
{
	struct strbuf target = STRBUF_INIT;
	const json_t *up;
	json_t *json;
	size_t i;

	strbuf_puts(&target, "/v1/plan");
	target_parameter(&target, "upstream", ctl_word(c, 1));
	target_parameter(&target, "limit", ctl_flag(c, FLAG_LIMIT));
	json = ctl_ask(c, "GET", strbuf_cstr(&target), NULL, 0);
	strbuf_fini(&target);
	if (json && !ctl_wants_json(c, json))
		json_array_foreach(json_object_get(json, "upstreams"), i, up)
		{
			if (i)
				out_printf(&c->out, "\n");
			show_plan(&c->out, up);
		}
	json_decref(json);
}

/* ---- under way ---- */

void
run_rehomes(struct ctl *c)
{
	static const char *const titles[] = {"UPSTREAM", "BACKEND", "USE", "WHY", "TO",
	    ">MOVED", ">LEFT", NULL};
	struct strbuf target = STRBUF_INIT;
	const json_t *one, *moved;
	struct table t;
	json_t *json;
	size_t i;

	strbuf_puts(&target, "/v1/rehomes");
	target_parameter(&target, "upstream", ctl_word(c, 1));
	json = ctl_ask(c, "GET", strbuf_cstr(&target), NULL, 0);
	strbuf_fini(&target);
	if (json && !ctl_wants_json(c, json)) {
		table_init(&t, titles);
		json_array_foreach(json_object_get(json, "rehomes"), i, one)
		{
			moved = json_object_get(one, "moved");
			table_text(&t, PLAIN, json_words(one, "upstream"));
			table_text(&t, BOLD, json_words(one, "backend"));
			table_text(&t, paint_of_use(json_words(one, "use")),
			    json_words(one, "use"));
			table_text(&t, PLAIN, json_words(one, "why"));
			table_text(&t, PLAIN, json_words(one, "to"));
			if (json_is_integer(moved))
				table_printf(&t, PLAIN, "%lld",
				    json_number(one, "moved"));
			else
				table_text(&t, PLAIN, NULL);
			table_printf(&t, PLAIN, "%lld", json_number(one, "left"));
		}
		table_end(&t, &c->out);
		out_printf(&c->out,
		    "since the start: %lld begun, %lld moved, %lld closed, %lld "
		    "failed\n",
		    json_number(json, "started"), json_number(json, "done"),
		    json_number(json, "closed"), json_number(json, "failed"));
	}
	json_decref(json);
}

/* ---- asked for ---- */

void
run_rehome(struct ctl *c)
{
	const char *client = ctl_flag(c, FLAG_CLIENT),
		   *backend = ctl_flag(c, FLAG_BACKEND);
	bool dry = ctl_flag(c, FLAG_DRY_RUN) != NULL;
	json_t *json;

	if (!client == !backend) {
		ctl_fail(c, CTL_USAGE, "rehome: expected --client or --backend");
		return;
	}
	json = ctl_ask(c, "POST", "/v1/rehome",
	    json_pack("{s:s, s:s*, s:s*, s:s*, s:b}", "upstream", ctl_word(c, 1),
		"client", client, "backend", backend, "to", ctl_flag(c, FLAG_TO),
		"dry_run", dry),
	    0);
	if (json && !ctl_wants_json(c, json)) {
		long long n = json_number(json, "clients");

		out_printf(&c->out, "%lld%s %s %s re-homed\n", n,
		    json_is(json, "more") ? " and more" : "",
		    n == 1 ? "client" : "clients",
		    dry       ? "would be"
		    : backend ? "are being"
			      : "is");
		show_moves(&c->out, json_object_get(json, "moves"));
	}
	json_decref(json);
}

void
run_kick(struct ctl *c)
{
	const char *session = ctl_word(c, 1), *client = ctl_flag(c, FLAG_CLIENT),
		   *upstream = ctl_flag(c, FLAG_UPSTREAM),
		   *code = ctl_flag(c, FLAG_CODE);
	long long number = 0;
	json_t *body, *json;

	if (!session == !client || !client != !upstream) {
		ctl_fail(c, CTL_USAGE,
		    "kick: expected a session's id, or --upstream and --client");
		return;
	}
	if (code && !ctl_number(c, "code", code, &number))
		return;
	body = json_pack("{s:s*, s:s*, s:s*}", "session", session, "client", client,
	    "upstream", upstream);
	if (code)
		json_object_set_new(body, "code", json_integer(number));
	json = ctl_ask(c, "POST", "/v1/kick", body, 0);
	if (json && !ctl_wants_json(c, json))
		out_printf(&c->out, "%lld closed with %lld\n",
		    json_number(json, "closed"), json_number(json, "code"));
	json_decref(json);
}
