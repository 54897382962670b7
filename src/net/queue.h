/* SPDX-License-Identifier: MIT
 *
 * queue.h - bytes that wait for their turn. Owns memory only while it holds some.
 */
#ifndef ROOST_NET_QUEUE_H
#define ROOST_NET_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* data[at..len) waits; data[0..at) has gone but stays readable until the queue is
 * empty (half.c looks back at it to find where a message began). */
struct queue {
	uint8_t *data;
	uint32_t at, len, cap;
};

static inline size_t
queue_size(const struct queue *q)
{
	return q->len - q->at;
}

static inline const uint8_t *
queue_bytes(const struct queue *q)
{
	return q->data + q->at;
}

/* False: no memory, nothing was added. */
bool queue_append(struct queue *q, const void *p, size_t n);

/* n bytes, at most queue_size, have gone. Frees the memory with the last. */
void queue_drop(struct queue *q, size_t n);

void queue_clear(struct queue *q);

#endif
