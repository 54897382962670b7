/* SPDX-License-Identifier: MIT
 *
 * fuzz_proxy.c - any bytes as a PROXY header, whole and in pieces, and what was read
 * written and read again.
 *
 * However little of the bytes has come, the verdict is MORE or that on all of them. The
 * addresses of a header, written in either version, give the same addresses.
 */
#include "fuzz.h"
#include "net/proxy_protocol.h"

static bool
same_header(const struct proxy_header *a, const struct proxy_header *b)
{
	return a->local == b->local && addr_eq(&a->source, &b->source) &&
	       addr_eq(&a->destination, &b->destination);
}

static void
check_written(const struct proxy_header *h, unsigned version)
{
	bool relayed = h->source.sa.sa_family != 0;
	char out[PROXY_HEADER_OUT];
	struct proxy_header again;
	size_t n = proxy_header_write(out, version, &h->source, &h->destination), used;

	must(n <= sizeof out);
	must(proxy_header_parse(out, n, &again, &used) == PROXY_DONE && used == n);
	must(again.local == !relayed && addr_eq(&again.source, &h->source) &&
	     addr_eq(&again.destination, &h->destination));
}

static void
check_header(const struct proxy_header *h, size_t used)
{
	int family = h->source.sa.sa_family;

	must(used >= 15 && used <= PROXY_HEADER_MAX);
	must(family == h->destination.sa.sa_family);
	must(family == 0 || (!h->local && (family == AF_INET || family == AF_INET6)));
	check_written(h, 1);
	check_written(h, 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header whole = {0}, cut = {0};
	size_t used = 0, used_cut = 0;
	enum proxy_verdict verdict = proxy_header_parse(data, size, &whole, &used);

	if (verdict == PROXY_DONE) {
		must(used <= size);
		check_header(&whole, used);
	}
	must(verdict != PROXY_MORE || size < PROXY_HEADER_MAX);
	for (size_t n = 0; n < size && n <= PROXY_HEADER_MAX; n++) {
		enum proxy_verdict v = proxy_header_parse(data, n, &cut, &used_cut);

		must(v == PROXY_MORE || v == verdict);
		must(
		    v != PROXY_DONE || (used_cut == used && same_header(&cut, &whole)));
		must(verdict != PROXY_DONE || (v == PROXY_DONE) == (n >= used));
	}
	return 0;
}
