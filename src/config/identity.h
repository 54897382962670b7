/* SPDX-License-Identifier: MIT
 *
 * identity.h - what tells one element of a section from another, as a text.
 */
#ifndef ROOST_CONFIG_IDENTITY_H
#define ROOST_CONFIG_IDENTITY_H

#include "config/schema.h"

/* Appends what the schema calls its id, and in brackets what else is not as usual:
 * "chat" of an upstream, "a.com/api (match exact, methods [GET])" of a route. */
void identity_print(enum section_id section, const void *element, struct strbuf *out);

/* The same for everybody to see, which may not tell it from all others. */
void identity_print_public(enum section_id section, const void *element,
    struct strbuf *out);

#endif
