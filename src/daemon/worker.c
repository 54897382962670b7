/* SPDX-License-Identifier: MIT
 *
 * worker.c - wires doors to sessions on one thread; see worker.h.
 */
#include "daemon/worker.h"

#include "base/log.h"
#include "http/access_log.h"
#include "http/door.h"
#include "http/exchange.h"
#include "net/listener.h"
#include "route/planner.h"
#include "route/quota.h"
#include "upstream/backend.h"
#include "upstream/pool.h"
#include "ws/registry.h"
#include "ws/session.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_MS = 50 }; /* while stopping: how often to see whether all is done */

/* Owner: the control thread. Thread: its own, but for the functions of worker.h. */
struct worker {
	struct loop *loop;
	struct worker_shared shared;
	struct listener **listeners;
	size_t n_listeners;
	struct chooser chooser;
	struct pools pools;
	struct access access;
	struct front front;
	struct registry registry;
	struct timer look;
	uint64_t stop_by_ms;
	pthread_t thread;
};

/* ---- messages ---- */

struct worker_message {
	struct message message;    /* first */
	struct snapshot *snapshot; /* of new snapshots: a reference */
	struct backend *to;        /* of moves: a reference */
	struct hash128 key;
	enum move_why why;
	uint32_t delay_ms;
	uint64_t grace_ms;
	uint64_t who; /* of seats */
	bool (*visit)(void *arg, struct registry *registry);
	void *arg; /* of visits */
};

static void
message_free(struct worker_message *m)
{
	if (m->snapshot)
		snapshot_put(m->snapshot);
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

static void
take_snapshot(struct message *message, void *to)
{
	struct worker_message *m = (struct worker_message *)(void *)message;
	struct worker *w = to;
	struct view *view = w ? view_new(snapshot_get(m->snapshot)) : NULL;

	if (view) {
		registry_set_view(&w->registry, view);
		front_set_view(&w->front, view);
		pools_retire(&w->pools);
	}
	message_free(m);
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

static void
close_listeners(struct worker *w)
{
	for (size_t i = 0; i < w->n_listeners; i++)
		listener_close(&w->listeners[i]);
}

static void
take_stop(struct message *message, void *to)
{
	struct worker_message *m = (struct worker_message *)(void *)message;
	struct worker *w = to;

	if (w) {
		close_listeners(w);
		front_stop(&w->front);
		/* the last of the spread still has time to answer the Close */
		registry_stop(&w->registry, m->grace_ms / 2);
		w->stop_by_ms = clock_now_ms() + m->grace_ms;
		loop_timer(w->loop, &w->look, 0);
	}
	message_free(m);
}

static void
take_quit(struct message *message, void *to)
{
	struct worker *w = to;

	if (w)
		loop_stop(w->loop);
	message_free((struct worker_message *)(void *)message);
}

void
worker_set_snapshot(struct worker *w, struct snapshot *snapshot)
{
	struct worker_message *m = message_new(take_snapshot);

	if (!m)
		return;
	m->snapshot = snapshot_get(snapshot);
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
worker_stop(struct worker *w, uint64_t grace_ms)
{
	struct worker_message *m = message_new(take_stop);

	if (!m)
		return;
	m->grace_ms = grace_ms;
	loop_post(w->loop, &m->message);
}

void
worker_quit(struct worker *w)
{
	struct worker_message *m = message_new(take_quit);

	if (m)
		loop_post(w->loop, &m->message);
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

static void *
run(void *arg)
{
	struct worker *w = arg;

	loop_run(w->loop);
	close_listeners(w);
	front_fini(&w->front);
	registry_fini(&w->registry);
	pools_fini(&w->pools);
	access_close(&w->access);
	w->shared.on_gone(w->shared.arg);
	return NULL;
}

static void
close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void
worker_free(struct worker *w)
{
	if (w->loop)
		loop_free(w->loop);
	chooser_fini(&w->chooser);
	free(w->listeners);
	free(w);
}

static bool
open_listeners(struct worker *w, const int *fds, size_t n)
{
	w->listeners = calloc(n, sizeof(struct listener *));
	for (size_t i = 0; w->listeners && i < n; i++) {
		w->listeners[i] = listener_open(w->loop, fds[i], front_accept,
		    &w->front.entrances[i]);
		if (!w->listeners[i]) {
			close_all(fds + i, n - i);
			return false;
		}
		w->n_listeners++;
	}
	if (!w->listeners)
		close_all(fds, n);
	return w->listeners != NULL;
}

static bool
set_up(struct worker *w, const struct worker_shared *shared, struct snapshot *snapshot)
{
	struct view *view;
	uint64_t seed;

	w->shared = *shared;
	w->loop = loop_new(w);
	if (!w->loop)
		return false;
	random_secret(&seed, sizeof seed);
	chooser_init(&w->chooser, shared->pins, shared->secret, seed);
	pools_init(&w->pools, w->loop);
	registry_init(&w->registry, w->loop, &w->pools, &w->chooser);
	w->registry.quota = shared->quota;
	w->registry.access = &w->access;
	w->front = (struct front){
	    .loop = w->loop,
	    .pools = &w->pools,
	    .chooser = &w->chooser,
	    .upgrade_ops = &session_upgrade_ops,
	    .upgrade_arg = &w->registry,
	    .quota = shared->quota,
	    .access = &w->access,
	    .seat_ops = &seat_ops,
	    .seat_arg = w,
	};
	front_init(&w->front);
	timer_init(&w->look, on_look);
	view = view_new(snapshot_get(snapshot));
	if (!view)
		return false;
	front_set_view(&w->front, view);
	return access_open(&w->access, shared->access_log,
		   snapshot->config->access_log.format) &&
	       front_open(&w->front, snapshot->config->n_listeners);
}

struct worker *
worker_start(const struct worker_shared *shared, struct snapshot *snapshot,
    const int *fds, size_t n)
{
	struct worker *w = calloc(1, sizeof *w);

	if (!w || !set_up(w, shared, snapshot)) {
		close_all(fds, n);
		goto fail;
	}
	if (!open_listeners(w, fds, n) || pthread_create(&w->thread, NULL, run, w)) {
		close_listeners(w);
		front_fini(&w->front);
		goto fail;
	}
	return w;
fail:
	if (w)
		worker_free(w);
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
