/* SPDX-License-Identifier: MIT
 *
 * sockets.c - the sockets of all listeners; see sockets.h.
 */
#include "daemon/sockets.h"

#include "base/log.h"
#include "config/config.h"
#include "net/listener.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* One listener. The configuration it came from may be gone after a reload. */
struct place {
	struct addr addr;          /* what port 0 has become */
	struct listener_file file; /* of a unix socket */
};

struct sockets {
	struct place *places;
	size_t n, n_workers;
	size_t n_given; /* workers that have theirs */
	int *fds;       /* n for each worker; -1: not bound */
};

static const char *
place_text(const struct place *p, char buf[ADDR_TEXT])
{
	return p->addr.sa.sa_family == AF_UNIX ? p->file.path
					       : addr_print(&p->addr, true, buf);
}

static const char *
place_prefix(const struct place *p)
{
	return p->addr.sa.sa_family == AF_UNIX ? "unix:" : "";
}

static bool
complain(const struct config_listener *conf)
{
	log_error(TOPIC_LISTENER, "cannot listen on %s (%s)", conf->bind,
	    strerror(errno));
	return false;
}

/* One socket, and a duplicate of it for each further worker. A loop that has closed its
 * duplicate may hear of it until the others close theirs, which they do at once. */
static bool
bind_unix(struct sockets *s, size_t i, const struct config_listener *conf)
{
	struct place *p = &s->places[i];

	p->addr.sa.sa_family = AF_UNIX;
	s->fds[i] = listener_bind_unix(conf->unix_path, conf->mode, &p->file);
	if (s->fds[i] < 0)
		return complain(conf);
	for (size_t w = 1; w < s->n_workers; w++) {
		s->fds[w * s->n + i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, 0);
		if (s->fds[w * s->n + i] < 0)
			return complain(conf);
	}
	return true;
}

/* A socket per worker. The first settles what port 0 means for the others. With
 * SO_REUSEPORT a second roost could share our port; a plain bind tells. */
static bool
bind_tcp(struct sockets *s, size_t i, const struct config_listener *conf)
{
	struct addr *addr = &s->places[i].addr;

	*addr = conf->addr;
	if (addr_port(addr) && !listener_is_free(addr))
		return complain(conf);
	for (size_t w = 0; w < s->n_workers; w++) {
		int fd = listener_bind(addr);

		s->fds[w * s->n + i] = fd;
		if (fd < 0 || !listener_addr(fd, addr))
			return complain(conf);
	}
	return true;
}

struct sockets *
sockets_bind(const struct config *config, size_t n_workers)
{
	struct sockets *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->n = config->n_listeners;
	s->n_workers = n_workers;
	s->places = calloc(s->n, sizeof *s->places);
	s->fds = malloc(s->n * n_workers * sizeof *s->fds);
	if (!s->places || !s->fds)
		goto fail;
	for (size_t i = 0; i < s->n * n_workers; i++)
		s->fds[i] = -1;
	for (size_t i = 0; i < s->n; i++) {
		const struct config_listener *conf = &config->listeners[i];

		if (conf->unix_path ? !bind_unix(s, i, conf) : !bind_tcp(s, i, conf))
			goto fail;
	}
	return s;
fail:
	sockets_free(s);
	return NULL;
}

const int *
sockets_give(struct sockets *s)
{
	return s->fds + s->n_given++ * s->n;
}

void
sockets_announce(const struct sockets *s)
{
	char text[ADDR_TEXT];

	for (size_t i = 0; i < s->n; i++)
		log_notice(TOPIC_LISTENER, "listening on %s%s",
		    place_prefix(&s->places[i]), place_text(&s->places[i], text));
}

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
		fprintf(file, "%s%s\n", place_prefix(&s->places[i]),
		    place_text(&s->places[i], text));
	fputs(more, file);
	return fclose(file) == 0;
}

void
sockets_end(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++)
		listener_remove_file(&s->places[i].file);
}

void
sockets_free(struct sockets *s)
{
	if (!s)
		return;
	if (s->places)
		sockets_end(s);
	for (size_t i = s->n_given * s->n; s->fds && i < s->n * s->n_workers; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	free(s->places);
	free(s->fds);
	free(s);
}
