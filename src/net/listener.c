/* SPDX-License-Identifier: MIT
 *
 * listener.c - bind, SO_REUSEPORT, accept, and a pause when descriptors run out.
 */
#include "net/listener.h"

#include "base/addr.h"
#include "base/log.h"
#include "loop/io.h"
#include "loop/loop.h"
#include "net/socket.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,
	ACCEPTS_PER_TURN = 64, /* so that a flood of new clients starves no old one */
	PAUSE_MS = 200,
};

/* Owner: the worker. Thread: the worker's. */
struct listener {
	struct io io;
	struct timer resume;
	struct grave grave;
	void (*on_accept)(void *arg, int fd, const struct addr *peer);
	void *arg; /* borrowed */
};

/* ---- binding ---- */

static bool
set_on(int fd, int level, int option)
{
	const int on = 1;

	return setsockopt(fd, level, option, &on, sizeof on) == 0;
}

static int
bound_socket(const struct addr *addr, bool shared)
{
	int fd =
	    socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return -1;
	if (set_on(fd, SOL_SOCKET, SO_REUSEADDR) &&
	    (!shared || set_on(fd, SOL_SOCKET, SO_REUSEPORT)) &&
	    (addr->sa.sa_family != AF_INET6 || set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
	    bind(fd, &addr->sa, addr_len(addr)) == 0 &&
	    (!shared || listen(fd, BACKLOG) == 0))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
listener_bind(const struct addr *addr)
{
	int fd = bound_socket(addr, true);

	if (fd < 0)
		return -1;
	/* inherited by every connection: no system calls for it later */
	socket_no_delay(fd);
	socket_keep_alive(fd);
	return fd;
}

bool
listener_is_free(const struct addr *addr)
{
	int fd = bound_socket(addr, false);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* ---- unix sockets ---- */

/* Does nobody accept on the socket that stands there? Asks by connecting, since a file
 * does not tell. False: errno says what is there. */
static bool
is_left_behind(const struct sockaddr_un *name)
{
	struct stat st;
	int fd;

	if (lstat(name->sun_path, &st))
		return errno == ENOENT; /* gone just now */
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return false;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)name, sizeof *name) == 0 ||
	    errno == EAGAIN)
		errno = EADDRINUSE;
	int error = errno;
	close(fd);
	errno = error;
	return error == ECONNREFUSED;
}

static bool
bind_name(int fd, const struct sockaddr_un *name)
{
	const struct sockaddr *sa = (const struct sockaddr *)name;

	if (bind(fd, sa, sizeof *name) == 0)
		return true;
	return errno == EADDRINUSE && is_left_behind(name) &&
	       (unlink(name->sun_path) == 0 || errno == ENOENT) &&
	       bind(fd, sa, sizeof *name) == 0;
}

/* Until it listens nobody can connect, so the permissions are right from the start. */
static bool
open_to_clients(int fd, const char *path, unsigned mode, struct listener_file *file_r)
{
	struct stat st;

	if (chmod(path, mode) || lstat(path, &st) || listen(fd, BACKLOG))
		return false;
	memcpy(file_r->path, path, strlen(path) + 1);
	file_r->device = st.st_dev;
	file_r->inode = st.st_ino;
	return true;
}

int
listener_bind_unix(const char *path, unsigned mode, struct listener_file *file_r)
{
	struct sockaddr_un name;
	bool bound = false;
	int fd, error;

	*file_r = (struct listener_file){0};
	if (!socket_unix_name(str_of(path), &name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	bound = bind_name(fd, &name);
	if (bound && open_to_clients(fd, name.sun_path, mode, file_r))
		return fd;
	error = errno;
	if (bound)
		unlink(name.sun_path);
	close(fd);
	errno = error;
	return -1;
}

void
listener_remove_file(struct listener_file *file)
{
	struct stat st;

	if (file->path[0] && lstat(file->path, &st) == 0 && st.st_dev == file->device &&
	    st.st_ino == file->inode)
		unlink(file->path);
	*file = (struct listener_file){0};
}

/* Of a unix socket only that it is one is kept. */
static void
forget_path(struct addr *addr)
{
	if (addr->sa.sa_family == AF_UNIX)
		*addr = (struct addr){.sa.sa_family = AF_UNIX};
}

static int
socket_option(int fd, int option)
{
	int value = 0;
	socklen_t n = sizeof value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &n) ? -1 : value;
}

bool
listener_adopt(int fd, struct addr *addr_r, char *path_r)
{
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
	} name = {0};
	socklen_t n = sizeof name - 1; /* a path that fills it ends in a NUL so */

	path_r[0] = '\0';
	if (socket_option(fd, SO_ACCEPTCONN) != 1 ||
	    socket_option(fd, SO_TYPE) != SOCK_STREAM ||
	    getsockname(fd, &name.sa, &n) || !listener_addr(fd, addr_r) ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		return false;
	if (name.sa.sa_family == AF_UNIX) {
		memcpy(path_r, name.un.sun_path, sizeof name.un.sun_path);
	} else {
		socket_no_delay(fd);
		socket_keep_alive(fd);
	}
	return true;
}

void
listener_file_find(const char *path, struct listener_file *file_r)
{
	struct stat st;

	*file_r = (struct listener_file){0};
	if (strlen(path) >= sizeof file_r->path || lstat(path, &st) ||
	    !S_ISSOCK(st.st_mode))
		return;
	memcpy(file_r->path, path, strlen(path) + 1);
	file_r->device = st.st_dev;
	file_r->inode = st.st_ino;
}

bool
listener_addr(int fd, struct addr *addr_r)
{
	socklen_t n = sizeof *addr_r;

	*addr_r = (struct addr){0};
	if (getsockname(fd, &addr_r->sa, &n))
		return false;
	forget_path(addr_r);
	return true;
}

/* ---- accepting ---- */

static void
on_resume(struct timer *t)
{
	struct listener *l = container_of(t, struct listener, resume);

	io_want(&l->io, IO_READ);
}

static void
pause_accepting(struct listener *l)
{
	int error = errno;

	io_want(&l->io, 0);
	loop_timer(l->io.loop, &l->resume, PAUSE_MS);
	count_add(&l->io.loop->counters, COUNT_ACCEPT_PAUSES, 1);
	errno = error;
	log_kind(KIND_ACCEPT, NULL, "accepting pauses for %d ms (%s)", PAUSE_MS,
	    strerror(error));
}

static bool
is_out_of_something(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	       error == ENOMEM;
}

/* False: nobody waits, or cannot be accepted now. */
static bool
accept_one(struct listener *l)
{
	struct addr peer = {0};
	socklen_t n = sizeof peer;
	int fd = accept4(l->io.fd, &peer.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EAGAIN)
			io_drained(&l->io, IO_READ);
		else if (is_out_of_something(errno))
			pause_accepting(l);
		return errno == ECONNABORTED || errno == EINTR;
	}
	forget_path(&peer);
	count_add(&l->io.loop->counters, COUNT_ACCEPTED, 1);
	l->on_accept(l->arg, fd, &peer);
	return true;
}

static void
on_ready(struct io *io, unsigned what)
{
	struct listener *l = container_of(io, struct listener, io);

	for (int i = 0; i < ACCEPTS_PER_TURN && io->fd >= 0; i++)
		if (!accept_one(l))
			return;
}

struct listener *
listener_open(struct loop *loop, int fd,
    void (*on_accept)(void *arg, int fd, const struct addr *peer), void *arg)
{
	struct listener *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	io_init(&l->io, loop, fd, on_ready);
	timer_init(&l->resume, on_resume);
	l->on_accept = on_accept;
	l->arg = arg;
	if (!io_want(&l->io, IO_READ)) {
		io_detach(&l->io);
		free(l);
		return NULL;
	}
	return l;
}

void
listener_pause(struct listener *l)
{
	timer_clear(&l->resume);
	io_want(&l->io, 0);
}

void
listener_drain(struct listener *l)
{
	for (int i = 0; i < BACKLOG && accept_one(l); i++)
		continue;
}

static void
bury(struct grave *grave)
{
	free(container_of(grave, struct listener, grave));
}

void
listener_close(struct listener **l)
{
	struct listener *dead = *l;

	if (!dead)
		return;
	*l = NULL;
	timer_clear(&dead->resume);
	io_close(&dead->io);
	loop_bury(dead->io.loop, &dead->grave, bury);
}
