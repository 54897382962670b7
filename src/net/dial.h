/* SPDX-License-Identifier: MIT
 *
 * dial.h - the first step towards a peer: a socket that has begun to connect.
 *
 * TCP tells when it is connected: wait until it can be written to, then ask for
 * SO_ERROR. A unix socket is connected at once, or its owner's queue is full and
 * nothing will tell when that changes. Any thread.
 */
#ifndef ROOST_NET_DIAL_H
#define ROOST_NET_DIAL_H

#include "base/addr.h"

enum dialed {
	DIAL_UNDER_WAY, /* a unix socket: connected */
	DIAL_BUSY,      /* a unix socket whose queue is full: ask again */
	DIAL_REFUSED    /* errno says why */
};

/* A socket for that address, never blocking; -1: errno says why. */
int dial_socket(const struct addr *addr);

/* Begins to connect it. address: the text the address came from, which has the path of
 * a unix socket. */
enum dialed dial(int fd, const struct addr *addr, const char *address);

#endif
