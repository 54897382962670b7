/* SPDX-License-Identifier: MIT
 *
 * ears.h - where one worker listens.
 *
 * Listeners are told apart by numbers that sockets.c gives them, since their place in
 * the configuration changes from one to the next, and two may even be written alike
 * (port 0). Owner and thread: the worker.
 */
#ifndef ROOST_DAEMON_EARS_H
#define ROOST_DAEMON_EARS_H

#include "loop/timer.h"
#include <stddef.h>

struct ear;
struct front;
struct loop;

/* What falls to one worker of a new configuration. Owner: whoever has the pointer. */
struct share {
	size_t n_ids, n_sockets;
	unsigned *ids; /* of the configuration's listeners, in its order */
	struct share_socket {
		int fd;
		unsigned id;
	} * sockets; /* those that are new */
};

/* Closes what was not taken. NULL is fine. */
void share_free(struct share *share);

struct ears {
	struct loop *loop; /* borrowed, as this: */
	struct front *front;
	struct ear *first;
	unsigned *ids; /* owned: of the listeners of the front's view */
	size_t n_ids;
	struct timer late;
	unsigned turns; /* until the sockets are closed */
};

void ears_init(struct ears *e, struct loop *loop, struct front *front);

/* The front has the view that this share (taken over) belongs to: listens where it
 * says, and no longer where it does not. Who waits there to be accepted is. False: no
 * memory; the share is still the caller's, and all is as before but for what it has
 * opened. */
bool ears_take(struct ears *e, struct share *share);

/* The front has another view of the same configuration. */
void ears_follow(struct ears *e);

/* Accepts who waits and closes all. */
void ears_close(struct ears *e);

/* Another process accepts from the same sockets: leaves it to that, from now on, and
 * closes them in a moment. */
void ears_leave(struct ears *e);

/* Closes all. */
void ears_fini(struct ears *e);

#endif
