/* SPDX-License-Identifier: MIT
 *
 * fuzz_response.c - any bytes as a response head, to GET and to HEAD.
 */
#include "fuzz.h"
#include "message/response.h"

static void
response_check(const struct response *r, enum method method, const char *p, size_t n)
{
	bool bodiless = method == METHOD_HEAD || r->status < 200 || r->status == 204 ||
			r->status == 304;

	must(r->status >= 100 && r->status <= 999 && r->minor <= 1);
	must(lies_within(r->reason, p, n));
	must((r->body == BODY_NONE) == bodiless);
	must(r->body == BODY_LENGTH || r->length == 0);
	must(r->body != BODY_UNTIL_CLOSE || !r->keep_alive);
	must(r->n_headers <= HEAD_MAX_HEADERS);
	for (unsigned i = 0; i < r->n_headers; i++) {
		const struct header *h = &r->headers[i];

		must(lies_within(h->name, p, n) && lies_within(h->value, p, n));
		must(is_token(h->name) && h->id == header_id_of(h->name));
	}
	for (unsigned id = 0; id < HEADER_COUNT; id++)
		must(r->first[id] < 0 ||
		     r->headers[r->first[id]].id == (enum header_id)id);
}

static void
parse_all(const char *p, size_t size, enum method method)
{
	static struct response r, prefix;
	size_t used, prefix_used, step = size / 64 + 1;
	enum parse whole = response_parse(p, size, method, &r, &used);

	if (whole == PARSE_DONE) {
		must(used <= size && used <= HEAD_MAX_BYTES);
		response_check(&r, method, p, used);
	}
	for (size_t n = 0; n < (whole == PARSE_DONE ? used : size); n += step) {
		enum parse verdict =
		    response_parse(p, n, method, &prefix, &prefix_used);

		must(verdict == PARSE_MORE ||
		     (verdict == PARSE_BAD && whole == PARSE_BAD));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse_all((const char *)data, size, METHOD_GET);
	parse_all((const char *)data, size, METHOD_HEAD);
	return 0;
}
