/* SPDX-License-Identifier: MIT
 *
 * fuzz_text.c - any bytes as each of the small things that are written as text:
 * addresses and ranges, templates, statuses, durations, cookies, tokens of lists,
 * a part of an admin API's path, a word for a terminal.
 *
 * What is read and printed is read as the same again, and nothing that is said to be
 * safe can leave its line.
 */
#include "admin/endpoints.h"
#include "base/addr.h"
#include "base/strbuf.h"
#include "base/template.h"
#include "config/form.h"
#include "ctl/arguments.h"
#include "ctl/out.h"
#include "fuzz.h"
#include "route/cookie.h"

static void
addresses_check(struct str text)
{
	char out[ADDR_TEXT];
	struct addr_range range;
	struct addr addr, again;
	struct str part;

	if (addr_parse(text, &addr)) {
		must(addr_parse(str_of(addr_print(&addr, true, out)), &again));
		must(addr_eq(&addr, &again));
	}
	if (addr_parse_ip(text, &addr)) {
		must(addr_parse_ip(str_of(addr_print(&addr, false, out)), &again));
		must(addr_eq(&addr, &again) && addr_port(&addr) == 0);
	}
	if (addr_range_parse(text, &range)) {
		must(addr_in_range(&range.addr, &range));
		must(range.bits <= 8 * sizeof(struct in6_addr));
	}
	if (addr_unix_path(text, &part))
		must(lies_within(part, text.p, text.n) && part.p[0] == '/');
}

static void
template_check_all(struct str text)
{
	static const char value[] = "v\r\nX: \x01y";
	struct template_values values;
	struct strbuf out = STRBUF_INIT, copy = STRBUF_INIT;
	struct template *template;
	struct str bad = {NULL, 0};
	bool good = template_check(text, &bad);

	must(good || (bad.n && lies_within(bad, text.p, text.n)));
	if (!good || (text.n && memchr(text.p, '\0', text.n)))
		return;
	for (size_t i = 0; i < TEMPLATE_NAMES; i++)
		values.of[i] = STR(value);
	strbuf_str(&copy, text);
	template = template_new(strbuf_cstr(&copy));
	must(template != NULL);
	template_expand(template, &values, &out);
	must(is_one_line((struct str){out.data, out.len}));
	template_free(template);
	strbuf_fini(&out);
	strbuf_fini(&copy);
}

static void
forms_check(struct str text)
{
	struct addr addr;

	if (form_is_text(text))
		must(text.n && is_one_line(text));
	if (form_is_request_header(text))
		must(form_is_token(text) && !str_ieq(text, STR("Connection")));
	if (form_is_authority(text) || form_is_origin(text) || form_is_location(text) ||
	    form_is_target(text) || form_is_media_type(text) ||
	    form_is_client_key(text))
		must(is_one_line(text) && !memchr(text.p, ' ', text.n));
	if (form_is_name_server(text) || form_is_listener_address(text))
		must(addr_parse(text, &addr) || addr_unix_path(text, &text));
	if (form_is_status_set(text))
		for (unsigned status = 0; status < 1000; status++)
			must(!form_status_set_has(text, status) ||
			     (status >= 100 && status <= 599));
}

static void
cookie_check(struct str text)
{
	static const uint8_t secret[HASH_SECRET];
	char value[COOKIE_VALUE + 1], id[COOKIE_ID + 1] = "";
	struct cookie cookie;
	struct str found;

	if (cookie_find(text, STR("roost"), &found))
		must(found.n == 0 || lies_within(found, text.p, text.n));
	else
		found = text;
	if (!cookie_parse(found, &cookie))
		return;
	memcpy(id, cookie.id.p, COOKIE_ID);
	cookie_write(value, secret, id, cookie.issued, 1, 2);
	must(memcmp(value, found.p, COOKIE_ID + 1 + 6 + 1) == 0);
	must(cookie_parse(str_of(value), &cookie) &&
	     cookie_names(&cookie, secret, 1, 2));
}

static void
list_check(struct str text)
{
	struct str list = text, element;

	while (str_next_element(&list, &element))
		must(element.n && lies_within(element, text.p, text.n) &&
		     str_eq(str_trim(element), element) &&
		     !memchr(element.p, ',', element.n));
}

static void
endpoint_check(struct str text)
{
	struct str rest = text, method = cut_at(&rest, ' ');
	struct endpoint_match match;
	char buf[32];

	if (endpoint_find(method, rest, &match) == ENDPOINT_FOUND) {
		must(match.n_args <= ENDPOINT_ARGS);
		for (size_t i = 0; i < match.n_args; i++)
			must(match.args[i].n &&
			     lies_within(match.args[i], rest.p, rest.n));
		(void)endpoint_has_parameter(match.endpoint, text);
	}
	if (endpoint_decode(text, buf, sizeof buf))
		must(strlen(buf) < sizeof buf && strlen(buf) <= text.n);
}

/* What takes a C string: the bytes up to a NUL. */
static void
words_check(const char *text)
{
	uint64_t ms;
	char *clean = text_clean(text);

	must(clean && strlen(clean) <= strlen(text));
	for (const char *p = clean; *p; p++)
		must((unsigned char)*p >= 0x20 || *p == '\n');
	free(clean);
	(void)text_width(text);
	if (duration_parse(text, &ms))
		must(text[0] >= '0' && text[0] <= '9');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	char *copy = strndup(text.p ? text.p : "", text.n);

	must(copy != NULL);
	addresses_check(text);
	template_check_all(text);
	forms_check(text);
	cookie_check(text);
	list_check(text);
	endpoint_check(text);
	words_check(copy);
	free(copy);
	return 0;
}
