/* SPDX-License-Identifier: MIT
 *
 * survey.c - asks every worker for its sessions; see survey.h.
 *
 * Each worker gets a visit, which walks its registry a piece at a time, copies what
 * fits, and comes home as a message. The survey itself is freed when its last visit is
 * back, however late that is; all but `over` belongs to the control thread, and what a
 * visit reads of it on a worker does not change.
 */
#include "admin/survey.h"

#include "admin/api.h"
#include "base/strbuf.h"
#include "loop/loop.h"
#include "ws/registry.h"
#include "ws/session.h"
#include <stdlib.h>

enum { DEADLINE_MS = 1000, PIECE = 256 /* sessions looked at in one turn */ };

struct survey {
	unsigned refs; /* visits under way, and one until it is over */
	atomic_bool over;
	struct loop *loop; /* borrowed: where visits come home */
	struct survey_filter filter;
	char *text; /* of the filter */
	struct hash128 *keys;
	struct timer deadline;
	void (*done)(void *arg, struct survey_result *result);
	void *arg;
	struct survey_result result;
	size_t cap;
};

/* Owner: a worker while it is there, then a message, then the control thread. */
struct visit {
	struct message message; /* first */
	struct survey *survey;  /* a reference */
	struct registry_walk walk;
	bool walking;
	unsigned worker;
	struct survey_row *rows;
	size_t n, cap;
	uint64_t matched;
	bool no_memory;
};

static void
rows_free(struct survey_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(rows[i].text);
	free(rows);
}

static void
survey_put(struct survey *s)
{
	if (--s->refs)
		return;
	timer_clear(&s->deadline);
	rows_free(s->result.rows, s->result.n);
	free(s->text);
	free(s->keys);
	free(s);
}

static void
visit_free(struct visit *v)
{
	rows_free(v->rows, v->n);
	survey_put(v->survey);
	free(v);
}

/* ---- on the worker's thread ---- */

static bool
fits_client(const struct survey_filter *f, const struct session_view *v)
{
	if (!f->keys)
		return true;
	for (size_t i = 0; i < f->n_keys; i++)
		if (hash128_eq(v->key, f->keys[i]) ||
		    (v->has_follower && hash128_eq(v->follower, f->keys[i])))
			return true;
	return f->address.sa.sa_family &&
	       str_eq(addr_bytes(&v->peer), addr_bytes(&f->address));
}

static bool
fits_backend(const char *wanted, const char *name)
{
	size_t n = strlen(wanted);

	return strncmp(wanted, name, n) == 0 && (name[n] == '\0' || name[n] == '#');
}

static bool
fits_state(unsigned states, const struct session_view *v)
{
	unsigned is = v->moving ? STATE_MOVING : 0;

	switch (v->state) {
	case SESSION_CONNECTED: is |= STATE_CONNECTED; break;
	case SESSION_RECONNECTING: is |= STATE_RECONNECTING; break;
	case SESSION_CLOSING:
	case SESSION_CLOSED: is |= STATE_CLOSING; break;
	}
	return (is & states) != 0;
}

static bool
fits(const struct survey_filter *f, const struct session_view *v)
{
	return (!f->upstream || strcmp(f->upstream, v->upstream) == 0) &&
	       (!f->backend || fits_backend(f->backend, v->backend)) &&
	       (!f->session || strcmp(f->session, v->id) == 0) &&
	       (!f->states || fits_state(f->states, v)) && v->age_ms >= f->min_age_ms &&
	       (!f->max_age_ms || v->age_ms <= f->max_age_ms) && fits_client(f, v);
}

static uint64_t
rank_of(enum survey_sort sort, const struct session_view *v)
{
	const struct side_view *client = &v->client_side, *backend = &v->backend_side;

	switch (sort) {
	case SORT_NEWEST: break;
	case SORT_OLDEST: return UINT64_MAX - v->opened_ms;
	case SORT_IDLE: return client->idle_ms;
	case SORT_MESSAGES: return client->messages + backend->messages;
	case SORT_BYTES: return client->bytes + backend->bytes;
	case SORT_MOVES: return v->moves;
	case SORT_RTT: return client->rtt_us;
	case SORT_QUEUED: return client->queued + backend->queued;
	}
	return v->opened_ms;
}

/* Among equals each worker's order stays: it decided which rows it sent, so that pages
 * neither overlap nor leave anybody out. */
static int
best_first(const void *a, const void *b)
{
	const struct survey_row *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? 1 : -1;
	if (x->view.opened_ms != y->view.opened_ms)
		return x->view.opened_ms < y->view.opened_ms ? 1 : -1;
	if (x->worker != y->worker)
		return x->worker < y->worker ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static bool
rows_reserve(struct survey_row **rows, size_t *cap, size_t n)
{
	size_t more = *cap ? *cap : 16;
	struct survey_row *room;

	if (n <= *cap)
		return true;
	while (more < n)
		more *= 2;
	room = realloc(*rows, more * sizeof(*room));
	if (!room)
		return false;
	*rows = room;
	*cap = more;
	return true;
}

/* Moves *text into memory that stays, of which *at is the next free byte. */
static void
keep_text(const char **text, char **at)
{
	size_t n = strlen(*text) + 1;

	memcpy(*at, *text, n);
	*text = *at;
	*at += n;
}

static bool
row_fill(struct survey_row *row, const struct session_view *v)
{
	size_t n = strlen(v->id) + strlen(v->upstream) + strlen(v->backend) + 3;
	char *at;

	for (unsigned i = 0; i < v->n_homes; i++)
		n += strlen(v->homes[i].backend) + 1;
	at = malloc(n);
	if (!at)
		return false;
	row->view = *v;
	row->text = at;
	keep_text(&row->view.id, &at);
	keep_text(&row->view.upstream, &at);
	keep_text(&row->view.backend, &at);
	for (unsigned i = 0; i < v->n_homes; i++)
		keep_text(&row->view.homes[i].backend, &at);
	return true;
}

/* Lets the last of the best `max` sink to its place in the heap, whose top it is. */
static void
heap_sink(struct survey_row *rows, size_t n, size_t at)
{
	for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
		struct survey_row row = rows[at];

		if (child + 1 < n && best_first(&rows[child + 1], &rows[child]) > 0)
			child++;
		if (best_first(&row, &rows[child]) > 0)
			return;
		rows[at] = rows[child];
		rows[child] = row;
		at = child;
	}
}

/* Keeps the best `max`: all, until there are so many, then a heap of them. */
static void
visit_keep(struct visit *v, const struct survey_row *row)
{
	struct survey_row *rows = v->rows;

	if (v->n < v->survey->filter.max) {
		v->rows[v->n++] = *row;
		for (size_t i = v->n / 2; v->n == v->survey->filter.max && i--;)
			heap_sink(v->rows, v->n, i);
		return;
	}
	free(rows[0].text);
	rows[0] = *row;
	heap_sink(rows, v->n, 0);
}

static void
visit_look(struct visit *v, const struct session *s)
{
	const struct survey_filter *f = &v->survey->filter;
	struct survey_row row = {.worker = v->worker};
	struct session_view view;

	session_describe(s, &view);
	if (!fits(f, &view))
		return;
	row.view.opened_ms = view.opened_ms;
	row.rank = rank_of(f->sort, &view);
	row.number = v->matched++;
	if (f->max == 0 || (v->n == f->max && best_first(&v->rows[0], &row) < 0))
		return;
	if (rows_reserve(&v->rows, &v->cap, v->n + 1) && row_fill(&row, &view))
		visit_keep(v, &row);
	else
		v->no_memory = true;
}

/* It may be gone afterwards; the walk knows. */
static void
visit_kick(const struct visit *v, struct session *s)
{
	const struct survey_filter *f = &v->survey->filter;
	struct session_view view;

	if (!f->kick_code)
		return;
	session_describe(s, &view);
	if (fits(f, &view))
		session_close(s, REASON_KICKED, f->kick_code,
		    "ended by the administrator");
}

static bool
visit_piece(struct visit *v, struct registry *registry)
{
	struct session *s = NULL;

	if (!v->walking && atomic_load(&v->survey->over))
		return false;
	if (!v->walking)
		registry_walk_start(registry, &v->walk);
	v->walking = true;
	for (int i = 0; i < PIECE; i++) {
		s = registry_walk_next(&v->walk);
		if (!s)
			break;
		visit_look(v, s);
		visit_kick(v, s);
	}
	if (s && !atomic_load(&v->survey->over))
		return true;
	registry_walk_end(registry, &v->walk);
	return false;
}

static bool
on_visit(void *arg, struct registry *registry)
{
	struct visit *v = arg;

	if (registry && visit_piece(v, registry))
		return true;
	loop_post(v->survey->loop, &v->message);
	return false;
}

/* ---- at home ---- */

static void
survey_end(struct survey *s)
{
	struct survey_result *r = &s->result;

	timer_clear(&s->deadline);
	atomic_store(&s->over, true);
	if (r->n)
		qsort(r->rows, r->n, sizeof(*r->rows), best_first);
	if (r->n > s->filter.max) {
		for (size_t i = s->filter.max; i < r->n; i++)
			free(r->rows[i].text);
		r->n = s->filter.max;
	}
	s->done(s->arg, r);
	survey_put(s);
}

static void
survey_add(struct survey *s, struct visit *v)
{
	struct survey_result *r = &s->result;

	r->matched += v->matched;
	r->no_memory |= v->no_memory;
	r->n_answered++;
	if (v->n && rows_reserve(&r->rows, &s->cap, r->n + v->n)) {
		memcpy(r->rows + r->n, v->rows, v->n * sizeof(*v->rows));
		r->n += v->n;
		v->n = 0;
	}
	r->no_memory |= v->n > 0;
	if (r->n_answered == r->n_workers)
		survey_end(s);
}

static void
take_visit(struct message *message, void *to)
{
	struct visit *v = (struct visit *)(void *)message;

	if (to && !atomic_load(&v->survey->over))
		survey_add(v->survey, v);
	visit_free(v);
}

static void
on_deadline(struct timer *t)
{
	survey_end(container_of(t, struct survey, deadline));
}

static bool
filter_copy(struct survey *s, const struct survey_filter *f)
{
	const char **texts[] = {&s->filter.upstream, &s->filter.backend,
	    &s->filter.session};
	size_t n = 1;
	char *at;

	s->filter = *f;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		n += *texts[i] ? strlen(*texts[i]) + 1 : 0;
	at = s->text = malloc(n);
	if (!at)
		return false;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (*texts[i])
			keep_text(texts[i], &at);
	if (!f->keys)
		return true;
	s->keys = malloc((f->n_keys + 1) * sizeof(*s->keys));
	if (!s->keys)
		return false;
	memcpy(s->keys, f->keys, f->n_keys * sizeof(*s->keys));
	s->filter.keys = s->keys;
	return true;
}

static void
survey_ask(struct survey *s, const struct admin_host *host, unsigned worker)
{
	struct visit *v = calloc(1, sizeof(*v));

	if (!v)
		return;
	v->message.deliver = take_visit;
	v->survey = s;
	v->worker = worker;
	s->refs++;
	if (!host->visit(host->arg, worker, on_visit, v))
		visit_free(v);
}

struct survey *
survey_start(const struct admin_host *host, const struct survey_filter *filter,
    void (*done)(void *arg, struct survey_result *result), void *arg)
{
	struct survey *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->refs = 1;
	timer_init(&s->deadline, on_deadline);
	if (!filter_copy(s, filter)) {
		survey_put(s);
		return NULL;
	}
	s->loop = host->loop;
	s->done = done;
	s->arg = arg;
	if (filter->worker) {
		s->result.n_workers = 1;
		survey_ask(s, host, filter->worker - 1);
	} else {
		s->result.n_workers = host->n_workers(host->arg);
		for (unsigned i = 0; i < s->result.n_workers; i++)
			survey_ask(s, host, i);
	}
	loop_timer(s->loop, &s->deadline, DEADLINE_MS);
	return s;
}

void
survey_cancel(struct survey *s)
{
	timer_clear(&s->deadline);
	atomic_store(&s->over, true);
	survey_put(s);
}
