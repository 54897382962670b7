/* SPDX-License-Identifier: MIT
 *
 * backends.c - backends are changed, added and removed while roost runs.
 *
 * What a request asks for is written over the row as it is now and becomes an amendment
 * (upstream/amend.h), so that nothing here has to know what follows from it.
 */
#include "admin/api_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/schema.h"
#include "config/value.h"
#include "upstream/amend.h"
#include "upstream/backend.h"

/* ---- as JSON ---- */

static json_t *
view_row(const struct config_backend *row)
{
	return json_pack("{s:o, s:s, s:I, s:b}", "address", view_text(row->address),
	    "state", backend_state_name(row->state), "weight", (json_int_t)row->weight,
	    "backup", row->backup);
}

static const struct config_backend *
row_of(const struct config_backend *rows, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static const struct config_backend *
file_row(const struct upstream *up, const char *name)
{
	return row_of(up->conf->backends, up->conf->n_backends, name);
}

/* Where it comes from, and how it differs from the file. */
static const char *
source_of(const struct admin *a, const struct upstream *up, const char *name)
{
	const struct snapshot *s = a->host.snapshot(a->host.arg);
	const struct amendment *one =
	    amendments_find(s->amendments, up->conf->name, name);

	if (!one)
		return "file";
	if (!one->is_there)
		return "removed";
	return one->in_file ? "changed" : "added";
}

void
view_add_source(json_t *json, const struct admin *a, const struct upstream *up,
    const char *name)
{
	const struct config_backend *file = file_row(up, name);

	json_object_set_new(json, "source", json_string(source_of(a, up, name)));
	json_object_set_new(json, "configured", file ? view_row(file) : json_null());
}

const char *
row_name_of(const struct upstream *up, const struct backend *b)
{
	for (size_t i = 0; i < up->n_rows; i++)
		if (backend_is_of(b, &up->rows[i]))
			return up->rows[i].name;
	return b->name;
}

json_t *
view_removed(const struct admin *a, const struct upstream *up)
{
	json_t *all = json_array();

	for (size_t i = 0; i < up->conf->n_backends; i++) {
		const struct config_backend *row = &up->conf->backends[i];

		if (!row_of(up->rows, up->n_rows, row->name))
			json_array_append_new(all,
			    json_pack("{s:o, s:s, s:o}", "name", view_text(row->name),
				"source", source_of(a, up, row->name), "configured",
				view_row(row)));
	}
	return all;
}

/* One row, with the records behind it. */
static json_t *
view_place(const struct admin *a, const struct upstream *up, const struct place *place,
    bool empty)
{
	const struct config_backend *row = row_of(up->rows, up->n_rows, place->name);
	uint64_t sessions = 0, sockets = 0, exchanges = 0;
	json_t *addresses = json_array(), *json;

	for (size_t i = 0; i < place->n; i++) {
		const struct backend *b = place->backends[i];

		sessions += atomic_load(&b->sessions);
		sockets += atomic_load(&b->sockets);
		exchanges += atomic_load(&b->exchanges);
		json_array_append_new(addresses, view_backend(b, clock_now_ms()));
	}
	json = json_pack("{s:o, s:o, s:s, s:o, s:I, s:I, s:I, s:b, s:o}", "upstream",
	    view_text(up->conf->name), "name", view_text(place->name), "state",
	    row ? backend_state_name(row->state) : "removed", "weight",
	    row ? json_integer(row->weight) : json_null(), "sessions",
	    (json_int_t)sessions, "sockets", (json_int_t)sockets, "exchanges",
	    (json_int_t)exchanges, "empty", empty, "addresses", addresses);
	if (json)
		view_add_source(json, a, up, place->name);
	return json;
}

/* ---- answers ---- */

static void
place_reply(struct call *c, const struct place *place, bool empty)
{
	const struct upstream *up = call_upstream(c, place->upstream);

	if (up)
		call_reply(c, c->endpoint->handle == handle_backend_add ? 201 : 200,
		    view_place(c->admin, up, place, empty));
}

static void
answer_when(struct call *c, const struct upstream *up, const char *name, uint64_t ms)
{
	struct place place;

	if (place_init(&place, up, name)) {
		call_wait_empty(c, &place, ms, place_reply);
		return;
	}
	place_fini(&place);
	call_reply(c, 500, NULL);
}

/* ---- what is asked for ---- */

struct wish {
	const char *name, *address, *state, *wait; /* NULL: not said */
	json_int_t weight;                         /* -1: not said */
	int backup;                                /* likewise */
	uint64_t wait_ms;
};

/* The text of one key of a backend must be as in a file. */
static bool
key_is_good(struct call *c, const char *key, const char *text,
    struct config_backend *row_r)
{
	const struct schema_row *row = schema_find(SECTION_BACKEND, str_of(key));
	struct strbuf expected = STRBUF_INIT;
	bool ok = row->type == VALUE_STRING
		      ? value_is_good_text(row, str_of(text))
		      : value_read(row, str_of(text), row_r, NULL);

	if (!ok) {
		value_expect(row, &expected);
		call_error(c, 400, "body: %s: expected %s", key,
		    strbuf_cstr(&expected));
	}
	strbuf_fini(&expected);
	return ok;
}

/* Lays the wish over a row. False: answered. */
static bool
wish_apply(struct call *c, const struct wish *w, struct config_backend *row)
{
	char weight[24];

	snprintf(weight, sizeof(weight), "%lld", (long long)w->weight);
	if ((w->name && !key_is_good(c, "name", w->name, row)) ||
	    (w->address && !key_is_good(c, "address", w->address, row)) ||
	    (w->state && !key_is_good(c, "state", w->state, row)) ||
	    (w->weight != -1 && !key_is_good(c, "weight", weight, row)))
		return false;
	if (w->backup != -1)
		row->backup = w->backup;
	return true;
}

/* False: answered. */
static bool
wish_read(struct call *c, struct wish *w, bool is_new)
{
	json_error_t error;

	*w = (struct wish){.weight = -1, .backup = -1};
	if (json_unpack_ex(c->body, &error, JSON_STRICT,
		is_new ? "{s:s, s?s, s?s, s?I, s?b, s?s}"
		       : "{s?s, s?s, s?s, s?I, s?b, s?s}",
		"address", &w->address, "name", &w->name, "state", &w->state, "weight",
		&w->weight, "backup", &w->backup, "wait", &w->wait))
		call_error(c, 400, "body: %s", error.text);
	else if (!is_new && (w->address || w->name))
		call_error(c, 400,
		    "body: a backend's name and address stay; remove it and add "
		    "another");
	else if (json_integer_value(json_object_get(c->body, "weight")) < 0)
		call_error(c, 400, "body: weight: expected no negative number");
	else
		return call_duration(c, "wait", w->wait, WAIT_MAX_MS, &w->wait_ms);
	return false;
}

/* The row of that name as it is now. NULL: answered. */
static const struct config_backend *
call_row(struct call *c, const struct upstream *up, const char *name)
{
	const struct config_backend *row = row_of(up->rows, up->n_rows, name);

	if (row)
		return row;
	for (size_t i = 0; i < up->n_backends; i++)
		if (strcmp(up->backends[i]->name, name) == 0) {
			call_error(c, 409,
			    "\"%s\" is one address of backend \"%s\", which is to be "
			    "named",
			    name, row_name_of(up, up->backends[i]));
			return NULL;
		}
	(void)call_backend(c, up, name);
	return NULL;
}

/* Puts the row (NULL: none) into force. False: answered. */
static bool
amend(struct call *c, const struct upstream *up, const char *name,
    const struct config_backend *row)
{
	const struct admin_host *host = &c->admin->host;
	const struct snapshot *s = host->snapshot(host->arg);
	struct amendments *amendments;
	bool ok = false;

	if (amendments_with(s->amendments, up->conf->name, name, file_row(up, name),
		row, &amendments)) {
		ok = host->amend(host->arg, amendments);
		amendments_put(amendments);
	}
	if (!ok)
		call_reply(c, 500, NULL);
	return ok;
}

static void
log_row(const char *upstream, const char *what, const struct config_backend *row)
{
	log_notice(TOPIC_BACKEND,
	    "backend %s/%s: %s by the admin API (%s, weight %u%s)", upstream, row->name,
	    what, backend_state_name(row->state), row->weight,
	    row->backup ? ", backup" : "");
}

/* ---- handlers ---- */

void
handle_upstream(struct call *c)
{
	const struct upstream *up = call_upstream(c, c->args[0]);

	if (up)
		call_reply(c, 200, view_upstream(c->admin, up));
}

void
handle_backend(struct call *c)
{
	const struct upstream *up = call_upstream(c, c->args[0]);
	uint64_t wait_ms = 0;

	if (up && call_row(c, up, c->args[1]) &&
	    call_duration(c, "wait", call_parameter(c, "wait"), WAIT_MAX_MS, &wait_ms))
		answer_when(c, up, c->args[1], wait_ms);
}

/* Amending makes a new snapshot, of which the upstream is taken then. */
static void
answer_amended(struct call *c, const char *name, uint64_t wait_ms)
{
	const struct upstream *up = call_upstream(c, c->args[0]);

	if (up)
		answer_when(c, up, name, wait_ms);
}

void
handle_backend_set(struct call *c)
{
	const struct upstream *up = call_upstream(c, c->args[0]);
	const struct config_backend *was;
	struct config_backend row;
	struct wish wish;

	if (!up || !(was = call_row(c, up, c->args[1])) || !wish_read(c, &wish, false))
		return;
	row = *was;
	if (!wish_apply(c, &wish, &row))
		return;
	if (!backend_row_eq(was, &row)) {
		if (!amend(c, up, c->args[1], &row))
			return;
		row.name = c->args[1];
		log_row(c->args[0], "set", &row);
	}
	answer_amended(c, c->args[1], wish.wait_ms);
}

/* By a row, or by a record: that of a row need not have its name, when the address that
 * had it is gone. */
static bool
is_taken(const struct upstream *up, const char *name)
{
	for (size_t i = 0; i < up->n_backends; i++)
		if (strcmp(up->backends[i]->name, name) == 0)
			return true;
	return row_of(up->rows, up->n_rows, name) != NULL;
}

void
handle_backend_add(struct call *c)
{
	const struct upstream *up = call_upstream(c, c->args[0]);
	struct config_backend row = {.weight = 1, .state = BACKEND_UP};
	struct wish wish;
	char name[CALL_ARG];

	if (!up || !wish_read(c, &wish, true) || !wish_apply(c, &wish, &row))
		return;
	snprintf(name, sizeof(name), "%s", wish.name ? wish.name : wish.address);
	row.name = name;
	row.address = (char *)wish.address;
	if (is_taken(up, name)) {
		call_error(c, 409, "upstream \"%s\" has a backend \"%s\"",
		    up->conf->name, name);
		return;
	}
	if (!amend(c, up, name, &row))
		return;
	log_row(c->args[0], "added", &row);
	answer_amended(c, name, 0);
}

/* The records leave the snapshot but are waited for. */
void
handle_backend_remove(struct call *c)
{
	const struct upstream *up = call_upstream(c, c->args[0]);
	struct place place;
	uint64_t wait_ms = 0;

	if (!up || !call_row(c, up, c->args[1]) ||
	    !call_duration(c, "wait", call_parameter(c, "wait"), WAIT_MAX_MS, &wait_ms))
		return;
	if (up->n_rows == 1) {
		call_error(c, 409, "it is the last backend of upstream \"%s\"",
		    up->conf->name);
		return;
	}
	if (!place_init(&place, up, c->args[1])) {
		place_fini(&place);
		call_reply(c, 500, NULL);
		return;
	}
	if (!amend(c, up, c->args[1], NULL)) {
		place_fini(&place);
		return;
	}
	log_notice(TOPIC_BACKEND, "backend %s/%s: removed by the admin API", c->args[0],
	    c->args[1]);
	call_wait_empty(c, &place, wait_ms, place_reply);
}
