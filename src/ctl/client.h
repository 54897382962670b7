/* SPDX-License-Identifier: MIT
 *
 * client.h - asks the admin API, and where it is to be found.
 *
 * Plain sockets that block up to a deadline, one connection per request: roostctl has
 * nothing else to do meanwhile. The head of the answer is parsed by the same strict
 * parser that reads backends.
 */
#ifndef ROOST_CTL_CLIENT_H
#define ROOST_CTL_CLIENT_H

#include "base/strbuf.h"

enum { CLIENT_TOKEN = 1024 };

struct client {
	struct strbuf address;    /* HOST:PORT or unix:/path, for messages, too */
	char token[CLIENT_TOKEN]; /* "": none */
};

/* The first that is there: `server`, $ROOST_ADMIN, admin.bind of the file `config`, or
 * of the standard one. The token: of token_file, $ROOST_TOKEN_FILE, or, where the
 * address came from a file, its admin.token_file. False: error_r says why. */
bool client_init(struct client *c, const char *server, const char *token_file,
    const char *config, struct strbuf *error_r) MUST_CHECK;
void client_fini(struct client *c);

struct answer {
	unsigned status;
	struct strbuf body;
};
void answer_fini(struct answer *a);

/* body: JSON, or NULL. wait_ms: what the answer may take beyond the usual 10 s. False:
 * nobody is there or the answer makes no sense; error_r says so. */
bool client_ask(const struct client *c, const char *method, const char *target,
    const char *body, uint64_t wait_ms, struct answer *answer_r,
    struct strbuf *error_r) MUST_CHECK;

#endif
