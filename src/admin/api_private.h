/* SPDX-License-Identifier: MIT
 *
 * api_private.h - what the handlers of the admin API share.
 *
 * A handler gets a call and must answer it once: with call_reply or call_error, at once
 * or later (it waits for workers then). After that the call is gone.
 */
#ifndef ROOST_ADMIN_API_PRIVATE_H
#define ROOST_ADMIN_API_PRIVATE_H

#include "admin/api.h"
#include "admin/endpoints.h"
#include "admin/survey.h"
#include "admin/token.h"
#include "base/addr.h"
#include "base/object.h"
#include "net/listener.h"
#include "route/client_key.h"
#include "upstream/upstream.h"
#include <event2/keyvalq_struct.h>
#include <jansson.h>

struct backend;
struct evhttp;
struct evhttp_bound_socket;
struct evhttp_request;
struct session_view;

enum { CALL_ARG = 1024, CALL_BODY = 64 << 10 };

struct admin {
	struct admin_host host;
	struct evhttp *http;
	struct evhttp_bound_socket *socket; /* NULL: stopped */
	struct addr addr;
	char path[108];            /* of a unix socket, */
	struct listener_file file; /* and what of it is ours to remove */
	struct token token;
	uint64_t started_ms;
	struct call *waiting; /* for workers */
};

/* One request. Owner: evhttp's callback until it waits, then admin.waiting. */
struct call {
	struct admin *admin;
	struct evhttp_request *req; /* NULL: its client went away */
	const struct endpoint *endpoint;
	char args[ENDPOINT_ARGS][CALL_ARG]; /* what the path's {...} stand for */
	struct evkeyvalq query;
	json_t *body; /* an object, or NULL */
	bool is_head;
	struct survey *survey; /* under way, or NULL */
	void (*resume)(struct call *c, struct survey_result *result);
	struct call *next, *prev;
};

/* Takes over json; NULL: there was no memory for it. */
void call_reply(struct call *c, int status, json_t *json);

/* {"error": "not_found", "message": ...}; the word goes with the status. */
void call_error(struct call *c, int status, const char *format, ...) PRINTF_LIKE(3, 4);

/* A parameter of the query, or NULL. */
const char *call_parameter(const struct call *c, const char *name);

/* The same as a number; false: it is none or beyond max (answered). */
bool call_number(struct call *c, const char *name, unsigned standard, unsigned max,
    unsigned *number_r) MUST_CHECK;

/* Asks the workers; resume is called on this thread when all have answered or a second
 * is over, and owns the call again. */
void call_survey(struct call *c, const struct survey_filter *filter,
    void (*resume)(struct call *c, struct survey_result *result));

/* Finds an upstream, a backend of one, a client's key. False, NULL: answered. */
const struct upstream *call_upstream(struct call *c, const char *name);
struct backend *call_backend(struct call *c, const struct upstream *up,
    const char *name);
bool call_client(struct call *c, const struct upstream *up, const char *text,
    struct client_key *key_r) MUST_CHECK;

/* As call_client, without answering. */
bool client_of(const struct upstream *up, const char *text, struct client_key *key_r);

/* ---- views.c: things as JSON ---- */

/* Any bytes; those that are not UTF-8 are replaced. NULL is null. */
json_t *view_text(const char *text);

/* A moment of clock_now_ms as milliseconds since 1970; 0 is null. */
json_t *view_moment(uint64_t at_ms);
json_t *view_key(struct hash128 key);
json_t *view_backend(const struct backend *b, uint64_t now_ms);
json_t *view_session(const struct session_view *v, unsigned worker);

/* As the configuration writes it: "transparent". */
json_t *view_rehome_mode(const struct upstream *up);
const char *view_use_name(const struct backend *b, uint64_t now_ms);

/* Every handler of endpoints.def. */
#define ENDPOINT(method, path, handler, parameters, access, help) \
	void handle_##handler(struct call *c);
#include "admin/endpoints.def"
#undef ENDPOINT

#endif
