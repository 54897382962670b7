/* SPDX-License-Identifier: MIT
 *
 * client.c - asks the admin API; see client.h.
 */
#include "ctl/client.h"

#include "base/addr.h"
#include "base/clock.h"
#include "message/response.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { USUAL_MS = 10000, ANSWER_MAX = 64 << 20 };

void
answer_fini(struct answer *a)
{
	strbuf_fini(&a->body);
}

/* ---- connecting ---- */

static int
connect_to(const struct sockaddr *sa, socklen_t len, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = {.tv_sec = USUAL_MS / 1000};

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, sa, len) == 0)
		return fd;
	/* so the limit above is told */
	if (errno == EINPROGRESS || errno == EAGAIN)
		errno = ETIMEDOUT;
	close(fd);
	return -1;
}

static int
connect_unix(struct str path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	memcpy(sun.sun_path, path.p, path.n);
	return connect_to((const struct sockaddr *)&sun, sizeof(sun), AF_UNIX);
}

static int
connect_tcp(struct str host, uint16_t port, struct strbuf *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
	char name[256], service[8];
	int fd = -1, code;

	snprintf(name, sizeof(name), "%.*s", (int)host.n, host.p);
	snprintf(service, sizeof(service), "%u", port);
	code = getaddrinfo(name, service, &hints, &all);
	if (code) {
		strbuf_printf(error, "%s: %s", name, gai_strerror(code));
		return -1;
	}
	for (const struct addrinfo *at = all; at && fd < 0; at = at->ai_next)
		fd = connect_to(at->ai_addr, at->ai_addrlen, at->ai_family);
	freeaddrinfo(all);
	return fd;
}

static int
client_connect(const struct client *c, const char *address, struct strbuf *error)
{
	struct str text = str_of(address), path, host;
	uint16_t port;
	int fd;

	if (addr_unix_path(text, &path))
		fd = connect_unix(path);
	else if (addr_split(text, &host, &port))
		fd = connect_tcp(host, port, error);
	else
		fd = -1;
	if (fd < 0 && error->len == 0)
		strbuf_printf(error, "nobody answers on %s (%s): is roost running?",
		    address, strerror(errno));
	return fd;
}

/* ---- one question ---- */

static bool
send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		p += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* Reads to the end, since the connection is closed after the answer. */
static bool
read_all(int fd, struct strbuf *in, uint64_t until_ms)
{
	for (;;) {
		uint64_t now = clock_now_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (now >= until_ms || poll(&p, 1, (int)(until_ms - now)) == 0) {
			errno = ETIMEDOUT;
			return false;
		}
		if (!strbuf_reserve(in, 65536))
			return false;
		n = recv(fd, in->data + in->len, 65536, 0);
		if (n == 0)
			return true;
		if (n > 0)
			in->len += (size_t)n;
		else if (errno != EINTR && errno != EAGAIN)
			return false;
	}
}

/* False: no whole answer. */
static bool
answer_read(const struct strbuf *in, struct answer *a)
{
	struct response r;
	size_t used;

	if (response_parse(in->data, in->len, METHOD_OTHER, &r, &used) != PARSE_DONE)
		return false;
	if (r.body == BODY_CHUNKED ||
	    (r.body == BODY_LENGTH && in->len - used < r.length))
		return false;
	a->status = r.status;
	strbuf_append(&a->body, in->data + used,
	    r.body == BODY_LENGTH ? (size_t)r.length : in->len - used);
	return !a->body.failed;
}

static void
write_request(const struct client *c, const char *method, const char *target,
    const char *body, struct strbuf *out)
{
	strbuf_printf(out, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
	    method, target);
	if (c->token[0])
		strbuf_printf(out, "Authorization: Bearer %s\r\n", c->token);
	if (body)
		strbuf_printf(out,
		    "Content-Type: application/json\r\nContent-Length: %zu\r\n",
		    strlen(body));
	strbuf_printf(out, "\r\n%s", body ? body : "");
}

bool
client_ask(const struct client *c, const char *method, const char *target,
    const char *body, uint64_t wait_ms, struct answer *answer_r, struct strbuf *error_r)
{
	struct strbuf address = c->address; /* NUL-terminated by client_init */
	struct strbuf out = STRBUF_INIT, in = {.limit = ANSWER_MAX};
	int fd = client_connect(c, address.data, error_r);
	bool ok = false;

	*answer_r = (struct answer){.status = 0};
	if (fd < 0)
		return false;
	write_request(c, method, target, body, &out);
	if (out.failed || !send_all(fd, out.data, out.len) ||
	    !read_all(fd, &in, clock_now_ms() + USUAL_MS + wait_ms))
		strbuf_printf(error_r, "no answer from %s (%s)", address.data,
		    strerror(errno));
	else if (!answer_read(&in, answer_r))
		strbuf_printf(error_r,
		    in.len ? "%s does not speak as an admin API of roost"
			   : "%s closed the connection without an answer",
		    address.data);
	else
		ok = true;
	close(fd);
	strbuf_fini(&out);
	strbuf_fini(&in);
	return ok;
}
