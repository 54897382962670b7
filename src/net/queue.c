/* SPDX-License-Identifier: MIT
 *
 * queue.c - a flat buffer; it is short-lived, so it is never compacted.
 */
#include "net/queue.h"

#include <stdlib.h>
#include <string.h>

enum { QUEUE_LEAST = 512 };

static bool
grow(struct queue *q, size_t need)
{
	size_t cap = q->cap ? q->cap : QUEUE_LEAST;
	uint8_t *data;

	while (cap < need)
		cap *= 2;
	if (cap > UINT32_MAX)
		return false;
	data = realloc(q->data, cap);
	if (!data)
		return false;
	q->data = data;
	q->cap = (uint32_t)cap;
	return true;
}

bool
queue_append(struct queue *q, const void *p, size_t n)
{
	if (n == 0)
		return true;
	if (q->cap - q->len < n && !grow(q, (size_t)q->len + n))
		return false;
	memcpy(q->data + q->len, p, n);
	q->len += (uint32_t)n;
	return true;
}

void
queue_drop(struct queue *q, size_t n)
{
	q->at += (uint32_t)n;
	if (q->at >= q->len)
		queue_clear(q);
}

void
queue_clear(struct queue *q)
{
	free(q->data);
	*q = (struct queue){0};
}
