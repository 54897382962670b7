/* SPDX-License-Identifier: MIT
 *
 * dial.c - a socket that has begun to connect; see dial.h.
 */
#include "net/dial.h"

#include "net/socket.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

int
dial_socket(const struct addr *addr)
{
	return socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
}

static enum dialed
dial_tcp(int fd, const struct addr *addr)
{
	socket_no_delay(fd);
	return connect(fd, &addr->sa, addr_len(addr)) && errno != EINPROGRESS
		   ? DIAL_REFUSED
		   : DIAL_UNDER_WAY;
}

static enum dialed
dial_unix(int fd, const char *address)
{
	struct sockaddr_un name;
	struct str path;

	errno = EINVAL; /* cannot be: the address was read that way */
	if (!addr_unix_path(str_of(address), &path) || !socket_unix_name(path, &name))
		return DIAL_REFUSED;
	if (connect(fd, (struct sockaddr *)&name, sizeof name) == 0)
		return DIAL_UNDER_WAY;
	return errno == EAGAIN ? DIAL_BUSY : DIAL_REFUSED;
}

enum dialed
dial(int fd, const struct addr *addr, const char *address)
{
	return addr->sa.sa_family == AF_UNIX ? dial_unix(fd, address)
					     : dial_tcp(fd, addr);
}
