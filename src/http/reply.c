/* SPDX-License-Identifier: MIT
 *
 * reply.c - answers that roost makes itself; see reply.h.
 *
 * The body is written straight behind the head, where it may have any size; then its
 * length is filled in, and the body moves up to the digits that were not needed.
 */
#include "http/reply.h"

#include "base/strbuf.h"
#include "config/config.h"
#include <stdio.h>

/* ---- statuses */

/* RFC 9110, 15, and what IANA has registered since */
static const struct {
	unsigned status;
	const char *phrase;
} phrases[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {418, "I'm a teapot"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};

static const char *
phrase_of(unsigned status)
{
	static const char *const classes[] = {"OK", "Redirect", "Client Error",
	    "Server Error"};

	for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return status >= 200 && status < 600 ? classes[status / 100 - 2] : "Unknown";
}

/* Is it what a route says, and not a refusal? */
static bool
is_of_route(const struct reply *r)
{
	return r->why == REASON_RESPONDED || r->why == REASON_REDIRECTED;
}

unsigned
reply_status(const struct reply *r)
{
	int status = reason_status(r->why);

	if (r->why == REASON_RESPONDED)
		return r->route->respond;
	if (r->why == REASON_REDIRECTED)
		return r->route->redirect_status;
	return status ? (unsigned)status : 500;
}

/* The route's own words, or p NULL. */
static struct str
text_of(const struct reply *r)
{
	return str_of(r->why == REASON_RESPONDED ? r->route->text : NULL);
}

/* ---- bodies */

static void
html_escape(struct strbuf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '&': strbuf_lit(out, "&amp;"); break;
		case '<': strbuf_lit(out, "&lt;"); break;
		case '>': strbuf_lit(out, "&gt;"); break;
		case '"': strbuf_lit(out, "&quot;"); break;
		case '\'': strbuf_lit(out, "&#39;"); break;
		default: strbuf_append(out, s.p + i, 1);
		}
	}
}

/* What is wrong, in words for people. */
static struct str
message_of(const struct reply *r)
{
	return str_of(
	    is_of_route(r) ? phrase_of(reply_status(r)) : reason_text(r->why));
}

/* Whatever has no place in a URI is percent-encoded, so that it can neither end a line
 * nor a string of JSON; then only ampersands need care in HTML. */
static void
write_uri(struct strbuf *out, struct str uri, const char *ampersand)
{
	for (size_t i = 0; i < uri.n; i++) {
		unsigned char c = (unsigned char)uri.p[i];

		if (c == '&')
			strbuf_puts(out, ampersand);
		else if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}", c))
			strbuf_printf(out, "%%%02X", c);
		else
			strbuf_append(out, uri.p + i, 1);
	}
}

static void
write_html(struct strbuf *out, const struct reply *r, unsigned status)
{
	const char *phrase = phrase_of(status);

	strbuf_printf(out,
	    "<!doctype html><title>%u %s</title>\n"
	    "<h1>%u %s</h1>\n",
	    status, phrase, status, phrase);
	if (!is_of_route(r)) {
		strbuf_lit(out, "<p>");
		html_escape(out, message_of(r));
		strbuf_lit(out, "</p>\n");
	}
	if (r->location.n) {
		strbuf_lit(out, "<p><a href=\"");
		write_uri(out, r->location, "&amp;");
		strbuf_lit(out, "\">");
		write_uri(out, r->location, "&amp;");
		strbuf_lit(out, "</a></p>\n");
	}
	if (r->request_id.n && status >= 400) {
		strbuf_lit(out, "<p><small>request ");
		html_escape(out, r->request_id);
		strbuf_lit(out, "</small></p>\n");
	}
}

static void
write_member(struct strbuf *out, const char *name, struct str value)
{
	if (value.n == 0)
		return;
	strbuf_printf(out, ",\"%s\":\"", name);
	strbuf_json(out, value);
	strbuf_lit(out, "\"");
}

static void
write_json(struct strbuf *out, const struct reply *r, unsigned status)
{
	strbuf_printf(out, "{\"status\":%u", status);
	if (status >= 400)
		write_member(out, "error", str_of(reason_label(r->why)));
	write_member(out, "message", message_of(r));
	write_member(out, "request_id", r->request_id);
	if (r->location.n) {
		strbuf_lit(out, ",\"location\":\"");
		write_uri(out, r->location, "&");
		strbuf_lit(out, "\"");
	}
	strbuf_lit(out, "}\n");
}

/* {{name}} at p, which begins with {{: appends its value and returns its length, or 0
 * where there is no such name. */
static size_t
write_value(struct strbuf *out, const struct reply *r, unsigned status, struct str p)
{
	char digits[12];
	struct {
		struct str name, value;
	} values[] = {
	    {STR("{{status}}"), {digits, 0}},
	    {STR("{{phrase}}"), str_of(phrase_of(status))},
	    {STR("{{message}}"), message_of(r)},
	    {STR("{{request_id}}"), r->request_id},
	};

	values[0].value.n = (size_t)snprintf(digits, sizeof digits, "%u", status);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct str name = values[i].name;

		if (p.n >= name.n && memcmp(p.p, name.p, name.n) == 0) {
			html_escape(out, values[i].value);
			return name.n;
		}
	}
	return 0;
}

static void
write_page(struct strbuf *out, struct str page, const struct reply *r, unsigned status)
{
	while (page.n) {
		const char *braces = memmem(page.p, page.n, "{{", 2);
		size_t n = braces ? (size_t)(braces - page.p) : page.n, used;

		strbuf_append(out, page.p, n);
		page = (struct str){page.p + n, page.n - n};
		if (!braces)
			break;
		used = write_value(out, r, status, page);
		if (used == 0) {
			strbuf_append(out, page.p, 1);
			used = 1;
		}
		page = (struct str){page.p + used, page.n - used};
	}
}

static const struct config_error_page *
find_page(const struct config *config, unsigned status)
{
	for (size_t i = 0; config && i < config->n_error_pages; i++)
		if (config->error_pages[i].status == status)
			return &config->error_pages[i];
	return NULL;
}

static void
write_body(struct strbuf *out, const struct reply *r, unsigned status)
{
	const struct config_error_page *page = find_page(r->pages, status);
	struct str text = text_of(r);

	if (text.p)
		strbuf_str(out, text);
	else if (r->html && page)
		write_page(out, page->text, r, status);
	else if (r->html)
		write_html(out, r, status);
	else
		write_json(out, r, status);
}

/* ---- heads */

static void
write_connection(struct strbuf *out, const struct reply *r, unsigned status)
{
	/* Upgrade is hop-by-hop, so Connection has to name it (RFC 9110, 7.8) */
	bool upgrade = status == 426;

	if (upgrade)
		strbuf_lit(out, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
	if (!r->keep_alive)
		strbuf_puts(out, upgrade ? "Connection: close, Upgrade\r\n"
					 : "Connection: close\r\n");
	else if (upgrade)
		strbuf_lit(out, "Connection: Upgrade\r\n");
	else if (r->minor == 0)
		strbuf_lit(out, "Connection: keep-alive\r\n");
}

static void
write_fields(struct strbuf *out, const struct reply *r, unsigned status)
{
	bool busy = !is_of_route(r) && (status == 429 || status == 503);

	if (r->location.n) {
		strbuf_lit(out, "Location: ");
		write_uri(out, r->location, "&");
		strbuf_lit(out, "\r\n");
	}
	/* a route's answers may be cached as their status says */
	if (!is_of_route(r))
		strbuf_lit(out, "Cache-Control: no-store\r\n");
	else if (!text_of(r).p)
		strbuf_lit(out, "Vary: Accept\r\n");
	if (busy)
		strbuf_printf(out, "Retry-After: %u\r\n", r->retry_s ? r->retry_s : 1);
	strbuf_str(out, r->headers);
	write_connection(out, r, status);
}

static const char *
type_of(const struct reply *r)
{
	if (text_of(r).p)
		return "text/plain; charset=utf-8";
	return r->html ? "text/html; charset=utf-8" : "application/json";
}

/* Content-Length comes last, with room for digits; afterwards close_length. */
static const char length_room[] = "Content-Length: 00000000000000000000\r\n\r\n";

enum { LENGTH_NAME = sizeof "Content-Length: " - 1, ROOM = sizeof length_room - 1 };

/* `at`: where that line begins. Returns where the body does. */
static size_t
close_length(struct strbuf *out, size_t at, bool head_only)
{
	size_t body = at + ROOM, n, digits;
	char length[32];

	if (out->failed)
		return out->len;
	n = out->len - body;
	digits = (size_t)snprintf(length, sizeof length, "%zu\r\n\r\n", n);
	at += LENGTH_NAME;
	memcpy(out->data + at, length, digits);
	at += digits;
	if (head_only)
		n = 0;
	memmove(out->data + at, out->data + body, n);
	out->len = at + n;
	return at;
}

size_t
reply_write(struct strbuf *out, const struct reply *r)
{
	unsigned status = reply_status(r);
	size_t from = out->len, at;

	strbuf_printf(out, "HTTP/1.1 %u %s\r\n", status, phrase_of(status));
	write_fields(out, r, status);
	if (status == 204 || status == 304) {
		strbuf_lit(out, "\r\n");
		return out->len - from;
	}
	if (status != 205) /* which must not have content, but says so */
		strbuf_printf(out, "Content-Type: %s\r\n", type_of(r));
	at = out->len;
	strbuf_puts(out, length_room);
	if (status != 205)
		write_body(out, r, status);
	return close_length(out, at, r->head_only) - from;
}

/* ---- what the client likes */

/* How a media range rates a type: the most exact one counts (RFC 9110, 12.5.1). */
struct rating {
	unsigned exact;   /* 3: type/subtype, 2: type/, 1: anything, 0: not named */
	unsigned quality; /* 0-1000 */
	unsigned place;   /* in the list */
};

/* The value of the parameter q, in thousandths; nonsense counts as 1. */
static unsigned
quality_of(struct str params)
{
	const char *p = params.p, *end = params.p + params.n;
	unsigned value, scale = 100;

	while (p && p < end && (p = memchr(p, ';', (size_t)(end - p)))) {
		for (p++; p < end && (*p == ' ' || *p == '\t'); p++)
			;
		if (end - p >= 3 && (*p | 0x20) == 'q' && p[1] == '=')
			break;
	}
	if (!p || p >= end || (p[2] != '0' && p[2] != '1'))
		return 1000;
	value = p[2] == '1' ? 1000 : 0;
	if (value == 0 && end - p > 3 && p[3] == '.')
		for (p += 4; p < end && *p >= '0' && *p <= '9'; p++, scale /= 10)
			value += (unsigned)(*p - '0') * scale;
	return value;
}

static void
rate(struct rating *rating, struct str range, unsigned exact, unsigned place,
    struct str type)
{
	const char *semicolon = memchr(range.p, ';', range.n);
	size_t n = semicolon ? (size_t)(semicolon - range.p) : range.n;

	if (rating->exact >= exact ||
	    !str_ieq(str_trim((struct str){range.p, n}), type))
		return;
	*rating = (struct rating){exact,
	    quality_of((struct str){range.p + n, range.n - n}), place};
}

bool
reply_wants_html(struct str accept)
{
	struct rating html = {0}, json = {0};
	struct str range;

	for (unsigned i = 0; str_next_element(&accept, &range); i++) {
		rate(&html, range, 3, i, STR("text/html"));
		rate(&html, range, 2, i, STR("text/*"));
		rate(&html, range, 1, i, STR("*/*"));
		rate(&json, range, 3, i, STR("application/json"));
		rate(&json, range, 2, i, STR("application/*"));
		rate(&json, range, 1, i, STR("*/*"));
	}
	if (html.quality != json.quality)
		return html.quality > json.quality;
	if (html.exact != json.exact)
		return html.quality && html.exact > json.exact;
	return html.quality && html.place < json.place;
}
