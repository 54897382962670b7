/* SPDX-License-Identifier: MIT
 *
 * sockets.h - the sockets of all listeners, bound before the first worker starts.
 *
 * So a port that is taken stops the start, not half of it, and what needs privileges is
 * done while we have them. Owner and thread: the control thread.
 */
#ifndef ROOST_DAEMON_SOCKETS_H
#define ROOST_DAEMON_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct sockets;

/* Binds every listener for every worker. NULL: one could not be bound (logged) or there
 * is no memory; nothing stays bound. */
struct sockets *sockets_bind(const struct config *config, size_t n_workers);

/* The next worker's descriptors, in the order of the listeners; they are the worker's
 * from now on. At most n_workers times. */
const int *sockets_give(struct sockets *s);

/* Logs what is listened on. */
void sockets_announce(const struct sockets *s);

/* Writes one address a line: "127.0.0.1:8080", "unix:/run/roost.sock"; last comes `more`
 * (or ""). False: logged. */
bool sockets_write(const struct sockets *s, const char *path, const char *more);

/* From now on nobody shall come: removes the files of unix sockets. Called when a stop
 * begins, because another roost may take the path while we finish. Idempotent. */
void sockets_end(struct sockets *s);

/* sockets_end, and closes what no worker has got. NULL is fine. */
void sockets_free(struct sockets *s);

#endif
