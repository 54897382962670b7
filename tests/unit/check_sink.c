/* SPDX-License-Identifier: MIT
 *
 * check_sink.c - lines through a thread to files, a FIFO that stalls, a disk that is
 * full.
 */
#include "base/log.h"
#include "base/sink.h"
#include "base/strbuf.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

Suite *suite_sink(void);

static char directory[64], file[96], other[96];

static void
setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/check_sink.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(file, sizeof(file), "%s/lines", directory);
	snprintf(other, sizeof(other), "%s/lines.1", directory);
	/* what is said about full disks is not for the tests' output */
	log_set_level(LEVEL_ERROR + 1);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

static void
teardown(void)
{
	unlink(file);
	unlink(other);
	rmdir(directory);
	log_set_level(LEVEL_NOTICE);
}

static char *
contents(const char *path)
{
	static char text[1 << 16];
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

/* The thread does its work within moves of a second, or something is wrong. */
#define await(condition)                                                    \
	do {                                                                \
		for (int turns = 0; turns < 10000 && !(condition); turns++) \
			nanosleep(&(struct timespec){0, 1000000}, NULL);    \
		ck_assert(condition);                                       \
	} while (0)

static size_t
size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

/* "name 000017 xxxx...": lines that tell when they are torn, glued or out of order. */
static struct str
numbered(char *memory, size_t n, const char *name, unsigned number)
{
	int head = snprintf(memory, n, "%s %06u ", name, number);

	memset(memory + head, 'x', n - (size_t)head - 1);
	memory[n - 1] = '\n';
	return (struct str){memory, n};
}

/* How many whole lines of that name and length there are, in order; lines of other
 * names must be whole as well. */
static unsigned
count_numbered(int fd, const char *name, size_t n, unsigned *others_r)
{
	FILE *f = fdopen(fd, "r");
	char line[4096];
	unsigned count = 0, number, least = 0;

	*others_r = 0;
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		char found[16];

		ck_assert_int_eq(sscanf(line, "%15s %u", found, &number), 2);
		ck_assert_uint_eq(strlen(line), n);
		ck_assert_uint_eq(strcspn(line, "x"), strlen(found) + 8);
		ck_assert_uint_eq(strspn(strchr(line, 'x'), "x"),
		    n - strlen(found) - 9);
		if (strcmp(found, name) != 0) {
			++*others_r;
			continue;
		}
		ck_assert_uint_ge(number, least);
		least = number + 1;
		count++;
	}
	fclose(f);
	return count;
}

static unsigned
count_file(const char *path, const char *name, size_t n)
{
	int fd = open(path, O_RDONLY);
	unsigned ignored;

	ck_assert_int_ge(fd, 0);
	return count_numbered(fd, name, n, &ignored);
}

/* ---- files ---- */

START_TEST(lines_are_in_the_file_when_it_is_closed)
{
	struct sink *s = sink_open(file);
	struct sink_feed *f = sink_feed_open(s);

	sink_put(f, STR("one\n"));
	sink_put(f, STR("two\n"));
	sink_feed_close(f);
	sink_close(s);
	ck_assert_str_eq(contents(file), "one\ntwo\n");
}
END_TEST

START_TEST(it_appends_to_what_is_there)
{
	for (int i = 0; i < 2; i++) {
		struct sink *s = sink_open(file);
		struct sink_feed *f = sink_feed_open(s);

		sink_put(f, i ? STR("later\n") : STR("sooner\n"));
		sink_feed_close(f);
		sink_close(s);
	}
	ck_assert_str_eq(contents(file), "sooner\nlater\n");
}
END_TEST

START_TEST(one_line_arrives_without_another_behind_it)
{
	struct sink *s = sink_open(file);
	struct sink_feed *f = sink_feed_open(s);

	for (unsigned i = 1; i <= 3; i++) {
		/* nothing but time puts the thread to sleep */
		nanosleep(&(struct timespec){0, i == 2 ? 0 : 600000000}, NULL);
		sink_put(f, STR("alone\n"));
		await(size_of(file) == 6 * i);
	}
	sink_feed_close(f);
	sink_close(s);
}
END_TEST

START_TEST(an_absent_folder_is_said_at_once)
{
	snprintf(file, sizeof(file), "%s/absent/lines", directory);
	errno = 0;
	ck_assert_ptr_null(sink_open(file));
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

struct producer {
	pthread_t thread;
	struct sink_feed *feed;
	char name[16];
};

enum { PRODUCERS = 4, LINES = 5000, LENGTH = 120 };

static void *
produce(void *arg)
{
	struct producer *p = arg;
	char memory[LENGTH];

	for (unsigned i = 0; i < LINES; i++) {
		sink_put(p->feed, numbered(memory, sizeof(memory), p->name, i));
		if (i % 1000 == 0) /* not more than it may have waiting */
			nanosleep(&(struct timespec){0, 5000000}, NULL);
	}
	sink_feed_close(p->feed);
	return NULL;
}

START_TEST(lines_of_many_producers_are_whole_and_in_order)
{
	struct sink *s = sink_open(file);
	struct producer producers[PRODUCERS];
	unsigned total = 0;

	for (int i = 0; i < PRODUCERS; i++) {
		struct producer *p = &producers[i];

		p->feed = sink_feed_open(s);
		snprintf(p->name, sizeof(p->name), "p%d", i);
		ck_assert_int_eq(pthread_create(&p->thread, NULL, produce, p), 0);
	}
	for (int i = 0; i < 20; i++)
		sink_reopen(s);
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(producers[i].thread, NULL);
	total = (unsigned)sink_dropped(s);
	sink_close(s);
	for (int i = 0; i < PRODUCERS; i++)
		total += count_file(file, producers[i].name, LENGTH);
	ck_assert_uint_eq(total, PRODUCERS * LINES);
}
END_TEST

START_TEST(feeds_come_and_go)
{
	struct sink *s = sink_open(file);
	struct sink_feed *f[3];

	for (int i = 0; i < 3; i++)
		f[i] = sink_feed_open(s);
	sink_put(f[1], STR("b\n"));
	sink_feed_close(f[1]); /* from the middle of the list */
	await(size_of(file) == 2);
	sink_put(f[2], STR("c\n"));
	sink_feed_close(f[2]);
	await(size_of(file) == 4);
	f[1] = sink_feed_open(s);
	sink_put(f[1], STR("d\n"));
	await(size_of(file) == 6);
	sink_put(f[0], STR("a\n"));
	sink_feed_close(f[0]);
	sink_feed_close(f[1]);
	sink_close(s);
	ck_assert_str_eq(contents(file), "b\nc\nd\na\n");
}
END_TEST

/* ---- rotation ---- */

START_TEST(reopening_goes_on_in_a_new_file)
{
	struct sink *s = sink_open(file);
	struct sink_feed *f = sink_feed_open(s);

	sink_put(f, STR("old\n"));
	await(size_of(file) == 4);
	ck_assert_int_eq(rename(file, other), 0);
	sink_reopen(s);
	await(access(file, F_OK) == 0); /* with nothing to be written */
	sink_put(f, STR("new\n"));
	sink_feed_close(f);
	sink_close(s);
	ck_assert_str_eq(contents(file), "new\n");
	ck_assert_str_eq(contents(other), "old\n");
}
END_TEST

START_TEST(the_old_file_stays_where_reopening_fails)
{
	struct sink *s = sink_open(file);
	struct sink_feed *f = sink_feed_open(s);

	ck_assert_int_eq(rename(file, other), 0);
	ck_assert_int_eq(mkdir(file, 0700), 0);
	sink_reopen(s);
	sink_put(f, STR("line\n"));
	sink_feed_close(f);
	sink_close(s);
	rmdir(file);
	ck_assert_str_eq(contents(other), "line\n");
}
END_TEST

/* ---- a disk that stalls ---- */

/* A FIFO without anybody who reads it, but for the descriptor returned. */
static int
stalled_disk(void)
{
	int fd;

	ck_assert_int_eq(mkfifo(file, 0600), 0);
	fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

struct reader {
	pthread_t thread;
	int fd;
	unsigned count, others;
};

static void *
read_all(void *arg)
{
	struct reader *r = arg;

	fcntl(r->fd, F_SETFL, 0);
	r->count = count_numbered(r->fd, "s", LENGTH, &r->others);
	return NULL;
}

/* The disk moves again: reads what comes until the sink lets go of it. */
static void
reader_start(struct reader *r)
{
	ck_assert_int_eq(pthread_create(&r->thread, NULL, read_all, r), 0);
}

START_TEST(a_fifo_without_reader_does_not_hang_the_start)
{
	ck_assert_int_eq(mkfifo(file, 0600), 0);
	ck_assert_ptr_null(sink_open(file));
	ck_assert_int_eq(errno, ENXIO);
}
END_TEST

START_TEST(a_stalled_disk_holds_nobody_up_and_costs_a_bounded_amount)
{
	enum { MANY = 4 * SINK_FEED_MAX / LENGTH, KEPT = SINK_FEED_MAX / LENGTH };
	struct reader reader = {.fd = stalled_disk()};
	struct sink *s = sink_open(file);
	struct sink_feed *f = sink_feed_open(s);
	char memory[LENGTH];
	uint64_t dropped;

	for (unsigned i = 0; i < MANY; i++)
		sink_put(f, numbered(memory, sizeof(memory), "s", i));
	dropped = sink_dropped(s);
	ck_assert_uint_gt(dropped, 0);
	/* beside what may wait, a FIFO itself holds 64 KiB */
	ck_assert_uint_ge(MANY - dropped, KEPT);
	ck_assert_uint_le(MANY - dropped, KEPT + 65536 / LENGTH + 1);
	/* and when it moves again, everything that was kept comes, and what is new */
	reader_start(&reader);
	sink_feed_close(f);
	f = sink_feed_open(s);
	sink_put(f, numbered(memory, sizeof(memory), "new", MANY));
	sink_feed_close(f);
	sink_close(s);
	pthread_join(reader.thread, NULL);
	ck_assert_uint_eq(reader.count, MANY - dropped);
	ck_assert_uint_eq(reader.others, 1);
}
END_TEST

START_TEST(closing_does_not_wait_for_a_disk_that_never_comes_back)
{
	struct reader reader = {.fd = stalled_disk()};
	struct sink *s = sink_open(file);
	struct sink_feed *f = sink_feed_open(s);
	struct timespec begun, now;
	char memory[LENGTH];

	for (unsigned i = 0; i < 2000; i++)
		sink_put(f, numbered(memory, sizeof(memory), "s", i));
	sink_feed_close(f);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	sink_close(s);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ck_assert_int_ge(now.tv_sec - begun.tv_sec, 0);
	ck_assert_int_le(now.tv_sec - begun.tv_sec, 30);
	/* the thread is left behind, and cleans up should it ever be let go on */
	reader_start(&reader);
	pthread_join(reader.thread, NULL);
	ck_assert_uint_eq(reader.count, 2000);
}
END_TEST

/* ---- a disk that is full ---- */

START_TEST(lines_for_a_full_disk_are_dropped_and_counted)
{
	struct sink *s = sink_open("/dev/full");
	struct sink_feed *f = sink_feed_open(s);

	for (int i = 0; i < 10; i++)
		sink_put(f, STR("lost\n"));
	await(sink_dropped(s) == 10);
	sink_put(f, STR("lost\n"));
	await(sink_dropped(s) == 11);
	sink_drop(f);
	ck_assert_uint_eq(sink_dropped(s), 12);
	sink_feed_close(f);
	sink_close(s);
}
END_TEST

/* A limit on the size of files is a disk that becomes full in the middle of a line. */
static void
disk_set_room(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Puts lines first..first+n-1 and waits until they are written or dropped. */
static void
put_lines(struct sink *s, struct sink_feed *f, unsigned first, unsigned n,
    size_t room_lines)
{
	uint64_t dropped = sink_dropped(s);
	size_t size = size_of(file);
	char memory[LENGTH];

	for (unsigned i = 0; i < n; i++)
		sink_put(f, numbered(memory, LENGTH, "d", first + i));
	await(size_of(file) >= size + room_lines * LENGTH &&
	      sink_dropped(s) >= dropped + n - room_lines - 1);
}

START_TEST(a_line_torn_by_a_full_disk_is_finished_when_there_is_room)
{
	struct sink *s = sink_open(file);
	struct sink_feed *f = sink_feed_open(s);

	disk_set_room(5 * LENGTH + LENGTH / 2);
	put_lines(s, f, 0, 10, 5);
	/* the sixth is in the file by half */
	await(size_of(file) == 5 * LENGTH + LENGTH / 2);
	ck_assert_uint_eq(sink_dropped(s), 4);
	put_lines(s, f, 10, 3, 0);
	await(sink_dropped(s) == 7);
	disk_set_room(RLIM_INFINITY);
	put_lines(s, f, 13, 10, 10);
	ck_assert_uint_eq(sink_dropped(s), 7);
	sink_feed_close(f);
	sink_close(s);
	ck_assert_uint_eq(count_file(file, "d", LENGTH), 16);
}
END_TEST

START_TEST(a_torn_line_is_finished_when_the_same_file_is_reopened)
{
	struct sink *s = sink_open(file);
	struct sink_feed *f = sink_feed_open(s);

	disk_set_room(LENGTH / 2);
	put_lines(s, f, 0, 1, 0);
	await(size_of(file) == LENGTH / 2);
	sink_reopen(s);
	put_lines(s, f, 1, 1, 0);
	await(sink_dropped(s) == 1);
	disk_set_room(RLIM_INFINITY);
	sink_feed_close(f);
	sink_close(s);
	ck_assert_uint_eq(count_file(file, "d", LENGTH), 1);
}
END_TEST

START_TEST(a_torn_line_does_not_go_on_in_another_file)
{
	struct sink *s = sink_open(file);
	struct sink_feed *f = sink_feed_open(s);

	disk_set_room(LENGTH / 2);
	put_lines(s, f, 0, 1, 0);
	await(size_of(file) == LENGTH / 2);
	ck_assert_int_eq(rename(file, other), 0);
	sink_reopen(s);
	await(access(file, F_OK) == 0);
	await(sink_dropped(s) == 1);
	disk_set_room(RLIM_INFINITY);
	put_lines(s, f, 1, 2, 2);
	sink_feed_close(f);
	sink_close(s);
	ck_assert_uint_eq(count_file(file, "d", LENGTH), 2);
}
END_TEST

START_TEST(it_is_said_once_and_counted_at_the_end)
{
	struct sink *s = sink_open("/dev/full");
	struct sink_feed *f = sink_feed_open(s);
	const char *text;

	ck_assert(log_open(&(struct log_settings){.level = LEVEL_WARN, .file = other}));
	for (unsigned i = 1; i <= 3; i++) {
		sink_put(f, STR("lost\n"));
		await(sink_dropped(s) == i);
	}
	sink_feed_close(f);
	sink_close(s);
	log_close();
	text = contents(other);
	text = strstr(text, "/dev/full cannot be written");
	ck_assert_ptr_nonnull(text);
	text = strchr(text, '\n');
	ck_assert_ptr_nonnull(strstr(text, "/dev/full: 3 lines dropped"));
	ck_assert_ptr_null(strstr(text, "cannot be written"));
}
END_TEST

Suite *
suite_sink(void)
{
	Suite *suite = suite_create("sink");
	TCase *files = tcase_create("files"), *stalled = tcase_create("stalled"),
	      *full = tcase_create("full");

	tcase_add_checked_fixture(files, setup, teardown);
	tcase_set_timeout(files, 60);
	tcase_add_test(files, lines_are_in_the_file_when_it_is_closed);
	tcase_add_test(files, it_appends_to_what_is_there);
	tcase_add_test(files, one_line_arrives_without_another_behind_it);
	tcase_add_test(files, an_absent_folder_is_said_at_once);
	tcase_add_test(files, lines_of_many_producers_are_whole_and_in_order);
	tcase_add_test(files, feeds_come_and_go);
	tcase_add_test(files, reopening_goes_on_in_a_new_file);
	tcase_add_test(files, the_old_file_stays_where_reopening_fails);
	suite_add_tcase(suite, files);

	tcase_add_checked_fixture(stalled, setup, teardown);
	tcase_set_timeout(stalled, 60);
	tcase_add_test(stalled, a_fifo_without_reader_does_not_hang_the_start);
	tcase_add_test(stalled,
	    a_stalled_disk_holds_nobody_up_and_costs_a_bounded_amount);
	tcase_add_test(stalled, closing_does_not_wait_for_a_disk_that_never_comes_back);
	suite_add_tcase(suite, stalled);

	tcase_add_checked_fixture(full, setup, teardown);
	tcase_set_timeout(full, 60);
	tcase_add_test(full, lines_for_a_full_disk_are_dropped_and_counted);
	tcase_add_test(full, a_line_torn_by_a_full_disk_is_finished_when_there_is_room);
	tcase_add_test(full, a_torn_line_is_finished_when_the_same_file_is_reopened);
	tcase_add_test(full, a_torn_line_does_not_go_on_in_another_file);
	tcase_add_test(full, it_is_said_once_and_counted_at_the_end);
	suite_add_tcase(suite, full);
	return suite;
}
