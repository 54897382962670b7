/* SPDX-License-Identifier: MIT
 *
 * load.c - many busy WebSocket clients in one epoll loop, which check every answer.
 *
 *   load PORT SOCKETS INTERVAL_MS SIZE stay|return
 *
 * Each client asks numbered questions all the time ("q CLIENT NUMBER FILLER", every
 * INTERVAL_MS on average, whether or not the last one is answered) and is answered "a
 * CLIENT NUMBER BACKEND FILLER"; every fifth question comes in four fragments, with
 * pings between them and pauses in which the event loop does other things. Backends
 * also push, unasked: "p TOKEN NUMBER", numbered for each connection of theirs, TOKEN
 * being its name. So whoever is moved between two of them sees a new token begin with
 * 0. `return`: a client that is closed comes back after a short while, as real ones do;
 * with `stay` a close is the end.
 *
 * The first line on stdout says how many are open. Then each line on stdin is answered
 * by a line of JSON: what has been seen so far. "quiet" stops the questions before
 * that. The end of stdin ends the program.
 *
 * Why C: a pause of a millisecond has to be seen while a thousand sockets are busy and
 * everything shares two cores with a roost that a sanitizer slows down.
 *
 * Threads: one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	RING = 4096,   /* questions under way of one client, at most */
	FRAGMENTS = 4, /* of every fifth question */
	FIFTH = 5,
	OPENING = 64, /* handshakes at once */
	TICK_MS = 4,
	RETURN_MS = 300,  /* clients that come back wait up to so long */
	BUFFER = 1 << 17, /* a client's, at most: no message is that long */
	NAME = 32
};

enum { OP_CONTINUATION, OP_TEXT, OP_BINARY, OP_CLOSE = 8, OP_PING, OP_PONG };

/* The example of RFC 6455, section 1.3. */
static const char client_key[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char client_accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

enum state {
	AWAY,     /* until `due_ms`: to connect */
	GREETING, /* for the 101 */
	TALKING,
	GONE /* for good */
};

struct bytes {
	uint8_t *data;
	size_t len, cap;
};

/* Owner: main. Never freed. */
struct client {
	enum state state;
	int fd;
	unsigned number;
	uint64_t due_ms;
	unsigned fragment; /* the next one of the question being said; 0: none */
	bool blocked;      /* output waits for the socket */
	struct bytes in, out, message;
	uint32_t asked, expected, answered;
	uint32_t pinged, ponged, next_pong;
	uint32_t token_pushes; /* seen of this token */
	uint32_t connects;
	char backend[NAME]; /* who answered last */
	char token[2 * NAME];
	uint64_t last_us;   /* what the last answer took */
	uint64_t *asked_us; /* ring, 0: answered */
};

struct close_seen {
	uint64_t ms;
	unsigned client, code;
};

struct token_seen {
	char token[2 * NAME];
	uint32_t pushes;
};

static struct client *clients;
static unsigned n_clients, interval_ms, size, n_greeting, n_open;
static bool returning, quiet;
static struct sockaddr_in server;
static int poll_fd;
static uint64_t now_us, began_us;
static char *filler;

/* what was seen */
static uint64_t refused, doubled, reordered, damaged, push_errors, pushes, moves,
    cut_off;
static char first_error[256];
static struct close_seen *closes;
static struct token_seen *tokens;
static uint32_t *pauses_us; /* one for each change of backend */
static size_t n_closes, n_tokens, n_pauses;
static uint64_t answers_by_us[1 << 14]; /* histogram, 64 us a slot */

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("load: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

__attribute__((format(printf, 3, 4))) static void
wrong(struct client *c, uint64_t *which, const char *fmt, ...)
{
	va_list ap;
	int n;

	++*which;
	if (first_error[0])
		return;
	n = snprintf(first_error, sizeof first_error, "client %u: ", c->number);
	va_start(ap, fmt);
	vsnprintf(first_error + n, sizeof first_error - (size_t)n, fmt, ap);
	va_end(ap);
	for (char *p = first_error; *p; p++) {
		if (*p < ' ' || *p == '"' || *p == '\\' || *p > '~')
			*p = '?';
	}
}

static uint64_t
clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t
now_ms(void)
{
	return now_us / 1000;
}

/* `ms`, 30 per cent more or less. */
static uint64_t
about(unsigned ms)
{
	return ms * 7 / 10 + (uint64_t)rand() % (ms * 6 / 10 + 1);
}

/* Doubles the array when n is a power of two. */
static void *
grown(void *array, size_t n, size_t item)
{
	if (n & (n - 1))
		return array;
	array = realloc(array, (n ? 2 * n : 1) * item);
	return array ? array : (die("no memory"), NULL);
}

static void
append(struct bytes *b, const void *data, size_t n)
{
	if (b->len + n > b->cap) {
		b->cap = 2 * (b->len + n);
		b->data = realloc(b->data, b->cap);
		if (!b->data || b->cap > 4 * BUFFER)
			die("no memory");
	}
	if (n)
		memcpy(b->data + b->len, data, n);
	b->len += n;
}

static void
drop(struct bytes *b, size_t n)
{
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
}

/* ---- sending ---- */

static void client_ended(struct client *c, unsigned code);

static void
watch(struct client *c, bool out)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	if (out)
		ev.events |= EPOLLOUT;
	c->blocked = out;
	if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &ev))
		die("epoll_ctl: %s", strerror(errno));
}

/* An error shows when the socket is read. */
static void
flush(struct client *c)
{
	ssize_t n;

	if (c->out.len == 0)
		return;
	n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
	if (n > 0)
		drop(&c->out, (size_t)n);
	else if (n < 0 && errno != EAGAIN)
		c->out.len = 0;
	if (c->blocked != (c->out.len > 0))
		watch(c, c->out.len > 0);
}

static void
put_frame(struct client *c, uint8_t first, const void *payload, size_t n)
{
	static const uint8_t mask[4] = {0x5a, 0x11, 0xc3, 0x77};
	uint8_t head[8] = {first, (uint8_t)(0x80 | (n < 126 ? n : 126))};
	size_t len = 2, at;

	if (n >= 126) {
		head[len++] = (uint8_t)(n >> 8);
		head[len++] = (uint8_t)n;
	}
	memcpy(head + len, mask, 4);
	append(&c->out, head, len + 4);
	at = c->out.len;
	append(&c->out, payload, n);
	for (size_t i = 0; i < n; i++)
		c->out.data[at + i] ^= mask[i % 4];
}

static void
put_ping(struct client *c)
{
	char text[32];
	int n = snprintf(text, sizeof text, "i %u", c->pinged++);

	put_frame(c, 0x80 | OP_PING, text, (size_t)n);
}

/* The whole of the question, or the next piece of it. */
static void
say_question(struct client *c)
{
	char text[1 << 16];
	uint32_t number = c->fragment ? c->asked - 1 : c->asked;
	size_t n = (size_t)snprintf(text, sizeof text, "q %u %u %s", c->number, number,
	    filler);
	size_t from = n * c->fragment / FRAGMENTS;
	size_t to = n * (c->fragment + 1) / FRAGMENTS;

	if (c->fragment == 0) {
		c->asked_us[c->asked % RING] = now_us;
		c->asked++;
	}
	if (number % FIFTH) {
		put_frame(c, 0x80 | OP_TEXT, text, n);
	} else {
		if (c->fragment % 2)
			put_ping(c);
		put_frame(c,
		    (c->fragment == FRAGMENTS - 1 ? 0x80 : 0) |
			(c->fragment ? OP_CONTINUATION : OP_TEXT),
		    text + from, to - from);
		c->fragment = (c->fragment + 1) % FRAGMENTS;
	}
	c->due_ms = now_ms() + (c->fragment ? about(TICK_MS) : about(interval_ms));
	flush(c);
}

/* ---- connecting ---- */

static void
client_connect(struct client *c)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	char head[512];
	int one = 1, n;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(c->fd, (struct sockaddr *)&server, sizeof server))
		die("connect: %s", strerror(errno));
	if (fcntl(c->fd, F_SETFL, O_NONBLOCK))
		die("fcntl: %s", strerror(errno));
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &ev))
		die("epoll_ctl: %s", strerror(errno));
	c->in.len = c->out.len = c->message.len = 0;
	c->blocked = false;
	c->fragment = 0;
	c->connects++;
	c->state = GREETING;
	n_greeting++;
	n = snprintf(head, sizeof head,
	    "GET /ws?n=%u HTTP/1.1\r\nHost: test\r\nX-Client: load-%u\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: %s\r\n\r\n",
	    c->number, c->number, client_key);
	append(&c->out, head, (size_t)n);
	flush(c);
}

static void
take_greeting(struct client *c)
{
	char *end;

	append(&c->in, "", 1);
	c->in.len--;
	end = strstr((char *)c->in.data, "\r\n\r\n");
	if (!end)
		return;
	if (strncmp((char *)c->in.data, "HTTP/1.1 101", 12) ||
	    !strstr((char *)c->in.data, client_accept)) {
		wrong(c, &refused, "answer to the handshake: %.40s",
		    (char *)c->in.data);
		client_ended(c, 0);
		return;
	}
	drop(&c->in, (size_t)(end + 4 - (char *)c->in.data));
	c->state = TALKING;
	n_greeting--;
	n_open++;
	c->due_ms = now_ms() + (uint64_t)rand() % (interval_ms + 1);
}

static void
note_token(struct client *c)
{
	if (!c->token[0])
		return;
	tokens = grown(tokens, n_tokens, sizeof *tokens);
	memcpy(tokens[n_tokens].token, c->token, sizeof c->token);
	tokens[n_tokens++].pushes = c->token_pushes;
	c->token[0] = '\0';
}

/* The questions under way are lost with the connection: a client that comes back knows
 * that, and goes on with the next number. */
static void
client_ended(struct client *c, unsigned code)
{
	closes = grown(closes, n_closes, sizeof *closes);
	closes[n_closes++] = (struct close_seen){.ms = (now_us - began_us) / 1000,
	    .client = c->number,
	    .code = code};
	if (c->state == GREETING)
		n_greeting--;
	else
		n_open--;
	close(c->fd);
	note_token(c);
	c->backend[0] = '\0';
	c->state = returning ? AWAY : GONE;
	c->due_ms = now_ms() + (uint64_t)rand() % RETURN_MS;
	if (returning) {
		for (uint32_t i = c->expected; i < c->asked; i++)
			c->asked_us[i % RING] = 0;
		cut_off += c->asked - c->expected;
		c->expected = c->asked;
	}
}

/* ---- what comes ---- */

static void
note_latency(struct client *c, uint64_t us, const char *backend)
{
	size_t slot = us / 64, last = sizeof answers_by_us / sizeof *answers_by_us - 1;

	answers_by_us[slot < last ? slot : last]++;
	if (strcmp(c->backend, backend)) {
		if (c->backend[0]) {
			/* the longer one of the last with the old, the first with the
			 * new */
			pauses_us = grown(pauses_us, n_pauses, sizeof *pauses_us);
			pauses_us[n_pauses++] =
			    (uint32_t)(us > c->last_us ? us : c->last_us);
			moves++;
		}
		snprintf(c->backend, sizeof c->backend, "%s", backend);
	}
	c->last_us = us;
}

static void
take_answer(struct client *c, const char *text, size_t n)
{
	char backend[NAME];
	unsigned client, number;
	uint64_t *asked;
	int used = 0;

	if (sscanf(text, "a %u %u %31s %n", &client, &number, backend, &used) != 3 ||
	    client != c->number || number >= c->asked || n - (size_t)used != size ||
	    strcmp(text + used, filler)) {
		wrong(c, &damaged, "message %.60s", text);
		return;
	}
	asked = &c->asked_us[number % RING];
	if (*asked == 0) {
		wrong(c, &doubled, "answer %u again, at %u", number, c->expected);
		return;
	}
	if (number < c->expected)
		wrong(c, &reordered, "answer %u at %u", number, c->expected);
	else
		c->expected = number + 1;
	c->answered++;
	note_latency(c, now_us - *asked, backend);
	*asked = 0;
}

static void
take_push(struct client *c, const char *text)
{
	char token[2 * NAME];
	unsigned number;

	if (sscanf(text, "p %63s %u", token, &number) != 2) {
		wrong(c, &damaged, "message %.60s", text);
		return;
	}
	pushes++;
	if (strcmp(token, c->token)) {
		note_token(c);
		snprintf(c->token, sizeof c->token, "%s", token);
		c->token_pushes = 0;
	}
	if (number != c->token_pushes)
		wrong(c, &push_errors, "push %u of %s instead of %u", number, token,
		    c->token_pushes);
	c->token_pushes = number + 1;
}

static void
take_message(struct client *c)
{
	append(&c->message, "", 1);
	if (c->message.data[0] == 'a')
		take_answer(c, (char *)c->message.data, c->message.len - 1);
	else
		take_push(c, (char *)c->message.data);
	c->message.len = 0;
}

/* A backend that dies leaves pings unanswered, but none is answered twice or late. */
static void
take_pong(struct client *c, const char *payload, size_t n)
{
	char text[32] = "";
	unsigned number;

	memcpy(text, payload, n < sizeof text ? n : sizeof text - 1);
	if (sscanf(text, "i %u", &number) != 1 || number < c->next_pong ||
	    number >= c->pinged) {
		wrong(c, &damaged, "pong %s at %u", text, c->next_pong);
		return;
	}
	c->next_pong = number + 1;
	c->ponged++;
}

/* False: the connection is over. */
static bool
take_frame(struct client *c, unsigned first, uint8_t *payload, size_t n)
{
	switch (first & 0xf) {
	case OP_PING: put_frame(c, 0x80 | OP_PONG, payload, n); return true;
	case OP_PONG: take_pong(c, (char *)payload, n); return true;
	case OP_CLOSE:
		put_frame(c, 0x80 | OP_CLOSE, payload, n < 2 ? 0 : 2);
		flush(c);
		client_ended(c, n < 2 ? 1005 : payload[0] << 8 | payload[1]);
		return false;
	}
	if ((first & 0x70) || (first & 0xf) > OP_TEXT ||
	    !(first & 0xf) != !!c->message.len)
		wrong(c, &damaged, "frame %02x behind %zu bytes", first,
		    c->message.len);
	append(&c->message, payload, n);
	if (first & 0x80)
		take_message(c);
	return true;
}

/* Bytes of the first frame, 0: it is not whole. */
static size_t
frame_size(const struct bytes *in, size_t at, size_t *head)
{
	const uint8_t *p = in->data + at;
	size_t left = in->len - at, n;

	if (left < 2)
		return 0;
	n = p[1] & 0x7f;
	*head = n < 126 ? 2 : 4;
	if (n == 127 || (p[1] & 0x80))
		die("a frame that no backend here sends");
	if (left < *head)
		return 0;
	if (n == 126)
		n = (size_t)(p[2] << 8 | p[3]);
	return left < *head + n ? 0 : *head + n;
}

static void
take_frames(struct client *c)
{
	size_t at = 0, n, head;

	while ((n = frame_size(&c->in, at, &head))) {
		if (!take_frame(c, c->in.data[at], c->in.data + at + head, n - head))
			return;
		at += n;
	}
	drop(&c->in, at);
	flush(c);
}

static void
on_event(struct client *c)
{
	static uint8_t scratch[BUFFER];
	ssize_t n;

	if (c->state != GREETING && c->state != TALKING)
		return;
	if (c->blocked)
		flush(c);
	n = recv(c->fd, scratch, sizeof scratch, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		client_ended(c, 1006);
		return;
	}
	append(&c->in, scratch, (size_t)n);
	if (c->state == GREETING)
		take_greeting(c);
	if (c->state == TALKING)
		take_frames(c);
}

static void
on_tick(void)
{
	for (unsigned i = 0; i < n_clients; i++) {
		struct client *c = &clients[i];

		if (now_ms() < c->due_ms)
			continue;
		if (c->state == AWAY && n_greeting < OPENING)
			client_connect(c);
		else if (c->state == TALKING && (!quiet || c->fragment) &&
			 (c->fragment || c->asked - c->expected < RING - 1))
			say_question(c);
	}
}

/* ---- telling ---- */

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double
latency_ms(double share)
{
	uint64_t all = 0, seen = 0;
	size_t n = sizeof answers_by_us / sizeof *answers_by_us;

	for (size_t i = 0; i < n; i++)
		all += answers_by_us[i];
	for (size_t i = 0; i < n; i++) {
		seen += answers_by_us[i];
		if ((double)seen >= share * (double)all)
			return (double)i * 64 / 1000;
	}
	return 0;
}

static void
tell_lists(void)
{
	printf("\"closes\": [");
	for (size_t i = 0; i < n_closes; i++)
		printf("%s[%llu, \"load-%u\", %u]", i ? ", " : "",
		    (unsigned long long)closes[i].ms, closes[i].client, closes[i].code);
	printf("], \"pauses_ms\": [");
	qsort(pauses_us, n_pauses, sizeof *pauses_us, by_size);
	for (size_t i = 0; i < n_pauses; i++)
		printf("%s%.3f", i ? ", " : "", pauses_us[i] / 1000.0);
	printf("], \"tokens\": {");
	for (size_t i = 0; i < n_tokens; i++)
		printf("%s\"%s\": %u", i ? ", " : "", tokens[i].token,
		    tokens[i].pushes);
	for (unsigned i = 0, n = 0; i < n_clients; i++) {
		if (clients[i].token[0])
			printf("%s\"%s\": %u", n++ || n_tokens ? ", " : "",
			    clients[i].token, clients[i].token_pushes);
	}
	printf("}, \"lost\": [");
	for (unsigned i = 0, n = 0; i < n_clients && n < 20; i++) {
		for (uint32_t k = 0; k < clients[i].asked && k < RING && n < 20; k++)
			if (clients[i].asked_us[k])
				printf("%s[\"load-%u\", %u, %llu, %u]", n++ ? ", " : "",
				    i, k, (unsigned long long)clients[i].asked_us[k],
				    clients[i].asked);
	}
	printf("], \"on\": {");
	for (unsigned i = 0; i < n_clients; i++)
		printf("%s\"load-%u\": \"%s\"", i ? ", " : "", i, clients[i].backend);
	printf("}");
}

/* `lists`: the long ones too. */
static void
tell(bool lists)
{
	uint64_t asked = 0, answered = 0, pinged = 0, ponged = 0, under_way = 0;

	for (unsigned i = 0; i < n_clients; i++) {
		const struct client *c = &clients[i];

		asked += c->asked;
		answered += c->answered;
		pinged += c->pinged;
		ponged += c->ponged;
		under_way += c->asked - c->expected;
	}
	printf("{\"clients\": %u, \"open\": %u, \"asked\": %llu, \"answered\": %llu, "
	       "\"under_way\": %llu, \"cut_off\": %llu, \"doubled\": %llu, "
	       "\"reordered\": %llu, \"damaged\": %llu, \"pushes\": %llu, "
	       "\"push_errors\": %llu, \"pings\": %llu, \"pongs\": %llu, "
	       "\"moves\": %llu, \"refused\": %llu, \"answer_p50_ms\": %.2f, "
	       "\"answer_p99_ms\": %.2f, "
	       "\"closed\": %zu, \"first_error\": \"%s\"",
	    n_clients, n_open, (unsigned long long)asked, (unsigned long long)answered,
	    (unsigned long long)under_way, (unsigned long long)cut_off,
	    (unsigned long long)doubled, (unsigned long long)reordered,
	    (unsigned long long)damaged, (unsigned long long)pushes,
	    (unsigned long long)push_errors, (unsigned long long)pinged,
	    (unsigned long long)ponged, (unsigned long long)moves,
	    (unsigned long long)refused, latency_ms(0.5), latency_ms(0.99), n_closes,
	    first_error);
	if (lists) {
		printf(", ");
		tell_lists();
	}
	printf("}\n");
	fflush(stdout);
}

/* Lines are short and come one at a time. */
static void
on_order(void)
{
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);

	if (n <= 0)
		exit(0);
	line[n] = '\0';
	if (!strcmp(line, "quiet\n"))
		quiet = true;
	tell(!strcmp(line, "all\n"));
}

static void
set_up(char **argv)
{
	struct rlimit files;
	struct epoll_event ev = {.events = EPOLLIN};

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	n_clients = (unsigned)atoi(argv[2]);
	interval_ms = (unsigned)atoi(argv[3]);
	size = (unsigned)atoi(argv[4]);
	returning = !strcmp(argv[5], "return");
	filler = malloc(size + 1);
	clients = calloc(n_clients, sizeof *clients);
	if (size > 60000 || !filler || !clients)
		die("bad size, or no memory");
	memset(filler, 'x', size);
	filler[size] = '\0';
	for (unsigned i = 0; i < n_clients; i++) {
		clients[i].number = i;
		clients[i].asked_us = calloc(RING, sizeof(uint64_t));
		if (!clients[i].asked_us)
			die("no memory");
	}
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (poll_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &ev))
		die("epoll: %s", strerror(errno));
}

int
main(int argc, char **argv)
{
	struct epoll_event events[256];
	uint64_t next_us = 0;
	bool ready = false;
	int n;

	if (argc != 6)
		die("PORT SOCKETS INTERVAL_MS SIZE stay|return");
	set_up(argv);
	began_us = clock_us();
	for (;;) {
		n = epoll_wait(poll_fd, events, 256, TICK_MS);
		now_us = clock_us();
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				on_event(events[i].data.ptr);
			else
				on_order();
		}
		if (now_us >= next_us) {
			on_tick();
			next_us = now_us + TICK_MS * 1000;
		}
		if (!ready && n_open == n_clients) {
			ready = true;
			printf("{\"open\": %u}\n", n_open);
			fflush(stdout);
		}
	}
}
