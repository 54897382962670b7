/* SPDX-License-Identifier: MIT
 *
 * check_files.c - files that become others, in every way there is. The loop turns on
 * the real clock here, since inotify does; no test waits for nothing but what has to
 * come.
 */
#include "daemon/files.h"
#include "loop/loop.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

Suite *suite_files(void);

static char directory[64];
static struct loop *loop;
static struct files *files;
static unsigned changes;

static const char *
at(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void
on_change(void *arg)
{
	changes++;
	loop_stop(loop);
}

/* The loop turns until there was a change. */
static void
await(void)
{
	unsigned before = changes;

	loop->stopping = false;
	loop_run(loop);
	ck_assert_uint_eq(changes, before + 1);
}

static void
watch(const char *name)
{
	const char *const paths[] = {at(name), NULL};

	ck_assert(files_watch(files, paths, 2));
}

static void
setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/check_files.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	changes = 0;
	loop = loop_new(NULL);
	files = files_new(loop, on_change, NULL);
	ck_assert_ptr_nonnull(files);
}

static void
teardown(void)
{
	char command[96];

	files_free(files);
	loop_free(loop);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(a_file_replaced_by_another)
{
	put("f", "1");
	watch("f");
	put("g", "2");
	rename(at("g"), at("f"));
	await();
	put("f", "33");
	await();
}
END_TEST

START_TEST(a_file_that_comes_with_its_directory)
{
	watch("d/e/f");
	mkdir(at("d"), 0777);
	mkdir(at("d/e"), 0777);
	put("d/e/f", "1");
	await();
}
END_TEST

START_TEST(links_on_the_way)
{
	mkdir(at("one"), 0777);
	mkdir(at("two"), 0777);
	put("one/f", "1");
	put("two/f", "2");
	ck_assert_int_eq(symlink("one", at("now")), 0);
	ck_assert_int_eq(symlink("now/f", at("f")), 0);
	watch("f");
	ck_assert_int_eq(symlink("two", at("new")), 0);
	rename(at("new"), at("now"));
	await();
	put("two/f", "22");
	await();
}
END_TEST

START_TEST(links_in_a_circle)
{
	ck_assert_int_eq(symlink("b", at("a")), 0);
	ck_assert_int_eq(symlink("a", at("b")), 0);
	watch("a");
	unlink(at("a"));
	put("a", "1");
	await();
}
END_TEST

START_TEST(a_moment_without_descriptors_loses_nothing)
{
	struct rlimit limit, none;

	put("file", "one");
	put("other", "two");
	watch("file");
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(rename(at("other"), at("file")), 0);
	await();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	put("file", "three");
	await();
}
END_TEST

Suite *
suite_files(void)
{
	Suite *s = suite_create("files");
	TCase *t = tcase_create("files");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_file_replaced_by_another);
	tcase_add_test(t, a_file_that_comes_with_its_directory);
	tcase_add_test(t, links_on_the_way);
	tcase_add_test(t, links_in_a_circle);
	tcase_add_test(t, a_moment_without_descriptors_loses_nothing);
	suite_add_tcase(s, t);
	return s;
}
