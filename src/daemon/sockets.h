/* SPDX-License-Identifier: MIT
 *
 * sockets.h - the sockets of all listeners.
 *
 * What a configuration wants is bound before anything of it takes effect: a port that
 * is taken stops the start or the reload, not half of it, and what needs privileges is
 * done while we have them. Workers get duplicates; the originals stay here, to be
 * handed to the next process at an upgrade. Owner and thread: the control thread.
 */
#ifndef ROOST_DAEMON_SOCKETS_H
#define ROOST_DAEMON_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct heritage;
struct share;
struct sockets;
struct sockets_change;
struct strbuf;

/* NULL: no memory. */
struct sockets *sockets_new(size_t n_workers);

/* Makes ready for a configuration: keeps what is bound already, takes what was
 * inherited (NULL: nothing) and binds the rest; s stays as it is. NULL: error_r says
 * why. */
struct sockets_change *sockets_prepare(struct sockets *s, const struct config *config,
    struct heritage *heritage, struct strbuf *error_r);

/* What falls to a worker; its own from now on. Once for each. */
struct share *sockets_share(struct sockets_change *change, size_t worker);

/* It takes effect: closes what is no longer wanted, and says what changes. True: there
 * was something. Either of these ends the change. */
bool sockets_commit(struct sockets *s, struct sockets_change *change);
void sockets_cancel(struct sockets_change *change);

/* Writes one address a line: "127.0.0.1:8080", "unix:/run/roost.sock"; last comes
 * `more` (or ""). False: logged. */
bool sockets_write(const struct sockets *s, const char *path, const char *more);

/* Adds all descriptors to the line of a heritage. */
void sockets_bequeath(const struct sockets *s, struct strbuf *line);

/* The predecessor is gone: the files of unix sockets that were its own are ours. */
void sockets_own(struct sockets *s);

/* A successor has all of it: closes ours and leaves the files alone. */
void sockets_leave(struct sockets *s);

/* From now on nobody shall come: closes ours and removes the files of unix sockets.
 * Called when a stop begins, because another roost may take the path while we finish.
 * Idempotent. */
void sockets_end(struct sockets *s);

/* sockets_end, and frees. NULL is fine. */
void sockets_free(struct sockets *s);

#endif
