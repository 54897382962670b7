/* SPDX-License-Identifier: MIT
 *
 * preface.c - what may come on a connection before HTTP: the PROXY header by which a
 * load balancer in front of us says who its client is.
 *
 * Only peers that the listener trusts may send one. From anybody else it is not even
 * looked for: as a request line it is refused.
 */
#include "http/door.h"

#include "base/log.h"
#include "base/reasons.h"
#include "net/proxy_protocol.h"
#include "upstream/books.h"

static bool
is_trusted(const struct door *d, const struct addr *a)
{
	const struct config_listener *listener = d->entrance->conf;

	if (a->sa.sa_family == AF_UNIX)
		return listener->trusts_unix;
	for (size_t i = 0; i < listener->n_trusted; i++)
		if (addr_in_range(a, &listener->trusted[i]))
			return true;
	return false;
}

void
door_set_client(struct door *d, const struct addr *client)
{
	d->client = *client;
	d->trusted = is_trusted(d, client);
	addr_print(client, false, d->client_text);
}

bool
door_expects_preface(const struct door *d)
{
	switch (d->entrance->conf->proxy_protocol) {
	case PROXY_IN_REQUIRED: return true;
	case PROXY_IN_OPTIONAL: return d->trusted;
	case PROXY_IN_OFF: break;
	}
	return false;
}

static bool
reject(struct door *d)
{
	log_kind(KIND_PREFACE, &(struct log_about){.client = d->client_text},
	    "connection closed (%s)", reason_text(REASON_BAD_PROXY_HEADER));
	count_add(&d->front->loop->counters, COUNT_REFUSED, 1);
	tally(&view_counts(d->front->view, NULL)->failures[REASON_BAD_PROXY_HEADER], 1);
	door_close(d, REASON_BAD_PROXY_HEADER);
	return false;
}

bool
door_take_preface(struct door *d, const char *p, size_t n, size_t *used_r)
{
	bool required = d->entrance->conf->proxy_protocol == PROXY_IN_REQUIRED;
	struct proxy_header header = {.local = true};

	*used_r = 0;
	if (!d->trusted)
		return reject(d);
	switch (proxy_header_parse(p, n, &header, used_r)) {
	case PROXY_MORE: return false;
	case PROXY_BAD: return reject(d);
	case PROXY_NONE:
		if (required)
			return reject(d);
		break;
	case PROXY_DONE: break;
	}
	d->state = DOOR_HEAD;
	if (!header.local && header.source.sa.sa_family)
		door_set_client(d, &header.source);
	if (!header.local)
		d->local = header.destination;
	return true;
}
