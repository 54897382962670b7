/* SPDX-License-Identifier: MIT
 *
 * dns.c - what addresses a name has, and for how long; see dns.h.
 *
 * Questions are asked, and replies taken apart, by the resolver of the C library; it is
 * set up anew for each name, so that a changed resolv.conf needs no restart.
 */
#include "upstream/dns.h"

#include "config/config.h"
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_MAX = 16384, TARGETS_MAX = 32, WEIGHT_MAX = 1000 };

/* One lookup. */
struct asking {
	struct __res_state state;
	bool own_servers;
	unsigned char reply[REPLY_MAX];
	struct dns_answer *answer;
};

/* ---- replies ---- */

static void
note_ttl(struct dns_answer *answer, uint32_t ttl_s)
{
	if (!answer->has_ttl || ttl_s < answer->ttl_s)
		answer->ttl_s = ttl_s;
	answer->has_ttl = true;
}

static void
add_place(struct dns_answer *answer, const struct addr *addr, uint32_t weight)
{
	for (size_t i = 0; i < answer->n; i++)
		if (addr_eq(&answer->places[i].addr, addr))
			return;
	if (answer->n < DNS_MAX)
		answer->places[answer->n++] = (struct place){*addr, weight};
}

static bool
read_address(const ns_rr *rr, uint16_t port, struct addr *addr_r)
{
	*addr_r = (struct addr){0};
	if (ns_rr_type(*rr) == ns_t_a && ns_rr_rdlen(*rr) == NS_INADDRSZ) {
		addr_r->in4.sin_family = AF_INET;
		memcpy(&addr_r->in4.sin_addr, ns_rr_rdata(*rr), NS_INADDRSZ);
	} else if (ns_rr_type(*rr) == ns_t_aaaa && ns_rr_rdlen(*rr) == NS_IN6ADDRSZ) {
		addr_r->in6.sin6_family = AF_INET6;
		memcpy(&addr_r->in6.sin6_addr, ns_rr_rdata(*rr), NS_IN6ADDRSZ);
	} else {
		return false;
	}
	addr_set_port(addr_r, port);
	return true;
}

/* Of records that are aliases only the TTL counts: the reply has both ends. */
bool
dns_take_addresses(const unsigned char *reply, size_t n, int type, uint16_t port,
    uint32_t weight, struct dns_answer *answer)
{
	struct addr addr;
	ns_msg msg;
	ns_rr rr;

	if (ns_initparse(reply, (int)n, &msg))
		return false;
	for (int i = 0; i < ns_msg_count(msg, ns_s_an); i++) {
		if (ns_parserr(&msg, ns_s_an, i, &rr))
			return false;
		if ((int)ns_rr_type(rr) == type && read_address(&rr, port, &addr)) {
			add_place(answer, &addr, weight);
			note_ttl(answer, ns_rr_ttl(rr));
		} else if (ns_rr_type(rr) == ns_t_cname) {
			note_ttl(answer, ns_rr_ttl(rr));
		}
	}
	return true;
}

static bool
read_target(const ns_msg *msg, const ns_rr *rr, struct dns_target *t)
{
	const unsigned char *data = ns_rr_rdata(*rr);

	if (ns_rr_type(*rr) != ns_t_srv || ns_rr_rdlen(*rr) < 7)
		return false;
	t->priority = (uint16_t)ns_get16(data);
	t->weight = (uint16_t)ns_get16(data + 2);
	t->port = (uint16_t)ns_get16(data + 4);
	return dn_expand(ns_msg_base(*msg), ns_msg_end(*msg), data + 6, t->host,
		   sizeof t->host) >= 0 &&
	       t->host[0] != '\0' && t->port; /* "." says: decidedly not here */
}

/* To the range that weights have here. Zero means "rarely" there, and "never" here. */
static void
scale_weights(struct dns_target *targets, size_t n)
{
	unsigned most = 0;

	for (size_t i = 0; i < n; i++)
		if (targets[i].weight > most)
			most = targets[i].weight;
	for (size_t i = 0; i < n; i++) {
		unsigned weight = targets[i].weight;

		if (most > WEIGHT_MAX)
			weight = weight * WEIGHT_MAX / most;
		targets[i].weight = (uint16_t)(weight ? weight : 1);
	}
}

bool
dns_take_targets(const unsigned char *reply, size_t n, struct dns_target *targets,
    size_t max, size_t *n_r, struct dns_answer *answer)
{
	struct dns_target t;
	ns_msg msg;
	ns_rr rr;

	*n_r = 0;
	if (ns_initparse(reply, (int)n, &msg))
		return false;
	for (int i = 0; i < ns_msg_count(msg, ns_s_an); i++) {
		if (ns_parserr(&msg, ns_s_an, i, &rr))
			return false;
		if (!read_target(&msg, &rr, &t))
			continue;
		if (*n_r && t.priority < targets[0].priority)
			*n_r = 0;
		if (*n_r < max && (*n_r == 0 || t.priority == targets[0].priority))
			targets[(*n_r)++] = t;
		note_ttl(answer, ns_rr_ttl(rr));
	}
	scale_weights(targets, *n_r);
	return true;
}

/* ---- asking ---- */

static void
set_servers(struct asking *a, const struct config_resolver *conf)
{
	int n = 0;

	for (size_t i = 0; i < conf->n_servers && n < MAXNS; i++) {
		struct addr addr;

		if (addr_parse(str_of(conf->servers[i]), &addr))
			a->state.nsaddr_list[n++] = addr.in4;
	}
	if (n)
		a->state.nscount = n;
	a->own_servers = n > 0;
}

/* NULL: no memory, or no configuration. */
static struct asking *
asking_new(const struct config_resolver *conf, struct dns_answer *answer)
{
	struct asking *a = calloc(1, sizeof *a);

	if (!a || res_ninit(&a->state)) {
		free(a);
		return NULL;
	}
	a->answer = answer;
	a->state.retrans = 2;
	a->state.retry = 2;
	set_servers(a, conf);
	return a;
}

static void
asking_free(struct asking *a)
{
	res_nclose(&a->state);
	free(a);
}

/* The length of the reply in a->reply; 0: there was none, or it was a refusal. */
static size_t
ask(struct asking *a, const char *name, int type)
{
	int n = res_nsearch(&a->state, name, ns_c_in, type, a->reply, REPLY_MAX);

	if (n < 0) {
		a->answer->why = hstrerror(a->state.res_h_errno);
		a->answer->partial |= a->state.res_h_errno == TRY_AGAIN;
		return 0;
	}
	return n < REPLY_MAX ? (size_t)n : REPLY_MAX;
}

static void
ask_for_host(struct asking *a, const char *host, uint16_t port, uint32_t weight)
{
	static const int types[] = {ns_t_a, ns_t_aaaa};
	size_t before = a->answer->n;

	/* a silence is no reason to go over to the other family */
	for (size_t i = 0; i < 2 && a->answer->n == before && !a->answer->partial;
	     i++) {
		size_t n = ask(a, host, types[i]);

		if (n &&
		    !dns_take_addresses(a->reply, n, types[i], port, weight, a->answer))
			a->answer->why = "malformed reply";
	}
}

/* What the system says. */
static void
ask_system(const char *host, uint16_t port, struct dns_answer *answer)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL;
	int error = getaddrinfo(host, NULL, &hints, &list);

	if (error)
		answer->why = gai_strerror(error);
	for (const struct addrinfo *i = list; i; i = i->ai_next) {
		struct addr addr = {0};

		if (i->ai_addrlen > sizeof addr || i->ai_family != list->ai_family)
			continue;
		memcpy(&addr, i->ai_addr, i->ai_addrlen);
		addr_set_port(&addr, port);
		add_place(answer, &addr, 0);
	}
	if (list)
		freeaddrinfo(list);
}

static bool
has_places_of(const struct dns_answer *answer, const struct dns_answer *other)
{
	for (size_t i = 0; i < answer->n; i++)
		for (size_t j = 0; j < other->n; j++)
			if (addr_eq(&answer->places[i].addr, &other->places[j].addr))
				return true;
	return false;
}

/* For how long? Where the system's answer did not come from DNS, DNS knows nothing of
 * it. */
static void
ask_for_ttl(struct asking *a, const char *host, uint16_t port)
{
	struct dns_answer *answer = a->answer, *other;
	int type = answer->places[0].addr.sa.sa_family == AF_INET6 ? ns_t_aaaa : ns_t_a;
	size_t n = ask(a, host, type);

	answer->partial = false; /* the system has said it all */
	other = n ? calloc(1, sizeof *other) : NULL;
	if (other && dns_take_addresses(a->reply, n, type, port, 0, other) &&
	    has_places_of(answer, other))
		note_ttl(answer, other->ttl_s);
	free(other);
}

static void
lookup_host(struct asking *a, const char *host, uint16_t port)
{
	if (a->own_servers) {
		ask_for_host(a, host, port, 0);
		return;
	}
	ask_system(host, port, a->answer);
	if (a->answer->n)
		ask_for_ttl(a, host, port);
}

static void
lookup_targets(struct asking *a, const char *name)
{
	struct dns_target targets[TARGETS_MAX];
	size_t n = ask(a, name, ns_t_srv), n_targets = 0;

	if (n &&
	    !dns_take_targets(a->reply, n, targets, TARGETS_MAX, &n_targets, a->answer))
		a->answer->why = "malformed reply";
	for (size_t i = 0; i < n_targets && !a->answer->partial; i++)
		ask_for_host(a, targets[i].host, targets[i].port, targets[i].weight);
}

void
dns_lookup(const struct config_resolver *conf, const char *address,
    struct dns_answer *answer_r)
{
	struct asking *a;
	struct str host;
	uint16_t port;
	char name[256];

	*answer_r = (struct dns_answer){.why = "no such name"};
	a = asking_new(conf, answer_r);
	if (!a) {
		answer_r->why = "out of memory";
		return;
	}
	if (strncmp(address, "srv:", 4) == 0) {
		lookup_targets(a, address + 4);
	} else if (addr_split(str_of(address), &host, &port) && host.n < sizeof name) {
		memcpy(name, host.p, host.n);
		name[host.n] = '\0';
		lookup_host(a, name, port);
	}
	asking_free(a);
}
