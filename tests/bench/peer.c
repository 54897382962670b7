/* SPDX-License-Identifier: MIT
 *
 * peer.c - both ends of the benchmark: the origin behind a proxy and the WebSocket
 * load in front of it.
 *
 *   peer origin                     HTTP/1.1 keep-alive and WebSocket echo
 *   peer echo PORT SOCKETS SIZE     one message of SIZE bytes in flight on each socket
 *   peer connect PORT SOCKETS       opens and closes that many at once, without end
 *   peer idle PORT SOCKETS          holds the sockets open and answers pings
 *
 * All of them talk to whoever started them in the same way: the first line printed says
 * that it is ready (the origin: its port; the others: how many sockets are open), each
 * line on stdin is answered by what was done so far (responses and echoes, round trips,
 * or sockets that came and went), and the end of stdin ends the program, so none can
 * outlive the benchmark. Nothing here is measured, but what is slow here makes the
 * proxy wait and wake up more often: so one read and one write per message. Every
 * echoed byte is checked.
 *
 * Threads: one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#define MAX_BYTES (16 << 20) /* of a response body or a message */
#define FIRST_CAP (32 << 10) /* a 16 KiB message in one read */
#define EVERYTHING (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)
#define ENDINGS (EPOLLRDHUP | EPOLLHUP | EPOLLERR)

/* The example of RFC 6455, section 1.3. */
static const char client_key[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char client_accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

static int poll_fd;
static uint64_t done;

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("peer: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static void
say(uint64_t number)
{
	printf("%" PRIu64 "\n", number);
	fflush(stdout);
}

static void
watch(int fd, void *who, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = who};

	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
		die("epoll_ctl: %s", strerror(errno));
}

/* False when stdin has ended. */
static bool
answer_stdin(void)
{
	char line[64];

	if (read(STDIN_FILENO, line, sizeof line) <= 0)
		return false;
	say(done);
	return true;
}

/* Runs until stdin ends; stdin is the one that is watched with no owner. */
static void
run(void (*on_event)(void *who, uint32_t events))
{
	struct epoll_event ev[64];

	watch(STDIN_FILENO, NULL, EPOLLIN);
	for (;;) {
		int n = epoll_wait(poll_fd, ev, 64, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr != NULL)
				on_event(ev[i].data.ptr, ev[i].events);
			else if (!answer_stdin())
				return;
		}
	}
}

static void
set_nodelay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static struct sockaddr_in
loopback(unsigned port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Writes a frame header without the mask into p (10 bytes); returns its length. */
static size_t
frame_head(uint8_t *p, uint8_t first, size_t size, bool masked)
{
	size_t more = size < 126 ? 0 : size < 65536 ? 2 : 8;

	p[0] = first;
	p[1] = (uint8_t)(more == 0 ? size : more == 2 ? 126 : 127);
	for (size_t i = 0; i < more; i++)
		p[2 + i] = (uint8_t)(size >> (8 * (more - 1 - i)));
	if (masked)
		p[1] |= 0x80;
	return 2 + more;
}

static void
mask_copy(uint8_t *restrict to, const uint8_t *restrict from, size_t n,
    const uint8_t mask[4])
{
	uint32_t word, m;
	size_t i = 0;

	memcpy(&m, mask, 4);
	for (; i + 4 <= n; i += 4) {
		memcpy(&word, from + i, 4);
		word ^= m;
		memcpy(to + i, &word, 4);
	}
	for (; i < n; i++)
		to[i] = from[i] ^ mask[i & 3];
}

/* ---- the origin ---- */

struct buf {
	char *data;
	size_t at; /* used up to here */
	size_t len;
	size_t cap;
};

struct conn {
	int fd;
	bool is_websocket;
	bool ends; /* when its output is written */
	struct buf in, out;
};

static struct conn listener;

static void
buf_reset(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

/* Where n more bytes may be written. */
static char *
buf_room(struct buf *b, size_t n)
{
	if (b->at == b->len)
		b->at = b->len = 0;
	if (b->len + n > b->cap) {
		b->cap = b->len + n > FIRST_CAP ? 2 * (b->len + n) : FIRST_CAP;
		b->data = realloc(b->data, b->cap);
		if (b->data == NULL)
			die("out of memory");
	}
	return b->data + b->len;
}

static void
conn_free(struct conn *c)
{
	close(c->fd);
	buf_reset(&c->in);
	buf_reset(&c->out);
	free(c);
}

/* False if the connection is over. */
static bool
conn_flush(struct conn *c)
{
	struct buf *b = &c->out;

	while (b->at < b->len) {
		ssize_t n = send(c->fd, b->data + b->at, b->len - b->at, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN;
		b->at += (size_t)n;
	}
	return !c->ends;
}

static void
respond(struct conn *c, size_t size)
{
	char *p = buf_room(&c->out, 128 + size);
	int n = snprintf(p, 128,
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
	    "%zu\r\n\r\n",
	    size);

	memset(p + n, 'x', size);
	c->out.len += (size_t)n + size;
	done++;
}

static void
upgrade(struct conn *c, const char *key)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char digest[SHA_DIGEST_LENGTH];
	unsigned char accept[32];
	char text[128];

	key += strspn(key, " \t");
	snprintf(text, sizeof text, "%.*s%s", (int)strcspn(key, " \r"), key, guid);
	SHA1((const unsigned char *)text, strlen(text), digest);
	EVP_EncodeBlock(accept, digest, sizeof digest);
	c->out.len += (size_t)snprintf(buf_room(&c->out, 256), 256,
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
	    (const char *)accept);
	c->is_websocket = true;
}

/* Answers one GET; false if none is complete. */
static bool
answer_request(struct conn *c)
{
	static const char key_name[] = "\r\nSec-WebSocket-Key:";
	char *head = c->in.data + c->in.at;
	char *end = memmem(head, c->in.len - c->in.at, "\r\n\r\n", 4);
	const char *key;
	size_t size = 13;

	if (end == NULL)
		return false;
	end[2] = '\0';
	key = strcasestr(head, key_name);
	if (strncmp(head, "GET /bytes/", 11) == 0)
		size = strtoul(head + 11, NULL, 10);
	if (key != NULL)
		upgrade(c, key + sizeof key_name - 1);
	else
		respond(c, size < MAX_BYTES ? size : MAX_BYTES);
	c->in.at = (size_t)(end + 4 - c->in.data);
	return true;
}

/* The length of a frame's header with its mask, 0 if it is not complete. */
static size_t
frame_parse(const uint8_t *p, size_t have, size_t *size_r)
{
	size_t more, i;

	if (have < 2)
		return 0;
	*size_r = p[1] & 127;
	more = *size_r < 126 ? 0 : *size_r == 126 ? 2 : 8;
	if (have < 2 + more + 4)
		return 0;
	for (i = 0, *size_r = more == 0 ? *size_r : 0; i < more; i++)
		*size_r = *size_r << 8 | p[2 + i];
	return 2 + more + 4;
}

/* Answers one frame; false if none is complete. */
static bool
answer_frame(struct conn *c)
{
	const uint8_t *p = (const uint8_t *)c->in.data + c->in.at;
	size_t have = c->in.len - c->in.at;
	size_t size = 0;
	size_t head = frame_parse(p, have, &size);
	uint8_t opcode, *to;
	size_t n;

	if (head == 0)
		return false;
	opcode = p[0] & 15;
	c->ends = size > MAX_BYTES || (p[1] & 0x80) == 0;
	if (c->ends || have - head < size)
		return false;
	to = (uint8_t *)buf_room(&c->out, 10 + size);
	/* a ping is answered, a pong ends here, all else is echoed, a Close too */
	n = frame_head(to, opcode == 9 ? 0x8a : p[0], size, false);
	mask_copy(to + n, p + head, size, p + head - 4);
	c->in.at += head + size;
	if (opcode == 10)
		return true;
	c->out.len += n + size;
	done += opcode < 8;
	c->ends = opcode == 8;
	return !c->ends;
}

/* False if the connection is over. */
static bool
conn_serve(struct conn *c, uint32_t events)
{
	bool full;

	if (!conn_flush(c))
		return false;
	do {
		char *room = buf_room(&c->in, c->in.len - c->in.at + 1);
		size_t max = c->in.cap - c->in.len;
		ssize_t n = recv(c->fd, room, max, 0);

		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		c->in.len += (size_t)n;
		full = (size_t)n == max;
		while (c->is_websocket ? answer_frame(c) : answer_request(c))
			;
		if (!conn_flush(c))
			return false;
	} while (full || (events & ENDINGS) != 0);
	return true;
}

static void
accept_all(void)
{
	int fd;

	while ((fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct conn *c = calloc(1, sizeof *c);

		if (c == NULL)
			die("out of memory");
		c->fd = fd;
		set_nodelay(fd);
		watch(fd, c, EVERYTHING);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		die("accept: %s", strerror(errno));
}

static void
on_origin_event(void *who, uint32_t events)
{
	struct conn *c = who;

	if (c == &listener)
		accept_all();
	else if (!conn_serve(c, events))
		conn_free(c);
}

static void
run_origin(void)
{
	struct sockaddr_in sin = loopback(0);
	socklen_t len = sizeof sin;

	listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (listener.fd < 0 ||
	    bind(listener.fd, (struct sockaddr *)&sin, sizeof sin) != 0 ||
	    listen(listener.fd, 4096) != 0 ||
	    getsockname(listener.fd, (struct sockaddr *)&sin, &len) != 0)
		die("cannot listen: %s", strerror(errno));
	watch(listener.fd, &listener, EPOLLIN);
	say(ntohs(sin.sin_port));
	run(on_origin_event);
}

/* ---- the load ---- */

struct client {
	int fd;
	size_t sent; /* of the message */
	size_t got;  /* of its echo */
};

static uint8_t *message, *echo;
static size_t message_len, echo_len;

static void
message_init(size_t size)
{
	static const uint8_t mask[4] = {0x5a, 0xc3, 0x17, 0x8e};
	uint8_t *payload;

	message = malloc(size + 14);
	echo = malloc(size + 10);
	if (message == NULL || echo == NULL)
		die("out of memory");
	echo_len = frame_head(echo, 0x82, size, false);
	payload = echo + echo_len;
	for (size_t i = 0; i < size; i++)
		payload[i] = (uint8_t)(i * 31 + (i >> 8));
	message_len = frame_head(message, 0x82, size, true);
	memcpy(message + message_len, mask, 4);
	mask_copy(message + message_len + 4, payload, size, mask);
	message_len += 4 + size;
	echo_len += size;
}

static void
client_greet(int fd, unsigned port)
{
	char text[512];
	int n = snprintf(text, sizeof text,
	    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: %s\r\n\r\n",
	    port, client_key);

	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		die("handshake not sent: %s", strerror(errno));
}

static void
answer_check(const char *text)
{
	if (strncmp(text, "HTTP/1.1 101 ", 13) != 0 || !strstr(text, client_accept))
		die("handshake refused: %.12s", text);
}

/* Blocking: here nobody measures the handshakes. */
static void
client_handshake(int fd, unsigned port)
{
	char text[4096];
	size_t len = 0;

	client_greet(fd, port);
	do {
		ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);

		if (got <= 0)
			die("no answer to the handshake");
		len += (size_t)got;
		text[len] = '\0';
	} while (strstr(text, "\r\n\r\n") == NULL);
	answer_check(text);
}

static void
client_open(struct client *c, unsigned port)
{
	struct sockaddr_in sin = loopback(port);
	struct timeval patience = {.tv_sec = 10};

	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	set_nodelay(c->fd);
	if (connect(c->fd, (struct sockaddr *)&sin, sizeof sin) != 0)
		die("connect: %s", strerror(errno));
	client_handshake(c->fd, port);
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
		die("fcntl: %s", strerror(errno));
}

static void
client_send(struct client *c)
{
	while (c->sent < message_len) {
		ssize_t n =
		    send(c->fd, message + c->sent, message_len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			die("send: %s", strerror(errno));
		c->sent += (size_t)n;
	}
}

/* The first event, which says that the new socket is writable, starts the exchange. */
static void
on_echo_event(void *who, uint32_t events)
{
	static uint8_t data[128 << 10];
	struct client *c = who;
	ssize_t n;

	do {
		client_send(c);
		n = recv(c->fd, data, sizeof data, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			die("a socket was closed");
		if ((size_t)n > echo_len - c->got ||
		    memcmp(data, echo + c->got, (size_t)n))
			die("an echo differs from its message");
		c->got += (size_t)n;
		if (c->got == echo_len) {
			done++;
			c->sent = c->got = 0;
			client_send(c);
		}
	} while (n == sizeof data || (events & ENDINGS) != 0);
}

/* A ping becomes a pong: the same payload behind a mask of zeroes. False if none is
 * complete; it stays in the socket until it is. */
static bool
answer_ping(int fd)
{
	uint8_t data[2 + 125], pong[6 + 125] = {0x8a};
	ssize_t n = recv(fd, data, sizeof data, MSG_PEEK);
	size_t size;

	if (n < 2)
		return false;
	size = data[1];
	if (data[0] != 0x89 || size > 125)
		die("something else than a ping came");
	if ((size_t)n < 2 + size)
		return false;
	recv(fd, data, 2 + size, 0);
	pong[1] = (uint8_t)(0x80 | size);
	memcpy(pong + 6, data + 2, size);
	if (send(fd, pong, 6 + size, MSG_NOSIGNAL) != (ssize_t)(6 + size))
		die("pong not sent: %s", strerror(errno));
	done++;
	return true;
}

static void
on_idle_event(void *who, uint32_t events)
{
	const struct client *c = who;

	if ((events & ENDINGS) != 0)
		die("socket %d was closed", c->fd);
	while (answer_ping(c->fd))
		;
}

/* ---- sockets that come and go ---- */

static unsigned connect_port;

/* Not blocking; the first event says that it is connected. */
static void
client_connect(struct client *c)
{
	struct sockaddr_in sin = loopback(connect_port);

	*c = (struct client){
	    .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
	};
	if (c->fd < 0)
		die("socket: %s", strerror(errno));
	set_nodelay(c->fd);
	if (connect(c->fd, (struct sockaddr *)&sin, sizeof sin) != 0 &&
	    errno != EINPROGRESS)
		die("connect: %s", strerror(errno));
	watch(c->fd, c, EVERYTHING);
}

/* The answer to the handshake comes in one piece from whoever is measured here. */
static void
client_upgraded(struct client *c, const char *text)
{
	static const uint8_t close_1000[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8};

	answer_check(text);
	c->got = 1;
	if (send(c->fd, close_1000, sizeof close_1000, MSG_NOSIGNAL) < 0)
		die("close not sent: %s", strerror(errno));
}

/* Connected, greeted, upgraded, closed by the other side: and again. */
static void
on_connect_event(void *who, uint32_t events)
{
	struct client *c = who;
	char text[4096];
	ssize_t n;

	if (c->sent == 0 && (events & EPOLLOUT) != 0) {
		c->sent = 1;
		client_greet(c->fd, connect_port);
	}
	while ((n = recv(c->fd, text, sizeof text - 1, 0)) > 0) {
		text[n] = '\0';
		if (c->got == 0)
			client_upgraded(c, text);
	}
	if (n < 0 && errno == EAGAIN)
		return;
	if (c->got == 0)
		die("no answer to the handshake");
	close(c->fd);
	done++;
	client_connect(c);
}

static void
run_connect(unsigned port, size_t sockets)
{
	struct client *clients = calloc(sockets, sizeof *clients);

	if (clients == NULL)
		die("out of memory");
	connect_port = port;
	for (size_t i = 0; i < sockets; i++)
		client_connect(&clients[i]);
	say(sockets);
	run(on_connect_event);
	free(clients);
}

static void
run_load(unsigned port, size_t sockets, void (*on_event)(void *, uint32_t))
{
	struct client *clients = calloc(sockets, sizeof *clients);

	if (clients == NULL)
		die("out of memory");
	for (size_t i = 0; i < sockets; i++)
		client_open(&clients[i], port);
	for (size_t i = 0; i < sockets; i++)
		watch(clients[i].fd, &clients[i], EVERYTHING);
	say(sockets);
	run(on_event);
	free(clients);
}

static unsigned long
number(const char *text, unsigned long max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end != '\0' || value == 0 || value > max)
		die("bad number: %s", text);
	return value;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	poll_fd = epoll_create1(0);
	if (argc == 2 && strcmp(what, "origin") == 0) {
		run_origin();
	} else if (argc == 5 && strcmp(what, "echo") == 0) {
		message_init(number(argv[4], MAX_BYTES));
		run_load((unsigned)number(argv[2], 65535), number(argv[3], 1000000),
		    on_echo_event);
	} else if (argc == 4 && strcmp(what, "connect") == 0) {
		run_connect((unsigned)number(argv[2], 65535), number(argv[3], 1000000));
	} else if (argc == 4 && strcmp(what, "idle") == 0) {
		run_load((unsigned)number(argv[2], 65535), number(argv[3], 1000000),
		    on_idle_event);
	} else {
		die("usage: peer origin | echo PORT SOCKETS SIZE | connect PORT "
		    "SOCKETS | "
		    "idle PORT SOCKETS");
	}
	return 0;
}
