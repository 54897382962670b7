/* SPDX-License-Identifier: MIT
 *
 * watch.c - what an upstream's backends look like to the planner.
 *
 * Whatever changes a backend (file, administrator, health, traffic, names), it is
 * noticed by comparing it with what it looked like at the last tick. Backends that left
 * the configuration keep their seat for as long as anybody might be found there.
 *
 * What comes and goes is watched with care: a change starts the debounce, and a backend
 * that returns again and again is trusted later each time.
 *
 * Thread: the control thread only.
 */
#include "route/planner_private.h"

#include "upstream/backend.h"
#include "upstream/upstream.h"
#include <stdlib.h>

enum {
	DEBOUNCE_AT_MOST = 4,    /* times its length, however often things change */
	TRUST_AFTER_MS = 1000,   /* the second return in a row, doubling with each */
	TRUST_AT_MOST_MS = 60000 /* and a return after so long is the first again */
};

void
watch_fini(struct watch *w)
{
	for (size_t i = 0; i < w->n_seats; i++)
		backend_put(w->seats[i].backend);
	free(w->seats);
}

unsigned
seat_load(const struct seat *seat)
{
	int64_t load = (int64_t)atomic_load(&seat->backend->sessions) +
		       atomic_load(&seat->backend->awaited) + seat->shift;

	return load > 0 ? (unsigned)load : 0;
}

struct seat *
seat_find(struct watch *w, const struct backend *b, size_t likely)
{
	if (likely < w->n_seats && w->seats[likely].backend == b)
		return &w->seats[likely];
	for (size_t i = 0; i < w->n_seats; i++) {
		if (w->seats[i].backend == b)
			return &w->seats[i];
	}
	return NULL;
}

static struct seat *
seat_add(struct watch *w, struct backend *b)
{
	if (w->n_seats == w->cap_seats) {
		size_t cap = w->cap_seats ? w->cap_seats * 2 : 4;
		struct seat *seats = realloc(w->seats, cap * sizeof(*seats));

		if (!seats)
			return NULL; /* found again at the next tick */
		w->seats = seats;
		w->cap_seats = cap;
	}
	w->seats[w->n_seats] = (struct seat){.backend = backend_get(b)};
	return &w->seats[w->n_seats++];
}

/* Notes which backends the snapshot has; true: there is one more than before. */
static bool
watch_mark_present(struct watch *w, const struct upstream *up)
{
	bool changed = false;

	for (size_t i = 0; i < w->n_seats; i++)
		w->seats[i].present = false;
	for (size_t i = 0; i < up->n_backends; i++) {
		struct seat *seat = seat_find(w, up->backends[i], i);

		if (!seat) {
			seat = seat_add(w, up->backends[i]);
			changed = true;
		}
		if (seat)
			seat->present = true;
	}
	return changed;
}

/* It was leaving and serves again. Who has done that before, and lately, has to stay
 * for a while before anybody is moved there: what comes up for a second, again and
 * again, would otherwise get a tick's worth of clients each time and lose them again.
 */
static void
seat_returns(struct seat *seat, uint64_t now_ms)
{
	uint64_t wait = 0;

	if (now_ms - seat->returned_ms > TRUST_AT_MOST_MS + seat->wait_ms)
		seat->wait_ms = 0;
	else
		wait = seat->wait_ms ? seat->wait_ms * 2 : TRUST_AFTER_MS;
	if (wait > TRUST_AT_MOST_MS)
		wait = TRUST_AT_MOST_MS;
	seat->returned_ms = now_ms;
	seat->wait_ms = wait;
}

bool
seat_is_trusted(const struct seat *seat, uint64_t now_ms)
{
	return now_ms >= seat->returned_ms + seat->wait_ms;
}

static bool
seat_refresh(struct seat *seat, uint64_t now_ms)
{
	enum backend_use use = backend_use(seat->backend, now_ms);
	uint32_t weight = atomic_load(&seat->backend->weight);
	bool backup = atomic_load(&seat->backend->backup);
	bool changed;

	if (!seat->present)
		use = BACKEND_REMOVED;
	if (backend_use_is_serving(use))
		use = BACKEND_USABLE;
	if (use == BACKEND_USABLE && backend_use_is_leaving(seat->use))
		seat_returns(seat, now_ms);
	changed = use != seat->use || weight != seat->weight || backup != seat->backup;
	seat->use = use;
	seat->weight = weight;
	seat->backup = backup;
	seat->share = backend_weight_now(seat->backend, now_ms);
	seat->spent = false;
	return changed;
}

/* While any other backend serves, backups have no share of the load: what they hold is
 * surplus, and nothing is moved there for balance. */
static void
watch_spare_backups(struct watch *w)
{
	bool spare = false;

	for (size_t i = 0; i < w->n_seats; i++)
		spare |= w->seats[i].use == BACKEND_USABLE && !w->seats[i].backup;
	for (size_t i = 0; i < w->n_seats && spare; i++) {
		if (w->seats[i].backup)
			w->seats[i].share = 0;
	}
}

/* Does nobody else know that backend? Who still talks to one that holds no sessions
 * may get his pin back, when his move fails, or be just about to open a session. */
static bool
seat_is_alone(const struct seat *seat)
{
	return atomic_load(&seat->backend->refs) == 1;
}

/* True: something is not as it was at the last tick. */
bool
watch_refresh(struct watch *w, const struct upstream *up, uint64_t now_ms)
{
	bool changed = watch_mark_present(w, up);
	size_t kept = 0;

	for (size_t i = 0; i < w->n_seats; i++) {
		struct seat seat = w->seats[i];

		changed |= seat_refresh(&seat, now_ms);
		if (!seat.present && seat_is_alone(&seat)) {
			backend_put(seat.backend);
			continue;
		}
		w->seats[kept++] = seat;
	}
	w->n_seats = kept;
	watch_spare_backups(w);
	return changed;
}

void
watch_debounce(struct watch *w, uint64_t debounce_ms, uint64_t now_ms)
{
	uint64_t at_most;

	if (now_ms >= w->debounce_until_ms)
		w->debounce_from_ms = now_ms;
	at_most = w->debounce_from_ms + DEBOUNCE_AT_MOST * debounce_ms;
	w->debounce_until_ms = now_ms + debounce_ms;
	if (w->debounce_until_ms > at_most)
		w->debounce_until_ms = at_most;
	w->surplus_at_ms = w->debounce_until_ms;
}

struct watch *
watch_find(struct planner *p, uint64_t upstream_id)
{
	struct watch *watches;

	for (size_t i = 0; i < p->n_watches; i++) {
		if (p->watches[i].upstream_id == upstream_id)
			return &p->watches[i];
	}
	watches = realloc(p->watches, (p->n_watches + 1) * sizeof(*watches));
	if (!watches)
		return NULL;
	p->watches = watches;
	watches[p->n_watches] = (struct watch){.upstream_id = upstream_id};
	return &watches[p->n_watches++];
}
