/* SPDX-License-Identifier: MIT
 *
 * check_config.c - config/: from text and flags to the struct, and back.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "config/schema.h"
#include "config/value.h"
#include "yaml_rig.h"
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

Suite *suite_config(void);

#define LISTENERS "listeners: [{bind: \"127.0.0.1:8080\"}]\n"
#define BACKENDS "backends: [{address: \"10.0.0.1:80\"}]"
#define OR_UNIX                                                           \
	"or unix: and an absolute path (at most 107 letters, digits and " \
	"/-_.~+@%:,)\n"
#define SMALL LISTENERS "upstreams: {chat: {" BACKENDS "}}\n"

static struct config *
parse(const char *yaml, const struct config_flags *flags, struct strbuf *errors)
{
	return config_parse("r.yaml", yaml, strlen(yaml), flags, errors);
}

/* Rows stand for elements of an array: each must hit its own. */
START_TEST(test_each_topic_has_its_level)
{
	static const char *const levels[] = {"debug", "info", "notice", "warn",
	    "error"};
	char text[256];

	for (int i = 0; i < TOPIC_COUNT; i++) {
		struct config *c;

		snprintf(text, sizeof text, "log: {topics: {%s: %s}}\n" SMALL,
		    log_topic_name((enum log_topic)i), levels[i % 5]);
		c = good(text);
		for (int j = 0; j < TOPIC_COUNT; j++)
			ck_assert_uint_eq(c->log.topics[j],
			    j == i ? TOPIC_OWN + (unsigned)i % 5 : TOPIC_SAME);
		config_free(c);
	}
}
END_TEST

START_TEST(test_defaults)
{
	struct config *c = good(SMALL);
	const struct config_upstream *up = &c->upstreams[0];

	ck_assert_str_eq(c->file, "r.yaml");
	ck_assert_uint_eq(c->workers, 0);
	ck_assert_int_eq(c->log.level, LEVEL_INFO);
	ck_assert_int_eq(c->log.format, FORMAT_TEXT);
	ck_assert_str_eq(c->log.file, "stderr");
	ck_assert_ptr_null(c->log.socket);
	ck_assert_str_eq(c->log.tag, "roost");
	ck_assert_uint_eq(c->log.facility, 3);
	for (int i = 0; i < TOPIC_COUNT; i++)
		ck_assert_uint_eq(c->log.topics[i], TOPIC_SAME);
	ck_assert_uint_eq(c->pins.max, 1000000);
	ck_assert_ptr_null(c->pins.secret_file);
	ck_assert_str_eq(up->name, "chat");
	ck_assert_int_eq(up->balance, BALANCE_LEAST_SESSIONS);
	ck_assert_uint_eq(up->session_cost, 1);
	ck_assert_uint_eq(up->exchange_cost, 1);
	ck_assert_uint_eq(up->slow_start_ms, 0);
	ck_assert(!up->backends[0].backup);
	ck_assert_uint_eq(up->n_client_keys, 2);
	ck_assert_int_eq(up->client_keys[0].kind, KEY_COOKIE);
	ck_assert_str_eq(up->client_keys[0].name, "roost");
	ck_assert_int_eq(up->client_keys[1].kind, KEY_ADDRESS);
	ck_assert_ptr_null(up->client_keys[1].name);
	ck_assert_uint_eq(up->pin.websocket_ms, 300000);
	ck_assert_uint_eq(up->pin.http_ms, 15000);
	ck_assert_uint_eq(up->retries, 1);
	ck_assert_uint_eq(up->limits.max_sessions, 0);
	config_free(c);
}
END_TEST

START_TEST(test_defaults_of_rehome_and_timeouts)
{
	struct config *c = good(SMALL);
	const struct config_rehome *r = &c->upstreams[0].rehome;
	const struct config_timeouts *t = &c->upstreams[0].timeouts;

	ck_assert_int_eq(r->mode, REHOME_RECONNECT);
	ck_assert_uint_eq(r->threshold_percent, 20);
	ck_assert_uint_eq(r->rate, 100);
	ck_assert_uint_eq(r->debounce_ms, 300);
	ck_assert_uint_eq(r->drain_timeout_ms, 5000);
	ck_assert_int_eq(r->on_failure, ON_FAILURE_REHOME);
	ck_assert_uint_eq(r->close_code, 1012);
	ck_assert_uint_eq(t->connect_ms, 5000);
	ck_assert_uint_eq(t->header_ms, 10000);
	ck_assert_uint_eq(t->body_ms, 60000);
	ck_assert_uint_eq(t->first_byte_ms, 60000);
	ck_assert_uint_eq(t->response_ms, 60000);
	ck_assert_uint_eq(t->keepalive_ms, 60000);
	config_free(c);
}
END_TEST

START_TEST(test_defaults_of_limits)
{
	struct config *c = good(SMALL);
	const struct config_upstream *up = &c->upstreams[0];
	const struct config_limits *l = &up->limits;

	ck_assert_uint_eq(l->max_connections, 0);
	ck_assert_uint_eq(l->queue, 1024);
	ck_assert_uint_eq(l->queue_timeout_ms, 5000);
	ck_assert_uint_eq(l->max_body, 0);
	ck_assert_uint_eq(l->min_rate, 0);
	ck_assert_uint_eq(l->max_message, 0);
	ck_assert_uint_eq(l->max_frame, 0);
	ck_assert_uint_eq(l->max_session_age_ms, 0);
	ck_assert_uint_eq(l->upgrades, 0);
	ck_assert_int_eq(up->client_limits.by, LIMIT_BY_ADDRESS);
	ck_assert_uint_eq(up->client_limits.rate, 0);
	ck_assert_uint_eq(up->client_limits.burst, 0);
	ck_assert_uint_eq(up->client_limits.exchanges, 0);
	ck_assert_uint_eq(up->client_limits.sessions, 0);
	ck_assert_uint_eq(up->client_limits.upgrades, 0);
	ck_assert_int_eq(up->client_limits.excess, EXCESS_REFUSE);
	config_free(c);
}
END_TEST

START_TEST(test_defaults_of_what_backends_get)
{
	struct config *c = good(SMALL);
	const struct config_upstream *up = &c->upstreams[0];

	ck_assert_uint_eq(up->timeouts.write_ms, 30000);
	ck_assert_uint_eq(up->heartbeat.interval_ms, 20000);
	ck_assert_uint_eq(up->heartbeat.timeout_ms, 10000);
	ck_assert_uint_eq(up->heartbeat.sweep_ms, 30000);
	ck_assert_int_eq(up->forwarded, FORWARDED_X);
	ck_assert_int_eq(up->trace_context, TRACE_PASS);
	ck_assert_int_eq(up->proxy_protocol, PROXY_OUT_OFF);
	ck_assert_int_eq(up->half_close, HALF_CLOSE_ABORT);
	ck_assert_int_eq(up->utf8, UTF8_PASS);
	ck_assert_int_eq(c->access_log.format, FORMAT_TEXT);
	ck_assert_ptr_null(c->access_log.file);
	ck_assert_uint_eq(c->n_error_pages, 0);
	config_free(c);
}
END_TEST

START_TEST(test_what_follows_from_the_rest)
{
	struct config *c = good(SMALL);

	ck_assert_uint_eq(c->n_routes, 1);
	ck_assert_ptr_null(c->routes[0].host);
	ck_assert_str_eq(c->routes[0].path, "/");
	ck_assert_str_eq(c->routes[0].upstream, "chat");
	ck_assert_uint_eq(c->routes[0].upstream_index, 0);
	ck_assert_str_eq(c->upstreams[0].backends[0].name, "10.0.0.1:80");
	ck_assert_uint_eq(c->upstreams[0].backends[0].weight, 1);
	ck_assert_int_eq(c->upstreams[0].backends[0].state, BACKEND_UP);
	ck_assert_uint_eq(addr_port(&c->listeners[0].addr), 8080);
	ck_assert_uint_eq(c->upstreams[0].place.line, 2);
	ck_assert_uint_eq(c->upstreams[0].place.column, 13);
	ck_assert_uint_eq(c->upstreams[0].backends[0].place.line, 2);
	config_free(c);
}
END_TEST

static const char everything[] =
    "workers: 4\n"
    "log: {level: debug, format: json, file: \"/var/log/gr\\xf6\\xdfe "
    "\\\"x\\\"\\\\\"}\n"
    "pins: {max: 5, secret_file: /etc/roost/secret}\n"
    "access_log: {format: json, file: /var/log/roost/access.log}\n"
    "listeners: [{bind: '[::1]:0'}, {bind: '*:8080'}]\n"
    "routes:\n"
    "  - {host: '*.Example.com', path: /a/, upstream: chat}\n"
    "  - {upstream: api}\n"
    "upstreams:\n"
    "  chat:\n"
    "    balance: round-robin\n"
    "    session_cost: 2\n"
    "    exchange_cost: 0\n"
    "    slow_start: 30s\n"
    "    client_key: [cookie:sid, header:X-User, 'query:t[o]k', address]\n"
    "    pin: {websocket: 0, http: 90s}\n"
    "    rehome: {mode: transparent, threshold: 0%, rate: 1, debounce: 0ms,\n"
    "      drain_timeout: 1500ms, on_failure: close, close_code: 4999,\n"
    "      replay: {first: 64, field: op, values: [a, '2'], answers: 0,\n"
    "        answer_field: type, answer_values: [b], max_size: 1m, timeout: 1h}}\n"
    "    timeouts: {connect: 1ms, header: 24h, body: 0, first_byte: 1m,\n"
    "      response: 1h, keepalive: 61s, write: 1s}\n"
    "    limits: {max_sessions: 10, max_connections: 11, queue: 0,\n"
    "      queue_timeout: 0, max_body: 1024g, min_rate: 1k, max_message: 1m,\n"
    "      max_frame: 65537, max_session_age: 8760h, upgrades: 12}\n"
    "    client_limits: {by: client, rate: 13, burst: 14, exchanges: 15,\n"
    "      sessions: 16, upgrades: 17, excess: replace-oldest}\n"
    "    heartbeat: {interval: 0, timeout: 1ms, sweep: 10ms}\n"
    "    forwarded: both\n"
    "    trace_context: create\n"
    "    proxy_protocol: v2\n"
    "    half_close: serve\n"
    "    utf8: check\n"
    "    retries: 0\n"
    "    backends:\n"
    "      - {name: b1, address: '[::1]:1', weight: 0, state: drain}\n"
    "      - {address: 'app2.internal:65535', state: down}\n"
    "      - {address: 'unix:/run/app.sock', backup: true}\n"
    "  api: {" BACKENDS "}\n";

START_TEST(test_every_key_is_read)
{
	struct config *c = good(everything);
	const struct config_upstream *up = &c->upstreams[0];

	ck_assert_uint_eq(c->workers, 4);
	ck_assert_int_eq(c->log.level, LEVEL_DEBUG);
	ck_assert_int_eq(c->log.format, FORMAT_JSON);
	ck_assert_str_eq(c->log.file, "/var/log/gr\xc3\xb6\xc3\x9f"
				      "e \"x\"\\");
	ck_assert_uint_eq(c->pins.max, 5);
	ck_assert_str_eq(c->pins.secret_file, "/etc/roost/secret");
	ck_assert_str_eq(c->routes[0].host, "*.Example.com");
	ck_assert_uint_eq(c->routes[1].upstream_index, 1);
	ck_assert_int_eq(up->balance, BALANCE_ROUND_ROBIN);
	ck_assert_uint_eq(up->session_cost, 2);
	ck_assert_uint_eq(up->exchange_cost, 0);
	ck_assert_uint_eq(up->slow_start_ms, 30000);
	ck_assert(up->backends[2].backup);
	ck_assert(!up->backends[0].backup);
	ck_assert_uint_eq(up->n_client_keys, 4);
	ck_assert_int_eq(up->client_keys[1].kind, KEY_HEADER);
	ck_assert_str_eq(up->client_keys[1].name, "X-User");
	ck_assert_int_eq(up->client_keys[2].kind, KEY_QUERY);
	ck_assert_str_eq(up->client_keys[2].name, "t[o]k");
	ck_assert_uint_eq(up->pin.websocket_ms, 0);
	ck_assert_uint_eq(up->pin.http_ms, 90000);
	ck_assert_uint_eq(up->limits.max_sessions, 10);
	ck_assert_uint_eq(up->retries, 0);
	ck_assert_str_eq(up->backends[0].name, "b1");
	ck_assert_int_eq(up->backends[0].state, BACKEND_DRAIN);
	ck_assert_uint_eq(up->backends[0].weight, 0);
	ck_assert_int_eq(up->backends[1].state, BACKEND_DOWN);
	ck_assert_str_eq(up->backends[2].name, "unix:/run/app.sock");
	ck_assert_int_eq(c->access_log.format, FORMAT_JSON);
	ck_assert_str_eq(c->access_log.file, "/var/log/roost/access.log");
	config_free(c);
}
END_TEST

START_TEST(test_every_key_of_limits_is_read)
{
	struct config *c = good(everything);
	const struct config_limits *l = &c->upstreams[0].limits;
	const struct config_client_limits *k = &c->upstreams[0].client_limits;

	ck_assert_uint_eq(l->max_sessions, 10);
	ck_assert_uint_eq(l->max_connections, 11);
	ck_assert_uint_eq(l->queue, 0);
	ck_assert_uint_eq(l->queue_timeout_ms, 0);
	ck_assert_uint_eq(l->max_body, UINT64_C(1) << 40);
	ck_assert_uint_eq(l->min_rate, 1024);
	ck_assert_uint_eq(l->max_message, 1 << 20);
	ck_assert_uint_eq(l->max_frame, 65537);
	ck_assert_uint_eq(l->max_session_age_ms, UINT64_C(31536000000));
	ck_assert_uint_eq(l->upgrades, 12);
	ck_assert_int_eq(k->by, LIMIT_BY_CLIENT);
	ck_assert_uint_eq(k->rate, 13);
	ck_assert_uint_eq(k->burst, 14);
	ck_assert_uint_eq(k->exchanges, 15);
	ck_assert_uint_eq(k->sessions, 16);
	ck_assert_uint_eq(k->upgrades, 17);
	ck_assert_int_eq(k->excess, EXCESS_REPLACE_OLDEST);
	config_free(c);
}
END_TEST

START_TEST(test_every_key_of_what_backends_get_is_read)
{
	struct config *c = good(everything);
	const struct config_upstream *up = &c->upstreams[0];

	ck_assert_uint_eq(up->timeouts.write_ms, 1000);
	ck_assert_uint_eq(up->heartbeat.interval_ms, 0);
	ck_assert_uint_eq(up->heartbeat.timeout_ms, 1);
	ck_assert_uint_eq(up->heartbeat.sweep_ms, 10);
	ck_assert_int_eq(up->forwarded, FORWARDED_BOTH);
	ck_assert_int_eq(up->trace_context, TRACE_CREATE);
	ck_assert_int_eq(up->proxy_protocol, PROXY_OUT_V2);
	ck_assert_int_eq(up->half_close, HALF_CLOSE_SERVE);
	ck_assert_int_eq(up->utf8, UTF8_CHECK);
	config_free(c);
}
END_TEST

START_TEST(test_every_key_of_rehome_and_timeouts_is_read)
{
	struct config *c = good(everything);
	const struct config_rehome *r = &c->upstreams[0].rehome;
	const struct config_timeouts *t = &c->upstreams[0].timeouts;

	ck_assert_int_eq(r->mode, REHOME_TRANSPARENT);
	ck_assert_uint_eq(r->threshold_percent, 0);
	ck_assert_uint_eq(r->rate, 1);
	ck_assert_uint_eq(r->debounce_ms, 0);
	ck_assert_uint_eq(r->drain_timeout_ms, 1500);
	ck_assert_int_eq(r->on_failure, ON_FAILURE_CLOSE);
	ck_assert_uint_eq(r->close_code, 4999);
	ck_assert_uint_eq(t->connect_ms, 1);
	ck_assert_uint_eq(t->header_ms, 86400000);
	ck_assert_uint_eq(t->body_ms, 0);
	ck_assert_uint_eq(t->first_byte_ms, 60000);
	ck_assert_uint_eq(t->response_ms, 3600000);
	ck_assert_uint_eq(t->keepalive_ms, 61000);
	config_free(c);
}
END_TEST

/* One value of each type through value_read and value_print. */
static void
check_value(const struct schema_row *row, const char *text, const char *printed)
{
	struct strbuf out = STRBUF_INIT;
	uint64_t field = 0;
	bool fine = value_read(row, str_of(text), &field, NULL);

	ck_assert_msg(fine == (printed != NULL), "%s", text);
	if (printed) {
		value_print(row, &field, false, &out);
		ck_assert_str_eq(strbuf_cstr(&out), printed);
	}
	strbuf_fini(&out);
}

/* The upstream with this replay, or NULL and errors. */
static struct config *
load_replay(const char *replay, struct strbuf *errors)
{
	struct strbuf text = STRBUF_INIT;
	struct config *c;

	strbuf_printf(&text,
	    LISTENERS "upstreams:\n  chat:\n    rehome: {replay: %s}\n    " BACKENDS
		      "\n",
	    replay);
	c = config_parse("r.yaml", text.data, text.len, NULL, errors);
	strbuf_fini(&text);
	return c;
}

START_TEST(test_replay_is_a_number_or_a_map)
{
	struct strbuf errors = STRBUF_INIT;
	struct config *c = load_replay("3", &errors);
	const struct config_replay *r;

	ck_assert_msg(c != NULL, "%s", strbuf_cstr(&errors));
	r = &c->upstreams[0].rehome.replay;
	ck_assert_uint_eq(r->first, 3);
	ck_assert_uint_eq(r->answers, 1);
	ck_assert_uint_eq(r->max_size, 16384);
	ck_assert_uint_eq(r->timeout_ms, 5000);
	ck_assert_ptr_null(r->field);
	config_free(c);

	c = load_replay("{field: op, values: [login, 2, true], answers: 2, timeout: 1s,"
			" answer_field: t, answer_values: [a], max_size: 1k}",
	    &errors);
	ck_assert_msg(c != NULL, "%s", strbuf_cstr(&errors));
	r = &c->upstreams[0].rehome.replay;
	ck_assert_uint_eq(r->first, 0);
	ck_assert_str_eq(r->field, "op");
	ck_assert_uint_eq(r->n_values, 3);
	ck_assert_str_eq(r->values[1], "2");
	ck_assert_uint_eq(r->answers, 2);
	ck_assert_str_eq(r->answer_field, "t");
	ck_assert_str_eq(r->answer_values[0], "a");
	ck_assert_uint_eq(r->max_size, 1024);
	ck_assert_uint_eq(r->timeout_ms, 1000);
	config_free(c);
	strbuf_fini(&errors);
}
END_TEST

static const struct {
	const char *replay, *error;
} bad_replays[] = {
    {"many", "replay.first: bad value \"many\", expected a number from 0 to 64"},
    {"65", "replay.first: bad value \"65\""},
    {"[1]", "replay: a list, expected a map of keys"},
    {"{values: [a]}", "replay.values: means nothing here, expected it beside field"},
    {"{answer_values: [a]}", "expected it beside answer_field"},
    {"{frist: 1}", "unknown key (did you mean first?)"},
    {"{max_size: 2m}", "replay.max_size: bad value"},
};

START_TEST(test_bad_replay_is_refused)
{
	struct strbuf errors = STRBUF_INIT;

	ck_assert_ptr_null(load_replay(bad_replays[_i].replay, &errors));
	ck_assert_msg(strstr(strbuf_cstr(&errors), bad_replays[_i].error) != NULL, "%s",
	    strbuf_cstr(&errors));
	strbuf_fini(&errors);
}
END_TEST

START_TEST(test_durations)
{
	static const struct schema_row row = {.type = VALUE_DURATION,
	    .width = 8,
	    .max = 7200000};
	static const struct schema_row not_zero = {.type = VALUE_DURATION,
	    .width = 8,
	    .min = 1,
	    .max = 7200000};

	check_value(&row, "300ms", "300ms");
	check_value(&row, "5000ms", "5s");
	check_value(&row, "90s", "90s");
	check_value(&row, "120s", "2m");
	check_value(&row, "2h", "2h");
	check_value(&row, "0", "0");
	check_value(&row, "0h", "0");
	check_value(&row, "7201s", NULL);
	check_value(&row, "5", NULL);
	check_value(&row, "5 s", NULL);
	check_value(&row, "1.5s", NULL);
	check_value(&row, "-1s", NULL);
	check_value(&row, "05s", NULL);
	check_value(&row, "5S", NULL);
	check_value(&row, "s", NULL);
	check_value(&row, "", NULL);
	check_value(&row, "18446744073709551616ms", NULL);
	check_value(&row, "18446744073709551615h", NULL);
	check_value(&row, "5124095576031h", NULL); /* wraps round to a small number */
	check_value(&not_zero, "0", NULL);
	check_value(&not_zero, "0ms", NULL);
	check_value(&not_zero, "1ms", "1ms");
}
END_TEST

START_TEST(test_sizes)
{
	static const struct schema_row row = {.type = VALUE_SIZE,
	    .width = 8,
	    .max = UINT64_C(4) << 30};

	check_value(&row, "512", "512");
	check_value(&row, "64k", "64k");
	check_value(&row, "1024k", "1m");
	check_value(&row, "1536m", "1536m");
	check_value(&row, "4g", "4g");
	check_value(&row, "0", "0");
	check_value(&row, "5g", NULL);
	check_value(&row, "1K", NULL);
	check_value(&row, "1kb", NULL);
	check_value(&row, "18446744073709551615g", NULL);
}
END_TEST

START_TEST(test_percentages)
{
	static const struct schema_row row = {.type = VALUE_PERCENT,
	    .width = 4,
	    .max = 100};

	check_value(&row, "0%", "0%");
	check_value(&row, "100%", "100%");
	check_value(&row, "101%", NULL);
	check_value(&row, "20", NULL);
	check_value(&row, "%", NULL);
}
END_TEST

START_TEST(test_numbers)
{
	static const struct schema_row row = {.type = VALUE_UNSIGNED,
	    .width = 4,
	    .max = 256,
	    .zero = "auto"};

	check_value(&row, "1", "1");
	check_value(&row, "256", "256");
	check_value(&row, "auto", "auto");
	check_value(&row, "0", NULL);
	check_value(&row, "257", NULL);
	check_value(&row, "1x", NULL);
	check_value(&row, "0x1", NULL);
	check_value(&row, "+1", NULL);
}
END_TEST

START_TEST(test_modes)
{
	static const struct schema_row row = {.type = VALUE_MODE,
	    .width = 4,
	    .max = 0777};

	check_value(&row, "0660", "0660");
	check_value(&row, "0777", "0777");
	check_value(&row, "00660", "0660");
	check_value(&row, "00", "0000");
	check_value(&row, "0", NULL);
	check_value(&row, "660", NULL);
	check_value(&row, "0o660", NULL);
	check_value(&row, "0680", NULL);
	check_value(&row, "01000", NULL);
	check_value(&row, "000660", NULL);
	check_value(&row, "", NULL);
}
END_TEST

START_TEST(test_bools_and_names)
{
	static const struct value_name names[] = {{"off", 0}, {"on", 7}, {NULL, 0}};
	static const struct schema_row yes = {.type = VALUE_BOOL, .width = 1};
	static const struct schema_row name = {.type = VALUE_ENUM,
	    .width = 4,
	    .names = names};

	check_value(&yes, "true", "true");
	check_value(&yes, "false", "false");
	check_value(&yes, "1", NULL);
	check_value(&yes, "True", NULL);
	check_value(&name, "on", "on");
	check_value(&name, "off", "off");
	check_value(&name, "o", NULL);
	check_value(&name, "", NULL);
}
END_TEST

/* Bad values in the file: where they stand, and the message. */
static const struct {
	const char *yaml;
	const char *expected;
} bad_values[] = {
    {"log: {level: loud}\n" SMALL, "r.yaml:1:14: log.level: bad value \"loud\", "
				   "expected debug, info, notice, warn "
				   "or error\n"},
    {"workers: 0\n" SMALL, "r.yaml:1:10: workers: bad value \"0\", expected a number "
			   "from 1 to 256, or auto\n"},
    {"pins: {max: many}\n" SMALL,
	"r.yaml:1:13: pins.max: bad value \"many\", expected a "
	"number from 1 to 1000000000\n"},
    {"log:\n  file:\n" SMALL, "r.yaml:2:8: log.file: no value, expected stderr, "
			      "syslog, journald or a file name\n"},
    {"log: {file: \"a\\nb\"}\n" SMALL,
	"r.yaml:1:13: log.file: bad value \"a?b\", expected stderr, syslog, journald "
	"or a file name\n"},
    {"log: {socket: log}\n" SMALL,
	"r.yaml:1:15: log.socket: bad value \"log\", expected an absolute path of at "
	"most 107 bytes\n"},
    {"log: {tag: \"a b\"}\n" SMALL,
	"r.yaml:1:12: log.tag: bad value \"a b\", expected at most 32 letters, digits, "
	"- and _\n"},
    {"log: {facility: local8}\n" SMALL,
	"r.yaml:1:17: log.facility: bad value \"local8\", expected "
	"user, daemon, auth, local0, local1, local2, local3, local4, "
	"local5, local6 or local7\n"},
    {"log: {topics: {rehom: debug}}\n" SMALL,
	"r.yaml:1:16: log.topics.rehom: unknown key (did you mean rehome?), "
	"expected one of daemon, config, listener, http, session, backend, rehome, "
	"library\n"},
    {"log: {file: [a]}\n" SMALL, "r.yaml:1:13: log.file: a list, expected stderr, "
				 "syslog, journald or a file name\n"},
    {LISTENERS "upstreams:\n  chat:\n    pin: {http: 5}\n    " BACKENDS "\n",
	"r.yaml:4:17: upstreams.chat.pin.http: bad value \"5\", expected a duration "
	"(ms, "
	"s, m, h) from 0 to 24h\n"},
    {LISTENERS "upstreams:\n  chat:\n    rehome: {threshold: 20}\n    " BACKENDS "\n",
	"r.yaml:4:25: upstreams.chat.rehome.threshold: bad value \"20\", expected a "
	"percentage from 0% to 1000%\n"},
    {LISTENERS "upstreams:\n  chat:\n    rehome: {close_code: 1001}\n    " BACKENDS
	       "\n",
	"r.yaml:4:26: upstreams.chat.rehome.close_code: bad value \"1001\", expected "
	"1012, "
	"1013 or 3000 to 4999 (after 1000 and 1001 clients stay away)\n"},
    {LISTENERS "upstreams:\n  chat:\n    balance: random\n    " BACKENDS "\n",
	"r.yaml:4:14: upstreams.chat.balance: bad value \"random\", expected "
	"least-sessions, round-robin, p2c or hash\n"},
    {LISTENERS "upstreams:\n  chat:\n    client_key: [cookie:a b]\n    " BACKENDS "\n",
	"r.yaml:4:18: upstreams.chat.client_key: bad value \"cookie:a b\", expected a "
	"list "
	"of cookie:NAME, header:NAME, query:NAME and address\n"},
    {LISTENERS "upstreams:\n  chat:\n    client_key: address\n    " BACKENDS "\n",
	"r.yaml:4:17: upstreams.chat.client_key: a single value, expected a list of "
	"cookie:NAME, header:NAME, query:NAME and address\n"},
    {LISTENERS "upstreams:\n  chat:\n    client_key: []\n    " BACKENDS "\n",
	"r.yaml:4:17: upstreams.chat.client_key: bad value \"[]\", expected a list of "
	"cookie:NAME, header:NAME, query:NAME and address\n"},
    {LISTENERS "upstreams:\n  chat:\n    backends:\n      - {address: 'a:80', weight: "
	       "1001}\n",
	"r.yaml:5:35: upstreams.chat.backends[0].weight: bad value \"1001\", expected "
	"a "
	"number from 0 to 1000\n"},
    {"listeners: [{bind: 'localhost:80'}]\nupstreams: {a: {" BACKENDS "}}\n",
	"r.yaml:1:20: listeners[0].bind: bad value \"localhost:80\", expected a "
	"numeric "
	"address and port such as 127.0.0.1:8080, [::1]:8080 or *:8080, " OR_UNIX},
    {SMALL "routes: [{path: api, upstream: chat}]\n",
	"r.yaml:3:17: routes[0].path: bad value \"api\", expected a path that begins "
	"with "
	"/\n"},
    {SMALL "routes: [{host: 'a:80', upstream: chat}]\n",
	"r.yaml:3:17: routes[0].host: bad value \"a:80\", expected a hostname without "
	"port, or *. and a hostname\n"},
    {SMALL "pins: [1]\n", "r.yaml:3:7: pins: a list, expected a map of keys\n"},
    {"listeners: x\nupstreams: {a: {" BACKENDS "}}\n",
	"r.yaml:1:12: listeners: a single value, expected a list\n"},
    {LISTENERS "upstreams: {a: {backends: {address: 'a:1'}}}\n",
	"r.yaml:2:27: upstreams.a.backends: a map, expected a list\n"},
    {LISTENERS "upstreams: {a: x}\n",
	"r.yaml:2:16: upstreams.a: a single value, expected a map of keys\n"},
    {LISTENERS "upstreams: {a: {backends: [x]}}\n",
	"r.yaml:2:28: upstreams.a.backends[0]: a single value, expected a map of "
	"keys\n"},
    {"[1]\n", "r.yaml:1:1: not a map of keys, expected workers, log, listeners ...\n"},
};

START_TEST(test_bad_value_is_refused_with_its_place)
{
	bad(bad_values[_i].yaml, bad_values[_i].expected);
}
END_TEST

static void
check_address(const char *address, bool fine)
{
	struct strbuf errors = STRBUF_INIT;
	char yaml[256];
	struct config *c;

	snprintf(yaml, sizeof(yaml),
	    LISTENERS "upstreams: {a: {backends: [{address: \"%s\"}]}}\n", address);
	c = parse(yaml, NULL, &errors);
	ck_assert_msg(!c == !fine, "%s: %s", address, strbuf_cstr(&errors));
	config_free(c);
	strbuf_fini(&errors);
}

START_TEST(test_backend_address_is_host_and_port)
{
	check_address("10.0.0.1:80", true);
	check_address("[::1]:80", true);
	check_address("app2.internal:80", true);
	check_address("app_2:65535", true);
	check_address("10.0.0.300:80", false);
	check_address("10.0.0.1", false);
	check_address("10.0.0.1:0", false);
	check_address("10.0.0.1:65536", false);
	check_address(":80", false);
	check_address("*:80", false);
	check_address("-a:80", false);
	check_address("a..b:80", false);
	check_address("http://a:80", false);
	check_address("a:80/x", false);
	check_address("::1:80", false);
	check_address("unix:/run/app.sock", true);
	check_address("unix:run/app.sock", false);
	check_address("unix:/", false);
	check_address("unix:", false);
	check_address("unix:/a=b", false);
	check_address("unix:/a b", false);
}
END_TEST

static void
check_host(const char *host, bool fine)
{
	struct strbuf errors = STRBUF_INIT;
	char yaml[256];
	struct config *c;

	snprintf(yaml, sizeof(yaml), SMALL "routes: [{host: \"%s\", upstream: chat}]\n",
	    host);
	c = parse(yaml, NULL, &errors);
	ck_assert_msg(!c == !fine, "%s: %s", host, strbuf_cstr(&errors));
	config_free(c);
	strbuf_fini(&errors);
}

START_TEST(test_route_host_is_name_or_suffix)
{
	check_host("example.com", true);
	check_host("*.example.com", true);
	check_host("127.0.0.1", true);
	check_host("*", false);
	check_host("*.", false);
	check_host("a.*.com", false);
	check_host("*example.com", false);
	check_host("example.com.", false);
	check_host("example.com/x", false);
	check_host("", false);
}
END_TEST

#define NO_TOKEN(bind)                                      \
	"others than this machine could connect to \"" bind \
	"\", expected admin.token_file beside it, or a loopback address, or unix:\n"

START_TEST(test_admin_address)
{
	static const struct config_flags flag = {.admin = "10.0.0.1:9"};
	struct config *c = good(SMALL);

	ck_assert_ptr_null(c->admin.bind);
	config_free(c);
	c = good("admin: {bind: '[::1]:9900'}\n" SMALL);
	ck_assert_uint_eq(addr_port(&c->admin.addr), 9900);
	ck_assert_ptr_null(c->admin.unix_path);
	config_free(c);
	c = good("admin: {bind: 'unix:/run/admin.sock'}\n" SMALL);
	ck_assert_str_eq(c->admin.unix_path, "/run/admin.sock");
	ck_assert_int_eq(c->admin.addr.sa.sa_family, AF_UNIX);
	config_free(c);
	c = good("admin: {bind: '*:9900', token_file: /etc/token}\n" SMALL);
	ck_assert_str_eq(c->admin.token_file, "/etc/token");
	config_free(c);
	bad("admin: {bind: '*:9900'}\n" SMALL,
	    "r.yaml:1:15: admin.bind: " NO_TOKEN("*:9900"));
	bad("admin: {bind: '[::ffff:10.0.0.1]:9'}\n" SMALL,
	    "r.yaml:1:15: admin.bind: " NO_TOKEN("[::ffff:10.0.0.1]:9"));
	bad_with(SMALL, &flag, "-A: admin.bind: " NO_TOKEN("10.0.0.1:9"));
}
END_TEST

START_TEST(test_unknown_key_suggests_the_nearest)
{
	bad("wrokers: 2\n" SMALL,
	    "r.yaml:1:1: wrokers: unknown key (did you mean workers?), expected one of "
	    "workers, log, access_log, admin, pins, shutdown, upgrade, resolver, "
	    "error_pages, listeners, routes, upstreams\n");
	bad("wrokesr: 2\n" SMALL,
	    "r.yaml:1:1: wrokesr: unknown key (did you mean workers?), expected one of "
	    "workers, log, access_log, admin, pins, shutdown, upgrade, resolver, "
	    "error_pages, listeners, routes, upstreams\n");
	bad("log: {lvl: info}\n" SMALL, "r.yaml:1:7: log.lvl: unknown key (did you "
					"mean level?), expected one of level, "
					"format, file, socket, tag, "
					"facility, topics\n");
	bad(LISTENERS "upstreams:\n  a:\n    backends:\n    - address: 'a:1'\n"
		      "      wieght: 2\n",
	    "r.yaml:6:7: upstreams.a.backends[0].wieght: unknown key (did you mean "
	    "weight?), "
	    "expected one of name, address, weight, state, backup\n");
}
END_TEST

START_TEST(test_key_of_another_release_is_unknown)
{
	bad("watch: {files: on}\n" SMALL,
	    "r.yaml:1:1: watch: unknown key, expected one of workers, log, access_log, "
	    "admin, pins, shutdown, upgrade, resolver, error_pages, listeners, routes, "
	    "upstreams\n");
	bad("upstreams: {a: {tls: {verify: true}, " BACKENDS "}}\n" LISTENERS,
	    "r.yaml:1:17: upstreams.a.tls: unknown key, expected one of balance, "
	    "session_cost, exchange_cost, slow_start, client_key, forwarded, "
	    "trace_context, proxy_protocol, half_close, utf8, "
	    "retries, pin, rehome, heartbeat, timeouts, limits, client_limits, "
	    "health, outliers, backends\n");
}
END_TEST

START_TEST(test_problems_come_all_and_in_the_order_of_the_file)
{
	bad("upstreams: {a: {retries: x, " BACKENDS "}}\n"
	    "workers: y\n"
	    "listeners: [{bind: z}]\n",
	    "r.yaml:1:26: upstreams.a.retries: bad value \"x\", expected a number from "
	    "0 to "
	    "10\n"
	    "r.yaml:2:10: workers: bad value \"y\", expected a number from 1 to 256, "
	    "or "
	    "auto\n"
	    "r.yaml:3:20: listeners[0].bind: bad value \"z\", expected a numeric "
	    "address and "
	    "port such as 127.0.0.1:8080, [::1]:8080 or *:8080, " OR_UNIX);
}
END_TEST

START_TEST(test_nothing_to_do_is_refused)
{
	static const char nothing[] =
	    "r.yaml:1:1: no listener, expected at least one address to listen on\n"
	    "r.yaml:1:1: no upstream, expected at least one with a backend\n";

	bad("", nothing);
	bad("# nothing\n", nothing);
	bad("---\n", nothing);
	bad("log:\nlisteners:\nupstreams: {}\n", nothing);
	bad(LISTENERS "upstreams:\n  a:\n",
	    "r.yaml:3:3: upstreams.a: no backends, expected at least one\n");
	bad(LISTENERS "upstreams: {a: {backends: [{name: x}]}}\n",
	    "r.yaml:2:28: upstreams.a.backends[0].address: missing, expected "
	    "HOST:PORT, srv:NAME, " OR_UNIX);
	bad("listeners: [{}, ]\nupstreams: {a: {" BACKENDS "}}\n",
	    "r.yaml:1:13: listeners[0].bind: missing, expected a numeric address and "
	    "port "
	    "such as 127.0.0.1:8080, [::1]:8080 or *:8080, " OR_UNIX);
}
END_TEST

START_TEST(test_routes_are_needed_between_two_upstreams)
{
	bad(LISTENERS "upstreams: {a: {" BACKENDS "}, b: {" BACKENDS "}}\n",
	    "r.yaml:1:1: no routes, expected at least one (they may be left out where "
	    "there "
	    "is only one upstream)\n");
}
END_TEST

START_TEST(test_route_leads_to_an_upstream)
{
	bad(SMALL "routes:\n  - upstream: caht\n",
	    "r.yaml:4:15: routes[0].upstream: there is no upstream \"caht\" (did you "
	    "mean "
	    "chat?), expected one of chat\n");
}
END_TEST

START_TEST(test_doubles_are_refused)
{
	bad("listeners:\n- bind: '*:80'\n- bind: 0.0.0.0:80\nupstreams: {a: {" BACKENDS
	    "}}\n",
	    "r.yaml:3:9: listener \"0.0.0.0:80\" is there already (first in line 2), "
	    "expected it once\n");
	bad(SMALL "routes:\n- {host: A.com, path: /x, upstream: chat}\n"
		  "- {host: a.com, path: /x/, upstream: chat}\n",
	    "r.yaml:5:23: route \"a.com/x\" is there already (first in line 4), "
	    "expected it "
	    "once\n");
	bad(SMALL "routes:\n- upstream: chat\n- upstream: chat\n",
	    "r.yaml:5:3: route \"*/\" is there already (first in line 4), expected it "
	    "once\n");
	bad(LISTENERS "upstreams:\n  a:\n    backends:\n    - {address: 'a:1'}\n"
		      "    - {address: 'b:1', name: 'a:1'}\n",
	    "r.yaml:6:30: upstreams.a.backends: the name \"a:1\" is there already "
	    "(first in "
	    "line 5), expected it once\n");
	bad(SMALL "upstreams: {b: {" BACKENDS "}}\n",
	    "r.yaml:3:1: the same key again (first in line 2, column 1), expected it "
	    "once\n");
	bad(LISTENERS "upstreams:\n  a: {" BACKENDS "}\n  a: {" BACKENDS "}\n",
	    "r.yaml:4:3: the same key again (first in line 3, column 3), expected it "
	    "once\n");
}
END_TEST

START_TEST(test_names_of_upstreams)
{
	bad(LISTENERS "upstreams: {a b: {" BACKENDS "}}\n",
	    "r.yaml:2:13: upstreams: bad name \"a b\", expected letters, digits and "
	    "-_.\n");
	bad(LISTENERS "upstreams: {\"\": {" BACKENDS "}}\n",
	    "r.yaml:2:13: upstreams: bad name \"\", expected letters, digits and "
	    "-_.\n");
}
END_TEST

START_TEST(test_odd_yaml_is_refused)
{
	bad("workers: &w 2\n" SMALL,
	    "r.yaml:1:10: anchors (&) are not supported, expected a value\n");
	bad("workers: *w\n" SMALL,
	    "r.yaml:1:10: aliases (*) are not supported, expected the value itself\n");
	bad("workers: !!int 2\n" SMALL,
	    "r.yaml:1:10: tags (!) are not supported, expected a value\n");
	bad(SMALL "---\n" SMALL,
	    "r.yaml:3:1: a second document begins, expected one only\n");
	bad("? [1]\n: 2\n" SMALL,
	    "r.yaml:1:3: a list or map as a key, expected a word\n");
	bad("[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n",
	    "r.yaml:1:18: nested too deeply, expected at most 16 levels\n");
	bad("log:\n\tlevel: info\n", "r.yaml:2:1: not valid YAML (a tab), expected "
				     "blanks to indent with\n");
	bad("log:\n a\377\n",
	    "r.yaml:2:3: not valid YAML (bytes that are no UTF-8), expected UTF-8\n");
}
END_TEST

START_TEST(test_slips_of_yaml_are_told_in_plain_words)
{
	bad("log:\n    level: info\n  format: json\n",
	    "r.yaml:3:3: not valid YAML (no key that lines up with the others of the "
	    "map from line 1), expected the same indentation for all of them\n");
	bad("listeners:\n  - bind: a\n  bind: b\n",
	    "r.yaml:3:3: not valid YAML (no dash that lines up with the others of the "
	    "list from line 2), expected the same indentation for all of them\n");
	bad("log: {level: info\n",
	    "r.yaml:2:1: not valid YAML (the { of line 1 is not closed), expected a "
	    "comma or }\n");
	bad("\nlog: {file: [a\n",
	    "r.yaml:3:1: not valid YAML (the [ of line 2 is not closed), expected a "
	    "comma or ]\n");
	bad("workers: 2\nlog\nadmin: {}\n",
	    "r.yaml:2:1: not valid YAML (a key without a colon), expected \"key: "
	    "value\"\n");
	bad("log: file: x\n",
	    "r.yaml:1:10: not valid YAML (a colon where no key can end), expected all "
	    "keys of a map below each other, and quotes around text with a colon\n");
	bad("log: \"x\n", "r.yaml:1:6: not valid YAML (a quote that is not closed), "
			  "expected the same "
			  "one at its end\n");
	bad("listeners: [{bind: *:80}]\n",
	    "r.yaml:1:20: not valid YAML (a value that "
	    "begins with *), expected quotes around it\n");
	bad("log: @x\n", "r.yaml:1:6: not valid YAML (a value cannot begin with this "
			 "character), expected quotes around it\n");
}
END_TEST

START_TEST(test_dump_loads_to_an_equal_configuration)
{
	check_round_trip(SMALL);
	check_round_trip(everything);
}
END_TEST

START_TEST(test_diff_names_what_changed)
{
	check_diff(LISTENERS
	    "upstreams: {chat: {backends: [{name: b1, address: 'a:1'}, "
	    "{name: b2, address: 'b:1'}]}}\n",
	    LISTENERS
	    "upstreams: {chat: {pin: {http: 1m}, backends: [{name: b3, address: "
	    "'c:1'}, {name: b2, address: 'b:1', state: drain}]}}\n",
	    "upstreams.chat.pin.http: 15s -> 1m\n"
	    "upstreams.chat.backends.b1: removed\n"
	    "upstreams.chat.backends.b2.state: up -> drain\n"
	    "upstreams.chat.backends.b3: added\n",
	    "");
	check_diff(SMALL, SMALL "log: {level: debug}\npins: {max: 7}\n",
	    "log.level: info -> debug\npins.max: 1000000 -> 7\n", "");
	check_diff(SMALL, "admin: {token_file: /t}\n" SMALL,
	    "admin.token_file: none -> /t\n", "");
	check_diff(SMALL, SMALL "routes: [{path: /x, upstream: chat}]\n",
	    "routes.*/: removed\nroutes.*/x: added\n", "");
}
END_TEST

START_TEST(test_diff_names_what_needs_a_restart)
{
	static const char changes[] = "workers: auto -> 2\n"
				      "log.format: text -> json\n"
				      "log.file: stderr -> /x\n"
				      "access_log.format: text -> json\n"
				      "access_log.file: none -> /a\n"
				      "admin.bind: none -> 127.0.0.1:9\n"
				      "pins.secret_file: none -> /s\n";

	check_diff(SMALL,
	    "workers: 2\nlog: {format: json, file: /x}\npins: {secret_file: /s}\n"
	    "access_log: {format: json, file: /a}\n"
	    "admin: {bind: '127.0.0.1:9'}\n" SMALL,
	    changes, changes);
}
END_TEST

START_TEST(test_diff_knows_that_listeners_come_and_go)
{
	check_diff(SMALL,
	    "listeners: [{bind: ':81'}]\nupstreams: {chat: {" BACKENDS "}}\n",
	    "listeners.127.0.0.1:8080: removed\nlisteners.:81: added\n", "");
	check_diff("listeners: [{bind: 'unix:/s'}]\nupstreams: {chat: {" BACKENDS
		   "}}\n",
	    "listeners: [{bind: 'unix:/s', mode: '0600'}]\n"
	    "upstreams: {chat: {" BACKENDS "}}\n",
	    "listeners.unix:/s.mode: 0666 -> 0600\n", "");
}
END_TEST

START_TEST(test_times_of_the_end)
{
	struct config *c = good(SMALL);

	ck_assert_uint_eq(c->shutdown.grace_ms, 10000);
	ck_assert_uint_eq(c->upgrade.timeout_ms, 30000);
	ck_assert_uint_eq(c->upgrade.grace_ms, 300000);
	config_free(c);
	c = good("shutdown: {grace: 0}\nupgrade: {timeout: 1s, grace: 1h}\n" SMALL);
	ck_assert_uint_eq(c->shutdown.grace_ms, 0);
	ck_assert_uint_eq(c->upgrade.timeout_ms, 1000);
	ck_assert_uint_eq(c->upgrade.grace_ms, 3600000);
	config_free(c);
	check_diff(SMALL, "shutdown: {grace: 5s}\n" SMALL,
	    "shutdown.grace: 10s -> 5s\n", "");
}
END_TEST

START_TEST(test_diff_is_blind_to_order)
{
	check_diff(LISTENERS "upstreams: {a: {" BACKENDS "}, b: {" BACKENDS "}}\n"
			     "routes: [{path: /a, upstream: a}, {upstream: b}]\n",
	    "routes: [{upstream: b}, {path: /a, upstream: a}]\n"
	    "upstreams: {b: {" BACKENDS "}, a: {" BACKENDS "}}\n" LISTENERS,
	    "", "");
}
END_TEST

static const char *const a_listen[] = {"*:80", "[::1]:81"};
static const char *const an_upstream[] = {"127.0.0.1:3000=3", "app:1"};

#define LISTEN(n) .listens = (const char **)a_listen, .n_listens = (n)
#define UPSTREAM(n) .upstreams = (const char **)an_upstream, .n_upstreams = (n)

START_TEST(test_flags_alone_are_enough)
{
	const struct config_flags flags = {LISTEN(2), UPSTREAM(2), .workers = "3",
	    .log_level = "error", .log_format = "json"};
	struct strbuf errors = STRBUF_INIT;
	struct config *c = config_load(NULL, &flags, &errors);

	ck_assert_msg(c != NULL, "%s", strbuf_cstr(&errors));
	ck_assert_ptr_null(c->file);
	ck_assert_uint_eq(c->workers, 3);
	ck_assert_int_eq(c->log.level, LEVEL_ERROR);
	ck_assert_int_eq(c->log.format, FORMAT_JSON);
	ck_assert_uint_eq(c->n_listeners, 2);
	ck_assert_uint_eq(addr_port(&c->listeners[1].addr), 81);
	ck_assert_uint_eq(c->n_upstreams, 1);
	ck_assert_str_eq(c->upstreams[0].name, "default");
	ck_assert_uint_eq(c->upstreams[0].n_client_keys, 2);
	ck_assert_uint_eq(c->upstreams[0].n_backends, 2);
	ck_assert_str_eq(c->upstreams[0].backends[0].address, "127.0.0.1:3000");
	ck_assert_str_eq(c->upstreams[0].backends[0].name, "127.0.0.1:3000");
	ck_assert_uint_eq(c->upstreams[0].backends[0].weight, 3);
	ck_assert_uint_eq(c->upstreams[0].backends[1].weight, 1);
	ck_assert_uint_eq(c->n_routes, 1);
	ck_assert_str_eq(c->routes[0].path, "/");
	config_free(c);
	strbuf_fini(&errors);
}
END_TEST

START_TEST(test_flags_override_the_file)
{
	const struct config_flags flags = {LISTEN(1), UPSTREAM(1), .log_level = "warn"};
	struct strbuf errors = STRBUF_INIT;
	struct config *c = parse("log: {level: debug, format: json}\n" LISTENERS
				 "upstreams: {default: {retries: 3, " BACKENDS "}}\n",
	    &flags, &errors);

	ck_assert_msg(c != NULL, "%s", strbuf_cstr(&errors));
	ck_assert_int_eq(c->log.level, LEVEL_WARN);
	ck_assert_int_eq(c->log.format, FORMAT_JSON);
	ck_assert_uint_eq(c->n_listeners, 1);
	ck_assert_str_eq(c->listeners[0].bind, "*:80");
	ck_assert_uint_eq(c->n_upstreams, 1);
	ck_assert_uint_eq(c->upstreams[0].retries, 3);
	ck_assert_uint_eq(c->upstreams[0].n_backends, 1);
	ck_assert_str_eq(c->upstreams[0].backends[0].address, "127.0.0.1:3000");
	config_free(c);
	strbuf_fini(&errors);
}
END_TEST

START_TEST(test_flags_add_what_the_file_lacks)
{
	const struct config_flags flags = {UPSTREAM(1)};
	struct strbuf errors = STRBUF_INIT;
	struct config *c =
	    parse(SMALL "routes: [{path: /chat, upstream: chat}]\n", &flags, &errors);

	ck_assert_msg(c != NULL, "%s", strbuf_cstr(&errors));
	ck_assert_uint_eq(c->n_upstreams, 2);
	ck_assert_str_eq(c->upstreams[1].name, "default");
	ck_assert_uint_eq(c->n_routes, 2);
	ck_assert_str_eq(c->routes[1].path, "/");
	ck_assert_str_eq(c->routes[1].upstream, "default");
	ck_assert_uint_eq(c->routes[1].upstream_index, 1);
	config_free(c);

	c = parse(SMALL "routes: [{upstream: chat}]\n", &flags, &errors);
	ck_assert_msg(c != NULL, "%s", strbuf_cstr(&errors));
	ck_assert_uint_eq(c->n_routes, 1);
	ck_assert_str_eq(c->routes[0].upstream, "chat");
	config_free(c);
	strbuf_fini(&errors);
}
END_TEST

START_TEST(test_bad_flags_are_named)
{
	static const char *listens[] = {"x"}, *upstreams[] = {"a:1=z", "a:1"};
	const struct config_flags flags = {listens, 1, upstreams, 2, .workers = "0",
	    .log_level = "x", .log_format = "y"};

	bad_with(NULL, &flags,
	    "-w: bad value \"0\", expected a number from 1 to 256, or auto\n"
	    "-l: bad value \"x\", expected debug, info, notice, warn or error\n"
	    "--log-format: bad value \"y\", expected text or json\n"
	    "-L: bad value \"x\", expected a numeric address and port such as "
	    "127.0.0.1:8080, [::1]:8080 or *:8080, " OR_UNIX
	    "-U: bad value \"z\", expected a number from 0 to 1000\n"
	    "-U: upstreams.default.backends: the name \"a:1\" is there already, "
	    "expected it "
	    "once\n");
	bad_with(NULL, NULL,
	    "-L: no listener, expected at least one address to listen on\n"
	    "-U: no upstream, expected at least one with a backend\n");
}
END_TEST

START_TEST(test_file_that_cannot_be_read)
{
	struct strbuf errors = STRBUF_INIT;

	ck_assert_ptr_null(config_load("/nonexistent/r.yaml", NULL, &errors));
	ck_assert_str_eq(strbuf_cstr(&errors),
	    "/nonexistent/r.yaml: cannot be read (No such file or directory), expected "
	    "a "
	    "YAML file\n");
	strbuf_fini(&errors);
}
END_TEST

START_TEST(test_file_is_read)
{
	struct strbuf errors = STRBUF_INIT;
	char path[] = "/tmp/check_config.XXXXXX";
	int fd = mkstemp(path);
	struct config *c;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, SMALL, strlen(SMALL)), (ssize_t)strlen(SMALL));
	close(fd);
	c = config_load(path, NULL, &errors);
	unlink(path);
	ck_assert_msg(c != NULL, "%s", strbuf_cstr(&errors));
	ck_assert_str_eq(c->file, path);
	config_free(c);
	strbuf_fini(&errors);
}
END_TEST

START_TEST(test_too_large_a_file_is_refused)
{
	size_t n = ((size_t)4 << 20) + 1;
	struct strbuf errors = STRBUF_INIT;
	char *spaces = malloc(n);

	ck_assert_ptr_nonnull(spaces);
	memset(spaces, ' ', n);
	ck_assert_ptr_null(config_parse("r.yaml", spaces, n, NULL, &errors));
	ck_assert_str_eq(strbuf_cstr(&errors),
	    "r.yaml:1:1: too large, expected at most 4 MiB\n");
	free(spaces);
	strbuf_fini(&errors);
}
END_TEST

START_TEST(test_rows_are_complete)
{
	for (size_t i = 0; i < schema_n_rows; i++) {
		const struct schema_row *row = &schema_rows[i];

		ck_assert_msg(row->help && *row->help, "%s", row->key);
		ck_assert_msg(!(row->required && row->standard), "%s", row->key);
		ck_assert_msg(!row->applies == !row->belongs, "%s", row->key);
		ck_assert_msg(!row->good_name == !row->expected_name, "%s", row->key);
		ck_assert_msg(!value_is_many(row) || row->standard, "%s", row->key);
		ck_assert_ptr_eq(schema_find(row->section, str_of(row->key)), row);
	}
}
END_TEST

Suite *
suite_config(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("load");

	tcase_add_test(t, test_defaults);
	tcase_add_test(t, test_each_topic_has_its_level);
	tcase_add_test(t, test_defaults_of_rehome_and_timeouts);
	tcase_add_test(t, test_defaults_of_limits);
	tcase_add_test(t, test_defaults_of_what_backends_get);
	tcase_add_test(t, test_what_follows_from_the_rest);
	tcase_add_test(t, test_every_key_is_read);
	tcase_add_test(t, test_every_key_of_rehome_and_timeouts_is_read);
	tcase_add_test(t, test_replay_is_a_number_or_a_map);
	tcase_add_loop_test(t, test_bad_replay_is_refused, 0,
	    sizeof(bad_replays) / sizeof(*bad_replays));
	tcase_add_test(t, test_every_key_of_limits_is_read);
	tcase_add_test(t, test_every_key_of_what_backends_get_is_read);
	tcase_add_test(t, test_durations);
	tcase_add_test(t, test_sizes);
	tcase_add_test(t, test_percentages);
	tcase_add_test(t, test_numbers);
	tcase_add_test(t, test_modes);
	tcase_add_test(t, test_bools_and_names);
	tcase_add_test(t, test_rows_are_complete);
	tcase_add_test(t, test_file_that_cannot_be_read);
	tcase_add_test(t, test_file_is_read);
	tcase_add_test(t, test_too_large_a_file_is_refused);
	suite_add_tcase(s, t);

	t = tcase_create("problems");
	tcase_add_loop_test(t, test_bad_value_is_refused_with_its_place, 0,
	    (int)(sizeof(bad_values) / sizeof(bad_values[0])));
	tcase_add_test(t, test_backend_address_is_host_and_port);
	tcase_add_test(t, test_route_host_is_name_or_suffix);
	tcase_add_test(t, test_admin_address);
	tcase_add_test(t, test_unknown_key_suggests_the_nearest);
	tcase_add_test(t, test_key_of_another_release_is_unknown);
	tcase_add_test(t, test_problems_come_all_and_in_the_order_of_the_file);
	tcase_add_test(t, test_nothing_to_do_is_refused);
	tcase_add_test(t, test_routes_are_needed_between_two_upstreams);
	tcase_add_test(t, test_route_leads_to_an_upstream);
	tcase_add_test(t, test_doubles_are_refused);
	tcase_add_test(t, test_names_of_upstreams);
	tcase_add_test(t, test_odd_yaml_is_refused);
	tcase_add_test(t, test_slips_of_yaml_are_told_in_plain_words);
	suite_add_tcase(s, t);

	t = tcase_create("flags");
	tcase_add_test(t, test_flags_alone_are_enough);
	tcase_add_test(t, test_flags_override_the_file);
	tcase_add_test(t, test_flags_add_what_the_file_lacks);
	tcase_add_test(t, test_bad_flags_are_named);
	suite_add_tcase(s, t);

	t = tcase_create("dump and diff");
	tcase_add_test(t, test_dump_loads_to_an_equal_configuration);
	tcase_add_test(t, test_diff_names_what_changed);
	tcase_add_test(t, test_diff_names_what_needs_a_restart);
	tcase_add_test(t, test_diff_knows_that_listeners_come_and_go);
	tcase_add_test(t, test_times_of_the_end);
	tcase_add_test(t, test_diff_is_blind_to_order);
	suite_add_tcase(s, t);
	return s;
}
