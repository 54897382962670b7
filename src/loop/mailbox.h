/* SPDX-License-Identifier: MIT
 *
 * mailbox.h - typed messages from other threads to one loop.
 *
 * Only ids and values travel, never pointers to another worker's objects (reference
 * counted ones excepted, with their reference). Thread: mailbox_post any, the rest
 * the loop's own.
 */
#ifndef ROOST_LOOP_MAILBOX_H
#define ROOST_LOOP_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>

/* Embedded at the head of a message. deliver runs on the receiving thread and owns
 * the message: it frees it. `to` is what the receiver said at mailbox_init, or NULL
 * when the mailbox closes with the message undelivered. */
struct message {
	struct message *next;
	void (*deliver)(struct message *message, void *to);
};

struct mailbox {
	pthread_mutex_t lock; /* leaf */
	struct message *first, **last;
	int fd;   /* eventfd: readable while there is mail */
	void *to; /* borrowed */
};

/* False: no descriptor (errno). */
bool mailbox_init(struct mailbox *box, void *to);
void mailbox_fini(struct mailbox *box);
void mailbox_post(struct mailbox *box, struct message *message);

/* Delivers everything that is there; call when fd is readable. */
void mailbox_deliver(struct mailbox *box);

#endif
