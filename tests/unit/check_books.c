/* SPDX-License-Identifier: MIT
 *
 * check_books.c - counts by upstream and backend, and histograms.
 */
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/load.h"
#include "loop/histogram.h"
#include "loop/loop.h"
#include "upstream/backend.h"
#include "upstream/books.h"
#include "upstream/pool.h"
#include "upstream/upstream.h"
#include "upstream/view.h"
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_books(void);

/* ---- histograms ---- */

START_TEST(a_time_falls_into_the_first_bucket_that_holds_it)
{
	struct time_histogram h = {0};
	const uint64_t times[] = {0, short_times[0], short_times[0] + 1, short_times[3],
	    short_times[TIME_BOUNDS - 1], short_times[TIME_BOUNDS - 1] + 1, UINT32_MAX};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		time_note(&h, short_times, times[i]);
		sum += times[i];
	}
	ck_assert_uint_eq(tally_get(&h.buckets[0]), 2);
	ck_assert_uint_eq(tally_get(&h.buckets[1]), 1);
	ck_assert_uint_eq(tally_get(&h.buckets[3]), 1);
	ck_assert_uint_eq(tally_get(&h.buckets[TIME_BOUNDS - 1]), 1);
	ck_assert_uint_eq(tally_get(&h.buckets[TIME_BOUNDS]), 2);
	ck_assert_uint_eq(tally_get(&h.sum_us), sum);
}
END_TEST

START_TEST(bounds_of_times_rise)
{
	for (size_t i = 1; i < TIME_BOUNDS; i++) {
		ck_assert_uint_lt(short_times[i - 1], short_times[i]);
		ck_assert_uint_lt(long_times[i - 1], long_times[i]);
	}
	ck_assert_uint_eq(short_times[TIME_BOUNDS - 1], 60 * UINT64_C(1000000));
	ck_assert_uint_eq(long_times[TIME_BOUNDS - 1], 7 * 86400 * UINT64_C(1000000));
}
END_TEST

START_TEST(a_size_counts_up_to_every_power_that_holds_it)
{
	const uint64_t sizes[] = {0, 1, 2, 3, 64, 65, 4096, 4097, UINT64_C(1) << 40};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct size_histogram h = {0};

		size_note(&h, sizes[i]);
		ck_assert_uint_eq(tally_get(&h.sum), sizes[i]);
		for (unsigned power = 1; power < SIZE_BUCKETS; power++)
			ck_assert_uint_eq(size_upto(&h, power),
			    sizes[i] <= UINT64_C(1) << power);
	}
}
END_TEST

START_TEST(a_status_has_a_class)
{
	ck_assert_uint_eq(status_class(0), 0);
	ck_assert_uint_eq(status_class(101), 1);
	ck_assert_uint_eq(status_class(299), 2);
	ck_assert_uint_eq(status_class(599), 5);
	ck_assert_uint_eq(status_class(600), 0);
}
END_TEST

/* ---- books ---- */

enum { THREADS = 4, TIMES = 20000 };

static void *
count_much(void *arg)
{
	struct backend_counts *page = books_page(arg);

	ck_assert_ptr_eq(page, books_page(arg));
	for (int i = 0; i < TIMES; i++)
		tally(&page->dials, 1);
	tally(&page->idle, (uint64_t)-2);
	return NULL;
}

START_TEST(threads_count_on_pages_of_their_own)
{
	struct books *books = books_new(sizeof(struct backend_counts));
	struct backend_counts sum = {0};
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, count_much, books);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	tally(&((struct backend_counts *)books_page(books))->idle, 2 * THREADS + 1);
	books_sum(books, &sum);
	ck_assert_uint_eq(tally_get(&sum.dials), THREADS * TIMES);
	ck_assert_uint_eq(tally_get(&sum.idle), 1);
	ck_assert_uint_eq(tally_get(&sum.reuses), 0);
	books_put(books);
}
END_TEST

START_TEST(pages_live_while_somebody_holds_the_books)
{
	struct books *books = books_new(sizeof(struct upstream_counts));
	struct upstream_counts *page = books_page(books), sum = {0};

	books_put(books_get(books));
	size_note(&page->messages[FROM_BACKEND], 7);
	books_sum(books, &sum);
	ck_assert_uint_eq(tally_get(&sum.messages[FROM_BACKEND].sum), 7);
	ck_assert_uint_eq(tally_get(&sum.messages[FROM_CLIENT].sum), 0);
	books_put(books);
}
END_TEST

/* ---- over reloads ---- */

static struct snapshot *
load(const char *upstreams, const struct snapshot *old)
{
	struct strbuf text = STRBUF_INIT, errors = STRBUF_INIT;
	struct config *config;
	struct snapshot *s;

	strbuf_printf(&text,
	    "listeners: [{bind: '127.0.0.1:0'}]\n"
	    "routes: [{path: /, upstream: app}]\n"
	    "upstreams: {%s}\n",
	    upstreams);
	config = config_parse("test", text.data, text.len, NULL, &errors);
	ck_assert_msg(config != NULL, "%s", strbuf_cstr(&errors));
	log_set_level(LEVEL_ERROR);
	s = snapshot_new(config, old);
	ck_assert_ptr_nonnull(s);
	strbuf_fini(&text);
	strbuf_fini(&errors);
	return s;
}

static uint64_t
retries_of(const struct snapshot *s, const char *name)
{
	struct upstream_counts sum = {0};

	for (size_t i = 0; i < s->n_upstreams; i++)
		if (strcmp(s->upstreams[i].conf->name, name) == 0)
			books_sum(s->upstreams[i].books, &sum);
	return tally_get(&sum.retries);
}

static void
count_retry(struct snapshot *s, size_t upstream)
{
	struct view *v = view_new(snapshot_get(s));

	view_take_pages(v);
	tally(&view_counts(v, &s->upstreams[upstream])->retries, 1);
	view_put(v);
}

START_TEST(an_upstream_is_known_by_its_name)
{
	struct snapshot *one =
	    load("app: {backends: [{address: '127.0.0.1:1'}]}", NULL);
	struct snapshot *two = load("other: {backends: [{address: '127.0.0.1:2'}]}, "
				    "app: {backends: [{address: '127.0.0.1:3'}]}",
	    one);

	count_retry(one, 0);
	count_retry(two, 1);
	count_retry(two, 1);
	ck_assert_uint_eq(retries_of(two, "app"), 3);
	ck_assert_uint_eq(retries_of(two, "other"), 0);
	snapshot_put(one);
	ck_assert_uint_eq(retries_of(two, "app"), 3);
	snapshot_put(two);
}
END_TEST

START_TEST(one_that_comes_back_begins_at_zero)
{
	const char *both = "app: {backends: [{address: '127.0.0.1:1'}]}, "
			   "other: {backends: [{address: '127.0.0.1:2'}]}";
	struct snapshot *with = load(both, NULL), *without, *again;

	count_retry(with, 1);
	without = load("app: {backends: [{address: '127.0.0.1:1'}]}", with);
	snapshot_put(with);
	again = load(both, without);
	snapshot_put(without);
	ck_assert_uint_eq(retries_of(again, "other"), 0);
	snapshot_put(again);
}
END_TEST

START_TEST(what_has_no_upstream_has_counts_too)
{
	struct snapshot *one =
	    load("app: {backends: [{address: '127.0.0.1:1'}]}", NULL);
	struct view *v = view_new(snapshot_get(one));
	struct snapshot *two = load("app: {backends: [{address: '127.0.0.1:1'}]}", one);
	struct upstream_counts sum = {0};

	view_take_pages(v);
	tally(&view_counts(v, NULL)->failures[REASON_BAD_HOST], 1);
	books_sum(two->books, &sum);
	ck_assert_uint_eq(tally_get(&sum.failures[REASON_BAD_HOST]), 1);
	ck_assert_uint_eq(retries_of(two, "app"), 0);
	view_put(v);
	snapshot_put(one);
	snapshot_put(two);
}
END_TEST

/* The slot of a backend that is gone is given to the next. */
START_TEST(a_slot_does_not_remember_whose_it_was)
{
	struct loop *loop = loop_new(NULL);
	struct pools pools;
	struct backend_counts sum = {0};
	struct snapshot *one, *two;
	const struct backend *b;
	unsigned slot;

	pools_init(&pools, loop);
	one = load("app: {backends: [{name: x, address: '127.0.0.1:1'}]}", NULL);
	b = one->upstreams[0].backends[0];
	slot = b->slot;
	tally(&pools_counts(&pools, b)->dials, 5);
	ck_assert_ptr_eq(pools_counts(&pools, b), pools_counts(&pools, b));
	snapshot_put(one);

	two = load("app: {backends: [{name: y, address: '127.0.0.1:1'}]}", NULL);
	b = two->upstreams[0].backends[0];
	ck_assert_uint_eq(b->slot, slot);
	tally(&pools_counts(&pools, b)->dials, 1);
	books_sum(b->books, &sum);
	ck_assert_uint_eq(tally_get(&sum.dials), 1);
	snapshot_put(two);
	pools_fini(&pools);
	loop_free(loop);
}
END_TEST

enum { TALLIES = 300000 };

static void *
count_in_view(void *view)
{
	view_take_pages(view);
	for (int i = 0; i < TALLIES; i++)
		tally(&view_counts(view, NULL)->retries, 1);
	return NULL;
}

/* As those of workers, which the control thread makes for them. */
START_TEST(views_count_for_the_threads_that_took_their_pages)
{
	struct snapshot *s =
	    load("app: {backends: [{name: x, address: '127.0.0.1:1'}]}", NULL);
	struct view *views[2];
	pthread_t threads[2];
	struct upstream_counts sum = {0};

	for (int i = 0; i < 2; i++) {
		views[i] = view_new(snapshot_get(s));
		ck_assert_int_eq(pthread_create(&threads[i], NULL, count_in_view,
				     views[i]),
		    0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	books_sum(s->books, &sum);
	ck_assert_uint_eq(tally_get(&sum.retries), 2 * TALLIES);
	for (int i = 0; i < 2; i++)
		view_put(views[i]);
	snapshot_put(s);
}
END_TEST

Suite *
suite_books(void)
{
	Suite *s = suite_create("books");
	TCase *c = tcase_create("histograms");

	tcase_add_test(c, a_time_falls_into_the_first_bucket_that_holds_it);
	tcase_add_test(c, bounds_of_times_rise);
	tcase_add_test(c, a_size_counts_up_to_every_power_that_holds_it);
	tcase_add_test(c, a_status_has_a_class);
	suite_add_tcase(s, c);
	c = tcase_create("books");
	tcase_add_test(c, threads_count_on_pages_of_their_own);
	tcase_add_test(c, pages_live_while_somebody_holds_the_books);
	tcase_add_test(c, an_upstream_is_known_by_its_name);
	tcase_add_test(c, one_that_comes_back_begins_at_zero);
	tcase_add_test(c, what_has_no_upstream_has_counts_too);
	tcase_add_test(c, a_slot_does_not_remember_whose_it_was);
	tcase_add_test(c, views_count_for_the_threads_that_took_their_pages);
	suite_add_tcase(s, c);
	return s;
}
