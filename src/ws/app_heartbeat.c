/* SPDX-License-Identifier: MIT
 *
 * app_heartbeat.c - finds and answers heartbeats of the application.
 *
 * Most messages that are looked at are none. Without a backslash in it a message can
 * only be one if the wanted value stands in it as it is, so few are ever parsed.
 */
#include "ws/app_heartbeat.h"

#include "base/strbuf.h"
#include "config/config.h"
#include "loop/loop.h"
#include "ws/registry.h"
#include "ws/session_private.h"
#include <jansson.h>
#include <stdlib.h>

enum {
	TEXT_WHOLE = 0x80 | OP_TEXT, /* the first byte of such a frame */
	MASKED = 0x80,
	LENGTH_16 = 126,
	MASK_KEY = 4,
	WAITING_MAX = 4096 /* bytes of answers that wait for a message to end */
};

/* ---- the frame ---- */

/* Length of its header, or 0: not there yet, or not such a frame (*other_r). */
static size_t
header_read(const uint8_t *p, size_t n, size_t *length_r, bool *other_r)
{
	size_t length;

	*other_r =
	    n && (p[0] != TEXT_WHOLE ||
		     (n > 1 && (!(p[1] & MASKED) || p[1] > (MASKED | LENGTH_16))));
	if (*other_r || n < 2)
		return 0;
	length = p[1] & ~MASKED;
	if (length == LENGTH_16) {
		if (n < 4)
			return 0;
		length = (size_t)p[2] << 8 | p[3];
		*other_r = length < LENGTH_16 || length > APP_HEARTBEAT_MAX;
		*length_r = length;
		return *other_r ? 0 : 4 + MASK_KEY;
	}
	*length_r = length;
	return 2 + MASK_KEY;
}

enum app_look
app_heartbeat_look(const uint8_t *p, size_t n)
{
	size_t length, size;
	bool other;

	size = header_read(p, n, &length, &other);
	if (other)
		return APP_OTHER;
	return size && n >= size + length ? APP_WHOLE : APP_PART;
}

struct str
app_heartbeat_unmask(const uint8_t *frame, size_t n, char out[APP_HEARTBEAT_MAX])
{
	size_t length = 0, size;
	bool other;

	size = header_read(frame, n, &length, &other);
	for (size_t i = 0; i < length; i++)
		out[i] =
		    (char)(frame[size + i] ^ frame[size - MASK_KEY + i % MASK_KEY]);
	return (struct str){out, length};
}

/* ---- the message ---- */

static bool
contains(struct str text, const char *part)
{
	return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static bool
is_worth_parsing(const struct config_app_heartbeat *all, size_t n, struct str message)
{
	if (message.n == 0)
		return false;
	if (memchr(message.p, '\\', message.n))
		return true;
	for (size_t i = 0; i < n; i++)
		if (contains(message, all[i].value))
			return true;
	return false;
}

const struct config_app_heartbeat *
app_heartbeat_match(const struct config_app_heartbeat *all, size_t n,
    struct str message)
{
	const struct config_app_heartbeat *found = NULL;
	json_t *json;

	if (!is_worth_parsing(all, n, message))
		return NULL;
	json = json_loadb(message.p, message.n, 0, NULL);
	for (size_t i = 0; json && i < n && !found; i++) {
		const char *value =
		    json_string_value(json_object_get(json, all[i].field));

		if (value && strcmp(value, all[i].value) == 0)
			found = &all[i];
	}
	json_decref(json);
	return found;
}

/* Is what ends at p the value of a member? A name has a colon behind it. */
static bool
is_value(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')
		p++;
	return *p != ':';
}

void
app_heartbeat_answer(const struct config_app_heartbeat *heartbeat, int64_t wall_ms,
    struct strbuf *out)
{
	static const char mark[] = "\"{time_ms}\"";
	const char *from = heartbeat->answer, *at;

	while ((at = strstr(from, mark))) {
		const char *end = at + sizeof mark - 1;

		if (is_value(end)) {
			strbuf_append(out, from, (size_t)(at - from));
			strbuf_u64(out, (uint64_t)wall_ms);
		} else {
			strbuf_append(out, from, (size_t)(end - from));
		}
		from = end;
	}
	strbuf_puts(out, from);
}

/* ---- of a session ---- */

/* Owner: the session. The rules stay those under which it began, and with them their
 * configuration: a reload may have no such route any more. */
struct app_heartbeats {
	struct view *view; /* a reference, for: */
	const struct config_route *route;
	struct strbuf waiting; /* one answer each, with a NUL: JSON text has none */
};

bool
app_heartbeats_begin(struct session *s, struct view *view,
    const struct config_route *route)
{
	struct app_heartbeats *a = calloc(1, sizeof *a);

	if (!a)
		return false;
	a->view = view_get(view);
	a->route = route;
	a->waiting.limit = WAITING_MAX;
	s->heartbeats = a;
	s->client.watched |= WATCH_HEARTBEATS;
	return true;
}

void
app_heartbeats_free(struct app_heartbeats *a)
{
	if (!a)
		return;
	view_put(a->view);
	strbuf_fini(&a->waiting);
	free(a);
}

/* A client that does not read its answers needs no more of them. */
static void
answer(struct session *s, const struct config_app_heartbeat *heartbeat)
{
	struct strbuf *waiting = &s->heartbeats->waiting;
	size_t before = waiting->len;

	if (stream_queued(&s->client.stream) >= WAITING_MAX)
		return;
	app_heartbeat_answer(heartbeat, clock_wall_ms(), waiting);
	strbuf_append(waiting, "", 1);
	if (waiting->failed) {
		waiting->len = before;
		waiting->failed = false;
		return;
	}
	count_add(&s->registry->loop->counters, COUNT_APP_HEARTBEATS, 1);
	tally(&s->counts->app_heartbeats, 1);
	app_heartbeats_flush(s);
}

bool
app_heartbeats_take(struct session *s, struct str message)
{
	const struct config_route *route = s->heartbeats->route;
	const struct config_app_heartbeat *heartbeat =
	    app_heartbeat_match(route->app_heartbeats, route->n_app_heartbeats,
		message);

	if (!heartbeat)
		return false;
	answer(s, heartbeat);
	return !heartbeat->forward;
}

void
app_heartbeats_flush(struct session *s)
{
	struct strbuf *waiting = &s->heartbeats->waiting;

	while (waiting->len && s->state == SESSION_CONNECTED) {
		size_t n = strlen(waiting->data);

		if (!half_send_text(&s->client, waiting->data, n))
			return;
		strbuf_drop(waiting, n + 1);
	}
	if (waiting->len == 0)
		strbuf_fini(waiting);
}
