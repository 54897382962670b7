/* SPDX-License-Identifier: MIT
 *
 * router.h - which route a request takes.
 *
 * The most specific host wins: exact before wildcard (*.example.com, the longer suffix
 * first) before any; then the longest path, exact before prefix; then the route with
 * more conditions (each header is one, the methods together are one); then the file's
 * order. A prefix matches at segment boundaries: /api and /api/ take /api and /api/x,
 * not /apix; an exact path takes itself alone, without or with the slash at its end. A
 * route whose conditions do not hold is passed over.
 *
 * Methods compare with case. GET admits HEAD, too, which is GET but for the body
 * (RFC 9110, 9.3.2). Of several lines of a header any one may fulfil its condition.
 *
 * Paths are compared as a server would understand them: percent-decoded, without empty
 * and dot segments, so that /x/../admin or /%61dmin cannot slip past a route for
 * /admin. A slash is a slash, encoded or not. The paths of routes are read the same
 * way.
 */
#ifndef ROOST_ROUTE_ROUTER_H
#define ROOST_ROUTE_ROUTER_H

#include "base/str.h"

struct config;
struct config_route;
struct edits;
struct head;
struct router;
struct strbuf;
struct template;

/* A route, ready for use. Owner: the router. Immutable, any thread. */
struct route {
	const struct config_route *conf;
	struct edits *request_edits, *response_edits; /* NULL: none */
	struct template *redirect;                    /* NULL: none */
};

/* Of a checked configuration, which it borrows. NULL: no memory. */
struct router *router_new(const struct config *config);
void router_free(struct router *r);

/* The route of a request head, or NULL: none fits. No allocation. */
const struct route *router_find(const struct router *r, const struct head *head);

/* The target for the backend: that of the head with the route's `rewrite` in place of
 * what the route matched of its path (a prefix without the slash at its end, or all of
 * it), the query kept. The rest of the path stays as the client sent it, unless that
 * could lead out of `rewrite` (dot segments, a second slash) or does not begin with the
 * route's path in so many letters: then it is normalised and encoded anew. For routes
 * with a rewrite. */
void route_rewrite(const struct route *route, const struct head *head,
    struct strbuf *out);

#endif
