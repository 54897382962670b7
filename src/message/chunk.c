/* SPDX-License-Identifier: MIT
 *
 * chunk.c - a strict incremental decoder of the chunked coding.
 *
 *     SIZE --size > 0--> DATA --all of it--> DATA_END --CRLF--> SIZE
 *       `----size 0----> TRAILERS --empty line--> DONE
 *
 * A chunk's size line and the trailer section are taken whole or not at all, so the
 * decoder keeps no bytes; only data is handed out piecemeal.
 *
 * Owner and thread: the exchange whose body it reads.
 */
#include "message/chunk.h"

#include "message/head.h"
#include "message/scan.h"

enum { MAX_DIGITS = 15 };

enum state {
	STATE_SIZE,     /* for a size line */
	STATE_DATA,     /* for `left` bytes of data */
	STATE_DATA_END, /* for the CRLF behind them */
	STATE_TRAILERS, /* for the trailer section */
	STATE_DONE      /* for nothing: what follows is not ours */
};

static inline const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

/* Behind the closing quote; `end` while there is none; NULL at a forbidden byte. */
static const char *
quoted_skip(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		if (!(char_classes[(unsigned char)*p] & CHAR_VALUE))
			return NULL;
	}
	return p < end ? p + 1 : end;
}

/* Behind "name" or "name=value"; NULL when it is neither. At `end` it may be either
 * of them or only their beginning. */
static const char *
extension_skip(const char *p, const char *end)
{
	const char *start = p;

	p = span(p, end, CHAR_TOKEN);
	if (p == end)
		return end;
	if (p == start)
		return NULL;
	start = skip_blanks(p, end);
	if (start == end || *start != '=')
		return p;
	p = start = skip_blanks(start + 1, end);
	if (p < end && *p == '"')
		return quoted_skip(p, end);
	p = span(p, end, CHAR_TOKEN);
	return p == start && p < end ? NULL : p;
}

/* Behind *( BWS ";" BWS extension ), where only CRLF may stand. */
static const char *
extensions_skip(const char *p, const char *end)
{
	while (p && p < end && *p != '\r') {
		p = skip_blanks(p, end);
		if (p == end)
			return end;
		if (*p != ';')
			return NULL;
		p = extension_skip(skip_blanks(p + 1, end), end);
	}
	return p;
}

/* One size line. *at moves behind it only when it is whole. */
static enum parse
size_line_parse(const char **at, const char *end, uint64_t *size_r)
{
	const char *p = *at;
	enum parse verdict;
	uint64_t size = 0;

	for (; p < end && is_hex(*p); p++) {
		if (p - *at == MAX_DIGITS)
			return PARSE_BAD;
		size = size << 4 |
		       (uint64_t)(is_digit(*p) ? *p - '0' : (*p | 0x20) - 'a' + 10);
	}
	if (p == end)
		return PARSE_MORE;
	if (p == *at)
		return PARSE_BAD;
	p = extensions_skip(p, end);
	if (!p)
		return PARSE_BAD;
	verdict = crlf_parse(&p, end);
	if (verdict == PARSE_DONE) {
		*size_r = size;
		*at = p;
	}
	return verdict;
}

/* Fields that rule the message, the connection or the way may not come late, where a
 * recipient that merges trailers would believe them (RFC 9110, 6.5.1). */
static bool
trailer_is_allowed(enum header_id id)
{
	return id == HEADER_OTHER || id == HEADER_DATE || id == HEADER_X_REQUEST_ID;
}

static enum parse
trailers_parse(const char **at, const char *end, struct str *out_r)
{
	struct header lines[HEAD_MAX_HEADERS];
	const char *start = *at;
	enum parse verdict;
	enum reason why;
	unsigned count;
	size_t used;

	verdict = header_lines_parse(start, (size_t)(end - start), lines,
	    HEAD_MAX_HEADERS, &count, &used, &why);
	if (verdict != PARSE_DONE)
		return verdict;
	for (unsigned i = 0; i < count; i++)
		if (!trailer_is_allowed(lines[i].id))
			return PARSE_BAD;
	*out_r = (struct str){start, used - 2};
	*at = start + used;
	return PARSE_DONE;
}

static const char *
end_within(const char *p, const char *end, ptrdiff_t limit)
{
	return end - p > limit ? p + limit : end;
}

/* Takes one step of the drawing above that is not data. */
static enum parse
line_step(struct chunk_decoder *d, const char **at, const char *end, struct str *out_r)
{
	const char *line_end = end_within(*at, end, CHUNK_MAX_LINE);
	enum parse verdict;

	switch (d->state) {
	case STATE_SIZE:
		verdict = size_line_parse(at, line_end, &d->left);
		if (verdict == PARSE_DONE)
			d->state = d->left ? STATE_DATA : STATE_TRAILERS;
		else if (line_end - *at == CHUNK_MAX_LINE)
			return PARSE_BAD;
		return verdict;
	case STATE_DATA_END:
		verdict = crlf_parse(at, end);
		if (verdict == PARSE_DONE)
			d->state = STATE_SIZE;
		return verdict;
	default:
		line_end = end_within(*at, end, CHUNK_MAX_TRAILERS);
		verdict = trailers_parse(at, line_end, out_r);
		if (verdict == PARSE_DONE)
			d->state = STATE_DONE;
		else if (line_end - *at == CHUNK_MAX_TRAILERS)
			return PARSE_BAD;
		return verdict;
	}
}

static struct str
data_take(struct chunk_decoder *d, const char *p, size_t n)
{
	if (n > d->left)
		n = (size_t)d->left;
	d->left -= n;
	if (d->left == 0)
		d->state = STATE_DATA_END;
	return (struct str){p, n};
}

enum chunk_event
chunk_next(struct chunk_decoder *d, const char *p, size_t n, size_t *used_r,
    struct str *out_r)
{
	const char *at = p, *end = p + n;
	enum chunk_event event = CHUNK_END;

	*out_r = (struct str){at, 0};
	while (d->state != STATE_DONE) {
		enum parse verdict;

		if (d->state == STATE_DATA) {
			*out_r = data_take(d, at, (size_t)(end - at));
			at += out_r->n;
			event = out_r->n ? CHUNK_DATA : CHUNK_MORE;
			break;
		}
		verdict = line_step(d, &at, end, out_r);
		if (verdict != PARSE_DONE) {
			event = verdict == PARSE_BAD ? CHUNK_BAD : CHUNK_MORE;
			break;
		}
	}
	*used_r = (size_t)(at - p);
	return event;
}
