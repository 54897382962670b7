/* SPDX-License-Identifier: MIT
 *
 * check.h - what a health check says, what it makes of the answer, and what follows
 * from several of them. Pure; whoever connects is probe.c.
 */
#ifndef ROOST_UPSTREAM_CHECK_H
#define ROOST_UPSTREAM_CHECK_H

#include "base/strbuf.h"
#include "config/config.h"
#include "message/chunk.h"
#include "message/head.h"

/* ---- one check ---- */

enum { CHECK_BODY_MAX = 65536, CHECK_WHY = 96 };

enum check_verdict {
	CHECK_MORE, /* wait for more of the answer */
	CHECK_GOOD,
	CHECK_BAD /* `why` says why */
};

/* check_fini frees what it holds. Owner: who began it. */
struct check {
	const struct config_health *conf; /* borrowed */
	struct strbuf raw;  /* a head or a chunk's line that is not whole */
	struct strbuf seen; /* the end of the body so far, where the text may begin */
	bool has_head;
	enum body_kind body;
	uint64_t left;    /* of a body whose length is known */
	uint64_t at_most; /* of the body that is still looked at */
	struct chunk_decoder chunks;
	char why[CHECK_WHY];
};

static inline bool
check_is_wanted(const struct config_health *conf)
{
	return conf->http || conf->websocket || conf->tcp;
}

void check_init(struct check *c, const struct config_health *conf);
void check_fini(struct check *c);

/* What is sent once connected; address: the backend's, for the Host. Nothing where
 * connecting is all. */
void check_write_request(const struct config_health *conf, const char *address,
    struct strbuf *out);

/* The next bytes of the answer. Not to be called after a verdict. */
enum check_verdict check_take(struct check *c, const char *p, size_t n);

/* The answer ended here. */
enum check_verdict check_end(struct check *c);

/* After the good answer to a WebSocket handshake: the Close that lets the backend see
 * an orderly end. */
extern const char check_farewell[8];

/* ---- several ---- */

/* Zeroed: taken to be well, until `fall` bad checks in a row say otherwise. */
struct health {
	unsigned in_a_row; /* that speak against what is believed */
	bool bad;          /* is believed */
};

/* Notes one result. True: what is believed has changed. */
bool health_note(struct health *h, bool good, unsigned rise, unsigned fall);

#endif
