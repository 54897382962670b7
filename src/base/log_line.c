/* SPDX-License-Identifier: MIT
 *
 * log_line.c - one line of the log, put together; see log_line.h.
 *
 * What comes behind the message is put together first, so that the message is what is
 * cut where a line would be too long: an id that is missing is worse.
 */
#include "base/log_line.h"

#include "base/addr.h"
#include "base/strbuf.h"
#include <stdio.h>
#include <time.h>

/* What a line is about, in the order in which it is told. */
struct field {
	const char *name;
	const char *value; /* NULL or empty: none */
	bool of_client;    /* in text, told only beside a client */
};

enum { N_FIELDS = 5, TAIL_BYTES = 704, VALUE_MAX = 120, END_BYTES = 48 };

static const int priorities[] = {
    [LEVEL_DEBUG] = 7,
    [LEVEL_INFO] = 6,
    [LEVEL_NOTICE] = 5,
    [LEVEL_WARN] = 4,
    [LEVEL_ERROR] = 3,
};

static void
fields_of(const struct log_event *e, struct field fields[N_FIELDS],
    char address[ADDR_TEXT])
{
	static const struct log_about nothing;
	const struct log_about *a = e->about ? e->about : &nothing;
	const char *client = a->client;

	if (!client && a->address)
		client = addr_print(a->address, false, address);
	fields[0] = (struct field){"request", a->request, false};
	fields[1] = (struct field){"session", a->session, false};
	fields[2] = (struct field){"client", client, false};
	fields[3] = (struct field){"upstream", a->upstream, true};
	fields[4] = (struct field){"backend", a->backend, true};
}

static bool
has(const struct field *f)
{
	return f->value && *f->value;
}

/* A value that is far too long is cut: it is an id, and the peer's fault. */
static struct str
value_of(const struct field *f)
{
	size_t n = strnlen(f->value, VALUE_MAX + 1);

	return (struct str){f->value, n > VALUE_MAX ? VALUE_MAX : n};
}

static void
put_time(struct strbuf *line, int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm = {0};

	gmtime_r(&seconds, &tm);
	strbuf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    (int)(wall_ms % 1000));
}

/* Appends as much as fits whole into a line over the caller's memory. */
static bool
put_if_fits(struct strbuf *line, const char *p, size_t n)
{
	if (n > line->cap - line->len)
		return false;
	strbuf_append(line, p, n);
	return true;
}

/* As much of s as fits; `more`: bytes beside control bytes that are escaped as well. */
static void
put_plain(struct strbuf *line, struct str s, const char *more)
{
	while (s.n) {
		size_t n = utf8_char_length(s);
		unsigned char c = (unsigned char)*s.p;
		char escaped[5];
		/* U+0080 to U+009f are control characters as well */
		bool plain = n > 1
				 ? !(n == 2 && c == 0xc2 && (uint8_t)s.p[1] < 0xa0)
				 : n == 1 && c >= 0x20 && c != 0x7f && !strchr(more, c);

		if (!plain) {
			n = 1;
			snprintf(escaped, sizeof escaped, "\\x%02x", c);
		}
		if (!put_if_fits(line, plain ? s.p : escaped, plain ? n : 4))
			return;
		s.p += n;
		s.n -= n;
	}
}

/* The line's end, in memory of its own, and room for it kept free in line. Returns what
 * to give to tail_put. */
static size_t
tail_reserve(struct strbuf *line, const struct strbuf *tail)
{
	size_t cap = line->cap;

	line->cap = line->limit = cap - tail->len;
	return cap;
}

static void
tail_put(struct strbuf *line, const struct strbuf *tail, size_t cap)
{
	line->cap = line->limit = cap;
	line->failed = false;
	strbuf_append(line, tail->data, tail->len);
}

/* ---- text ---- */

static void
put_text_fields(struct strbuf *out, const struct log_event *e)
{
	char address[ADDR_TEXT];
	struct field fields[N_FIELDS];
	bool client;

	out->limit = out->cap -= END_BYTES;
	fields_of(e, fields, address);
	client = has(&fields[0]) || has(&fields[1]) || has(&fields[2]);
	for (int i = 0; i < N_FIELDS; i++) {
		if (!has(&fields[i]) || (fields[i].of_client && !client))
			continue;
		strbuf_lit(out, " ");
		strbuf_puts(out, fields[i].name);
		strbuf_lit(out, "=");
		put_plain(out, value_of(&fields[i]), " \"\\");
	}
	out->failed = false;
	out->limit = out->cap += END_BYTES;
}

/* "TOPIC: MESSAGE fields" and end. */
static void
put_text(struct strbuf *line, const struct log_event *e, const char *end)
{
	char memory[TAIL_BYTES];
	struct strbuf tail = strbuf_over(memory, sizeof memory);
	size_t cap;

	put_text_fields(&tail, e);
	strbuf_puts(&tail, end);
	strbuf_puts(line, log_topic_name(e->topic));
	strbuf_lit(line, ": ");
	cap = tail_reserve(line, &tail);
	put_plain(line, e->message, "");
	tail_put(line, &tail, cap);
}

void
log_line_text(struct strbuf *line, const struct log_event *e, bool priority)
{
	if (priority)
		strbuf_printf(line, "<%d>", priorities[e->level]);
	put_time(line, e->wall_ms);
	strbuf_lit(line, " ");
	strbuf_puts(line, log_level_name(e->level));
	strbuf_lit(line, " ");
	put_text(line, e, "\n");
}

/* ---- JSON ---- */

/* As much of the message as still fits when it is escaped. */
static void
put_json_message(struct strbuf *line, struct str message)
{
	size_t start = line->len;

	for (;;) {
		strbuf_json(line, message);
		if (!line->failed)
			return;
		line->len = start;
		line->failed = false;
		message.n -= message.n / 8 + 1;
	}
}

static void
put_json_fields(struct strbuf *out, const struct log_event *e)
{
	char address[ADDR_TEXT];
	struct field fields[N_FIELDS];

	out->limit = out->cap -= END_BYTES;
	fields_of(e, fields, address);
	for (int i = 0; i < N_FIELDS; i++) {
		size_t start = out->len;

		if (!has(&fields[i]))
			continue;
		strbuf_printf(out, ",\"%s\":\"", fields[i].name);
		strbuf_json(out, value_of(&fields[i]));
		strbuf_lit(out, "\"");
		if (out->failed) { /* all of it or nothing */
			out->len = start;
			out->failed = false;
		}
	}
	out->limit = out->cap += END_BYTES;
	if (e->held_back)
		strbuf_printf(out, ",\"held_back\":%llu",
		    (unsigned long long)e->held_back);
}

static void
put_json(struct strbuf *line, const struct log_event *e, const char *end)
{
	char memory[TAIL_BYTES];
	struct strbuf tail = strbuf_over(memory, sizeof memory);
	size_t cap;

	strbuf_lit(&tail, "\"");
	put_json_fields(&tail, e);
	strbuf_lit(&tail, "}");
	strbuf_puts(&tail, end);
	strbuf_lit(line, "{\"time\":\"");
	put_time(line, e->wall_ms);
	strbuf_printf(line, "\",\"level\":\"%s\",\"topic\":\"%s\",\"message\":\"",
	    log_level_name(e->level), log_topic_name(e->topic));
	cap = tail_reserve(line, &tail);
	put_json_message(line, e->message);
	tail_put(line, &tail, cap);
}

void
log_line_json(struct strbuf *line, const struct log_event *e)
{
	put_json(line, e, "\n");
}

/* ---- datagrams ---- */

void
log_line_syslog(struct strbuf *line, const struct log_event *e, unsigned facility,
    const char *tag, long pid, enum log_format format)
{
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t)(e->wall_ms / 1000);
	struct tm tm = {0};

	localtime_r(&seconds, &tm);
	strbuf_printf(line, "<%u>%s %2d %02d:%02d:%02d %s[%ld]: ",
	    facility << 3 | (unsigned)priorities[e->level], months[tm.tm_mon % 12],
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tag, pid);
	if (format == FORMAT_JSON)
		put_json(line, e, "");
	else
		put_text(line, e, "");
}

void
log_line_journal(struct strbuf *line, const struct log_event *e, const char *tag)
{
	static const char *const names[N_FIELDS] = {"ROOST_REQUEST", "ROOST_SESSION",
	    "ROOST_CLIENT", "ROOST_UPSTREAM", "ROOST_BACKEND"};
	char address[ADDR_TEXT];
	struct field fields[N_FIELDS];

	strbuf_printf(line, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nROOST_TOPIC=%s\n",
	    priorities[e->level], tag, log_topic_name(e->topic));
	fields_of(e, fields, address);
	for (int i = 0; i < N_FIELDS; i++) {
		if (!has(&fields[i]))
			continue;
		strbuf_puts(line, names[i]);
		strbuf_lit(line, "=");
		put_plain(line, value_of(&fields[i]), "");
		strbuf_lit(line, "\n");
	}
	if (e->held_back)
		strbuf_printf(line, "ROOST_HELD_BACK=%llu\n",
		    (unsigned long long)e->held_back);
	strbuf_lit(line, "MESSAGE=");
	put_text(line, e, "\n");
}
