/* SPDX-License-Identifier: MIT
 *
 * views.c - what roost is doing, as JSON.
 *
 * Names are promises (roost(8) lists them): moments end in _at and are milliseconds
 * since 1970, durations end in _ms, what is unknown or does not apply is null.
 */
#include "admin/api_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/schema.h"
#include "config/value.h"
#include "loop/loop.h"
#include "route/pins.h"
#include "upstream/backend.h"
#include <stdlib.h>
#include <unistd.h>

enum { CLOCK_SET_MS = 50 };
enum { SESSIONS_MAX = 1000, SESSIONS_STANDARD = 100, OFFSET_MAX = 10000 };

json_t *
view_text(const char *text)
{
	json_t *json;
	char *copy;

	if (!text)
		return json_null();
	json = json_string(text);
	if (json)
		return json;
	copy = strdup(text);
	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	json = copy ? json_string(copy) : NULL;
	free(copy);
	return json;
}

/* What clock_now_ms lacks to the time of day. The two are read one after the other and
 * tick coarsely; so that the same moment is the same number each time, the difference
 * is taken anew only when somebody has set the clock. */
static int64_t
wall_offset(void)
{
	static int64_t offset;
	int64_t now = clock_wall_ms() - (int64_t)clock_now_ms();

	if (now > offset + CLOCK_SET_MS || now < offset - CLOCK_SET_MS)
		offset = now;
	return offset;
}

json_t *
view_moment(uint64_t at_ms)
{
	return at_ms ? json_integer((int64_t)at_ms + wall_offset()) : json_null();
}

json_t *
view_key(struct hash128 key)
{
	return json_sprintf("%016llx%016llx", (unsigned long long)key.hi,
	    (unsigned long long)key.lo);
}

/* A value as the configuration writes it. */
static json_t *
view_value(enum section_id section, const char *key, const void *base)
{
	struct strbuf text = STRBUF_INIT;
	json_t *json;

	value_print(schema_find(section, str_of(key)), base, false, &text);
	json = view_text(strbuf_cstr(&text));
	strbuf_fini(&text);
	return json;
}

json_t *
view_rehome_mode(const struct upstream *up)
{
	return view_value(SECTION_REHOME, "mode", &up->conf->rehome);
}

/* ---- backends ---- */

struct use {
	const char *name, *why;
};

static const struct use uses[] = {
    [BACKEND_USABLE] = {"usable", NULL},
    [BACKEND_FULL] = {"full", "max_sessions is reached: exchanges only"},
    [BACKEND_BUSY] = {"busy", "max_connections is reached"},
    [BACKEND_EJECTED] = {"ejected",
	"bad answers or ends: takes nothing new for a while"},
    [BACKEND_UNHEALTHY] = {"unhealthy", "its health checks fail"},
    [BACKEND_FAILING] = {"failing", "connections to it failed: left alone for a while"},
    [BACKEND_UNRESOLVED] = {"unresolved", "its name has no address yet"},
    [BACKEND_DRAINING] = {"draining", "set to drain: keeps what it has"},
    [BACKEND_OUT] = {"down", "set to down"},
    [BACKEND_REMOVED] = {"removed", "no longer in the configuration"},
};

static struct use
use_of(const struct backend *b, uint64_t now_ms)
{
	size_t use = backend_use(b, now_ms);

	if (use < sizeof(uses) / sizeof(*uses) && uses[use].name)
		return uses[use];
	return (struct use){"other", NULL};
}

const char *
view_use_name(const struct backend *b, uint64_t now_ms)
{
	return use_of(b, now_ms).name;
}

static const char *
admin_state_name(const struct backend *b)
{
	switch (atomic_load(&b->admin_state)) {
	case BACKEND_DRAIN: return "drain";
	case BACKEND_DOWN: return "down";
	default: return "up";
	}
}

json_t *
view_backend(const struct backend *b, uint64_t now_ms)
{
	uint64_t failing_until = atomic_load(&b->failing_until_ms);
	struct use use = use_of(b, now_ms);

	if (failing_until <= now_ms)
		failing_until = 0;
	return json_pack("{s:o, s:o, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
			 "s:I, s:o}",
	    "name", view_text(b->name), "address", view_text(b->address), "state",
	    admin_state_name(b), "use", use.name, "why", view_text(use.why), "weight",
	    (json_int_t)atomic_load(&b->weight), "sessions",
	    (json_int_t)atomic_load(&b->sessions), "sockets",
	    (json_int_t)atomic_load(&b->sockets), "exchanges",
	    (json_int_t)atomic_load(&b->exchanges), "opening",
	    (json_int_t)atomic_load(&b->opening), "max_sessions",
	    (json_int_t)atomic_load(&b->max_sessions), "max_connections",
	    (json_int_t)atomic_load(&b->max_connections), "failures",
	    (json_int_t)atomic_load(&b->failures), "failing_until_at",
	    view_moment(failing_until));
}

static json_t *
view_upstream(const struct upstream *up, uint64_t now_ms)
{
	json_t *backends = json_array();
	json_int_t sessions = 0, exchanges = 0;

	for (size_t i = 0; i < up->n_backends; i++) {
		const struct backend *b = up->backends[i];

		sessions += atomic_load(&b->sessions);
		exchanges += atomic_load(&b->exchanges);
		json_array_append_new(backends, view_backend(b, now_ms));
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o}", "name",
	    view_text(up->conf->name), "balance",
	    view_value(SECTION_UPSTREAM, "balance", up->conf), "client_key",
	    view_value(SECTION_UPSTREAM, "client_key", up->conf), "rehome_mode",
	    view_rehome_mode(up), "rehome_rate", (json_int_t)up->conf->rehome.rate,
	    "sessions", sessions, "exchanges", exchanges, "backends", backends);
}

void
handle_upstreams(struct call *c)
{
	const struct admin_host *host = &c->admin->host;
	const struct snapshot *s = host->snapshot(host->arg);
	json_t *all = json_array();

	for (size_t i = 0; i < s->n_upstreams; i++)
		json_array_append_new(all,
		    view_upstream(&s->upstreams[i], clock_now_ms()));
	call_reply(c, 200, json_pack("{s:o}", "upstreams", all));
}

/* ---- roost itself ---- */

void
handle_healthz(struct call *c)
{
	if (c->admin->host.is_stopping(c->admin->host.arg))
		call_error(c, 503, "roost is stopping");
	else
		call_reply(c, 200, json_pack("{s:s}", "status", "ok"));
}

static json_t *
view_counters(const struct admin_host *host)
{
	json_t *counters = json_object();

	for (int i = 0; i < COUNTER_COUNT; i++)
		json_object_set_new(counters, counter_name(i),
		    json_integer((json_int_t)host->counter(host->arg, i)));
	return counters;
}

void
handle_status(struct call *c)
{
	const struct admin *a = c->admin;
	const struct admin_host *host = &a->host;
	const struct snapshot *s = host->snapshot(host->arg);

	call_reply(c, 200,
	    json_pack("{s:s, s:I, s:s, s:o, s:I, s:o, s:I, s:I, s:I, s:o}", "version",
		PACKAGE_VERSION, "pid", (json_int_t)getpid(), "state",
		host->is_stopping(host->arg) ? "stopping" : "running", "started_at",
		view_moment(a->started_ms), "uptime_ms",
		(json_int_t)(clock_now_ms() - a->started_ms), "config_file",
		view_text(s->config->file), "workers",
		(json_int_t)host->n_workers(host->arg), "pins",
		(json_int_t)pins_count(host->pins), "log_lines_dropped",
		(json_int_t)log_dropped(), "counters", view_counters(host)));
}

static const char *const access_names[] = {
    [ACCESS_OPEN] = "open",
    [ACCESS_READ] = "read",
    [ACCESS_WRITE] = "write",
};

void
handle_list(struct call *c)
{
	json_t *all = json_array();

	for (size_t i = 0; i < n_endpoints; i++) {
		const struct endpoint *e = &endpoints[i];

		json_array_append_new(all,
		    json_pack("{s:s, s:s, s:s, s:s, s:s}", "method", e->method, "path",
			e->path, "parameters", e->parameters, "access",
			access_names[e->access], "help", e->help));
	}
	call_reply(c, 200, json_pack("{s:o}", "endpoints", all));
}

/* ---- sessions ---- */

static json_t *
view_number_or_null(unsigned value)
{
	return value ? json_integer(value) : json_null();
}

static json_t *
view_side(const struct side_view *v)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}",
	    "messages", (json_int_t)v->messages, "bytes", (json_int_t)v->bytes,
	    "idle_ms", (json_int_t)v->idle_ms, "queued_bytes", (json_int_t)v->queued,
	    "held_bytes", (json_int_t)v->held, "pings", (json_int_t)v->pings, "pongs",
	    (json_int_t)v->pongs, "rtt_us", view_number_or_null(v->rtt_us),
	    "rtt_mean_us", view_number_or_null(v->rtt_mean_us), "close_said",
	    view_number_or_null(v->close_said), "close_seen",
	    view_number_or_null(v->close_seen));
}

static json_t *
view_history(const struct session_view *v)
{
	json_t *states = json_array(), *homes = json_array();

	for (unsigned i = 0; i < v->n_changes; i++)
		json_array_append_new(states,
		    json_pack("{s:s, s:o}", "state",
			session_state_name(v->changes[i].state), "since_at",
			view_moment(v->changes[i].since_ms)));
	for (unsigned i = 0; i < v->n_homes; i++)
		json_array_append_new(homes,
		    json_pack("{s:o, s:o}", "backend", view_text(v->homes[i].backend),
			"until_at", view_moment(v->homes[i].left_ms)));
	return json_pack("{s:I, s:I, s:I, s:I, s:b, s:f, s:I, s:o, s:o}", "moves",
	    (json_int_t)v->moves, "tries", (json_int_t)v->tried, "succeeded",
	    (json_int_t)v->succeeded, "failed", (json_int_t)v->failed, "moving",
	    v->moving, "availability", v->availability / 10000.0, "down_ms",
	    (json_int_t)v->down_ms, "states", states, "homes", homes);
}

json_t *
view_session(const struct session_view *v, unsigned worker)
{
	char address[ADDR_TEXT];
	json_t *json = json_pack("{s:o, s:o, s:o, s:o, s:s, s:s, s:s, s:I, s:o, s:I, "
				 "s:I, s:o, s:o}",
	    "id", view_text(v->id), "upstream", view_text(v->upstream), "backend",
	    view_text(v->backend), "key", view_key(v->key), "address",
	    addr_print(&v->peer, true, address), "state", session_state_name(v->state),
	    "chosen_by", v->chosen_by, "worker", (json_int_t)worker, "opened_at",
	    view_moment(v->opened_ms), "age_ms", (json_int_t)v->age_ms, "in_state_ms",
	    (json_int_t)v->in_state_ms, "client_side", view_side(&v->client_side),
	    "backend_side", view_side(&v->backend_side));

	if (json)
		json_object_update_new(json, view_history(v));
	return json;
}

static void
sessions_reply(struct call *c, struct survey_result *r)
{
	json_t *all = json_array();
	unsigned limit, offset;

	if (!call_number(c, "limit", SESSIONS_STANDARD, SESSIONS_MAX, &limit) ||
	    !call_number(c, "offset", 0, OFFSET_MAX, &offset))
		return;
	for (size_t i = offset; i < r->n && i - offset < limit; i++)
		json_array_append_new(all,
		    view_session(&r->rows[i].view, r->rows[i].worker));
	call_reply(c, 200,
	    json_pack("{s:I, s:I, s:I, s:b, s:o}", "matched", (json_int_t)r->matched,
		"offset", (json_int_t)offset, "limit", (json_int_t)limit, "complete",
		r->n_answered == r->n_workers && !r->no_memory, "sessions", all));
}

/* The client's key in each upstream that could know it. NULL: answered. */
static struct hash128 *
client_keys(struct call *c, const char *client, const char *upstream, size_t *n_r)
{
	const struct admin_host *host = &c->admin->host;
	const struct snapshot *s = host->snapshot(host->arg);
	struct hash128 *keys = calloc(s->n_upstreams + 1, sizeof(*keys));
	struct client_key key;

	*n_r = 0;
	if (!keys) {
		call_reply(c, 500, NULL);
		return NULL;
	}
	for (size_t i = 0; i < s->n_upstreams; i++) {
		const struct upstream *up = &s->upstreams[i];

		if (upstream && strcmp(upstream, up->conf->name) != 0)
			continue;
		if (client_of(up, client, &key))
			keys[(*n_r)++] = key.hash;
	}
	if (*n_r)
		return keys;
	free(keys);
	call_error(c, 400, "client \"%s\": not a kind of client that an upstream knows",
	    client);
	return NULL;
}

void
handle_sessions(struct call *c)
{
	const char *client = call_parameter(c, "client");
	struct survey_filter filter = {
	    .upstream = call_parameter(c, "upstream"),
	    .backend = call_parameter(c, "backend"),
	};
	struct hash128 *keys = NULL;
	unsigned limit, offset;

	if (!call_number(c, "limit", SESSIONS_STANDARD, SESSIONS_MAX, &limit) ||
	    !call_number(c, "offset", 0, OFFSET_MAX, &offset) ||
	    (filter.upstream && !call_upstream(c, filter.upstream)))
		return;
	if (client) {
		keys = client_keys(c, client, filter.upstream, &filter.n_keys);
		if (!keys)
			return;
		if (strncmp(client, "address:", 8) == 0)
			(void)addr_parse_ip(str_of(client + 8), &filter.address);
	}
	filter.keys = keys;
	filter.max = (size_t)offset + limit;
	call_survey(c, &filter, sessions_reply);
	free(keys);
}
