/* SPDX-License-Identifier: MIT
 *
 * sessions.c - live WebSocket sessions as JSON: which, in which order, and what is to
 * be told of each.
 */
#include "admin/api_private.h"

#include "base/strbuf.h"
#include <stdlib.h>

enum { SESSIONS_MAX = 1000, SESSIONS_STANDARD = 100, OFFSET_MAX = 10000 };
#define AGE_MAX_MS UINT64_C(31536000000) /* a year */

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
	return json_pack("{s:I, s:I, s:I, s:I, s:b, s:f, s:I, s:I, s:I, s:o, s:o}",
	    "moves", (json_int_t)v->moves, "tries", (json_int_t)v->tried, "succeeded",
	    (json_int_t)v->succeeded, "failed", (json_int_t)v->failed, "moving",
	    v->moving, "availability", v->availability / 10000.0, "down_ms",
	    (json_int_t)v->down_ms, "messages_maybe_lost", (json_int_t)v->lost,
	    "messages_sent_again", (json_int_t)v->again, "states", states, "homes",
	    homes);
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

/* ---- which ones ---- */

struct word {
	const char *text;
	unsigned value;
};

static const struct word sorts[] = {
    {"newest", SORT_NEWEST},
    {"oldest", SORT_OLDEST},
    {"idle", SORT_IDLE},
    {"messages", SORT_MESSAGES},
    {"bytes", SORT_BYTES},
    {"moves", SORT_MOVES},
    {"rtt", SORT_RTT},
    {"queued", SORT_QUEUED},
    {NULL, 0},
};

static const struct word states[] = {
    {"connected", STATE_CONNECTED},
    {"reconnecting", STATE_RECONNECTING},
    {"closing", STATE_CLOSING},
    {"moving", STATE_MOVING},
    {NULL, 0},
};

/* One of those words; not said: *value_r is as it was. False: answered. */
static bool
read_word(struct call *c, const char *name, const struct word *words, unsigned *value_r)
{
	const char *text = call_parameter(c, name);
	struct strbuf all = STRBUF_INIT;

	if (!text)
		return true;
	for (const struct word *w = words; w->text; w++) {
		if (strcmp(w->text, text) == 0) {
			*value_r = w->value;
			strbuf_fini(&all);
			return true;
		}
		strbuf_printf(&all, "%s%s", all.len ? ", " : "", w->text);
	}
	call_error(c, 400, "%s: expected one of %s", name, strbuf_cstr(&all));
	strbuf_fini(&all);
	return false;
}

static bool
read_worker(struct call *c, struct survey_filter *f)
{
	const struct admin_host *host = &c->admin->host;
	size_t n = host->n_workers(host->arg);

	if (!call_parameter(c, "worker"))
		return true;
	if (!call_number(c, "worker", 0, (unsigned)n - 1, &f->worker))
		return false;
	f->worker++;
	return true;
}

/* Everything but the client. False: answered. */
static bool
read_filter(struct call *c, struct survey_filter *f)
{
	unsigned sort = SORT_NEWEST, limit, offset;

	*f = (struct survey_filter){
	    .upstream = call_parameter(c, "upstream"),
	    .backend = call_parameter(c, "backend"),
	    .session = call_parameter(c, "session"),
	};
	if (!call_number(c, "limit", SESSIONS_STANDARD, SESSIONS_MAX, &limit) ||
	    !call_number(c, "offset", 0, OFFSET_MAX, &offset) ||
	    !read_word(c, "sort", sorts, &sort) ||
	    !read_word(c, "state", states, &f->states) || !read_worker(c, f) ||
	    !call_duration(c, "min_age", call_parameter(c, "min_age"), AGE_MAX_MS,
		&f->min_age_ms) ||
	    !call_duration(c, "max_age", call_parameter(c, "max_age"), AGE_MAX_MS,
		&f->max_age_ms) ||
	    (f->upstream && !call_upstream(c, f->upstream)))
		return false;
	f->sort = (enum survey_sort)sort;
	f->max = (size_t)offset + limit;
	return true;
}

void
handle_sessions(struct call *c)
{
	const char *client = call_parameter(c, "client");
	struct survey_filter filter;
	struct hash128 *keys = NULL;

	if (!read_filter(c, &filter))
		return;
	if (client) {
		keys = client_keys(c, client, filter.upstream, &filter.n_keys);
		if (!keys)
			return;
		if (strncmp(client, "address:", 8) == 0)
			(void)addr_parse_ip(str_of(client + 8), &filter.address);
	}
	filter.keys = keys;
	call_survey(c, &filter, sessions_reply);
	free(keys);
}
