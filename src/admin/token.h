/* SPDX-License-Identifier: MIT
 *
 * token.h - the secret that users of the admin API show.
 */
#ifndef ROOST_ADMIN_TOKEN_H
#define ROOST_ADMIN_TOKEN_H

#include "base/object.h"
#include <stdbool.h>
#include <stddef.h>

struct strbuf;

enum { TOKEN_MIN = 16, TOKEN_MAX = 512 };

/* n 0: none is asked for. */
struct token {
	char text[TOKEN_MAX];
	size_t n;
};

/* Reads a file that holds nothing else (white space at its end does not count). False:
 * token_r is as it was, and error_r says why. */
bool token_read(const char *file, struct token *token_r,
    struct strbuf *error_r) MUST_CHECK;

/* Is this Authorization header (or NULL) good? Takes as long for any of the token's
 * length. */
bool token_matches(const struct token *token, const char *authorization);

#endif
