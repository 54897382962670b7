/* SPDX-License-Identifier: MIT
 *
 * moves.c - what the planner would do, and what it is asked to do.
 *
 * The request to re-home a client first asks the workers for its sessions: a client
 * that is known by several keys (an address with issued cookies behind it) is moved
 * under each, and one that is being moved already is left alone.
 */
#include "admin/api_private.h"

#include "base/clock.h"
#include "route/pins.h"
#include "route/planner.h"
#include "upstream/backend.h"

enum { PLAN_STANDARD = 100, PLAN_MAX = 1000, CLIENT_MAX = 1000 };

static json_t *
view_planned(const struct plan_move *m)
{
	return json_pack("{s:o, s:o, s:o, s:s, s:I, s:I, s:o}", "key", view_key(m->key),
	    "from", view_text(m->from->name), "to", view_text(m->to->name), "why",
	    move_why_name(m->why), "sessions", (json_int_t)m->sessions, "wait_ms",
	    (json_int_t)m->wait_ms, "waits_for", view_text(wait_why_name(m->wait)));
}

/* One row for each reason why clients stay that should go. */
static json_t *
view_held(const struct plan *plan, uint64_t now_ms)
{
	static const char *const names[] = {
	    [HELD_BY_LOCK] = "websocket_lock",
	    [HELD_BY_STAY] = "min_stay",
	    [HELD_BY_REQUEST] = "request",
	    [HELD_BY_MOVE] = "moving",
	    [HELD_BY_FAILURE] = "failed_try",
	    [HELD_BY_NOTHING] = "no_place",
	};
	json_t *all = json_array();

	for (size_t i = 0; i < plan->n_held; i++)
		for (int why = 0; why < PIN_HOLDS; why++) {
			const struct plan_held *h = &plan->held[i];
			uint64_t until = h->holds.until_ms[why];

			if (h->holds.clients[why] == 0)
				continue;
			json_array_append_new(all,
			    json_pack("{s:o, s:I, s:s, s:I, s:o}", "backend",
				view_text(h->backend->name), "surplus",
				(json_int_t)h->surplus, "held_by", names[why],
				"clients", (json_int_t)h->holds.clients[why],
				"first_in_ms",
				until > now_ms
				    ? json_integer((json_int_t)(until - now_ms))
				    : json_null()));
		}
	return all;
}

static json_t *
view_moves(const struct plan *plan)
{
	json_t *all = json_array();

	for (size_t i = 0; i < plan->n; i++)
		json_array_append_new(all, view_planned(&plan->moves[i]));
	return all;
}

/* ---- the plan ---- */

/* Its share of all sessions of those that stay in service; null: it is to be empty. */
static json_t *
view_share(const struct upstream *up, const struct backend *b, uint64_t now_ms)
{
	uint64_t load = 0, weight = 0;

	if (backend_is_leaving(b, now_ms))
		return json_null();
	for (size_t i = 0; i < up->n_backends; i++) {
		const struct backend *other = up->backends[i];

		load += atomic_load(&other->sessions);
		if (!backend_is_leaving(other, now_ms))
			weight += atomic_load(&other->weight);
	}
	return weight
		   ? json_real((double)load * atomic_load(&b->weight) / (double)weight)
		   : json_null();
}

static json_t *
view_loads(const struct upstream *up, uint64_t now_ms)
{
	json_t *all = json_array();

	for (size_t i = 0; i < up->n_backends; i++) {
		const struct backend *b = up->backends[i];

		json_array_append_new(all,
		    json_pack("{s:o, s:s, s:I, s:I, s:o, s:b}", "name",
			view_text(b->name), "use", view_use_name(b, now_ms), "weight",
			(json_int_t)atomic_load(&b->weight), "sessions",
			(json_int_t)atomic_load(&b->sessions), "fair_share",
			view_share(up, b, now_ms), "leaving",
			backend_is_leaving(b, now_ms)));
	}
	return all;
}

static json_t *
view_requests(const struct planner *planner, const struct upstream *up)
{
	json_t *all = json_array();
	const struct errand *e;

	for (size_t i = 0; (e = planner_errand(planner, i)); i++)
		if (e->upstream_id == up->id)
			json_array_append_new(all,
			    json_pack("{s:o, s:o, s:o, s:I}", "backend",
				view_text(e->from->name), "to",
				view_text(e->to ? e->to->name : NULL), "asked_at",
				view_moment(e->asked_ms), "moved",
				(json_int_t)e->moved));
	return all;
}

static json_t *
view_plan(const struct admin_host *host, const struct upstream *up, unsigned limit)
{
	struct plan plan = {.max = limit, .tell_held = true};
	uint64_t now = clock_now_ms();
	json_t *json = NULL;

	if (planner_plan(host->planner, up, now, &plan))
		json =
		    json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:b, s:o, s:o}", "name",
			view_text(up->conf->name), "rehome_mode", view_rehome_mode(up),
			"rehome_rate", (json_int_t)up->conf->rehome.rate, "debounce_ms",
			(json_int_t)plan.debounce_ms, "backends", view_loads(up, now),
			"moves", view_moves(&plan), "more", plan.more, "held",
			view_held(&plan, now), "requests",
			view_requests(host->planner, up));
	plan_fini(&plan);
	return json;
}

void
handle_plan(struct call *c)
{
	const struct admin_host *host = &c->admin->host;
	const struct snapshot *s = host->snapshot(host->arg);
	const char *name = call_parameter(c, "upstream");
	json_t *all;
	unsigned limit;

	if (!call_number(c, "limit", PLAN_STANDARD, PLAN_MAX, &limit) ||
	    (name && !call_upstream(c, name)))
		return;
	all = json_array();
	for (size_t i = 0; i < s->n_upstreams; i++)
		if (!name || strcmp(name, s->upstreams[i].conf->name) == 0)
			json_array_append_new(all,
			    view_plan(host, &s->upstreams[i], limit));
	call_reply(c, 200, json_pack("{s:o}", "upstreams", all));
}

/* ---- under way ---- */

/* Pins go first and sockets follow. */
static uint32_t
sessions_left(const struct backend *b)
{
	uint32_t pinned = atomic_load(&b->sessions), there = atomic_load(&b->sockets);

	return pinned > there ? pinned : there;
}

static const struct errand *
errand_of(const struct planner *planner, const struct backend *b)
{
	const struct errand *e;

	for (size_t i = 0; (e = planner_errand(planner, i)); i++)
		if (e->from == b)
			return e;
	return NULL;
}

/* Null: nothing moves away from it, but perhaps a surplus. */
static json_t *
view_departure(const struct admin_host *host, const struct upstream *up,
    const struct backend *b, uint64_t now_ms)
{
	const struct errand *e = errand_of(host->planner, b);
	bool leaves = backend_is_leaving(b, now_ms) && sessions_left(b);

	if (!e && !leaves)
		return NULL;
	return json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:I}", "upstream",
	    view_text(up->conf->name), "backend", view_text(b->name), "use",
	    view_use_name(b, now_ms), "why",
	    move_why_name(leaves ? MOVE_LEAVING : MOVE_ASKED), "to",
	    view_text(e && e->to ? e->to->name : NULL), "asked_at",
	    view_moment(e ? e->asked_ms : 0), "moved",
	    e ? json_integer(e->moved) : json_null(), "left",
	    (json_int_t)sessions_left(b));
}

void
handle_rehomes(struct call *c)
{
	const struct admin_host *host = &c->admin->host;
	const struct snapshot *s = host->snapshot(host->arg);
	const char *name = call_parameter(c, "upstream");
	json_t *all;

	if (name && !call_upstream(c, name))
		return;
	all = json_array();
	for (size_t i = 0; i < s->n_upstreams; i++) {
		const struct upstream *up = &s->upstreams[i];

		if (name && strcmp(name, up->conf->name) != 0)
			continue;
		for (size_t j = 0; j < up->n_backends; j++)
			json_array_append_new(all,
			    view_departure(host, up, up->backends[j], clock_now_ms()));
	}
	call_reply(c, 200,
	    json_pack("{s:o, s:I, s:I, s:I, s:I}", "rehomes", all, "started",
		(json_int_t)host->counter(host->arg, COUNT_REHOMES_STARTED), "done",
		(json_int_t)host->counter(host->arg, COUNT_REHOMES_DONE), "closed",
		(json_int_t)host->counter(host->arg, COUNT_REHOMES_CLOSED), "failed",
		(json_int_t)host->counter(host->arg, COUNT_REHOMES_FAILED)));
}

/* ---- requests ---- */

struct order {
	const char *upstream, *client, *backend, *target; /* as asked */
	int dry_run;
	const struct upstream *up;
	struct client_key key;
	struct backend *from, *to; /* borrowed; NULL: not said */
	uint64_t now_ms;
};

/* Is there a place to go? */
static bool
order_find_target(struct call *c, struct order *o)
{
	if (!o->target)
		return true;
	o->to = call_backend(c, o->up, o->target);
	if (!o->to)
		return false;
	if (o->to == o->from)
		call_error(c, 400, "backend and to are the same");
	else if (!backend_is_usable(o->to, o->now_ms))
		call_error(c, 409, "backend \"%s\" takes no sessions now (%s)",
		    o->target, view_use_name(o->to, o->now_ms));
	else
		return true;
	return false;
}

static bool
order_find(struct call *c, struct order *o)
{
	o->up = call_upstream(c, o->upstream);
	if (!o->up)
		return false;
	if (o->backend && !(o->from = call_backend(c, o->up, o->backend)))
		return false;
	if (o->client && !call_client(c, o->up, o->client, &o->key))
		return false;
	if (!order_find_target(c, o))
		return false;
	if (o->up->conf->rehome.mode != REHOME_OFF)
		return true;
	call_error(c, 409, "upstream \"%s\" has re-homing off", o->upstream);
	return false;
}

/* False: answered. */
static bool
order_read(struct call *c, struct order *o)
{
	json_error_t error;

	*o = (struct order){.now_ms = clock_now_ms()};
	if (json_unpack_ex(c->body, &error, JSON_STRICT, "{s:s, s?s, s?s, s?s, s?b}",
		"upstream", &o->upstream, "client", &o->client, "backend", &o->backend,
		"to", &o->target, "dry_run", &o->dry_run)) {
		call_error(c, 400, "body: %s", error.text);
		return false;
	}
	if (!o->client != !o->backend)
		return order_find(c, o);
	call_error(c, 400, "body: expected either client or backend");
	return false;
}

/* All of a backend. */
static void
move_backend(struct call *c, const struct order *o)
{
	struct planner *planner = c->admin->host.planner;
	struct plan plan = {.max = PLAN_MAX};
	json_t *json = NULL;

	if (!planner_plan_backend(planner, o->up, o->from, o->to, o->now_ms, &plan))
		goto out;
	if (plan.n == 0 && atomic_load(&o->from->sessions)) {
		plan_fini(&plan);
		call_error(c, 409, "no other backend takes sessions now");
		return;
	}
	if (!o->dry_run &&
	    !planner_move_backend(planner, o->up, o->from, o->to, o->now_ms)) {
		plan_fini(&plan);
		call_error(c, 409, "too many such requests are under way");
		return;
	}
	json = json_pack("{s:b, s:I, s:b, s:I, s:o}", "dry_run", o->dry_run, "clients",
	    (json_int_t)plan.n, "more", plan.more, "rehome_rate",
	    (json_int_t)o->up->conf->rehome.rate, "moves", view_moves(&plan));
out:
	plan_fini(&plan);
	call_reply(c, o->dry_run || !json ? 200 : 202, json);
}

/* One key of a client. Null: it is there already, or there is nowhere to go. */
static json_t *
move_key(const struct admin_host *host, const struct order *o, struct hash128 key)
{
	struct pin pin;
	struct backend *to = NULL;
	struct move move = {.why = MOVE_ASKED};
	json_t *json = NULL;

	if (o->key.stable && hash128_eq(key, o->key.hash))
		pins_set_stable(host->pins, key, o->key.stable);
	if (!pins_lookup(host->pins, key, o->now_ms, &pin))
		return NULL;
	to = o->to ? backend_get(o->to)
		   : planner_target(host->planner, o->up, key, pin.backend, o->now_ms);
	if (to && to != pin.backend &&
	    (o->dry_run || planner_move_client(host->planner, o->up, key, pin.backend,
			       to, o->now_ms, &move)))
		json = json_pack("{s:o, s:o, s:o, s:s, s:I, s:I}", "key", view_key(key),
		    "from", view_text(pin.backend->name), "to", view_text(to->name),
		    "why", move_why_name(MOVE_ASKED), "sessions",
		    (json_int_t)pin.sessions, "delay_ms", (json_int_t)move.delay_ms);
	backend_put(to);
	backend_put(pin.backend);
	return json;
}

/* Was this key among the rows before? */
static bool
is_repeated(const struct survey_result *r, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (hash128_eq(r->rows[i].view.key, r->rows[at].view.key))
			return true;
	return false;
}

static bool
is_moving(const struct survey_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->rows[i].view.moving)
			return true;
	return false;
}

static void
client_reply(struct call *c, struct survey_result *r)
{
	const struct admin_host *host = &c->admin->host;
	struct order o;
	struct pin pin;
	json_t *moves;

	if (!order_read(c, &o))
		return;
	if (r->n == 0 && !pins_lookup(host->pins, o.key.hash, o.now_ms, &pin)) {
		call_error(c, 404, "nothing is known of client \"%s\"", o.client);
		return;
	}
	if (is_moving(r)) {
		call_error(c, 409, "client \"%s\" is being re-homed already", o.client);
		return;
	}
	moves = json_array();
	if (r->n == 0) {
		backend_put(pin.backend);
		json_array_append_new(moves, move_key(host, &o, o.key.hash));
	}
	for (size_t i = 0; i < r->n; i++)
		if (!is_repeated(r, i))
			json_array_append_new(moves,
			    move_key(host, &o, r->rows[i].view.key));
	if (json_array_size(moves)) {
		call_reply(c, 200,
		    json_pack("{s:b, s:I, s:b, s:o}", "dry_run", o.dry_run, "clients",
			(json_int_t)json_array_size(moves), "more", r->matched > r->n,
			"moves", moves));
		return;
	}
	json_decref(moves);
	call_error(c, 409, "client \"%s\" is there already, or there is nowhere to go",
	    o.client);
}

void
handle_rehome(struct call *c)
{
	struct survey_filter filter = {.n_keys = 1, .max = CLIENT_MAX};
	struct order o;

	if (!order_read(c, &o))
		return;
	if (o.backend) {
		move_backend(c, &o);
		return;
	}
	filter.keys = &o.key.hash;
	call_survey(c, &filter, client_reply);
}
