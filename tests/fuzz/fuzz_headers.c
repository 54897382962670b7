/* SPDX-License-Identifier: MIT
 *
 * fuzz_headers.c - any request and response heads, with a NUL between them, as they are
 * written on to the other side.
 *
 * The first bytes choose what roost adds. What was written is a head that our own
 * strict parser takes, with nothing behind it, and that frames the same body; what is
 * not for the other side is not in it.
 */
#include "base/strbuf.h"
#include "base/template.h"
#include "fuzz.h"
#include "http/compress.h"
#include "http/headers.h"
#include "message/response.h"
#include "route/edits.h"

static struct config_header sets[] = {{(char *)"X-Set", (char *)"{host} {path}"},
    {(char *)"Via", (char *)"roost {{{query}}}"}};
static struct config_header adds[] = {{(char *)"X-Added", (char *)"{uri}{method}"}};
static char *removes[] = {(char *)"Accept", (char *)"X-Forwarded-Host"};
static const struct config_header_edits edits_conf = {sets, 2, adds, 1, removes, 2};
static struct edits *edits;

/* Never to be seen on the other side, whoever said it. */
static bool
is_private(enum header_id id)
{
	return id == HEADER_KEEP_ALIVE || id == HEADER_PROXY_AUTHENTICATE ||
	       id == HEADER_PROXY_AUTHORIZATION || id == HEADER_PROXY_CONNECTION ||
	       id == HEADER_ROOST_SESSION || id == HEADER_ROOST_REHOMED_FROM;
}

/* Was that line named by the Connection of the message it came in? */
static bool
is_nominated(const struct header *headers, unsigned n, const struct header *written)
{
	for (unsigned i = 0; i < n; i++)
		if (headers[i].nominated && str_ieq(headers[i].name, written->name) &&
		    str_eq(headers[i].value, written->value))
			return true;
	return false;
}

static unsigned
count(const struct header *headers, unsigned n, enum header_id id)
{
	unsigned found = 0;

	for (unsigned i = 0; i < n; i++)
		found += headers[i].id == id;
	return found;
}

static struct template_values
values_of(const struct head *head)
{
	return (struct template_values){.of = {[TEMPLATE_HOST] = head->host,
					    [TEMPLATE_PATH] = head->path,
					    [TEMPLATE_QUERY] = head->query,
					    [TEMPLATE_URI] = head->target,
					    [TEMPLATE_METHOD] = head->method_text}};
}

/* ---- to the backend ---- */

static void
request_check(const struct head *head, const struct head *written)
{
	must(str_eq(written->method_text, head->method_text) && written->minor == 1);
	must(written->body == head->body ||
	     (head->body == BODY_NONE && written->length == 0));
	must(written->length == head->length && written->upgrade == head->upgrade);
	must(head_expects_continue(written) == head_expects_continue(head));
	must(str_eq(written->query, head->query));
	must(str_eq(written->path, head->path));
	for (unsigned i = 0; i < written->n_headers; i++) {
		const struct header *h = &written->headers[i];

		must(!is_private(h->id));
		must(h->id != HEADER_OTHER ||
		     !is_nominated(head->headers, head->n_headers, h));
	}
	must(written->first[HEADER_SEC_WEBSOCKET_EXTENSIONS] < 0);
	must(count(written->headers, written->n_headers, HEADER_X_REQUEST_ID) == 1);
}

static void
request_write(const struct head *head, unsigned how)
{
	static struct head written;
	struct template_values values = values_of(head);
	const struct forwarding f = {.style = how & 3,
	    .trusted = how & 4,
	    .https = how & 8,
	    .peer = how & 16 ? STR("2001:db8::1") : STR("192.0.2.1"),
	    .request_id = STR("0123456789abcdef"),
	    .fallback_host = STR("backend:80"),
	    .edits = how & 32 ? edits : NULL,
	    .values = &values};
	struct strbuf out = STRBUF_INIT;
	enum parse verdict;
	enum reason why;
	size_t used;

	headers_write_request(&out, head, &f);
	strbuf_lit(&out, "\r\n");
	verdict = head_parse(out.data, out.len, &written, &used, &why);
	/* what roost adds may be more than a head of ours may have */
	if (verdict == PARSE_BAD)
		must(why == REASON_HEAD_TOO_LARGE);
	must(verdict != PARSE_MORE);
	if (verdict == PARSE_DONE) {
		must(used == out.len);
		request_check(head, &written);
	}
	strbuf_fini(&out);
}

/* ---- to the client ---- */

static void
response_check(const struct response *r, const struct answer *a,
    const struct response *written)
{
	must(written->status == r->status && written->minor == 1);
	if (!a->describes_body && written->body != BODY_NONE) {
		must(written->body == a->body);
		must(a->body != BODY_LENGTH || written->length == a->length);
	}
	for (unsigned i = 0; i < written->n_headers; i++) {
		const struct header *h = &written->headers[i];

		must(!is_private(h->id));
		must(h->id != HEADER_OTHER ||
		     !is_nominated(r->headers, r->n_headers, h));
	}
	if (written->body != BODY_UNTIL_CLOSE)
		must(written->keep_alive == a->keep_alive);
}

static void
written_check(const struct response *r, const struct answer *a, enum method method,
    struct strbuf *out, bool whole)
{
	static struct response written;
	size_t used;
	enum parse verdict =
	    response_parse(out->data, out->len, method, &written, &used);

	must(verdict != PARSE_MORE);
	if (verdict == PARSE_DONE) {
		must(used == out->len);
		if (whole)
			response_check(r, a, &written);
	} else {
		must(r->n_headers + 10 > HEAD_MAX_HEADERS ||
		     out->len > HEAD_MAX_BYTES || (edits && a->edits));
	}
	strbuf_reset(out);
}

static void
response_write(const struct response *r, const struct head *head, unsigned how,
    unsigned more)
{
	struct template_values values = values_of(head);
	struct answer a = {.minor = head->minor,
	    .keep_alive = how & 1 && r->body != BODY_UNTIL_CLOSE,
	    .body = r->body,
	    .length = r->length,
	    .describes_body = head->method == METHOD_HEAD || r->status == 304,
	    .cookie = how & 2 ? "abc.def.ghi" : NULL,
	    .https = how & 4,
	    .varies = how & 8,
	    .edits = how & 32 ? edits : NULL,
	    .values = &values};
	struct strbuf out = STRBUF_INIT;

	if (more & 1 && r->body != BODY_NONE) {
		a.coding = COMPRESS_GZIP;
		a.body = BODY_CHUNKED;
	}
	if (r->status < 200) {
		headers_write_interim(&out, r);
		written_check(r, &a, head->method, &out, false);
		headers_write_upgrade(&out, r, &a);
		written_check(r, &a, head->method, &out, false);
	} else {
		headers_write_response(&out, r, &a);
		written_check(r, &a, head->method, &out, true);
	}
	strbuf_fini(&out);
}

/* ---- trailers, and what a client likes ---- */

static void
trailers_write(struct str section)
{
	struct header headers[HEAD_MAX_HEADERS];
	struct strbuf out = STRBUF_INIT;
	enum reason why;
	unsigned n;
	size_t used;

	headers_write_trailers(&out, section);
	strbuf_lit(&out, "\r\n");
	must(header_lines_parse(out.data, out.len, headers, HEAD_MAX_HEADERS, &n, &used,
		 &why) == PARSE_DONE);
	must(used == out.len);
	for (unsigned i = 0; i < n; i++)
		must(!is_private(headers[i].id) &&
		     headers[i].id != HEADER_CONTENT_LENGTH &&
		     headers[i].id != HEADER_TRANSFER_ENCODING &&
		     headers[i].id != HEADER_HOST);
	strbuf_fini(&out);
}

static void
likings_check(struct str wish)
{
	unsigned both = compress_negotiate(wish, COMPRESS_GZIP | COMPRESS_BROTLI);

	must(both == 0 || both == COMPRESS_GZIP || both == COMPRESS_BROTLI);
	must(compress_negotiate(wish, 0) == 0);
	if (both == 0) {
		must(compress_negotiate(wish, COMPRESS_GZIP) == 0);
		must(compress_negotiate(wish, COMPRESS_BROTLI) == 0);
	} else {
		must(compress_negotiate(wish, both) == both);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct response response;
	static struct head head;
	struct str input = {(const char *)data, size}, request;
	unsigned how = cut_byte(&input), more = cut_byte(&input);
	enum reason why;
	size_t used;
	bool ok;

	if (!edits)
		edits = edits_new(&edits_conf, &ok);
	must(edits != NULL);
	request = cut_at(&input, '\0');
	if (head_parse(request.p, request.n, &head, &used, &why) != PARSE_DONE)
		return 0;
	request_write(&head, how);
	likings_check(head_value(&head, HEADER_ACCEPT_ENCODING));
	trailers_write((struct str){request.p + used, request.n - used});
	if (response_parse(input.p, input.n, head.method, &response, &used) ==
	    PARSE_DONE)
		response_write(&response, &head, how, more);
	return 0;
}
