/* SPDX-License-Identifier: MIT
 *
 * schema.c - the table of all keys of roost.yaml(5).
 *
 * A default stands here, as the administrator would write it, and nowhere else.
 */
#include "config/schema.h"
#include "config/config.h"
#include "config/form.h"

#define FIELD(type, member)                      \
	.offset = offsetof(struct type, member), \
	.width = sizeof(((struct type *)0)->member)

#define ARRAY(parent, array, n) \
	.offset = offsetof(struct parent, array), .count = offsetof(struct parent, n)

/* a section that is one map inside its parent's struct */
#define INSIDE(parent, member, type)                                            \
	.offset = offsetof(struct parent, member), .size = sizeof(struct type), \
	.place = NO_FIELD

/* one that is an array, of which each element knows its place */
#define ELEMENT(type) .size = sizeof(struct type), .place = offsetof(struct type, place)

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

#define GIB (UINT64_C(1) << 30)

enum { MAX_LIST = 256, MAX_MAP = 64, MILLION = 1000000 };

/* Rows are laid out by hand: one glance, one key. */
/* clang-format off */
const struct schema_section schema_sections[SECTION_COUNT] = {
	[SECTION_TOP] = {SECTION_TOP, "", .size = sizeof(struct config),
	    .place = NO_FIELD},
	[SECTION_LOG] = {SECTION_TOP, "log", INSIDE(config, log, log_settings)},
	[SECTION_LOG_TOPICS] = {SECTION_LOG, "topics",
	    .offset = offsetof(struct log_settings, topics),
	    .size = sizeof(((struct log_settings *)0)->topics), .place = NO_FIELD},
	[SECTION_ACCESS_LOG] = {SECTION_TOP, "access_log",
	    INSIDE(config, access_log, config_access_log)},
	[SECTION_ADMIN] = {SECTION_TOP, "admin", INSIDE(config, admin, config_admin)},
	[SECTION_PINS] = {SECTION_TOP, "pins", INSIDE(config, pins, config_pins)},
	[SECTION_SHUTDOWN] = {SECTION_TOP, "shutdown",
	    INSIDE(config, shutdown, config_shutdown)},
	[SECTION_UPGRADE] = {SECTION_TOP, "upgrade",
	    INSIDE(config, upgrade, config_upgrade)},
	[SECTION_RESOLVER] = {SECTION_TOP, "resolver",
	    INSIDE(config, resolver, config_resolver)},
	[SECTION_ERROR_PAGE] = {SECTION_TOP, "error_pages", SHAPE_LIST,
	    ARRAY(config, error_pages, n_error_pages), ELEMENT(config_error_page),
	    .id = {"status"}, .reloadable = true},
	[SECTION_LISTENER] = {SECTION_TOP, "listeners", SHAPE_LIST,
	    ARRAY(config, listeners, n_listeners), ELEMENT(config_listener),
	    .id = {"bind"}, .reloadable = true},
	[SECTION_ROUTE] = {SECTION_TOP, "routes", SHAPE_LIST,
	    ARRAY(config, routes, n_routes), ELEMENT(config_route),
	    .id = {"host", "path"}, .more = {"match", "methods", "headers"},
	    .reloadable = true},
	[SECTION_REQUEST_HEADERS] = {SECTION_ROUTE, "request_headers",
	    INSIDE(config_route, request_headers, config_header_edits)},
	[SECTION_RESPONSE_HEADERS] = {SECTION_ROUTE, "response_headers",
	    INSIDE(config_route, response_headers, config_header_edits)},
	[SECTION_COMPRESS] = {SECTION_ROUTE, "compress",
	    INSIDE(config_route, compress, config_compress)},
	[SECTION_APP_HEARTBEAT] = {SECTION_ROUTE, "app_heartbeats", SHAPE_LIST,
	    ARRAY(config_route, app_heartbeats, n_app_heartbeats),
	    ELEMENT(config_app_heartbeat), .id = {"value"}, .more = {"field"},
	    .reloadable = true},
	[SECTION_UPSTREAM] = {SECTION_TOP, "upstreams", SHAPE_NAMED,
	    ARRAY(config, upstreams, n_upstreams), ELEMENT(config_upstream),
	    .name = offsetof(struct config_upstream, name), .reloadable = true},
	[SECTION_PIN] = {SECTION_UPSTREAM, "pin",
	    INSIDE(config_upstream, pin, config_pin)},
	[SECTION_REHOME] = {SECTION_UPSTREAM, "rehome",
	    INSIDE(config_upstream, rehome, config_rehome)},
	[SECTION_REPLAY] = {SECTION_REHOME, "replay",
	    INSIDE(config_rehome, replay, config_replay), .single = "first"},
	[SECTION_HEARTBEAT] = {SECTION_UPSTREAM, "heartbeat",
	    INSIDE(config_upstream, heartbeat, config_heartbeat)},
	[SECTION_TIMEOUTS] = {SECTION_UPSTREAM, "timeouts",
	    INSIDE(config_upstream, timeouts, config_timeouts)},
	[SECTION_LIMITS] = {SECTION_UPSTREAM, "limits",
	    INSIDE(config_upstream, limits, config_limits)},
	[SECTION_CLIENT_LIMITS] = {SECTION_UPSTREAM, "client_limits",
	    INSIDE(config_upstream, client_limits, config_client_limits)},
	[SECTION_HEALTH] = {SECTION_UPSTREAM, "health",
	    INSIDE(config_upstream, health, config_health)},
	[SECTION_OUTLIERS] = {SECTION_UPSTREAM, "outliers",
	    INSIDE(config_upstream, outliers, config_outliers)},
	[SECTION_BACKEND] = {SECTION_UPSTREAM, "backends", SHAPE_LIST,
	    ARRAY(config_upstream, backends, n_backends), ELEMENT(config_backend),
	    .id = {"name"}, .reloadable = true},
};

static const struct value_name log_levels[] = {{"debug", LEVEL_DEBUG},
    {"info", LEVEL_INFO}, {"notice", LEVEL_NOTICE}, {"warn", LEVEL_WARN},
    {"error", LEVEL_ERROR}, {NULL, 0}};

static const struct value_name topic_levels[] = {{"same", TOPIC_SAME},
    {"debug", TOPIC_OWN + LEVEL_DEBUG}, {"info", TOPIC_OWN + LEVEL_INFO},
    {"notice", TOPIC_OWN + LEVEL_NOTICE}, {"warn", TOPIC_OWN + LEVEL_WARN},
    {"error", TOPIC_OWN + LEVEL_ERROR}, {NULL, 0}};

/* as in <syslog.h>, where they stand three bits to the left */
static const struct value_name syslog_facilities[] = {{"user", 1}, {"daemon", 3},
    {"auth", 4}, {"local0", 16}, {"local1", 17}, {"local2", 18}, {"local3", 19},
    {"local4", 20}, {"local5", 21}, {"local6", 22}, {"local7", 23}, {NULL, 0}};

static const struct value_name log_formats[] = {
    {"text", FORMAT_TEXT}, {"json", FORMAT_JSON}, {NULL, 0}};

static const struct value_name proxy_protocols_in[] = {{"off", PROXY_IN_OFF},
    {"optional", PROXY_IN_OPTIONAL}, {"required", PROXY_IN_REQUIRED}, {NULL, 0}};

static const struct value_name route_matches[] = {
    {"prefix", MATCH_PREFIX}, {"exact", MATCH_EXACT}, {NULL, 0}};

static const struct value_name redirect_statuses[] = {{"301", 301}, {"302", 302},
    {"303", 303}, {"307", 307}, {"308", 308}, {NULL, 0}};

#ifdef HAVE_BROTLI
#define EXPECTED_CODINGS "a list of gzip and br"
static const struct value_name codings[] = {
    {"gzip", COMPRESS_GZIP}, {"br", COMPRESS_BROTLI}, {NULL, 0}};
#else
#define EXPECTED_CODINGS "a list of gzip (this roost is built without brotli for br)"
static const struct value_name codings[] = {{"gzip", COMPRESS_GZIP}, {NULL, 0}};
#endif

static const struct value_name balance_policies[] = {
    {"least-sessions", BALANCE_LEAST_SESSIONS}, {"round-robin", BALANCE_ROUND_ROBIN},
    {"p2c", BALANCE_P2C}, {"hash", BALANCE_HASH}, {NULL, 0}};

static const struct value_name forwarded_styles[] = {{"x-forwarded", FORWARDED_X},
    {"standard", FORWARDED_STANDARD}, {"both", FORWARDED_BOTH},
    {"off", FORWARDED_OFF}, {NULL, 0}};

static const struct value_name trace_contexts[] = {
    {"pass", TRACE_PASS}, {"create", TRACE_CREATE}, {NULL, 0}};

static const struct value_name proxy_protocols_out[] = {{"off", PROXY_OUT_OFF},
    {"v1", PROXY_OUT_V1}, {"v2", PROXY_OUT_V2}, {NULL, 0}};

static const struct value_name half_closes[] = {
    {"abort", HALF_CLOSE_ABORT}, {"serve", HALF_CLOSE_SERVE}, {NULL, 0}};

static const struct value_name utf8_checks[] = {
    {"pass", UTF8_PASS}, {"check", UTF8_CHECK}, {NULL, 0}};

static const struct value_name rehome_modes[] = {{"off", REHOME_OFF},
    {"reconnect", REHOME_RECONNECT}, {"transparent", REHOME_TRANSPARENT}, {NULL, 0}};

static const struct value_name failure_actions[] = {
    {"rehome", ON_FAILURE_REHOME}, {"close", ON_FAILURE_CLOSE}, {NULL, 0}};

static const struct value_name limited_by[] = {
    {"address", LIMIT_BY_ADDRESS}, {"client", LIMIT_BY_CLIENT}, {NULL, 0}};

static const struct value_name excesses[] = {{"refuse", EXCESS_REFUSE},
    {"replace-oldest", EXCESS_REPLACE_OLDEST}, {NULL, 0}};

static const struct value_name backend_states[] = {{"up", BACKEND_UP},
    {"drain", BACKEND_DRAIN}, {"down", BACKEND_DOWN}, {NULL, 0}};
/* clang-format on */

static bool
is_unix(const void *listener)
{
	return ((const struct config_listener *)listener)->unix_path != NULL;
}

static bool
has_body(const void *route)
{
	unsigned status = ((const struct config_route *)route)->respond;

	return status != 0 && status != 204 && status != 205 && status != 304;
}

static bool
is_redirect(const void *route)
{
	return ((const struct config_route *)route)->redirect != NULL;
}

static bool
is_passed_on(const void *route)
{
	return ((const struct config_route *)route)->upstream != NULL;
}

static bool
replays_by_field(const void *replay)
{
	return ((const struct config_replay *)replay)->field != NULL;
}

static bool
answers_by_field(const void *replay)
{
	return ((const struct config_replay *)replay)->answer_field != NULL;
}

static bool
asks_http(const void *health)
{
	return ((const struct config_health *)health)->http != NULL;
}

static bool
asks_by_head(const void *health)
{
	return asks_http(health) ||
	       ((const struct config_health *)health)->websocket != NULL;
}

static bool
asks_at_all(const void *health)
{
	return asks_by_head(health) || ((const struct config_health *)health)->tcp;
}

/* what messages say is allowed, where several rows say the same */
#define EXPECTED_UNIX \
	"unix: and an absolute path (at most 107 letters, digits and /-_.~+@%:,)"
#define EXPECTED_LISTENER_ADDRESS                                                   \
	"a numeric address and port such as 127.0.0.1:8080, [::1]:8080 or *:8080, " \
	"or " EXPECTED_UNIX
#define TEMPLATE_NAMES                                                   \
	"{scheme}, {host}, {path}, {query}, {uri}, {method}, {client}, " \
	"{request_id}, {upstream} or {backend} in it, and {{ or }} for a brace"
#define EXPECTED_TEMPLATE "text, perhaps with " TEMPLATE_NAMES
#define NOT_EDITABLE                                                                \
	"those of framing (Content-Length, Transfer-Encoding, Trailer, TE) and of " \
	"the connection (Connection, Keep-Alive, Upgrade, Proxy-*)"
#define EXPECTED_HEADER "a header's name, but for Host, " NOT_EDITABLE
#define EXPECTED_REQUEST_HEADER "a header's name, but for " NOT_EDITABLE

/* what is edited in a head, and how */
#define EDIT(member)                                            \
	.offset = offsetof(struct config_header_edits, member), \
	.count = offsetof(struct config_header_edits, n_##member)

/* the level of a topic */
#define TOPIC(name) .offset = TOPIC_##name * sizeof(unsigned), .width = sizeof(unsigned)

/* clang-format off */
const struct schema_row schema_rows[] = {
	{SECTION_TOP, "workers", VALUE_UNSIGNED, FIELD(config, workers),
	    .standard = "auto", .min = 0, .max = 256, .zero = "auto", .unit = "threads",
	    .help = "threads that carry traffic; auto: one per usable CPU"},

	{SECTION_LOG, "level", VALUE_ENUM, FIELD(log_settings, level),
	    .standard = "info", .names = log_levels, .reloadable = true,
	    .help = "the least important messages that are written"},
	{SECTION_LOG, "format", VALUE_ENUM, FIELD(log_settings, format),
	    .standard = "text", .names = log_formats,
	    .help = "lines for people or lines for machines"},
	{SECTION_LOG, "file", VALUE_STRING, FIELD(log_settings, file),
	    .standard = "stderr", .good = form_is_text,
	    .expected = "stderr, syslog, journald or a file name",
	    .help = "where messages go"},
	{SECTION_LOG, "socket", VALUE_STRING, FIELD(log_settings, socket),
	    .good = form_is_socket_path,
	    .expected = "an absolute path of at most 107 bytes",
	    .help = "the socket of syslog or journald; without: the usual one"},
	{SECTION_LOG, "tag", VALUE_STRING, FIELD(log_settings, tag),
	    .standard = "roost", .good = form_is_tag,
	    .expected = "at most 32 letters, digits, - and _",
	    .help = "the program's name in syslog and the journal"},
	{SECTION_LOG, "facility", VALUE_ENUM, FIELD(log_settings, facility),
	    .standard = "daemon", .names = syslog_facilities,
	    .help = "the facility in syslog"},
	{SECTION_LOG_TOPICS, "daemon", VALUE_ENUM, TOPIC(DAEMON),
	    .standard = "same", .names = topic_levels, .reloadable = true,
	    .help = "start, stop, signals"},
	{SECTION_LOG_TOPICS, "config", VALUE_ENUM, TOPIC(CONFIG),
	    .standard = "same", .names = topic_levels, .reloadable = true,
	    .help = "loading and reloading"},
	{SECTION_LOG_TOPICS, "listener", VALUE_ENUM, TOPIC(LISTENER),
	    .standard = "same", .names = topic_levels, .reloadable = true,
	    .help = "accepting connections"},
	{SECTION_LOG_TOPICS, "http", VALUE_ENUM, TOPIC(HTTP),
	    .standard = "same", .names = topic_levels, .reloadable = true,
	    .help = "requests"},
	{SECTION_LOG_TOPICS, "session", VALUE_ENUM, TOPIC(SESSION),
	    .standard = "same", .names = topic_levels, .reloadable = true,
	    .help = "WebSocket sessions"},
	{SECTION_LOG_TOPICS, "backend", VALUE_ENUM, TOPIC(BACKEND),
	    .standard = "same", .names = topic_levels, .reloadable = true,
	    .help = "state and failures of backends"},
	{SECTION_LOG_TOPICS, "rehome", VALUE_ENUM, TOPIC(REHOME),
	    .standard = "same", .names = topic_levels, .reloadable = true,
	    .help = "moves of sessions"},
	{SECTION_LOG_TOPICS, "library", VALUE_ENUM, TOPIC(LIBRARY),
	    .standard = "same", .names = topic_levels, .reloadable = true,
	    .help = "what libraries say"},

	{SECTION_ACCESS_LOG, "format", VALUE_ENUM, FIELD(config_access_log, format),
	    .standard = "text", .names = log_formats,
	    .help = "combined lines, or a JSON object a line"},
	{SECTION_ACCESS_LOG, "file", VALUE_STRING, FIELD(config_access_log, file),
	    .good = form_is_text, .expected = "a file name",
	    .help = "a line for each exchange goes there; without: none is written"},

	{SECTION_ADMIN, "bind", VALUE_STRING, FIELD(config_admin, bind),
	    .good = form_is_listener_address,
	    .expected = EXPECTED_LISTENER_ADDRESS,
	    .help = "address of the admin API; without: none"},
	{SECTION_ADMIN, "token_file", VALUE_STRING, FIELD(config_admin, token_file),
	    .good = form_is_text, .expected = "a file name", .reloadable = true,
	    .help = "what is in it must be known to whoever uses the admin API"},

	{SECTION_PINS, "max", VALUE_UNSIGNED, FIELD(config_pins, max),
	    .standard = "1000000", .min = 1, .max = 1000000000, .reloadable = true,
	    .unit = "pins",
	    .help = "size of the pin table; the oldest HTTP locks go first"},
	{SECTION_PINS, "secret_file", VALUE_STRING, FIELD(config_pins, secret_file),
	    .good = form_is_text, .expected = "a file name",
	    .help = "secret of the issued cookies, the same on all nodes; else random"},

	{SECTION_SHUTDOWN, "grace", VALUE_DURATION, FIELD(config_shutdown, grace_ms),
	    .standard = "10s", .max = HOUR, .reloadable = true,
	    .help = "for exchanges and sessions to end after TERM"},

	{SECTION_UPGRADE, "timeout", VALUE_DURATION, FIELD(config_upgrade, timeout_ms),
	    .standard = "30s", .min = 100, .max = HOUR, .reloadable = true,
	    .help = "for the new process to be ready after USR2"},
	{SECTION_UPGRADE, "grace", VALUE_DURATION, FIELD(config_upgrade, grace_ms),
	    .standard = "5m", .max = 24 * HOUR, .reloadable = true,
	    .help = "for exchanges and sessions of the old process to end after that"},

	{SECTION_RESOLVER, "servers", VALUE_STRINGS, FIELD(config_resolver, servers),
	    .count = offsetof(struct config_resolver, n_servers),
	    .standard = "[]", .max = 3, .good = form_is_name_server,
	    .reloadable = true,
	    .expected = "at most 3 numeric IPv4 addresses with a port",
	    .help = "name servers for the names of backends; none: the system's"},

	{SECTION_ERROR_PAGE, "status", VALUE_UNSIGNED, FIELD(config_error_page, status),
	    .required = true, .min = 400, .max = 599, .reloadable = true,
	    .help = "the status whose page this is"},
	{SECTION_ERROR_PAGE, "file", VALUE_STRING, FIELD(config_error_page, file),
	    .content = offsetof(struct config_error_page, text),
	    .required = true, .good = form_is_text, .reloadable = true,
	    .expected = "the name of a file of HTML",
	    .help = "what browsers get instead of roost's own page"},

	{SECTION_LISTENER, "bind", VALUE_STRING, FIELD(config_listener, bind),
	    .required = true, .good = form_is_listener_address, .reloadable = true,
	    .expected = EXPECTED_LISTENER_ADDRESS,
	    .help = "address and port, or unix socket, to accept connections on"},
	{SECTION_LISTENER, "mode", VALUE_MODE, FIELD(config_listener, mode),
	    .standard = "0666", .max = 0777, .applies = is_unix,
	    .belongs = "beside a bind of unix:", .reloadable = true,
	    .help = "who may connect to the unix socket"},
	{SECTION_LISTENER, "proxy_protocol", VALUE_ENUM,
	    FIELD(config_listener, proxy_protocol),
	    .standard = "off", .names = proxy_protocols_in, .reloadable = true,
	    .help = "do trusted peers begin with a PROXY header?"},
	{SECTION_LISTENER, "trusted", VALUE_RANGES, FIELD(config_listener, trusted),
	    .count = offsetof(struct config_listener, n_trusted),
	    .unix_too = offsetof(struct config_listener, trusts_unix),
	    .standard = "[]", .max = MAX_LIST, .reloadable = true,
	    .expected = "a list of addresses, ranges such as 10.0.0.0/8 (no bits set "
			"beyond the prefix), and unix",
	    .help = "proxies in front, whose word about the client is believed"},

	{SECTION_ROUTE, "host", VALUE_STRING, FIELD(config_route, host),
	    .good = form_is_host, .reloadable = true,
	    .expected = "a hostname without port, or *. and a hostname",
	    .help = "the Host it is for; without: any"},
	{SECTION_ROUTE, "path", VALUE_STRING, FIELD(config_route, path),
	    .standard = "/", .good = form_is_path, .reloadable = true,
	    .expected = "a path that begins with /",
	    .help = "the path it is for"},
	{SECTION_ROUTE, "match", VALUE_ENUM, FIELD(config_route, match),
	    .standard = "prefix", .names = route_matches, .reloadable = true,
	    .help = "paths that begin so, up to a segment boundary, or this one only"},
	{SECTION_ROUTE, "methods", VALUE_STRINGS, FIELD(config_route, methods),
	    .count = offsetof(struct config_route, n_methods),
	    .standard = "[]", .max = MAX_LIST, .good = form_is_method,
	    .reloadable = true, .expected = "a list of methods in capitals such as GET",
	    .help = "the methods it is for; none: all"},
	{SECTION_ROUTE, "headers", VALUE_HEADERS, FIELD(config_route, headers),
	    .secret = true,
	    .count = offsetof(struct config_route, n_headers),
	    .standard = "{}", .max = MAX_MAP, .good = form_is_text,
	    .good_name = form_is_token, .reloadable = true,
	    .expected = "text, or \"*\" for any", .expected_name = "a header's name",
	    .help = "headers that a request must have, with these values"},
	{SECTION_ROUTE, "upstream", VALUE_STRING, FIELD(config_route, upstream),
	    .good = form_is_name, .reloadable = true,
	    .expected = "the name of an upstream", .help = "where such requests go"},
	{SECTION_ROUTE, "respond", VALUE_UNSIGNED, FIELD(config_route, respond),
	    .min = 200, .max = 599, .reloadable = true,
	    .help = "the status of an answer that roost gives itself"},
	{SECTION_ROUTE, "text", VALUE_STRING, FIELD(config_route, text),
	    .good = form_is_lines, .applies = has_body, .reloadable = true,
	    .belongs = "beside respond, but for 204, 205 and 304, which have no body",
	    .expected = "text of at most 4096 bytes",
	    .help = "the body of that answer"},
	{SECTION_ROUTE, "redirect", VALUE_STRING, FIELD(config_route, redirect),
	    .good = form_is_location, .template = true, .reloadable = true,
	    .expected = "a URL or path, perhaps with " TEMPLATE_NAMES,
	    .help = "where such requests are sent by a redirect"},
	{SECTION_ROUTE, "redirect_status", VALUE_ENUM,
	    FIELD(config_route, redirect_status), .standard = "308",
	    .names = redirect_statuses, .applies = is_redirect,
	    .belongs = "beside redirect", .reloadable = true,
	    .help = "the status of that redirect"},
	{SECTION_ROUTE, "rewrite", VALUE_STRING, FIELD(config_route, rewrite),
	    .good = form_is_path, .applies = is_passed_on,
	    .belongs = "beside upstream", .reloadable = true,
	    .expected = "a path that begins with /",
	    .help = "takes the place of path in what the backend gets"},
	{SECTION_ROUTE, "origins", VALUE_STRINGS, FIELD(config_route, origins),
	    .count = offsetof(struct config_route, n_origins),
	    .standard = "[]", .max = MAX_LIST, .good = form_is_origin,
	    .reloadable = true,
	    .expected = "a list of SCHEME://HOST[:PORT], SCHEME://*.HOST and null",
	    .help = "pages that may open a WebSocket here; none: all"},

	{SECTION_REQUEST_HEADERS, "set", VALUE_HEADERS, EDIT(set),
	    .secret = true,
	    .standard = "{}", .max = MAX_MAP, .good = form_is_text, .template = true,
	    .good_name = form_is_request_header, .reloadable = true,
	    .expected = EXPECTED_TEMPLATE, .expected_name = EXPECTED_REQUEST_HEADER,
	    .help = "headers that backends get in the place of the client's"},
	{SECTION_REQUEST_HEADERS, "add", VALUE_HEADERS, EDIT(add),
	    .secret = true,
	    .standard = "{}", .max = MAX_MAP, .good = form_is_text, .template = true,
	    .good_name = form_is_editable_header, .reloadable = true,
	    .expected = EXPECTED_TEMPLATE, .expected_name = EXPECTED_HEADER,
	    .help = "headers that backends get beside the client's"},
	{SECTION_REQUEST_HEADERS, "remove", VALUE_STRINGS, EDIT(remove),
	    .standard = "[]", .max = MAX_LIST, .good = form_is_editable_header,
	    .reloadable = true, .expected = EXPECTED_HEADER,
	    .help = "headers of the client that backends do not get"},

	{SECTION_RESPONSE_HEADERS, "set", VALUE_HEADERS, EDIT(set),
	    .standard = "{}", .max = MAX_MAP, .good = form_is_text, .template = true,
	    .good_name = form_is_editable_header, .reloadable = true,
	    .expected = EXPECTED_TEMPLATE, .expected_name = EXPECTED_HEADER,
	    .help = "headers that clients get in the place of the backend's"},
	{SECTION_RESPONSE_HEADERS, "add", VALUE_HEADERS, EDIT(add),
	    .standard = "{}", .max = MAX_MAP, .good = form_is_text, .template = true,
	    .good_name = form_is_editable_header, .reloadable = true,
	    .expected = EXPECTED_TEMPLATE, .expected_name = EXPECTED_HEADER,
	    .help = "headers that clients get beside the backend's"},
	{SECTION_RESPONSE_HEADERS, "remove", VALUE_STRINGS, EDIT(remove),
	    .standard = "[]", .max = MAX_LIST, .good = form_is_editable_header,
	    .reloadable = true, .expected = EXPECTED_HEADER,
	    .help = "headers of the backend that clients do not get"},

	{SECTION_COMPRESS, "codings", VALUE_FLAGS, FIELD(config_compress, codings),
	    .standard = "[]", .max = MAX_LIST, .names = codings, .reloadable = true,
	    .expected = EXPECTED_CODINGS,
	    .help = "codings in which bodies are compressed; none: off"},
	{SECTION_COMPRESS, "types", VALUE_STRINGS, FIELD(config_compress, types),
	    .count = offsetof(struct config_compress, n_types),
	    .standard = "[text/html, text/css, text/plain, text/javascript, "
			"application/javascript, application/json, application/xml, "
			"image/svg+xml, application/wasm]",
	    .max = MAX_LIST, .good = form_is_media_type, .reloadable = true,
	    .expected = "a list of media types such as text/html",
	    .help = "media types that are compressed"},
	{SECTION_COMPRESS, "min_length", VALUE_SIZE, FIELD(config_compress, min_length),
	    .standard = "1k", .max = GIB, .reloadable = true,
	    .help = "shorter bodies are left alone, where the length is known"},
	{SECTION_COMPRESS, "level", VALUE_UNSIGNED, FIELD(config_compress, level),
	    .standard = "4", .min = 1, .max = 9, .reloadable = true,
	    .help = "1 is fast, 9 is small"},

	{SECTION_APP_HEARTBEAT, "field", VALUE_STRING,
	    FIELD(config_app_heartbeat, field), .standard = "type",
	    .good = form_is_text, .reloadable = true, .expected = "a member's name",
	    .help = "the member of a message's JSON object that is looked at"},
	{SECTION_APP_HEARTBEAT, "value", VALUE_STRING,
	    FIELD(config_app_heartbeat, value), .required = true,
	    .good = form_is_text, .reloadable = true,
	    .expected = "text such as ping", .help = "the text it has in a heartbeat"},
	{SECTION_APP_HEARTBEAT, "answer", VALUE_STRING,
	    FIELD(config_app_heartbeat, answer), .required = true,
	    .good = form_is_answer, .reloadable = true,
	    .expected = "a JSON object of at most 1000 bytes such as "
			"{\"type\":\"pong\"}",
	    .help = "the message that roost answers with"},
	{SECTION_APP_HEARTBEAT, "forward", VALUE_BOOL,
	    FIELD(config_app_heartbeat, forward), .standard = "false",
	    .reloadable = true, .help = "does the backend see the heartbeat, too?"},

	{SECTION_UPSTREAM, "balance", VALUE_ENUM, FIELD(config_upstream, balance),
	    .standard = "least-sessions", .names = balance_policies, .reloadable = true,
	    .help = "how a backend is chosen for a client that has none"},
	{SECTION_UPSTREAM, "session_cost", VALUE_UNSIGNED,
	    FIELD(config_upstream, session_cost), .standard = "1", .max = 1000,
	    .reloadable = true,
	    .help = "what a session counts in its backend's load; 0: nothing"},
	{SECTION_UPSTREAM, "exchange_cost", VALUE_UNSIGNED,
	    FIELD(config_upstream, exchange_cost), .standard = "1", .max = 1000,
	    .reloadable = true,
	    .help = "what an exchange counts in its backend's load; 0: nothing"},
	{SECTION_UPSTREAM, "slow_start", VALUE_DURATION,
	    FIELD(config_upstream, slow_start_ms), .standard = "0", .max = HOUR,
	    .reloadable = true,
	    .help = "how long a backend that came up takes to get its full weight"},
	{SECTION_UPSTREAM, "client_key", VALUE_CLIENT_KEYS,
	    FIELD(config_upstream, client_keys),
	    .count = offsetof(struct config_upstream, n_client_keys),
	    .standard = "[cookie:roost, address]", .min = 1, .max = 16,
	    .reloadable = true,
	    .expected = "a list of cookie:NAME, header:NAME, query:NAME and address",
	    .help = "who the client is: the first of these that has a value"},
	{SECTION_UPSTREAM, "forwarded", VALUE_ENUM, FIELD(config_upstream, forwarded),
	    .standard = "x-forwarded", .names = forwarded_styles, .reloadable = true,
	    .help = "headers that tell backends who the client is"},
	{SECTION_UPSTREAM, "trace_context", VALUE_ENUM,
	    FIELD(config_upstream, trace_context),
	    .standard = "pass", .names = trace_contexts, .reloadable = true,
	    .help = "traceparent as the client sent it, or made where it is missing"},
	{SECTION_UPSTREAM, "proxy_protocol", VALUE_ENUM,
	    FIELD(config_upstream, proxy_protocol),
	    .standard = "off", .names = proxy_protocols_out, .reloadable = true,
	    .help = "a PROXY header in front of each connection to a backend"},
	{SECTION_UPSTREAM, "half_close", VALUE_ENUM, FIELD(config_upstream, half_close),
	    .standard = "abort", .names = half_closes, .reloadable = true,
	    .help = "what becomes of a client that shuts down its side early"},
	{SECTION_UPSTREAM, "utf8", VALUE_ENUM, FIELD(config_upstream, utf8),
	    .standard = "pass", .names = utf8_checks, .reloadable = true,
	    .help = "are WebSocket text messages checked?"},
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
	{SECTION_REHOME, "target_rate", VALUE_UNSIGNED,
	    FIELD(config_rehome, target_rate), .standard = "0", .max = 100000,
	    .reloadable = true, .unit = "clients per second; 0: as rate says",
	    .help = "how fast clients are moved to one and the same backend"},
	{SECTION_REHOME, "debounce", VALUE_DURATION, FIELD(config_rehome, debounce_ms),
	    .standard = "300ms", .max = MINUTE, .reloadable = true,
	    .help = "wait after a change, in case more changes follow"},
	{SECTION_REHOME, "min_stay", VALUE_DURATION, FIELD(config_rehome, min_stay_ms),
	    .standard = "10s", .min = 1000, .max = 24 * HOUR, .reloadable = true,
	    .help = "who came later than that is not moved for balance"},
	{SECTION_REHOME, "drain_timeout", VALUE_DURATION,
	    FIELD(config_rehome, drain_timeout_ms), .standard = "5s", .min = 1,
	    .max = HOUR, .reloadable = true,
	    .help = "how long the old backend may go on answering (mode transparent)"},
	{SECTION_REHOME, "on_failure", VALUE_ENUM, FIELD(config_rehome, on_failure),
	    .standard = "rehome", .names = failure_actions, .reloadable = true,
	    .help = "what happens to sessions whose backend died"},
	{SECTION_REHOME, "tries", VALUE_UNSIGNED, FIELD(config_rehome, tries),
	    .standard = "10", .min = 1, .max = 100, .reloadable = true, .unit = "tries",
	    .help = "to find another backend for a session (mode transparent)"},
	{SECTION_REHOME, "backoff", VALUE_DURATION, FIELD(config_rehome, backoff_ms),
	    .standard = "1s", .min = 10, .max = HOUR, .reloadable = true,
	    .help = "between the first of them and the next; doubles with each"},
	{SECTION_REHOME, "max_backoff", VALUE_DURATION,
	    FIELD(config_rehome, max_backoff_ms), .standard = "30s", .min = 10,
	    .max = HOUR, .reloadable = true, .help = "at which it stops doubling"},
	{SECTION_REHOME, "close_code", VALUE_UNSIGNED, FIELD(config_rehome, close_code),
	    .standard = "1012", .min = 1012, .max = 4999, .good = form_is_close_code,
	    .reloadable = true,
	    .expected = "1012, 1013 or 3000 to 4999 "
			"(after 1000 and 1001 clients stay away)",
	    .help = "close code that tells clients to come back (mode reconnect)"},

	{SECTION_REPLAY, "first", VALUE_UNSIGNED, FIELD(config_replay, first),
	    .standard = "0", .max = 64, .reloadable = true, .unit = "messages",
	    .help = "so many of the client's first messages are said to a new backend"},
	{SECTION_REPLAY, "field", VALUE_STRING, FIELD(config_replay, field),
	    .good = form_is_text, .reloadable = true, .expected = "a member's name",
	    .help = "messages with this member in their JSON object are, too"},
	{SECTION_REPLAY, "values", VALUE_STRINGS, FIELD(config_replay, values),
	    .count = offsetof(struct config_replay, n_values), .standard = "[]",
	    .max = MAX_LIST, .good = form_is_text, .applies = replays_by_field,
	    .belongs = "beside field", .reloadable = true,
	    .expected = "a list of texts such as subscribe",
	    .help = "what it has to be; none: anything"},
	{SECTION_REPLAY, "answers", VALUE_UNSIGNED, FIELD(config_replay, answers),
	    .standard = "1", .max = 64, .reloadable = true, .unit = "messages",
	    .help = "answers to each of them, which the client does not get again"},
	{SECTION_REPLAY, "answer_field", VALUE_STRING,
	    FIELD(config_replay, answer_field), .good = form_is_text,
	    .reloadable = true, .expected = "a member's name",
	    .help = "only messages with this member in their JSON object are answers"},
	{SECTION_REPLAY, "answer_values", VALUE_STRINGS,
	    FIELD(config_replay, answer_values),
	    .count = offsetof(struct config_replay, n_answer_values), .standard = "[]",
	    .max = MAX_LIST, .good = form_is_text, .applies = answers_by_field,
	    .belongs = "beside answer_field", .reloadable = true,
	    .expected = "a list of texts such as welcome",
	    .help = "what it has to be; none: anything"},
	{SECTION_REPLAY, "max_size", VALUE_SIZE, FIELD(config_replay, max_size),
	    .standard = "16k", .min = 128, .max = 1 << 20, .reloadable = true,
	    .help = "of what is kept of a session; more, and it is not moved so"},
	{SECTION_REPLAY, "timeout", VALUE_DURATION, FIELD(config_replay, timeout_ms),
	    .standard = "5s", .min = 1, .max = HOUR, .reloadable = true,
	    .help = "for the answers to one of them"},

	{SECTION_HEARTBEAT, "interval", VALUE_DURATION,
	    FIELD(config_heartbeat, interval_ms), .standard = "20s", .max = 24 * HOUR,
	    .reloadable = true,
	    .help = "silence of a WebSocket's side before a ping; 0: no pings"},
	{SECTION_HEARTBEAT, "timeout", VALUE_DURATION,
	    FIELD(config_heartbeat, timeout_ms), .standard = "10s", .min = 1,
	    .max = HOUR, .reloadable = true,
	    .help = "for anything to come back after a ping"},
	{SECTION_HEARTBEAT, "sweep", VALUE_DURATION,
	    FIELD(config_heartbeat, sweep_ms), .standard = "30s", .min = 10,
	    .max = HOUR, .reloadable = true,
	    .help = "how often to look for sessions that timers missed"},

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
	{SECTION_TIMEOUTS, "write", VALUE_DURATION, FIELD(config_timeouts, write_ms),
	    .standard = "30s", .max = 24 * HOUR, .reloadable = true,
	    .help = "for a side of a WebSocket that takes nothing"},

	{SECTION_LIMITS, "max_sessions", VALUE_UNSIGNED,
	    FIELD(config_limits, max_sessions), .standard = "0", .max = 100 * MILLION,
	    .reloadable = true, .unit = "sessions",
	    .help = "WebSocket sessions that one backend may hold; 0: no limit"},
	{SECTION_LIMITS, "max_connections", VALUE_UNSIGNED,
	    FIELD(config_limits, max_connections), .standard = "0",
	    .max = 100 * MILLION, .reloadable = true, .unit = "connections",
	    .help = "exchanges and sessions at once that one backend may have"},
	{SECTION_LIMITS, "queue", VALUE_UNSIGNED, FIELD(config_limits, queue),
	    .standard = "1024", .max = MILLION, .reloadable = true, .unit = "requests",
	    .help = "requests per worker that wait for a full upstream; 0: none waits"},
	{SECTION_LIMITS, "queue_timeout", VALUE_DURATION,
	    FIELD(config_limits, queue_timeout_ms), .standard = "5s", .max = HOUR,
	    .reloadable = true, .help = "how long they wait"},
	{SECTION_LIMITS, "max_body", VALUE_SIZE, FIELD(config_limits, max_body),
	    .standard = "0", .max = 1024 * GIB, .reloadable = true,
	    .help = "the longest request body; 0: no limit"},
	{SECTION_LIMITS, "min_rate", VALUE_SIZE, FIELD(config_limits, min_rate),
	    .standard = "0", .max = GIB, .reloadable = true,
	    .help = "of a request body, per second; 0: as slow as one likes"},
	{SECTION_LIMITS, "max_message", VALUE_SIZE, FIELD(config_limits, max_message),
	    .standard = "0", .max = 1024 * GIB, .reloadable = true,
	    .help = "the longest WebSocket message; 0: no limit"},
	{SECTION_LIMITS, "max_frame", VALUE_SIZE, FIELD(config_limits, max_frame),
	    .standard = "0", .max = 1024 * GIB, .reloadable = true,
	    .help = "the longest WebSocket frame; 0: no limit"},
	{SECTION_LIMITS, "max_session_age", VALUE_DURATION,
	    FIELD(config_limits, max_session_age_ms), .standard = "0",
	    .max = 8760 * HOUR, .reloadable = true,
	    .help = "how long a session may last; 0: no limit"},
	{SECTION_LIMITS, "upgrades", VALUE_UNSIGNED, FIELD(config_limits, upgrades),
	    .standard = "0", .max = MILLION, .reloadable = true,
	    .unit = "sessions per second",
	    .help = "how fast new sessions are let in; 0: no limit"},

	{SECTION_CLIENT_LIMITS, "by", VALUE_ENUM, FIELD(config_client_limits, by),
	    .standard = "address", .names = limited_by, .reloadable = true,
	    .help = "what one client is: an address, or a client key"},
	{SECTION_CLIENT_LIMITS, "rate", VALUE_UNSIGNED,
	    FIELD(config_client_limits, rate), .standard = "0", .max = MILLION,
	    .reloadable = true, .unit = "requests per second",
	    .help = "how fast one client may ask; 0: no limit"},
	{SECTION_CLIENT_LIMITS, "burst", VALUE_UNSIGNED,
	    FIELD(config_client_limits, burst), .standard = "0", .max = MILLION,
	    .reloadable = true, .unit = "requests",
	    .help = "how many at once before the rate counts; 0: as rate"},
	{SECTION_CLIENT_LIMITS, "exchanges", VALUE_UNSIGNED,
	    FIELD(config_client_limits, exchanges), .standard = "0", .max = MILLION,
	    .reloadable = true, .unit = "exchanges",
	    .help = "how many one client may have at once; 0: no limit"},
	{SECTION_CLIENT_LIMITS, "sessions", VALUE_UNSIGNED,
	    FIELD(config_client_limits, sessions), .standard = "0", .max = MILLION,
	    .reloadable = true, .unit = "sessions",
	    .help = "how many one client may have at once; 0: no limit"},
	{SECTION_CLIENT_LIMITS, "upgrades", VALUE_UNSIGNED,
	    FIELD(config_client_limits, upgrades), .standard = "0", .max = MILLION,
	    .reloadable = true, .unit = "sessions per minute",
	    .help = "how fast one client may open sessions; 0: no limit"},
	{SECTION_CLIENT_LIMITS, "excess", VALUE_ENUM,
	    FIELD(config_client_limits, excess), .standard = "refuse",
	    .names = excesses, .reloadable = true,
	    .help = "which session goes where there is one too many"},

	{SECTION_HEALTH, "http", VALUE_STRING, FIELD(config_health, http),
	    .good = form_is_target, .reloadable = true,
	    .expected = "a path that begins with /",
	    .help = "asks for this path; a good status means healthy"},
	{SECTION_HEALTH, "tcp", VALUE_BOOL, FIELD(config_health, tcp),
	    .standard = "false", .reloadable = true,
	    .help = "only connects; whoever accepts is healthy"},
	{SECTION_HEALTH, "websocket", VALUE_STRING, FIELD(config_health, websocket),
	    .good = form_is_target, .reloadable = true,
	    .expected = "a path that begins with /",
	    .help = "opens a WebSocket on this path and closes it"},
	{SECTION_HEALTH, "interval", VALUE_DURATION, FIELD(config_health, interval_ms),
	    .standard = "5s", .min = 10, .max = 24 * HOUR, .reloadable = true,
	    .applies = asks_at_all, .belongs = "beside http, tcp or websocket",
	    .help = "from one check of a backend to the next, give or take 10 per cent"},
	{SECTION_HEALTH, "timeout", VALUE_DURATION, FIELD(config_health, timeout_ms),
	    .standard = "2s", .min = 1, .max = HOUR, .reloadable = true,
	    .applies = asks_at_all, .belongs = "beside http, tcp or websocket",
	    .help = "for the whole of a check"},
	{SECTION_HEALTH, "rise", VALUE_UNSIGNED, FIELD(config_health, rise),
	    .standard = "2", .min = 1, .max = 1000, .reloadable = true,
	    .applies = asks_at_all, .belongs = "beside http, tcp or websocket",
	    .unit = "checks", .help = "good ones in a row that make a backend healthy"},
	{SECTION_HEALTH, "fall", VALUE_UNSIGNED, FIELD(config_health, fall),
	    .standard = "3", .min = 1, .max = 1000, .reloadable = true,
	    .applies = asks_at_all, .belongs = "beside http, tcp or websocket",
	    .unit = "checks", .help = "bad ones in a row that make it unhealthy"},
	{SECTION_HEALTH, "status", VALUE_STRING, FIELD(config_health, status),
	    .standard = "200-399", .good = form_is_status_set, .reloadable = true,
	    .applies = asks_http, .belongs = "beside http",
	    .expected = "statuses and ranges such as 200-299,404",
	    .help = "which answers are good"},
	{SECTION_HEALTH, "body", VALUE_STRING, FIELD(config_health, body),
	    .good = form_is_text, .reloadable = true,
	    .applies = asks_http, .belongs = "beside http", .expected = "text",
	    .help = "what must be in the first 64 KiB of the answer"},
	{SECTION_HEALTH, "headers", VALUE_HEADERS, FIELD(config_health, headers),
	    .secret = true,
	    .count = offsetof(struct config_health, n_headers),
	    .standard = "{}", .max = MAX_MAP, .good = form_is_text,
	    .good_name = form_is_editable_header, .reloadable = true,
	    .applies = asks_by_head, .belongs = "beside http or websocket",
	    .expected = "text", .expected_name = EXPECTED_HEADER,
	    .help = "sent along with a check"},
	{SECTION_HEALTH, "host", VALUE_STRING, FIELD(config_health, host),
	    .good = form_is_authority, .reloadable = true,
	    .applies = asks_by_head, .belongs = "beside http or websocket",
	    .expected = "HOST or HOST:PORT",
	    .help = "the Host of a check; without: the backend's address"},

	{SECTION_OUTLIERS, "connect_errors", VALUE_UNSIGNED,
	    FIELD(config_outliers, connect_errors), .standard = "1", .max = MILLION,
	    .reloadable = true, .unit = "errors",
	    .help = "failed connections in a row; 0: none count"},
	{SECTION_OUTLIERS, "errors", VALUE_UNSIGNED, FIELD(config_outliers, errors),
	    .standard = "0", .max = MILLION, .reloadable = true, .unit = "answers",
	    .help = "500, 502, 503, 504 or no answer, in a row; 0: none count"},
	{SECTION_OUTLIERS, "closes", VALUE_UNSIGNED, FIELD(config_outliers, closes),
	    .standard = "0", .max = MILLION, .reloadable = true, .unit = "sessions",
	    .help = "sessions ended by 1011 or without a Close, in a row; 0: none count"},
	{SECTION_OUTLIERS, "latency", VALUE_DURATION,
	    FIELD(config_outliers, latency_ms), .standard = "0", .max = HOUR,
	    .reloadable = true,
	    .help = "answers that begin later than that are slow; 0: none is"},
	{SECTION_OUTLIERS, "slow", VALUE_UNSIGNED, FIELD(config_outliers, slow),
	    .standard = "5", .min = 1, .max = MILLION, .reloadable = true,
	    .unit = "answers", .help = "slow ones in a row that count"},
	{SECTION_OUTLIERS, "eject", VALUE_DURATION, FIELD(config_outliers, eject_ms),
	    .standard = "1s", .min = 1, .max = 24 * HOUR, .reloadable = true,
	    .help = "how long such a backend is left alone at first; doubles"},
	{SECTION_OUTLIERS, "max_eject", VALUE_DURATION,
	    FIELD(config_outliers, max_eject_ms), .standard = "30s", .min = 1,
	    .max = 24 * HOUR, .reloadable = true,
	    .help = "how long at most"},
	{SECTION_OUTLIERS, "max_ejected", VALUE_PERCENT,
	    FIELD(config_outliers, max_ejected_percent), .standard = "50%", .max = 100,
	    .reloadable = true,
	    .help = "how many backends at once, but for those that refuse connections"},

	{SECTION_BACKEND, "name", VALUE_STRING, FIELD(config_backend, name),
	    .good = form_is_backend_name, .reloadable = true,
	    .expected = "letters, digits and -_.:[]",
	    .help = "what logs call it; without: its address"},
	{SECTION_BACKEND, "address", VALUE_STRING, FIELD(config_backend, address),
	    .required = true, .good = form_is_backend_address, .reloadable = true,
	    .expected = "HOST:PORT, srv:NAME, or " EXPECTED_UNIX,
	    .help = "numeric, or a name that is resolved in the background, or a "
		    "unix socket"},
	{SECTION_BACKEND, "weight", VALUE_UNSIGNED, FIELD(config_backend, weight),
	    .standard = "1", .max = 1000, .reloadable = true,
	    .help = "its share relative to the others; 0: takes nothing new"},
	{SECTION_BACKEND, "state", VALUE_ENUM, FIELD(config_backend, state),
	    .standard = "up", .names = backend_states, .reloadable = true,
	    .help = "up, drain (keeps what it has) or down"},
	{SECTION_BACKEND, "backup", VALUE_BOOL, FIELD(config_backend, backup),
	    .standard = "false", .reloadable = true,
	    .help = "used only where no other backend will do"},
};
/* clang-format on */

const size_t schema_n_rows = sizeof(schema_rows) / sizeof(schema_rows[0]);
