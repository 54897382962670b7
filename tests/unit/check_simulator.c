/* SPDX-License-Identifier: MIT
 *
 * check_simulator.c - whole evenings of trouble on the fake clock; see simulator.h.
 *
 * Backends are reweighted, drained, removed and brought back, killed, ill, ejected, and
 * flap; limits, rates, thresholds, policy and mode change; the administrator moves
 * people. In the end there is peace: then everything must come to rest within the time
 * that the rate allows, and stay there.
 */
#include "base/clock.h"
#include "base/strbuf.h"
#include "simulator.h"

#include <stdio.h>
#include <stdlib.h>

Suite *suite_simulator(void);

enum {
	TROUBLE_MS = 200000,
	PEACE_MS = 200000,
	DEBOUNCE_MS = 300,
	RATE = 60,
	THRESHOLD = 15,
	ERRAND_MS = 600000,
	SEEDS = 32 /* of each make check */
};

static const char *const policies[] = {"least-sessions", "round-robin", "p2c", "hash"};

struct world world;

/* What this evening keeps to, but for what a reload makes of it. */
static struct {
	const char *policy;
	bool reconnect;
	unsigned target_rate, lock_ms;
} plan;

static bool flapping[BACKENDS];
static uint64_t ahead; /* a client is being moved by request */

/* ---- the configuration ---- */

static unsigned
one_of(unsigned usual, unsigned other, unsigned another)
{
	unsigned dice = roll(6);

	return dice == 0 ? other : dice == 1 ? another : usual;
}

static const char *
mode_now(void)
{
	if (!world.peace && roll(8) == 0)
		return "off";
	return plan.reconnect != (!world.peace && roll(10) == 0) ? "reconnect"
								 : "transparent";
}

/* Who comes while it is hash is known by his stable hash from then on, so he may belong
 * elsewhere than before: an evening with hash stays with it. */
static const char *
policy_now(void)
{
	bool other = !world.peace && strcmp(plan.policy, "hash") != 0 && roll(8) == 0;

	return other ? policies[roll(4)] : plan.policy;
}

static void
write_settings(struct strbuf *to)
{
	bool odd = !world.peace;

	strbuf_printf(to,
	    "balance: %s, slow_start: %ums, limits: {max_sessions: %u}, "
	    "pin: {websocket: %ums}, rehome: {mode: %s, rate: %u, target_rate: %u, "
	    "threshold: %u%%, min_stay: %ums, debounce: %ums},",
	    policy_now(), odd ? one_of(0, 5000, 20000) : 0,
	    odd ? one_of(ROOM, 0, 300) : 0, plan.lock_ms, mode_now(),
	    odd ? one_of(RATE, 20, 200) : RATE,
	    odd ? one_of(plan.target_rate, 0, 40) : plan.target_rate,
	    odd ? one_of(THRESHOLD, 5, 40) : THRESHOLD, odd && roll(2) ? 1000 : 10000,
	    odd ? one_of(DEBOUNCE_MS, 0, 1000) : DEBOUNCE_MS);
}

/* In peace all are up and the last is a backup; else each is there or not. */
static void
write_backends(struct strbuf *to)
{
	static const char *const states[] = {"up", "up", "up", "up", "drain", "down"};

	for (int i = 0; i < BACKENDS; i++) {
		bool up = i < 2 || world.peace;
		bool backup = world.peace ? i == BACKENDS - 1 : i > 2 && !roll(5);

		if (up || roll(4))
			strbuf_printf(to, "b%d weight: %u, state: %s, backup: %s |", i,
			    1 + roll(4), up ? "up" : states[roll(6)],
			    backup ? "true" : "false");
	}
}

static void
configure(void)
{
	struct strbuf settings = STRBUF_INIT, rows = STRBUF_INIT;

	write_settings(&settings);
	write_backends(&rows);
	/* what leaves it now must have been seen in it */
	if (rig.snapshot)
		planner_tick(world.planner, rig.snapshot, world.now);
	rig_configure(strbuf_cstr(&settings), strbuf_cstr(&rows));
	strbuf_fini(&settings);
	strbuf_fini(&rows);
	workers_reload();
}

/* ---- what is asked ---- */

static struct backend *
any_backend(void)
{
	return rig.up->backends[roll((unsigned)rig.up->n_backends)];
}

static bool
is_on_the_move(const struct person *p)
{
	for (unsigned j = 0; j < p->n; j++)
		if (p->places[j].stage != SETTLED)
			return true;
	return false;
}

static void
ask_for_client(void)
{
	unsigned i = roll(PEOPLE);
	struct hash128 key = rig_client(i).hash;
	struct backend *to = NULL;
	struct move move;
	struct pin pin;

	if (is_on_the_move(&world.people[i]) ||
	    !pins_lookup(rig.pins, key, world.now, &pin))
		return;
	if (roll(2))
		to = backend_get(any_backend());
	else
		to = planner_target(world.planner, rig.up, key, pin.backend, world.now);
	ahead = 1;
	if (to && to != pin.backend && backend_is_usable(to, world.now))
		planner_move_client(world.planner, rig.up, key, pin.backend, to,
		    world.now, &move);
	ahead = 0;
	backend_put(to);
	backend_put(pin.backend);
}

static void
ask_for_backend(void)
{
	struct backend *from = any_backend(), *to = roll(2) ? any_backend() : NULL;

	if (from != to)
		ck_assert(
		    planner_move_backend(world.planner, rig.up, from, to, world.now));
}

/* Whatever is told is not done. */
static void
ask_for_plan(void)
{
	struct plan told = {.max = 50};
	unsigned before = world.moves;

	ck_assert(planner_plan(world.planner, rig.up, world.now, &told));
	for (size_t i = 0; i < told.n; i++)
		LAW(person_of(told.moves[i].key), "a move of nobody");
	plan_fini(&told);
	ck_assert_uint_eq(world.moves, before);
}

static void
ask(void)
{
	bool off = rig.up->conf->rehome.mode == REHOME_OFF;

	ask_for_plan();
	if (roll(4) == 0 && !off)
		ask_for_backend();
	for (unsigned n = roll(20); n-- && !off;)
		ask_for_client();
}

/* ---- trouble ---- */

static void
all_are_ill(bool ill)
{
	for (size_t i = 0; i < rig.up->n_backends; i++)
		atomic_store(&rig.up->backends[i]->unhealthy_since_ms, ill);
}

static void
make_trouble(void)
{
	struct backend *b = any_backend();

	switch (roll(9)) {
	case 0:
	case 1: configure(); break;
	case 2: kill_backend(b, 500 + roll(8000)); break;
	case 3: atomic_store(&b->unhealthy_since_ms, roll(2)); break;
	case 4: flapping[roll(BACKENDS)] = roll(2); break;
	case 5:
		atomic_store(&b->outlier.ejected_until_ms, world.now + roll(10000));
		break;
	case 6:
	case 7: ask(); break;
	case 8: all_are_ill(roll(4) == 0); break;
	}
}

static void
flap(void)
{
	for (size_t i = 0; i < rig.up->n_backends; i++) {
		struct backend *b = rig.up->backends[i];

		if (flapping[number_of(b)])
			atomic_store(&b->unhealthy_since_ms, world.now / 1000 % 2);
	}
}

static void
make_peace(void)
{
	world.peace = true;
	for (unsigned i = 0; i < PEOPLE; i++)
		world.people[i].left = NULL;
	configure();
	memset(flapping, 0, sizeof(flapping));
	all_are_ill(false);
	for (size_t i = 0; i < rig.up->n_backends; i++)
		atomic_store(&rig.up->backends[i]->outlier.ejected_until_ms, 0);
	atomic_store(&rig_backend("b5")->admin_state, BACKEND_DRAIN);
}

/* ---- time ---- */

static void
tick(void)
{
	clock_fake_advance(TICK);
	world.now = clock_now_ms();
	world.ticks++;
	flap();
	workers_work();
	people_wait();
	planner_tick(world.planner, rig.snapshot, world.now);
	if (world.ticks % 10 == 0)
		pins_sweep(rig.pins, world.now);
	if (world.ticks % 25 == 0)
		judge_homes();
}

static void
run(uint64_t ms)
{
	for (uint64_t end = world.now + ms; world.now < end;)
		tick();
}

/* What is left to do may have to wait for the debounce, for a backend to be trusted,
 * for locks, failed tries and awaited clients, and for its turn. */
static uint64_t
time_to_rest(void)
{
	unsigned rate = plan.target_rate ? plan.target_rate : RATE;

	return 4 * DEBOUNCE_MS + 60000 + plan.lock_ms + 10000 + PINS_AWAIT_MS + 2000 +
	       UINT64_C(1000) * all_sessions() / rate;
}

static void
setup(void)
{
	clock_fake_set(1000000);
	world = (struct world){.start = clock_now_ms()};
	world.now = world.start;
	memset(flapping, 0, sizeof(flapping));
	law_begin();
	rig_begin(1);
	world.planner = planner_new(&rig.chooser, on_move, &ahead);
	ck_assert_ptr_nonnull(world.planner);
}

static void
teardown(void)
{
	people_end();
	workers_end();
	for (int i = 0; i < 1000 && pins_count(rig.pins); i++) {
		world.now += 1000;
		pins_sweep(rig.pins, world.now);
	}
	ck_assert_uint_eq(pins_count(rig.pins), 0);
	planner_free(world.planner);
	rig_end();
	clock_fake_stop();
}

static void
begin(unsigned seed)
{
	random_seed(&world.dice, seed);
	plan.policy = policies[seed % 4];
	plan.target_rate = seed / 2 % 2 ? 20 : 0;
	plan.reconnect = seed / 4 % 2;
	plan.lock_ms = seed / 8 % 2 ? 2000 : 30000;
	rig.crowd = seed;
	world.peace = true; /* to begin with */
	configure();
	world.peace = false;
	people_begin();
	workers_begin(seed);
	people_come_and_go(2 * PEOPLE);
}

START_TEST(an_evening_of_trouble_breaks_no_law_and_ends_in_peace)
{
	unsigned before;

	begin((unsigned)_i);
	for (unsigned i = 0; i < TROUBLE_MS / TICK; i++) {
		if (roll(30) == 0)
			make_trouble();
		people_come_and_go(2);
		tick();
	}
	ck_assert_uint_gt(world.moves, 300);
	ck_assert_uint_gt(plan.reconnect ? world.returns : world.failures, 20);
	make_peace();
	for (uint64_t end = world.now + ERRAND_MS;
	     planner_errand(world.planner, 0) && world.now < end;)
		tick();
	run(time_to_rest());
	if (strcmp(plan.policy, "hash") != 0) /* there, most are where they belong */
		ck_assert_uint_le(worst_surplus(), SOCKETS);
	ck_assert_uint_eq(rig_sessions("b5"), 0);
	ck_assert_uint_eq(rig_sessions("b6"), 0);
	before = world.moves;
	run(PEACE_MS);
	ck_assert_msg(world.moves == before, "%u moves in peace", world.moves - before);
	judge_homes();
	judge_peace();
	judge_rates();
}
END_TEST

/* SIMULATOR_SEEDS=100-1000 runs others. */
static void
seeds(int *from, int *to)
{
	const char *text = getenv("SIMULATOR_SEEDS");

	*from = 0;
	*to = SEEDS;
	if (text)
		(void)sscanf(text, "%d-%d", from, to);
}

Suite *
suite_simulator(void)
{
	Suite *s = suite_create("simulator");
	TCase *t = tcase_create("simulator");
	int from, to;

	seeds(&from, &to);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, an_evening_of_trouble_breaks_no_law_and_ends_in_peace,
	    from, to);
	suite_add_tcase(s, t);
	return s;
}
