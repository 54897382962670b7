/* SPDX-License-Identifier: MIT
 *
 * socket.h - options of TCP sockets, each said once, and names of unix sockets. Any
 * thread.
 */
#ifndef ROOST_NET_SOCKET_H
#define ROOST_NET_SOCKET_H

#include "base/str.h"

struct sockaddr_un;

/* The name of a unix socket, for bind and connect. False: the path is too long. */
bool socket_unix_name(struct str path, struct sockaddr_un *name_r);

/* Small messages leave at once. An accepted socket inherits it from its listener. */
void socket_no_delay(int fd);

/* A peer that vanished without a word is noticed about two minutes after the last one,
 * while nothing is sent (keep-alive). An accepted socket inherits it. */
void socket_keep_alive(int fd);

/* ... and within a minute while something is sent, or is not taken (TCP_USER_TIMEOUT,
 * RFC 5482). Not for HTTP, whose timeouts the configuration sets. */
void socket_give_up_soon(int fd);

#endif
