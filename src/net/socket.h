/* SPDX-License-Identifier: MIT
 *
 * socket.h - options of TCP sockets, each said once. Any thread.
 */
#ifndef ROOST_NET_SOCKET_H
#define ROOST_NET_SOCKET_H

/* Small messages leave at once. An accepted socket inherits it from its listener. */
void socket_no_delay(int fd);

/* A peer that vanished without a word is noticed about two minutes after the last one,
 * while nothing is sent (keep-alive). An accepted socket inherits it. */
void socket_keep_alive(int fd);

/* ... and within a minute while something is sent, or is not taken (TCP_USER_TIMEOUT,
 * RFC 5482). Not for HTTP, whose timeouts the configuration sets. */
void socket_give_up_soon(int fd);

#endif
