/* SPDX-License-Identifier: MIT
 *
 * operate.c - roost as a process: version, configuration, log, reload, upgrade.
 */
#include "admin/api_private.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "config/arena.h"
#include "config/config.h"
#include "config/load.h"
#include "config/yaml.h"
#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#ifdef ROOST_DEBUG
static const bool is_debug = true;
#else
static const bool is_debug = false;
#endif
#ifdef __SANITIZE_ADDRESS__
static const bool is_sanitized = true;
#else
static const bool is_sanitized = false;
#endif
#ifdef HAVE_BROTLI
static const bool has_brotli = true;
#else
static const bool has_brotli = false;
#endif

/* ---- version ---- */

void
handle_version(struct call *c)
{
	call_reply(c, 200,
	    json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:{s:b, s:b, s:b}}",
		"version", PACKAGE_VERSION, "compiler", "gcc-compatible " __VERSION__,
		"sysconfdir", SYSCONFDIR, "libraries", "libevent", event_get_version(),
		"openssl", OpenSSL_version(OPENSSL_VERSION_STRING), "jansson",
		jansson_version_str(), "features", "brotli", has_brotli, "debug",
		is_debug, "sanitizers", is_sanitized));
}

/* ---- configuration ---- */

static json_t *
view_plain(const char *text)
{
	long long number;
	char *end;

	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return json_boolean(text[0] == 't');
	number = strtoll(text, &end, 10);
	if (*text && !*end)
		return json_integer(number);
	return view_text(text);
}

static json_t *
view_node(const struct node *node)
{
	json_t *json;

	if (node_is_null(node))
		return json_null();
	if (node->kind == NODE_SCALAR)
		return node->plain ? view_plain(node->text.p) : view_text(node->text.p);
	json = node->kind == NODE_MAP ? json_object() : json_array();
	for (const struct node *n = node->first; n; n = n->next)
		if (node->kind == NODE_MAP)
			json_object_set_new(json, n->key.p, view_node(n));
		else
			json_array_append_new(json, view_node(n));
	return json;
}

static void
on_complaint(void *arg, struct config_place place, const char *text)
{
	log_error(TOPIC_CONFIG, "the configuration in force: %s", text);
}

/* By way of the YAML, which has the names and forms that people know. NULL: no memory.
 */
static json_t *
json_of_yaml(const struct strbuf *yaml)
{
	struct arena *arena = arena_new();
	struct node *tree = arena
				? tree_parse(arena, (struct str){yaml->data, yaml->len},
				      on_complaint, NULL)
				: NULL;
	json_t *json = tree ? view_node(tree) : NULL;

	arena_free(arena);
	return json;
}

void
handle_config(struct call *c)
{
	const struct snapshot *s = c->admin->host.snapshot(c->admin->host.arg);
	const char *format = call_parameter(c, "format");
	struct strbuf yaml = STRBUF_INIT;

	if (format && strcmp(format, "json") != 0 && strcmp(format, "yaml") != 0) {
		call_error(c, 400, "format: expected json or yaml");
		return;
	}
	config_dump_public(s->config, &yaml);
	if (yaml.failed)
		call_reply(c, 500, NULL);
	else if (format && format[0] == 'y')
		call_reply_text(c, "application/yaml", yaml.data, yaml.len);
	else
		call_reply(c, 200,
		    json_pack("{s:o, s:o}", "file", view_text(s->config->file),
			"config", json_of_yaml(&yaml)));
	strbuf_fini(&yaml);
}

/* ---- log ---- */

static const struct config *
config_of(const struct admin *a)
{
	return a->host.snapshot(a->host.arg)->config;
}

/* The file has said nothing else since. */
static bool
log_level_is_set(const struct admin *a)
{
	return a->log_is_set && log_levels_eq(&a->log_over, &config_of(a)->log);
}

/* Topics with a level of their own, which count while none is set for all. */
static json_t *
view_topics(const struct log_settings *conf)
{
	json_t *all = json_object();

	for (int i = 0; i < TOPIC_COUNT; i++)
		if (conf->topics[i] != TOPIC_SAME)
			json_object_set_new(all, log_topic_name(i),
			    json_string(log_level_name(conf->topics[i] - TOPIC_OWN)));
	return all;
}

void
handle_log(struct call *c)
{
	const struct log_settings *conf = &config_of(c->admin)->log;
	bool is_set = log_level_is_set(c->admin);

	call_reply(c, 200,
	    json_pack("{s:s, s:s, s:o, s:s, s:o, s:I}", "level",
		log_level_name(is_set ? c->admin->log_level : conf->level),
		"configured", log_level_name(conf->level), "topics", view_topics(conf),
		"format", conf->format == FORMAT_JSON ? "json" : "text", "file",
		view_text(conf->file), "lines_dropped", (json_int_t)log_dropped()));
}

/* False: answered. *level_r as it was: null, as configured. */
static bool
read_level(struct call *c, bool *is_null_r, enum log_level *level_r)
{
	json_t *wanted = NULL;
	json_error_t error;

	if (json_unpack_ex(c->body, &error, JSON_STRICT, "{s:o}", "level", &wanted)) {
		call_error(c, 400, "body: %s", error.text);
		return false;
	}
	*is_null_r = json_is_null(wanted);
	if (*is_null_r || (json_is_string(wanted) &&
			      log_level_parse(json_string_value(wanted), level_r)))
		return true;
	call_error(c, 400,
	    "body: level: expected debug, info, notice, warn, error or null");
	return false;
}

/* null: as configured. Told in any case: before or after, whichever is louder. */
void
handle_log_set(struct call *c)
{
	struct admin *a = c->admin;
	const struct log_settings *conf = &config_of(a)->log;
	enum log_level level = conf->level;
	bool is_null;

	if (!read_level(c, &is_null, &level))
		return;
	if (level > LEVEL_NOTICE)
		log_notice(TOPIC_DAEMON, "log level set to %s by the admin API",
		    log_level_name(level));
	if (is_null)
		log_set_levels(conf);
	else
		log_set_level(level);
	a->log_is_set = !is_null;
	a->log_level = level;
	a->log_over = (struct log_settings){.level = conf->level};
	memcpy(a->log_over.topics, conf->topics, sizeof(conf->topics));
	if (level <= LEVEL_NOTICE)
		log_notice(TOPIC_DAEMON, "log level set to %s by the admin API",
		    log_level_name(level));
	handle_log(c);
}

/* ---- reload and upgrade ---- */

void
admin_reload_fini(struct admin_reload_answer *answer)
{
	strbuf_fini(&answer->problems);
	strbuf_fini(&answer->changes);
	strbuf_fini(&answer->restart);
}

static json_t *
view_lines(struct strbuf *text)
{
	json_t *all = json_array();
	const char *line = strbuf_cstr(text), *end;

	for (; *line; line = end + (*end == '\n')) {
		end = strchrnul(line, '\n');
		json_array_append_new(all, json_stringn(line, (size_t)(end - line)));
	}
	return all;
}

static json_t *
view_reload(struct admin_reload_answer *answer)
{
	if (!answer->ok)
		return json_pack("{s:s, s:s, s:o}", "error", "invalid", "message",
		    "the configuration is bad; the one in force stays", "problems",
		    view_lines(&answer->problems));
	return json_pack("{s:b, s:o, s:o}", "changed",
	    answer->changes.len || answer->restart.len, "changes",
	    view_lines(&answer->changes), "restart", view_lines(&answer->restart));
}

/* False: answered. */
static bool
has_no_orders(struct call *c)
{
	if (json_object_size(c->body) == 0)
		return true;
	call_error(c, 400, "body: expected nothing, or an empty object");
	return false;
}

void
handle_reload(struct call *c)
{
	const struct admin_host *host = &c->admin->host;
	struct admin_reload_answer answer = {.ok = false};

	if (!has_no_orders(c))
		return;
	host->reload(host->arg, &answer);
	call_reply(c, answer.ok ? 200 : 422, view_reload(&answer));
	admin_reload_fini(&answer);
}

void
handle_upgrade(struct call *c)
{
	const struct admin_host *host = &c->admin->host;
	struct strbuf text = STRBUF_INIT;

	if (!has_no_orders(c))
		return;
	if (!host->upgrade)
		call_error(c, 501, "this roost cannot be upgraded while it runs");
	else if (host->upgrade(host->arg, &text))
		call_reply(c, 202,
		    json_pack("{s:o}", "message", view_text(strbuf_cstr(&text))));
	else
		call_error(c, 409, "%s", strbuf_cstr(&text));
	strbuf_fini(&text);
}
