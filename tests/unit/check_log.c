/* SPDX-License-Identifier: MIT
 *
 * check_log.c - lines of the log: how they are written, where they go, which are too
 * many, and what happens to those that nobody takes.
 */
#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_line.h"
#include "base/strbuf.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

Suite *suite_log(void);

/* 2026-11-22 05:38:45.123 UTC */
static const uint64_t TIME_MS = 1795325925123;
#define TIME "2026-11-22T05:38:45.123Z "

static char directory[64], path[96], other[96], said[96];

static void
setup(void)
{
	int fd;

	snprintf(directory, sizeof directory, "/tmp/check_log.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/log", directory);
	snprintf(other, sizeof other, "%s/other", directory);
	snprintf(said, sizeof said, "%s/stderr", directory);
	/* what is said about full disks is not for the tests' output */
	fd = open(said, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	clock_fake_set(TIME_MS);
}

static void
teardown(void)
{
	log_close();
	unlink(path);
	unlink(other);
	unlink(said);
	rmdir(directory);
	clock_fake_stop();
}

static bool
open_as(enum log_level level, enum log_format format, const char *file)
{
	const struct log_settings s = {.level = level,
	    .format = format,
	    .file = (char *)(uintptr_t)file,
	    .socket = other,
	    .tag = (char *)(uintptr_t) "roost",
	    .facility = 3};

	return log_open(&s);
}

static const char *
contents(const char *file)
{
	static char text[1 << 16];
	FILE *f = fopen(file, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* ---- text and JSON ---- */

START_TEST(text_lines)
{
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	log_info(TOPIC_SESSION, "closed (code %d)", 1000);
	log_error(TOPIC_LIBRARY, "a library's line\n");
	ck_assert_str_eq(contents(path), TIME "info session: closed (code 1000)\n" TIME
					      "error library: a library's line\n");
}
END_TEST

START_TEST(json_lines)
{
	ck_assert(open_as(LEVEL_INFO, FORMAT_JSON, path));
	log_warn(TOPIC_BACKEND, "\"b1\" is\tgone");
	ck_assert_str_eq(contents(path),
	    "{\"time\":\"2026-11-22T05:38:45.123Z\",\"level\":\"warn\","
	    "\"topic\":\"backend\",\"message\":\"\\\"b1\\\" is\\tgone\"}\n");
}
END_TEST

START_TEST(what_it_is_about_is_told_by_both)
{
	const struct log_about about = {.request = "r1",
	    .session = "s1",
	    .client = "192.0.2.1",
	    .upstream = "chat",
	    .backend = "b 1"};

	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	log_about_at(LEVEL_INFO, TOPIC_HTTP, &about, "done");
	ck_assert_str_eq(contents(path),
	    TIME "info http: done request=r1 session=s1 client=192.0.2.1 "
		 "upstream=chat backend=b\\x201\n");
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert(open_as(LEVEL_INFO, FORMAT_JSON, path));
	log_about_at(LEVEL_INFO, TOPIC_HTTP, &about, "done");
	ck_assert_str_eq(contents(path),
	    "{\"time\":\"2026-11-22T05:38:45.123Z\",\"level\":\"info\","
	    "\"topic\":\"http\",\"message\":\"done\",\"request\":\"r1\","
	    "\"session\":\"s1\",\"client\":\"192.0.2.1\",\"upstream\":\"chat\","
	    "\"backend\":\"b 1\"}\n");
}
END_TEST

START_TEST(a_backend_alone_is_named_by_the_message)
{
	const struct log_about about = {.upstream = "chat", .backend = "b1"};

	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	log_about_at(LEVEL_WARN, TOPIC_BACKEND, &about, "backend chat/b1 is ill");
	ck_assert_str_eq(contents(path), TIME "warn backend: backend chat/b1 is ill\n");
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert(open_as(LEVEL_INFO, FORMAT_JSON, path));
	log_about_at(LEVEL_WARN, TOPIC_BACKEND, &about, "backend chat/b1 is ill");
	ck_assert_ptr_nonnull(
	    strstr(contents(path), "\"upstream\":\"chat\",\"backend\":\"b1\"}\n"));
}
END_TEST

START_TEST(a_clients_address_may_come_as_an_address)
{
	struct addr a;

	ck_assert(addr_parse(STR("[2001:db8::1]:4242"), &a));
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	log_about_at(LEVEL_INFO, TOPIC_HTTP, &(struct log_about){.address = &a},
	    "here");
	ck_assert_str_eq(contents(path), TIME "info http: here client=2001:db8::1\n");
}
END_TEST

START_TEST(text_has_no_control_bytes_and_no_broken_utf8)
{
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	log_info(TOPIC_HTTP, "a\nfake line\x1b[2J\x7f \xc3\xa9 \xff\xc3 \xc2\x9b"
			     "2J");
	ck_assert_str_eq(contents(path),
	    TIME "info http: a\\x0afake line\\x1b[2J\\x7f \xc3\xa9 \\xff\\xc3 "
		 "\\xc2\\x9b2J\n");
}
END_TEST

START_TEST(values_cannot_forge_other_fields)
{
	const struct log_about about = {.request = "r client=1.2.3.4\n\"x\"\xff"};

	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	log_about_at(LEVEL_INFO, TOPIC_HTTP, &about, "done");
	ck_assert_str_eq(contents(path),
	    TIME "info http: done request=r\\x20client=1.2.3.4\\x0a\\x22x\\x22\\xff\n");
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert(open_as(LEVEL_INFO, FORMAT_JSON, path));
	log_about_at(LEVEL_INFO, TOPIC_HTTP, &about, "done");
	ck_assert_ptr_nonnull(strstr(contents(path),
	    "\"request\":\"r client=1.2.3.4\\n\\\"x\\\"\xef\xbf\xbd\"}\n"));
}
END_TEST

START_TEST(lines_that_are_too_long_are_cut_in_their_message)
{
	const struct log_about about = {.request = "the-id", .client = "192.0.2.1"};
	static const char *const ends[] = {" request=the-id client=192.0.2.1\n",
	    "\",\"request\":\"the-id\",\"client\":\"192.0.2.1\"}\n"};
	char message[5000];

	for (int format = FORMAT_TEXT; format <= FORMAT_JSON; format++) {
		for (int i = 0; i < 3; i++) {
			const char *end = ends[format], *text;

			memset(message, "x\"\x01"[i], sizeof message);
			message[sizeof message - 1] = '\0';
			ck_assert(open_as(LEVEL_INFO, (enum log_format)format, path));
			log_about_at(LEVEL_INFO, TOPIC_HTTP, &about, "%s", message);
			text = contents(path);
			ck_assert_uint_gt(strlen(text), 1700);
			ck_assert_uint_le(strlen(text), 2048);
			ck_assert_uint_eq(count(text, "\n"), 1);
			ck_assert_str_eq(text + strlen(text) - strlen(end), end);
			ck_assert_int_eq(truncate(path, 0), 0);
		}
	}
}
END_TEST

START_TEST(json_lines_of_any_length_are_whole)
{
	static const char end[] = "x\"}\n";
	char message[2100];
	unsigned broken = 0;

	memset(message, 'x', sizeof message);
	ck_assert(open_as(LEVEL_INFO, FORMAT_JSON, path));
	for (int n = 1900; n <= 2100; n++) {
		const char *text;

		ck_assert_int_eq(truncate(path, 0), 0);
		log_info(TOPIC_HTTP, "%.*s", n, message);
		text = contents(path);
		broken += strlen(text) > 2048 ||
			  strcmp(text + strlen(text) - strlen(end), end) != 0;
	}
	ck_assert_uint_eq(broken, 0);
}
END_TEST

START_TEST(values_that_are_too_long_do_not_spoil_a_line)
{
	char id[3000];
	const struct log_about about = {.request = id,
	    .session = id,
	    .client = id,
	    .upstream = id,
	    .backend = id};

	memset(id, '\x01', sizeof id);
	id[sizeof id - 1] = '\0';
	for (int format = FORMAT_TEXT; format <= FORMAT_JSON; format++) {
		const char *text;

		ck_assert(open_as(LEVEL_INFO, (enum log_format)format, path));
		log_about_at(LEVEL_INFO, TOPIC_HTTP, &about, "the message");
		text = contents(path);
		ck_assert_ptr_nonnull(strstr(text, "the message"));
		ck_assert_uint_eq(count(text, "\n"), 1);
		ck_assert_int_eq(text[strlen(text) - 1], '\n');
		if (format == FORMAT_JSON)
			ck_assert_int_eq(text[strlen(text) - 2], '}');
		ck_assert_int_eq(truncate(path, 0), 0);
	}
}
END_TEST

START_TEST(errno_is_kept_and_can_be_printed)
{
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	errno = ENOENT;
	log_info(TOPIC_CONFIG, "no file (%m)");
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_ptr_nonnull(strstr(contents(path), "(No such file or directory)"));
}
END_TEST

START_TEST(names_are_read)
{
	enum log_level level = LEVEL_ERROR;

	ck_assert(log_level_parse("debug", &level) && level == LEVEL_DEBUG);
	ck_assert(log_level_parse("error", &level) && level == LEVEL_ERROR);
	ck_assert(!log_level_parse("Error", &level));
	ck_assert(!log_level_parse("", &level));
}
END_TEST

/* ---- levels ---- */

START_TEST(what_is_below_its_level_is_left_out)
{
	ck_assert(open_as(LEVEL_WARN, FORMAT_TEXT, path));
	for (int i = 0; i < TOPIC_COUNT; i++) {
		ck_assert(!log_enabled((enum log_topic)i, LEVEL_NOTICE));
		ck_assert(log_enabled((enum log_topic)i, LEVEL_WARN));
	}
	log_notice(TOPIC_DAEMON, "not to be seen");
	ck_assert_str_eq(contents(path), "");
}
END_TEST

START_TEST(a_topic_may_have_a_level_of_its_own)
{
	struct log_settings s = {.level = LEVEL_WARN, .file = path};

	s.topics[TOPIC_REHOME] = TOPIC_OWN + LEVEL_DEBUG;
	s.topics[TOPIC_HTTP] = TOPIC_OWN + LEVEL_ERROR;
	ck_assert(log_open(&s));
	log_debug(TOPIC_REHOME, "one");
	log_warn(TOPIC_HTTP, "two");
	log_warn(TOPIC_SESSION, "three");
	log_notice(TOPIC_SESSION, "four");
	ck_assert_str_eq(contents(path),
	    TIME "debug rehome: one\n" TIME "warn session: three\n");
	s.level = LEVEL_INFO;
	s.topics[TOPIC_REHOME] = TOPIC_SAME;
	log_set_levels(&s);
	ck_assert(!log_enabled(TOPIC_REHOME, LEVEL_DEBUG));
	ck_assert(log_enabled(TOPIC_REHOME, LEVEL_INFO));
	ck_assert(!log_enabled(TOPIC_HTTP, LEVEL_WARN));
	log_set_level(LEVEL_DEBUG);
	ck_assert(log_enabled(TOPIC_HTTP, LEVEL_DEBUG));
}
END_TEST

/* ---- too many ---- */

START_TEST(what_is_too_much_is_held_back_and_counted)
{
	unsigned limit = log_kinds[KIND_REFUSED].lines;
	const char *text;

	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	for (unsigned i = 0; i < limit + 33; i++)
		log_kind(KIND_REFUSED, NULL, "refused");
	ck_assert_uint_eq(count(contents(path), "refused\n"), limit);
	ck_assert_uint_eq(log_held_back(), 33);
	/* others are not concerned */
	log_kind(KIND_FAILED, NULL, "failed");
	ck_assert_uint_eq(count(contents(path), "failed\n"), 1);
	clock_fake_advance(LOG_WINDOW_MS - 1);
	log_tick();
	log_kind(KIND_REFUSED, NULL, "refused");
	ck_assert_ptr_null(strstr(contents(path), "held back"));
	clock_fake_advance(1);
	log_tick();
	text = strstr(contents(path), "info http: refused requests: held back ");
	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text,
	    "info http: refused requests: held back 34 like this in 10 s\n");
	/* told once */
	clock_fake_advance(LOG_WINDOW_MS);
	log_tick();
	ck_assert_uint_eq(count(contents(path), "held back"), 1);
}
END_TEST

START_TEST(a_new_window_has_lines_again)
{
	unsigned limit = log_kinds[KIND_FAILED].lines;

	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	for (unsigned window = 1; window <= 3; window++) {
		for (unsigned i = 0; i < 1000; i++) {
			log_kind(KIND_FAILED, NULL, "x");
			clock_fake_advance(i % 2);
		}
		ck_assert_uint_eq(count(contents(path), "http: x\n"), window * limit);
		clock_fake_advance(LOG_WINDOW_MS - 500);
	}
}
END_TEST

/* A thread reads the clock, and another is faster with what it read after that. */
START_TEST(a_clock_read_a_moment_earlier_begins_no_window)
{
	unsigned limit = log_kinds[KIND_FAILED].lines;

	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	clock_fake_advance(10);
	for (unsigned i = 0; i < limit + 5; i++)
		log_kind(KIND_FAILED, NULL, "x");
	clock_fake_advance((uint64_t)-4);
	for (unsigned i = 0; i < 5; i++)
		log_kind(KIND_FAILED, NULL, "x");
	log_tick();
	ck_assert_uint_eq(count(contents(path), "http: x\n"), limit);
	ck_assert_ptr_null(strstr(contents(path), "held back"));
	log_tell_held_back();
	ck_assert_ptr_nonnull(strstr(contents(path), "held back 10 like this in 0 s"));
}
END_TEST

START_TEST(at_debug_nothing_is_held_back)
{
	ck_assert(open_as(LEVEL_DEBUG, FORMAT_TEXT, path));
	for (unsigned i = 0; i < 300; i++)
		log_kind(KIND_FAILED, NULL, "x");
	ck_assert_uint_eq(count(contents(path), "http: x\n"), 300);
}
END_TEST

START_TEST(what_is_not_wanted_is_not_counted)
{
	ck_assert(open_as(LEVEL_WARN, FORMAT_TEXT, path));
	for (unsigned i = 0; i < 300; i++)
		log_kind(KIND_FAILED, NULL, "x");
	ck_assert_uint_eq(log_held_back(), 0);
	log_close();
	ck_assert_str_eq(contents(path), "");
}
END_TEST

START_TEST(the_end_tells_what_is_still_held_back)
{
	ck_assert(open_as(LEVEL_INFO, FORMAT_JSON, path));
	for (unsigned i = 0; i < log_kinds[KIND_FAILED].lines + 5; i++)
		log_kind(KIND_FAILED, NULL, "x");
	clock_fake_advance(2000);
	log_close();
	ck_assert_ptr_nonnull(strstr(contents(path),
	    "\"message\":\"failed requests: held back 5 like this in 2 s\","
	    "\"held_back\":5}\n"));
}
END_TEST

static void *
storm(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++)
		log_kind(KIND_FAILED, NULL, "x");
	return NULL;
}

START_TEST(no_line_of_many_threads_is_uncounted)
{
	pthread_t threads[4];
	unsigned written, limit = log_kinds[KIND_FAILED].lines;

	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, storm, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	written = count(contents(path), "http: x\n");
	ck_assert_uint_ge(written, limit);
	ck_assert_uint_le(written, limit + 4);
	ck_assert_uint_eq(written + log_held_back(), 4 * 20000);
}
END_TEST

/* ---- files ---- */

START_TEST(rotation_is_followed)
{
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	log_info(TOPIC_DAEMON, "one");
	ck_assert_int_eq(rename(path, other), 0);
	log_info(TOPIC_DAEMON, "two");
	ck_assert(log_reopen());
	log_info(TOPIC_DAEMON, "three");
	ck_assert_str_eq(contents(other),
	    TIME "info daemon: one\n" TIME "info daemon: two\n");
	ck_assert_str_eq(contents(path), TIME "info daemon: three\n");
}
END_TEST

static _Atomic bool rotated;

static void *
write_numbers(void *arg)
{
	unsigned *n = arg;

	while (!atomic_load(&rotated))
		log_info(TOPIC_DAEMON, "n%u", (*n)++);
	return NULL;
}

START_TEST(rotation_loses_no_line)
{
	enum { ROTATIONS = 50 };
	unsigned wrote = 0, found = 0;
	pthread_t thread;
	char name[128];

	clock_fake_stop();
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	ck_assert_int_eq(pthread_create(&thread, NULL, write_numbers, &wrote), 0);
	for (int i = 0; i < ROTATIONS; i++) {
		nanosleep(&(struct timespec){0, 1000000}, NULL);
		snprintf(name, sizeof name, "%s.%d", path, i);
		ck_assert_int_eq(rename(path, name), 0);
		ck_assert(log_reopen());
	}
	atomic_store(&rotated, true);
	pthread_join(thread, NULL);
	for (int i = 0; i <= ROTATIONS; i++) {
		char line[128];
		FILE *f;

		snprintf(name, sizeof name, i < ROTATIONS ? "%s.%d" : "%s", path, i);
		f = fopen(name, "r");
		ck_assert_ptr_nonnull(f);
		while (fgets(line, sizeof line, f)) {
			const char *number = strstr(line, ": n");

			ck_assert_ptr_nonnull(number);
			ck_assert_uint_eq(strtoul(number + 3, NULL, 10), found);
			found++;
		}
		fclose(f);
		unlink(name);
	}
	ck_assert_uint_eq(found, wrote);
}
END_TEST

START_TEST(what_was_open_stays_when_a_file_cannot_be_opened)
{
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	ck_assert(!open_as(LEVEL_DEBUG, FORMAT_JSON, "/nonexistent/dir/file"));
	ck_assert_int_eq(errno, ENOENT);
	log_debug(TOPIC_DAEMON, "not to be seen");
	log_info(TOPIC_DAEMON, "still here");
	ck_assert_str_eq(contents(path), TIME "info daemon: still here\n");
}
END_TEST

START_TEST(a_reopening_that_fails_is_said_in_the_old_file)
{
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	ck_assert_int_eq(rename(path, other), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert(!log_reopen());
	log_info(TOPIC_DAEMON, "on it goes");
	rmdir(path);
	ck_assert_str_eq(contents(other),
	    TIME "error daemon: log file not reopened, the old one stays (Is a "
		 "directory)\n" TIME "info daemon: on it goes\n");
}
END_TEST

/* ---- losses ---- */

START_TEST(lines_for_a_full_disk_are_counted_and_stderr_is_told_once)
{
	uint64_t before = log_dropped();

	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, "/dev/full"));
	for (int i = 0; i < 5; i++)
		log_info(TOPIC_DAEMON, "nobody reads this");
	ck_assert_uint_eq(log_dropped(), before + 5);
	ck_assert_str_eq(contents(said),
	    TIME "warn daemon: the log cannot be written, lines are lost (No space "
		 "left on device)\n");
}
END_TEST

/* A limit on the size of files is a disk that becomes full in the middle of a line. */
static void
set_room(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(when_there_is_room_again_the_loss_is_told_first)
{
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	clock_fake_set(TIME_MS - 1000);
	log_info(TOPIC_DAEMON, "one");
	set_room(60); /* the next line is torn */
	for (int i = 0; i < 3; i++)
		log_info(TOPIC_DAEMON, "two");
	set_room(RLIM_INFINITY);
	clock_fake_set(TIME_MS);
	log_info(TOPIC_DAEMON, "three");
	log_info(TOPIC_DAEMON, "four");
	ck_assert_str_eq(contents(path),
	    "2026-11-22T05:38:44.123Z info daemon: one\n"
	    "2026-11-22T05:38:4\n" TIME
	    "warn daemon: 3 lines of the log were lost (File "
	    "too large)\n" TIME "info daemon: three\n" TIME "info daemon: four\n");
}
END_TEST

START_TEST(a_loss_is_told_without_another_line)
{
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, path));
	set_room(0);
	log_info(TOPIC_DAEMON, "lost");
	log_tick();
	set_room(RLIM_INFINITY);
	log_tick();
	log_tick();
	ck_assert_str_eq(contents(path),
	    TIME "warn daemon: 1 line of the log was lost (File too large)\n");
	ck_assert_uint_eq(log_dropped(), 1);
}
END_TEST

static uint64_t
real_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Nobody reads from a pipe that is our stderr: a terminal that was stopped. */
START_TEST(a_stalled_stderr_holds_nobody_up)
{
	int fds[2];
	uint64_t begun, lost, before = log_dropped();
	char text[4096];
	ssize_t n;

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, "stderr"));
	begun = real_ms();
	for (int i = 0; i < 5000; i++)
		log_info(TOPIC_DAEMON, "line %d", i);
	ck_assert_uint_lt(real_ms() - begun, 10000);
	lost = log_dropped() - before;
	ck_assert_uint_gt(lost, 1000);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	while (read(fds[0], text, sizeof text) > 0)
		;
	clock_fake_advance(1000);
	log_info(TOPIC_DAEMON, "again");
	n = read(fds[0], text, sizeof text - 1);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_ptr_nonnull(strstr(text, "lines of the log were lost"));
	ck_assert_uint_eq(log_dropped() - before, lost);
}
END_TEST

/* ---- syslog and the journal ---- */

static int
listen_datagrams(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(a.sun_path, other, strlen(other));
	unlink(other);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static const char *
datagram(int fd)
{
	static char text[8192];
	ssize_t n = recv(fd, text, sizeof text - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

START_TEST(syslog_gets_datagrams)
{
	const struct log_about about = {.client = "192.0.2.1"};
	char wanted[160];
	int fd = listen_datagrams();

	setenv("TZ", "UTC", 1);
	tzset();
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, "syslog"));
	log_about_at(LEVEL_WARN, TOPIC_HTTP, &about, "two\nlines");
	snprintf(wanted, sizeof wanted,
	    "<28>Nov 22 05:38:45 roost[%ld]: http: two\\x0alines client=192.0.2.1",
	    (long)getpid());
	ck_assert_str_eq(datagram(fd), wanted);
	close(fd);
}
END_TEST

START_TEST(the_journal_gets_fields)
{
	const struct log_about about = {.request = "r\n1",
	    .session = "s1",
	    .client = "192.0.2.1",
	    .upstream = "chat",
	    .backend = "b1"};
	int fd = listen_datagrams();

	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, "journald"));
	log_about_at(LEVEL_NOTICE, TOPIC_REHOME, &about, "two\nlines");
	ck_assert_str_eq(datagram(fd),
	    "PRIORITY=5\nSYSLOG_IDENTIFIER=roost\nROOST_TOPIC=rehome\n"
	    "ROOST_REQUEST=r\\x0a1\nROOST_SESSION=s1\nROOST_CLIENT=192.0.2.1\n"
	    "ROOST_UPSTREAM=chat\nROOST_BACKEND=b1\n"
	    "MESSAGE=rehome: two\\x0alines request=r\\x0a1 session=s1 "
	    "client=192.0.2.1 upstream=chat backend=b1\n");
	close(fd);
}
END_TEST

/* Each byte becomes four. */
START_TEST(the_journal_has_room_for_all_fields_and_some_of_the_message)
{
	char memory[LOG_JOURNAL_MIN], odd[400];
	struct strbuf line = strbuf_over(memory, sizeof memory);
	const struct log_about about = {odd, odd, odd, NULL, odd, odd};
	const struct log_event e = {.topic = TOPIC_LISTENER,
	    .about = &about,
	    .held_back = UINT64_MAX,
	    .message = STR("said")};
	const char *text;

	memset(odd, 0xff, sizeof odd - 1);
	odd[sizeof odd - 1] = '\0';
	log_line_journal(&line, &e,
	    "a-name-of-64-bytes-that-is-as-long-as-one-may-be-0123456789-abcd");
	text = strbuf_cstr(&line);
	ck_assert_ptr_nonnull(strstr(text, "\nMESSAGE=listener: said request=\\xff"));
	ck_assert_int_eq(text[line.len - 1], '\n');
}
END_TEST

START_TEST(a_socket_that_is_not_there_is_said_at_once)
{
	ck_assert(!open_as(LEVEL_INFO, FORMAT_TEXT, "syslog"));
	ck_assert_int_eq(errno, ENOENT);
	close(open(other, O_WRONLY | O_CREAT, 0600));
	ck_assert(!open_as(LEVEL_INFO, FORMAT_TEXT, "journald"));
	ck_assert_int_eq(errno, ENOTSOCK);
}
END_TEST

START_TEST(a_daemon_that_was_started_anew_is_found_again)
{
	int fd = listen_datagrams();
	uint64_t before = log_dropped();

	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, "journald"));
	close(fd);
	log_info(TOPIC_DAEMON, "lost");
	ck_assert_uint_eq(log_dropped(), before + 1);
	ck_assert_ptr_nonnull(
	    strstr(contents(said), "lines are lost (Connection refused)"));
	fd = listen_datagrams();
	log_info(TOPIC_DAEMON, "here");
	ck_assert_ptr_nonnull(
	    strstr(datagram(fd), "MESSAGE=daemon: 1 line of the log was lost"));
	ck_assert_ptr_nonnull(strstr(datagram(fd), "MESSAGE=daemon: here"));
	close(fd);
}
END_TEST

START_TEST(a_stalled_daemon_holds_nobody_up)
{
	int fd = listen_datagrams();
	uint64_t begun;

	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, "syslog"));
	begun = real_ms();
	for (int i = 0; i < 5000; i++)
		log_info(TOPIC_DAEMON, "line %d", i);
	ck_assert_uint_lt(real_ms() - begun, 10000);
	ck_assert_uint_gt(log_dropped(), 1000);
	close(fd);
}
END_TEST

START_TEST(a_stderr_of_the_journal_gets_priorities)
{
	char stream[64];
	struct stat st;

	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, "stderr"));
	log_warn(TOPIC_DAEMON, "careful");
	ck_assert_str_eq(contents(said), "<4>" TIME "warn daemon: careful\n");
	/* redirected since: it is another stream */
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_close();
	ck_assert(open_as(LEVEL_INFO, FORMAT_TEXT, "stderr"));
	log_warn(TOPIC_DAEMON, "careful");
	ck_assert_ptr_nonnull(strstr(contents(said), "\n" TIME "warn daemon"));
}
END_TEST

Suite *
suite_log(void)
{
	Suite *suite = suite_create("log");
	TCase *lines = tcase_create("lines"), *levels = tcase_create("levels"),
	      *limits = tcase_create("limits"), *files = tcase_create("files"),
	      *losses = tcase_create("losses"), *sockets = tcase_create("sockets");
	TCase *all[] = {lines, levels, limits, files, losses, sockets};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		tcase_add_checked_fixture(all[i], setup, teardown);
		tcase_set_timeout(all[i], 60);
		suite_add_tcase(suite, all[i]);
	}
	tcase_add_test(lines, text_lines);
	tcase_add_test(lines, json_lines);
	tcase_add_test(lines, what_it_is_about_is_told_by_both);
	tcase_add_test(lines, a_backend_alone_is_named_by_the_message);
	tcase_add_test(lines, a_clients_address_may_come_as_an_address);
	tcase_add_test(lines, text_has_no_control_bytes_and_no_broken_utf8);
	tcase_add_test(lines, values_cannot_forge_other_fields);
	tcase_add_test(lines, lines_that_are_too_long_are_cut_in_their_message);
	tcase_add_test(lines, json_lines_of_any_length_are_whole);
	tcase_add_test(lines, values_that_are_too_long_do_not_spoil_a_line);
	tcase_add_test(lines, errno_is_kept_and_can_be_printed);
	tcase_add_test(lines, names_are_read);

	tcase_add_test(levels, what_is_below_its_level_is_left_out);
	tcase_add_test(levels, a_topic_may_have_a_level_of_its_own);

	tcase_add_test(limits, what_is_too_much_is_held_back_and_counted);
	tcase_add_test(limits, a_new_window_has_lines_again);
	tcase_add_test(limits, a_clock_read_a_moment_earlier_begins_no_window);
	tcase_add_test(limits, at_debug_nothing_is_held_back);
	tcase_add_test(limits, what_is_not_wanted_is_not_counted);
	tcase_add_test(limits, the_end_tells_what_is_still_held_back);
	tcase_add_test(limits, no_line_of_many_threads_is_uncounted);

	tcase_add_test(files, rotation_is_followed);
	tcase_add_test(files, rotation_loses_no_line);
	tcase_add_test(files, what_was_open_stays_when_a_file_cannot_be_opened);
	tcase_add_test(files, a_reopening_that_fails_is_said_in_the_old_file);

	tcase_add_test(losses,
	    lines_for_a_full_disk_are_counted_and_stderr_is_told_once);
	tcase_add_test(losses, when_there_is_room_again_the_loss_is_told_first);
	tcase_add_test(losses, a_loss_is_told_without_another_line);
	tcase_add_test(losses, a_stalled_stderr_holds_nobody_up);

	tcase_add_test(sockets, syslog_gets_datagrams);
	tcase_add_test(sockets, the_journal_gets_fields);
	tcase_add_test(sockets,
	    the_journal_has_room_for_all_fields_and_some_of_the_message);
	tcase_add_test(sockets, a_socket_that_is_not_there_is_said_at_once);
	tcase_add_test(sockets, a_daemon_that_was_started_anew_is_found_again);
	tcase_add_test(sockets, a_stalled_daemon_holds_nobody_up);
	tcase_add_test(sockets, a_stderr_of_the_journal_gets_priorities);
	return suite;
}
