/* SPDX-License-Identifier: MIT
 *
 * schema.c - the table of all keys of roost.yaml(5).
 *
 * A default stands here, as the administrator would write it, and nowhere else.
 */
#include "config/schema.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/form.h"

#define FIELD(type, member)                      \
	.offset = offsetof(struct type, member), \
	.width = sizeof(((struct type *)0)->member)

#define ARRAY(parent, array, n) \
	.offset = offsetof(struct parent, array), .count = offsetof(struct parent, n)

/* clang-format off */
#define NO_ID {NO_FIELD, NO_FIELD}
/* clang-format on */

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

/* Rows are laid out by hand: one glance, one key. */
/* clang-format off */
const struct schema_section schema_sections[SECTION_COUNT] = {
	[SECTION_TOP] = {SECTION_TOP, "", .size = sizeof(struct config),
	    .place = NO_FIELD, .id = NO_ID},
	[SECTION_LOG] = {SECTION_TOP, "log", .offset = offsetof(struct config, log),
	    .size = sizeof(struct config_log), .place = NO_FIELD, .id = NO_ID},
	[SECTION_PINS] = {SECTION_TOP, "pins", .offset = offsetof(struct config, pins),
	    .size = sizeof(struct config_pins), .place = NO_FIELD, .id = NO_ID},
	[SECTION_LISTENER] = {SECTION_TOP, "listeners", SHAPE_LIST,
	    ARRAY(config, listeners, n_listeners),
	    .size = sizeof(struct config_listener),
	    .place = offsetof(struct config_listener, place),
	    .id = {offsetof(struct config_listener, bind), NO_FIELD}},
	[SECTION_ROUTE] = {SECTION_TOP, "routes", SHAPE_LIST,
	    ARRAY(config, routes, n_routes), .size = sizeof(struct config_route),
	    .place = offsetof(struct config_route, place),
	    .id = {offsetof(struct config_route, host),
		offsetof(struct config_route, path)},
	    .reloadable = true},
	[SECTION_UPSTREAM] = {SECTION_TOP, "upstreams", SHAPE_NAMED,
	    ARRAY(config, upstreams, n_upstreams),
	    .size = sizeof(struct config_upstream),
	    .place = offsetof(struct config_upstream, place),
	    .id = {offsetof(struct config_upstream, name), NO_FIELD},
	    .reloadable = true},
	[SECTION_PIN] = {SECTION_UPSTREAM, "pin",
	    .offset = offsetof(struct config_upstream, pin),
	    .size = sizeof(struct config_pin), .place = NO_FIELD, .id = NO_ID},
	[SECTION_REHOME] = {SECTION_UPSTREAM, "rehome",
	    .offset = offsetof(struct config_upstream, rehome),
	    .size = sizeof(struct config_rehome), .place = NO_FIELD, .id = NO_ID},
	[SECTION_TIMEOUTS] = {SECTION_UPSTREAM, "timeouts",
	    .offset = offsetof(struct config_upstream, timeouts),
	    .size = sizeof(struct config_timeouts), .place = NO_FIELD, .id = NO_ID},
	[SECTION_LIMITS] = {SECTION_UPSTREAM, "limits",
	    .offset = offsetof(struct config_upstream, limits),
	    .size = sizeof(struct config_limits), .place = NO_FIELD, .id = NO_ID},
	[SECTION_BACKEND] = {SECTION_UPSTREAM, "backends", SHAPE_LIST,
	    ARRAY(config_upstream, backends, n_backends),
	    .size = sizeof(struct config_backend),
	    .place = offsetof(struct config_backend, place),
	    .id = {offsetof(struct config_backend, name), NO_FIELD},
	    .reloadable = true},
};

static const struct value_name log_levels[] = {{"debug", LEVEL_DEBUG},
    {"info", LEVEL_INFO}, {"notice", LEVEL_NOTICE}, {"warn", LEVEL_WARN},
    {"error", LEVEL_ERROR}, {NULL, 0}};

static const struct value_name log_formats[] = {
    {"text", FORMAT_TEXT}, {"json", FORMAT_JSON}, {NULL, 0}};

static const struct value_name balance_policies[] = {
    {"least-sessions", BALANCE_LEAST_SESSIONS}, {"round-robin", BALANCE_ROUND_ROBIN},
    {NULL, 0}};

static const struct value_name rehome_modes[] = {{"off", REHOME_OFF},
    {"reconnect", REHOME_RECONNECT}, {"transparent", REHOME_TRANSPARENT}, {NULL, 0}};

static const struct value_name failure_actions[] = {
    {"rehome", ON_FAILURE_REHOME}, {"close", ON_FAILURE_CLOSE}, {NULL, 0}};

static const struct value_name backend_states[] = {{"up", BACKEND_UP},
    {"drain", BACKEND_DRAIN}, {"down", BACKEND_DOWN}, {NULL, 0}};

const struct schema_row schema_rows[] = {
	{SECTION_TOP, "workers", VALUE_UNSIGNED, FIELD(config, workers),
	    .standard = "auto", .min = 0, .max = 256, .zero = "auto", .unit = "threads",
	    .help = "threads that carry traffic; auto: one per usable CPU"},

	{SECTION_LOG, "level", VALUE_ENUM, FIELD(config_log, level),
	    .standard = "info", .names = log_levels, .reloadable = true,
	    .help = "the least important messages that are written"},
	{SECTION_LOG, "format", VALUE_ENUM, FIELD(config_log, format),
	    .standard = "text", .names = log_formats,
	    .help = "lines for people or lines for machines"},
	{SECTION_LOG, "file", VALUE_STRING, FIELD(config_log, file),
	    .standard = "stderr", .good = form_is_text,
	    .expected = "stderr or a file name",
	    .help = "where messages go"},

	{SECTION_PINS, "max", VALUE_UNSIGNED, FIELD(config_pins, max),
	    .standard = "1000000", .min = 1, .max = 1000000000, .reloadable = true,
	    .unit = "pins",
	    .help = "size of the pin table; the oldest HTTP locks go first"},
	{SECTION_PINS, "secret_file", VALUE_STRING, FIELD(config_pins, secret_file),
	    .good = form_is_text, .expected = "a file name",
	    .help = "secret of the issued cookies, the same on all nodes; else random"},

	{SECTION_LISTENER, "bind", VALUE_STRING, FIELD(config_listener, bind),
	    .required = true, .good = form_is_listener_address,
	    .expected = "a numeric address and port such as 127.0.0.1:8080, "
			"[::1]:8080 or *:8080",
	    .help = "address and port to accept connections on"},

	{SECTION_ROUTE, "host", VALUE_STRING, FIELD(config_route, host),
	    .good = form_is_host, .reloadable = true,
	    .expected = "a hostname without port, or *. and a hostname",
	    .help = "the Host it is for; without: any"},
	{SECTION_ROUTE, "path", VALUE_STRING, FIELD(config_route, path),
	    .standard = "/", .good = form_is_path, .reloadable = true,
	    .expected = "a path that begins with /",
	    .help = "the path prefix it is for, up to a segment boundary"},
	{SECTION_ROUTE, "upstream", VALUE_STRING, FIELD(config_route, upstream),
	    .required = true, .good = form_is_name, .reloadable = true,
	    .expected = "the name of an upstream", .help = "where such requests go"},

	{SECTION_UPSTREAM, "balance", VALUE_ENUM, FIELD(config_upstream, balance),
	    .standard = "least-sessions", .names = balance_policies, .reloadable = true,
	    .help = "how a backend is chosen for a client that has none"},
	{SECTION_UPSTREAM, "client_key", VALUE_CLIENT_KEYS,
	    FIELD(config_upstream, client_keys),
	    .count = offsetof(struct config_upstream, n_client_keys),
	    .standard = "[cookie:roost, address]", .reloadable = true,
	    .expected = "a list of cookie:NAME, header:NAME, query:NAME and address",
	    .help = "who the client is: the first of these that has a value"},
	{SECTION_UPSTREAM, "retries", VALUE_UNSIGNED, FIELD(config_upstream, retries),
	    .standard = "1", .max = 10, .reloadable = true, .unit = "tries",
	    .help = "other backends tried after a failure, where that is safe"},

	{SECTION_PIN, "websocket", VALUE_DURATION, FIELD(config_pin, websocket_ms),
	    .standard = "5m", .max = 168 * HOUR, .reloadable = true,
	    .help = "lock of a client that opened a WebSocket"},
	{SECTION_PIN, "http", VALUE_DURATION, FIELD(config_pin, http_ms),
	    .standard = "15s", .max = 24 * HOUR, .reloadable = true,
	    .help = "lock of a client after its last HTTP exchange"},

	{SECTION_REHOME, "mode", VALUE_ENUM, FIELD(config_rehome, mode),
	    .standard = "reconnect", .names = rehome_modes, .reloadable = true,
	    .help = "how live sessions change their backend"},
	{SECTION_REHOME, "threshold", VALUE_PERCENT,
	    FIELD(config_rehome, threshold_percent), .standard = "20%", .max = 1000,
	    .reloadable = true,
	    .help = "surplus over its fair share that a backend may keep"},
	{SECTION_REHOME, "rate", VALUE_UNSIGNED, FIELD(config_rehome, rate),
	    .standard = "100", .min = 1, .max = 100000, .reloadable = true,
	    .unit = "clients per second", .help = "how fast clients are moved"},
	{SECTION_REHOME, "debounce", VALUE_DURATION, FIELD(config_rehome, debounce_ms),
	    .standard = "300ms", .max = MINUTE, .reloadable = true,
	    .help = "wait after a change, in case more changes follow"},
	{SECTION_REHOME, "drain_timeout", VALUE_DURATION,
	    FIELD(config_rehome, drain_timeout_ms), .standard = "5s", .min = 1,
	    .max = HOUR, .reloadable = true,
	    .help = "how long the old backend may go on answering (mode transparent)"},
	{SECTION_REHOME, "on_failure", VALUE_ENUM, FIELD(config_rehome, on_failure),
	    .standard = "rehome", .names = failure_actions, .reloadable = true,
	    .help = "what happens to sessions whose backend died"},
	{SECTION_REHOME, "close_code", VALUE_UNSIGNED, FIELD(config_rehome, close_code),
	    .standard = "1012", .min = 1012, .max = 4999, .good = form_is_close_code,
	    .reloadable = true,
	    .expected = "1012, 1013 or 3000 to 4999 "
			"(after 1000 and 1001 clients stay away)",
	    .help = "close code that tells clients to come back (mode reconnect)"},

	{SECTION_TIMEOUTS, "connect", VALUE_DURATION,
	    FIELD(config_timeouts, connect_ms), .standard = "5s", .max = 24 * HOUR,
	    .reloadable = true,
	    .help = "for a backend to accept a connection"},
	{SECTION_TIMEOUTS, "header", VALUE_DURATION, FIELD(config_timeouts, header_ms),
	    .standard = "10s", .max = 24 * HOUR, .reloadable = true,
	    .help = "for a request head to arrive"},
	{SECTION_TIMEOUTS, "body", VALUE_DURATION, FIELD(config_timeouts, body_ms),
	    .standard = "60s", .max = 24 * HOUR, .reloadable = true,
	    .help = "without a byte of the request body"},
	{SECTION_TIMEOUTS, "first_byte", VALUE_DURATION,
	    FIELD(config_timeouts, first_byte_ms), .standard = "60s", .max = 24 * HOUR,
	    .reloadable = true,
	    .help = "from the request sent to the response's beginning"},
	{SECTION_TIMEOUTS, "response", VALUE_DURATION,
	    FIELD(config_timeouts, response_ms), .standard = "60s", .max = 24 * HOUR,
	    .reloadable = true, .help = "without a byte of the response body"},
	{SECTION_TIMEOUTS, "keepalive", VALUE_DURATION,
	    FIELD(config_timeouts, keepalive_ms), .standard = "60s", .max = 24 * HOUR,
	    .reloadable = true, .help = "for an idle connection, on either side"},

	{SECTION_LIMITS, "max_sessions", VALUE_UNSIGNED,
	    FIELD(config_limits, max_sessions), .standard = "0", .max = 100000000,
	    .reloadable = true, .unit = "sessions",
	    .help = "WebSocket sessions that one backend may hold; 0: no limit"},

	{SECTION_BACKEND, "name", VALUE_STRING, FIELD(config_backend, name),
	    .good = form_is_backend_name, .reloadable = true,
	    .expected = "letters, digits and -_.:[]",
	    .help = "what logs call it; without: its address"},
	{SECTION_BACKEND, "address", VALUE_STRING, FIELD(config_backend, address),
	    .required = true, .good = form_is_backend_address, .reloadable = true,
	    .expected = "HOST:PORT",
	    .help = "numeric, or a name that is resolved in the background"},
	{SECTION_BACKEND, "weight", VALUE_UNSIGNED, FIELD(config_backend, weight),
	    .standard = "1", .max = 1000, .reloadable = true,
	    .help = "its share relative to the others; 0: takes nothing new"},
	{SECTION_BACKEND, "state", VALUE_ENUM, FIELD(config_backend, state),
	    .standard = "up", .names = backend_states, .reloadable = true,
	    .help = "up, drain (keeps what it has) or down"},
};
/* clang-format on */

const size_t schema_n_rows = sizeof(schema_rows) / sizeof(schema_rows[0]);

const struct schema_row *
schema_next(enum section_id section, const struct schema_row *previous)
{
	const struct schema_row *row = previous ? previous + 1 : schema_rows;

	for (; row < schema_rows + schema_n_rows; row++)
		if (row->section == section)
			return row;
	return NULL;
}

const struct schema_row *
schema_find(enum section_id section, struct str key)
{
	const struct schema_row *r = NULL;

	while ((r = schema_next(section, r)))
		if (str_eq(key, str_of(r->key)))
			return r;
	return NULL;
}

enum section_id
schema_next_section(enum section_id parent, enum section_id previous)
{
	for (unsigned id = previous + 1u; id < SECTION_COUNT; id++)
		if (schema_sections[id].parent == parent)
			return (enum section_id)id;
	return SECTION_TOP;
}

char *
schema_elements(enum section_id section, const void *parent, size_t *n_r)
{
	const struct schema_section *s = &schema_sections[section];
	const char *base = parent;
	char *elements;

	if (s->shape == SHAPE_MAP) {
		*n_r = 1;
		return (char *)(uintptr_t)(base + s->offset);
	}
	memcpy(&elements, base + s->offset, sizeof(elements));
	memcpy(n_r, base + s->count, sizeof(*n_r));
	return elements;
}

static void
section_path(enum section_id section, struct strbuf *out)
{
	static const char *const suffixes[] =
	    {[SHAPE_MAP] = ".", [SHAPE_LIST] = "[].", [SHAPE_NAMED] = ".NAME."};
	const struct schema_section *s = &schema_sections[section];

	if (section == SECTION_TOP)
		return;
	section_path(s->parent, out);
	strbuf_puts(out, s->key);
	strbuf_puts(out, suffixes[s->shape]);
}

void
schema_path(const struct schema_row *row, struct strbuf *out)
{
	section_path(row->section, out);
	strbuf_puts(out, row->key);
}

void
schema_print(FILE *out)
{
	struct strbuf path = STRBUF_INIT;

	for (size_t i = 0; i < schema_n_rows; i++) {
		strbuf_reset(&path);
		schema_path(&schema_rows[i], &path);
		fprintf(out, "%s\n", strbuf_cstr(&path));
	}
	strbuf_fini(&path);
}
