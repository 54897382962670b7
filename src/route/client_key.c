/* SPDX-License-Identifier: MIT
 *
 * client_key.c - who is the client? See client_key.h.
 *
 * The same value is the same client whether it came as a header, a query parameter or
 * a cookie: a browser's WebSocket cannot send headers, so an application names its
 * client in the query there and in a header elsewhere. Addresses and identities that
 * roost issued are kept apart from these, and from each other.
 *
 * Threads: any.
 */
#include "route/client_key.h"

#include "base/addr.h"
#include "config/config.h"
#include "message/head.h"

/* Added to the upstream's id, itself a hash: the kinds of keys never meet. */
enum { SPACE_VALUE = 0, SPACE_ADDRESS = 1, SPACE_ISSUED = 2 };

static bool
cookie_value(const struct head *head, struct str name, struct str *value_r)
{
	for (unsigned i = 0; i < head->n_headers; i++) {
		const struct header *h = &head->headers[i];

		if (h->id == HEADER_COOKIE && cookie_find(h->value, name, value_r))
			return value_r->n > 0;
	}
	return false;
}

static bool
query_value(struct str query, struct str name, struct str *value_r)
{
	while (query.n) {
		const char *end = memchr(query.p, '&', query.n);
		size_t n = end ? (size_t)(end - query.p) : query.n;

		if (n > name.n + 1 && query.p[name.n] == '=' &&
		    memcmp(query.p, name.p, name.n) == 0) {
			*value_r = (struct str){query.p + name.n + 1, n - name.n - 1};
			return true;
		}
		query.p += n + (end != NULL);
		query.n -= n + (end != NULL);
	}
	return false;
}

/* Without the percent-encoding, so that it equals the same value in a header. */
static struct str
query_decode(struct str value, char *room)
{
	size_t n = 0;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (c == '+')
			c = ' ';
		if (c == '%' && i + 2 < value.n && hex_value(value.p[i + 1]) >= 0 &&
		    hex_value(value.p[i + 2]) >= 0) {
			c = (char)(hex_value(value.p[i + 1]) << 4 |
				   hex_value(value.p[i + 2]));
			i += 2;
		}
		room[n++] = c;
	}
	return (struct str){room, n};
}

/* Of the value's two hashes the one for tables differs in each process. */
static void
key_take(struct client_key *key, const struct config_upstream *conf, uint64_t space,
    struct str value)
{
	key->hash = hash_table_key(space, value.p, value.n);
	if (conf->balance == BALANCE_HASH)
		key->stable = hash_stable(space, value.p, value.n);
}

static void
key_take_query(struct client_key *key, const struct config_upstream *conf,
    uint64_t space, struct str value)
{
	char room[HEAD_MAX_TARGET];

	if (value.n <= sizeof(room) &&
	    (memchr(value.p, '%', value.n) || memchr(value.p, '+', value.n)))
		value = query_decode(value, room);
	key_take(key, conf, space + SPACE_VALUE, value);
}

static bool
key_from_issued(struct client_key *key, const struct config_upstream *conf,
    uint64_t space, const struct head *head)
{
	struct str value;

	if (!cookie_value(head, STR(COOKIE_NAME), &value) ||
	    !cookie_parse(value, &key->cookie)) {
		key->issue = true;
		return false;
	}
	key->has_hint = true;
	key_take(key, conf, space + SPACE_ISSUED, key->cookie.id);
	return true;
}

static bool
key_from(struct client_key *key, const struct config_upstream *conf,
    const struct config_client_key *source, uint64_t space, const struct head *head,
    const struct addr *peer)
{
	struct str value = {NULL, 0};
	struct str name = str_of(source->name);

	switch (source->kind) {
	case KEY_COOKIE:
		if (str_eq(name, STR(COOKIE_NAME)))
			return key_from_issued(key, conf, space, head);
		if (!cookie_value(head, name, &value))
			return false;
		break;
	case KEY_HEADER: value = head_find(head, name); break;
	case KEY_QUERY:
		if (!query_value(head->query, name, &value))
			return false;
		key_take_query(key, conf, space, value);
		return true;
	case KEY_ADDRESS:
		value = addr_bytes(peer);
		space += SPACE_ADDRESS;
		key->weak = value.n > 0;
		break;
	}
	if (value.n == 0)
		return false;
	key_take(key, conf, space, value);
	return true;
}

struct client_key
client_key_of(const struct config_upstream *conf, uint64_t space,
    const struct head *head, const struct addr *peer)
{
	struct client_key key = {.found = false};

	for (size_t i = 0; i < conf->n_client_keys && !key.found; i++)
		key.found =
		    key_from(&key, conf, &conf->client_keys[i], space, head, peer);
	return key;
}

static bool
has_source(const struct config_upstream *conf, enum client_key_kind kind, bool issued)
{
	for (size_t i = 0; i < conf->n_client_keys; i++) {
		const struct config_client_key *source = &conf->client_keys[i];

		if (source->kind == kind &&
		    (kind != KEY_COOKIE ||
			str_eq(str_of(source->name), STR(COOKIE_NAME)) == issued))
			return true;
	}
	return false;
}

static bool
is_issued_id(struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789-_",
			value.p[i]))
			return false;
	return value.n == COOKIE_ID;
}

static bool
parse_cookie(const struct config_upstream *conf, uint64_t space, struct str value,
    struct client_key *key)
{
	struct str id = value;

	if (has_source(conf, KEY_COOKIE, true)) {
		key->has_hint = cookie_parse(value, &key->cookie);
		if (key->has_hint)
			id = key->cookie.id;
		if (key->has_hint || is_issued_id(value)) {
			key_take(key, conf, space + SPACE_ISSUED, id);
			return true;
		}
	}
	key_take(key, conf, space + SPACE_VALUE, value);
	return has_source(conf, KEY_COOKIE, false);
}

static bool
parse_address(const struct config_upstream *conf, uint64_t space, struct str value,
    struct client_key *key)
{
	struct addr addr;

	if (!addr_parse_ip(value, &addr))
		return false;
	key->weak = true;
	key_take(key, conf, space + SPACE_ADDRESS, addr_bytes(&addr));
	return has_source(conf, KEY_ADDRESS, false);
}

bool
client_key_parse(const struct config_upstream *conf, uint64_t space, struct str text,
    struct client_key *key_r)
{
	const char *colon = memchr(text.p, ':', text.n);
	struct str kind = {text.p, colon ? (size_t)(colon - text.p) : 0}, value;

	*key_r = (struct client_key){.found = true};
	if (!colon || kind.n + 1 == text.n)
		return false;
	value = (struct str){colon + 1, text.n - kind.n - 1};
	if (str_eq(kind, STR("cookie")))
		return parse_cookie(conf, space, value, key_r);
	if (str_eq(kind, STR("address")))
		return parse_address(conf, space, value, key_r);
	key_take(key_r, conf, space + SPACE_VALUE, value);
	if (str_eq(kind, STR("header")))
		return has_source(conf, KEY_HEADER, false);
	return str_eq(kind, STR("query")) && has_source(conf, KEY_QUERY, false);
}

struct hash128
client_key_of_id(uint64_t space, const char id[COOKIE_ID + 1])
{
	return hash_table_key(space + SPACE_ISSUED, id, COOKIE_ID);
}

uint64_t
client_key_stable_of_id(uint64_t space, const char id[COOKIE_ID + 1])
{
	return hash_stable(space + SPACE_ISSUED, id, COOKIE_ID);
}
