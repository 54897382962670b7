/* SPDX-License-Identifier: MIT
 *
 * form.c - what a value must look like to mean anything.
 */
#include "config/form.h"
#include "base/addr.h"
#include <sys/un.h>

enum {
	HOST_MAX = 253,
	LABEL_MAX = 63,
	NAME_MAX_BYTES = 128,
	TEXT_MAX = 1024,
	LINES_MAX = 4096,
	ANSWER_MAX = 1000,
	TAG_MAX = 32
};

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

static bool
consists_of(struct str s, const char *besides_alnum)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && (!s.p[i] || !strchr(besides_alnum, s.p[i])))
			return false;
	return s.n > 0;
}

/* UTF-8 that YAML does not keep as it is: the control codes U+0080 to U+009F, two more
 * line breaks (U+2028, U+2029), the byte order mark and what is no character. */
static bool
is_odd_utf8(const char *p, size_t n)
{
	static const char odd[][4] = {"\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf",
	    "\xef\xbf\xbe", "\xef\xbf\xbf"};

	if (n >= 2 && p[0] == '\xc2' && (unsigned char)p[1] < 0xa0)
		return true;
	for (size_t i = 0; n >= 3 && i < sizeof(odd) / sizeof(odd[0]); i++)
		if (memcmp(p, odd[i], 3) == 0)
			return true;
	return false;
}

/* Nothing but what can be printed, and what is allowed besides. */
static bool
is_printable(struct str s, const char *besides)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < 0x20 && (c == 0 || !strchr(besides, c))) || c == 0x7f ||
		    is_odd_utf8(s.p + i, s.n - i))
			return false;
	}
	return s.n > 0;
}

bool
form_is_text(struct str s)
{
	return s.n <= TEXT_MAX && is_printable(s, "");
}

bool
form_is_lines(struct str s)
{
	return s.n == 0 || (s.n <= LINES_MAX && is_printable(s, "\n\t"));
}

bool
form_is_token(struct str s)
{
	return s.n <= NAME_MAX_BYTES && consists_of(s, "!#$%&'*+-.^_`|~");
}

bool
form_is_method(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'a' && s.p[i] <= 'z')
			return false;
	return form_is_token(s);
}

/* What roost writes itself, because it frames messages and keeps connections. */
static bool
is_reserved_header(struct str s)
{
	static const char *const reserved[] = {"Connection", "Content-Length",
	    "Keep-Alive", "Roost-Rehomed-From", "Roost-Session",
	    "Sec-WebSocket-Extensions", "TE", "Trailer", "Transfer-Encoding",
	    "Upgrade"};

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (str_ieq(s, str_of(reserved[i])))
			return true;
	return s.n >= 6 && strncasecmp(s.p, "Proxy-", 6) == 0;
}

bool
form_is_request_header(struct str s)
{
	return form_is_token(s) && !is_reserved_header(s);
}

bool
form_is_editable_header(struct str s)
{
	return form_is_request_header(s) && !str_ieq(s, STR("Host"));
}

bool
form_is_media_type(struct str s)
{
	const char *slash = s.n ? memchr(s.p, '/', s.n) : NULL;
	size_t n = slash ? (size_t)(slash - s.p) : 0;

	return slash && form_is_token((struct str){s.p, n}) &&
	       form_is_token((struct str){slash + 1, s.n - n - 1});
}

/* example.com/x would be a path beside the request's. */
bool
form_is_location(struct str s)
{
	return s.n <= TEXT_MAX && consists_of(s, "/-._~!$&'()*+,;=:@%?#[]{}") &&
	       (s.p[0] == '/' || s.p[0] == '{' || memmem(s.p, s.n, "://", 3));
}

bool
form_is_answer(struct str s)
{
	return s.n >= 2 && s.n <= ANSWER_MAX && is_printable(s, "") && s.p[0] == '{' &&
	       s.p[s.n - 1] == '}';
}

bool
form_is_name(struct str s)
{
	return s.n <= NAME_MAX_BYTES && consists_of(s, "-_.");
}

bool
form_is_socket_path(struct str s)
{
	return s.n < sizeof(((struct sockaddr_un *)0)->sun_path) && form_is_text(s) &&
	       s.p[0] == '/';
}

bool
form_is_tag(struct str s)
{
	return s.n <= TAG_MAX && consists_of(s, "-_");
}

static bool
has_prefix(struct str s, struct str prefix)
{
	return s.n > prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0;
}

static bool
is_label(struct str s)
{
	return s.n <= LABEL_MAX && consists_of(s, "-_") && s.p[0] != '-' &&
	       s.p[s.n - 1] != '-';
}

static bool
is_number(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

static struct str
cut_label(struct str *rest)
{
	const char *dot = memchr(rest->p, '.', rest->n);
	struct str label = {rest->p, dot ? (size_t)(dot - rest->p) : rest->n};

	rest->p += label.n + (dot != NULL);
	rest->n -= label.n + (dot != NULL);
	return label;
}

/* The last label of a name is never a number, which keeps mistyped IPv4 addresses
 * from going to the resolver. */
static bool
is_hostname(struct str s)
{
	struct str label = {0};

	if (s.n == 0 || s.n > HOST_MAX || s.p[s.n - 1] == '.')
		return false;
	while (s.n) {
		label = cut_label(&s);
		if (!is_label(label))
			return false;
	}
	return !is_number(label);
}

static bool
is_numeric_host(struct str s)
{
	char text[HOST_MAX + 3];
	struct addr addr;

	if (s.n == 0 || s.n > HOST_MAX || s.p[0] == '*')
		return false;
	memcpy(text, s.p, s.n);
	memcpy(text + s.n, ":1", 2);
	return addr_parse((struct str){text, s.n + 2}, &addr);
}

bool
form_is_host(struct str s)
{
	if (s.n > 2 && s.p[0] == '*' && s.p[1] == '.')
		return is_hostname((struct str){s.p + 2, s.n - 2});
	return is_hostname(s) || (s.n && s.p[0] != '[' && is_numeric_host(s));
}

bool
form_is_path(struct str s)
{
	return s.n <= TEXT_MAX && s.n > 0 && s.p[0] == '/' &&
	       consists_of(s, "/-._~!$&'()*+,;=:@%");
}

bool
form_is_target(struct str s)
{
	return s.n <= TEXT_MAX && s.n > 0 && s.p[0] == '/' &&
	       consists_of(s, "/-._~!$&'()*+,;=:@%?");
}

/* Takes a status off the front. */
static bool
cut_status(struct str *s, unsigned *status_r)
{
	*status_r = 0;
	if (s->n < 3 || !is_number((struct str){s->p, 3}))
		return false;
	for (unsigned i = 0; i < 3; i++)
		*status_r = *status_r * 10 + (unsigned)(s->p[i] - '0');
	s->p += 3;
	s->n -= 3;
	return *status_r >= 100 && *status_r <= 599;
}

/* Takes "200" or "200-299" and what separates it from the next off the front. */
static bool
cut_statuses(struct str *s, unsigned *from_r, unsigned *to_r)
{
	if (!cut_status(s, from_r))
		return false;
	*to_r = *from_r;
	if (s->n && s->p[0] == '-') {
		s->p++, s->n--;
		if (!cut_status(s, to_r) || *to_r < *from_r)
			return false;
	}
	if (s->n == 0)
		return true;
	if (s->p[0] != ',' || s->n == 1)
		return false;
	s->p++, s->n--;
	return true;
}

bool
form_is_status_set(struct str s)
{
	unsigned from, to;

	if (s.n == 0 || s.n > TEXT_MAX)
		return false;
	while (s.n)
		if (!cut_statuses(&s, &from, &to))
			return false;
	return true;
}

bool
form_status_set_has(struct str set, unsigned status)
{
	unsigned from, to;

	while (set.n && cut_statuses(&set, &from, &to))
		if (status >= from && status <= to)
			return true;
	return false;
}

/* No equals sign, which -U takes for the beginning of a weight, and nothing that a
 * log line or a label would have to quote. */
static bool
is_unix_address(struct str s)
{
	struct str path;

	return addr_unix_path(s, &path) && path.n > 1 && path.p[0] == '/' &&
	       consists_of(path, "/-_.~+@%:,");
}

bool
form_is_listener_address(struct str s)
{
	struct addr addr;

	return addr_parse(s, &addr) || is_unix_address(s);
}

bool
form_is_backend_address(struct str s)
{
	struct str host;
	struct addr addr;
	uint16_t port;

	if (is_unix_address(s))
		return true;
	if (has_prefix(s, STR("srv:")))
		return is_hostname((struct str){s.p + 4, s.n - 4});
	if (!addr_split(s, &host, &port) || port == 0 || host.n == 0 ||
	    host.p[0] == '*')
		return false;
	return addr_parse(s, &addr) || is_hostname(host);
}

bool
form_is_name_server(struct str s)
{
	struct addr addr;

	return addr_parse(s, &addr) && addr.sa.sa_family == AF_INET &&
	       addr_port(&addr) != 0 && s.p[0] != '*' && s.p[0] != ':';
}

bool
form_is_backend_name(struct str s)
{
	return (s.n <= HOST_MAX + 8 && consists_of(s, "-_.:[]")) || is_unix_address(s);
}

bool
form_is_authority(struct str s)
{
	struct str host;
	struct addr addr;
	uint16_t port;

	if (addr_split(s, &host, &port))
		return port != 0 && (form_is_host(host) || addr_parse(s, &addr));
	return form_is_host(s) || (s.n && s.p[0] == '[' && addr_parse_ip(s, &addr));
}

bool
form_is_origin(struct str s)
{
	const char *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
	size_t n = colon ? (size_t)(colon - s.p) : 0;

	if (str_eq(s, STR("null")))
		return true;
	return n && s.n > n + 3 && s.n <= TEXT_MAX && memcmp(colon, "://", 3) == 0 &&
	       consists_of((struct str){s.p, n}, "+-.") &&
	       form_is_authority((struct str){colon + 3, s.n - n - 3});
}

bool
form_is_close_code(struct str s)
{
	return str_eq(s, STR("1012")) || str_eq(s, STR("1013")) ||
	       (s.n == 4 && (s.p[0] == '3' || s.p[0] == '4') && is_number(s));
}

bool
form_is_client_key(struct str s)
{
	struct str name = {0};

	if (has_prefix(s, STR("query:")))
		return s.n <= NAME_MAX_BYTES &&
		       consists_of((struct str){s.p + 6, s.n - 6},
			   "-._~!$'()*+,;:@/?%[]");
	if (has_prefix(s, STR("cookie:")) || has_prefix(s, STR("header:")))
		name = (struct str){s.p + 7, s.n - 7};
	return str_eq(s, STR("address")) || form_is_token(name);
}
