/* SPDX-License-Identifier: MIT
 *
 * simulator_workers.c - what workers do with a move, as src/ws/rehome.c does it, each
 * in its own time; see simulator.h.
 */
#include "simulator.h"

#include "upstream/pace.h"

#include <check.h>
#include <stdlib.h>
#include <utlist.h>

enum { HOLD_MS = 5000 };

/* Read in the order in which they were written, but late. */
struct letter {
	struct letter *prev, *next;
	struct move move; /* `to`: a reference */
	uint64_t at;
};

static struct letter *mail[WORKERS];
static uint64_t reload_at[WORKERS]; /* 0: has the newest configuration */

static struct chooser *
chooser_of(const struct place *place)
{
	return &world.choosers[place->worker];
}

static const struct upstream *
up_of(const struct place *place)
{
	return view_of(place->worker);
}

/* ---- a place ---- */

static void
take(struct backend **slot, struct backend *b)
{
	struct backend *old = *slot;

	*slot = b ? backend_get(b) : NULL;
	backend_put(old);
}

void
settle(struct place *place)
{
	take(&place->to, NULL);
	take(&place->next, NULL);
	place->stage = SETTLED;
	place->cut = false;
	if (!place->lost)
		choose_settled(chooser_of(place), &place->claim, place->home);
}

static void
wait_for(struct place *place, uint64_t ms)
{
	place->stage = MOVING;
	place->cut = false;
	place->due = world.now + ms + 50 + roll(500);
}

static void
send_away(struct place *place)
{
	choose_session_sent_away(chooser_of(place), up_of(place), &place->claim,
	    world.now);
	take(&place->home, NULL);
	take(&place->to, NULL);
	take(&place->next, NULL);
	place->stage = AWAY;
	place->notices_at = 0;
	place->due = world.now + 50 + roll(4000);
}

/* A worker may have moved the pin: then a lock begins. */
static void
law_sees_pin(struct person *p, const struct place *place)
{
	struct pin pin;

	if (!pins_lookup(rig.pins, place->claim.key, world.now, &pin))
		return;
	if (p->lock_at != pin.backend)
		law_lock(p, pin.backend, up_of(place));
	backend_put(pin.backend);
}

/* Its pin goes back to its home. False: another socket of the client is elsewhere. */
static bool
stay(struct person *p, struct place *place, struct backend *to)
{
	if (!choose_rehome_undo(chooser_of(place), up_of(place), &place->claim,
		place->home, to, world.now, HOLD_MS))
		return false;
	law_sees_pin(p, place);
	return true;
}

static struct backend *
look_for_home(struct person *p, struct place *place, struct backend *from)
{
	struct backend *to = choose_rehome(chooser_of(place), up_of(place),
	    &place->claim, from, world.now);

	law_sees_pin(p, place);
	return to;
}

/* ---- hearing of a move ---- */

static void
redirect(struct place *place, struct backend *to, uint64_t delay)
{
	if (to == place->to) {
		take(&place->next, NULL);
	} else if (place->cut) {
		take(&place->next, to);
	} else if (to == place->home && !place->lost) {
		settle(place);
	} else {
		take(&place->to, to);
		wait_for(place, delay);
	}
}

static void
begin(struct person *p, struct place *place, struct backend *to, uint64_t delay)
{
	struct backend *pinned = look_for_home(p, place, place->home);

	take(&place->to, pinned ? pinned : to);
	backend_put(pinned);
	wait_for(place, delay);
}

static void
obey(struct person *p, struct place *place, const struct move *m)
{
	enum rehome_mode mode = up_of(place)->conf->rehome.mode;

	if (place->stage == SETTLED && place->home == m->to) {
		settle(place);
		return;
	}
	if (place->stage == AWAY ||
	    !choose_points_to(chooser_of(place), &place->claim, m->to, world.now))
		return;
	if (place->stage == MOVING) {
		redirect(place, m->to, m->delay_ms);
	} else if (place->stage == LEAVING) {
		if (!place->lost && place->due > world.now + m->delay_ms)
			place->due = world.now + m->delay_ms;
	} else if (mode == REHOME_TRANSPARENT) {
		begin(p, place, m->to, m->delay_ms);
	} else if (mode == REHOME_RECONNECT) {
		place->stage = LEAVING;
		place->due = world.now + m->delay_ms;
	} else if (stay(p, place, m->to)) {
		settle(place);
	} else {
		send_away(place);
	}
}

static void
read_letter(unsigned worker, const struct letter *l)
{
	struct person *p = person_of(l->move.key);

	for (unsigned j = 0; p && j < p->n; j++)
		if (p->places[j].worker == worker)
			obey(p, &p->places[j], &l->move);
}

static void
read_mail(unsigned worker)
{
	struct letter *l;

	while ((l = mail[worker]) && l->at <= world.now) {
		read_letter(worker, l);
		DL_DELETE(mail[worker], l);
		backend_put(l->move.to);
		free(l);
	}
}

void
tell_workers(const struct move *m)
{
	for (unsigned w = 0; w < WORKERS; w++) {
		struct letter *l = calloc(1, sizeof(*l));
		const struct letter *last = mail[w] ? mail[w]->prev : NULL;

		LAW(l, "no memory");
		l->move = *m;
		backend_get(m->to);
		l->at = world.now + roll(roll(4) ? TICK : LAG_MS);
		if (last && last->at > l->at)
			l->at = last->at;
		DL_APPEND(mail[w], l);
	}
}

bool
has_news(unsigned worker, struct hash128 key)
{
	const struct letter *l;

	DL_FOREACH (mail[worker], l)
		if (hash128_eq(l->move.key, key))
			return true;
	return false;
}

/* ---- losing a backend ---- */

static void
lose_home(struct person *p, struct place *place)
{
	const struct upstream *up = up_of(place);
	struct backend *to;
	uint64_t delay;

	place->notices_at = 0;
	if (place->lost)
		return;
	backend_mark_failed(place->home, world.now, random_u64(&world.dice));
	if (up->conf->rehome.mode == REHOME_OFF) {
		choose_session_closed(chooser_of(place), up, &place->claim, false,
		    world.now);
		forget(p, place);
		return;
	}
	to = look_for_home(p, place, place->home);
	place->lost = true;
	choose_unsettled(chooser_of(place), &place->claim);
	if (place->stage == MOVING && !place->cut) {
		place->due = world.now;
	} else if (place->stage != MOVING) {
		struct backend *goal = to ? to : place->home;

		delay = pace_book_ms(up, goal, world.now * 1000);
		law_counts_move(up, goal, world.now + delay);
		take(&place->to, goal);
		wait_for(place, delay);
		if (up->conf->rehome.mode == REHOME_RECONNECT)
			place->stage = LEAVING;
	}
	backend_put(to);
}

void
kill_backend(struct backend *b, uint64_t ms)
{
	world.dead_until[number_of(b)] = world.now + ms;
	for (unsigned i = 0; i < PEOPLE; i++)
		for (unsigned j = 0; j < world.people[i].n; j++) {
			struct place *place = &world.people[i].places[j];

			if (place->home == b && !place->lost)
				place->notices_at = world.now + 1 + roll(1500);
		}
}

/* ---- moving ---- */

static void
give_up(struct person *p, struct place *place)
{
	world.dropped++;
	if (!place->lost && stay(p, place, place->to)) {
		settle(place);
	} else if (!place->lost) {
		send_away(place);
	} else {
		choose_session_closed(chooser_of(place), up_of(place), &place->claim,
		    false, world.now);
		forget(p, place);
	}
}

/* The new backend refuses. */
static void
fail_move(struct person *p, struct place *place)
{
	struct backend *to;

	world.failures++;
	if (is_dead(place->to))
		backend_mark_failed(place->to, world.now, random_u64(&world.dice));
	if (++place->tries >= TRIES) {
		give_up(p, place);
	} else if (place->lost) {
		to = look_for_home(p, place, place->to);
		if (to)
			take(&place->to, to);
		backend_put(to);
		wait_for(place, 1000 + roll(2000));
	} else if (stay(p, place, place->to)) {
		settle(place);
	} else {
		wait_for(place, 1000 + roll(2000));
	}
}

static void
switch_over(struct person *p, struct place *place)
{
	struct move on = {.key = place->claim.key, .why = MOVE_LEAVING};

	place->notices_at = 0;
	place->lost = false;
	place->tries = 0;
	take(&place->home, place->to);
	choose_rehome_done(chooser_of(place), up_of(place), &place->claim, place->home,
	    world.now);
	law_sees_pin(p, place);
	on.to = place->next ? backend_get(place->next) : NULL;
	settle(place);
	if (is_dead(place->home))
		place->notices_at = world.now + 1 + roll(1500);
	if (on.to)
		obey(p, place, &on);
	backend_put(on.to);
}

/* What was asked is still answered by the old backend, then the new one has it. */
static void
cut(struct person *p, struct place *place)
{
	choose_rehome_done(chooser_of(place), up_of(place), &place->claim, place->to,
	    world.now);
	law_sees_pin(p, place);
	place->cut = true;
	place->due = world.now + roll(2500);
}

static void
advance(struct person *p, struct place *place)
{
	bool fails =
	    is_dead(place->to) || (!world.peace && !place->cut && roll(40) == 0);

	if (fails && place->cut) { /* the old one is out already */
		place->lost = true;
		choose_unsettled(chooser_of(place), &place->claim);
	}
	if (!place->lost && !place->cut &&
	    choose_points_to(chooser_of(place), &place->claim, place->home, world.now))
		settle(place);
	else if (fails)
		fail_move(p, place);
	else if (place->lost || place->cut)
		switch_over(p, place);
	else {
		backend_mark_ok(place->to);
		cut(p, place);
	}
}

/* False: its place is somebody else's now. */
static void
look_after(unsigned i, unsigned j)
{
	struct person *p = &world.people[i];
	struct place *place = &p->places[j];

	if (place->notices_at && place->notices_at <= world.now)
		lose_home(p, place);
	else if (place->stage == SETTLED || place->due > world.now)
		return;
	else if (place->stage == MOVING)
		advance(p, place);
	else if (place->stage == LEAVING)
		send_away(place);
	else {
		forget(p, place);
		world.returns++;
		if (roll(20))
			come(i);
	}
}

/* ---- all of them ---- */

void
workers_reload(void)
{
	for (unsigned w = 0; w < WORKERS; w++)
		reload_at[w] = world.now + roll(LAG_MS);
}

static void
reload(unsigned worker)
{
	snapshot_put(world.views[worker]);
	world.views[worker] = snapshot_get(rig.snapshot);
	reload_at[worker] = 0;
}

void
workers_work(void)
{
	for (unsigned w = 0; w < WORKERS; w++) {
		if (reload_at[w] && reload_at[w] <= world.now)
			reload(w);
		read_mail(w);
	}
	for (unsigned i = 0; i < PEOPLE; i++)
		for (unsigned j = world.people[i].n; j-- > 0;)
			look_after(i, j);
}

void
workers_begin(uint64_t seed)
{
	for (unsigned w = 0; w < WORKERS; w++) {
		chooser_init(&world.choosers[w], rig.pins, rig.secret, seed + w);
		reload(w);
	}
}

void
workers_end(void)
{
	struct letter *l, *next;

	for (unsigned w = 0; w < WORKERS; w++) {
		DL_FOREACH_SAFE (mail[w], l, next) {
			DL_DELETE(mail[w], l);
			backend_put(l->move.to);
			free(l);
		}
		chooser_fini(&world.choosers[w]);
		snapshot_put(world.views[w]);
	}
}
