/* SPDX-License-Identifier: MIT
 *
 * show_pins.c - who is bound to which backend, and why.
 */
#include "ctl/ctl.h"
#include "ctl/table.h"

void
run_pins(struct ctl *c)
{
	static const char *const titles[] = {"CLIENT", "BACKEND", "WHY", ">SINCE",
	    ">WEBSOCKET LOCK", ">HTTP LOCK", ">SESSIONS", ">EXCHANGES", NULL};
	struct strbuf target = STRBUF_INIT;
	char text[NUMBER_TEXT];
	const json_t *pin;
	struct table t;
	json_t *json;
	size_t i;

	strbuf_puts(&target, "/v1/pins");
	target_segment(&target, ctl_word(c, 1));
	target_parameter(&target, "backend", ctl_flag(c, FLAG_BACKEND));
	target_parameter(&target, "limit", ctl_flag(c, FLAG_LIMIT));
	json = ctl_ask(c, "GET", strbuf_cstr(&target), NULL, 0);
	strbuf_fini(&target);
	if (json && !ctl_wants_json(c, json)) {
		table_init(&t, titles);
		json_array_foreach(json_object_get(json, "pins"), i, pin)
		{
			table_printf(&t, PLAIN, "key:%s", json_words(pin, "key"));
			table_text(&t, BOLD, json_words(pin, "backend"));
			table_text(&t, PLAIN, json_words(pin, "why"));
			table_text(&t, PLAIN, moment_age(pin, "since_at", text));
			table_text(&t, PLAIN,
			    moment_age(pin, "websocket_lock_until_at", text));
			table_text(&t, PLAIN,
			    moment_age(pin, "http_lock_until_at", text));
			table_printf(&t, PLAIN, "%lld", json_number(pin, "n_sessions"));
			table_printf(&t, PLAIN, "%lld",
			    json_number(pin, "n_exchanges"));
		}
		table_end(&t, &c->out);
		if (!json_is(json, "complete"))
			out_printf(&c->out, "there are more (%lld pins in all)\n",
			    json_number(json, "total"));
	}
	json_decref(json);
}

/* ---- one ---- */

static void
show_next(struct out *o, const char *what, const json_t *preview)
{
	const char *backend = json_words(preview, "backend");

	out_printf(o, "  %-22s %s", what, *backend ? backend : "no backend");
	if (*backend)
		out_printf(o, " (%s)", json_words(preview, "why"));
	out_printf(o, "\n");
}

static void
show_lock(struct out *o, const char *what, const json_t *pin, const char *name)
{
	char text[NUMBER_TEXT];

	if (json_number(pin, name))
		out_printf(o, "  %-22s %s more\n", what, moment_age(pin, name, text));
}

static void
show_explanation(struct out *o, const json_t *pin)
{
	const json_t *backend = json_object_get(pin, "backend"),
		     *now = json_object_get(pin, "now"),
		     *move = json_object_get(now, "move");
	const char *use = json_words(backend, "use");
	char text[NUMBER_TEXT];

	out_printf(o, "%s of %s: ", json_words(pin, "client"),
	    json_words(pin, "upstream"));
	out_paint(o, BOLD,
	    json_is_object(backend) ? json_words(backend, "name") : "no backend");
	out_printf(o, "\n  %s\n", json_words(pin, "explanation"));
	if (json_is_object(backend)) {
		out_printf(o, "  %-22s ", "the backend is");
		out_paint(o, paint_of_use(use), use);
		out_printf(o, "\n");
	}
	if (json_number(pin, "since_at"))
		out_printf(o, "  %-22s %s\n", "bound for",
		    moment_age(pin, "since_at", text));
	show_lock(o, "WebSocket lock", pin, "websocket_lock_until_at");
	show_lock(o, "HTTP lock", pin, "http_lock_until_at");
	out_printf(o, "  %-22s %lld sessions, %lld exchanges\n", "holds",
	    json_number(pin, "n_sessions"), json_number(pin, "n_exchanges"));
	if (json_number(pin, "n_followers"))
		out_printf(o, "  %-22s %lld sessions of clients with cookies\n",
		    "has brought", json_number(pin, "n_followers"));
	show_next(o, "its next request", json_object_get(now, "http"));
	show_next(o, "its next WebSocket", json_object_get(now, "websocket"));
	out_printf(o, "  %-22s %s\n", "somebody unknown",
	    *json_words(now, "policy") ? json_words(now, "policy") : "no backend");
	if (json_is_object(move))
		out_printf(o, "  %-22s %s (%s)\n", "about to be re-homed to",
		    json_words(move, "to"), json_words(move, "why"));
}

void
run_explain(struct ctl *c)
{
	struct strbuf target = STRBUF_INIT;
	json_t *json;

	strbuf_puts(&target, "/v1/pins");
	target_segment(&target, ctl_word(c, 1));
	target_segment(&target, ctl_word(c, 2));
	json = ctl_ask(c, "GET", strbuf_cstr(&target), NULL, 0);
	strbuf_fini(&target);
	if (json && !ctl_wants_json(c, json))
		show_explanation(&c->out, json);
	json_decref(json);
}
