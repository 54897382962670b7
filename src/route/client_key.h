/* SPDX-License-Identifier: MIT
 *
 * client_key.h - who is the client? First of the configured sources that has a value.
 */
#ifndef ROOST_ROUTE_CLIENT_KEY_H
#define ROOST_ROUTE_CLIENT_KEY_H

#include "base/hash.h"
#include "route/cookie.h"

struct addr;
struct config_upstream;
struct head;

struct client_key {
	bool found; /* false: nothing in the list has a value, an anonymous client */
	bool weak;  /* from the address: one address may be many clients */
	bool issue; /* a cookie is to be issued: the list wants cookie:roost, a good one
		       is missing, and nothing before it had a value */
	struct hash128 hash;
	uint64_t stable; /* the same value gives the same in every process; only where
			    the policy is hash */
	bool has_hint; /* `cookie` is the roost cookie it came with, for cookie_names */
	struct cookie cookie;
};

/* `space` is the upstream's id. Empty values count as absent; a cookie:roost that is
 * not of our shape counts as absent. Borrows from head. No allocation. Any thread. */
struct client_key client_key_of(const struct config_upstream *conf, uint64_t space,
    const struct head *head, const struct addr *peer);

/* A client as an administrator names it: the word before the colon is a source's kind,
 * header:VALUE, query:VALUE (decoded), cookie:VALUE or address:IP; a cookie that roost
 * issued may be its identity alone. False: not of that form, or no source of that kind
 * is in the list. */
bool client_key_parse(const struct config_upstream *conf, uint64_t space,
    struct str text, struct client_key *key_r);

/* The key of an identity just issued: what client_key_of will give when it returns. */
struct hash128 client_key_of_id(uint64_t space, const char id[COOKIE_ID + 1]);
uint64_t client_key_stable_of_id(uint64_t space, const char id[COOKIE_ID + 1]);

#endif
