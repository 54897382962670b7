/* SPDX-License-Identifier: MIT
 *
 * estate.h - what a process knows and leaves to the one that takes over, as packets:
 * pins, what was changed of backends while running, and how these are.
 *
 * Both processes are on one machine and share its clock and byte order, but not their
 * version: the old one says which format it writes before it writes anything
 * (heritage.h), and a new one that does not know that does without. A format is never
 * changed but by a new number. The parser trusts no packet: it is whole and sound, or
 * bad. Pure; bequest.c writes, heir.c reads.
 *
 *   HEAD, AMENDMENTS, AMENDMENT*, BACKEND*, PINS*, END: all there is; then PINS as they
 *   change, and the others again where there is something new
 */
#ifndef ROOST_DAEMON_ESTATE_H
#define ROOST_DAEMON_ESTATE_H

#include "base/hash.h"
#include "upstream/amend.h"

struct strbuf;

enum {
	ESTATE_VERSION = 1,
	ESTATE_PACKET = 32768,    /* bytes, at most */
	ESTATE_NUMBER_MAX = 65535 /* of a backend, see there */
};

enum estate_kind {
	ESTATE_HEAD = 1,   /* who reads nothing else needs nothing else */
	ESTATE_AMENDMENTS, /* so many follow: forget all before */
	ESTATE_AMENDMENT,
	ESTATE_BACKEND,
	ESTATE_PINS,
	ESTATE_END
};

struct estate_head {
	uint8_t secrets[HASH_TABLE_SECRETS]; /* under which the pins' keys were made */
	uint32_t stays_ms; /* how long the old process has sessions at most */
};

/* Times are those of the clock that both share. Texts are borrowed from the packet. */
struct estate_backend {
	uint32_t number; /* by which pins call it, until another has it */
	const char *upstream, *name;
	const char *address; /* as configured */
	const char *place;   /* what a name was resolved to, or "" */
	uint32_t announced_weight;
	uint32_t refused, failures;                  /* as in struct backend */
	uint32_t errors, closes, slow, ejections;    /* as in its outlier */
	uint64_t unhealthy_since_ms;                 /* 0: it is well */
	uint64_t failing_until_ms, ejected_until_ms; /* 0: never was */
	uint64_t up_since_ms;
	uint64_t latency; /* a word of balance/latency.h */
};

/* Times are left, or gone by, and at most 49 days: there are many of these. */
struct estate_pin {
	struct hash128 key;
	uint64_t stable;
	uint32_t backend; /* its number */
	uint32_t websocket_left_ms, http_left_ms, age_ms;
	uint32_t seats; /* sessions, there or on their way */
	bool followers, exchanges;
};

struct estate_packet {
	enum estate_kind kind;
	union {
		struct estate_head head;
		uint32_t n_amendments;
		struct amendment amendment; /* texts borrowed */
		struct estate_backend backend;
		struct {
			const uint8_t *at;
			size_t n;
		} pins;
	};
};

/* Appends one packet. */
void estate_write_head(const struct estate_head *head, struct strbuf *out);
void estate_write_count(uint32_t n_amendments, struct strbuf *out);
void estate_write_amendment(const struct amendment *a, struct strbuf *out);
void estate_write_backend(const struct estate_backend *b, struct strbuf *out);
void estate_write_end(struct strbuf *out);

/* One of pins, which is finished with the last pin. `out` is empty before the first. */
void estate_add_pin(const struct estate_pin *pin, struct strbuf *out);
bool estate_has_room(const struct strbuf *out); /* for one pin more */

/* False: it is no such packet. */
bool estate_parse(const void *p, size_t n, struct estate_packet *packet_r);

/* The i-th pin of a packet of pins. */
struct estate_pin estate_pin_at(const struct estate_packet *packet, size_t i);

#endif
