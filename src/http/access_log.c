/* SPDX-License-Identifier: MIT
 *
 * access_log.c - one line per exchange or session; see access_log.h.
 *
 * One table names every field and says how it is written; both formats follow it. No
 * printf: a line is written for every request. The only costly thing in it, the date,
 * is kept for the second it is good for.
 *
 * Threads: any; what is kept between calls is the thread's own.
 */
#include "http/access_log.h"

#include "base/clock.h"
#include "base/sink.h"
#include "message/head.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LONGEST = 1024 }; /* of a user agent or referer */

/* ---- time ---- */

struct stamp {
	int64_t second;
	size_t clf_n, iso_n;
	char clf[64]; /* 10/Oct/2000:13:55:36 +0000 */
	char iso[64]; /* 2000-10-10T13:55:36 */
};

static void
stamp_set(struct stamp *stamp, int64_t second)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)second;
	struct tm tm = {0};

	gmtime_r(&t, &tm);
	stamp->second = second;
	stamp->clf_n = (size_t)snprintf(stamp->clf, sizeof(stamp->clf),
	    "%02d/%.3s/%04d:%02d:%02d:%02d +0000", tm.tm_mday, months + 3 * tm.tm_mon,
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	stamp->iso_n = (size_t)snprintf(stamp->iso, sizeof(stamp->iso),
	    "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static const struct stamp *
stamp_of(int64_t second)
{
	static _Thread_local struct stamp stamp = {.second = INT64_MIN};

	if (stamp.second != second)
		stamp_set(&stamp, second);
	return &stamp;
}

/* ---- values ---- */

static void
put_thousandths(struct strbuf *out, uint64_t n)
{
	const char digits[] = {'.', (char)('0' + n / 100), (char)('0' + n / 10 % 10),
	    (char)('0' + n % 10)};

	strbuf_append(out, digits, sizeof(digits));
}

/* Microseconds as milliseconds: what log tools expect, and nothing is lost. */
static void
put_ms(struct strbuf *out, uint64_t us)
{
	strbuf_u64(out, us / 1000);
	put_thousandths(out, us % 1000);
}

static void
put_hex(struct strbuf *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	const char escaped[] = {'\\', 'x', hex[c >> 4], hex[c & 15]};

	strbuf_append(out, escaped, sizeof(escaped));
}

static bool
is_plain(unsigned char c, unsigned char first)
{
	return c >= first && c < 0x7f && c != '"' && c != '\\';
}

/* The first byte from `at` on that is not plain; eight at a time while all are. */
static size_t
span_plain(struct str s, size_t at, unsigned char first)
{
	const uint64_t ones = UINT64_MAX / 0xff, tops = ones * 0x80;

	while (s.n - at >= 8) {
		uint64_t bytes, quote, backslash;

		memcpy(&bytes, s.p + at, sizeof(bytes));
		quote = bytes ^ (ones * '"');
		backslash = bytes ^ (ones * '\\');
		if ((((bytes - ones * first) & ~bytes) | (bytes + ones) | bytes |
			((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) &
		    tops)
			break;
		at += 8;
	}
	while (at < s.n && is_plain((unsigned char)s.p[at], first))
		at++;
	return at;
}

/* Nothing that comes from a peer can end the quotes, the field (blanks, where it has no
 * quotes: first is '!') or the line, or speak to the terminal it is read on. */
static void
put_escaped(struct strbuf *out, struct str s, unsigned char first)
{
	for (size_t at = 0; at < s.n; at++) {
		size_t plain = span_plain(s, at, first);

		strbuf_append(out, s.p + at, plain - at);
		at = plain;
		if (at < s.n)
			put_hex(out, (unsigned char)s.p[at]);
	}
}

static void
put_bare(struct strbuf *out, struct str s)
{
	if (s.n)
		put_escaped(out, s, '!');
	else
		strbuf_lit(out, "-");
}

static void
put_quoted(struct strbuf *out, struct str s)
{
	strbuf_lit(out, "\"");
	if (s.n)
		put_escaped(out, s, ' ');
	else
		strbuf_lit(out, "-");
	strbuf_lit(out, "\"");
}

static void
put_json(struct strbuf *out, struct str s)
{
	if (s.n == 0) {
		strbuf_lit(out, "null");
		return;
	}
	strbuf_lit(out, "\"");
	if (span_plain(s, 0, ' ') == s.n)
		strbuf_str(out, s);
	else
		strbuf_json(out, s);
	strbuf_lit(out, "\"");
}

static void
put_unknown(struct strbuf *out, enum log_format format)
{
	if (format == FORMAT_JSON)
		strbuf_lit(out, "null");
	else
		strbuf_lit(out, "-");
}

/* ---- fields ---- */

enum kind {
	STRING,
	COUNT,   /* uint64_t */
	SMALL,   /* unsigned */
	CODE,    /* unsigned; 0: unknown */
	MS,      /* uint64_t of microseconds; UINT64_MAX: unknown */
	PROTOCOL /* unsigned */
};

enum { ALWAYS, OF_SESSIONS };

struct field {
	struct str json; /* ,"name": */
	struct str text; /* ' name='; empty: not among roost's own fields */
	uint16_t offset;
	uint8_t kind;
	uint8_t when;
};

#define LITERAL(s)               \
	{                        \
		s, sizeof(s) - 1 \
	}
#define FIELD(name, text, kind, member, when)                          \
	{                                                              \
		LITERAL(",\"" name "\":"), LITERAL(text),              \
		    offsetof(struct access_record, member), kind, when \
	}

/* Names are for good: people's dashboards are built on them. */
static const struct field fields[] = {
    FIELD("id", " id=", STRING, id, ALWAYS),
    FIELD("request_id", "", STRING, request_id, ALWAYS),
    FIELD("trace_id", "", STRING, trace_id, ALWAYS),
    FIELD("client", "", STRING, client, ALWAYS),
    FIELD("peer", "", STRING, peer, ALWAYS),
    FIELD("method", "", STRING, method, ALWAYS),
    FIELD("host", "", STRING, host, ALWAYS),
    FIELD("target", "", STRING, target, ALWAYS),
    FIELD("protocol", "", PROTOCOL, minor, ALWAYS),
    FIELD("status", "", CODE, status, ALWAYS),
    FIELD("bytes_in", " bytes_in=", COUNT, bytes_in, ALWAYS),
    FIELD("bytes_out", "", COUNT, bytes_out, ALWAYS),
    FIELD("upstream", " upstream=", STRING, upstream, ALWAYS),
    FIELD("backend", " backend=", STRING, backend, ALWAYS),
    FIELD("chosen_by", " by=", STRING, chosen_by, ALWAYS),
    FIELD("retries", " retries=", SMALL, retries, ALWAYS),
    FIELD("reason", " reason=", STRING, reason, ALWAYS),
    FIELD("head_ms", " head_ms=", MS, head_us, ALWAYS),
    FIELD("queue_ms", " queue_ms=", MS, queue_us, ALWAYS),
    FIELD("connect_ms", " connect_ms=", MS, connect_us, ALWAYS),
    FIELD("first_byte_ms", " first_byte_ms=", MS, first_byte_us, ALWAYS),
    FIELD("total_ms", " total_ms=", MS, total_us, ALWAYS),
    FIELD("user_agent", "", STRING, user_agent, ALWAYS),
    FIELD("referer", "", STRING, referer, ALWAYS),
    FIELD("messages_in", " messages_in=", COUNT, messages_in, OF_SESSIONS),
    FIELD("messages_out", " messages_out=", COUNT, messages_out, OF_SESSIONS),
    FIELD("close_code", " close_code=", CODE, close_code, OF_SESSIONS),
    FIELD("ended_by", " ended_by=", STRING, ended_by, OF_SESSIONS),
};

enum { N_FIELDS = sizeof(fields) / sizeof(*fields) };

static void
put_string(struct strbuf *out, enum log_format format, struct str s)
{
	if (format == FORMAT_JSON)
		put_json(out, s);
	else
		put_bare(out, s);
}

static void
put_version(struct strbuf *out, enum log_format format, const struct access_record *r)
{
	if (r->method.n == 0)
		put_unknown(out, format);
	else if (r->minor == 0)
		put_string(out, format, STR("HTTP/1.0"));
	else
		put_string(out, format, STR("HTTP/1.1"));
}

static void
put_field(struct strbuf *out, enum log_format format, const struct field *f,
    const struct access_record *r)
{
	const void *value = (const char *)r + f->offset;

	switch ((enum kind)f->kind) {
	case STRING: put_string(out, format, *(const struct str *)value); break;
	case COUNT: strbuf_u64(out, *(const uint64_t *)value); break;
	case SMALL: strbuf_u64(out, *(const unsigned *)value); break;
	case CODE:
		if (*(const unsigned *)value)
			strbuf_u64(out, *(const unsigned *)value);
		else
			put_unknown(out, format);
		break;
	case MS:
		if (*(const uint64_t *)value != UINT64_MAX)
			put_ms(out, *(const uint64_t *)value);
		else
			put_unknown(out, format);
		break;
	case PROTOCOL: put_version(out, format, r); break;
	}
}

/* ---- lines ---- */

static void
write_json(struct strbuf *out, const struct access_record *r, const struct stamp *stamp,
    unsigned ms)
{
	strbuf_lit(out, "{\"time\":\"");
	strbuf_append(out, stamp->iso, stamp->iso_n);
	put_thousandths(out, ms);
	if (r->session)
		strbuf_lit(out, "Z\",\"kind\":\"session\"");
	else
		strbuf_lit(out, "Z\",\"kind\":\"exchange\"");
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (fields[i].when == OF_SESSIONS && !r->session)
			continue;
		strbuf_str(out, fields[i].json);
		put_field(out, FORMAT_JSON, &fields[i], r);
	}
	strbuf_lit(out, "}\n");
}

/* The request line, in quotes of its own; of a refused head there is none. */
static void
write_request_line(struct strbuf *out, const struct access_record *r)
{
	if (r->method.n == 0) {
		strbuf_lit(out, "\"-\"");
		return;
	}
	strbuf_lit(out, "\"");
	put_escaped(out, r->method, ' ');
	strbuf_lit(out, " ");
	put_escaped(out, r->target, ' ');
	strbuf_lit(out, " ");
	put_version(out, FORMAT_TEXT, r);
	strbuf_lit(out, "\"");
}

static void
write_combined(struct strbuf *out, const struct access_record *r,
    const struct stamp *stamp)
{
	put_bare(out, r->client);
	strbuf_lit(out, " - - [");
	strbuf_append(out, stamp->clf, stamp->clf_n);
	strbuf_lit(out, "] ");
	write_request_line(out, r);
	strbuf_lit(out, " ");
	if (r->status)
		strbuf_u64(out, r->status);
	else
		strbuf_lit(out, "-");
	strbuf_lit(out, " ");
	strbuf_u64(out, r->bytes_out);
	strbuf_lit(out, " ");
	put_quoted(out, r->referer);
	strbuf_lit(out, " ");
	put_quoted(out, r->user_agent);
}

static void
write_text(struct strbuf *out, const struct access_record *r, const struct stamp *stamp)
{
	write_combined(out, r, stamp);
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (fields[i].text.n == 0 ||
		    (fields[i].when == OF_SESSIONS && !r->session))
			continue;
		strbuf_str(out, fields[i].text);
		put_field(out, FORMAT_TEXT, &fields[i], r);
	}
	strbuf_lit(out, "\n");
}

struct access_record
access_record_empty(void)
{
	return (struct access_record){
	    .head_us = UINT64_MAX,
	    .queue_us = UINT64_MAX,
	    .connect_us = UINT64_MAX,
	    .first_byte_us = UINT64_MAX,
	    .total_us = UINT64_MAX,
	};
}

void
access_log_write(struct strbuf *out, enum log_format format,
    const struct access_record *r)
{
	int64_t wall_ms = r->wall_ms > 0 ? r->wall_ms : 0;
	const struct stamp *stamp = stamp_of(wall_ms / 1000);

	if (format == FORMAT_JSON)
		write_json(out, r, stamp, (unsigned)(wall_ms % 1000));
	else
		write_text(out, r, stamp);
}

/* ---- notes ---- */

/* In the order in which access_note_take takes them. */
static const uint16_t noted[ACCESS_NOTE_FIELDS] = {
    offsetof(struct access_record, client),
    offsetof(struct access_record, peer),
    offsetof(struct access_record, request_id),
    offsetof(struct access_record, trace_id),
    offsetof(struct access_record, method),
    offsetof(struct access_record, host),
    offsetof(struct access_record, target),
    offsetof(struct access_record, user_agent),
    offsetof(struct access_record, referer),
};

static struct str
cut(struct str s)
{
	return (struct str){s.p, s.n < LONGEST ? s.n : LONGEST};
}

void
access_note_take(struct access_note *note, const struct head *head, struct str client,
    struct str peer, struct str request_id, struct str trace_id)
{
	struct str parts[ACCESS_NOTE_FIELDS] = {client, peer, request_id, trace_id};

	if (head) {
		parts[4] = head->method_text;
		parts[5] = head->host;
		parts[6] = head->target;
		parts[7] = cut(head_find(head, STR("user-agent")));
		parts[8] = cut(head_find(head, STR("referer")));
	}
	strbuf_reset(&note->text);
	for (unsigned i = 0; i < ACCESS_NOTE_FIELDS; i++) {
		strbuf_str(&note->text, parts[i]);
		note->end[i] = (uint32_t)note->text.len; /* empty where it failed */
	}
	note->minor = head ? (uint8_t)head->minor : 1;
	note->wall_ms = clock_wall_ms();
	note->start_us = clock_now_us();
}

void
access_note_fill(const struct access_note *note, struct access_record *r)
{
	uint32_t begin = 0;

	for (unsigned i = 0; i < ACCESS_NOTE_FIELDS; i++) {
		struct str *s = (struct str *)((char *)r + noted[i]);

		*s = (struct str){NULL, note->end[i] - begin};
		if (s->n)
			s->p = note->text.data + begin;
		begin = note->end[i];
	}
	r->id = r->request_id;
	r->minor = note->minor;
	r->wall_ms = note->wall_ms;
}

struct access_note *
access_note_copy(const struct access_note *note)
{
	size_t n = note->text.len;
	struct access_note *copy = malloc(sizeof(*copy) + n);

	if (!copy)
		return NULL;
	*copy = *note;
	copy->text = (struct strbuf){.data = (char *)(copy + 1), .len = n, .cap = n};
	if (n)
		memcpy(copy->text.data, note->text.data, n);
	return copy;
}

void
access_note_free(struct access_note *note)
{
	free(note);
}

/* ---- where lines go ---- */

bool
access_open(struct access *a, struct sink *s, enum log_format format)
{
	access_close(a);
	a->format = format;
	if (s)
		a->feed = sink_feed_open(s);
	return !s || a->feed;
}

void
access_close(struct access *a)
{
	sink_feed_close(a->feed);
	a->feed = NULL;
	strbuf_fini(&a->line);
}

void
access_put(struct access *a, const struct access_record *r)
{
	strbuf_reset(&a->line);
	access_log_write(&a->line, a->format, r);
	if (a->line.failed)
		sink_drop(a->feed);
	else
		sink_put(a->feed, (struct str){a->line.data, a->line.len});
}
