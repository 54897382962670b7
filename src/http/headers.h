/* SPDX-License-Identifier: MIT
 *
 * headers.h - what is passed on of a head, and what is put in its place. Pure.
 *
 * Framing is never copied: Content-Length, Transfer-Encoding and Connection are written
 * anew from what was understood. Hop-by-hop headers (RFC 9110, 7.6.1) and those that
 * Connection names are dropped; so are names that only roost and the proxies it trusts
 * may say (Roost-*, X-Forwarded-*, Forwarded).
 */
#ifndef ROOST_HTTP_HEADERS_H
#define ROOST_HTTP_HEADERS_H

#include "config/config.h"
#include "message/head.h"

struct edits;
struct response;
struct strbuf;
struct template_values;

enum { REQUEST_ID = 32, REQUEST_ID_MAX = 128 }; /* one of ours; any that is kept */

struct forwarding {
	enum forwarded_style style;
	bool trusted; /* the peer is a proxy of ours: what it says of the client is kept
			 and added to, else it is replaced */
	bool https;   /* how the client came */
	struct str peer; /* the peer's address, as text */
	struct str request_id;
	struct str traceparent;    /* takes the place of the client's; empty: its own */
	struct str fallback_host;  /* Host for an HTTP/1.0 client that said none */
	struct str target;         /* takes the place of the client's; empty: its own */
	const struct edits *edits; /* NULL: none; as `values` */
	const struct template_values *values;
};

/* The request head for the backend, always HTTP/1.1, with what `style` asks for
 * (X-Forwarded-For/-Proto/-Host, Forwarded by RFC 7239) and X-Request-Id. Without the
 * final empty line, so that more can be added. For an upgrade Sec-WebSocket-Extensions
 * is left out: that is the session's business. */
void headers_write_request(struct strbuf *out, const struct head *head,
    const struct forwarding *f);

struct answer {
	unsigned minor;      /* what the client speaks */
	bool keep_alive;     /* will the client's connection stay open? */
	enum body_kind body; /* how the body is framed for the client */
	uint64_t length;     /* of BODY_LENGTH */
	bool describes_body; /* HEAD, 304: the framing headers tell of a body that is
				not sent; they are passed as they came */
	const char *cookie;  /* value of the roost cookie to set, or NULL */
	bool https;          /* how the client came */
	unsigned coding;     /* that the body is compressed with here; 0: as it came */
	bool varies;         /* another client may get another coding */
	const struct edits *edits; /* NULL: none; as `values` */
	const struct template_values *values;
};

/* The response head for the client, whole. The cookie is left out where the response
 * says that it may be cached publicly (RFC 9111, 5.2.2). */
void headers_write_response(struct strbuf *out, const struct response *r,
    const struct answer *a);

/* An interim response (1xx) for an HTTP/1.1 client, whole. */
void headers_write_interim(struct strbuf *out, const struct response *r);

/* The 101 of an upgrade, whole: as the backend said it, with our framing. */
void headers_write_upgrade(struct strbuf *out, const struct response *r,
    const struct answer *a);

/* Trailer lines (chunk.h) that may be passed on: none that frames, routes or
 * authenticates (RFC 9110, 6.5.1). */
void headers_write_trailers(struct strbuf *out, struct str section);

#endif
