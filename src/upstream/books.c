/* SPDX-License-Identifier: MIT
 *
 * books.c - pages of counts, one for each thread; see books.h.
 *
 * A thread puts its page in front of the others when it needs it for the first time,
 * and pages stay until the books go: so who reads needs no lock either.
 */
#include "upstream/books.h"

#include <stdlib.h>

/* The address of a thread's own variable tells it from others. */
static _Thread_local char here;

struct page {
	struct page *next;
	const char *writer;
	_Atomic uint64_t counts[];
};

/* Owner: reference counted. Thread: any. */
struct books {
	atomic_uint refs;
	size_t n; /* counts on a page */
	_Atomic(struct page *) pages;
};

/* Where memory is lacking threads write over each other's counts here. */
static union {
	struct upstream_counts upstream;
	struct backend_counts backend;
} lost;

struct books *
books_new(size_t n)
{
	struct books *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	atomic_init(&b->refs, 1);
	b->n = n / sizeof(uint64_t);
	return b;
}

struct books *
books_get(struct books *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void
books_put(struct books *b)
{
	struct page *p, *next;

	if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (p = atomic_load(&b->pages); p; p = next) {
		next = p->next;
		free(p);
	}
	free(b);
}

void *
books_page(struct books *b)
{
	struct page *p = atomic_load(&b->pages);

	while (p && p->writer != &here)
		p = p->next;
	if (p)
		return p->counts;
	p = calloc(1, sizeof *p + b->n * sizeof *p->counts);
	if (!p)
		return &lost;
	p->writer = &here;
	p->next = atomic_load(&b->pages);
	while (!atomic_compare_exchange_weak(&b->pages, &p->next, p))
		;
	return p->counts;
}

void
books_sum(const struct books *b, void *sum)
{
	_Atomic uint64_t *counts = sum;

	for (const struct page *p = atomic_load(&b->pages); p; p = p->next)
		for (size_t i = 0; i < b->n; i++)
			tally(&counts[i], tally_get(&p->counts[i]));
}
