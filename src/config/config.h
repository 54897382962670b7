/* SPDX-License-Identifier: MIT
 *
 * config.h - what the administrator wrote, as one immutable struct.
 *
 * This file is readable as documentation: every key of roost.yaml(5) is a field
 * here; names, defaults and ranges are rows of schema.c. Times are milliseconds,
 * ratios per cent, and 0 means "no limit" where a limit is meant.
 *
 * Owner: whoever holds the pointer that config_load returned; frozen afterwards, so
 * any thread may read it. Freed whole by config_free.
 */
#ifndef ROOST_CONFIG_CONFIG_H
#define ROOST_CONFIG_CONFIG_H

#include "base/addr.h"
#include "base/log.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where in the file something was written; line 0: a default or a flag. */
struct config_place {
	unsigned line, column; /* both from 1 */
};

struct config_pins {
	uint64_t max;      /* max: 1000000 pins; the oldest HTTP locks go first */
	char *secret_file; /* secret_file: none (random secret) */
};

/* How roost ends when it is told to, and how it makes room for its successor. */
struct config_shutdown {
	uint64_t grace_ms; /* grace: 10s, for exchanges and sessions to end */
};

struct config_upgrade {
	uint64_t timeout_ms; /* timeout: 30s, for the new process to be ready */
	uint64_t grace_ms;   /* grace: 5m, for the old one to end */
};

struct config_resolver {
	char **servers; /* servers: []; host:port of name servers, else the system's */
	size_t n_servers;
};

struct config_access_log {
	enum log_format format; /* format: text, the "combined" lines; or json */
	char *file;             /* file: none, which is off */
};

struct config_admin {
	char *bind;            /* bind: none, which is off; host:port or unix:/path */
	struct addr addr;      /* family AF_UNIX: unix_path says where */
	const char *unix_path; /* within bind, or NULL */
	char *token_file; /* token_file: none; needed where others than this machine may
			     connect */
};

/* What a client gets instead of our own HTML, for one status. */
struct config_error_page {
	unsigned status; /* status: 400-599 */
	char *file;      /* file: HTML, read when the configuration is loaded */
	struct str text; /* what is in it */
	struct config_place place;
};

enum proxy_protocol_in { PROXY_IN_OFF, PROXY_IN_OPTIONAL, PROXY_IN_REQUIRED };

struct config_listener {
	char *bind;            /* bind: as written; host:port or unix:/path */
	struct addr addr;      /* family AF_UNIX: unix_path says where */
	const char *unix_path; /* within bind, or NULL */
	unsigned mode;         /* mode: 0666, of a unix socket's file */
	enum proxy_protocol_in proxy_protocol; /* proxy_protocol: off */
	struct addr_range
	    *trusted; /* trusted: []; peers whose PROXY header, X-Forwarded-*,
			 Forwarded and X-Request-Id are believed */
	size_t n_trusted;
	bool trusts_unix; /* "unix" was in the list: peers of a unix socket are */
	struct config_place place;
};

/* NAME: value, of header edits; NAME: value or any value (NULL), of conditions. */
struct config_header {
	char *name, *value;
};

struct config_header_edits {
	struct config_header *set; /* set: {}; replaces what is there */
	size_t n_set;
	struct config_header *add; /* add: {}; beside what is there */
	size_t n_add;
	char **remove; /* remove: [] */
	size_t n_remove;
};

enum route_match { MATCH_PREFIX, MATCH_EXACT };

enum compress_coding { COMPRESS_GZIP = 1, COMPRESS_BROTLI = 2 }; /* bits */

struct config_compress {
	unsigned codings; /* codings: []; bits of enum compress_coding, 0: off */
	char **types;     /* types: [text/html, ...]; media types that are compressed */
	size_t n_types;
	uint64_t min_length; /* min_length: 1k, of bodies whose length is known */
	unsigned level;      /* level: 4, 1-9 */
};

/* A message of the application that roost answers itself: a text message that is a JSON
 * object whose member `field` is the string `value`. */
struct config_app_heartbeat {
	char *field;  /* field: type */
	char *value;  /* value: as ping */
	char *answer; /* answer: as {"type":"pong"}; a member that is "{time_ms}"
			 becomes the number of milliseconds since 1970 */
	bool forward; /* forward: false; let the backend see it, too */
	struct config_place place;
};

/* A request goes to the first route that fits, the most specific first: exact host,
 * wildcard, any; then the longest path, exact before prefix; then the one with the more
 * conditions. It ends in exactly one of upstream, respond and redirect. */
struct config_route {
	char *host;             /* host: any; compared without case and port */
	char *path;             /* path: /; a prefix that ends at a segment boundary */
	enum route_match match; /* match: prefix */
	char **methods;         /* methods: [], which is all */
	size_t n_methods;
	struct config_header *headers; /* headers: {}; all of them must be there; "*":
					  any value */
	size_t n_headers;
	char *upstream;           /* upstream: name */
	size_t upstream_index;    /* of upstreams; without one: n_upstreams */
	unsigned respond;         /* respond: 0; a status, answered by roost */
	char *text;               /* text: none; the body that goes with it */
	char *redirect;           /* redirect: as https://{host}{uri} */
	unsigned redirect_status; /* redirect_status: 308 */
	char *rewrite; /* rewrite: none; takes the place of `path` in front of the
			  target that the backend gets */
	struct config_header_edits request_headers;
	struct config_header_edits response_headers;
	struct config_compress compress;
	char **origins; /* origins: [], which is all; who may open a WebSocket here */
	size_t n_origins;
	struct config_app_heartbeat *app_heartbeats;
	size_t n_app_heartbeats;
	struct config_place place;
};

enum balance_policy {
	BALANCE_LEAST_SESSIONS,
	BALANCE_ROUND_ROBIN,
	BALANCE_P2C,
	BALANCE_HASH
};

enum client_key_kind { KEY_COOKIE, KEY_HEADER, KEY_QUERY, KEY_ADDRESS };

struct config_client_key {
	enum client_key_kind kind;
	char *name; /* of the cookie, header or query parameter; NULL for address */
};

enum rehome_mode { REHOME_OFF, REHOME_RECONNECT, REHOME_TRANSPARENT };
enum rehome_on_failure { ON_FAILURE_REHOME, ON_FAILURE_CLOSE };

struct config_pin {
	uint64_t websocket_ms; /* websocket: 5m */
	uint64_t http_ms;      /* http: 15s */
};

/* Client messages that a new backend hears as well (mode: transparent): the first ones,
 * and those whose JSON member `field` has one of `values`. Of what it says to each, so
 * many messages are answers, which the client has had already; with answer_field only
 * such as have that member. */
struct config_replay {
	unsigned first; /* first: 0 messages of the client */
	char *field;    /* field: none */
	char **values;  /* values: [], which is any */
	size_t n_values;
	unsigned answers;     /* answers: 1 to each */
	char *answer_field;   /* answer_field: none, which is any message */
	char **answer_values; /* answer_values: [], which is any */
	size_t n_answer_values;
	uint64_t max_size;   /* max_size: 16k, of all that is kept of a session */
	uint64_t timeout_ms; /* timeout: 5s for the answers to one message */
};

struct config_rehome {
	enum rehome_mode mode;             /* mode: reconnect */
	unsigned threshold_percent;        /* threshold: 20% */
	unsigned rate;                     /* rate: 100 moves per second */
	unsigned target_rate;              /* target_rate: 0, of these to one backend */
	uint64_t debounce_ms;              /* debounce: 300ms */
	uint64_t min_stay_ms;              /* min_stay: 10s, before moves for balance */
	uint64_t drain_timeout_ms;         /* drain_timeout: 5s */
	enum rehome_on_failure on_failure; /* on_failure: rehome */
	unsigned tries;                    /* tries: 10, of one whose backend died */
	uint64_t backoff_ms;               /* backoff: 1s, doubling, +-30 % */
	uint64_t max_backoff_ms;           /* max_backoff: 30s */
	unsigned close_code;               /* close_code: 1012, of mode reconnect */
	struct config_replay replay;
};

struct config_timeouts {
	uint64_t connect_ms;    /* connect: 5s */
	uint64_t header_ms;     /* header: 10s, for a request head to arrive */
	uint64_t body_ms;       /* body: 60s, idle time within a request body */
	uint64_t first_byte_ms; /* first_byte: 60s, from request sent to response */
	uint64_t response_ms;   /* response: 60s, idle time within a response */
	uint64_t keepalive_ms;  /* keepalive: 60s, idle connections, both sides */
	uint64_t write_ms;      /* write: 30s, a WebSocket side that takes nothing */
};

struct config_limits {
	unsigned max_sessions;    /* max_sessions: 0, per backend */
	unsigned max_connections; /* max_connections: 0, exchanges and sessions at once,
				     per backend */
	unsigned queue;           /* queue: 1024 requests that wait for a full upstream,
				     per worker; 0: none waits */
	uint64_t queue_timeout_ms; /* queue_timeout: 5s */
	uint64_t max_body;         /* max_body: 0, bytes of a request body */
	unsigned min_rate;    /* min_rate: 0, bytes per second that a client must send
				 of a request body, over each timeouts.body */
	uint64_t max_message; /* max_message: 0, bytes of a WebSocket message */
	uint64_t max_frame;   /* max_frame: 0, bytes of a WebSocket frame */
	uint64_t max_session_age_ms; /* max_session_age: 0, +-10 % */
	unsigned upgrades;           /* upgrades: 0, new sessions per second */
};

enum client_limits_by { LIMIT_BY_ADDRESS, LIMIT_BY_CLIENT };
enum client_limits_excess { EXCESS_REFUSE, EXCESS_REPLACE_OLDEST };

/* What one client may take of an upstream; 0: no limit. */
struct config_client_limits {
	enum client_limits_by by;         /* by: address, or client (its client key) */
	unsigned rate;                    /* rate: 0, requests per second */
	unsigned burst;                   /* burst: 0, which is as much as rate */
	unsigned exchanges;               /* exchanges: 0, at once */
	unsigned sessions;                /* sessions: 0, at once */
	unsigned upgrades;                /* upgrades: 0, new sessions per minute */
	enum client_limits_excess excess; /* excess: refuse, or replace-oldest: what
					     happens to one session too many */
};

struct config_heartbeat {
	uint64_t interval_ms; /* interval: 20s of silence before a ping; 0: none */
	uint64_t timeout_ms;  /* timeout: 10s for anything to come back */
	uint64_t sweep_ms;    /* sweep: 30s, how often to look for what timers missed */
};

/* What backends are asked from time to time; one of http, tcp and websocket, or none,
 * which is off. */
struct config_health {
	char *http;      /* http: a path to GET */
	bool tcp;        /* tcp: false; or true, which only connects */
	char *websocket; /* websocket: a path where a WebSocket is opened and closed */
	uint64_t interval_ms; /* interval: 5s, +-10 % */
	uint64_t timeout_ms;  /* timeout: 2s, for the whole check */
	unsigned rise;        /* rise: 2 good checks in a row */
	unsigned fall;        /* fall: 3 bad checks in a row */
	char *status;         /* status: 200-399, of http; statuses and ranges */
	char *body;           /* body: none; text in the first 64 KiB, of http */
	struct config_header *headers; /* headers: {}; of http and websocket */
	size_t n_headers;
	char *host; /* host: the backend's address; of http and websocket */
};

/* Which backends are left alone for a while, because of what traffic met there. */
struct config_outliers {
	unsigned connect_errors; /* connect_errors: 1 in a row; 0: none count */
	unsigned errors;         /* errors: 0, answers 500, 502, 503, 504 in a row */
	unsigned closes;         /* closes: 0, sessions it ended abnormally, in a row */
	uint64_t latency_ms;     /* latency: 0, until the first byte of an answer */
	unsigned slow;           /* slow: 5 answers later than that in a row */
	uint64_t eject_ms;       /* eject: 1s, doubling, +-30 % */
	uint64_t max_eject_ms;   /* max_eject: 30s */
	unsigned max_ejected_percent; /* max_ejected: 50% of the backends */
};

enum forwarded_style { FORWARDED_X, FORWARDED_STANDARD, FORWARDED_BOTH, FORWARDED_OFF };
enum trace_context { TRACE_PASS, TRACE_CREATE };
enum proxy_protocol_out { PROXY_OUT_OFF, PROXY_OUT_V1, PROXY_OUT_V2 };
enum half_close { HALF_CLOSE_ABORT, HALF_CLOSE_SERVE };
enum utf8_check { UTF8_PASS, UTF8_CHECK };

enum backend_admin_state { BACKEND_UP, BACKEND_DRAIN, BACKEND_DOWN };

struct config_backend {
	char *name;      /* name: its address */
	char *address;   /* address: host:port, srv:name or unix:/path, as written */
	unsigned weight; /* weight: 1, 0-1000; 0 takes nothing new */
	enum backend_admin_state state; /* state: up */
	bool backup; /* backup: false; used only where no other backend will do */
	struct config_place place;
};

struct config_upstream {
	char *name;
	enum balance_policy balance;
	unsigned session_cost;  /* session_cost: 1, in a backend's load, 0-1000 */
	unsigned exchange_cost; /* exchange_cost: 1 */
	uint64_t slow_start_ms; /* slow_start: 0, until a new backend has its weight */
	struct config_client_key *client_keys; /* client_key: [cookie:roost, address] */
	size_t n_client_keys;
	struct config_pin pin;
	struct config_rehome rehome;
	struct config_timeouts timeouts;
	struct config_limits limits;
	struct config_client_limits client_limits;
	struct config_heartbeat heartbeat;
	struct config_health health;
	struct config_outliers outliers;
	enum forwarded_style forwarded;         /* forwarded: x-forwarded */
	enum trace_context trace_context;       /* trace_context: pass; or create, where
						   the client brings none */
	enum proxy_protocol_out proxy_protocol; /* proxy_protocol: off, v1, v2; such
						   connections are not reused */
	enum half_close half_close; /* half_close: abort; or serve clients that shut
				       down their side after the request */
	enum utf8_check utf8;       /* utf8: pass; or check text messages */
	unsigned retries;           /* retries: 1 */
	struct config_backend *backends; /* at least one */
	size_t n_backends;
	struct config_place place;
};

struct config {
	char *file;       /* where it came from; NULL: flags alone */
	unsigned workers; /* workers: auto, which is 0 here: one per usable CPU */
	struct log_settings log;
	struct config_access_log access_log;
	struct config_admin admin;
	struct config_pins pins;
	struct config_shutdown shutdown;
	struct config_upgrade upgrade;
	struct config_resolver resolver;
	struct config_error_page *error_pages;
	size_t n_error_pages;
	struct config_listener *listeners; /* at least one */
	size_t n_listeners;
	struct config_route *routes; /* at least one; in the file's order */
	size_t n_routes;
	struct config_upstream *upstreams; /* at least one */
	size_t n_upstreams;

	void *memory; /* private to load.c: everything the pointers above reach */
};

#endif
