/* SPDX-License-Identifier: MIT
 *
 * router.h - host and path to a route. Pure.
 *
 * The most specific host wins (exact, then *.suffix by length, then any), within it
 * the longest path prefix. A prefix matches at a segment boundary: /api and /api/
 * both match /api and /api/x, never /apix.
 */
#ifndef ROOST_ROUTE_ROUTER_H
#define ROOST_ROUTE_ROUTER_H

#include "base/str.h"

struct config;
struct config_route;
struct router;

/* Keeps pointers into config. NULL: no memory. */
struct router *router_new(const struct config *config);
void router_free(struct router *r);

/* The route, or NULL. No allocation. Any thread. */
const struct config_route *router_find(const struct router *r, struct str host,
    struct str path);

#endif
