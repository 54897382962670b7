/* SPDX-License-Identifier: MIT
 *
 * form.h - what a value must look like to mean anything. Pure.
 */
#ifndef ROOST_CONFIG_FORM_H
#define ROOST_CONFIG_FORM_H

#include "base/str.h"

/* Not empty and without control characters, so that it can be logged and dumped. */
bool form_is_text(struct str s);

/* A token of RFC 9110, 5.6.2: names of headers, cookies. */
bool form_is_token(struct str s);

/* Letters, digits, '-', '_' and '.': upstreams. */
bool form_is_name(struct str s);

/* As that, and what addresses consist of, since a backend's name defaults to one. */
bool form_is_backend_name(struct str s);

/* A hostname, a numeric IPv4 address, or "*." and a hostname; no port. */
bool form_is_host(struct str s);

/* Begins with '/' and has nothing a request path cannot have. */
bool form_is_path(struct str s);

/* Numeric, or "*", and a port; 0 is any port. */
bool form_is_listener_address(struct str s);

/* A hostname or numeric address, and a port that is not 0. */
bool form_is_backend_address(struct str s);

/* A code on which WebSocket clients come back: 1012, 1013, or the application's own. */
bool form_is_close_code(struct str s);

/* "address", or "cookie:", "header:" or "query:" and a name. */
bool form_is_client_key(struct str s);

#endif
