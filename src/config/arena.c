/* SPDX-License-Identifier: MIT
 *
 * arena.c - memory that is freed as a whole; a list of blocks, filled front to back.
 *
 * A failure sticks: callers may go on and look once at the end.
 */
#include "config/arena.h"
#include <stdint.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 4096, ALIGNMENT = 16 };

struct block {
	struct block *next;
	size_t used, size;
	_Alignas(ALIGNMENT) char bytes[];
};

struct arena {
	struct block *blocks; /* the newest first; only that one has room */
	bool failed;
};

struct arena *
arena_new(void)
{
	return calloc(1, sizeof(struct arena));
}

void
arena_free(struct arena *a)
{
	if (!a)
		return;
	while (a->blocks) {
		struct block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	free(a);
}

static struct block *
block_add(struct arena *a, size_t n)
{
	size_t size = n > BLOCK_BYTES ? n : BLOCK_BYTES;
	struct block *b = calloc(1, sizeof(*b) + size);

	if (!b)
		return NULL;
	b->size = size;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

void *
arena_alloc(struct arena *a, size_t n, size_t size)
{
	struct block *b = a->blocks;
	size_t bytes;
	void *p;

	if (a->failed || (size && n > (SIZE_MAX / 2) / size))
		return a->failed = true, NULL;
	bytes = (n * size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (!b || b->size - b->used < bytes)
		b = block_add(a, bytes);
	if (!b)
		return a->failed = true, NULL;
	p = b->bytes + b->used;
	b->used += bytes;
	return p;
}

char *
arena_copy(struct arena *a, struct str text)
{
	char *copy = arena_alloc(a, text.n + 1, 1);

	if (copy && text.n)
		memcpy(copy, text.p, text.n);
	return copy;
}

bool
arena_has_failed(const struct arena *a)
{
	return a->failed;
}
