/* SPDX-License-Identifier: MIT
 *
 * cookie.h - the identity that roost issues to a client that brings none.
 *
 * Value: ID.TIME.TAG, all base64url: 128 random bits (22 characters), the second it
 * was issued (6), and a keyed hash over both and the backend that was chosen then
 * (11). Only ID is the client key. The tag steers a client that comes back within the
 * HTTP lock to the same backend, on any node with the same secret, without any entry
 * in a table; a forged one only prefers some backend, as a reload of the page would.
 */
#ifndef ROOST_ROUTE_COOKIE_H
#define ROOST_ROUTE_COOKIE_H

#include "base/hash.h"
#include "base/str.h"
#include <stdbool.h>

#define COOKIE_NAME "roost"
enum { COOKIE_ID = 22, COOKIE_VALUE = 22 + 1 + 6 + 1 + 11 };

struct cookie {
	struct str id;   /* into the request */
	uint64_t issued; /* seconds since 1970 */
	uint64_t tag;
};

/* Reads a cookie value; false: not one of ours in shape. */
bool cookie_parse(struct str value, struct cookie *cookie_r);

/* A new identity; writes COOKIE_ID characters and a NUL. */
void cookie_new_id(char id[COOKIE_ID + 1]);

/* The value for an id and the backend chosen (upstream: its id, backend: its identity,
 * both the same on every node); writes COOKIE_VALUE characters and a NUL. */
void cookie_write(char value[COOKIE_VALUE + 1], const uint8_t secret[HASH_SECRET],
    const char id[COOKIE_ID + 1], uint64_t now_s, uint64_t upstream, uint64_t backend);

/* Was it issued with this backend of this upstream? */
bool cookie_names(const struct cookie *c, const uint8_t secret[HASH_SECRET],
    uint64_t upstream, uint64_t backend);

/* Finds `name` in the value of a Cookie header (RFC 6265, 4.2.1); false: absent. */
bool cookie_find(struct str header, struct str name, struct str *value_r);

#endif
