/* SPDX-License-Identifier: MIT
 *
 * check_chaos.c - moves under a conversation that does everything at any time: messages
 * small and large, in fragments, with pings in between, empty ones, unasked ones,
 * sockets that take little or are not read, backends that agree late, refuse or never
 * answer a Close, clients sent on while they move, and in some rounds backends that
 * die.
 *
 * The laws: what goes to either side is well-formed; a backend hears each message once,
 * in order, and so does the client each answer; nothing waits for ever; and in the end
 * a Close gets through. Where backends die, messages may be lost, and nothing else.
 */
#include "stand.h"

#include "base/strbuf.h"
#include "ws/frame.h"
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

Suite *suite_chaos(void);

enum {
	STEPS = 400,
	PADDING = 30000,
	PENDING = 512,
	READ = 65536,
	FIRST = 3,
	NO_MORE = 1 << 30
};

/* What one end says and hears. */
struct mouth {
	struct strbuf out, in;
	struct strbuf message; /* the one under way to it */
	uint8_t opcode;        /* 0: between two messages */
	bool masks;
	bool close_seen, close_said, ended;
	unsigned close_code;
	unsigned pings;
};

struct server {
	struct mouth mouth;
	struct strbuf head;
	unsigned pending[PENDING], n_pending, answered;
	unsigned greet_in; /* steps */
	bool refuses, never_closes, speaks;
	unsigned unasked;    /* messages said so */
	unsigned said_again; /* to it, of the first */
};

#define PATIENCE "drain_timeout: 30s, backoff: 50ms, max_backoff: 200ms, tries: 100,"

static struct random dice;
static struct mouth person;
static struct server servers[STAND_LINES];
static unsigned asked, heard, answered; /* numbers: the next one */
static enum theme { PEACE, DEATH, LEAVING, QUITTING, REPLAY, ROUNDS } theme;
static bool lossy, calm;
static unsigned unasked_from, unasked_next;

static unsigned
roll(unsigned n)
{
	return random_below(&dice, n);
}

/* ---- saying ---- */

static void
put_frame(struct mouth *m, unsigned first, const char *p, size_t n)
{
	uint8_t header[14] = {(uint8_t)first}, mask[4] = {0};
	unsigned size = 2;

	if (n < 126) {
		header[1] = (uint8_t)n;
	} else if (n < 65536) {
		header[1] = 126;
		header[2] = (uint8_t)(n >> 8);
		header[3] = (uint8_t)n;
		size = 4;
	} else {
		header[1] = 127;
		for (unsigned i = 0; i < 8; i++)
			header[2 + i] = (uint8_t)((uint64_t)n >> 8 * (7 - i));
		size = 10;
	}
	if (m->masks) {
		header[1] |= 0x80;
		for (unsigned i = 0; i < 4; i++)
			header[size++] = mask[i] = (uint8_t)roll(256);
	}
	strbuf_append(&m->out, header, size);
	for (size_t i = 0; i < n; i++) {
		char byte = (char)(p[i] ^ mask[i % 4]);

		strbuf_append(&m->out, &byte, 1);
	}
}

static void
put_ping(struct mouth *m)
{
	put_frame(m, 0x80 | OP_PING, "app", 3);
}

static void
put_message(struct mouth *m, char kind, unsigned number)
{
	static char text[PADDING + 32];
	size_t n = (size_t)snprintf(text, 32, "%c%u:", kind, number), at = 0, piece;
	unsigned first = OP_TEXT;

	piece = roll(3) ? roll(40) : roll(8) ? roll(2000) : roll(PADDING);
	memset(text + n, 'x', piece);
	n += piece;
	while (n - at > 1 && roll(3) == 0) {
		piece = roll((unsigned)(n - at));
		put_frame(m, first, text + at, piece);
		first = OP_CONTINUATION;
		at += piece;
		if (roll(3) == 0)
			put_ping(m);
	}
	put_frame(m, 0x80 | first, text + at, n - at);
	if (roll(12) == 0)
		put_ping(m);
	if (theme != REPLAY && roll(30) == 0)
		put_frame(m, 0x80 | OP_BINARY, "", 0);
}

static void
put_close(struct mouth *m, unsigned code)
{
	char payload[2] = {(char)(code >> 8), (char)code};

	if (!m->close_said)
		put_frame(m, 0x80 | OP_CLOSE, payload, 2);
	m->close_said = true;
}

/* Up to `most` of it goes out. */
static void
flush(struct mouth *m, int fd, size_t most)
{
	size_t n = m->out.len < most ? m->out.len : most;
	ssize_t sent = n ? send(fd, m->out.data, n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

	if (sent > 0)
		strbuf_drop(&m->out, (size_t)sent);
}

/* ---- hearing ---- */

static void
listen_to(struct mouth *m, int fd, size_t most)
{
	static uint8_t bytes[READ];
	bool end;
	size_t n = stand_hear(fd, bytes, most < READ ? most : READ, &end);

	strbuf_append(&m->in, bytes, n);
	m->ended |= end;
}

/* The next frame in m->in, unmasked in place; 0: not there. */
static size_t
frame_at(struct mouth *m, bool masked, uint8_t **payload_r, size_t *n_r)
{
	uint8_t *p = (uint8_t *)m->in.data;
	size_t have = m->in.len, n, size = 2;

	if (have < 2)
		return 0;
	n = p[1] & 0x7f;
	ck_assert_int_eq((p[1] & 0x80) != 0, masked);
	ck_assert_uint_eq(p[0] & 0x70, 0);
	size += n == 126 ? 2 : n == 127 ? 8 : 0;
	if (have < size + (masked ? 4 : 0))
		return 0;
	if (size > 2) {
		n = 0;
		for (size_t i = 2; i < size; i++)
			n = n << 8 | p[i];
	}
	size += masked ? 4 : 0;
	if (have < size + n)
		return 0;
	for (size_t i = 0; masked && i < n; i++)
		p[size + i] ^= p[size - 4 + i % 4];
	*payload_r = p + size;
	*n_r = n;
	return size + n;
}

static void
take_control(struct mouth *m, unsigned opcode, const uint8_t *p, size_t n)
{
	ck_assert_uint_le(n, 125);
	if (opcode == OP_PING) {
		m->pings++;
	} else if (opcode == OP_CLOSE) {
		m->close_seen = true;
		m->close_code = n >= 2 ? p[0] * 256u + p[1] : CLOSE_NO_STATUS;
	} else {
		ck_assert_uint_eq(opcode, OP_PONG);
	}
}

/* The next whole message (NUL behind it), or NULL. */
static const char *
next_message(struct mouth *m, bool masked)
{
	size_t used, n;
	uint8_t *p;

	while (!m->close_seen && (used = frame_at(m, masked, &p, &n))) {
		uint8_t first = (uint8_t)m->in.data[0];
		unsigned opcode = first & 15;

		if (opcode >= OP_CLOSE) {
			ck_assert(first & 0x80);
			take_control(m, opcode, p, n);
			strbuf_drop(&m->in, used);
			continue;
		}
		ck_assert_int_eq(opcode == OP_CONTINUATION, m->opcode != 0);
		if (opcode != OP_CONTINUATION) {
			m->opcode = (uint8_t)opcode;
			strbuf_reset(&m->message);
		}
		strbuf_append(&m->message, p, n);
		strbuf_drop(&m->in, used);
		if (first & 0x80) {
			m->opcode = 0;
			if (m->message.len)
				return strbuf_cstr(&m->message);
		}
	}
	return NULL;
}

static void
hear_person(void)
{
	const char *text;

	while ((text = next_message(&person, false))) {
		unsigned number = (unsigned)strtoul(text + 1, NULL, 10);

		if (text[0] == 'u') {
			unsigned from = number / 10000;

			if (from != unasked_from)
				ck_assert_uint_gt(from, unasked_from);
			else
				ck_assert_uint_ge(number % 10000, unasked_next);
			unasked_from = from;
			unasked_next = number % 10000 + 1;
			continue;
		}
		ck_assert_int_eq(text[0], 'a');
		if (lossy)
			ck_assert_uint_ge(number, answered);
		else
			ck_assert_uint_eq(number, answered);
		answered = number + 1;
	}
}

/* The first words of the client, one after the other, before anything else? */
static bool
is_said_again(struct server *server, unsigned number)
{
	if (theme != REPLAY || server == servers || server->said_again != number ||
	    number >= FIRST || number >= heard)
		return false;
	server->said_again++;
	return true;
}

static void
hear_server(struct server *server)
{
	const char *text;

	while ((text = next_message(&server->mouth, true))) {
		unsigned number = (unsigned)strtoul(text + 1, NULL, 10);

		ck_assert_int_eq(text[0], 'c');
		ck_assert_uint_lt(server->n_pending, PENDING);
		server->pending[server->n_pending++] = number;
		if (is_said_again(server, number))
			continue;
		if (lossy)
			ck_assert_uint_ge(number, heard);
		else
			ck_assert_uint_eq(number, heard);
		heard = number + 1;
	}
}

/* ---- backends ---- */

static void
answer(struct server *server)
{
	if (server->answered == server->n_pending)
		return;
	put_message(&server->mouth, 'a', server->pending[server->answered++]);
	if (server->answered == server->n_pending)
		server->answered = server->n_pending = 0;
}

static bool
has_head(struct server *server)
{
	struct strbuf *in = &server->mouth.in;
	char *end = in->len ? memmem(in->data, in->len, "\r\n\r\n", 4) : NULL;

	if (!end)
		return false;
	ck_assert_uint_eq((size_t)(end + 4 - in->data), in->len);
	strbuf_reset(in);
	return true;
}

static void
greet(struct server *server, struct line *line)
{
	if (server->greet_in) {
		server->greet_in--;
		return;
	}
	if (!has_head(server))
		return;
	if (server->refuses) {
		send(line->fd, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 38,
		    MSG_NOSIGNAL);
		close(line->fd);
		line->fd = -1;
		return;
	}
	stand_write_101(&server->mouth.out);
	if (server->speaks)
		put_message(&server->mouth, 'u',
		    (unsigned)(server - servers) * 10000 + server->unasked++);
	flush(&server->mouth, line->fd, SIZE_MAX);
	line->greeted = true;
}

/* Everything asked is answered, its Close as well. */
static void
say_goodbye(struct server *server, struct line *line)
{
	while (server->n_pending)
		answer(server);
	if (server->never_closes)
		return;
	put_close(&server->mouth, server->mouth.close_code);
	flush(&server->mouth, line->fd, SIZE_MAX);
	if (server->mouth.out.len == 0 && roll(2)) {
		close(line->fd);
		line->fd = -1;
	}
}

static void
serve(struct server *server, struct line *line, size_t most)
{
	if (line->fd < 0)
		return;
	listen_to(&server->mouth, line->fd, most);
	if (!line->greeted) {
		greet(server, line);
		return;
	}
	hear_server(server);
	if (server->mouth.close_seen)
		say_goodbye(server, line);
	else if (roll(2) == 0)
		answer(server);
	if (server->speaks && !calm && roll(20) == 0 && !server->mouth.close_said)
		put_message(&server->mouth, 'u',
		    (unsigned)(server - servers) * 10000 + server->unasked++);
	if (line->fd >= 0)
		flush(&server->mouth, line->fd, most);
	if (server->mouth.ended && line->fd >= 0) {
		close(line->fd);
		line->fd = -1;
	}
}

static void
accept_all(void)
{
	for (unsigned b = 0; b < STAND_BACKENDS; b++) {
		struct line *line;

		while ((line = stand_accept(b))) {
			struct server *server = &servers[line - stand.lines];

			server->greet_in = calm ? 0 : roll(6);
			server->refuses = !calm && roll(5) == 0;
			server->never_closes = !calm && roll(6) == 0;
			server->speaks = servers[0].speaks;
		}
	}
}

static void
kill_some(void)
{
	unsigned i = roll(stand.n_lines);

	if (stand.lines[i].fd >= 0)
		close(stand.lines[i].fd);
	stand.lines[i].fd = -1;
}

/* It has answered all and says Close by itself. */
static void
quit_some(void)
{
	unsigned i = roll(stand.n_lines);
	struct server *server = &servers[i];

	if (stand.lines[i].fd < 0 || !stand.lines[i].greeted)
		return;
	while (server->n_pending)
		answer(server);
	put_close(&server->mouth, 4002);
}

static void
leave(void)
{
	switch (roll(4)) {
	case 0: shutdown(stand.client, SHUT_WR); break;
	case 1: shutdown(stand.client, SHUT_RDWR); break;
	default: put_close(&person, 4001);
	}
	asked = NO_MORE; /* says no more */
}

/* ---- rounds ---- */

static void
trouble(void)
{
	switch (theme) {
	case PEACE:
	case REPLAY:
	case ROUNDS: break;
	case DEATH: kill_some(); break;
	case QUITTING: quit_some(); break;
	case LEAVING:
		if (asked != NO_MORE)
			leave();
	}
}

static void
ask(void)
{
	if (asked != NO_MORE && asked - answered < 100 && !person.close_seen)
		put_message(&person, 'c', asked++);
}

static void
step(void)
{
	size_t most = roll(4) ? READ : 1 + roll(5000);
	unsigned i = roll(stand.n_lines);

	switch (roll(14)) {
	case 0:
	case 1:
	case 2: ask(); break;
	case 3:
	case 4: flush(&person, stand.client, most); break;
	case 5:
	case 6:
		listen_to(&person, stand.client, most);
		hear_person();
		break;
	case 7:
		if (roll(4) == 0)
			stand_move(roll(STAND_BACKENDS));
		break;
	case 8: clock_fake_advance(roll(8) ? roll(40) : roll(800)); break;
	case 9: accept_all(); break;
	case 10:
		if (roll(8) == 0)
			trouble();
		break;
	default: serve(&servers[i], &stand.lines[i], most);
	}
	if (roll(3))
		stand_turn();
}

/* Everybody does what is left to do, and time passes. */
static void
calm_down(void)
{
	for (unsigned i = 0; i < stand.n_lines; i++)
		serve(&servers[i], &stand.lines[i], READ);
	accept_all();
	flush(&person, stand.client, SIZE_MAX);
	listen_to(&person, stand.client, READ);
	hear_person();
	if (person.close_seen)
		put_close(&person, person.close_code);
	stand_pass(20);
}

/* The last one asked is answered, and nothing is under way. */
static bool
all_is_said(void)
{
	const struct session *s = stand.registry.sessions;

	return !s || (person.opcode == 0 && answered == asked && !s->move);
}

static void
mouth_fini(struct mouth *m)
{
	strbuf_fini(&m->out);
	strbuf_fini(&m->in);
	strbuf_fini(&m->message);
}

static void
round_begin(unsigned seed)
{
	static const int windows[] = {0, 4608, 20000};

	random_seed(&dice, seed);
	calm = false;
	theme = (enum theme)(seed % ROUNDS);
	lossy = theme != PEACE && theme != REPLAY;
	asked = heard = answered = unasked_from = unasked_next = 0;
	person = (struct mouth){.masks = true};
	memset(servers, 0, sizeof servers);
	servers[0].speaks = theme != REPLAY && roll(3) == 0;
	stand_begin(seed,
	    theme == REPLAY
		? "replay: {first: 3, max_size: 100k, timeout: 60s}, " PATIENCE
		: PATIENCE,
	    windows[roll(3)]);
}

static void
round_end(void)
{
	for (unsigned i = 0; i < STAND_LINES; i++) {
		mouth_fini(&servers[i].mouth);
		strbuf_fini(&servers[i].head);
	}
	mouth_fini(&person);
	stand_end();
}

static void
part(void)
{
	put_close(&person, 4001);
	for (int i = 0; i < 500 && !person.ended; i++)
		calm_down();
	ck_assert(person.ended);
	ck_assert(person.close_seen);
	ck_assert(person.close_code == 4001 ||
		  (theme == QUITTING && person.close_code == 4002));
}

static void
play(unsigned seed)
{
	round_begin(seed);
	for (int i = 0; i < STEPS && stand.registry.n_sessions; i++)
		step();
	calm = true;
	for (unsigned i = 0; i < STAND_LINES; i++)
		servers[i].never_closes = false;
	ask();
	for (int i = 0; i < 1000 && !all_is_said(); i++)
		calm_down();
	ck_assert_msg(all_is_said(), "seed %u: asked %u, heard %u, answered %u", seed,
	    asked, heard, answered);
	if (stand.registry.n_sessions)
		part();
	ck_assert_msg(lossy || person.close_code == 4001, "seed %u: told %u", seed,
	    person.close_code);
	stand_pass(6000);
	ck_assert_uint_eq(stand.registry.n_sessions, 0);
	round_end();
}

/* CHAOS=n plays the 4,000 rounds from n on. */
START_TEST(a_conversation_survives_all_moves)
{
	const char *first = getenv("CHAOS");
	unsigned n = first ? 1000 : 15;
	unsigned seed =
	    (first ? (unsigned)strtoul(first, NULL, 10) : 0) + (unsigned)_i * n;

	while (n--)
		play(seed++);
}
END_TEST

Suite *
suite_chaos(void)
{
	Suite *suite = suite_create("chaos");
	TCase *t = tcase_create("chaos");

	tcase_set_timeout(t, 600);
	tcase_add_loop_test(t, a_conversation_survives_all_moves, 0, 4);
	suite_add_tcase(suite, t);
	return suite;
}
