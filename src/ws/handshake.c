/* SPDX-License-Identifier: MIT
 *
 * handshake.c - the opening handshake of RFC 6455, seen from the middle.
 *
 * Client and backend agree with each other; we only make sure that what both will
 * speak afterwards is what our scanner understands.
 *
 * Threads: any.
 */
#include "ws/handshake.h"

#include "base/strbuf.h"
#include "message/head.h"
#include "message/response.h"
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define DEFLATE "permessage-deflate"
#define CLIENT_FRESH "client_no_context_takeover"
#define SERVER_FRESH "server_no_context_takeover"
#define CLIENT_WINDOW "client_max_window_bits"
#define SERVER_WINDOW "server_max_window_bits"

enum { WINDOW_MIN = 8, WINDOW_MAX = 15 };

enum { KEY_BYTES = 16, KEY_DIGITS = 22 };

static unsigned
headers_count(const struct header *headers, unsigned n, enum header_id id)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		count += headers[i].id == id;
	return count;
}

static bool
is_base64_digit(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* 16 bytes in base64: 22 digits and two equals signs. */
static bool
key_is_valid(struct str key)
{
	if (key.n != HANDSHAKE_KEY || key.p[22] != '=' || key.p[23] != '=')
		return false;
	for (unsigned i = 0; i < KEY_DIGITS; i++)
		if (!is_base64_digit(key.p[i]))
			return false;
	return true;
}

enum reason
handshake_check(const struct head *head)
{
	const struct header *headers = head->headers;
	unsigned n = head->n_headers;

	if (head->method != METHOD_GET || head->minor != 1 ||
	    head->body == BODY_CHUNKED || head->length > 0)
		return REASON_UPGRADE_BAD;
	if (headers_count(headers, n, HEADER_SEC_WEBSOCKET_VERSION) > 1)
		return REASON_UPGRADE_BAD;
	if (!str_eq(head_value(head, HEADER_SEC_WEBSOCKET_VERSION), STR("13")))
		return REASON_UPGRADE_VERSION;
	if (headers_count(headers, n, HEADER_SEC_WEBSOCKET_KEY) != 1 ||
	    !key_is_valid(head_value(head, HEADER_SEC_WEBSOCKET_KEY)))
		return REASON_UPGRADE_BAD;
	return REASON_NONE;
}

bool
handshake_origin_fits(struct str origin, struct str allowed)
{
	static const char wild[] = "://*.";
	const char *mark = memmem(allowed.p, allowed.n, wild, sizeof wild - 1);
	struct str scheme, rest;

	if (!mark)
		return str_ieq(origin, allowed);
	scheme = (struct str){allowed.p, (size_t)(mark - allowed.p) + 3};
	rest = (struct str){mark + 4, allowed.n - scheme.n - 1}; /* from the dot on */
	return origin.n > scheme.n + rest.n &&
	       str_ieq((struct str){origin.p, scheme.n}, scheme) &&
	       str_ieq((struct str){origin.p + origin.n - rest.n, rest.n}, rest) &&
	       !memchr(origin.p + scheme.n, '/', origin.n - scheme.n);
}

/* Looking an algorithm up by name costs as much as using it. */
static EVP_MD *sha1;
static pthread_once_t sha1_once = PTHREAD_ONCE_INIT;

static void
fetch_sha1(void)
{
	sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
}

void
handshake_accept(struct str key, char out[HANDSHAKE_ACCEPT + 1])
{
	unsigned char text[HANDSHAKE_KEY + sizeof(GUID) - 1];
	unsigned char digest[SHA_DIGEST_LENGTH] = {0};
	size_t n = key.n < HANDSHAKE_KEY ? key.n : HANDSHAKE_KEY;

	if (n)
		memcpy(text, key.p, n);
	memcpy(text + n, GUID, sizeof(GUID) - 1);
	pthread_once(&sha1_once, fetch_sha1);
	/* a library without SHA-1 agrees to no handshake */
	if (!sha1 || !EVP_Digest(text, n + sizeof(GUID) - 1, digest, NULL, sha1, NULL))
		memset(digest, 0, sizeof digest);
	EVP_EncodeBlock((unsigned char *)out, digest, sizeof(digest));
}

/* Cuts s in two at the first separator outside quotes; *rest_r begins behind it and is
 * empty when there is none. */
static struct str
quoted_cut(struct str s, char separator, struct str *rest_r)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"') {
			quoted = !quoted;
		} else if (quoted && s.p[i] == '\\') {
			i++;
		} else if (!quoted && s.p[i] == separator) {
			*rest_r = (struct str){s.p + i + 1, s.n - i - 1};
			return (struct str){s.p, i};
		}
	}
	*rest_r = (struct str){s.p + s.n, 0};
	return s;
}

/* Behind an open quote nothing can be added, nor believed. */
static bool
quotes_are_closed(struct str s)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
	}
	return !quoted;
}

static struct str
extension_name(struct str extension)
{
	struct str rest;

	return str_trim(quoted_cut(extension, ';', &rest));
}

static bool
extension_has(struct str extension, struct str parameter)
{
	struct str rest, value;

	quoted_cut(extension, ';', &rest);
	while (rest.n) {
		struct str one = quoted_cut(rest, ';', &rest);

		if (str_ieq(str_trim(quoted_cut(one, '=', &value)), parameter))
			return true;
	}
	return false;
}

static bool
protocol_was_offered(struct str offered, struct str protocol)
{
	struct str one;

	while (str_next_element(&offered, &one))
		if (str_eq(one, protocol))
			return true;
	return false;
}

static bool
extension_was_offered(struct str offered, struct str name)
{
	while (offered.n)
		if (str_ieq(extension_name(quoted_cut(offered, ',', &offered)), name))
			return true;
	return false;
}

static bool
protocol_answer_ok(const struct response *r, struct str offered)
{
	struct str protocol = response_value(r, HEADER_SEC_WEBSOCKET_PROTOCOL);

	switch (
	    headers_count(r->headers, r->n_headers, HEADER_SEC_WEBSOCKET_PROTOCOL)) {
	case 0: return true;
	case 1: return is_token(protocol) && protocol_was_offered(offered, protocol);
	default: return false;
	}
}

/* At most one line of them (RFC 6455, 11.3.2), so that handshake_agreed sees all. */
static bool
extensions_answer_ok(const struct response *r, struct str offered)
{
	struct str list = response_value(r, HEADER_SEC_WEBSOCKET_EXTENSIONS);

	if (headers_count(r->headers, r->n_headers, HEADER_SEC_WEBSOCKET_EXTENSIONS) >
		1 ||
	    !quotes_are_closed(list))
		return false;
	while (list.n) {
		struct str one = str_trim(quoted_cut(list, ',', &list));
		struct str name = extension_name(one);

		if (one.n && (!is_token(name) || !extension_was_offered(offered, name)))
			return false;
	}
	return true;
}

bool
handshake_answer_ok(const struct response *r, struct str key,
    struct str offered_protocols, struct str offered_extensions)
{
	const struct header *headers = r->headers;
	char accept[HANDSHAKE_ACCEPT + 1];
	unsigned n = r->n_headers;

	if (r->status != 101 || r->minor != 1 ||
	    headers_count(headers, n, HEADER_UPGRADE) != 1 ||
	    !str_ieq(response_value(r, HEADER_UPGRADE), STR("websocket")) ||
	    !headers_have_element(headers, n, HEADER_CONNECTION, STR("upgrade")) ||
	    headers_count(headers, n, HEADER_SEC_WEBSOCKET_ACCEPT) != 1)
		return false;
	handshake_accept(key, accept);
	return str_eq(response_value(r, HEADER_SEC_WEBSOCKET_ACCEPT),
		   (struct str){accept, HANDSHAKE_ACCEPT}) &&
	       protocol_answer_ok(r, offered_protocols) &&
	       extensions_answer_ok(r, offered_extensions);
}

static void
offer_element(struct str element, struct strbuf *out)
{
	size_t trailing = 0;

	while (trailing < element.n && (element.p[element.n - 1 - trailing] == ' ' ||
					   element.p[element.n - 1 - trailing] == '\t'))
		trailing++;
	strbuf_append(out, element.p, element.n - trailing);
	if (str_ieq(extension_name(element), STR(DEFLATE)) &&
	    quotes_are_closed(element)) {
		if (!extension_has(element, STR(CLIENT_FRESH)))
			strbuf_lit(out, "; " CLIENT_FRESH);
		if (!extension_has(element, STR(SERVER_FRESH)))
			strbuf_lit(out, "; " SERVER_FRESH);
	}
	strbuf_append(out, element.p + element.n - trailing, trailing);
}

void
handshake_offer(struct str offered, struct strbuf *out)
{
	while (offered.n) {
		struct str element = quoted_cut(offered, ',', &offered);

		offer_element(element, out);
		if (offered.p != element.p + element.n)
			strbuf_lit(out, ",");
	}
}

void
handshake_agreed(struct str extensions, bool *compressed_r, bool *cuttable_r)
{
	*compressed_r = false;
	*cuttable_r = true;
	while (extensions.n) {
		struct str one = str_trim(quoted_cut(extensions, ',', &extensions));

		if (one.n == 0)
			continue;
		*compressed_r = true;
		if (!str_ieq(extension_name(one), STR(DEFLATE)) ||
		    !extension_has(one, STR(CLIENT_FRESH)) ||
		    !extension_has(one, STR(SERVER_FRESH)))
			*cuttable_r = false;
	}
}

/* What was agreed of permessage-deflate. */
struct deflate {
	bool server_fresh;
	unsigned client_window, server_window;
};

/* 8 to 15, perhaps in quotes; 0: something else. */
static unsigned
window_bits(struct str value)
{
	unsigned bits = 0;

	value = str_trim(value);
	if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
		value = (struct str){value.p + 1, value.n - 2};
	if (value.n == 0 || value.n > 2)
		return 0;
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return 0;
		bits = bits * 10 + (unsigned)(value.p[i] - '0');
	}
	return bits >= WINDOW_MIN && bits <= WINDOW_MAX ? bits : 0;
}

static bool
deflate_parameter(struct deflate *d, struct str name, struct str value)
{
	if (str_ieq(name, STR(CLIENT_FRESH)))
		return true; /* the client holds to what it was told first */
	if (str_ieq(name, STR(SERVER_FRESH)))
		d->server_fresh = true;
	else if (str_ieq(name, STR(CLIENT_WINDOW)))
		d->client_window = window_bits(value);
	else if (str_ieq(name, STR(SERVER_WINDOW)))
		d->server_window = window_bits(value);
	else
		return false;
	return d->client_window && d->server_window;
}

/* False: it is not permessage-deflate alone, or says what we do not know. */
static bool
deflate_read(struct str list, struct deflate *d_r)
{
	struct str more, rest, value, one = quoted_cut(list, ',', &more);

	*d_r =
	    (struct deflate){.client_window = WINDOW_MAX, .server_window = WINDOW_MAX};
	if (str_trim(more).n || !str_ieq(extension_name(one), STR(DEFLATE)))
		return false;
	quoted_cut(one, ';', &rest);
	while (rest.n) {
		struct str parameter = quoted_cut(rest, ';', &rest);
		struct str name = str_trim(quoted_cut(parameter, '=', &value));

		if (!deflate_parameter(d_r, name, value))
			return false;
	}
	return true;
}

bool
handshake_terms_fit(struct str held, struct str agreed)
{
	struct deflate old, new;

	if (str_eq(held, agreed))
		return true;
	return deflate_read(held, &old) && deflate_read(agreed, &new) &&
	       new.server_fresh &&new.server_window <=
		   old.server_window &&new.client_window >= old.client_window;
}
