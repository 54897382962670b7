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
#include "base/log.h"
#include "base/object.h"
#include "loop/timer.h"
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
struct wait;

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
	int64_t started_wall_ms, loaded_wall_ms;
	uint64_t reloads, reloads_failed;
	bool log_is_set; /* to log_level, while the file said log_over */
	enum log_level log_level;
	struct log_settings log_over; /* level and topics alone */
	struct call *waiting;         /* for workers, or for a backend to be empty */
	struct timer wait_timer;      /* waits.c */
	struct timer accept_timer;    /* the end of a pause */
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
	struct wait *wait;     /* for a backend to be empty, or NULL */
	void (*resume)(struct call *c, struct survey_result *result);
	struct call *next, *prev;
};

/* One more header of the answer to come. */
void call_header(const struct call *c, const char *name, const char *value);

/* 200 with something else than JSON. */
void call_reply_text(struct call *c, const char *type, const char *text, size_t n);

/* Takes over json; NULL: there was no memory for it. */
void call_reply(struct call *c, int status, json_t *json);

/* {"error": "not_found", "message": ...}; the word goes with the status. */
void call_error(struct call *c, int status, const char *format, ...) PRINTF_LIKE(3, 4);

/* Without an answer: its client is gone, or all ends. */
void call_free(struct call *c);

/* It waits: whoever holds it looks at c->req before the answer. Idempotent. */
void call_park(struct call *c);

/* A parameter of the query, or NULL. */
const char *call_parameter(const struct call *c, const char *name);

/* The same as a number; false: it is none or beyond max (answered). */
bool call_number(struct call *c, const char *name, unsigned standard, unsigned max,
    unsigned *number_r) MUST_CHECK;

/* A text as a duration ("30s"); NULL: ms_r is as it was. False: answered. */
bool call_duration(struct call *c, const char *name, const char *text, uint64_t max_ms,
    uint64_t *ms_r) MUST_CHECK;

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

/* ---- waits.c: a backend that is to be empty ---- */

enum { WAIT_MAX_MS = 600000 };

/* One or more records of backends, which are one row of the configuration. */
struct place {
	char *upstream, *name;
	struct backend **backends; /* references held */
	size_t n;
};

/* False: no memory. Give it to place_fini in any case. */
bool place_init(struct place *p, const struct upstream *up, const char *name);
void place_fini(struct place *p);

/* Answers with `reply` when the place (taken over) is empty, or after ms; 0: at once.
 */
void call_wait_empty(struct call *c, struct place *place, uint64_t ms,
    void (*reply)(struct call *c, const struct place *place, bool empty));

void wait_free(struct wait *w); /* NULL is fine */
void waits_look(struct timer *t);

/* ---- views.c: things as JSON ---- */

/* Any bytes; those that are not UTF-8 are replaced. NULL is null. */
json_t *view_text(const char *text);

/* A moment of clock_now_ms as milliseconds since 1970; 0 is null. */
json_t *view_moment(uint64_t at_ms);
json_t *view_key(struct hash128 key);
json_t *view_upstream(const struct admin *a, const struct upstream *up);
json_t *view_backend(const struct backend *b, uint64_t now_ms);
json_t *view_session(const struct session_view *v, unsigned worker);

/* ---- backends.c ---- */

/* Adds where a backend comes from, and what the file says of it. */
void view_add_source(json_t *json, const struct admin *a, const struct upstream *up,
    const char *name);

/* Those of the file that were removed while running. */
json_t *view_removed(const struct admin *a, const struct upstream *up);

/* The row's name: that of one without the number of its address. */
const char *row_name_of(const struct upstream *up, const struct backend *b);

/* As the configuration writes it: "transparent". */
json_t *view_rehome_mode(const struct upstream *up);
const char *view_use_name(const struct backend *b, uint64_t now_ms);

/* The word for an enum backend_use; NULL: beyond the last. */
const char *view_use(unsigned use);

/* Every handler of endpoints.def. */
#define ENDPOINT(method, path, handler, parameters, access, help) \
	void handle_##handler(struct call *c);
#include "admin/endpoints.def"
#undef ENDPOINT

#endif
