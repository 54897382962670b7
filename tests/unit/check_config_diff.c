/* SPDX-License-Identifier: MIT
 *
 * check_config_diff.c - each key, changed alone, is a difference; driven by the table
 * of keys, so that a new one is held to it without a line here.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "config/load.h"
#include "config/schema.h"
#include "config/value.h"
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

Suite *suite_config_diff(void);

static char page[] = "/tmp/check_config_diff.XXXXXX";

static void
make_page(void)
{
	int fd = mkstemp(page);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void
remove_page(void)
{
	unlink(page);
}

/* With an element of every list. */
static struct config *
one_of_each(void)
{
	struct strbuf text = STRBUF_INIT, errors = STRBUF_INIT;
	struct config *c;

	strbuf_printf(&text,
	    "listeners: [{bind: \"127.0.0.1:80\"}]\n"
	    "error_pages: [{status: 404, file: %s}]\n"
	    "routes: [{upstream: a, app_heartbeats: [{value: x, answer: \"{}\"}]}]\n"
	    "upstreams: {a: {backends: [{name: b, address: \"127.0.0.1:1\"}]}}\n",
	    page);
	c = config_parse("r.yaml", text.data, text.len, NULL, &errors);
	ck_assert_msg(c != NULL, "%s", strbuf_cstr(&errors));
	strbuf_fini(&text);
	strbuf_fini(&errors);
	return c;
}

/* The struct of a section: of lists the first element's. */
static char *
struct_of(struct config *c, enum section_id section)
{
	size_t n;
	char *found;

	if (section == SECTION_TOP)
		return (char *)c;
	found =
	    schema_elements(section, struct_of(c, schema_sections[section].parent), &n);
	ck_assert_msg(n > 0, "%s: empty", schema_sections[section].key);
	return found;
}

static void
change_array(const struct schema_row *row, char *base)
{
	static char *strings[] = {(char *)"other"};
	static struct config_header headers[] = {{(char *)"X", (char *)"other"}};
	const void *array =
	    row->type == VALUE_HEADERS ? (const void *)headers : (const void *)strings;
	size_t n;

	memcpy(&n, base + row->count, sizeof n);
	if (n == 0)
		memcpy(base + row->offset, &array, sizeof array);
	n = n ? n - 1 : 1;
	memcpy(base + row->count, &n, sizeof n);
}

static void
change(const struct schema_row *row, char *base)
{
	const struct value_name *names = row->names;
	const char *other = "other";
	unsigned was;

	switch (row->type) {
	case VALUE_STRING: memcpy(base + row->offset, &other, sizeof other); break;
	case VALUE_RANGES: base[row->unix_too] ^= 1; break;
	case VALUE_ENUM:
		memcpy(&was, base + row->offset, sizeof was);
		names += names->value == was;
		memcpy(base + row->offset, &names->value, sizeof names->value);
		break;
	case VALUE_CLIENT_KEYS:
	case VALUE_STRINGS:
	case VALUE_HEADERS: change_array(row, base); break;
	default: base[row->offset] ^= 1;
	}
}

/* What tells an element from others: it is another one then. */
static bool
is_identity(const struct schema_row *row)
{
	const struct schema_section *s = &schema_sections[row->section];

	for (size_t i = 0; i < sizeof s->id / sizeof *s->id; i++)
		if (s->id[i] && strcmp(s->id[i], row->key) == 0)
			return true;
	for (size_t i = 0; i < sizeof s->more / sizeof *s->more; i++)
		if (s->more[i] && strcmp(s->more[i], row->key) == 0)
			return true;
	return false;
}

START_TEST(each_key_changed_alone_is_named)
{
	const struct schema_row *row = &schema_rows[_i];
	struct strbuf path = STRBUF_INIT, changes = STRBUF_INIT, restart = STRBUF_INIT;
	struct config *old = one_of_each(), *new = one_of_each();
	char key[64];

	schema_path(row, &path);
	snprintf(key, sizeof key, "%s: ", row->key);
	config_diff(old, new, &changes, &restart);
	ck_assert_str_eq(strbuf_cstr(&changes), "");
	change(row, struct_of(new, row->section));
	config_diff(old, new, &changes, &restart);
	ck_assert_msg(changes.len > 0, "%s: not noticed", strbuf_cstr(&path));
	ck_assert_msg((restart.len == 0) == row->reloadable, "%s: %s",
	    strbuf_cstr(&path), strbuf_cstr(&restart));
	if (!is_identity(row))
		ck_assert_msg(strstr(strbuf_cstr(&changes), key) != NULL, "%s: %s",
		    strbuf_cstr(&path), strbuf_cstr(&changes));
	config_free(old);
	config_free(new);
	strbuf_fini(&path);
	strbuf_fini(&changes);
	strbuf_fini(&restart);
}
END_TEST

Suite *
suite_config_diff(void)
{
	Suite *s = suite_create("config_diff");
	TCase *t = tcase_create("keys");

	tcase_add_unchecked_fixture(t, make_page, remove_page);
	tcase_add_loop_test(t, each_key_changed_alone_is_named, 0, (int)schema_n_rows);
	suite_add_tcase(s, t);
	return s;
}
