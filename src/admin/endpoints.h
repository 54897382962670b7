/* SPDX-License-Identifier: MIT
 *
 * endpoints.h - the table of endpoints, and which of them a request means. Pure.
 */
#ifndef ROOST_ADMIN_ENDPOINTS_H
#define ROOST_ADMIN_ENDPOINTS_H

#include "base/str.h"

struct call;

enum endpoint_access { ACCESS_OPEN, ACCESS_READ, ACCESS_WRITE };

struct endpoint {
	const char *method, *path, *parameters, *help;
	enum endpoint_access access;
	void (*handle)(struct call *c);
};

extern const struct endpoint endpoints[];
extern const size_t n_endpoints;

enum { ENDPOINT_ARGS = 4, ENDPOINT_ALLOW = 64 };

struct endpoint_match {
	const struct endpoint *endpoint;
	struct str args[ENDPOINT_ARGS]; /* what stands for {...}, still encoded */
	size_t n_args;
	char allow[ENDPOINT_ALLOW]; /* methods of that path: "GET, HEAD" */
};

enum endpoint_found { ENDPOINT_FOUND, ENDPOINT_NO_PATH, ENDPOINT_NO_METHOD };

/* A HEAD is answered as a GET. */
enum endpoint_found endpoint_find(struct str method, struct str path,
    struct endpoint_match *match_r);

/* Does this endpoint know that parameter? */
bool endpoint_has_parameter(const struct endpoint *e, struct str name);

/* Undoes the percent-encoding. False: malformed, a NUL in it, or more than size - 1. */
bool endpoint_decode(struct str text, char *buf, size_t size);

#endif
