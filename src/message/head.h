/* SPDX-License-Identifier: MIT
 *
 * head.h - a strict check of an HTTP/1 request head. Pure: bytes in, verdict out.
 *
 * Follows RFC 9112 and RFC 9110 and refuses everything they forbid, since every
 * leniency is a way to smuggle: bare CR or LF, NUL and control bytes, blanks before
 * the colon, folded lines, two or non-digit Content-Length, Content-Length beside
 * Transfer-Encoding, any transfer coding but one final "chunked", no or two Host.
 */
#ifndef ROOST_MESSAGE_HEAD_H
#define ROOST_MESSAGE_HEAD_H

#include "message/fields.h"

enum { HEAD_MAX_BYTES = 32768, HEAD_MAX_TARGET = 8192, HEAD_MAX_HEADERS = 100 };

enum body_kind {
	BODY_NONE,
	BODY_LENGTH, /* `length` bytes, maybe 0 */
	BODY_CHUNKED,
	BODY_UNTIL_CLOSE /* responses only */
};

enum method {
	METHOD_OTHER,
	METHOD_GET,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_PUT,
	METHOD_DELETE,
	METHOD_OPTIONS,
	METHOD_PATCH,
	METHOD_TRACE
};

/* A request head; every str points into the bytes that were parsed, but for the "*"
 * that the target of an OPTIONS becomes when it is absolute and without path, and the
 * "/" that is the path of an absolute target with nothing but a query. That target
 * begins with '?', and whoever writes it puts the slash in front. */
struct head {
	struct str method_text; /* any token: PROPFIND, QUERY ... */
	enum method method;
	struct str target;    /* as sent, absolute-form cut down to path and query ("/"
				 when empty), "*" only with OPTIONS */
	struct str path;      /* of target, without query */
	struct str query;     /* without the question mark */
	struct str authority; /* of an absolute-form target, else Host's value */
	struct str host;      /* authority without its port */
	unsigned minor;       /* HTTP/1.minor: 0 or 1 */
	bool keep_alive;      /* by version and Connection */
	bool https;           /* the target was absolute and asks for https */
	bool expect_continue; /* Expect: 100-continue, 1.1 only */
	bool upgrade;         /* Connection: upgrade with Upgrade: websocket */
	enum body_kind body;
	uint64_t length;
	unsigned n_headers;
	struct header headers[HEAD_MAX_HEADERS];
	int16_t first[HEADER_COUNT]; /* the first of headers[] with that id, or -1 */
};

/* Parses one request head at p. DONE: *head_r is filled and *used_r is the length of
 * the head with its empty line (what follows belongs to the body or to the next
 * request). MORE: nothing wrong so far, more bytes are needed; call again with all
 * bytes from the start of the head. BAD: *why_r says what. Empty lines before the
 * request line are skipped (RFC 9112, 2.2) and counted in *used_r.
 * No allocation, no state. */
enum parse head_parse(const char *p, size_t n, struct head *head_r, size_t *used_r,
    enum reason *why_r);

/* Value of the first header of that id; {NULL, 0} when there is none. */
struct str head_value(const struct head *head, enum header_id id);

/* Value of the first header of that name (any case); {NULL, 0} when there is none. */
struct str head_find(const struct head *head, struct str name);

/* Will the client wait for a 100 before it sends its body? */
static inline bool
head_expects_continue(const struct head *head)
{
	return head->expect_continue && (head->body == BODY_CHUNKED || head->length);
}

/* May a request with this method be sent again when its fate is unknown? (RFC 9110,
 * 9.2.2) */
bool method_is_idempotent(enum method method);

#endif
