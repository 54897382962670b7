/* SPDX-License-Identifier: MIT
 *
 * forwarded.c - who the proxies in front of us say the client is; see forwarded.h.
 *
 * What stands at the left of these lists is whatever the client made up; only the right
 * end was written by proxies that we trust. So everything here goes from right to left,
 * the cutting of the lists included: no unclosed quote, stray escape or endless list of
 * the client's can change how the elements to the right of it are read.
 *
 * Threads: any; there is no state.
 */
#include "message/forwarded.h"

#include "message/scan.h"

enum { NODE_MAX = 64 }; /* no address with port is as long */

/* The elements of all lines of one header, from the last to the first. */
struct cursor {
	const struct head *head;
	enum header_id id;
	unsigned left;   /* lines of the head not looked at */
	struct str list; /* what is left of the line */
};

static struct cursor
cursor_of(const struct head *head, enum header_id id)
{
	return (struct cursor){.head = head, .id = id, .left = head->n_headers};
}

/* Is p[at] a quote that begins or ends a quoted string? One behind an odd number of
 * backslashes is part of it. */
static bool
is_quote(const char *p, size_t at)
{
	size_t n = at;

	if (p[at] != '"')
		return false;
	while (n && p[n - 1] == '\\')
		n--;
	return (at - n) % 2 == 0;
}

/* Cuts the last element off a list whose elements may have quoted strings. */
static struct str
last_cut(struct str *list)
{
	bool quoted = false;
	size_t at = list->n;
	struct str element;

	while (at && (quoted || list->p[at - 1] != ',')) {
		at--;
		quoted ^= is_quote(list->p, at);
	}
	element = (struct str){list->p + at, list->n - at};
	list->n = at ? at - 1 : 0;
	return str_trim(element);
}

static bool
cursor_next(struct cursor *c, struct str *element_r)
{
	for (;;) {
		while (c->list.n) {
			*element_r = last_cut(&c->list);
			if (element_r->n)
				return true;
		}
		if (c->left == 0)
			return false;
		c->left--;
		if (c->head->headers[c->left].id == c->id)
			c->list = c->head->headers[c->left].value;
	}
}

/* ---- nodes (RFC 7239, 6) ---- */

/* Without a port that is no number but a name made up for it (":_x"). */
static struct str
hidden_port_cut(struct str node)
{
	for (size_t n = node.n; n > 1; n--) {
		char c = node.p[n - 1];

		if (c == ':' && n < node.n && node.p[n] == '_')
			return (struct str){node.p, n - 1};
		if (c == ':' || !(char_classes[(unsigned char)c] & CHAR_TOKEN))
			break;
	}
	return node;
}

/* An address with or without port; v6 with port in brackets only, v4 never. The port is
 * left out: what it says holds between that client and that proxy. */
static bool
node_parse(struct str node, struct addr *addr_r)
{
	bool bracketed = node.n && node.p[0] == '[';
	struct addr a;
	struct str host;
	uint16_t port;

	node = hidden_port_cut(node);
	if (!addr_parse_ip(node, &a) &&
	    (!addr_split(node, &host, &port) || !addr_parse_ip(host, &a)))
		return false;
	if (bracketed && a.sa.sa_family != AF_INET6)
		return false;
	*addr_r = a;
	return true;
}

/* ---- elements of Forwarded (RFC 7239, 4) ---- */

static void
blanks_skip(struct str *text)
{
	while (text->n && (text->p[0] == ' ' || text->p[0] == '\t'))
		text->p++, text->n--;
}

static void
advance(struct str *text, size_t n)
{
	text->p += n;
	text->n -= n;
}

/* Cuts a quoted string off, without quotes and escapes, into buf; what is too long for
 * it is cut, too, but is never an address. */
static bool
quoted_cut(struct str *text, char buf[NODE_MAX], struct str *value_r)
{
	size_t n = 0;

	for (size_t i = 1; i < text->n; i++) {
		if (text->p[i] == '"') {
			*value_r = (struct str){buf, n < NODE_MAX ? n : 0};
			advance(text, i + 1);
			return true;
		}
		if (text->p[i] == '\\' && ++i == text->n)
			break;
		if (n < NODE_MAX)
			buf[n++] = text->p[i];
	}
	return false;
}

/* Cuts the next name=value off an element, up to its semicolon. An address that should
 * have been quoted
 * ("1.2.3.4:80") is taken as it is. */
static bool
pair_cut(struct str *text, struct str *name_r, char buf[NODE_MAX], struct str *value_r)
{
	const char *end = text->p + text->n, *p = span(text->p, end, CHAR_TOKEN);
	size_t n;

	*name_r = str_between(text->p, p);
	if (name_r->n == 0 || p == end || *p != '=')
		return false;
	advance(text, name_r->n + 1);
	if (text->n && text->p[0] == '"') {
		if (!quoted_cut(text, buf, value_r))
			return false;
	} else {
		for (n = 0; n < text->n && !memchr("; \t\",", text->p[n], 5); n++)
			;
		*value_r = (struct str){text->p, n};
		advance(text, n);
	}
	blanks_skip(text);
	return text->n == 0 || text->p[0] == ';';
}

/* The value of one parameter, found once in a well-formed element; buf is its memory
 * where it was quoted. */
static bool
parameter_find(struct str element, struct str wanted, char buf[NODE_MAX],
    struct str *value_r)
{
	char other[NODE_MAX];
	struct str name, value;
	bool found = false;

	for (;;) {
		while (element.n && element.p[0] == ';') {
			advance(&element, 1);
			blanks_skip(&element);
		}
		if (element.n == 0)
			return found;
		if (!pair_cut(&element, &name, other, &value))
			return false;
		if (!str_ieq(name, wanted))
			continue;
		if (found)
			return false;
		found = true;
		*value_r = value;
		if (value.p == other) {
			memcpy(buf, other, value.n);
			value_r->p = buf;
		}
	}
}

/* ---- who, and how ---- */

static bool
hop_parse(const struct cursor *c, struct str element, struct addr *addr_r)
{
	char buf[NODE_MAX];
	struct str node = element;

	if (c->id == HEADER_FORWARDED &&
	    !parameter_find(element, STR("for"), buf, &node))
		return false;
	return node_parse(node, addr_r);
}

static bool
is_trusted(const struct addr *a, const struct addr_range *trusted, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (addr_in_range(a, &trusted[i]))
			return true;
	return false;
}

/* True when the list has elements at all. */
static bool
list_client(struct cursor c, const struct addr_range *trusted, size_t n_trusted,
    bool *found_r, struct addr *client_r)
{
	struct str element;
	struct addr hop;
	bool any = false;

	*found_r = false;
	while (cursor_next(&c, &element)) {
		any = true;
		if (!hop_parse(&c, element, &hop))
			break;
		*client_r = hop;
		*found_r = true;
		if (!is_trusted(&hop, trusted, n_trusted))
			break;
	}
	return any;
}

bool
forwarded_client(const struct head *head, const struct addr_range *trusted,
    size_t n_trusted, struct addr *client_r)
{
	bool found;

	if (!list_client(cursor_of(head, HEADER_X_FORWARDED_FOR), trusted, n_trusted,
		&found, client_r))
		(void)list_client(cursor_of(head, HEADER_FORWARDED), trusted, n_trusted,
		    &found, client_r);
	return found;
}

static bool
is_tls_scheme(struct str scheme)
{
	return str_ieq(scheme, STR("https")) || str_ieq(scheme, STR("wss"));
}

bool
forwarded_is_https(const struct head *head)
{
	struct cursor c = cursor_of(head, HEADER_X_FORWARDED_PROTO);
	struct str element, proto;
	char buf[NODE_MAX];

	if (cursor_next(&c, &element))
		return is_tls_scheme(element);
	c = cursor_of(head, HEADER_FORWARDED);
	return cursor_next(&c, &element) &&
	       parameter_find(element, STR("proto"), buf, &proto) &&
	       is_tls_scheme(proto);
}

/* ---- ids ---- */

bool
request_id_is_good(struct str id)
{
	if (id.n < 1 || id.n > 128)
		return false;
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];

		if (!is_digit(c) && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') &&
		    !memchr("-_.:+/=@", c, 8))
			return false;
	}
	return true;
}

/* n lower-case hexadecimal digits, not all zero unless they may be. */
static bool
is_hex_id(const char *p, size_t n, bool may_be_zero)
{
	bool zero = true;

	for (size_t i = 0; i < n; i++) {
		if (!is_hex(p[i]) || (p[i] >= 'A' && p[i] <= 'F'))
			return false;
		zero &= p[i] == '0';
	}
	return may_be_zero || !zero;
}

/* 00-<32 of the trace>-<16 of the parent>-<2 of flags> */
bool
traceparent_is_good(struct str value, struct str *trace_id_r)
{
	if (value.n != 55 || memcmp(value.p, "00-", 3) != 0 || value.p[35] != '-' ||
	    value.p[52] != '-')
		return false;
	if (!is_hex_id(value.p + 3, 32, false) || !is_hex_id(value.p + 36, 16, false) ||
	    !is_hex_id(value.p + 53, 2, true))
		return false;
	*trace_id_r = (struct str){value.p + 3, 32};
	return true;
}
