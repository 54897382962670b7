/* SPDX-License-Identifier: MIT
 *
 * simulator_law.c - what must hold, whatever happens; see simulator.h.
 *
 * A lock is believed to run from when the law saw it begin, not from what the pin says.
 */
#include "simulator.h"

#include "balance/balance.h"

#include <check.h>
#include <stdlib.h>

enum { TICKS_MAX = 30000, SECOND = 1000 / TICK, UNLIMITED = 60000 };

/* Moves of each target and of all, and what the rate was when they were decided. */
static uint16_t made[TICKS_MAX][BACKENDS + 1], limits[TICKS_MAX][BACKENDS + 1];

void
law_begin(void)
{
	memset(made, 0, sizeof(made));
	memset(limits, 0, sizeof(limits));
}

/* ---- rates ---- */

static void
count_one(size_t tick, unsigned which, unsigned rate)
{
	if (rate == 0)
		rate = UNLIMITED;
	made[tick][which]++;
	if (limits[tick][which] < rate)
		limits[tick][which] = (uint16_t)rate;
}

void
law_counts_move(const struct upstream *up, const struct backend *to, uint64_t at)
{
	size_t tick = (at - world.start) / TICK;

	world.moves++;
	if (tick >= TICKS_MAX)
		return;
	count_one(tick, number_of(to), up->conf->rehome.target_rate);
	count_one(tick, BACKENDS, up->conf->rehome.rate);
}

/* No second has more than the rate and the tenth of it that may have piled up; where
 * the rate was changed, its greatest counts. */
void
judge_rates(void)
{
	for (unsigned which = 0; which <= BACKENDS; which++)
		for (unsigned i = 0; i + SECOND < TICKS_MAX; i++) {
			unsigned sum = 0, limit = 0;

			for (unsigned j = i; made[i][which] && j < i + SECOND; j++) {
				sum += made[j][which];
				if (limits[j][which] > limit)
					limit = limits[j][which];
			}
			LAW(sum <= limit + limit / 10 + 2,
			    "%u moves in a second at %u (%u)", sum, i, which);
		}
}

/* ---- moves ---- */

void
law_lock(struct person *p, const struct backend *at, const struct upstream *up)
{
	p->lock_until = world.now + up->conf->pin.websocket_ms;
	p->lock_at = at;
}

static bool
has_room(const struct backend *b, unsigned sessions)
{
	unsigned max = atomic_load(&b->max_sessions);

	return max == 0 ||
	       atomic_load(&b->sessions) + atomic_load(&b->awaited) + sessions <= max;
}

static unsigned
sockets_of(const struct person *p)
{
	unsigned n = 0;

	for (unsigned j = 0; j < p->n; j++)
		n += p->places[j].stage != AWAY;
	return n;
}

/* A backup is the last resort. */
static void
judge_backup(const struct move *m, unsigned sessions)
{
	if (!atomic_load(&m->to->backup))
		return;
	for (size_t i = 0; i < rig.up->n_backends; i++) {
		const struct backend *b = rig.up->backends[i];

		LAW(b == m->from || atomic_load(&b->backup) ||
			!backend_is_usable(b, world.now) || !has_room(b, sessions),
		    "%s would do, not the backup %s", b->name, m->to->name);
	}
}

static void
judge_target(const struct person *p, const struct move *m)
{
	LAW(rig.up->conf->rehome.mode != REHOME_OFF, "a move with re-homing off");
	LAW(!atomic_load(&m->to->removed), "to one that is removed");
	LAW(backend_use_is_serving(backend_use(m->to, world.now)),
	    "to one that is out");
	LAW(has_room(m->to, 0), "%s has no room", m->to->name);
	if (m->why != MOVE_ASKED)
		judge_backup(m, sockets_of(p));
}

static void
judge_surplus(struct person *p, const struct move *m)
{
	LAW(!backend_is_leaving(m->from, world.now),
	    "for balance, from one that is out");
	LAW(p->lock_until <= world.now, "a locked client was moved");
	for (unsigned j = 0; j < p->n; j++)
		LAW(p->places[j].stage == SETTLED && !p->places[j].lost &&
			p->places[j].home == m->from,
		    "two moves of one client at once");
	LAW(!world.peace || p->left != m->to, "to and fro");
	p->left = m->from;
}

void
on_move(void *arg, const struct move *m)
{
	struct person *p = person_of(m->key);
	const uint64_t *ahead = arg;

	LAW(p, "a move of nobody");
	tell_workers(m);
	if (m->from == m->to)
		return; /* a worker's doing: the others follow */
	law_counts_move(rig.up, m->to, world.now + (*ahead ? m->delay_ms : 0));
	if (!*ahead)
		judge_target(p, m);
	if (m->why == MOVE_LEAVING)
		LAW(backend_is_leaving(m->from, world.now),
		    "from one that is in service");
	else if (m->why == MOVE_SURPLUS)
		judge_surplus(p, m);
	else
		world.asked++;
	law_lock(p, m->to, rig.up);
}

/* ---- choices ---- */

/* One more socket is one too many, whoever asks; but who is awaited has a place. */
static bool
has_place(const struct pin *pin)
{
	const struct backend *b = pin->backend;
	unsigned max = atomic_load(&b->max_sessions), kept = atomic_load(&b->awaited);

	return max == 0 || atomic_load(&b->sessions) + (pin->awaited ? 0 : kept) < max;
}

/* Is that the one place where the client may be sent? */
static bool
pin_rules(const struct pin *pin, bool websocket)
{
	enum backend_use use = backend_use(pin->backend, world.now);

	if (websocket && !has_place(pin))
		return false;
	if (use == BACKEND_FULL)
		return !websocket || pin->awaited;
	if (pin->awaited && use == BACKEND_USABLE)
		return true;
	return pin->sessions && (use == BACKEND_USABLE || use == BACKEND_DRAINING ||
				    use == BACKEND_EJECTED);
}

static bool
would_accept(const struct backend *b, bool websocket)
{
	enum backend_use use = backend_use(b, world.now);

	if (websocket && !backend_has_places(b, 1))
		return false;
	return use == BACKEND_USABLE || backend_use_is_ailing(use);
}

/* HTTP and sockets of a client go where its pin points; who was sent somewhere finds
 * its place there; and where all are ill, they are asked rather than none. */
void
judge_choice(const struct upstream *up, const struct pin *pin,
    const struct choice *choice, bool found, bool websocket)
{
	if (pin && (pin->sessions || pin->awaited) && pin_rules(pin, websocket)) {
		LAW(found, "nobody for a client that has a pin");
		LAW(choice->backend == pin->backend, "%s of %s goes to %s",
		    websocket ? "a socket" : "a request", pin->backend->name,
		    choice->backend->name);
	}
	for (size_t i = 0; i < up->n_backends && !found; i++)
		LAW(!would_accept(up->backends[i], websocket) ||
			choose_may_wait(up, websocket, world.now),
		    "nobody, though there is %s", up->backends[i]->name);
}

/* ---- sums and homes ---- */

/* Who is not where its pin points is on the way, or will hear of it. */
static void
judge_place(unsigned i, const struct place *place, const struct pin *pin)
{
	LAW(place->stage != SETTLED || place->home == pin->backend ||
		has_news(place->worker, place->claim.key),
	    "client %u on %s and %s", i, place->home->name, pin->backend->name);
}

void
judge_homes(void)
{
	unsigned held[BACKENDS] = {0};

	for (unsigned i = 0; i < PEOPLE; i++) {
		const struct person *p = &world.people[i];
		unsigned n = sockets_of(p);
		struct pin pin;

		if (n == 0)
			continue;
		LAW(pins_lookup(rig.pins, rig_client(i).hash, world.now, &pin),
		    "client %u has no pin", i);
		LAW(pin.sessions == n, "client %u has %u sessions, not %u", i, n,
		    pin.sessions);
		if (!atomic_load(&pin.backend->removed))
			held[number_of(pin.backend)] += n;
		for (unsigned j = 0; j < p->n; j++)
			if (p->places[j].stage != AWAY)
				judge_place(i, &p->places[j], &pin);
		backend_put(pin.backend);
	}
	for (size_t i = 0; i < rig.up->n_backends; i++) {
		const struct backend *b = rig.up->backends[i];

		LAW(atomic_load(&b->sessions) == held[number_of(b)], "sums are wrong");
	}
	LAW(pins_counts_are_right(rig.pins, rig.up->backends, rig.up->n_backends),
	    "counts are wrong");
}

/* ---- peace ---- */

/* Everybody has arrived, on what is in service, and asks there by HTTP, too. */
void
judge_peace(void)
{
	for (unsigned i = 0; i < PEOPLE; i++) {
		const struct person *p = &world.people[i];
		struct client_key key = rig_client(i);
		enum choose_by by;

		for (unsigned j = 0; j < p->n; j++) {
			const struct place *place = &p->places[j];
			struct backend *b;
			struct pin pin;

			LAW(place->stage == SETTLED && !place->lost,
			    "client %u has not arrived", i);
			LAW(pins_lookup(rig.pins, place->claim.key, world.now, &pin),
			    "client %u has no pin", i);
			LAW(pin.backend == place->home,
			    "client %u is not where its pin points", i);
			LAW(pin.apart == 0, "client %u is still under way", i);
			LAW(!backend_is_leaving(place->home, world.now),
			    "left behind on %s", place->home->name);
			b = choose_preview(&rig.chooser, rig.up, &key, false, world.now,
			    &by);
			LAW(b == place->home, "requests of client %u go elsewhere", i);
			backend_put(b);
			backend_put(pin.backend);
		}
	}
	for (size_t i = 0; i < rig.up->n_backends; i++)
		LAW(atomic_load(&rig.up->backends[i]->awaited) == 0,
		    "somebody is awaited");
}

unsigned
worst_surplus(void)
{
	unsigned load = 0, weight = 0, worst = 0;
	unsigned percent = rig.up->conf->rehome.threshold_percent;

	for (size_t i = 0; i < rig.up->n_backends; i++) {
		const struct backend *b = rig.up->backends[i];

		load += atomic_load(&b->sessions);
		if (!backend_is_leaving(b, world.now) && !atomic_load(&b->backup))
			weight += atomic_load(&b->weight);
	}
	for (size_t i = 0; i < rig.up->n_backends; i++) {
		const struct backend *b = rig.up->backends[i];
		unsigned surplus = balance_surplus(atomic_load(&b->sessions),
		    atomic_load(&b->weight), load, weight, percent);

		if (!backend_is_leaving(b, world.now) && surplus > worst)
			worst = surplus;
	}
	return worst;
}
