/* SPDX-License-Identifier: MIT
 *
 * check_amend.c - changes of backends while running, beside what the file says.
 */
#include "base/strbuf.h"
#include "config/load.h"
#include "upstream/amend.h"
#include "upstream/backend.h"
#include "upstream/upstream.h"

#include <check.h>

Suite *suite_amend(void);

static struct snapshot *snapshot;
static const struct upstream *up;

static void
take(struct snapshot *newer)
{
	ck_assert_ptr_nonnull(newer);
	snapshot_put(snapshot);
	snapshot = newer;
	up = &snapshot->upstreams[0];
}

/* A reload: "b1 3 up, b2 1 drain", with port 9000 + the digit. */
static void
reload(const char *upstream, const char *backends)
{
	struct strbuf text = STRBUF_INIT, errors = STRBUF_INIT;
	struct str list = str_of(backends), row;
	struct config *config;

	strbuf_printf(&text,
	    "listeners: [{bind: \"127.0.0.1:0\"}]\n"
	    "routes: [{path: /, upstream: %s}]\n"
	    "upstreams:\n  %s:\n    backends:\n",
	    upstream, upstream);
	while (str_next_element(&list, &row))
		strbuf_printf(&text,
		    "      - {name: %.2s, address: \"127.0.0.1:900%c\", weight: %c, "
		    "state: %.*s}\n",
		    row.p, row.p[1], row.p[3], (int)row.n - 5, row.p + 5);
	config = config_parse("test", text.data, text.len, NULL, &errors);
	ck_assert_msg(config != NULL, "%s", strbuf_cstr(&errors));
	strbuf_fini(&text);
	strbuf_fini(&errors);
	take(snapshot_new(config, snapshot));
}

static const struct config_backend *
row_named(const struct config_backend *rows, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static void
amend(const char *name, const struct config_backend *row)
{
	struct amendments *amendments;

	ck_assert(amendments_with(snapshot->amendments, "chat", name,
	    row_named(up->conf->backends, up->conf->n_backends, name), row,
	    &amendments));
	take(snapshot_amended(snapshot, amendments));
	amendments_put(amendments);
}

static void
set(const char *name, enum backend_admin_state state, unsigned weight)
{
	struct config_backend row = *row_named(up->rows, up->n_rows, name);

	row.state = state;
	row.weight = weight;
	amend(name, &row);
}

static void
add(const char *name, const char *address)
{
	struct config_backend row = {.name = (char *)name,
	    .address = (char *)address,
	    .weight = 4};

	amend(name, &row);
}

/* "b1 3 up, b2 1 drain" again, of the live records. */
static const char *
live(void)
{
	static char text[256];
	struct strbuf out = strbuf_over(text, sizeof(text));

	for (size_t i = 0; i < up->n_backends; i++) {
		const struct backend *b = up->backends[i];

		strbuf_printf(&out, "%s%s %u %s", i ? ", " : "", b->name,
		    atomic_load(&b->weight),
		    backend_state_name(atomic_load(&b->admin_state)));
	}
	return strbuf_cstr(&out);
}

static void
setup(void)
{
	snapshot = NULL;
	reload("chat", "b1 1 up, b2 2 up");
}

static void
teardown(void)
{
	snapshot_put(snapshot);
}

START_TEST(a_change_counts_at_once_and_keeps_the_record)
{
	struct backend *b1 = up->backends[0];

	set("b1", BACKEND_DRAIN, 5);
	ck_assert_str_eq(live(), "b1 5 drain, b2 2 up");
	ck_assert_ptr_eq(up->backends[0], b1);
	ck_assert(amendments_find(snapshot->amendments, "chat", "b1")->in_file);
	ck_assert_ptr_null(amendments_find(snapshot->amendments, "chat", "b2"));
	ck_assert_ptr_null(amendments_find(snapshot->amendments, "api", "b1"));
}
END_TEST

START_TEST(what_comes_to_the_same_as_the_file_is_no_amendment)
{
	set("b1", BACKEND_DRAIN, 5);
	set("b1", BACKEND_UP, 1);
	ck_assert_ptr_null(snapshot->amendments);
	ck_assert_str_eq(live(), "b1 1 up, b2 2 up");
}
END_TEST

START_TEST(one_is_added_behind_the_others_and_removed_again)
{
	struct backend *b3;

	add("b3", "127.0.0.1:9003");
	ck_assert_str_eq(live(), "b1 1 up, b2 2 up, b3 4 up");
	b3 = backend_get(up->backends[2]);
	set("b3", BACKEND_DRAIN, 6);
	ck_assert_str_eq(live(), "b1 1 up, b2 2 up, b3 6 drain");
	amend("b3", NULL);
	ck_assert_str_eq(live(), "b1 1 up, b2 2 up");
	ck_assert(atomic_load(&b3->removed));
	ck_assert_ptr_null(snapshot->amendments);
	backend_put(b3);
}
END_TEST

START_TEST(one_of_the_file_is_removed_and_added_elsewhere)
{
	amend("b1", NULL);
	ck_assert_str_eq(live(), "b2 2 up");
	add("b1", "127.0.0.1:9009");
	ck_assert_str_eq(live(), "b1 4 up, b2 2 up");
	ck_assert_str_eq(up->backends[0]->address, "127.0.0.1:9009");
	reload("chat", "b1 1 up, b2 2 up");
	ck_assert_str_eq(live(), "b1 4 up, b2 2 up");
	reload("chat", "b1 3 up, b2 2 up");
	ck_assert_str_eq(live(), "b1 3 up, b2 2 up");
	ck_assert_str_eq(up->backends[0]->address, "127.0.0.1:9001");
}
END_TEST

START_TEST(a_reload_that_says_nothing_new_changes_nothing)
{
	set("b1", BACKEND_DRAIN, 1);
	add("b3", "127.0.0.1:9003");
	amend("b2", NULL);
	for (int i = 0; i < 3; i++) {
		reload("chat", "b1 1 up, b2 2 up");
		ck_assert_str_eq(live(), "b1 1 drain, b3 4 up");
	}
}
END_TEST

START_TEST(the_file_wins_key_by_key)
{
	set("b1", BACKEND_DRAIN, 5);
	reload("chat", "b1 7 up, b2 2 up");
	ck_assert_str_eq(live(), "b1 7 drain, b2 2 up");
	reload("chat", "b1 7 up, b2 3 up");
	ck_assert_str_eq(live(), "b1 7 drain, b2 3 up");
	reload("chat", "b1 7 down, b2 3 up");
	ck_assert_str_eq(live(), "b1 7 down, b2 3 up");
	ck_assert_ptr_null(snapshot->amendments);
}
END_TEST

START_TEST(a_removed_one_comes_back_when_its_row_changes)
{
	amend("b1", NULL);
	reload("chat", "b1 1 up, b2 3 up");
	ck_assert_str_eq(live(), "b2 3 up");
	reload("chat", "b1 2 up, b2 3 up");
	ck_assert_str_eq(live(), "b1 2 up, b2 3 up");
}
END_TEST

START_TEST(an_added_one_becomes_the_files)
{
	struct backend *b3;

	add("b3", "127.0.0.1:9003");
	b3 = up->backends[2];
	reload("chat", "b1 1 up, b2 2 up, b3 1 up");
	ck_assert_str_eq(live(), "b1 1 up, b2 2 up, b3 1 up");
	ck_assert_ptr_eq(up->backends[2], b3);
	reload("chat", "b1 1 up, b2 2 up");
	ck_assert_str_eq(live(), "b1 1 up, b2 2 up");
}
END_TEST

START_TEST(what_is_gone_from_the_file_is_forgotten)
{
	set("b1", BACKEND_DRAIN, 1);
	add("b3", "127.0.0.1:9003");
	reload("api", "b1 1 up, b2 2 up");
	ck_assert_str_eq(live(), "b1 1 up, b2 2 up");
	reload("chat", "b1 1 up, b2 2 up");
	ck_assert_str_eq(live(), "b1 1 up, b2 2 up");
}
END_TEST

Suite *
suite_amend(void)
{
	Suite *suite = suite_create("amend");
	TCase *tc = tcase_create("amend");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_change_counts_at_once_and_keeps_the_record);
	tcase_add_test(tc, what_comes_to_the_same_as_the_file_is_no_amendment);
	tcase_add_test(tc, one_is_added_behind_the_others_and_removed_again);
	tcase_add_test(tc, one_of_the_file_is_removed_and_added_elsewhere);
	tcase_add_test(tc, a_reload_that_says_nothing_new_changes_nothing);
	tcase_add_test(tc, the_file_wins_key_by_key);
	tcase_add_test(tc, a_removed_one_comes_back_when_its_row_changes);
	tcase_add_test(tc, an_added_one_becomes_the_files);
	tcase_add_test(tc, what_is_gone_from_the_file_is_forgotten);
	suite_add_tcase(suite, tc);
	return suite;
}
