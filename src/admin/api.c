/* SPDX-License-Identifier: MIT
 *
 * api.c - the admin API: listening, who may ask what, dispatch; see api.h.
 *
 * A browser must never get here, since it would lend its user's access to any page:
 * whatever carries an Origin or comes from another site is refused, and where no token
 * protects a TCP address, so is a Host that is a name (a page can make its own name
 * point to this machine).
 */
#include "admin/api_private.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "loop/loop.h"
#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/listener.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
	HEADERS_MAX = 16 << 10,
	BODY_READ =
	    256 << 10, /* beyond CALL_BODY evhttp still reads, so that we answer */
	IDLE_S = 30,
	SOCKET_MODE = 0600,
	PAUSE_MS = 100, /* when accepting fails */
};

/* For on_accept_error, since evhttp keeps the callbacks' argument for itself. */
static struct admin *serving;

/* ---- dispatch ---- */

static struct str
method_of(const struct evhttp_request *req)
{
	switch (evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET: return STR("GET");
	case EVHTTP_REQ_HEAD: return STR("HEAD");
	case EVHTTP_REQ_POST: return STR("POST");
	case EVHTTP_REQ_PUT: return STR("PUT");
	case EVHTTP_REQ_DELETE: return STR("DELETE");
	case EVHTTP_REQ_PATCH: return STR("PATCH");
	default: return STR("");
	}
}

static const char *
header_of(const struct call *c, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(c->req), name);
}

/* A name in Host can be made to point here by whoever owns the name. */
static bool
host_is_safe(const struct call *c)
{
	const struct admin *a = c->admin;
	const char *host = evhttp_request_get_host(c->req);
	struct addr ignored;

	return a->token.n || a->addr.sa.sa_family == AF_UNIX || !host ||
	       strcasecmp(host, "localhost") == 0 ||
	       addr_parse_ip(str_of(host), &ignored);
}

/* False: answered. */
static bool
call_is_from_no_browser(struct call *c)
{
	const char *site = header_of(c, "Sec-Fetch-Site");

	if (header_of(c, "Origin") || (site && strcmp(site, "none") != 0))
		call_error(c, 403, "not for pages in browsers");
	else if (!host_is_safe(c))
		call_error(c, 403, "Host: expected an address or localhost");
	else
		return true;
	return false;
}

static bool
call_may(struct call *c)
{
	if (c->endpoint->access == ACCESS_OPEN ||
	    token_matches(&c->admin->token, header_of(c, "Authorization")))
		return true;
	call_header(c, "WWW-Authenticate", "Bearer");
	call_error(c, 401, "expected Authorization: Bearer and the token");
	return false;
}

/* What is left may be looked at to the end. */
static bool
call_is_in_time(struct call *c)
{
	const struct admin_host *host = &c->admin->host;

	if (c->endpoint->access != ACCESS_WRITE || !host->is_stopping(host->arg))
		return true;
	call_error(c, 503, "roost is stopping");
	return false;
}

static bool
call_find(struct call *c, const struct evhttp_uri *uri)
{
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	struct endpoint_match match;

	switch (endpoint_find(method_of(c->req), str_of(path), &match)) {
	case ENDPOINT_FOUND: break;
	case ENDPOINT_NO_PATH:
		call_error(c, 404, "nothing is here; GET /v1 lists what is");
		return false;
	case ENDPOINT_NO_METHOD:
		call_header(c, "Allow", match.allow);
		call_error(c, 405, "expected %s", match.allow);
		return false;
	}
	c->endpoint = match.endpoint;
	for (size_t i = 0; i < match.n_args; i++)
		if (!endpoint_decode(match.args[i], c->args[i], CALL_ARG)) {
			call_error(c, 400, "malformed path");
			return false;
		}
	return true;
}

/* Known, and said once. False: answered. */
static bool
parameter_is_right(struct call *c, const struct evkeyval *p)
{
	const char *all = c->endpoint->parameters;

	if (!endpoint_has_parameter(c->endpoint, str_of(p->key)))
		call_error(c, 400, "unknown parameter \"%s\", expected %s", p->key,
		    all[0] ? all : "none");
	else if (evhttp_find_header(&c->query, p->key) != p->value)
		call_error(c, 400, "parameter \"%s\" again, expected it once", p->key);
	else
		return true;
	return false;
}

static bool
call_read_query(struct call *c, const struct evhttp_uri *uri)
{
	const char *query = evhttp_uri_get_query(uri);
	const struct evkeyval *p;

	if (query && *query && evhttp_parse_query_str(query, &c->query)) {
		call_error(c, 400, "malformed query");
		return false;
	}
	TAILQ_FOREACH(p, &c->query, next)
	if (!parameter_is_right(c, p))
		return false;
	return true;
}

static bool
call_read_body(struct call *c)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(c->req);
	size_t n = evbuffer_get_length(in);
	json_error_t error;

	if (n > CALL_BODY) {
		call_error(c, 413, "expected a body of at most %d bytes", CALL_BODY);
		return false;
	}
	if (strcmp(c->endpoint->method, "POST") != 0 &&
	    strcmp(c->endpoint->method, "PUT") != 0)
		return true;
	if (n == 0) {
		c->body = json_object();
		return true;
	}
	c->body = json_loadb((const char *)evbuffer_pullup(in, -1), n,
	    JSON_REJECT_DUPLICATES, &error);
	if (json_is_object(c->body))
		return true;
	call_error(c, 400, "expected a JSON object as body%s%s", c->body ? "" : ": ",
	    c->body ? "" : error.text);
	return false;
}

static void
on_request(struct evhttp_request *req, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	struct call *c = calloc(1, sizeof(*c));

	if (!c) {
		evhttp_send_error(req, HTTP_INTERNAL, NULL);
		return;
	}
	c->admin = arg;
	c->req = req;
	c->is_head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
	TAILQ_INIT(&c->query);
	if (call_is_from_no_browser(c) && call_find(c, uri) && call_may(c) &&
	    call_is_in_time(c) && call_read_query(c, uri) && call_read_body(c))
		c->endpoint->handle(c);
}

/* ---- life ---- */

bool
admin_check(const struct config_admin *conf, struct strbuf *error_r)
{
	struct token token;
	bool ok = !conf->bind || !conf->token_file ||
		  token_read(conf->token_file, &token, error_r);

	return ok;
}

static int
bind_socket(struct admin *a, const struct config_admin *conf, int fd)
{
	a->addr = conf->addr;
	if (conf->unix_path)
		memcpy(a->path, conf->unix_path, strlen(conf->unix_path) + 1);
	if (fd < 0 && conf->unix_path)
		return listener_bind_unix(conf->unix_path, SOCKET_MODE, &a->file);
	if (fd < 0 && addr_port(&a->addr) && !listener_is_free(&a->addr))
		return -1;
	if (fd < 0)
		fd = listener_bind(&a->addr);
	if (fd >= 0 && !listener_addr(fd, &a->addr)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- accepting ---- */

static void
accept_again(struct timer *t)
{
	struct admin *a = container_of(t, struct admin, accept_timer);

	if (a->socket)
		evconnlistener_enable(evhttp_bound_socket_get_listener(a->socket));
}

/* There are no descriptors left: who waits would wake us again and again. */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct admin *a = serving;

	log_kind(KIND_ACCEPT, NULL, "admin API: accepting pauses for %d ms (%s)",
	    PAUSE_MS, strerror(errno));
	evconnlistener_disable(listener);
	loop_timer(a->host.loop, &a->accept_timer, PAUSE_MS);
}

/* Takes over fd. */
static bool
serve(struct admin *a, int fd)
{
	a->http = evhttp_new(a->host.base);
	if (a->http)
		a->socket = evhttp_accept_socket_with_handle(a->http, fd);
	if (!a->socket) {
		close(fd);
		return false;
	}
	serving = a;
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(a->socket),
	    on_accept_error);
	evhttp_set_gencb(a->http, on_request, a);
	evhttp_set_max_headers_size(a->http, HEADERS_MAX);
	evhttp_set_max_body_size(a->http, BODY_READ);
	evhttp_set_timeout(a->http, IDLE_S);
	/* all that it knows: the table answers for those that a path does not take */
	evhttp_set_allowed_methods(a->http, 0xffff);
	return true;
}

static bool
open_all(struct admin *a, const struct config_admin *conf, int fd)
{
	struct strbuf error = STRBUF_INIT;
	bool ok = !conf->token_file || token_read(conf->token_file, &a->token, &error);

	if (ok)
		fd = bind_socket(a, conf, fd);
	else if (fd >= 0)
		close(fd);
	if (!ok)
		log_error(TOPIC_DAEMON, "%s", strbuf_cstr(&error));
	else if (fd < 0)
		log_error(TOPIC_LISTENER, "cannot listen on %s (%s)", conf->bind,
		    strerror(errno));
	else if (!serve(a, fd))
		log_error(TOPIC_DAEMON, "out of memory (admin API)");
	strbuf_fini(&error);
	return a->socket != NULL;
}

struct admin *
admin_open(const struct admin_host *host, const struct config_admin *conf, int fd)
{
	struct admin *a = calloc(1, sizeof(*a));

	if (!a) {
		log_error(TOPIC_DAEMON, "out of memory (admin API)");
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	a->host = *host;
	a->started_ms = clock_now_ms();
	a->started_wall_ms = a->loaded_wall_ms = clock_wall_ms();
	timer_init(&a->wait_timer, waits_look);
	timer_init(&a->accept_timer, accept_again);
	if (open_all(a, conf, fd))
		return a;
	admin_free(a);
	return NULL;
}

void
admin_address(const struct admin *a, struct strbuf *out)
{
	char text[ADDR_TEXT];

	if (a->addr.sa.sa_family == AF_UNIX)
		strbuf_printf(out, "unix:%s", a->path);
	else
		strbuf_puts(out, addr_print(&a->addr, true, text));
}

bool
admin_reload(struct admin *a, const struct config_admin *conf)
{
	struct strbuf error = STRBUF_INIT;
	struct token token = {.n = 0};
	bool ok = !conf->token_file || token_read(conf->token_file, &token, &error);
	/* without a token file the old token stays: the address is still the old one,
	 * and may be one that others can reach */
	bool other = ok && conf->token_file &&
		     (token.n != a->token.n ||
			 CRYPTO_memcmp(token.text, a->token.text, token.n) != 0);

	if (other)
		a->token = token;
	if (!ok)
		log_error(TOPIC_CONFIG, "%s; the old token stays", strbuf_cstr(&error));
	OPENSSL_cleanse(&token, sizeof(token));
	strbuf_fini(&error);
	return other;
}

int
admin_socket(const struct admin *a, bool *own_file_r)
{
	*own_file_r = a->file.path[0] != '\0';
	return a->socket ? (int)evhttp_bound_socket_get_fd(a->socket) : -1;
}

void
admin_own(struct admin *a)
{
	if (a->path[0])
		listener_file_find(a->path, &a->file);
}

void
admin_leave(struct admin *a)
{
	a->file = (struct listener_file){0};
	timer_clear(&a->accept_timer);
	if (a->socket)
		evconnlistener_disable(evhttp_bound_socket_get_listener(a->socket));
}

void
admin_note_reload(struct admin *a, bool good)
{
	if (!a)
		return;
	if (good)
		a->loaded_wall_ms = clock_wall_ms();
	*(good ? &a->reloads : &a->reloads_failed) += 1;
}

void
admin_stop(struct admin *a)
{
	timer_clear(&a->accept_timer);
	if (a->socket)
		evhttp_del_accept_socket(a->http, a->socket);
	a->socket = NULL;
	listener_remove_file(&a->file);
}

void
admin_free(struct admin *a)
{
	struct call *c, *next;

	if (!a)
		return;
	for (c = a->waiting; c; c = next) {
		next = c->next;
		call_free(c);
	}
	timer_clear(&a->wait_timer);
	if (a->http) {
		admin_stop(a);
		evhttp_free(a->http);
	}
	listener_remove_file(&a->file);
	OPENSSL_cleanse(&a->token, sizeof(a->token));
	free(a);
}
