/* SPDX-License-Identifier: MIT
 *
 * explain.c - why is a client where it is, since when, until when, and what would it be
 * now?
 *
 * What it would be now is asked of the same code that decides for requests and moves
 * (choose_preview, planner_plan), not told again here.
 */
#include "admin/api_private.h"

#include "base/clock.h"
#include "route/choose.h"
#include "route/pins.h"
#include "route/planner.h"
#include "upstream/backend.h"
#include <stdlib.h>

enum { SESSIONS_SHOWN = 100, MOVES_LOOKED_AT = 1000 };
enum { PINS_STANDARD = 100, PINS_MAX = 1000 };

/* One answer in the making. */
struct explanation {
	const struct admin_host *host;
	const struct upstream *up;
	struct client_key key;
	uint64_t now_ms;
	bool bound;
	struct pin pin; /* bound: with a reference */
	enum choose_by why;
	struct backend *backend; /* a reference, or NULL */
};

static void
look(struct explanation *e)
{
	e->bound = pins_lookup(e->host->pins, e->key.hash, e->now_ms, &e->pin);
	if (e->bound) {
		e->why = choose_pin_speaks_by(&e->pin, e->now_ms);
		e->backend = backend_get(e->pin.backend);
	} else {
		e->pin = (struct pin){.backend = NULL};
		e->backend = choose_preview(e->host->chooser, e->up, &e->key, false,
		    e->now_ms, &e->why);
	}
}

/* When what binds it runs out; 0: it does not by time. */
static uint64_t
bound_until(const struct explanation *e)
{
	if (!e->bound || e->why == CHOSE_SESSION)
		return 0;
	if (e->why == CHOSE_WEBSOCKET_LOCK)
		return e->pin.websocket_until_ms;
	return e->pin.exchanges ? 0 : e->pin.http_until_ms;
}

static const char *
in_words(const struct explanation *e)
{
	if (!e->backend)
		return "nothing binds this client, and no backend is usable";
	switch (e->why) {
	case CHOSE_WEBSOCKET_LOCK:
		return "a WebSocket was opened on this backend, or moved to it, and "
		       "its "
		       "lock is running";
	case CHOSE_SESSION:
		if (!e->pin.sessions && e->pin.followers)
			return "sessions of clients with cookies, who came from this "
			       "address, are open on it; somebody new from there "
			       "follows them unless it holds more than its share";
		return "sessions of this client are open on it; their lock has run out";
	case CHOSE_HTTP_LOCK:
		return e->pin.exchanges
			   ? "a request of this client is being answered by it"
			   : "a request of this client was answered by it just now";
	case CHOSE_HINT:
		return "nothing binds this client, but its cookie was issued with this "
		       "backend just now";
	case CHOSE_POLICY: break;
	}
	return "nothing binds this client: the policy would choose this backend";
}

static json_t *
view_lock(uint64_t until_ms, uint64_t now_ms)
{
	return view_moment(until_ms > now_ms ? until_ms : 0);
}

static json_t *
view_preview(const struct explanation *e, bool websocket)
{
	enum choose_by by;
	struct backend *b =
	    choose_preview(e->host->chooser, e->up, &e->key, websocket, e->now_ms, &by);
	json_t *json = json_pack("{s:o, s:o}", "backend", view_text(b ? b->name : NULL),
	    "why", b ? view_text(choose_by_name(by)) : json_null());

	backend_put(b);
	return json;
}

/* What the policy says of somebody who is not known. */
static json_t *
view_policy(const struct explanation *e)
{
	struct client_key nobody = e->key;
	enum choose_by by;
	struct backend *b;
	json_t *json;

	nobody.found = nobody.has_hint = false;
	b = choose_preview(e->host->chooser, e->up, &nobody, true, e->now_ms, &by);
	json = view_text(b ? b->name : NULL);
	backend_put(b);
	return json;
}

/* What the planner is about to do with it. */
static json_t *
view_move(const struct explanation *e)
{
	struct plan plan = {.max = MOVES_LOOKED_AT};
	json_t *json = NULL;

	if (planner_plan(e->host->planner, e->up, e->now_ms, &plan))
		for (size_t i = 0; i < plan.n && !json; i++)
			if (hash128_eq(plan.moves[i].key, e->key.hash))
				json = json_pack("{s:o, s:s}", "to",
				    view_text(plan.moves[i].to->name), "why",
				    move_why_name(plan.moves[i].why));
	plan_fini(&plan);
	return json ? json : json_null();
}

static json_t *
view_sessions(const struct survey_result *r)
{
	json_t *all = json_array();

	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(all,
		    view_session(&r->rows[i].view, r->rows[i].worker));
	return all;
}

static json_t *
view_binding(const struct explanation *e)
{
	return json_pack("{s:b, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:I}",
	    "bound", e->bound, "backend",
	    e->backend ? view_backend(e->backend, e->now_ms) : json_null(), "why",
	    e->backend ? view_text(choose_by_name(e->why)) : json_null(), "explanation",
	    in_words(e), "since_at", view_moment(e->bound ? e->pin.since_ms : 0),
	    "until_at", view_moment(bound_until(e)), "websocket_lock_until_at",
	    view_lock(e->pin.websocket_until_ms, e->now_ms), "http_lock_until_at",
	    view_lock(e->pin.http_until_ms, e->now_ms), "n_sessions",
	    (json_int_t)e->pin.sessions, "n_followers", (json_int_t)e->pin.followers,
	    "n_exchanges", (json_int_t)e->pin.exchanges);
}

static void
pin_reply(struct call *c, struct survey_result *r)
{
	struct explanation e = {.host = &c->admin->host, .now_ms = clock_now_ms()};
	json_t *json;

	e.up = call_upstream(c, c->args[0]);
	if (!e.up || !call_client(c, e.up, c->args[1], &e.key))
		return;
	look(&e);
	json = view_binding(&e);
	json_object_update_new(json,
	    json_pack("{s:o, s:o, s:o, s:{s:o, s:o, s:o, s:o}, s:o, s:I, s:b}",
		"upstream", view_text(e.up->conf->name), "client",
		view_text(c->args[1]), "key", view_key(e.key.hash), "now", "http",
		view_preview(&e, false), "websocket", view_preview(&e, true), "policy",
		view_policy(&e), "move", view_move(&e), "sessions", view_sessions(r),
		"matched", (json_int_t)r->matched, "complete",
		r->n_answered == r->n_workers && !r->no_memory));
	if (e.bound)
		backend_put(e.pin.backend);
	backend_put(e.backend);
	call_reply(c, 200, json);
}

void
handle_pin(struct call *c)
{
	const struct upstream *up = call_upstream(c, c->args[0]);
	struct client_key key;
	struct survey_filter filter = {.keys = &key.hash,
	    .n_keys = 1,
	    .max = SESSIONS_SHOWN};

	if (up && call_client(c, up, c->args[1], &key))
		call_survey(c, &filter, pin_reply);
}

/* ---- the list ---- */

static json_t *
view_pin_row(const struct upstream *up, const struct pin_row *row, uint64_t now_ms)
{
	const struct pin *pin = &row->pin;

	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:I, s:I, s:I}", "key",
	    view_key(row->key), "backend", view_text(row_name_of(up, pin->backend)),
	    "why", choose_by_name(choose_pin_speaks_by(pin, now_ms)), "since_at",
	    view_moment(pin->since_ms), "websocket_lock_until_at",
	    view_lock(pin->websocket_until_ms, now_ms), "http_lock_until_at",
	    view_lock(pin->http_until_ms, now_ms), "n_sessions",
	    (json_int_t)pin->sessions, "n_followers", (json_int_t)pin->followers,
	    "n_exchanges", (json_int_t)pin->exchanges);
}

static void
pins_reply(struct call *c, const struct upstream *up, const struct place *place,
    unsigned limit)
{
	struct pin_row *rows = calloc((size_t)limit + 1, sizeof(*rows));
	struct pins *pins = c->admin->host.pins;
	uint64_t now_ms = clock_now_ms();
	json_t *all = json_array();
	bool complete;
	size_t n;

	if (!rows) {
		json_decref(all);
		call_reply(c, 500, NULL);
		return;
	}
	n = pins_list(pins, place ? place->backends : up->backends,
	    place ? place->n : up->n_backends, now_ms, rows, limit, &complete);
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(all, view_pin_row(up, &rows[i], now_ms));
		backend_put(rows[i].pin.backend);
	}
	free(rows);
	call_reply(c, 200,
	    json_pack("{s:o, s:I, s:b, s:o}", "upstream", view_text(up->conf->name),
		"total", (json_int_t)pins_count(pins), "complete", complete, "pins",
		all));
}

void
handle_pins(struct call *c)
{
	const struct upstream *up = call_upstream(c, c->args[0]);
	const char *backend = call_parameter(c, "backend");
	struct place place;
	unsigned limit;

	if (!up || !call_number(c, "limit", PINS_STANDARD, PINS_MAX, &limit) ||
	    (backend && !call_backend(c, up, backend)))
		return;
	if (!backend) {
		pins_reply(c, up, NULL, limit);
		return;
	}
	if (place_init(&place, up, backend))
		pins_reply(c, up, &place, limit);
	else
		call_reply(c, 500, NULL);
	place_fini(&place);
}
