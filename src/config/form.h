/* SPDX-License-Identifier: MIT
 *
 * form.h - what a value must look like to mean anything. Pure.
 */
#ifndef ROOST_CONFIG_FORM_H
#define ROOST_CONFIG_FORM_H

#include "base/str.h"

/* Not empty and without control characters, so that it can be logged and dumped. */
bool form_is_text(struct str s);

/* The same, but of several lines, with tabs. */
bool form_is_lines(struct str s);

/* A token of RFC 9110, 5.6.2: names of headers, cookies. */
bool form_is_token(struct str s);

/* A token without small letters, since methods are compared with case. */
bool form_is_method(struct str s);

/* A header's name that may be set in requests: none that frames a message or belongs
 * to a connection. */
bool form_is_request_header(struct str s);

/* The same without Host: may be set in responses, added and removed. */
bool form_is_editable_header(struct str s);

/* type/subtype, without parameters. */
bool form_is_media_type(struct str s);

/* A URL or a path that begins with '/', perhaps with names in braces. */
bool form_is_location(struct str s);

/* Looks like a JSON object of at most 1000 bytes. */
bool form_is_answer(struct str s);

/* "null", or scheme://host[:port], where the host may begin with "*." */
bool form_is_origin(struct str s);

/* Letters, digits, '-', '_' and '.': upstreams. */
bool form_is_name(struct str s);

/* As that, and what addresses consist of, since a backend's name defaults to one; or
 * a unix socket's address. */
bool form_is_backend_name(struct str s);

/* A hostname, a numeric IPv4 address, or "*." and a hostname; no port. */
bool form_is_host(struct str s);

/* An absolute path that fits into the address of a unix socket. */
bool form_is_socket_path(struct str s);

/* At most 32 letters, digits, '-' and '_'. */
bool form_is_tag(struct str s);

/* Begins with '/' and has nothing a request path cannot have. */
bool form_is_path(struct str s);

/* The same, and perhaps a query. */
bool form_is_target(struct str s);

/* What may stand in a Host header: a host, perhaps with a port. */
bool form_is_authority(struct str s);

/* Statuses and ranges of them: "200-299,404". */
bool form_is_status_set(struct str s);

/* Is it in such a set? */
bool form_status_set_has(struct str set, unsigned status);

/* A numeric IPv4 address and a port that is not 0. */
bool form_is_name_server(struct str s);

/* Numeric, or "*", and a port; 0 is any port. Or unix:/path. */
bool form_is_listener_address(struct str s);

/* A hostname or numeric address, and a port that is not 0. Or unix:/path, or srv: and a
 * name. */
bool form_is_backend_address(struct str s);

/* A code on which WebSocket clients come back: 1012, 1013, or the application's own. */
bool form_is_close_code(struct str s);

/* "address", or "cookie:", "header:" or "query:" and a name. */
bool form_is_client_key(struct str s);

#endif
