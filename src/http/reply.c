/* SPDX-License-Identifier: MIT
 *
 * reply.c - answers that roost makes itself; see reply.h.
 */
#include "http/reply.h"

#include "base/strbuf.h"
#include <stdio.h>

static const struct {
	int status;
	const char *phrase;
	const char *extra; /* header lines that go with it */
} rows[] = {
    {400, "Bad Request", ""},
    {404, "Not Found", ""},
    {408, "Request Timeout", ""},
    {414, "URI Too Long", ""},
    {417, "Expectation Failed", ""},
    {426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
    {431, "Request Header Fields Too Large", ""},
    {500, "Internal Server Error", ""},
    {501, "Not Implemented", ""},
    {502, "Bad Gateway", ""},
    {503, "Service Unavailable", "Retry-After: 1\r\n"},
    {504, "Gateway Timeout", ""},
    {505, "HTTP Version Not Supported", ""},
};

enum { N_ROWS = sizeof rows / sizeof *rows };

static size_t
row_of(int status)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (rows[i].status == status)
			return i;
	return row_of(500);
}

static void
write_body(char *body, size_t size, size_t row, const struct reply *r)
{
	const char *phrase = rows[row].phrase, *text = reason_text(r->why);
	int status = rows[row].status, id_len = (int)r->request_id.n;
	const char *id = r->request_id.n ? r->request_id.p : "";

	if (r->html)
		snprintf(body, size,
		    "<!doctype html><title>%d %s</title>\n"
		    "<h1>%d %s</h1>\n<p>%s</p>\n<p><small>request %.*s</small></p>\n",
		    status, phrase, status, phrase, text, id_len, id);
	else
		snprintf(body, size,
		    "{\"status\":%d,\"error\":\"%s\",\"message\":\"%s\","
		    "\"request_id\":\"%.*s\"}\n",
		    status, reason_label(r->why), text, id_len, id);
}

void
reply_write(struct strbuf *out, const struct reply *r)
{
	size_t row = row_of(reason_status(r->why));
	bool upgrade = rows[row].status == 426;
	char body[512];

	write_body(body, sizeof body, row, r);
	strbuf_printf(out,
	    "HTTP/1.1 %d %s\r\n"
	    "Content-Type: %s\r\nContent-Length: %zu\r\n"
	    "Cache-Control: no-store\r\n%s",
	    rows[row].status, rows[row].phrase,
	    r->html ? "text/html; charset=utf-8" : "application/json", strlen(body),
	    rows[row].extra);
	/* Upgrade is hop-by-hop, so Connection has to name it (RFC 9110, 7.8) */
	if (!r->keep_alive)
		strbuf_puts(out, upgrade ? "Connection: close, Upgrade\r\n"
					 : "Connection: close\r\n");
	else if (upgrade)
		strbuf_lit(out, "Connection: Upgrade\r\n");
	else if (r->minor == 0)
		strbuf_lit(out, "Connection: keep-alive\r\n");
	strbuf_lit(out, "\r\n");
	if (!r->head_only)
		strbuf_puts(out, body);
}

bool
reply_wants_html(struct str accept)
{
	struct str e;

	while (str_next_element(&accept, &e)) {
		const char *semicolon = memchr(e.p, ';', e.n);
		struct str type = {e.p, semicolon ? (size_t)(semicolon - e.p) : e.n};

		type = str_trim(type);
		if (str_ieq(type, STR("text/html")))
			return true;
		if (str_ieq(type, STR("application/json")))
			return false;
	}
	return false;
}
