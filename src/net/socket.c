/* SPDX-License-Identifier: MIT
 *
 * socket.c - options of TCP sockets. A failure costs comfort only and is not reported;
 * on a unix socket they do nothing.
 */
#include "net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { IDLE_S = 60, INTERVAL_S = 15, PROBES = 4, GIVE_UP_MS = 60000 };

bool
socket_unix_name(struct str path, struct sockaddr_un *name_r)
{
	*name_r = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (path.n == 0 || path.n >= sizeof name_r->sun_path)
		return false;
	memcpy(name_r->sun_path, path.p, path.n);
	return true;
}

static void
set(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof value);
}

void
socket_no_delay(int fd)
{
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void
socket_keep_alive(int fd)
{
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, INTERVAL_S);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
}

void
socket_give_up_soon(int fd)
{
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, GIVE_UP_MS);
}
