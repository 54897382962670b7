/* SPDX-License-Identifier: MIT
 *
 * listener.h - accepts connections on one address for one worker.
 *
 * Each worker listens on a socket of its own (SO_REUSEPORT), and the kernel spreads the
 * connections. A unix socket can't be bound twice: the workers accept from duplicates
 * of one, and who comes first gets the connection. When descriptors run out accepting
 * pauses for a moment, which is counted and said, instead of spinning.
 */
#ifndef ROOST_NET_LISTENER_H
#define ROOST_NET_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

struct addr;
struct listener;
struct loop;

/* A bound, listening, non-blocking socket, or -1 (errno). Port 0 takes any; the others
 * of the same address then use what listener_addr says. */
int listener_bind(const struct addr *addr);

/* Could this address be bound alone? SO_REUSEPORT would also let us share it with
 * another process of the same user, which is never meant. False: errno. */
bool listener_is_free(const struct addr *addr);

/* The file of a unix socket that we have made. All zero: none. */
struct listener_file {
	char path[108];
	dev_t device; /* with inode: it is still ours */
	ino_t inode;
};

/* The same for a unix socket, whose file gets these permissions. A file left behind by
 * a process that died is replaced; -1 with EADDRINUSE where somebody listens, with
 * EEXIST where there is something else than a socket. */
int listener_bind_unix(const char *path, unsigned mode, struct listener_file *file_r);

/* Removes the file unless another process has put its own there. Idempotent. */
void listener_remove_file(struct listener_file *file);

/* Is fd a stream socket that listens? Then makes it ready for listener_open; its address
 * is told as by listener_addr, of a unix socket with path_r (107 bytes and NUL; else
 * ""). */
bool listener_adopt(int fd, struct addr *addr_r, char *path_r);

/* What stands at the path of a unix socket is taken to be its file. */
void listener_file_find(const char *path, struct listener_file *file_r);

/* The address a socket is bound to; of an accepted connection: the one the client came
 * to. False: errno. */
bool listener_addr(int fd, struct addr *addr_r);

/* Accepts on fd (taken over) until closed. on_accept gets each connection:
 * non-blocking, TCP_NODELAY, its own from then on. NULL: no memory. `arg` is borrowed
 * and may be another one for each listener. */
struct listener *listener_open(struct loop *loop, int fd,
    void (*on_accept)(void *arg, int fd, const struct addr *peer), void *arg);

/* Accepts nobody any more; the socket stays. */
void listener_pause(struct listener *l);

/* Accepts all who wait. */
void listener_drain(struct listener *l);

/* Closes the socket and sets *l to NULL. */
void listener_close(struct listener **l);

#endif
