/* SPDX-License-Identifier: MIT
 *
 * mailbox.c - a locked list and an eventfd; see mailbox.h.
 */
#include "loop/mailbox.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool
mailbox_init(struct mailbox *box, void *to)
{
	box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (box->fd < 0)
		return false;
	pthread_mutex_init(&box->lock, NULL);
	box->first = NULL;
	box->last = &box->first;
	box->to = to;
	return true;
}

static struct message *
take_all(struct mailbox *box)
{
	struct message *all;

	pthread_mutex_lock(&box->lock);
	all = box->first;
	box->first = NULL;
	box->last = &box->first;
	pthread_mutex_unlock(&box->lock);
	return all;
}

static void
deliver_all(struct mailbox *box, void *to)
{
	struct message *message, *next;

	for (message = take_all(box); message; message = next) {
		next = message->next;
		message->deliver(message, to);
	}
}

void
mailbox_fini(struct mailbox *box)
{
	deliver_all(box, NULL);
	pthread_mutex_destroy(&box->lock);
	close(box->fd);
	box->fd = -1;
}

void
mailbox_post(struct mailbox *box, struct message *message)
{
	bool was_empty;
	uint64_t one = 1;

	message->next = NULL;
	pthread_mutex_lock(&box->lock);
	was_empty = box->first == NULL;
	*box->last = message;
	box->last = &message->next;
	pthread_mutex_unlock(&box->lock);
	/* a counter that is full already wakes the reader: nothing to do then */
	if (was_empty && write(box->fd, &one, sizeof one) < 0)
		return;
}

void
mailbox_deliver(struct mailbox *box)
{
	uint64_t count;

	if (read(box->fd, &count, sizeof count) < 0)
		return; /* woken for nothing */
	deliver_all(box, box->to);
}
