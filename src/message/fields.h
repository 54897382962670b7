/* SPDX-License-Identifier: MIT
 *
 * fields.h - header lines: their grammar, their names, and what they say together.
 *
 * What requests, responses and trailers have in common. Pure: bytes in, verdict out.
 */
#ifndef ROOST_MESSAGE_FIELDS_H
#define ROOST_MESSAGE_FIELDS_H

#include "base/reasons.h"
#include "base/str.h"
#include <stdint.h>

enum parse { PARSE_MORE, PARSE_DONE, PARSE_BAD };

/* Headers that somebody here looks at; everything else is OTHER. */
enum header_id {
	HEADER_OTHER,
	HEADER_ACCEPT,
	HEADER_ACCEPT_ENCODING,
	HEADER_CACHE_CONTROL,
	HEADER_CONNECTION,
	HEADER_CONTENT_ENCODING,
	HEADER_CONTENT_LENGTH,
	HEADER_CONTENT_TYPE,
	HEADER_COOKIE,
	HEADER_DATE,
	HEADER_ETAG,
	HEADER_EXPECT,
	HEADER_FORWARDED,
	HEADER_HOST,
	HEADER_KEEP_ALIVE,
	HEADER_PROXY_AUTHENTICATE,
	HEADER_PROXY_AUTHORIZATION,
	HEADER_PROXY_CONNECTION,
	HEADER_REFERER,
	HEADER_ROOST_REHOMED_FROM,
	HEADER_ROOST_SESSION,
	HEADER_SEC_WEBSOCKET_ACCEPT,
	HEADER_SEC_WEBSOCKET_EXTENSIONS,
	HEADER_SEC_WEBSOCKET_KEY,
	HEADER_SEC_WEBSOCKET_PROTOCOL,
	HEADER_SEC_WEBSOCKET_VERSION,
	HEADER_SET_COOKIE,
	HEADER_TE,
	HEADER_TRACEPARENT,
	HEADER_TRAILER,
	HEADER_TRANSFER_ENCODING,
	HEADER_UPGRADE,
	HEADER_USER_AGENT,
	HEADER_X_FORWARDED_FOR,
	HEADER_X_FORWARDED_HOST,
	HEADER_X_FORWARDED_PROTO,
	HEADER_X_REQUEST_ID,
	HEADER_COUNT
};

struct header {
	struct str name, value; /* value trimmed */
	enum header_id id;
	bool nominated; /* named by Connection: must not be passed on */
};

/* What the header lines of one message say about the message. */
struct header_facts {
	bool close, upgrade; /* options of Connection */
	bool keep_alive;     /* by version and Connection */
	bool chunked;
	bool has_length;
	uint64_t length;
};

/* Which known header is this name, a token? */
enum header_id header_id_of(struct str name);

/* Parses the header lines at p up to and with the empty line into headers[0..*n_r);
 * *used_r is their length. Sets id and trims; checks only the lines' own syntax. Also
 * used for trailers. MORE and BAD as head_parse. */
enum parse header_lines_parse(const char *p, size_t n, struct header *headers,
    unsigned max, unsigned *n_r, size_t *used_r, enum reason *why_r);

/* Judges the lines of a message of version 1.minor as a whole: Connection (sets
 * `nominated`), Content-Length, Transfer-Encoding, no header twice that may not.
 * first_r as in struct head. NONE, or why the message is refused. */
enum reason headers_examine(struct header *headers, unsigned n, unsigned minor,
    int16_t first_r[HEADER_COUNT], struct header_facts *facts_r);

/* Does a list in one of the headers of that id have this element (any case)? */
bool headers_have_element(const struct header *headers, unsigned n, enum header_id id,
    struct str element);

/* Digits only, no sign, nothing that would be negative for those who count in signed
 * numbers (RFC 9110, 8.6). */
bool content_length_parse(struct str value, uint64_t *length_r);

/* True for a token of RFC 9110, 5.6.2. */
bool is_token(struct str s);

#endif
