/* SPDX-License-Identifier: MIT
 *
 * response.h - a strict check of an HTTP/1 response head. Pure.
 */
#ifndef ROOST_MESSAGE_RESPONSE_H
#define ROOST_MESSAGE_RESPONSE_H

#include "message/head.h"

struct response {
	unsigned status;   /* 100-999 */
	struct str reason; /* may be empty */
	unsigned minor;
	bool keep_alive; /* may the connection be used again after the body? */
	enum body_kind body;
	uint64_t length;
	unsigned n_headers;
	struct header headers[HEAD_MAX_HEADERS];
	int16_t first[HEADER_COUNT]; /* as in struct head */
};

/* As head_parse, for the answer to a request with `method` (HEAD and CONNECT rule the
 * body: RFC 9112, 6.3; 1xx, 204 and 304 have none). BAD always means
 * REASON_BAD_RESPONSE: two or bad Content-Length, Content-Length with
 * Transfer-Encoding, a coding other than one final chunked, malformed lines. */
enum parse response_parse(const char *p, size_t n, enum method method,
    struct response *response_r, size_t *used_r);

struct str response_value(const struct response *r, enum header_id id);

#endif
