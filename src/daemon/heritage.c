/* SPDX-License-Identifier: MIT
 *
 * heritage.c - what a new process has from the one before it; see heritage.h.
 */
#include "daemon/heritage.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "daemon/estate.h"
#include "daemon/systemd.h"
#include "net/listener.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* link=5 pid=-1 estate=1 7 8f 9a: sockets by number, f: with a file that is ours, a:
 * the admin API's. Other words with '=' are those of another version. */
#define VARIABLE "ROOST_HERITAGE"

/* ---- the old one ---- */

void
heritage_begin(struct strbuf *line, int link, int pid_file)
{
	strbuf_printf(line, VARIABLE "=link=%d pid=%d estate=%d", link, pid_file,
	    ESTATE_VERSION);
}

void
heritage_add(struct strbuf *line, int fd, bool admin, bool own_file)
{
	strbuf_printf(line, " %d%s%s", fd, own_file ? "f" : "", admin ? "a" : "");
}

bool
heritage_is_variable(const char *entry)
{
	/* what systemd meant for the old process is in ours by now, or would not fit */
	static const char *const names[] = {VARIABLE "=",
	    "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "WATCHDOG_PID="};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strncmp(entry, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* ---- finding ---- */

static bool
add(struct heritage *h, int fd, bool admin, bool own_file)
{
	struct heirloom *more =
	    realloc(h->heirlooms, (h->n + 1) * sizeof *h->heirlooms);
	struct heirloom *one;

	if (!more)
		return false;
	h->heirlooms = more;
	one = &more[h->n];
	*one = (struct heirloom){.fd = fd, .admin = admin, .own_file = own_file};
	if (listener_adopt(fd, &one->addr, one->path)) {
		h->n++;
	} else {
		log_warn(TOPIC_LISTENER,
		    "inherited descriptor %d is no socket that listens", fd);
		close(fd);
	}
	return true;
}

/* Ours alone from now on, not that of processes we start. */
static int
keep(long fd)
{
	return fd >= 0 && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0 ? (int)fd : -1;
}

static bool
parse(struct heritage *h, char *text)
{
	char *end, *word, *rest = NULL;
	bool ok = true;

	for (word = strtok_r(text, " ", &rest); word && ok;
	     word = strtok_r(NULL, " ", &rest)) {
		if (strncmp(word, "link=", 5) == 0) {
			h->link = keep(strtol(word + 5, &end, 10));
		} else if (strncmp(word, "pid=", 4) == 0) {
			h->pid_file = keep(strtol(word + 4, &end, 10));
		} else if (strncmp(word, "estate=", 7) == 0) {
			h->estate = (unsigned)strtoul(word + 7, &end, 10);
		} else if (!strchr(word, '=')) {
			long fd = strtol(word, &end, 10);

			ok = add(h, (int)fd, strchr(end, 'a') != NULL,
			    strchr(end, 'f') != NULL);
		}
	}
	return ok;
}

/* It was written before we were started, or never. */
static void
read_secret(struct heritage *h)
{
	ssize_t n =
	    h->link < 0 ? -1 : recv(h->link, h->secret, sizeof h->secret, MSG_DONTWAIT);

	h->secret_given = n == (ssize_t)sizeof h->secret;
}

bool
heritage_find(struct heritage *h)
{
	const char *value = getenv(VARIABLE);
	char *text = value ? strdup(value) : NULL;
	int n, first;
	bool ok = !value || text;

	*h = (struct heritage){.link = -1, .pid_file = -1};
	if (text)
		ok = parse(h, text);
	free(text);
	unsetenv(VARIABLE);
	read_secret(h);
	n = systemd_sockets(&first);
	for (int i = 0; i < n && ok; i++)
		ok = add(h, first + i, false, false);
	return ok;
}

/* ---- taking ---- */

/* any: where a port 0 was asked for, we do not know what it had become. */
static bool
fits(const struct heirloom *one, const struct addr *addr, const char *path, bool any)
{
	struct addr there = one->addr;

	if (path)
		return strcmp(one->path, path) == 0;
	if (one->path[0] || there.sa.sa_family != addr->sa.sa_family)
		return false;
	if (any && addr_port(addr) == 0)
		addr_set_port(&there, 0);
	return addr_eq(&there, addr);
}

int
heritage_take(struct heritage *h, bool admin, struct addr *addr, const char *path,
    bool *own_file_r)
{
	for (size_t i = 0; i < h->n; i++) {
		struct heirloom *one = &h->heirlooms[i];
		int fd = one->fd;

		/* systemd does not say which is for the admin API */
		if (fd < 0 || (h->link >= 0 && one->admin != admin) ||
		    !fits(one, addr, path, h->link >= 0))
			continue;
		one->fd = -1;
		if (!path)
			*addr = one->addr;
		*own_file_r = one->own_file;
		return fd;
	}
	return -1;
}

void
heritage_fini(struct heritage *h)
{
	char text[ADDR_TEXT];

	for (size_t i = 0; i < h->n; i++) {
		struct heirloom *one = &h->heirlooms[i];

		if (one->fd < 0)
			continue;
		log_warn(TOPIC_LISTENER, "no listener for an inherited socket (%s)",
		    one->path[0] ? one->path : addr_print(&one->addr, true, text));
		close(one->fd);
	}
	free(h->heirlooms);
	h->heirlooms = NULL;
	h->n = 0;
}

/* ---- the link ---- */

static void
say(struct heritage *h, const char *text, size_t n)
{
	/* if nobody hears it any more, the next thing heard is the end of the link */
	if (h->link >= 0 && send(h->link, text, n, MSG_NOSIGNAL) < 0)
		errno = 0;
}

void
heritage_ask(struct heritage *h)
{
	say(h, "estate", 6);
}

void
heritage_say_ready(struct heritage *h)
{
	say(h, "ready", 5);
}

void
heritage_say_failed(struct heritage *h, const char *text)
{
	size_t n = strlen(text);

	say(h, text, n < HERITAGE_TEXT ? n : HERITAGE_TEXT - 1);
}
