/* SPDX-License-Identifier: MIT
 *
 * steering.c - what clients of the rig do; see steering.h.
 */
#include "steering.h"

#include "base/clock.h"

#include <check.h>

uint64_t now;

void
steering_begin(void)
{
	clock_fake_set(1000000);
	now = clock_now_ms();
	rig_begin(1);
}

void
steering_end(void)
{
	rig_end();
	clock_fake_stop();
}

void
tick(uint64_t ms)
{
	clock_fake_advance(ms);
	now = clock_now_ms();
}

struct choice
ask(struct client_key key, bool websocket)
{
	struct choice c;

	ck_assert(choose(&rig.chooser, rig.up, &key, websocket, NULL, now, &c));
	return c;
}

struct backend *
exchange(struct client_key key, enum choose_by *by_r)
{
	struct choice c = ask(key, false);
	struct backend *b = c.backend;

	if (by_r)
		*by_r = c.by;
	choice_end(&rig.chooser, rig.up, &c, now);
	return b;
}

struct claim
open_session(struct client_key key, struct backend **b_r, struct choice *choice_r)
{
	struct choice c = ask(key, true);
	struct claim claim;

	if (b_r)
		*b_r = c.backend;
	if (choice_r)
		*choice_r = c;
	claim = choose_session_opened(&rig.chooser, rig.up, &c, now);
	choice_end(&rig.chooser, rig.up, &c, now);
	ck_assert(claim.held);
	return claim;
}

void
close_session(struct claim *claim, bool clean)
{
	choose_session_closed(&rig.chooser, rig.up, claim, clean, now);
	ck_assert(!claim->held);
}
