/* SPDX-License-Identifier: MIT
 *
 * names.c - backends whose names have other addresses now.
 *
 * Owner and thread: the control thread.
 */
#include "daemon/control.h"

#include "base/log.h"
#include "loop/loop.h"
#include "upstream/resolver.h"
#include "upstream/upstream.h"
#include <stdlib.h>

struct found_message {
	struct message message; /* first */
	struct found found;
	struct place places[DNS_MAX];
	char address[]; /* as in found */
};

static void
take_found(struct message *message, void *to)
{
	struct found_message *m = (struct found_message *)(void *)message;
	struct control *c = to;
	struct snapshot *s = NULL;
	bool changed = false;

	if (c && !c->stopping)
		s = snapshot_found(c->snapshot, &m->found, &changed);
	if (s)
		snapshot_put(control_set_snapshot(c, s, NULL));
	else if (changed)
		log_error(TOPIC_DAEMON, "out of memory (addresses of %s)", m->address);
	free(m);
}

void
control_on_found(void *arg, const struct found *found)
{
	struct control *c = arg;
	size_t len = strlen(found->address) + 1;
	struct found_message *m = malloc(sizeof *m + len);

	if (!m) {
		log_error(TOPIC_DAEMON, "out of memory (addresses of %s)",
		    found->address);
		return;
	}
	m->message.deliver = take_found;
	memcpy(m->places, found->places, found->n * sizeof *m->places);
	memcpy(m->address, found->address, len);
	m->found = (struct found){m->address, m->places, found->n};
	loop_post(c->loop, &m->message);
}
