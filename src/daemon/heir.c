/* SPDX-License-Identifier: MIT
 *
 * heir.c - the new process takes over what the old one knows (estate.h).
 *
 * It asks when nothing can fail any more, and takes in what there is before anybody is
 * accepted, so that the first request finds its client's lock. Changes of backends are
 * held against the configuration that it has read, as a reload would; backends that the
 * old one had found by name are there before the resolver has found them again; pins
 * of backends that are no more are left out. What the old one learns afterwards is
 * taken in as it comes.
 *
 * Where the old one writes another format, or nothing, or what is no packet, the new
 * one goes on with what it has, and says so.
 *
 * Owner and thread: the control thread.
 */
#include "daemon/control.h"

#include "base/log.h"
#include "config/config.h"
#include "daemon/estate.h"
#include "daemon/heritage.h"
#include "route/pins.h"
#include "upstream/amend.h"
#include "upstream/backend.h"
#include "upstream/check.h"
#include "upstream/resolver.h"
#include "upstream/upstream.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

/* So long may the old process be silent, which has other things to do as well. */
enum { SILENCE_MS = 5000 };

struct heir {
	bool waits;       /* nobody is served yet */
	bool is_complete; /* what it waits for is there */
	const char *trouble;
	uint64_t stays_ms;
	struct backend **backends; /* by their numbers there; references, or NULL */
	size_t n_backends;
	struct amendments *amendments; /* those told so far */
	size_t n_amendments;           /* so many are still to come */
	size_t n_pins;
};

/* ---- backends ---- */

/* What a snapshot says of one row or name, another may say differently: only before
 * there are workers, who would have to know. */
static void
replace_snapshot(struct control *c, struct snapshot *s)
{
	if (!s)
		return;
	snapshot_put(c->snapshot);
	c->snapshot = s;
}

static bool
has_place(const struct place *places, size_t n, const struct addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (addr_eq(&places[i].addr, addr))
			return true;
	return false;
}

/* All that is known of a name. */
static size_t
places_of(const struct snapshot *s, const char *address, struct place *places_r)
{
	size_t n = 0;

	for (size_t u = 0; u < s->n_upstreams; u++)
		for (size_t i = 0; i < s->upstreams[u].n_backends; i++) {
			struct backend *b = s->upstreams[u].backends[i];
			struct addr addr;

			if (n < DNS_MAX && strcmp(b->address, address) == 0 &&
			    backend_addr(b, &addr) && !has_place(places_r, n, &addr))
				places_r[n++] =
				    (struct place){addr, b->announced_weight};
		}
	return n;
}

/* The old one's resolver has found it; ours would in a moment. */
static void
add_place(struct control *c, const struct estate_backend *told, const struct addr *addr)
{
	struct place places[DNS_MAX];
	size_t n = places_of(c->snapshot, told->address, places);
	bool changed;

	if (n == DNS_MAX || has_place(places, n, addr))
		return;
	places[n++] = (struct place){*addr, told->announced_weight};
	replace_snapshot(c, snapshot_found(c->snapshot,
				&(struct found){told->address, places, n}, &changed));
}

/* Of a name with several addresses the numbers may be dealt out anew. */
static bool
is_same(struct backend *b, const struct config_backend *row,
    const struct estate_backend *told, const struct addr *place)
{
	size_t n = strlen(row->name);
	struct addr addr;

	if (!backend_is_of(b, row) || strcmp(b->address, told->address) != 0)
		return false;
	if (!backend_address_is_name(b->address))
		return strcmp(b->name, told->name) == 0;
	return strncmp(told->name, row->name, n) == 0 &&
	       (told->name[n] == '\0' || told->name[n] == '#') &&
	       backend_addr(b, &addr) && addr_eq(&addr, place);
}

/* *up_r: its upstream. NULL: we have none such. */
static struct backend *
find_backend(const struct snapshot *s, const struct estate_backend *told,
    const struct addr *place, const struct upstream **up_r)
{
	uint64_t id = hash_stable(0, told->upstream, strlen(told->upstream));
	const struct upstream *up = snapshot_upstream(s, id);

	*up_r = up;
	for (size_t r = 0; up && r < up->n_rows; r++)
		for (size_t i = 0; i < up->n_backends; i++)
			if (is_same(up->backends[i], &up->rows[r], told, place))
				return up->backends[i];
	return NULL;
}

/* How it is. What its checks say counts where there will be more of them. */
static void
take_health(const struct upstream *up, struct backend *b,
    const struct estate_backend *told)
{
	struct outlier *o = &b->outlier;

	if (check_is_wanted(&up->conf->health))
		atomic_store(&b->unhealthy_since_ms, told->unhealthy_since_ms);
	atomic_store(&b->refused, told->refused);
	atomic_store(&b->failures, told->failures);
	atomic_store(&b->failing_until_ms, told->failing_until_ms);
	atomic_store(&o->errors, told->errors);
	atomic_store(&o->closes, told->closes);
	atomic_store(&o->slow, told->slow);
	atomic_store(&o->ejections, told->ejections);
	atomic_store(&o->ejected_until_ms, told->ejected_until_ms);
	atomic_store(&b->up_since_ms, told->up_since_ms);
	atomic_store(&b->latency, told->latency);
}

/* From now on that number is b (NULL: nobody). */
static void
set_number(struct heir *h, uint32_t number, struct backend *b)
{
	if (number >= h->n_backends) {
		size_t n = (size_t)number * 2 + 16;
		struct backend **more = realloc(h->backends, n * sizeof *more);

		if (!more)
			return;
		memset(more + h->n_backends, 0, (n - h->n_backends) * sizeof *more);
		h->backends = more;
		h->n_backends = n;
	}
	backend_put(h->backends[number]);
	h->backends[number] = b ? backend_get(b) : NULL;
}

static void
take_backend(struct control *c, const struct estate_backend *told)
{
	struct heir *h = c->heir;
	const struct upstream *up;
	struct addr place = {0};
	struct backend *b;

	if (*told->place && addr_parse(str_of(told->place), &place) && h->waits &&
	    backend_address_is_name(told->address))
		add_place(c, told, &place);
	b = find_backend(c->snapshot, told, &place, &up);
	set_number(h, told->number, b);
	if (b && h->waits)
		take_health(up, b, told);
}

/* ---- what was changed while running ---- */

static void
apply_amendments(struct control *c)
{
	struct heir *h = c->heir;
	struct amendments *now;

	if (!amendments_after(h->amendments, c->snapshot->config, &now)) {
		h->trouble = "out of memory";
		return;
	}
	if (h->waits)
		replace_snapshot(c, snapshot_amended(c->snapshot, now));
	else if (!control_amend(c, now))
		h->trouble = "out of memory";
	amendments_put(now);
}

static void
take_count(struct control *c, uint32_t n)
{
	struct heir *h = c->heir;

	amendments_put(h->amendments);
	h->amendments = NULL;
	h->n_amendments = n;
	if (n == 0 && c->snapshot->amendments)
		apply_amendments(c);
}

static void
take_amendment(struct control *c, const struct amendment *a)
{
	struct heir *h = c->heir;
	struct amendments *more;

	if (h->n_amendments == 0) {
		h->trouble = "a packet is out of place";
		return;
	}
	if (!amendments_with(h->amendments, a->upstream, a->name,
		a->in_file ? &a->file : NULL, a->is_there ? &a->row : NULL, &more)) {
		h->trouble = "out of memory";
		return;
	}
	amendments_put(h->amendments);
	h->amendments = more;
	if (--h->n_amendments == 0)
		apply_amendments(c);
}

/* ---- pins ---- */

static void
take_pin(struct control *c, const struct estate_pin *told, uint64_t now_ms)
{
	struct heir *h = c->heir;
	struct backend *b =
	    told->backend < h->n_backends ? h->backends[told->backend] : NULL;
	struct pin_row row = {.key = told->key,
	    .pin = {.backend = b,
		.awaited = told->seats,
		.followers = told->followers,
		.exchanges = told->exchanges,
		.websocket_until_ms =
		    told->websocket_left_ms ? now_ms + told->websocket_left_ms : 0,
		.http_until_ms = told->http_left_ms ? now_ms + told->http_left_ms : 0,
		.since_ms = now_ms > told->age_ms ? now_ms - told->age_ms : 0,
		.stable = told->stable}};

	if (!b || atomic_load(&b->removed))
		return;
	pins_inherit(c->pins, &row, now_ms, now_ms + h->stays_ms + PINS_AWAIT_MS);
	h->n_pins++;
}

static void
take_pins(struct control *c, const struct estate_packet *packet)
{
	uint64_t now = clock_now_ms();

	for (size_t i = 0; i < packet->pins.n; i++) {
		struct estate_pin pin = estate_pin_at(packet, i);

		take_pin(c, &pin, now);
	}
}

/* ---- packets ---- */

static void
take_packet(struct control *c, const struct estate_packet *packet)
{
	struct heir *h = c->heir;

	switch (packet->kind) {
	case ESTATE_HEAD:
		if (h->waits)
			hash_table_inherit(packet->head.secrets);
		h->stays_ms = packet->head.stays_ms;
		break;
	case ESTATE_AMENDMENTS: take_count(c, packet->n_amendments); break;
	case ESTATE_AMENDMENT: take_amendment(c, &packet->amendment); break;
	case ESTATE_BACKEND: take_backend(c, &packet->backend); break;
	case ESTATE_PINS: take_pins(c, packet); break;
	case ESTATE_END: h->is_complete = true; break;
	}
}

static void
log_trouble(const char *why)
{
	log_warn(TOPIC_DAEMON,
	    "what the process before knows is not, or not all, taken over (%s)", why);
}

void
heir_take(struct control *c, const void *p, size_t n)
{
	struct heir *h = c->heir;
	struct estate_packet packet;

	if (!h || h->trouble)
		return;
	if (estate_parse(p, n, &packet))
		take_packet(c, &packet);
	else
		h->trouble = "a packet is damaged";
	if (h->trouble && !h->waits)
		log_trouble(h->trouble);
}

/* ---- the start ---- */

/* The next packet's length, or what is wrong. */
static ssize_t
receive(struct heir *h, int link, char *said, size_t max)
{
	struct pollfd pollfd = {.fd = link, .events = POLLIN};
	ssize_t n = -1;
	int ready;

	do {
		ready = poll(&pollfd, 1, SILENCE_MS);
		if (ready > 0)
			n = recv(link, said, max, MSG_DONTWAIT);
	} while ((ready < 0 || (ready > 0 && n < 0)) && errno == EINTR);
	if (ready == 0)
		h->trouble = "it is silent";
	else if (n <= 0)
		h->trouble = "it has ended";
	return n;
}

static void
log_taken(const struct control *c)
{
	const struct heir *h = c->heir;
	const struct amendments *a = c->snapshot->amendments;

	if (h->trouble)
		log_trouble(h->trouble);
	else
		log_info(TOPIC_DAEMON,
		    "%zu pins and %zu changes of backends are known from the process "
		    "before",
		    h->n_pins, a ? a->n : 0);
}

void
heir_ask(struct control *c)
{
	struct heritage *heritage = c->options->heritage;
	char said[ESTATE_PACKET + 1];

	if (heritage->link < 0)
		return;
	if (heritage->estate != ESTATE_VERSION) {
		log_trouble(heritage->estate ? "its format is of another version"
					     : "it does not offer them");
		return;
	}
	c->heir = calloc(1, sizeof *c->heir);
	if (!c->heir) {
		log_trouble("out of memory");
		return;
	}
	c->heir->waits = true;
	heritage_ask(heritage);
	while (!c->heir->is_complete && !c->heir->trouble) {
		ssize_t n = receive(c->heir, heritage->link, said, sizeof said);

		if (n > 0)
			heir_take(c, said, (size_t)n);
	}
	c->heir->waits = false;
	log_taken(c);
}

void
heir_free(struct control *c)
{
	struct heir *h = c->heir;

	if (!h)
		return;
	for (size_t i = 0; i < h->n_backends; i++)
		backend_put(h->backends[i]);
	free(h->backends);
	amendments_put(h->amendments);
	free(h);
	c->heir = NULL;
}
