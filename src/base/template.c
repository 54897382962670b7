/* SPDX-License-Identifier: MIT
 *
 * template.c - text with {names} that a request fills in; see template.h.
 *
 * Compiled to a row of pieces, each a stretch of the text or a name. What is written
 * ends up in a header line, so control bytes are left out, wherever they came from: a
 * value must never be able to begin a line of its own.
 *
 * Threads: immutable after template_new, any.
 */
#include "base/template.h"

#include "base/strbuf.h"
#include <stdlib.h>

struct piece {
	struct str text; /* where there is no name */
	enum template_name name;
};

/* Owner: whoever made it. Thread: immutable, any. */
struct template
{
	size_t n_pieces;
	struct piece pieces[];
};

static const struct str names[TEMPLATE_NAMES] = {
#define ROW(id, text) [TEMPLATE_##id] = {text, sizeof(text) - 1}
    ROW(SCHEME, "scheme"),
    ROW(HOST, "host"),
    ROW(PATH, "path"),
    ROW(QUERY, "query"),
    ROW(URI, "uri"),
    ROW(METHOD, "method"),
    ROW(CLIENT, "client"),
    ROW(REQUEST_ID, "request_id"),
    ROW(UPSTREAM, "upstream"),
    ROW(BACKEND, "backend"),
#undef ROW
};

static bool
is_brace(char c)
{
	return c == '{' || c == '}';
}

/* Cuts {name} off the text, which begins with the brace. */
static bool
name_cut(struct str *text, enum template_name *name_r, struct str *bad_r)
{
	const char *end = memchr(text->p, '}', text->n);
	struct str name;

	if (!end || end == text->p + 1) {
		*bad_r = (struct str){text->p, end ? 2 : 1};
		return false;
	}
	name = (struct str){text->p + 1, (size_t)(end - text->p - 1)};
	for (int i = 0; i < TEMPLATE_NAMES; i++) {
		if (str_eq(name, names[i])) {
			*name_r = (enum template_name)i;
			text->p += name.n + 2;
			text->n -= name.n + 2;
			return true;
		}
	}
	*bad_r = name;
	return false;
}

/* Cuts the next piece off the text, which is not empty. */
static bool
piece_cut(struct str *text, struct piece *piece_r, struct str *bad_r)
{
	bool doubled = text->n > 1 && text->p[0] == text->p[1];
	size_t n = 0;

	piece_r->text = (struct str){NULL, 0};
	piece_r->name = TEMPLATE_NAMES;
	if (is_brace(text->p[0]) && !doubled) {
		*bad_r = (struct str){text->p, 1};
		return text->p[0] == '{' && name_cut(text, &piece_r->name, bad_r);
	}
	if (is_brace(text->p[0])) {
		piece_r->text = (struct str){text->p, 1};
		n = 2;
	} else {
		while (n < text->n && !is_brace(text->p[n]))
			n++;
		piece_r->text = (struct str){text->p, n};
	}
	text->p += n;
	text->n -= n;
	return true;
}

static bool
pieces_count(struct str text, size_t *n_r, struct str *bad_r)
{
	struct piece piece;

	for (*n_r = 0; text.n; ++*n_r)
		if (!piece_cut(&text, &piece, bad_r))
			return false;
	return true;
}

bool
template_check(struct str text, struct str *bad_r)
{
	size_t n;

	return pieces_count(text, &n, bad_r);
}

struct template *
template_new(const char *text)
{
	struct str rest = str_of(text), bad;
	struct template *t;
	size_t n;

	if (!pieces_count(rest, &n, &bad))
		return NULL;
	t = malloc(sizeof(*t) + n * sizeof(*t->pieces));
	if (!t)
		return NULL;
	t->n_pieces = n;
	for (size_t i = 0; i < n; i++)
		(void)piece_cut(&rest, &t->pieces[i], &bad);
	return t;
}

void
template_free(struct template *t)
{
	free(t);
}

/* Those of a header value are visible bytes, blanks and tabs (RFC 9110, 5.5). */
static bool
is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static void
append_clean(struct strbuf *out, struct str s)
{
	size_t start = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (is_control(s.p[i])) {
			strbuf_append(out, s.p + start, i - start);
			start = i + 1;
		}
	}
	if (start < s.n)
		strbuf_append(out, s.p + start, s.n - start);
}

void
template_expand(const struct template *t, const struct template_values *values,
    struct strbuf *out)
{
	for (size_t i = 0; i < t->n_pieces; i++) {
		const struct piece *piece = &t->pieces[i];

		append_clean(out, piece->name == TEMPLATE_NAMES
				      ? piece->text
				      : values->of[piece->name]);
	}
}
