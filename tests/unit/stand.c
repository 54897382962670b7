/* SPDX-License-Identifier: MIT
 *
 * stand.c - a session that can be moved; see stand.h.
 */
#include "stand.h"

#include "base/strbuf.h"
#include "loop/loop.h"
#include "route/pins.h"
#include "ws/handshake.h"
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

struct stand stand;

static int window;
static char directory[] = "/tmp/roost-check-XXXXXX";

static void
narrow(int fd)
{
	if (!window)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &window, sizeof window);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
}

/* A unix socket, whose two ends are as fast as the clock that is not real. */
static int
listen_for(struct backend *b, unsigned number)
{
	const struct addr addr = {.sa.sa_family = AF_UNIX};
	struct sockaddr_un place = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(place.sun_path, sizeof place.sun_path, "%s/%u", directory, number);
	narrow(fd);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&place, sizeof place), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	free(b->address);
	b->address = malloc(sizeof place.sun_path + 5);
	ck_assert_ptr_nonnull(b->address);
	snprintf(b->address, sizeof place.sun_path + 5, "unix:%s", place.sun_path);
	backend_set_addr(b, &addr);
	return fd;
}

static void
connect_half(struct half *h, bool masked, int *end_r)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	narrow(fds[0]);
	narrow(fds[1]);
	h->session = stand.s;
	h->alive_ms = clock_now_ms();
	frame_scanner_init(&h->scan, masked, false);
	stream_init(&h->stream, stand.loop, fds[0], &half_ops);
	*end_r = fds[1];
}

static struct greeting *
greeting(struct session *s)
{
	const struct config_replay *conf = &s->up->conf->rehome.replay;
	struct greeting_replaying *both = calloc(1, sizeof *both);
	struct greeting *g = calloc(1, sizeof *g);

	ck_assert(both && g);
	if (replay_is_wanted(conf)) {
		free(g);
		g = &both->greeting;
		g->replays = true;
		replay_init(&both->replay, s->view, conf);
		s->client.watched |= WATCH_REPLAY;
	} else {
		free(both);
	}
	g->cuttable = true;
	memcpy(g->key, KEY, sizeof g->key);
	g->request = STR("GET / HTTP/1.1\r\nHost: h\r\n");
	return g;
}

static void
open_session(void)
{
	struct client_key key = rig_client(1);
	uint64_t now = clock_now_ms();
	struct session *s = calloc(1, sizeof *s);
	struct choice choice;

	ck_assert_ptr_nonnull(s);
	stand.s = s;
	magic_set(s, SESSION_MAGIC);
	s->registry = &stand.registry;
	s->view = view_new(snapshot_get(rig.snapshot));
	view_take_pages(s->view);
	s->up = rig.up;
	ck_assert(choose(&rig.chooser, rig.up, &key, true, NULL, now, &choice));
	s->claim = choose_session_opened(&rig.chooser, rig.up, &choice, now);
	s->home = backend_get(choice.backend);
	choice_end(&rig.chooser, rig.up, &choice, now);
	atomic_fetch_add(&s->home->sockets, 1);
	ck_assert_str_eq(s->home->name, "b0");
	s->opened_ms = s->state_ms = now;
	s->jitter = 127;
	s->token = 0x11111111;
	memcpy(s->id, "0123456789abcdef", SESSION_ID);
	s->greeting = greeting(s);
	watch_init(s);
	connect_half(&s->client, true, &stand.client);
	connect_half(&s->backend, false, &stand.lines[0].fd);
	stand.lines[0].greeted = true;
	stand.n_lines = 1;
	s->backend.stream.keep_whole = true;
	ck_assert(session_follow_settings(s));
	ck_assert(registry_add(&stand.registry, s));
	half_resume(&s->client);
	half_resume(&s->backend);
	watch_arm(s);
	stand_turn();
}

void
stand_begin(uint64_t seed, const char *rehome, int socket_window)
{
	struct strbuf settings = STRBUF_INIT;

	window = socket_window;
	clock_fake_set(1000000);
	rig_begin(seed);
	strbuf_printf(&settings,
	    "balance: round-robin, heartbeat: {interval: 0}, rehome: {%s mode: "
	    "transparent},",
	    rehome);
	rig_configure(strbuf_cstr(&settings), "b0 | b1 | b2");
	strbuf_fini(&settings);
	stand.loop = loop_new(NULL);
	ck_assert_ptr_nonnull(stand.loop);
	random_seed(&stand.loop->random, seed);
	pools_init(&stand.pools, stand.loop);
	registry_init(&stand.registry, stand.loop, &stand.pools, &rig.chooser);
	memcpy(strchr(directory, '\0') - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	for (unsigned i = 0; i < STAND_BACKENDS; i++)
		stand.listeners[i] = listen_for(rig.up->backends[i], i);
	open_session();
}

void
stand_end(void)
{
	registry_fini(&stand.registry);
	pools_fini(&stand.pools);
	for (unsigned i = 0; i < STAND_BACKENDS; i++) {
		ck_assert_uint_eq(atomic_load(&rig.up->backends[i]->sockets), 0);
		close(stand.listeners[i]);
		unlink(rig.up->backends[i]->address + 5);
	}
	rmdir(directory);
	for (unsigned i = 0; i < stand.n_lines; i++)
		if (stand.lines[i].fd >= 0)
			close(stand.lines[i].fd);
	if (stand.client >= 0)
		close(stand.client);
	loop_free(stand.loop);
	stand = (struct stand){.loop = NULL};
	rig_end();
	clock_fake_stop();
}

void
stand_turn(void)
{
	for (int i = 0; i < 4; i++)
		loop_turn(stand.loop);
}

void
stand_pass(uint64_t ms)
{
	for (uint64_t step; ms; ms -= step) {
		step = ms < 20 ? ms : 20;
		clock_fake_advance(step);
		stand_turn();
	}
}

bool
stand_move(unsigned to)
{
	struct hash128 key = rig_client(1).hash;
	struct backend *b = rig.up->backends[to];
	uint64_t now = clock_now_ms();
	struct pin pin;
	bool moved;

	if (!pins_lookup(rig.pins, key, now, &pin))
		return false;
	moved = pin.backend != b && pins_move(rig.pins, key, pin.backend, b, now, 1000);
	backend_put(pin.backend);
	if (moved)
		registry_rehome(&stand.registry, key, b, MOVE_ASKED, 0);
	return moved;
}

struct line *
stand_accept(unsigned backend)
{
	struct line *line = &stand.lines[stand.n_lines];
	int fd;

	stand_turn();
	fd = accept4(stand.listeners[backend], NULL, NULL, SOCK_NONBLOCK);
	if (fd < 0)
		return NULL;
	ck_assert_uint_lt(stand.n_lines, STAND_LINES);
	*line = (struct line){.backend = backend, .fd = fd};
	stand.n_lines++;
	stand_turn();
	return line;
}

void
stand_write_101(struct strbuf *out)
{
	char accept[HANDSHAKE_ACCEPT + 1];

	handshake_accept(STR(KEY), accept);
	strbuf_printf(out,
	    "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n\r\n",
	    accept);
}

void
stand_greet(struct line *line, const void *p, size_t n)
{
	struct strbuf text = STRBUF_INIT;

	stand_write_101(&text);
	strbuf_append(&text, p, n);
	stand_say(line->fd, text.data, text.len);
	strbuf_fini(&text);
	line->greeted = true;
}

size_t
stand_hear(int fd, void *p, size_t n, bool *end_r)
{
	ssize_t got = recv(fd, p, n, MSG_DONTWAIT);

	*end_r = got == 0 || (got < 0 && errno != EAGAIN);
	return got > 0 ? (size_t)got : 0;
}

void
stand_say(int fd, const void *p, size_t n)
{
	ck_assert_int_eq(send(fd, p, n, MSG_NOSIGNAL), (int)n);
}
