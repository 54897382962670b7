/* SPDX-License-Identifier: MIT
 *
 * edits.h - headers that a route sets, adds or removes.
 *
 * Removing and setting both drop what the message brought; setting and adding append.
 * Owner: the route. Thread: immutable, any.
 */
#ifndef ROOST_ROUTE_EDITS_H
#define ROOST_ROUTE_EDITS_H

#include "config/config.h"
#include "base/template.h"

struct edits;
struct strbuf;

/* NULL where there is nothing to edit (*ok_r true) or no memory (false). */
struct edits *edits_new(const struct config_header_edits *conf, bool *ok_r);
void edits_free(struct edits *e); /* NULL is fine */

/* Is a header of that name dropped from the message? NULL edits: no. */
bool edits_drop(const struct edits *e, struct str name);

/* Appends the lines to set and to add, but never a Host line. NULL: nothing. */
void edits_write(const struct edits *e, const struct template_values *values,
    struct strbuf *out);

/* The Host that takes the place of the client's; false: none is set. */
bool edits_host(const struct edits *e, const struct template_values *values,
    struct strbuf *out);

#endif
