/* SPDX-License-Identifier: MIT
 *
 * sockets.c - the sockets of all listeners; see sockets.h.
 */
#include "daemon/sockets.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "daemon/ears.h"
#include "daemon/heritage.h"
#include "net/listener.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

/* One listener. The configuration it came from may be gone after a reload. Owner: the
 * sockets; until a change takes effect, the change. */
struct place {
	unsigned id;       /* see ears.h */
	bool is_new;       /* no worker has it yet */
	bool is_wanted;    /* a change that is under way keeps it */
	bool heir;         /* its file becomes ours when the predecessor is gone */
	unsigned mode;     /* of a unix socket's file */
	struct addr asked; /* as configured, */
	struct addr addr;  /* and what port 0 has become; AF_UNIX: */
	char path[108];
	struct listener_file file; /* ours to remove, if any */
	int *fds;                  /* at least one; for TCP one for each worker */
	size_t n_fds;
	uint64_t left_ms; /* when it was let go */
	struct place *next;
};

/* Workers hear of a listener that goes at their next turn. Until then it is no other
 * process that has its address. */
enum { LEAVING_MS = 3000 };

struct sockets {
	struct place **places; /* in the configuration's order */
	size_t n, n_workers;
	struct place *leaving; /* by `next`: let go a moment ago */
	unsigned last_id;
};

struct sockets_change {
	struct sockets *sockets;     /* borrowed */
	const struct config *config; /* borrowed */
	struct place **places;       /* in its order; new ones owned */
	size_t n;
	struct share **shares; /* owned: one for each worker */
};

/* ---- places ---- */

static const char *
place_text(const struct place *p, char buf[ADDR_TEXT])
{
	return p->path[0] ? p->path : addr_print(&p->addr, true, buf);
}

static const char *
place_prefix(const struct place *p)
{
	return p->path[0] ? "unix:" : "";
}

static void
place_close(struct place *p)
{
	for (size_t i = 0; i < p->n_fds; i++)
		close(p->fds[i]);
	p->n_fds = 0;
}

static void
place_free(struct place *p)
{
	if (!p)
		return;
	listener_remove_file(&p->file);
	place_close(p);
	free(p->fds);
	free(p);
}

static struct place *
place_new(const struct config_listener *conf)
{
	struct place *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->is_new = p->is_wanted = true;
	p->asked = p->addr = conf->addr;
	p->mode = conf->mode;
	if (conf->unix_path)
		memcpy(p->path, conf->unix_path, strlen(conf->unix_path));
	return p;
}

static bool
place_is_for(const struct place *p, const struct config_listener *conf)
{
	if (conf->unix_path)
		return strcmp(p->path, conf->unix_path) == 0;
	return !p->path[0] && addr_eq(&p->asked, &conf->addr);
}

/* Takes over fd, also on failure. */
static bool
place_add(struct place *p, int fd)
{
	int *more = fd < 0 ? NULL : realloc(p->fds, (p->n_fds + 1) * sizeof *more);

	if (!more) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	p->fds = more;
	p->fds[p->n_fds++] = fd;
	return true;
}

/* ---- binding ---- */

/* One socket, from which all workers accept: a unix socket cannot be bound twice. */
static bool
bind_unix(struct place *p)
{
	return place_add(p, listener_bind_unix(p->path, p->mode, &p->file));
}

/* Would the two get in each other's way, if they were of different processes? */
static bool
overlap(const struct place *a, const struct place *b)
{
	struct addr any_a = a->addr, any_b = b->addr;
	static const uint8_t zeros[16];
	struct str bytes_a = addr_bytes(&a->addr), bytes_b = addr_bytes(&b->addr);

	if (a->path[0] || b->path[0] || a->addr.sa.sa_family != b->addr.sa.sa_family ||
	    addr_port(&any_a) != addr_port(&any_b))
		return false;
	return str_eq(bytes_a, bytes_b) || memcmp(bytes_a.p, zeros, bytes_a.n) == 0 ||
	       memcmp(bytes_b.p, zeros, bytes_b.n) == 0;
}

static void
place_leave(struct sockets *s, struct place *p)
{
	listener_remove_file(&p->file);
	place_close(p);
	p->left_ms = clock_now_ms();
	LL_PREPEND(s->leaving, p);
}

static void
forget_who_left(struct sockets *s, uint64_t before_ms)
{
	struct place **at = &s->leaving, *p;

	while ((p = *at)) {
		if (p->left_ms > before_ms) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		place_free(p);
	}
}

/* With SO_REUSEPORT another process of ours could share the port, which is never meant;
 * a plain bind tells. But for a listener that this one is to replace, or that our own
 * workers are about to close. */
static bool
is_free(const struct sockets *s, const struct place *p)
{
	const struct place *gone;

	for (size_t i = 0; i < s->n; i++)
		if (overlap(s->places[i], p))
			return true;
	LL_FOREACH (s->leaving, gone)
		if (overlap(gone, p))
			return true;
	return addr_port(&p->addr) == 0 || listener_is_free(&p->addr);
}

/* A socket per worker. The first settles what port 0 means for the others. */
static bool
bind_tcp(const struct sockets *s, struct place *p)
{
	if (!is_free(s, p))
		return false;
	for (size_t w = 0; w < s->n_workers; w++) {
		int fd = listener_bind(&p->addr);

		if (!place_add(p, fd) || !listener_addr(fd, &p->addr))
			return false;
	}
	return true;
}

static bool
bind_place(struct sockets_change *c, size_t i, struct strbuf *error)
{
	const struct config_listener *conf = &c->config->listeners[i];
	struct place *p = place_new(conf);

	errno = ENOMEM;
	if (p && (p->path[0] ? bind_unix(p) : bind_tcp(c->sockets, p))) {
		c->places[i] = p;
		return true;
	}
	strbuf_printf(error, "cannot listen on %s (%s)\n", conf->bind, strerror(errno));
	place_free(p);
	return false;
}

/* ---- preparing ---- */

/* Those that are bound already; of several with port 0 each stands for one. */
static void
keep_places(struct sockets_change *c)
{
	struct sockets *s = c->sockets;

	for (size_t i = 0; i < s->n; i++)
		s->places[i]->is_wanted = false;
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < s->n && !c->places[i]; k++) {
			struct place *p = s->places[k];

			if (p->is_wanted || !place_is_for(p, &c->config->listeners[i]))
				continue;
			p->is_wanted = true;
			c->places[i] = p;
		}
}

/* False: no memory. */
static bool
inherit(struct sockets_change *c, size_t i, struct heritage *heritage)
{
	const struct config_listener *conf = &c->config->listeners[i];
	struct place *p = place_new(conf);
	bool heir = false;
	int fd;

	if (!p)
		return false;
	while ((fd = heritage_take(heritage, false, &p->addr, conf->unix_path,
		    &heir)) >= 0) {
		p->heir |= heir;
		if (!place_add(p, fd)) {
			place_free(p);
			return false;
		}
	}
	if (p->n_fds)
		c->places[i] = p;
	else
		place_free(p);
	return true;
}

/* Those with a port first: where it is 0, any socket that is left will do. */
static bool
inherit_places(struct sockets_change *c, struct heritage *heritage)
{
	for (int zero = 0; zero <= 1; zero++)
		for (size_t i = 0; i < c->n; i++) {
			const struct config_listener *conf = &c->config->listeners[i];
			bool any = !conf->unix_path && addr_port(&conf->addr) == 0;

			if (!c->places[i] && any == zero && !inherit(c, i, heritage))
				return false;
		}
	return true;
}

static bool
bind_places(struct sockets_change *c, struct strbuf *error)
{
	bool ok = true;

	/* all that is wrong is told at once */
	for (size_t i = 0; i < c->n; i++)
		if (!c->places[i] && !bind_place(c, i, error))
			ok = false;
	return ok;
}

/* The worker's part of a new place: its own sockets, or one that it shares. */
static bool
share_place(struct share *share, const struct place *p, size_t worker, size_t n_workers)
{
	for (size_t k = worker % p->n_fds; k < p->n_fds; k += n_workers) {
		int fd = fcntl(p->fds[k], F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			return false;
		share->sockets[share->n_sockets++] =
		    (struct share_socket){.fd = fd, .id = p->id};
	}
	return true;
}

static struct share *
make_share(const struct sockets_change *c, size_t worker)
{
	struct share *share = calloc(1, sizeof *share);
	size_t most = 0;

	if (!share)
		return NULL;
	for (size_t i = 0; i < c->n; i++)
		most += c->places[i]->n_fds;
	share->ids = calloc(c->n, sizeof *share->ids);
	share->sockets = calloc(most, sizeof *share->sockets);
	share->n_ids = c->n;
	for (size_t i = 0; share->ids && share->sockets && i < c->n; i++) {
		const struct place *p = c->places[i];

		share->ids[i] = p->id;
		if (p->is_new && !share_place(share, p, worker, c->sockets->n_workers))
			goto fail;
	}
	if (share->ids && share->sockets)
		return share;
fail:
	share_free(share);
	return NULL;
}

static bool
make_shares(struct sockets_change *c, struct strbuf *error)
{
	for (size_t i = 0; i < c->n; i++)
		if (!c->places[i]->id)
			c->places[i]->id = ++c->sockets->last_id;
	for (size_t w = 0; w < c->sockets->n_workers; w++) {
		errno = ENOMEM;
		c->shares[w] = make_share(c, w);
		if (!c->shares[w]) {
			strbuf_printf(error, "cannot listen (%s)\n", strerror(errno));
			return false;
		}
	}
	return true;
}

struct sockets *
sockets_new(size_t n_workers)
{
	struct sockets *s = calloc(1, sizeof *s);

	if (s)
		s->n_workers = n_workers;
	return s;
}

struct sockets_change *
sockets_prepare(struct sockets *s, const struct config *config,
    struct heritage *heritage, struct strbuf *error_r)
{
	struct sockets_change *c = calloc(1, sizeof *c);

	if (c) {
		c->sockets = s;
		c->config = config;
		c->n = config->n_listeners;
		c->places = calloc(c->n, sizeof(struct place *));
		c->shares = calloc(s->n_workers, sizeof(struct share *));
	}
	if (!c || !c->places || !c->shares) {
		strbuf_lit(error_r, "out of memory\n");
		sockets_cancel(c);
		return NULL;
	}
	forget_who_left(s, clock_now_ms() - LEAVING_MS);
	keep_places(c);
	if (heritage && !inherit_places(c, heritage)) {
		strbuf_lit(error_r, "out of memory\n");
	} else if (bind_places(c, error_r) && make_shares(c, error_r)) {
		return c;
	}
	sockets_cancel(c);
	return NULL;
}

struct share *
sockets_share(struct sockets_change *change, size_t worker)
{
	struct share *share = change->shares[worker];

	change->shares[worker] = NULL;
	return share;
}

/* ---- the end of a change ---- */

static void
change_free(struct sockets_change *c)
{
	for (size_t w = 0; c->shares && w < c->sockets->n_workers; w++)
		share_free(c->shares[w]);
	free(c->shares);
	free(c->places);
	free(c);
}

void
sockets_cancel(struct sockets_change *c)
{
	if (!c)
		return;
	for (size_t i = 0; c->places && i < c->n; i++)
		if (c->places[i] && c->places[i]->is_new)
			place_free(c->places[i]);
	change_free(c);
}

static void
change_mode(struct place *p, unsigned mode)
{
	if (!p->file.path[0] || p->mode == mode)
		return;
	if (chmod(p->path, mode))
		log_warn(TOPIC_LISTENER, "unix:%s: mode not changed (%s)", p->path,
		    strerror(errno));
	else
		p->mode = mode;
}

/* True: it is new. */
static bool
settle_place(struct place *p, const struct config_listener *conf)
{
	char text[ADDR_TEXT];

	change_mode(p, conf->mode);
	if (!p->is_new)
		return false;
	p->is_new = false;
	log_notice(TOPIC_LISTENER, "listening on %s%s", place_prefix(p),
	    place_text(p, text));
	return true;
}

static bool
drop_places(struct sockets *s)
{
	char text[ADDR_TEXT];
	bool some = false;

	for (size_t i = 0; i < s->n; i++) {
		struct place *p = s->places[i];

		if (p->is_wanted)
			continue;
		log_notice(TOPIC_LISTENER, "no longer listening on %s%s",
		    place_prefix(p), place_text(p, text));
		place_leave(s, p);
		some = true;
	}
	return some;
}

bool
sockets_commit(struct sockets *s, struct sockets_change *c)
{
	bool some = drop_places(s);

	free(s->places);
	s->places = c->places;
	s->n = c->n;
	for (size_t i = 0; i < s->n; i++)
		some |= settle_place(s->places[i], &c->config->listeners[i]);
	c->places = NULL;
	change_free(c);
	return some;
}

/* ---- all of them ---- */

bool
sockets_write(const struct sockets *s, const char *path, const char *more)
{
	char text[ADDR_TEXT];
	FILE *file = fopen(path, "we");

	if (!file) {
		log_error(TOPIC_DAEMON, "%s: %s", path, strerror(errno));
		return false;
	}
	for (size_t i = 0; i < s->n; i++)
		fprintf(file, "%s%s\n", place_prefix(s->places[i]),
		    place_text(s->places[i], text));
	fputs(more, file);
	if (fclose(file) == 0)
		return true;
	log_error(TOPIC_DAEMON, "%s: %s", path, strerror(errno));
	return false;
}

void
sockets_bequeath(const struct sockets *s, struct strbuf *line)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->places[i]->n_fds; k++)
			heritage_add(line, s->places[i]->fds[k], false,
			    s->places[i]->file.path[0] != '\0');
}

void
sockets_own(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct place *p = s->places[i];

		if (!p->heir)
			continue;
		p->heir = false;
		listener_file_find(p->path, &p->file);
		if (p->file.path[0] && chmod(p->path, p->mode))
			log_warn(TOPIC_LISTENER, "unix:%s: mode not changed (%s)",
			    p->path, strerror(errno));
	}
}

void
sockets_leave(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		s->places[i]->file = (struct listener_file){0};
		place_close(s->places[i]);
	}
}

void
sockets_end(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++) {
		listener_remove_file(&s->places[i]->file);
		place_close(s->places[i]);
	}
}

void
sockets_free(struct sockets *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		place_free(s->places[i]);
	forget_who_left(s, UINT64_MAX);
	free(s->places);
	free(s);
}
