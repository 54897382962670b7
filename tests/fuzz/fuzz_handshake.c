/* SPDX-License-Identifier: MIT
 *
 * fuzz_handshake.c - any request head and response head, with a NUL between them, as
 * an opening handshake.
 *
 * So that answers get past the accept value, they are also tried against a key whose
 * accept value they hold: the one of RFC 6455, 1.3.
 */
#include "base/strbuf.h"
#include "fuzz.h"
#include "message/head.h"
#include "message/response.h"
#include "ws/handshake.h"

/* What we offer is longer than what was offered by whole parameters only, and offering
 * it again adds nothing. */
static void
offer_check(struct str offered)
{
	struct strbuf once = STRBUF_INIT, twice = STRBUF_INIT;

	handshake_offer(offered, &once);
	handshake_offer((struct str){once.data, once.len}, &twice);
	must(!once.failed && !twice.failed && once.len >= offered.n);
	must(str_eq((struct str){once.data, once.len},
	    (struct str){twice.data, twice.len}));
	strbuf_fini(&once);
	strbuf_fini(&twice);
}

static void
request_check(const struct head *head)
{
	enum reason why = handshake_check(head);
	char accept[HANDSHAKE_ACCEPT + 1];

	must(why == REASON_NONE || why == REASON_UPGRADE_BAD ||
	     why == REASON_UPGRADE_VERSION);
	must(why != REASON_NONE ||
	     (head->method == METHOD_GET && head->minor == 1 &&
		 head_value(head, HEADER_SEC_WEBSOCKET_KEY).n == HANDSHAKE_KEY));
	handshake_accept(head_value(head, HEADER_SEC_WEBSOCKET_KEY), accept);
	must(strlen(accept) == HANDSHAKE_ACCEPT);
	offer_check(head_value(head, HEADER_SEC_WEBSOCKET_EXTENSIONS));
}

static void
answer_check(const struct response *r, struct str key, struct str protocols,
    struct str extensions)
{
	struct str agreed = response_value(r, HEADER_SEC_WEBSOCKET_EXTENSIONS);
	bool compressed, cuttable;

	handshake_agreed(agreed, &compressed, &cuttable);
	must(compressed || cuttable);
	if (!handshake_answer_ok(r, key, protocols, extensions))
		return;
	must(r->status == 101);
	must(!compressed || extensions.n > 0);
	must(protocols.n > 0 || !response_value(r, HEADER_SEC_WEBSOCKET_PROTOCOL).p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct response response;
	static struct head head;
	const char *text = (const char *)data,
		   *nul = size ? memchr(text, 0, size) : NULL;
	struct str none = {NULL, 0}, protocols, extensions;
	enum reason why;
	size_t used;

	if (!nul ||
	    head_parse(text, (size_t)(nul - text), &head, &used, &why) != PARSE_DONE)
		return 0;
	request_check(&head);
	if (response_parse(nul + 1, size - (size_t)(nul + 1 - text), METHOD_GET,
		&response, &used) != PARSE_DONE)
		return 0;
	protocols = head_value(&head, HEADER_SEC_WEBSOCKET_PROTOCOL);
	extensions = head_value(&head, HEADER_SEC_WEBSOCKET_EXTENSIONS);
	answer_check(&response, head_value(&head, HEADER_SEC_WEBSOCKET_KEY), protocols,
	    extensions);
	answer_check(&response, STR("dGhlIHNhbXBsZSBub25jZQ=="), protocols, extensions);
	answer_check(&response, STR("dGhlIHNhbXBsZSBub25jZQ=="), none, none);
	return 0;
}
