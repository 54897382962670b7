/* SPDX-License-Identifier: MIT
 *
 * fuzz_dns.c - any bytes as the reply of a name server, for each kind of question.
 *
 * Addresses and targets hold what dns.h promises; addresses are those that a naive
 * reader of the answer's records finds, which knows of names only where they end.
 */
#include "fuzz.h"
#include "upstream/dns.h"
#include <arpa/nameser.h>

enum { TARGETS = 8, PORT = 8080, WEIGHT = 3 };

/* ---- the naive reader ---- */

/* One record of the answer; left: what is not read of the reply yet. */
struct record {
	unsigned type;
	uint32_t ttl_s;
	struct str data;
};

static unsigned
cut_16(struct str *left)
{
	unsigned high = cut_byte(left);

	return high << 8 | cut_byte(left);
}

static void
skip_name(struct str *left)
{
	unsigned n;

	while ((n = cut_byte(left)) > 0 && n < 0xc0) {
		left->p += n;
		left->n -= n;
	}
	if (n >= 0xc0)
		cut_byte(left);
}

/* Of a reply that was taken: nothing is missing. */
static struct str
skip_questions(struct str reply, unsigned *n_answers_r)
{
	unsigned n;

	cut_16(&reply);
	cut_16(&reply);
	n = cut_16(&reply);
	*n_answers_r = cut_16(&reply);
	cut_16(&reply);
	cut_16(&reply);
	while (n--) {
		skip_name(&reply);
		cut_16(&reply);
		cut_16(&reply);
	}
	return reply;
}

static struct record
cut_record(struct str *left)
{
	struct record r;

	skip_name(left);
	r.type = cut_16(left);
	cut_16(left);
	r.ttl_s = cut_16(left) << 16;
	r.ttl_s |= cut_16(left);
	r.data.n = cut_16(left);
	r.data.p = left->p;
	must(r.data.n <= left->n);
	left->p += r.data.n;
	left->n -= r.data.n;
	return r;
}

/* ---- what must hold ---- */

static bool
has_place(const struct dns_answer *answer, struct str bytes)
{
	for (size_t i = 0; i < answer->n; i++)
		if (str_eq(addr_bytes(&answer->places[i].addr), bytes))
			return true;
	return answer->n == DNS_MAX;
}

/* ::ffff:1.2.3.4 is told by its last four bytes. */
static struct str
unmapped(struct str bytes)
{
	if (bytes.n == 16 && memcmp(bytes.p, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
		return (struct str){bytes.p + 12, 4};
	return bytes;
}

static void
places_check(const struct dns_answer *answer, int family)
{
	must(answer->n <= DNS_MAX && (answer->has_ttl || answer->n == 0));
	for (size_t i = 0; i < answer->n; i++) {
		const struct place *place = &answer->places[i];

		must(place->addr.sa.sa_family == family && place->weight == WEIGHT);
		must(addr_port(&place->addr) == PORT);
		for (size_t j = 0; j < i; j++)
			must(!addr_eq(&place->addr, &answer->places[j].addr));
	}
}

static void
addresses_check(struct str reply, unsigned type)
{
	size_t wanted = type == ns_t_a ? 4 : 16, n = 0;
	struct dns_answer answer = {0};
	uint32_t least = UINT32_MAX;
	unsigned n_answers;

	if (!dns_take_addresses((const unsigned char *)reply.p, reply.n, (int)type,
		PORT, WEIGHT, &answer))
		return;
	places_check(&answer, type == ns_t_a ? AF_INET : AF_INET6);
	reply = skip_questions(reply, &n_answers);
	while (n_answers--) {
		struct record r = cut_record(&reply);
		bool counts = r.type == type && r.data.n == wanted;

		if (counts)
			must(has_place(&answer, unmapped(r.data)));
		if ((counts || r.type == ns_t_cname) && r.ttl_s < least)
			least = r.ttl_s;
		n += counts;
	}
	must(answer.n <= n && (n == 0 || answer.n > 0));
	must(!answer.has_ttl || answer.ttl_s == least);
}

static void
targets_check(struct str reply)
{
	struct dns_target targets[TARGETS];
	struct dns_answer answer = {0};
	size_t n;

	if (!dns_take_targets((const unsigned char *)reply.p, reply.n, targets, TARGETS,
		&n, &answer))
		return;
	must(n <= TARGETS && answer.n == 0 && (answer.has_ttl || n == 0));
	for (size_t i = 0; i < n; i++) {
		struct dns_target *t = &targets[i];

		must(memchr(t->host, '\0', sizeof t->host) && t->host[0]);
		must(is_one_line(str_of(t->host)));
		must(t->port && t->priority == targets[0].priority);
		must(t->weight >= 1 && t->weight <= 1000);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str reply = {(const char *)data, size};

	addresses_check(reply, ns_t_a);
	addresses_check(reply, ns_t_aaaa);
	targets_check(reply);
	return 0;
}
