/* SPDX-License-Identifier: MIT
 *
 * token.c - the secret that users of the admin API show; see token.h.
 */
#include "admin/token.h"

#include "base/strbuf.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>

/* What a header can carry as one word. */
static bool
is_word(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return false;
	return true;
}

static const char *
token_take(char *text, size_t n, struct token *token_r)
{
	while (n && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
		n--;
	if (n < TOKEN_MIN)
		return "a token needs at least 16 characters";
	if (n > TOKEN_MAX || !is_word(text, n))
		return "a token is one word of at most 512 printable characters";
	memcpy(token_r->text, text, n);
	token_r->n = n;
	return NULL;
}

bool
token_read(const char *path, struct token *token_r, struct strbuf *error_r)
{
	char text[TOKEN_MAX + 3]; /* the end of a line, and one too many */
	const char *wrong;
	FILE *file = fopen(path, "re");
	size_t n;

	if (!file) {
		strbuf_printf(error_r, "%s: %s", path, strerror(errno));
		return false;
	}
	n = fread(text, 1, sizeof(text), file);
	wrong = ferror(file) ? strerror(errno) : token_take(text, n, token_r);
	fclose(file);
	OPENSSL_cleanse(text, sizeof(text));
	if (wrong)
		strbuf_printf(error_r, "%s: %s", path, wrong);
	return !wrong;
}

bool
token_matches(const struct token *token, const char *authorization)
{
	static const char scheme[] = "bearer ";
	const char *shown;

	if (token->n == 0)
		return true;
	if (!authorization ||
	    strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return false;
	shown = authorization + sizeof(scheme) - 1;
	while (*shown == ' ')
		shown++;
	return strlen(shown) == token->n &&
	       CRYPTO_memcmp(shown, token->text, token->n) == 0;
}
