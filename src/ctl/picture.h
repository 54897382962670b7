/* SPDX-License-Identifier: MIT
 *
 * picture.h - what roost is doing at one moment, as people see it.
 *
 * Drawn from the API's answers alone, so that `status`, its live view and a test draw
 * the same.
 */
#ifndef ROOST_CTL_PICTURE_H
#define ROOST_CTL_PICTURE_H

#include "ctl/out.h"
#include <jansson.h>

/* Answers of one moment. Owner: who took them; NULL is fine. */
struct picture {
	json_t *status, *upstreams, *rehomes;
	uint64_t at_ms;
};
void picture_fini(struct picture *p);

/* How many sessions were to leave each backend at most, so that what has gone can be
 * told from what is left. Owner: the live view. */
struct departures {
	json_t *most; /* by "upstream/backend" */
};

/* before: NULL, or what it was a while ago, for numbers per second; departures: NULL,
 * or brought up to date here. */
void picture_draw(const struct picture *now, const struct picture *before,
    struct departures *departures, struct out *o);

#endif
