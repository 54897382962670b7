/* SPDX-License-Identifier: MIT
 *
 * worker.c - wires doors to sessions on one thread; see worker.h.
 */
#include "daemon/worker.h"

#include "base/log.h"
#include "base/thread.h"
#include "daemon/ears.h"
#include "http/access_log.h"
#include "http/door.h"
#include "http/exchange.h"
#include "route/planner.h"
#include "route/quota.h"
#include "upstream/backend.h"
#include "upstream/pool.h"
#include "ws/registry.h"
#include "ws/session.h"
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

enum {
	LOOK_MS = 50,     /* while stopping: how often to see whether all is done */
	ANSWER_MS = 3000, /* the last who is told a Close still has to answer it */
	AGAIN_MS = 100    /* when there was no memory for a snapshot */
};

struct worker_message;

/* Owner: the control thread. Thread: its own, but for the functions of worker.h. */
struct worker {
	struct loop *loop;
	struct worker_shared shared;
	struct ears ears;
	struct chooser chooser;
	struct pools pools;
	struct access access;
	struct front front;
	struct registry registry;
	struct timer look;
	uint64_t stop_by_ms;
	struct message *news; /* snapshots not taken over yet, the oldest first */
	struct timer again;
	pthread_t thread;

	/* the control thread's alone */
	struct worker_message *spare; /* for a snapshot, when memory is short */
	struct message quit;
	bool quitting;
};

/* ---- messages ---- */

struct worker_message {
	struct message message;    /* first */
	struct snapshot *snapshot; /* of new snapshots: a reference */
	struct share *share;       /* likewise: owned, or NULL */
	struct backend *to;        /* of moves: a reference */
	struct hash128 key;
	enum move_why why;
	uint32_t delay_ms;
	struct worker_stop stop;
	/* of stops: all workers, borrowed, and how far it has come */
	struct worker *const *workers;
	size_t n_workers, at;
	atomic_bool *alive; /* of questions: borrowed */
	uint64_t who;       /* of seats */
	bool (*visit)(void *arg, struct registry *registry);
	void *arg; /* of visits */
};

static void
message_free(struct worker_message *m)
{
	if (m->snapshot)
		snapshot_put(m->snapshot);
	share_free(m->share);
	backend_put(m->to);
	free(m);
}

/* A message that cannot be sent is lost and logged: the next reload, tick of the
 * planner or signal says it again. */
static struct worker_message *
message_new(void (*deliver)(struct message *, void *))
{
	struct worker_message *m = calloc(1, sizeof *m);

	if (m)
		m->message.deliver = deliver;
	else
		log_kind(KIND_NO_MEMORY, NULL, "out of memory (message to a worker)");
	return m;
}

/* False: no memory; the share is the message's until it is taken. */
static bool
follow_listeners(struct worker *w, struct worker_message *m)
{
	if (!m->share)
		ears_follow(&w->ears);
	else if (ears_take(&w->ears, m->share))
		m->share = NULL;
	else
		return false;
	return true;
}

/* False: no memory; it may be tried again. */
static bool
follow_snapshot(struct worker *w, struct worker_message *m)
{
	struct view *view = view_new(snapshot_get(m->snapshot));

	if (!view)
		return false;
	view_take_pages(view);
	registry_set_view(&w->registry, view);
	front_set_view(&w->front, view);
	if (!follow_listeners(w, m))
		return false;
	pools_retire(&w->pools);
	return true;
}

/* In their order, since each says what is new since the one before. */
static void
follow_news(struct worker *w)
{
	while (w->news) {
		struct worker_message *m = (struct worker_message *)(void *)w->news;

		if (!follow_snapshot(w, m)) {
			log_kind(KIND_NO_MEMORY, NULL,
			    "out of memory (configuration of a worker)");
			loop_timer(w->loop, &w->again, AGAIN_MS);
			return;
		}
		w->news = m->message.next;
		message_free(m);
	}
}

static void
on_again(struct timer *t)
{
	follow_news(container_of(t, struct worker, again));
}

static void
forget_news(struct worker *w)
{
	while (w->news) {
		struct message *next = w->news->next;

		message_free((struct worker_message *)(void *)w->news);
		w->news = next;
	}
	timer_clear(&w->again);
}

static void
take_snapshot(struct message *message, void *to)
{
	struct worker *w = to;

	if (!w) {
		message_free((struct worker_message *)(void *)message);
		return;
	}
	message->next = NULL;
	LL_APPEND(w->news, message);
	follow_news(w);
}

static void
take_move(struct message *message, void *to)
{
	struct worker_message *m = (struct worker_message *)(void *)message;
	struct worker *w = to;

	if (w)
		registry_rehome(&w->registry, m->key, m->to, m->why, m->delay_ms);
	message_free(m);
}

static void
on_look(struct timer *t)
{
	struct worker *w = container_of(t, struct worker, look);

	if ((w->front.n_doors == 0 && w->registry.n_sessions == 0) ||
	    clock_now_ms() >= w->stop_by_ms)
		loop_stop(w->loop);
	else
		loop_timer(w->loop, t, LOOK_MS);
}

static uint64_t
spread_ms(uint64_t grace_ms)
{
	return grace_ms - (grace_ms / 2 < ANSWER_MS ? grace_ms / 2 : ANSWER_MS);
}

static void
close_ears(struct worker *w, const struct worker_stop *how)
{
	if (how->why == REASON_UPGRADED)
		ears_leave(&w->ears);
	else
		ears_close(&w->ears);
}

static void
stop(struct worker *w, const struct worker_stop *how)
{
	front_stop(&w->front, how->idle_ms);
	registry_stop(&w->registry, how->why, spread_ms(how->grace_ms));
	w->stop_by_ms = clock_now_ms() + how->grace_ms;
	loop_timer(w->loop, &w->look, 0);
}

/* Goes from worker to worker, twice: when all have closed their ears, they stop. The
 * control thread joins none before all have ended. */
static void
take_stop(struct message *message, void *to)
{
	struct worker_message *m = (struct worker_message *)(void *)message;
	struct worker *w = to;

	if (w && m->at < m->n_workers)
		close_ears(w, &m->stop);
	else if (w)
		stop(w, &m->stop);
	if (w && ++m->at < 2 * m->n_workers)
		loop_post(m->workers[m->at % m->n_workers]->loop, message);
	else
		message_free(m);
}

static void
take_quit(struct message *message, void *to)
{
	struct worker *w = to;

	if (w)
		loop_stop(w->loop);
}

/* Nobody would say it again, so there is one in reserve. */
static struct worker_message *
news_new(struct worker *w)
{
	struct worker_message *m = message_new(take_snapshot);

	if (!m) {
		m = w->spare;
		w->spare = NULL;
	} else if (!w->spare) {
		w->spare = message_new(take_snapshot);
	}
	return m;
}

void
worker_set_snapshot(struct worker *w, struct snapshot *snapshot, struct share *share)
{
	struct worker_message *m = news_new(w);

	if (!m) {
		share_free(share);
		return;
	}
	m->snapshot = snapshot_get(snapshot);
	m->share = share;
	loop_post(w->loop, &m->message);
}

void
worker_rehome(struct worker *w, const struct move *move)
{
	struct worker_message *m = message_new(take_move);

	if (!m)
		return;
	m->key = move->key;
	m->to = backend_get(move->to);
	m->why = move->why;
	m->delay_ms = move->delay_ms;
	loop_post(w->loop, &m->message);
}

static void
take_visit(struct message *message, void *to)
{
	struct worker_message *m = (struct worker_message *)(void *)message;
	struct worker *w = to;

	if (m->visit(m->arg, w ? &w->registry : NULL) && w)
		loop_post(w->loop, message);
	else
		message_free(m);
}

bool
worker_visit(struct worker *w, bool (*visit)(void *arg, struct registry *registry),
    void *arg)
{
	struct worker_message *m = message_new(take_visit);

	if (!m)
		return false;
	m->visit = visit;
	m->arg = arg;
	loop_post(w->loop, &m->message);
	return true;
}

void
workers_stop(struct worker *const *workers, size_t n, const struct worker_stop *how)
{
	struct worker_message *m = message_new(take_stop);

	for (size_t i = 0; !m && i < n; i++)
		worker_quit(workers[i]);
	if (!m)
		return;
	m->stop = *how;
	m->workers = workers;
	m->n_workers = n;
	loop_post(workers[0]->loop, &m->message);
}

static void
take_question(struct message *message, void *to)
{
	struct worker_message *m = (struct worker_message *)(void *)message;

	if (to)
		atomic_store(m->alive, true);
	message_free(m);
}

bool
worker_ask(struct worker *w, atomic_bool *alive)
{
	struct worker_message *m = message_new(take_question);

	if (!m)
		return false;
	m->alive = alive;
	loop_post(w->loop, &m->message);
	return true;
}

void
worker_quit(struct worker *w)
{
	if (w->quitting)
		return;
	w->quitting = true;
	w->quit.deliver = take_quit;
	loop_post(w->loop, &w->quit);
}

/* ---- seats ---- */

static void
take_seated(struct message *message, void *to)
{
	struct worker_message *m = (struct worker_message *)(void *)message;
	struct worker *w = to;

	if (w)
		exchange_seated(&w->front, m->who);
	message_free(m);
}

static void
take_unseat(struct message *message, void *to)
{
	struct worker_message *m = (struct worker_message *)(void *)message;
	struct worker *w = to;

	if (w)
		exchange_unseat(&w->front, m->who);
	message_free(m);
}

static bool
post_seat(const struct quota_seat *seat, void (*deliver)(struct message *, void *))
{
	const struct worker *w = seat->worker;
	struct worker_message *m = message_new(deliver);

	if (!m)
		return false;
	m->who = seat->who;
	loop_post(w->loop, &m->message);
	return true;
}

static bool
on_seated(const struct quota_seat *seat)
{
	return post_seat(seat, take_seated);
}

static bool
on_leave(const struct quota_seat *seat)
{
	return post_seat(seat, take_unseat);
}

/* Of exchanges that are not sessions yet. */
static const struct quota_seat_ops seat_ops = {
    .leave = on_leave,
    .seated = on_seated,
};

/* ---- life ---- */

static void
close_all(struct worker *w)
{
	forget_news(w);
	ears_fini(&w->ears);
	front_fini(&w->front);
	registry_fini(&w->registry);
	pools_fini(&w->pools);
	access_close(&w->access);
}

static void *
run(void *arg)
{
	struct worker *w = arg;

	pthread_setname_np(pthread_self(), "roost-worker");
	view_take_pages(w->front.view);
	loop_run(w->loop);
	close_all(w);
	w->shared.on_gone(w->shared.arg);
	return NULL;
}

static void
worker_free(struct worker *w)
{
	if (w->loop)
		loop_free(w->loop);
	chooser_fini(&w->chooser);
	free(w->spare);
	free(w);
}

/* What cannot fail; then close_all may be called. */
static void
wire(struct worker *w)
{
	uint64_t seed;

	random_secret(&seed, sizeof seed);
	chooser_init(&w->chooser, w->shared.pins, w->shared.secret, seed);
	pools_init(&w->pools, w->loop);
	registry_init(&w->registry, w->loop, &w->pools, &w->chooser);
	w->registry.quota = w->shared.quota;
	w->registry.access = &w->access;
	w->front = (struct front){
	    .loop = w->loop,
	    .pools = &w->pools,
	    .chooser = &w->chooser,
	    .upgrade_ops = &session_upgrade_ops,
	    .upgrade_arg = &w->registry,
	    .quota = w->shared.quota,
	    .access = &w->access,
	    .seat_ops = &seat_ops,
	    .seat_arg = w,
	};
	front_init(&w->front);
	ears_init(&w->ears, w->loop, &w->front);
	timer_init(&w->look, on_look);
	timer_init(&w->again, on_again);
}

/* False: no memory. */
static bool
set_up(struct worker *w, struct snapshot *snapshot)
{
	struct view *view = view_new(snapshot_get(snapshot));

	if (!view)
		return false;
	front_set_view(&w->front, view);
	w->spare = message_new(take_snapshot);
	return w->spare && access_open(&w->access, w->shared.access_log,
			       snapshot->config->access_log.format);
}

/* Takes over share. False: errno. */
static bool
start(struct worker *w, struct snapshot *snapshot, struct share *share)
{
	int error = ENOMEM;

	if (set_up(w, snapshot) && ears_take(&w->ears, share))
		error = thread_start(&w->thread, run, w);
	else
		share_free(share);
	if (error)
		close_all(w);
	errno = error;
	return error == 0;
}

struct worker *
worker_start(const struct worker_shared *shared, struct snapshot *snapshot,
    struct share *share)
{
	struct worker *w = calloc(1, sizeof *w);
	int error;

	if (w) {
		w->shared = *shared;
		w->loop = loop_new(w);
	}
	if (w && w->loop) {
		wire(w);
		if (start(w, snapshot, share))
			return w;
	} else {
		share_free(share);
	}
	error = errno;
	if (w)
		worker_free(w);
	errno = error;
	return NULL;
}

void
worker_join(struct worker *w)
{
	pthread_join(w->thread, NULL);
	worker_free(w);
}

uint64_t
worker_counter(const struct worker *w, enum counter which)
{
	return count_get(&w->loop->counters, which);
}
