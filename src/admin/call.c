/* SPDX-License-Identifier: MIT
 *
 * call.c - one request to the admin API: its answer, and what handlers ask for on the
 * way to it; see api_private.h.
 *
 * While a call waits for workers evhttp does not read from its connection, so the
 * request stays as it is; should the connection go all the same, the call is told.
 */
#include "admin/api_private.h"

#include "base/strbuf.h"
#include "config/config.h"
#include "config/schema.h"
#include "config/value.h"
#include "upstream/backend.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

static const char JSON[] = "application/json";

/* ---- answers ---- */

void
call_free(struct call *c)
{
	struct admin *a = c->admin;

	if (c->survey)
		survey_cancel(c->survey);
	wait_free(c->wait);
	if (c->prev)
		DL_DELETE(a->waiting, c);
	if (c->req)
		evhttp_connection_set_closecb(evhttp_request_get_connection(c->req),
		    NULL, NULL);
	evhttp_clear_headers(&c->query);
	json_decref(c->body);
	free(c);
}

void
call_header(const struct call *c, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(c->req), name, value);
}

static void
send_text(struct call *c, int status, const char *type, const char *text, size_t n)
{
	struct evbuffer *out = evbuffer_new();
	bool whole = out && (c->is_head || evbuffer_add(out, text, n) == 0);
	char length[24];

	/* who was promised more than comes would wait for it */
	if (!whole) {
		status = HTTP_INTERNAL;
		n = 0;
	}
	call_header(c, "Content-Type", type);
	call_header(c, "Cache-Control", "no-store");
	call_header(c, "X-Content-Type-Options", "nosniff");
	snprintf(length, sizeof(length), "%zu", n);
	call_header(c, "Content-Length", length);
	evhttp_send_reply(c->req, status, NULL, out);
	if (out)
		evbuffer_free(out);
}

/* The request is evhttp's again after that, and may be gone. */
static void
call_end(struct call *c, int status, const char *type, const char *text, size_t n)
{
	struct evhttp_request *req = c->req;

	if (req) {
		evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL,
		    NULL);
		send_text(c, status, type, text, n);
	}
	c->req = NULL;
	call_free(c);
}

void
call_reply_text(struct call *c, const char *type, const char *text, size_t n)
{
	call_end(c, 200, type, text, n);
}

void
call_reply(struct call *c, int status, json_t *json)
{
	static const char failed[] =
	    "{\"error\":\"internal\",\"message\":\"out of memory\"}\n";
	char *text =
	    json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
	size_t n = text ? strlen(text) : 0;

	json_decref(json);
	if (text) {
		text[n] = '\n'; /* in the place of the NUL */
		call_end(c, status, JSON, text, n + 1);
	} else {
		call_end(c, 500, JSON, failed, sizeof(failed) - 1);
	}
	free(text);
}

static const char *
error_name(int status)
{
	static const struct {
		int status;
		const char *name;
	} names[] = {
	    {400, "bad_request"},
	    {401, "unauthorized"},
	    {403, "forbidden"},
	    {404, "not_found"},
	    {405, "method_not_allowed"},
	    {409, "conflict"},
	    {413, "too_large"},
	    {422, "invalid"},
	    {501, "not_implemented"},
	    {503, "unavailable"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].status == status)
			return names[i].name;
	return "internal";
}

void
call_error(struct call *c, int status, const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	call_reply(c, status,
	    json_pack("{s:s, s:o}", "error", error_name(status), "message",
		view_text(message)));
}

/* ---- what handlers ask for ---- */

const char *
call_parameter(const struct call *c, const char *name)
{
	return evhttp_find_header(&c->query, name);
}

bool
call_number(struct call *c, const char *name, unsigned standard, unsigned max,
    unsigned *number_r)
{
	const char *text = call_parameter(c, name);
	unsigned long value;
	char *end;

	*number_r = standard;
	if (!text)
		return true;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value > max) {
		call_error(c, 400, "%s: expected a number from 0 to %u", name, max);
		return false;
	}
	*number_r = (unsigned)value;
	return true;
}

bool
call_duration(struct call *c, const char *name, const char *text, uint64_t max_ms,
    uint64_t *ms_r)
{
	const struct schema_row row = {.type = VALUE_DURATION,
	    .width = sizeof(*ms_r),
	    .max = max_ms,
	    .zero = "0"};
	struct strbuf expected = STRBUF_INIT;
	bool ok = !text || value_read(&row, str_of(text), ms_r, NULL);

	if (!ok) {
		value_expect(&row, &expected);
		call_error(c, 400, "%s: expected %s", name, strbuf_cstr(&expected));
	}
	strbuf_fini(&expected);
	return ok;
}

static void
on_surveyed(void *arg, struct survey_result *result)
{
	struct call *c = arg;

	c->survey = NULL;
	if (c->req)
		c->resume(c, result);
	else
		call_free(c);
}

static void
on_client_gone(struct evhttp_connection *connection, void *arg)
{
	struct call *c = arg;

	c->req = NULL;
}

void
call_park(struct call *c)
{
	if (c->prev)
		return;
	DL_APPEND(c->admin->waiting, c);
	evhttp_connection_set_closecb(evhttp_request_get_connection(c->req),
	    on_client_gone, c);
}

void
call_survey(struct call *c, const struct survey_filter *filter,
    void (*resume)(struct call *c, struct survey_result *result))
{
	c->resume = resume;
	c->survey = survey_start(&c->admin->host, filter, on_surveyed, c);
	if (!c->survey) {
		call_reply(c, 500, NULL);
		return;
	}
	call_park(c);
}

const struct upstream *
call_upstream(struct call *c, const char *name)
{
	const struct admin_host *host = &c->admin->host;
	const struct snapshot *s = host->snapshot(host->arg);

	for (size_t i = 0; i < s->n_upstreams; i++)
		if (strcmp(s->upstreams[i].conf->name, name) == 0)
			return &s->upstreams[i];
	call_error(c, 404, "there is no upstream \"%s\"", name);
	return NULL;
}

struct backend *
call_backend(struct call *c, const struct upstream *up, const char *name)
{
	for (size_t i = 0; i < up->n_backends; i++)
		if (strcmp(up->backends[i]->name, name) == 0)
			return up->backends[i];
	call_error(c, 404, "upstream \"%s\" has no backend \"%s\"", up->conf->name,
	    name);
	return NULL;
}

/* "key:" and the 32 digits that view_key writes. */
static bool
key_of_digits(const char *text, struct hash128 *key_r)
{
	char half[17] = "";
	char *end;

	if (strlen(text) != 36 || strncmp(text, "key:", 4) != 0 ||
	    strspn(text + 4, "0123456789abcdef") != 32)
		return false;
	memcpy(half, text + 4, 16);
	key_r->hi = strtoull(half, &end, 16);
	key_r->lo = strtoull(text + 20, &end, 16);
	return true;
}

bool
client_of(const struct upstream *up, const char *text, struct client_key *key_r)
{
	*key_r = (struct client_key){.found = true};
	return key_of_digits(text, &key_r->hash) ||
	       client_key_parse(up->conf, up->id, str_of(text), key_r);
}

bool
call_client(struct call *c, const struct upstream *up, const char *text,
    struct client_key *key_r)
{
	if (client_of(up, text, key_r))
		return true;
	call_error(c, 400,
	    "client \"%s\": expected header:VALUE, query:VALUE, cookie:VALUE, "
	    "address:IP (of a kind in the upstream's client_key) or key:DIGITS",
	    text);
	return false;
}
