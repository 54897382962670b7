/* SPDX-License-Identifier: MIT
 *
 * views.c - what roost is doing, as JSON.
 *
 * Names are promises (roost(8) lists them): moments end in _at and are milliseconds
 * since 1970, durations end in _ms, what is unknown or does not apply is null.
 */
#include "admin/api_private.h"

#include "base/causes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/schema.h"
#include "config/value.h"
#include "loop/loop.h"
#include "route/pins.h"
#include "upstream/amend.h"
#include "upstream/backend.h"
#include <stdlib.h>
#include <unistd.h>

enum { CLOCK_SET_MS = 50 };

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

/* Why it is not usable: what its use means, and what was met. */
static json_t *
view_why(const struct backend *b, struct use use)
{
	char met[TROUBLE_TEXT] = "";

	if (!use.why)
		return json_null();
	if (use.name == uses[BACKEND_UNHEALTHY].name)
		backend_trouble(b, TROUBLE_CHECK, met);
	else if (use.name == uses[BACKEND_FAILING].name)
		backend_trouble(b, TROUBLE_CONNECT, met);
	return *met ? json_sprintf("%s (%s)", use.why, met) : view_text(use.why);
}

const char *
view_use_name(const struct backend *b, uint64_t now_ms)
{
	return use_of(b, now_ms).name;
}

const char *
view_use(unsigned use)
{
	return use < sizeof(uses) / sizeof(*uses) ? uses[use].name : NULL;
}

/* By label; what has not occurred is left out. */
static json_t *
view_ended(const _Atomic uint64_t *counts, unsigned n, const char *(*label)(unsigned))
{
	json_t *json = json_object();

	for (unsigned i = 0; i < n; i++) {
		uint64_t count = atomic_load_explicit(&counts[i], memory_order_relaxed);

		if (count)
			json_object_set_new(json, label(i),
			    json_integer((json_int_t)count));
	}
	return json;
}

static const char *
label_of_cause(unsigned cause)
{
	return cause_label((enum cause)cause);
}

/* How its sessions ended. */
static json_t *
view_ends(const struct backend *b)
{
	return json_pack("{s:o, s:o, s:o}", "causes",
	    view_ended(b->ends, CAUSE_COUNT, label_of_cause), "client_codes",
	    view_ended(b->client_codes, CODE_SLOTS, code_slot_label), "backend_codes",
	    view_ended(b->backend_codes, CODE_SLOTS, code_slot_label));
}

json_t *
view_backend(const struct backend *b, uint64_t now_ms)
{
	uint64_t failing_until = atomic_load(&b->failing_until_ms);
	struct use use = use_of(b, now_ms);

	if (failing_until <= now_ms)
		failing_until = 0;
	return json_pack("{s:o, s:o, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
			 "s:I, s:I, s:o, s:o, s:o}",
	    "name", view_text(b->name), "address", view_text(b->address), "state",
	    backend_state_name(atomic_load(&b->admin_state)), "use", use.name, "why",
	    view_why(b, use), "weight", (json_int_t)atomic_load(&b->weight), "sessions",
	    (json_int_t)atomic_load(&b->sessions), "sockets",
	    (json_int_t)atomic_load(&b->sockets), "exchanges",
	    (json_int_t)atomic_load(&b->exchanges), "opening",
	    (json_int_t)atomic_load(&b->opening), "awaited",
	    (json_int_t)atomic_load(&b->awaited), "max_sessions",
	    (json_int_t)atomic_load(&b->max_sessions), "max_connections",
	    (json_int_t)atomic_load(&b->max_connections), "failures",
	    (json_int_t)atomic_load(&b->failures), "failing_until_at",
	    view_moment(failing_until), "unhealthy_since_at",
	    view_moment(atomic_load(&b->unhealthy_since_ms)), "ended", view_ends(b));
}

json_t *
view_upstream(const struct admin *a, const struct upstream *up)
{
	uint64_t now_ms = clock_now_ms();
	json_t *backends = json_array();
	json_int_t sessions = 0, exchanges = 0;

	for (size_t i = 0; i < up->n_backends; i++) {
		const struct backend *b = up->backends[i];

		sessions += atomic_load(&b->sessions);
		exchanges += atomic_load(&b->exchanges);
		json_t *view = view_backend(b, now_ms);

		if (view)
			view_add_source(view, a, up, row_name_of(up, b));
		json_array_append_new(backends, view);
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o}", "name",
	    view_text(up->conf->name), "balance",
	    view_value(SECTION_UPSTREAM, "balance", up->conf), "client_key",
	    view_value(SECTION_UPSTREAM, "client_key", up->conf), "rehome_mode",
	    view_rehome_mode(up), "rehome_rate", (json_int_t)up->conf->rehome.rate,
	    "sessions", sessions, "exchanges", exchanges, "backends", backends,
	    "removed", view_removed(a, up));
}

void
handle_upstreams(struct call *c)
{
	const struct admin_host *host = &c->admin->host;
	const struct snapshot *s = host->snapshot(host->arg);
	json_t *all = json_array();

	for (size_t i = 0; i < s->n_upstreams; i++)
		json_array_append_new(all, view_upstream(c->admin, &s->upstreams[i]));
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
	    json_pack("{s:s, s:I, s:s, s:b, s:o, s:I, s:o, s:I, s:I, s:I, s:o}",
		"version", PACKAGE_VERSION, "pid", (json_int_t)getpid(), "state",
		host->is_stopping(host->arg) ? "stopping" : "running", "upgrading",
		host->is_upgrading && host->is_upgrading(host->arg), "started_at",
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
