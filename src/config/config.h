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

struct config_log {
	enum log_level level;   /* level: info */
	enum log_format format; /* format: text */
	char *file;             /* file: stderr */
};

struct config_pins {
	uint64_t max;      /* max: 1000000 pins; the oldest HTTP locks go first */
	char *secret_file; /* secret_file: none (random secret) */
};

struct config_listener {
	char *bind; /* bind: as written */
	struct addr addr;
	struct config_place place;
};

struct config_route {
	char *host;            /* host: any; compared without case and port */
	char *path;            /* path: /; a prefix that ends at a segment boundary */
	char *upstream;        /* upstream: name */
	size_t upstream_index; /* of upstreams */
	struct config_place place;
};

enum balance_policy { BALANCE_LEAST_SESSIONS, BALANCE_ROUND_ROBIN };

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

struct config_rehome {
	enum rehome_mode mode;             /* mode: reconnect */
	unsigned threshold_percent;        /* threshold: 20% */
	unsigned rate;                     /* rate: 100 moves per second */
	uint64_t debounce_ms;              /* debounce: 300ms */
	uint64_t drain_timeout_ms;         /* drain_timeout: 5s */
	enum rehome_on_failure on_failure; /* on_failure: rehome */
	unsigned close_code;               /* close_code: 1012, of mode reconnect */
};

struct config_timeouts {
	uint64_t connect_ms;    /* connect: 5s */
	uint64_t header_ms;     /* header: 10s, for a request head to arrive */
	uint64_t body_ms;       /* body: 60s, idle time within a request body */
	uint64_t first_byte_ms; /* first_byte: 60s, from request sent to response */
	uint64_t response_ms;   /* response: 60s, idle time within a response */
	uint64_t keepalive_ms;  /* keepalive: 60s, idle connections, both sides */
};

struct config_limits {
	unsigned max_sessions; /* max_sessions: 0, per backend */
};

enum backend_admin_state { BACKEND_UP, BACKEND_DRAIN, BACKEND_DOWN };

struct config_backend {
	char *name;                     /* name: its address */
	char *address;                  /* address: host:port as written */
	unsigned weight;                /* weight: 1, 0-1000; 0 takes nothing new */
	enum backend_admin_state state; /* state: up */
	struct config_place place;
};

struct config_upstream {
	char *name;
	enum balance_policy balance;
	struct config_client_key *client_keys; /* client_key: [cookie:roost, address] */
	size_t n_client_keys;
	struct config_pin pin;
	struct config_rehome rehome;
	struct config_timeouts timeouts;
	struct config_limits limits;
	unsigned retries;                /* retries: 1 */
	struct config_backend *backends; /* at least one */
	size_t n_backends;
	struct config_place place;
};

struct config {
	char *file;       /* where it came from; NULL: flags alone */
	unsigned workers; /* workers: auto, which is 0 here: one per usable CPU */
	struct config_log log;
	struct config_pins pins;
	struct config_listener *listeners; /* at least one */
	size_t n_listeners;
	struct config_route *routes; /* at least one; in the file's order */
	size_t n_routes;
	struct config_upstream *upstreams; /* at least one */
	size_t n_upstreams;

	void *memory; /* private to load.c: everything the pointers above reach */
};

#endif
