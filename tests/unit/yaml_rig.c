/* SPDX-License-Identifier: MIT
 *
 * yaml_rig.c - configurations that must be good, bad, or the same; see yaml_rig.h.
 */
#include "yaml_rig.h"

#include "base/strbuf.h"
#include "config/config.h"

#include <check.h>

static const struct config_flags no_flags;

struct config *
good(const char *yaml)
{
	struct strbuf errors = STRBUF_INIT;
	struct config *c =
	    config_parse("r.yaml", yaml, strlen(yaml), &no_flags, &errors);

	ck_assert_msg(c && errors.len == 0, "%s\n%s", yaml, strbuf_cstr(&errors));
	strbuf_fini(&errors);
	return c;
}

void
bad_with(const char *yaml, const struct config_flags *flags, const char *expected)
{
	struct strbuf errors = STRBUF_INIT;
	struct config *c =
	    yaml ? config_parse("r.yaml", yaml, strlen(yaml), flags, &errors)
		 : config_load(NULL, flags, &errors);

	ck_assert_ptr_null(c);
	ck_assert_str_eq(strbuf_cstr(&errors), expected);
	strbuf_fini(&errors);
}

void
bad(const char *yaml, const char *expected)
{
	bad_with(yaml, &no_flags, expected);
}

void
check_same(const struct config *a, const struct config *b)
{
	struct strbuf changes = STRBUF_INIT, restart = STRBUF_INIT;

	config_diff(a, b, &changes, &restart);
	ck_assert_str_eq(strbuf_cstr(&changes), "");
	ck_assert_str_eq(strbuf_cstr(&restart), "");
	strbuf_fini(&changes);
	strbuf_fini(&restart);
}

void
check_round_trip(const char *yaml)
{
	struct strbuf text = STRBUF_INIT, again = STRBUF_INIT;
	struct config *a = good(yaml), *b;

	config_dump(a, &text);
	b = good(strbuf_cstr(&text));
	check_same(a, b);
	config_dump(b, &again);
	ck_assert_str_eq(strbuf_cstr(&text), strbuf_cstr(&again));
	config_free(a);
	config_free(b);
	strbuf_fini(&text);
	strbuf_fini(&again);
}

void
check_diff(const char *a, const char *b, const char *changes, const char *restart)
{
	struct strbuf changed = STRBUF_INIT, needed = STRBUF_INIT;
	struct config *old = good(a), *new = good(b);

	config_diff(old, new, &changed, &needed);
	ck_assert_str_eq(strbuf_cstr(&changed), changes);
	ck_assert_str_eq(strbuf_cstr(&needed), restart);
	config_free(old);
	config_free(new);
	strbuf_fini(&changed);
	strbuf_fini(&needed);
}
