/* SPDX-License-Identifier: MIT
 *
 * simulator_people.c - people who come with sockets and requests, and leave when they
 * like, whatever roost is doing with them; see simulator.h.
 */
#include "simulator.h"

#include <check.h>
#include <stdlib.h>

enum { SLOTS = 4096 /* of the table of keys */ };

static unsigned slots[SLOTS]; /* person + 1, by key */

void
people_begin(void)
{
	memset(slots, 0, sizeof(slots));
	for (unsigned n = 0; n < PEOPLE; n++) {
		unsigned i = (unsigned)rig_client(n).hash.lo % SLOTS;

		while (slots[i])
			i = (i + 1) % SLOTS;
		slots[i] = n + 1;
	}
}

struct person *
person_of(struct hash128 key)
{
	unsigned i = (unsigned)key.lo % SLOTS;

	while (slots[i] && !hash128_eq(rig_client(slots[i] - 1).hash, key))
		i = (i + 1) % SLOTS;
	return slots[i] ? &world.people[slots[i] - 1] : NULL;
}

unsigned
all_sessions(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PEOPLE; i++)
		n += world.people[i].n;
	return n;
}

void
forget(struct person *p, struct place *place)
{
	backend_put(place->home);
	backend_put(place->to);
	backend_put(place->next);
	*place = p->places[--p->n];
}

/* Its pin has been bound to another backend, because that of its lock was out. */
static void
see_broken_lock(unsigned i)
{
	struct person *p = &world.people[i];
	struct pin pin;

	if (!pins_lookup(rig.pins, rig_client(i).hash, world.now, &pin))
		return;
	if (p->lock_at != pin.backend)
		p->lock_until = 0;
	p->lock_at = pin.backend;
	backend_put(pin.backend);
}

/* As a worker chooses: who does not answer is passed over, once. */
static bool
ask(unsigned worker, unsigned i, bool websocket, struct choice *choice)
{
	const struct upstream *up = view_of(worker);
	struct chooser *chooser = &world.choosers[worker];
	struct client_key key = rig_client(i);
	const struct backend *except = NULL;
	bool found = false;

	for (int tries = 0; tries < 2 && !found; tries++) {
		struct pin pin;
		bool known = pins_lookup(rig.pins, key.hash, world.now, &pin);

		found = choose(chooser, up, &key, websocket, except, world.now, choice);
		if (!except)
			judge_choice(up, known ? &pin : NULL, choice, found, websocket);
		if (known)
			backend_put(pin.backend);
		if (!found)
			return false;
		see_broken_lock(i);
		if (!is_dead(choice->backend)) {
			backend_mark_ok(choice->backend);
			continue;
		}
		except = choice->backend; /* the snapshot holds it, too */
		backend_mark_failed(choice->backend, world.now,
		    random_u64(&world.dice));
		choice_end(chooser, up, choice, world.now);
		found = false;
	}
	return found;
}

void
come(unsigned i)
{
	struct person *p = &world.people[i];
	struct place *place = &p->places[p->n];
	unsigned worker = roll(WORKERS);
	const struct upstream *up = view_of(worker);
	struct chooser *chooser = &world.choosers[worker];
	struct choice choice;

	if (!ask(worker, i, true, &choice))
		return;
	*place = (struct place){.home = backend_get(choice.backend), .worker = worker};
	place->claim = choose_session_opened(chooser, up, &choice, world.now);
	choice_end(chooser, up, &choice, world.now);
	p->n++;
	if (hash128_eq(place->claim.key, rig_client(i).hash)) {
		if (p->lock_until <= world.now || p->lock_at != place->home)
			law_lock(p, place->home, up);
	} else { /* it did not fit where the others are */
		choose_session_closed(chooser, up, &place->claim, true, world.now);
		forget(p, place);
	}
}

static void
leave(struct person *p, struct place *place, bool clean)
{
	unsigned held = 0;

	if (place->stage == AWAY)
		return;
	for (unsigned j = 0; j < p->n; j++)
		held += p->places[j].stage != AWAY;
	if (clean && held == 1)
		p->lock_until = 0;
	choose_session_closed(&world.choosers[place->worker], view_of(place->worker),
	    &place->claim, clean, world.now);
	forget(p, place);
}

/* A request, which may take its time. */
static void
request(unsigned i)
{
	struct person *p = &world.people[i];

	if (!p->request.backend && ask(i % WORKERS, i, false, &p->request))
		p->request_until = world.now + roll(3000);
}

void
people_wait(void)
{
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct person *p = &world.people[i];
		unsigned worker = i % WORKERS;

		if (p->request.backend && world.now >= p->request_until)
			choice_end(&world.choosers[worker], view_of(worker),
			    &p->request, world.now);
	}
}

void
people_come_and_go(unsigned n)
{
	while (n--) {
		unsigned i = roll(PEOPLE);
		struct person *p = &world.people[i];

		if (p->n < SOCKETS && (p->n == 0 || roll(5) < 2))
			come(i);
		else
			leave(p, &p->places[roll(p->n)], roll(2));
		request(roll(PEOPLE));
	}
}

void
people_end(void)
{
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct person *p = &world.people[i];

		p->request_until = 0;
		while (p->n) {
			struct place *place = &p->places[p->n - 1];

			if (place->stage == AWAY)
				forget(p, place);
			else
				leave(p, place, true);
		}
	}
	people_wait();
}
