/* SPDX-License-Identifier: MIT
 *
 * check_stream.c - a stream's owner hears of all there is to read, however little it
 * takes at a time and whatever happens to the stream meanwhile, and all it writes
 * leaves in order.
 *
 * Every test runs on a pair of TCP and on a pair of unix sockets, on a real loop that
 * turns only in turn().
 */
#include "base/object.h"
#include "loop/loop.h"
#include "net/stream.h"
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

Suite *suite_stream(void);

enum { TCP, UNIX, KINDS };

/* A stream whose owner notes what it hears. Between two of its reads it does `then`. */
struct ear {
	struct stream stream;
	int peer;    /* our end */
	size_t take; /* how much one read asks for */
	size_t n;    /* heard so far: */
	char text[256];
	unsigned reads, ends, drained, broken;
	void (*then)(struct ear *);
};

static struct loop *loop;
static struct ear a, b, c;

static void
on_readable(struct stream *s)
{
	struct ear *e = container_of(s, struct ear, stream);
	char bytes[4096];
	ssize_t n;

	ck_assert_uint_le(e->take, sizeof bytes);
	n = stream_read(s, bytes, e->take);
	e->reads++;
	if (n > 0) {
		for (ssize_t i = 0; i < n && e->n < sizeof e->text - 1; i++)
			e->text[e->n++] = bytes[i];
	} else if (n != STREAM_AGAIN) {
		e->ends++;
		stream_close(s);
	}
	if (e->then)
		e->then(e);
}

static void
on_drained(struct stream *s)
{
	container_of(s, struct ear, stream)->drained++;
}

static void
on_broken(struct stream *s)
{
	container_of(s, struct ear, stream)->broken++;
}

static const struct stream_ops ops = {
    .on_readable = on_readable,
    .on_drained = on_drained,
    .on_broken = on_broken,
};

/* ---- the stage ---- */

static void
tcp_pair(int fds[2])
{
	struct sockaddr_in name = {
	    .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t n = sizeof name;
	int door = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(door, (struct sockaddr *)&name, n), 0);
	ck_assert_int_eq(listen(door, 1), 0);
	ck_assert_int_eq(getsockname(door, (struct sockaddr *)&name, &n), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(fds[0], (struct sockaddr *)&name, n), 0);
	fds[1] = accept(door, NULL, NULL);
	ck_assert_int_ge(fds[1], 0);
	close(door);
}

static void
ear_open(struct ear *e, int kind)
{
	int fds[2];

	*e = (struct ear){.take = sizeof e->text};
	if (kind == TCP)
		tcp_pair(fds);
	else
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	e->peer = fds[1];
	ck_assert_int_eq(fcntl(e->peer, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	stream_init(&e->stream, loop, fds[0], &ops);
	ck_assert(stream_read_on(&e->stream));
}

static void
ear_close(struct ear *e)
{
	stream_close(&e->stream);
	close(e->peer);
}

static void
turn(void)
{
	loop_turn(loop);
}

static void
turns(int n)
{
	while (n--)
		turn();
}

static void
say(const struct ear *e, const char *text)
{
	ck_assert_int_eq(write(e->peer, text, strlen(text)), (ssize_t)strlen(text));
}

static void
setup(void)
{
	loop = loop_new(NULL);
	ck_assert_ptr_nonnull(loop);
	turns(2); /* the kernel hears of the loop's own descriptors */
}

static void
teardown(void)
{
	loop_free(loop);
}

/* ---- reading ---- */

START_TEST(what_is_taken_in_pieces_arrives_whole)
{
	ear_open(&a, _i);
	a.take = 3;
	turn();
	say(&a, "one two three four five six seven eight");
	turns(20);
	ck_assert_str_eq(a.text, "one two three four five six seven eight");
	say(&a, "!");
	turns(2);
	ck_assert_str_eq(a.text, "one two three four five six seven eight!");
	ear_close(&a);
}
END_TEST

START_TEST(end_behind_bytes_is_heard)
{
	ear_open(&a, _i);
	turn();
	say(&a, "last words");
	shutdown(a.peer, SHUT_WR);
	turns(4);
	ck_assert_str_eq(a.text, "last words");
	ck_assert_uint_eq(a.ends, 1);
	ear_close(&a);
}
END_TEST

START_TEST(end_alone_is_heard)
{
	ear_open(&a, _i);
	say(&a, "words");
	turns(2);
	ck_assert_uint_eq(a.ends, 0);
	shutdown(a.peer, SHUT_WR);
	turns(2);
	ck_assert_uint_eq(a.ends, 1);
	ear_close(&a);
}
END_TEST

START_TEST(end_behind_pieces_is_heard)
{
	ear_open(&a, _i);
	a.take = 2;
	turn();
	say(&a, "abcdefghijklmnopqrst");
	shutdown(a.peer, SHUT_WR);
	turns(20);
	ck_assert_str_eq(a.text, "abcdefghijklmnopqrst");
	ck_assert_uint_eq(a.ends, 1);
	ear_close(&a);
}
END_TEST

/* Both before anybody looks: the bytes must not hide the reset. */
START_TEST(reset_behind_bytes_is_heard)
{
	const struct linger hard = {.l_onoff = 1, .l_linger = 0};

	ear_open(&a, TCP);
	turn();
	say(&a, "last words");
	setsockopt(a.peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(a.peer);
	turns(4);
	ck_assert_uint_eq(a.ends, 1);
	a.peer = -1;
	ear_close(&a);
}
END_TEST

/* The byte itself is nobody's: it is not read in line. */
START_TEST(urgent_data_hides_nothing)
{
	ear_open(&a, TCP);
	turn();
	say(&a, "before ");
	ck_assert_int_eq(send(a.peer, "!", 1, MSG_OOB), 1);
	say(&a, "and behind");
	turns(6);
	ck_assert_str_eq(a.text, "before and behind");
	ck_assert_uint_eq(loop_idle_ms(loop), UINT64_MAX);
	ear_close(&a);
}
END_TEST

static void
stop_reading(struct ear *e)
{
	stream_read_off(&e->stream);
}

START_TEST(what_was_left_is_heard_when_reading_goes_on)
{
	ear_open(&a, _i);
	a.take = 4;
	a.then = stop_reading;
	turn();
	say(&a, "rest of it");
	turns(4);
	ck_assert_str_eq(a.text, "rest");
	ck_assert(stream_read_on(&a.stream));
	a.then = NULL;
	turns(4);
	ck_assert_str_eq(a.text, "rest of it");
	ear_close(&a);
}
END_TEST

START_TEST(what_comes_while_nobody_reads_is_heard_later)
{
	ear_open(&a, _i);
	turn();
	stream_read_off(&a.stream);
	say(&a, "early");
	shutdown(a.peer, SHUT_WR);
	turns(3);
	ck_assert_uint_eq(a.reads, 0);
	ck_assert(stream_read_on(&a.stream));
	turns(3);
	ck_assert_str_eq(a.text, "early");
	ck_assert_uint_eq(a.ends, 1);
	ear_close(&a);
}
END_TEST

static void
stop_and_go(struct ear *e)
{
	stream_read_off(&e->stream);
	stream_read_on(&e->stream);
}

START_TEST(reading_may_stop_and_go_within_a_turn)
{
	ear_open(&a, _i);
	a.take = 4;
	a.then = stop_and_go;
	turn();
	say(&a, "no word is lost here");
	turns(8);
	ck_assert_str_eq(a.text, "no word is lost here");
	ear_close(&a);
}
END_TEST

/* Whoever of the two is first stops the other, of which the kernel has told, too. */
static void
stop_and_go_with_the_other(struct ear *e)
{
	stop_and_go(e == &a ? &b : &a);
}

START_TEST(event_that_another_took_away_comes_again)
{
	ear_open(&a, _i);
	ear_open(&b, _i);
	a.then = b.then = stop_and_go_with_the_other;
	turn();
	say(&a, "for a");
	say(&b, "for b");
	turns(4);
	ck_assert_str_eq(a.text, "for a");
	ck_assert_str_eq(b.text, "for b");
	ear_close(&a);
	ear_close(&b);
}
END_TEST

START_TEST(flood_leaves_others_their_turn)
{
	static char flood[4096 * 16];

	ear_open(&a, _i);
	a.take = 4096;
	turn();
	ck_assert_int_eq(write(a.peer, flood, sizeof flood), sizeof flood);
	turn();
	ck_assert_uint_ge(a.reads, 1);
	ck_assert_uint_le(a.reads, 4);
	turns(20);
	ck_assert_uint_ge(a.reads, 16);
	ear_close(&a);
}
END_TEST

START_TEST(nothing_to_read_costs_no_reads)
{
	ear_open(&a, _i);
	turn();
	say(&a, "once");
	turns(20);
	ck_assert_uint_eq(a.reads, 1);
	ear_close(&a);
}
END_TEST

/* What is taken may have been all, and one more read finds that out. */
START_TEST(read_that_was_filled_is_tried_once_more)
{
	ear_open(&a, _i);
	a.take = 4;
	turn();
	say(&a, "once");
	turns(20);
	ck_assert_uint_eq(a.reads, 2);
	ck_assert_uint_eq(loop_idle_ms(loop), UINT64_MAX);
	ear_close(&a);
}
END_TEST

/* ---- moving ---- */

static void
move_to_c(struct ear *e)
{
	c = (struct ear){.take = sizeof c.text, .peer = e->peer};
	stream_move(&c.stream, &e->stream, &ops);
	e->then = NULL;
}

START_TEST(new_owner_hears_what_the_old_one_left)
{
	ear_open(&a, _i);
	a.take = 5;
	a.then = move_to_c;
	turn();
	say(&a, "head and body");
	shutdown(a.peer, SHUT_WR);
	turns(4);
	ck_assert_str_eq(a.text, "head ");
	ck_assert_str_eq(c.text, "and body");
	ck_assert_uint_eq(c.ends, 1);
	ear_close(&c);
}
END_TEST

static void
move_the_other(struct ear *e)
{
	struct ear *other = e == &a ? &b : &a;

	other->then = NULL;
	move_to_c(other);
}

START_TEST(new_owner_hears_what_the_old_one_was_about_to)
{
	ear_open(&a, _i);
	ear_open(&b, _i);
	a.then = b.then = move_the_other;
	turn();
	say(&a, "words");
	say(&b, "words");
	turns(4);
	ck_assert_str_eq(c.text, "words");
	ck_assert_uint_eq(a.reads + b.reads, 1);
	ear_close(&a);
	ear_close(&b);
}
END_TEST

START_TEST(new_owner_hears_what_comes)
{
	ear_open(&a, _i);
	turn();
	move_to_c(&a);
	turn();
	say(&c, "later");
	turns(2);
	ck_assert_str_eq(c.text, "later");
	ear_close(&c);
}
END_TEST

/* ---- writing ---- */

enum { BLOCK = 100000 };

/* The number-th block of what is sent. */
static enum stream_wrote
put_block(struct ear *e, size_t number)
{
	static char block[BLOCK];
	enum stream_wrote w;

	memset(block, 'a' + (int)(number % 26), sizeof block);
	w = stream_put(&e->stream, block, sizeof block);
	ck_assert_int_ne(w, STREAM_BROKEN);
	return w;
}

/* The socket, and a little of the queue. Bytes. */
static size_t
fill(struct ear *e)
{
	size_t n = 0;

	while (put_block(e, n++) == STREAM_SENT)
		continue;
	return n * BLOCK;
}

/* The peer reads all there is now. */
static size_t
take_all(struct ear *e, size_t from)
{
	static char bytes[65536];
	size_t at = from;
	ssize_t n;

	while ((n = read(e->peer, bytes, sizeof bytes)) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			if (bytes[i] != 'a' + (int)(at / BLOCK) % 26)
				ck_abort_msg("byte %zu is another", at);
	return at - from;
}

START_TEST(queue_leaves_in_order_and_tells_when_it_is_empty)
{
	size_t sent, taken = 0;

	ear_open(&a, _i);
	sent = fill(&a);
	ck_assert_uint_gt(stream_queued(&a.stream), 0);
	for (int i = 0; i < 1000 && taken < sent; i++) {
		taken += take_all(&a, taken);
		turn();
	}
	ck_assert_uint_eq(taken, sent);
	ck_assert_uint_eq(a.drained, 1);
	ck_assert_uint_eq(stream_queued(&a.stream), 0);
	say(&a, "and it reads");
	turns(2);
	ck_assert_str_eq(a.text, "and it reads");
	ear_close(&a);
}
END_TEST

START_TEST(queue_that_waits_costs_no_turns)
{
	size_t sent, taken;

	ear_open(&a, _i);
	sent = fill(&a);
	for (size_t more = 2 * sent; sent < more; sent += BLOCK)
		put_block(&a, sent / BLOCK);
	taken = take_all(&a, 0);
	turns(3); /* some of it has left, and the socket is full again */
	ck_assert_uint_gt(taken, 0);
	ck_assert_uint_gt(stream_queued(&a.stream), 0);
	ck_assert_uint_eq(loop_idle_ms(loop), UINT64_MAX);
	for (int i = 0; i < 1000 && taken < sent; i++) {
		taken += take_all(&a, taken);
		turn();
	}
	ck_assert_uint_eq(taken, sent);
	ear_close(&a);
}
END_TEST

START_TEST(reads_while_a_queue_waits)
{
	ear_open(&a, _i);
	fill(&a);
	turns(2);
	say(&a, "still listening");
	turns(2);
	ck_assert_str_eq(a.text, "still listening");
	ck_assert_uint_eq(a.drained, 0);
	ear_close(&a);
}
END_TEST

START_TEST(peer_that_goes_breaks_the_queue)
{
	ear_open(&a, _i);
	stream_read_off(&a.stream);
	fill(&a);
	turns(2);
	close(a.peer);
	turns(4);
	ck_assert_uint_eq(a.broken, 1);
	a.peer = -1;
	ear_close(&a);
}
END_TEST

Suite *
suite_stream(void)
{
	Suite *suite = suite_create("stream");
	TCase *tc = tcase_create("stream");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, what_is_taken_in_pieces_arrives_whole, TCP, KINDS);
	tcase_add_loop_test(tc, end_behind_bytes_is_heard, TCP, KINDS);
	tcase_add_loop_test(tc, end_alone_is_heard, TCP, KINDS);
	tcase_add_loop_test(tc, end_behind_pieces_is_heard, TCP, KINDS);
	tcase_add_test(tc, urgent_data_hides_nothing);
	tcase_add_test(tc, reset_behind_bytes_is_heard);
	tcase_add_loop_test(tc, what_was_left_is_heard_when_reading_goes_on, TCP,
	    KINDS);
	tcase_add_loop_test(tc, what_comes_while_nobody_reads_is_heard_later, TCP,
	    KINDS);
	tcase_add_loop_test(tc, reading_may_stop_and_go_within_a_turn, TCP, KINDS);
	tcase_add_loop_test(tc, event_that_another_took_away_comes_again, TCP, KINDS);
	tcase_add_loop_test(tc, flood_leaves_others_their_turn, TCP, KINDS);
	tcase_add_loop_test(tc, nothing_to_read_costs_no_reads, TCP, KINDS);
	tcase_add_loop_test(tc, read_that_was_filled_is_tried_once_more, TCP, KINDS);
	tcase_add_loop_test(tc, new_owner_hears_what_the_old_one_left, TCP, KINDS);
	tcase_add_loop_test(tc, new_owner_hears_what_the_old_one_was_about_to, TCP,
	    KINDS);
	tcase_add_loop_test(tc, new_owner_hears_what_comes, TCP, KINDS);
	tcase_add_loop_test(tc, queue_leaves_in_order_and_tells_when_it_is_empty, TCP,
	    KINDS);
	tcase_add_loop_test(tc, queue_that_waits_costs_no_turns, TCP, KINDS);
	tcase_add_loop_test(tc, reads_while_a_queue_waits, TCP, KINDS);
	tcase_add_loop_test(tc, peer_that_goes_breaks_the_queue, TCP, KINDS);
	suite_add_tcase(suite, tc);
	return suite;
}
