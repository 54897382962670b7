/* SPDX-License-Identifier: MIT
 *
 * check_simulator.c - whole evenings of trouble on the fake clock.
 *
 * Planner, pins, chooser, pace, policies and backend records are the real ones. Played
 * are the people with their sockets (who come, leave, and return when they are sent
 * away), what workers do with a move (it takes its time, and may fail), and the
 * backends, which are reweighted, drained, removed, killed, and flap.
 *
 * What must hold at every step is in "the law" below. In the end there is peace: then
 * everything must come to rest within the time that the rate allows, and stay there.
 */
#include "balance/balance.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "rig.h"
#include "route/choose.h"
#include "route/pins.h"
#include "route/planner.h"
#include "upstream/pace.h"

#include <check.h>
#include <stdlib.h>

Suite *suite_simulator(void);

enum {
	TICK = 100,
	PEOPLE = 2000,
	SOCKETS = 4,
	BACKENDS = 6,
	TROUBLE_MS = 240000,
	LOCK_MS = 30000,
	HOLD_MS = 5000,
	DEBOUNCE_MS = 300,
	RATE = 60,
	THRESHOLD = 15,
	MAX = 900,
	TICKS_MAX = 20000,
	SLOTS = 4096 /* of the table of keys */
};

enum stage {
	SETTLED,
	MOVING, /* to another backend, under its open socket */
	AWAY    /* sent away, to come back */
};

struct place {
	struct claim claim;
	struct backend *home, *to; /* references */
	enum stage stage;
	bool lost; /* its home is dead: there is no way back */
	uint64_t due;
};

struct person {
	struct place places[SOCKETS];
	unsigned n;
	/* what the test believes of its lock */
	uint64_t lock_until;
	const struct backend *lock_at;
	const struct backend *left; /* in peace: by its last move for balance */
};

static struct person people[PEOPLE];
static unsigned slots[SLOTS]; /* person + 1, by key */
static struct planner *planner;
static struct random dice;
static uint64_t now, start, dead_until[BACKENDS];
static unsigned target_rate, moves, failures, returns, ticks;
static bool reconnect, peace, flapping[BACKENDS];
static const char *policy;
static uint16_t made[TICKS_MAX][BACKENDS + 1]; /* moves: of each target, of all */

static unsigned
roll(unsigned n)
{
	return random_below(&dice, n);
}

static unsigned
number_of(const struct backend *b)
{
	return (unsigned)(b->name[1] - '0');
}

static bool
is_dead(const struct backend *b)
{
	return now < dead_until[number_of(b)];
}

/* ---- the law: rate ---- */

static void
note_move(const struct backend *to, uint64_t at)
{
	size_t tick = (at - start) / TICK;

	moves++;
	if (tick >= TICKS_MAX)
		return;
	made[tick][number_of(to)]++;
	made[tick][BACKENDS]++;
}

/* No second has more than the rate and the tenth of it that may have piled up. */
static void
judge_rates(void)
{
	for (unsigned which = 0; which <= BACKENDS; which++) {
		unsigned limit = which == BACKENDS ? RATE : target_rate, sum = 0;

		for (unsigned i = 0; limit && i < TICKS_MAX; i++) {
			sum += made[i][which];
			if (i >= 1000 / TICK)
				sum -= made[i - 1000 / TICK][which];
			ck_assert_msg(sum <= limit + limit / 10 + 2,
			    "%u moves in a second (%u)", sum, which);
		}
	}
}

/* ---- the people ---- */

static struct person *
person_of(struct hash128 key)
{
	unsigned i = (unsigned)key.lo % SLOTS;

	while (slots[i] && !hash128_eq(rig_client(slots[i] - 1).hash, key))
		i = (i + 1) % SLOTS;
	ck_assert_msg(slots[i], "a move of nobody");
	return &people[slots[i] - 1];
}

static void
index_people(void)
{
	memset(slots, 0, sizeof(slots));
	for (unsigned n = 0; n < PEOPLE; n++) {
		unsigned i = (unsigned)rig_client(n).hash.lo % SLOTS;

		while (slots[i])
			i = (i + 1) % SLOTS;
		slots[i] = n + 1;
	}
}

static void
lock(struct person *p, const struct backend *at)
{
	p->lock_until = now + LOCK_MS;
	p->lock_at = at;
}

static void
settle(struct place *place)
{
	backend_put(place->to);
	place->to = NULL;
	place->stage = SETTLED;
}

static void
forget(struct person *p, struct place *place)
{
	backend_put(place->home);
	backend_put(place->to);
	*place = p->places[--p->n];
}

/* Only what a failed move gives back, and who had arrived when its pin was moved on,
 * may be too many. */
static void
judge_room(const struct backend *b)
{
	ck_assert_uint_le(atomic_load(&b->sessions) + atomic_load(&b->awaited), MAX);
}

/* Who was sent somewhere must find its place there. */
static void
judge_return(const struct choice *choice, const struct pin *pin)
{
	enum backend_use use = backend_use(pin->backend, now);

	if (pin->awaited && use == BACKEND_USABLE)
		ck_assert_ptr_eq(choice->backend, pin->backend);
}

static void
come(unsigned i)
{
	struct person *p = &people[i];
	struct client_key key = rig_client(i);
	struct place *place = &p->places[p->n];
	struct choice choice;
	struct pin pin;
	bool known = pins_lookup(rig.pins, key.hash, now, &pin), ok;

	ok = choose(&rig.chooser, rig.up, &key, true, NULL, now, &choice);
	if (ok && known)
		judge_return(&choice, &pin);
	if (known)
		backend_put(pin.backend);
	if (!ok)
		return;
	*place = (struct place){.home = backend_get(choice.backend)};
	place->claim = choose_session_opened(&rig.chooser, rig.up, &choice, now);
	choice_end(&rig.chooser, rig.up, &choice, now);
	ck_assert_uint_le(atomic_load(&place->home->sessions), MAX);
	p->n++;
	if (hash128_eq(place->claim.key, key.hash)) {
		if (p->lock_until <= now || p->lock_at != place->home)
			lock(p, place->home);
	} else { /* it did not fit where the others are */
		choose_session_closed(&rig.chooser, rig.up, &place->claim, true, now);
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
	choose_session_closed(&rig.chooser, rig.up, &place->claim, clean, now);
	forget(p, place);
}

static void
people_come_and_go(unsigned n)
{
	while (n--) {
		unsigned i = roll(PEOPLE);
		struct person *p = &people[i];

		if (p->n < SOCKETS && (p->n == 0 || roll(5) < 2))
			come(i);
		else
			leave(p, &p->places[roll(p->n)], roll(2));
	}
}

/* ---- what workers do ---- */

static void
send_away(struct place *place, uint64_t delay)
{
	choose_session_sent_away(&rig.chooser, rig.up, &place->claim, now);
	backend_put(place->home);
	place->home = NULL;
	settle(place);
	place->stage = AWAY;
	place->due = now + delay + 100 + roll(4000);
}

static void
move_place(struct place *place, struct backend *to, uint64_t delay)
{
	if (place->stage == AWAY)
		return;
	if (place->home == to && !place->lost) {
		settle(place);
	} else if (reconnect) {
		send_away(place, delay);
	} else {
		settle(place);
		place->stage = MOVING;
		place->to = backend_get(to);
		place->due = now + delay + 200 + roll(800);
	}
}

static void
on_move(void *arg, const struct move *m)
{
	struct person *p = person_of(m->key);
	enum backend_use use = backend_use(m->to, now);

	if (m->from == m->to) { /* a worker's doing: the others follow */
		for (unsigned j = 0; j < p->n; j++)
			if (p->places[j].to != m->to)
				move_place(&p->places[j], m->to, 0);
		return;
	}
	note_move(m->to, now);
	judge_room(m->to);
	ck_assert(use == BACKEND_USABLE || use == BACKEND_FULL);
	if (m->why == MOVE_LEAVING) {
		ck_assert(backend_is_leaving(m->from, now));
	} else {
		ck_assert(!backend_is_leaving(m->from, now));
		ck_assert_msg(p->lock_until <= now, "a locked client was moved");
		for (unsigned j = 0; j < p->n; j++)
			ck_assert_msg(p->places[j].stage == SETTLED,
			    "two moves of one client at once");
		ck_assert_msg(!peace || p->left != m->to, "to and fro");
		p->left = m->from;
	}
	lock(p, m->to);
	for (unsigned j = 0; j < p->n; j++)
		move_place(&p->places[j], m->to, m->delay_ms);
}

/* Its backend is gone. */
static void
lose_home(struct person *p, struct place *place)
{
	struct backend *to =
	    choose_rehome(&rig.chooser, rig.up, &place->claim, place->home, now);
	uint64_t delay = 0;

	if (to) {
		if (p->lock_at != to)
			lock(p, to);
		delay = pace_book_ms(rig.up, to, now * 1000);
		note_move(to, now + delay);
	}
	place->lost = true;
	move_place(place, to ? to : place->home, delay);
	backend_put(to);
}

static void
kill_backend(struct backend *b, uint64_t ms)
{
	dead_until[number_of(b)] = now + ms;
	backend_mark_failed(b, now, random_u64(&dice));
	for (unsigned i = 0; i < PEOPLE; i++)
		for (unsigned j = 0; j < people[i].n; j++)
			if (people[i].places[j].home == b && !people[i].places[j].lost)
				lose_home(&people[i], &people[i].places[j]);
}

/* The new backend refuses. */
static void
fail_move(struct person *p, struct place *place)
{
	struct backend *to;

	failures++;
	if (is_dead(place->to))
		backend_mark_failed(place->to, now, random_u64(&dice));
	if (place->lost) {
		to = choose_rehome(&rig.chooser, rig.up, &place->claim, place->to, now);
		if (to && p->lock_at != to)
			lock(p, to);
		move_place(place, to ? to : place->to, 1000 + roll(2000));
		backend_put(to);
		return;
	}
	if (!choose_rehome_undo(&rig.chooser, rig.up, &place->claim, place->home,
		place->to, now, HOLD_MS)) {
		place->due = now + 1000 + roll(2000);
		return;
	}
	if (p->lock_at == place->to)
		lock(p, place->home);
	settle(place);
}

static void
arrive(struct person *p, struct place *place)
{
	if (is_dead(place->to) ||
	    (!peace && place->to != place->home && roll(40) == 0)) {
		fail_move(p, place);
		return;
	}
	if (!place->lost &&
	    choose_points_to(&rig.chooser, &place->claim, place->home, now)) {
		settle(place);
		return;
	}
	backend_mark_ok(place->to);
	choose_rehome_done(&rig.chooser, rig.up, &place->claim, place->to, now);
	backend_put(place->home);
	place->home = backend_get(place->to);
	place->lost = false;
	settle(place);
}

static void
workers_work(void)
{
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct person *p = &people[i];

		for (unsigned j = 0; j < p->n; j++) {
			struct place *place = &p->places[j];

			if (place->stage == SETTLED || place->due > now)
				continue;
			if (place->stage == MOVING) {
				arrive(p, place);
				continue;
			}
			forget(p, place);
			returns++;
			if (roll(20))
				come(i);
		}
	}
}

/* ---- the backends ---- */

/* n of them; state NULL: any. */
static void
configure(const char *state)
{
	static const char *const states[] = {"up", "up", "up", "up", "drain", "down"};
	struct strbuf settings = STRBUF_INIT, rows = STRBUF_INIT;

	strbuf_printf(&settings,
	    "balance: %s, limits: {max_sessions: %d}, pin: {websocket: %dms}, "
	    "rehome: {mode: %s, rate: %d, target_rate: %u, threshold: %d%%},",
	    policy, MAX, LOCK_MS, reconnect ? "reconnect" : "transparent", RATE,
	    target_rate, THRESHOLD);
	for (int i = 0; i < BACKENDS; i++)
		if (i < 2 || state || roll(4))
			strbuf_printf(&rows, "b%d weight: %u, state: %s |", i,
			    1 + roll(4),
			    i < 2   ? "up"
			    : state ? state
				    : states[roll(6)]);
	rig_configure(strbuf_cstr(&settings), strbuf_cstr(&rows));
	strbuf_fini(&settings);
	strbuf_fini(&rows);
}

static void
make_trouble(void)
{
	struct backend *b = rig.up->backends[roll((unsigned)rig.up->n_backends)];

	switch (roll(6)) {
	case 0:
	case 1: configure(NULL); break;
	case 2: kill_backend(b, 500 + roll(8000)); break;
	case 3: atomic_store(&b->unhealthy, roll(2)); break;
	case 4: flapping[roll(BACKENDS)] = roll(2); break;
	case 5: atomic_store(&b->outlier.ejected_until_ms, now + roll(10000)); break;
	}
}

static void
flap(void)
{
	for (size_t i = 0; i < rig.up->n_backends; i++) {
		struct backend *b = rig.up->backends[i];

		if (flapping[number_of(b)])
			atomic_store(&b->unhealthy, now / 1000 % 2);
	}
}

static void
make_peace(void)
{
	peace = true;
	for (unsigned i = 0; i < PEOPLE; i++)
		people[i].left = NULL;
	configure("up");
	memset(flapping, 0, sizeof(flapping));
	for (size_t i = 0; i < rig.up->n_backends; i++) {
		struct backend *b = rig.up->backends[i];

		atomic_store(&b->unhealthy, false);
		atomic_store(&b->outlier.ejected_until_ms, 0);
	}
	atomic_store(&rig_backend("b5")->admin_state, BACKEND_DRAIN);
}

/* ---- the law: sums and homes ---- */

static void
judge_homes(void)
{
	unsigned held[BACKENDS] = {0}, away = 0, awaited = 0;

	for (unsigned i = 0; i < PEOPLE; i++) {
		struct pin pin = {.backend = NULL};

		if (people[i].n &&
		    !pins_lookup(rig.pins, rig_client(i).hash, now, &pin))
			pin.backend = NULL;
		for (unsigned j = 0; j < people[i].n; j++) {
			const struct place *place = &people[i].places[j];

			away += place->stage == AWAY;
			if (place->stage == AWAY)
				continue;
			ck_assert_ptr_nonnull(pin.backend);
			if (!atomic_load(&pin.backend->removed))
				held[number_of(pin.backend)]++;
			ck_assert_msg(place->stage == MOVING ||
					  place->home == pin.backend,
			    "client %u on %s and %s", i, place->home->name,
			    pin.backend->name);
		}
		backend_put(pin.backend);
	}
	for (size_t i = 0; i < rig.up->n_backends; i++) {
		const struct backend *b = rig.up->backends[i];

		ck_assert_uint_eq(atomic_load(&b->sessions), held[number_of(b)]);
		awaited += atomic_load(&b->awaited);
	}
	ck_assert(
	    pins_counts_are_right(rig.pins, rig.up->backends, rig.up->n_backends));
	if (peace && away == 0 && ticks % 500 == 0)
		ck_assert_uint_le(awaited, returns);
}

static void
tick(void)
{
	clock_fake_advance(TICK);
	now = clock_now_ms();
	ticks++;
	flap();
	workers_work();
	planner_tick(planner, rig.snapshot, now);
	if (ticks % 10 == 0)
		pins_sweep(rig.pins, now);
	if (ticks % 50 == 0)
		judge_homes();
}

static void
run(uint64_t ms)
{
	for (uint64_t end = now + ms; now < end;)
		tick();
}

/* ---- the law: peace ---- */

static unsigned
worst_surplus(void)
{
	unsigned load = 0, weight = 0, worst = 0;

	for (size_t i = 0; i < rig.up->n_backends; i++) {
		if (backend_is_leaving(rig.up->backends[i], now))
			continue; /* empty, by then */
		load += atomic_load(&rig.up->backends[i]->sessions);
		weight += atomic_load(&rig.up->backends[i]->weight);
	}
	for (size_t i = 0; i < rig.up->n_backends; i++) {
		const struct backend *b = rig.up->backends[i];
		unsigned surplus;

		if (backend_is_leaving(b, now))
			continue;
		surplus = balance_surplus(atomic_load(&b->sessions),
		    atomic_load(&b->weight), load, weight, THRESHOLD);

		if (surplus > worst)
			worst = surplus;
	}
	return worst;
}

static unsigned
all_sessions(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PEOPLE; i++)
		n += people[i].n;
	return n;
}

/* What is left to do may have to wait for the debounce, for a backend to be trusted,
 * for locks and failed tries to run out, and for its turn. */
static uint64_t
time_to_rest(void)
{
	unsigned rate = target_rate ? target_rate : RATE;

	return 4 * DEBOUNCE_MS + 60000 + LOCK_MS + 10000 + 2000 +
	       UINT64_C(1000) * all_sessions() / rate;
}

static void
setup(void)
{
	clock_fake_set(1000000);
	start = now = clock_now_ms();
	rig_begin(1);
	planner = planner_new(&rig.chooser, on_move, NULL);
	ck_assert_ptr_nonnull(planner);
	memset(people, 0, sizeof(people));
	memset(made, 0, sizeof(made));
	memset(flapping, 0, sizeof(flapping));
	memset(dead_until, 0, sizeof(dead_until));
	moves = failures = returns = ticks = 0;
	peace = false;
}

static void
teardown(void)
{
	for (unsigned i = 0; i < PEOPLE; i++)
		while (people[i].n) {
			struct place *place = &people[i].places[people[i].n - 1];

			if (place->stage == AWAY)
				forget(&people[i], place);
			else
				leave(&people[i], place, true);
		}
	planner_free(planner);
	rig_end();
	clock_fake_stop();
}

START_TEST(an_evening_of_trouble_breaks_no_law_and_ends_in_peace)
{
	static const char *const policies[] = {"least-sessions", "round-robin", "p2c",
	    "hash"};
	unsigned before;

	random_seed(&dice, (uint64_t)_i);
	policy = policies[_i % 4];
	reconnect = _i / 4 % 2;
	target_rate = _i / 2 % 2 ? 20 : 0;
	configure("up");
	index_people();
	people_come_and_go(2 * PEOPLE);
	for (unsigned i = 0; i < TROUBLE_MS / TICK; i++) {
		if (roll(40) == 0)
			make_trouble();
		people_come_and_go(2);
		tick();
	}
	ck_assert_uint_gt(moves, 1000);
	ck_assert_uint_gt(reconnect ? returns : failures, 20);
	make_peace();
	run(time_to_rest());
	if (strcmp(policy, "hash") != 0) /* there, most are where they belong */
		ck_assert_uint_le(worst_surplus(), SOCKETS);
	ck_assert_uint_eq(rig_sessions("b5"), 0);
	before = moves;
	run(300000);
	ck_assert_msg(moves == before, "%u moves in peace", moves - before);
	judge_homes();
	judge_rates();
	for (size_t i = 0; i < rig.up->n_backends; i++)
		ck_assert_uint_eq(atomic_load(&rig.up->backends[i]->awaited), 0);
}
END_TEST

Suite *
suite_simulator(void)
{
	Suite *s = suite_create("simulator");
	TCase *t = tcase_create("simulator");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, an_evening_of_trouble_breaks_no_law_and_ends_in_peace, 0,
	    8);
	suite_add_tcase(s, t);
	return s;
}
