/* SPDX-License-Identifier: MIT
 *
 * ask.c - questions to the admin API, and what people are told when it says no.
 */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void
ctl_fail(struct ctl *c, enum ctl_exit code, const char *format, ...)
{
	char *text = NULL, *clean;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	out_flush(&c->out);
	clean = text ? text_clean(text) : NULL;
	fprintf(stderr, "roostctl: %s\n", clean ? clean : "out of memory");
	free(clean);
	free(text);
	if (code > c->exit)
		c->exit = code;
}

const char *
ctl_word(const struct ctl *c, size_t i)
{
	return i < c->args.n_words ? c->args.words[i] : NULL;
}

const char *
ctl_flag(const struct ctl *c, enum flag flag)
{
	return c->args.flags[flag];
}

bool
ctl_number(struct ctl *c, const char *name, const char *text, long long *value_r)
{
	char *end;

	*value_r = strtoll(text, &end, 10);
	if (*text && !*end)
		return true;
	ctl_fail(c, CTL_USAGE, "%s: expected a number, not \"%s\"", name, text);
	return false;
}

/* ---- targets ---- */

static void
encode(struct strbuf *out, const char *text)
{
	static const char safe[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789-._~:";

	for (; *text; text++)
		if (strchr(safe, *text))
			strbuf_append(out, text, 1);
		else
			strbuf_printf(out, "%%%02X", (unsigned char)*text);
}

void
target_segment(struct strbuf *target, const char *text)
{
	strbuf_lit(target, "/");
	encode(target, text);
}

void
target_parameter(struct strbuf *target, const char *name, const char *value)
{
	if (!value)
		return;
	strbuf_printf(target,
	    "%c%s=", target->len && memchr(target->data, '?', target->len) ? '&' : '?',
	    name);
	encode(target, value);
}

/* ---- answers ---- */

/* Who typed words does not know of a body. */
static const char *
message_of(const json_t *json)
{
	static const char in_body[] = "body: ";
	const char *message = json_words(json, "message");
	size_t n = sizeof in_body - 1;

	return strncmp(message, in_body, n) == 0 ? message + n : message;
}

/* An API that does not know the endpoint, or something else that speaks HTTP. */
static bool
is_unknown_endpoint(unsigned status, const json_t *json)
{
	return (status == 404 && strstr(json_words(json, "message"), "GET /v1")) ||
	       status == 405;
}

static void
tell_refusal(struct ctl *c, const char *method, const char *target, unsigned status,
    const json_t *json)
{
	const char *server = c->client.address.data;
	const json_t *problem;
	size_t i;

	if (!json_is_object(json) || !json_object_get(json, "message"))
		ctl_fail(c, CTL_REFUSED, "%s answers %u and is no admin API of roost",
		    server, status);
	else if (status == 401)
		ctl_fail(c, CTL_REFUSED, "%s %s", server,
		    c->client.token[0] ? "refuses the token"
				       : "wants a token: name its file with "
					 "--token-file");
	else if (is_unknown_endpoint(status, json))
		ctl_fail(c, CTL_REFUSED,
		    "the roost at %s does not know %s %s: it is older than this "
		    "roostctl (" PACKAGE_VERSION ")",
		    server, method, target);
	else
		ctl_fail(c, CTL_REFUSED, "%s", message_of(json));
	json_array_foreach(json_object_get(json, "problems"), i, problem)
	    ctl_fail(c, CTL_REFUSED, "%s", json_string_value(problem));
}

json_t *
ctl_ask(struct ctl *c, const char *method, const char *target, json_t *body,
    uint64_t wait_ms)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct strbuf error = STRBUF_INIT;
	struct answer answer;
	json_t *json = NULL;

	json_decref(body);
	if (body && !text) {
		ctl_fail(c, CTL_USAGE, "the words are not UTF-8");
		return NULL;
	}
	if (!client_ask(&c->client, method, target, text, wait_ms, &answer, &error)) {
		ctl_fail(c, CTL_AWAY, "%s", strbuf_cstr(&error));
	} else {
		json = json_loadb(answer.body.data, answer.body.len, 0, NULL);
		if (answer.status / 100 != 2 || !json_is_object(json)) {
			tell_refusal(c, method, target, answer.status, json);
			json_decref(json);
			json = NULL;
		}
	}
	answer_fini(&answer);
	strbuf_fini(&error);
	free(text);
	return json;
}

json_t *
ctl_ask_quietly(struct ctl *c, const char *method, const char *target,
    unsigned *status_r)
{
	struct strbuf error = STRBUF_INIT;
	struct answer answer;
	json_t *json = NULL;

	*status_r = 0;
	if (client_ask(&c->client, method, target, NULL, 0, &answer, &error)) {
		*status_r = answer.status;
		json = json_loadb(answer.body.data, answer.body.len, 0, NULL);
	}
	answer_fini(&answer);
	strbuf_fini(&error);
	if (*status_r == 200 && json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}

bool
ctl_wants_json(struct ctl *c, const json_t *json)
{
	char *text;

	if (!ctl_flag(c, FLAG_JSON))
		return false;
	text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	if (text) {
		strbuf_puts(&c->out.text, text);
		strbuf_lit(&c->out.text, "\n");
	}
	free(text);
	return true;
}

/* ---- members ---- */

long long
json_number(const json_t *json, const char *name)
{
	return json_integer_value(json_object_get(json, name));
}

const char *
json_words(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text ? text : "";
}

bool
json_is(const json_t *json, const char *name)
{
	return json_is_true(json_object_get(json, name));
}

const char *
moment_age(const json_t *json, const char *name, char buf[NUMBER_TEXT])
{
	long long at = json_number(json, name), apart;
	struct timespec now;

	if (!at)
		return "-";
	clock_gettime(CLOCK_REALTIME, &now);
	apart = at - (now.tv_sec * 1000LL + now.tv_nsec / 1000000);
	return text_duration((uint64_t)(apart < 0 ? -apart : apart), buf);
}

enum paint
paint_of_use(const char *use)
{
	static const char *const bad[] = {"ejected", "failing", "unhealthy",
	    "unresolved"};
	static const char *const quiet[] = {"down", "removed"};

	if (strcmp(use, "usable") == 0)
		return GOOD;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (strcmp(use, bad[i]) == 0)
			return BAD;
	for (size_t i = 0; i < sizeof(quiet) / sizeof(*quiet); i++)
		if (strcmp(use, quiet[i]) == 0)
			return DIM;
	return WARN;
}
