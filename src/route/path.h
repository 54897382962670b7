/* SPDX-License-Identifier: MIT
 *
 * path.h - paths of requests, as they are compared and as they are written. Pure.
 */
#ifndef ROOST_ROUTE_PATH_H
#define ROOST_ROUTE_PATH_H

#include "base/str.h"

struct strbuf;

/* Could path_normalise change it? One look; nearly always false. */
bool path_is_odd(struct str path);

/* A path as it is compared: percent-decoded once (what is no encoding stays), dot
 * segments resolved (RFC 3986, 5.2.4), slashes merged. out has room for path.n bytes;
 * returns the length. A path that begins with no slash ("*") stays as it is. */
size_t path_normalise(struct str path, char *out);

/* Behind a path that takes the place of another's beginning: could this rest lead out
 * of it (dot segments, however encoded), or make a host of it ("//host")? buf has room
 * for rest.n bytes. */
bool path_may_stray(struct str rest, char *buf);

/* Appends it with everything percent-encoded that may not stand in a path (RFC 3986,
 * 3.3); slashes may. keep_codes: a '%' is the beginning of an encoding already. */
void path_encode(struct str path, bool keep_codes, struct strbuf *out);

#endif
