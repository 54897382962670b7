/* SPDX-License-Identifier: MIT
 *
 * fuzz_head.c - any bytes as a request head.
 *
 * Checks that nothing outside the bytes is read or pointed to, that a prefix gives MORE
 * or the same BAD, and that what is accepted holds what the header promises.
 */
#include "fuzz.h"
#include "message/head.h"

static void
headers_check(const struct head *head, const char *p, size_t n)
{
	unsigned hosts = 0, lengths = 0, codings = 0;

	must(head->n_headers <= HEAD_MAX_HEADERS);
	for (unsigned i = 0; i < head->n_headers; i++) {
		const struct header *h = &head->headers[i];

		must(lies_within(h->name, p, n) && lies_within(h->value, p, n));
		must(is_token(h->name) && is_one_line(h->value));
		must(str_eq(str_trim(h->value), h->value));
		must(h->id == header_id_of(h->name));
		must(!h->nominated || head->first[HEADER_CONNECTION] >= 0);
		hosts += h->id == HEADER_HOST;
		lengths += h->id == HEADER_CONTENT_LENGTH;
		codings += h->id == HEADER_TRANSFER_ENCODING;
	}
	must(hosts <= 1 && lengths + codings <= 1);
	must((head->body == BODY_CHUNKED) == (codings == 1));
	must((head->body == BODY_LENGTH) == (lengths == 1));
	must(head->minor == 0 || hosts == 1);
}

static void
head_check(const struct head *head, const char *p, size_t n)
{
	must(is_token(head->method_text) && head->minor <= 1);
	must(head->target.n > 0 && head->target.n <= HEAD_MAX_TARGET);
	must(head->target.p[0] == '/' || head->target.p[0] == '?' ||
	     str_eq(head->target, STR("*")));
	must(head->target.p[0] == '*' || lies_within(head->target, p, n));
	if (head->target.p[0] == '?')
		must(str_eq(head->path, STR("/")));
	else
		must(head->path.p == head->target.p && head->path.n <= head->target.n);
	must(head->length <= INT64_MAX);
	must(lies_within(head->query, head->target.p, head->target.n));
	must(lies_within(head->authority, p, n) && lies_within(head->host, p, n));
	must(head->minor == 0 || head->host.n > 0);
	must(head->body != BODY_UNTIL_CLOSE);
	headers_check(head, p, n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct head head, prefix;
	const char *p = (const char *)data;
	enum reason why = REASON_NONE, prefix_why = REASON_NONE;
	size_t used, prefix_used, step = size / 64 + 1;
	enum parse whole = head_parse(p, size, &head, &used, &why);

	if (whole == PARSE_DONE) {
		must(used <= size && used <= HEAD_MAX_BYTES);
		head_check(&head, p, used);
	}
	for (size_t n = 0; n < (whole == PARSE_DONE ? used : size); n += step) {
		enum parse verdict =
		    head_parse(p, n, &prefix, &prefix_used, &prefix_why);

		must(verdict == PARSE_MORE ||
		     (verdict == PARSE_BAD && whole == PARSE_BAD && prefix_why == why));
	}
	return 0;
}
