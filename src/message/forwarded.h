/* SPDX-License-Identifier: MIT
 *
 * forwarded.h - who the proxies in front of us say the client is. Pure.
 *
 * X-Forwarded-For and Forwarded (RFC 7239) are lists to which each proxy appends the
 * peer it saw. Only what trusted proxies appended may be believed, so the lists are
 * read from the right: the first address that is no trusted proxy is the client.
 */
#ifndef ROOST_MESSAGE_FORWARDED_H
#define ROOST_MESSAGE_FORWARDED_H

#include "base/addr.h"
#include "message/head.h"

/* The client's address (port 0) as the head's lists tell it, for a peer that is trusted
 * itself. X-Forwarded-For is read where it is there, else Forwarded: most proxies
 * append to the former and pass the latter on as the client sent it, so with the other
 * order anybody could choose an address. When all are trusted the leftmost counts;
 * something that is no address ("unknown", obfuscated, an element without `for`) ends
 * the search with the last one read. False: the lists say nothing, the peer is the
 * client. */
bool forwarded_client(const struct head *head, const struct addr_range *trusted,
    size_t n_trusted, struct addr *client_r);

/* Did the proxy in front say that the client came by TLS (https, wss)? Its word is the
 * last element of X-Forwarded-Proto, or where that is missing `proto` in the last
 * element of Forwarded. False where it said nothing. */
bool forwarded_is_https(const struct head *head);

/* A request id that may be kept: 1 to 128 of letters, digits and -_.:+/=@ */
bool request_id_is_good(struct str id);

/* A traceparent of W3C Trace Context, version 00, neither id all zero; its trace id
 * goes to *trace_id_r (within value). */
bool traceparent_is_good(struct str value, struct str *trace_id_r);

#endif
