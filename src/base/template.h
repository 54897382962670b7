/* SPDX-License-Identifier: MIT
 *
 * template.h - text with {names} that a request fills in: redirects, header values.
 *
 *   {scheme} {host} {path} {query} {uri} {method} {client} {request_id} {upstream}
 *   {backend}
 *
 * {host} is without port, {uri} is path and query as the client sent them, {client} the
 * client's address. {{ and }} stand for one brace. Compiled once, when a snapshot is
 * made; expanding allocates nothing but what the output needs. Control bytes, which
 * could end a header line, are never written: neither from the text nor from a value.
 */
#ifndef ROOST_BASE_TEMPLATE_H
#define ROOST_BASE_TEMPLATE_H

#include "base/str.h"

struct strbuf;
struct template;

enum template_name {
	TEMPLATE_SCHEME,
	TEMPLATE_HOST,
	TEMPLATE_PATH,
	TEMPLATE_QUERY,
	TEMPLATE_URI,
	TEMPLATE_METHOD,
	TEMPLATE_CLIENT,
	TEMPLATE_REQUEST_ID,
	TEMPLATE_UPSTREAM,
	TEMPLATE_BACKEND,
	TEMPLATE_NAMES
};

/* What the names stand for; absent ones are empty. */
struct template_values {
	struct str of[TEMPLATE_NAMES];
};

/* Is text a template? False: *bad_r is the name that does not exist, or the brace that
 * has no partner ("{}" where there is no name), within text. */
bool template_check(struct str text, struct str *bad_r);

/* Text that passed template_check; it is borrowed. NULL: no memory, or no template. */
struct template *template_new(const char *text);
void template_free(struct template *t); /* NULL is fine */

void template_expand(const struct template *t, const struct template_values *values,
    struct strbuf *out);

#endif
