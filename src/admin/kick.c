/* SPDX-License-Identifier: MIT
 *
 * kick.c - ends sessions because the administrator says so: one, or all of a client.
 *
 * The code decides whether the client comes back: after 1008, the standard, and the
 * application's own most libraries stay away.
 */
#include "admin/api_private.h"

#include "ws/frame.h"

enum { KICK_SHOWN = 1000, CODE_MAX = 4999 };

struct kick {
	const char *upstream, *client, *session; /* as asked */
	json_int_t code;
};

/* False: answered. */
static bool
kick_read(struct call *c, struct kick *k)
{
	json_error_t error;

	*k = (struct kick){.code = CLOSE_POLICY};
	if (json_unpack_ex(c->body, &error, JSON_STRICT, "{s?s, s?s, s?s, s?I}",
		"upstream", &k->upstream, "client", &k->client, "session", &k->session,
		"code", &k->code))
		call_error(c, 400, "body: %s", error.text);
	else if (!k->session == !k->client || !k->upstream != !k->client)
		call_error(c, 400,
		    "body: expected either session, or upstream and client");
	else if (k->code < 0 || k->code > CODE_MAX ||
		 !close_code_is_legal((unsigned)k->code))
		call_error(c, 400, "body: %lld is no code of a Close frame",
		    (long long)k->code);
	else
		return true;
	return false;
}

static void
kick_reply(struct call *c, struct survey_result *r)
{
	bool complete = r->n_answered == r->n_workers;
	json_t *sessions;
	struct kick k;

	if (!kick_read(c, &k))
		return;
	if (r->matched == 0) {
		call_error(c, complete ? 404 : 503, "%s",
		    complete ? "no such session" : "not all workers have answered");
		return;
	}
	sessions = json_array();
	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(sessions, view_text(r->rows[i].view.id));
	call_reply(c, 200,
	    json_pack("{s:I, s:I, s:b, s:o}", "closed", (json_int_t)r->matched, "code",
		k.code, "complete", complete, "sessions", sessions));
}

void
handle_kick(struct call *c)
{
	struct survey_filter filter = {.max = KICK_SHOWN};
	const struct upstream *up;
	struct client_key key;
	struct kick k;

	if (!kick_read(c, &k))
		return;
	filter.session = k.session;
	filter.kick_code = (unsigned)k.code;
	if (k.client) {
		up = call_upstream(c, k.upstream);
		if (!up || !call_client(c, up, k.client, &key))
			return;
		filter.upstream = k.upstream;
		filter.keys = &key.hash;
		filter.n_keys = 1;
	}
	call_survey(c, &filter, kick_reply);
}
