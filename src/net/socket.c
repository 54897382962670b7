/* SPDX-License-Identifier: MIT
 *
 * socket.c - options of TCP sockets. A failure costs comfort only and is not reported.
 */
#include "net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { IDLE_S = 60, INTERVAL_S = 15, PROBES = 4, GIVE_UP_MS = 60000 };

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
