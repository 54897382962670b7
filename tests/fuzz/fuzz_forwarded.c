/* SPDX-License-Identifier: MIT
 *
 * fuzz_forwarded.c - any bytes as what stands at the left of a proxy's list, and as a
 * path.
 *
 * The first byte chooses the header; lines of the rest are its lines. Whatever they
 * are, what a proxy appends to them must be read as it was meant. Normalised paths hold
 * what they promise, and a rewritten one is understood as the same path again.
 */
#include "base/strbuf.h"
#include "fuzz.h"
#include "message/forwarded.h"
#include "route/path.h"

enum { MAX_LINES = 8 };

static void
line_add(struct head *head, enum header_id id, struct str value)
{
	if (head->first[id] < 0)
		head->first[id] = (int16_t)head->n_headers;
	head->headers[head->n_headers++] =
	    (struct header){.id = id, .value = str_trim(value)};
}

static void
lines_fill(struct head *head, enum header_id id, struct str text)
{
	*head = (struct head){0};
	memset(head->first, 0xff, sizeof(head->first));
	while (text.n && head->n_headers < MAX_LINES) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t n = end ? (size_t)(end - text.p) : text.n;

		line_add(head, id, (struct str){text.p, n});
		text.p += n + (end != NULL);
		text.n -= n + (end != NULL);
	}
}

static struct addr_range
range_of(const char *text)
{
	struct addr_range range;

	must(addr_range_parse(str_of(text), &range));
	return range;
}

/* The client of a list is an address; when it is a trusted one all others are, too, so
 * that trusting everybody finds the same. */
static void
client_check(const struct head *head)
{
	struct addr_range some = range_of("10.0.0.0/8");
	struct addr_range all[] = {range_of("0.0.0.0/0"), range_of("::/0")};
	struct addr client, first;

	if (!forwarded_client(head, &some, 1, &client))
		return;
	must(addr_len(&client) > 0 && addr_port(&client) == 0);
	must(forwarded_client(head, all, 2, &first));
	must(!addr_in_range(&client, &some) || addr_eq(&client, &first));
}

static void
appended_check(struct head *head, enum header_id id, struct strbuf *joined)
{
	struct addr_range trusted = range_of("10.0.0.0/8");
	bool standard = id == HEADER_FORWARDED;
	struct addr client, wanted;

	must(addr_parse_ip(STR("2001:db8::1"), &wanted));
	if (standard)
		strbuf_puts(joined,
		    ", for=\"[2001:db8::1]:80\";proto=https, for=10.1.1.1");
	else
		strbuf_puts(joined, ", [2001:db8::1]:80, 10.1.1.1");
	if (joined->failed)
		return;
	line_add(head, id, (struct str){joined->data, joined->len});
	must(forwarded_client(head, &trusted, 1, &client) && addr_eq(&client, &wanted));
	line_add(head, HEADER_X_FORWARDED_PROTO, STR("https"));
	must(forwarded_is_https(head));
}

static void
lists_check(enum header_id id, struct str text)
{
	static struct head head;
	struct strbuf joined = STRBUF_INIT;

	lines_fill(&head, id, text);
	client_check(&head);
	(void)forwarded_is_https(&head);
	if (head.n_headers) {
		strbuf_str(&joined, head.headers[--head.n_headers].value);
		appended_check(&head, id, &joined);
	}
	strbuf_fini(&joined);
}

static bool
has_dots(struct str path)
{
	while (path.n) {
		const char *end = memchr(path.p + 1, '/', path.n - 1);
		size_t n = end ? (size_t)(end - path.p) : path.n;
		struct str s = {path.p + 1, n - 1};

		if (str_eq(s, STR(".")) || str_eq(s, STR("..")) || (s.n == 0 && end))
			return true;
		path.p += n;
		path.n -= n;
	}
	return false;
}

static void
path_check(struct str raw)
{
	char *once = malloc(raw.n + 1), *twice = malloc(raw.n * 3 + 1);
	struct strbuf encoded = STRBUF_INIT;
	struct str path, again;

	must(once && twice);
	path = (struct str){once, path_normalise(raw, once)};
	must(path.n <= raw.n && (path_is_odd(raw) || str_eq(path, raw)));
	if (raw.n && raw.p[0] == '/') {
		must(path.n && path.p[0] == '/' && !has_dots(path));
		path_encode(path, false, &encoded);
		again = (struct str){encoded.data, encoded.len};
		again.n = path_normalise(again, twice);
		again.p = twice;
		must(str_eq(path, again));
		/* a decoded '%' may begin an encoding of its own */
		if (!memchr(path.p, '%', path.n)) {
			again.n = path_normalise(path, twice);
			must(str_eq(path, again));
		}
		(void)path_may_stray(raw, twice);
	}
	strbuf_fini(&encoded);
	free(once);
	free(twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data + 1, size - 1}, id;

	if (size < 1)
		return 0;
	lists_check(data[0] % 2 ? HEADER_FORWARDED : HEADER_X_FORWARDED_FOR, text);
	path_check(text);
	if (request_id_is_good(text))
		must(text.n && text.n <= 128);
	if (traceparent_is_good(text, &id))
		must(id.p == text.p + 3 && id.n == 32);
	return 0;
}
