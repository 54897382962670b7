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

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
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

static struct hash128
query_hash(uint64_t space, struct str value)
{
	char room[HEAD_MAX_TARGET];

	if (value.n <= sizeof(room) &&
	    (memchr(value.p, '%', value.n) || memchr(value.p, '+', value.n)))
		value = query_decode(value, room);
	return hash_table_key(space + SPACE_VALUE, value.p, value.n);
}

static bool
key_from_issued(struct client_key *key, uint64_t space, const struct head *head)
{
	struct str value;

	if (!cookie_value(head, STR(COOKIE_NAME), &value) ||
	    !cookie_parse(value, &key->cookie)) {
		key->issue = true;
		return false;
	}
	key->has_hint = true;
	key->hash =
	    hash_table_key(space + SPACE_ISSUED, key->cookie.id.p, key->cookie.id.n);
	return true;
}

static bool
key_from(struct client_key *key, const struct config_client_key *source, uint64_t space,
    const struct head *head, const struct addr *peer)
{
	struct str value = {NULL, 0};
	struct str name = str_of(source->name);

	switch (source->kind) {
	case KEY_COOKIE:
		if (str_eq(name, STR(COOKIE_NAME)))
			return key_from_issued(key, space, head);
		if (!cookie_value(head, name, &value))
			return false;
		break;
	case KEY_HEADER: value = head_find(head, name); break;
	case KEY_QUERY:
		if (!query_value(head->query, name, &value))
			return false;
		key->hash = query_hash(space, value);
		return true;
	case KEY_ADDRESS:
		value = addr_bytes(peer);
		space += SPACE_ADDRESS;
		key->weak = value.n > 0;
		break;
	}
	if (value.n == 0)
		return false;
	key->hash = hash_table_key(space, value.p, value.n);
	return true;
}

struct client_key
client_key_of(const struct config_upstream *conf, uint64_t space,
    const struct head *head, const struct addr *peer)
{
	struct client_key key = {.found = false};

	for (size_t i = 0; i < conf->n_client_keys && !key.found; i++)
		key.found = key_from(&key, &conf->client_keys[i], space, head, peer);
	return key;
}

struct hash128
client_key_of_id(uint64_t space, const char id[COOKIE_ID + 1])
{
	return hash_table_key(space + SPACE_ISSUED, id, COOKIE_ID);
}
