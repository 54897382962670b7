/* SPDX-License-Identifier: MIT
 *
 * handshake.h - the opening handshake of RFC 6455, 4, seen from the middle. Pure.
 */
#ifndef ROOST_WS_HANDSHAKE_H
#define ROOST_WS_HANDSHAKE_H

#include "base/reasons.h"
#include "base/str.h"

struct head;
struct response;
struct strbuf;

enum { HANDSHAKE_KEY = 24, HANDSHAKE_ACCEPT = 28 };

/* Is this a request that may be passed on as an upgrade (GET, 1.1, one version 13, one
 * key of 16 base64 bytes)? NONE: yes; UPGRADE_VERSION: answer 426 with
 * Sec-WebSocket-Version: 13; UPGRADE_BAD: answer 400. Only for heads with `upgrade`. */
enum reason handshake_check(const struct head *head);

/* Is this Origin of a request (RFC 6454, 7) what an allow-list names? The same scheme,
 * host and port in any case, or null, or for a host that begins with "*." one below. */
bool handshake_origin_fits(struct str origin, struct str allowed);

/* Sec-WebSocket-Accept for a key; writes HANDSHAKE_ACCEPT bytes and a NUL. */
void handshake_accept(struct str key, char out[HANDSHAKE_ACCEPT + 1]);

/* Is this 101 the right answer to `key`: Upgrade, Connection, the accept value, at most
 * one subprotocol out of `offered_protocols` (Sec-WebSocket-Protocol of the request,
 * may be empty), no extension that was not offered? Where the request had several
 * lines of them, the values come joined by commas. */
bool handshake_answer_ok(const struct response *r, struct str key,
    struct str offered_protocols, struct str offered_extensions);

/* Appends the offer of extensions as it should reach the backend when sessions may be
 * re-homed: each permessage-deflate element gets client_no_context_takeover and
 * server_no_context_takeover (RFC 7692, 7.1.1) if it lacks them, so that every message
 * boundary is a clean cut; everything else unchanged. */
void handshake_offer(struct str offered, struct strbuf *out);

/* What an agreed Sec-WebSocket-Extensions value means for us. compressed: RSV1 may be
 * set, since an extension was agreed. cuttable: any message boundary is a clean cut: no
 * extension, or permessage-deflate without context takeover by either side (the hint
 * in an offer binds the real client only when the answer repeats it). An extension
 * other than permessage-deflate is never cuttable. */
void handshake_agreed(struct str extensions, bool *compressed_r, bool *cuttable_r);

/* May a client that holds `held` (cuttable) go on with a backend that has agreed to
 * `agreed`? The same, in whatever order, but a window of the server's may be smaller
 * and one of the client's larger (RFC 7692, 7.1.2): neither side then refers to
 * anything that the other does not keep. */
bool handshake_terms_fit(struct str held, struct str agreed);

#endif
