/* SPDX-License-Identifier: MIT
 *
 * rig.c - an upstream to test with; see rig.h.
 */
#include "rig.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "config/load.h"
#include "route/pins.h"

#include <check.h>
#include <stdlib.h>

struct rig rig;

void
rig_begin(uint64_t seed)
{
	log_set_level(LEVEL_ERROR);
	hash_derive_secret(rig.secret, "s", 1);
	rig.pins = pins_new(1000000);
	chooser_init(&rig.chooser, rig.pins, rig.secret, seed);
}

static void
drop_pins(void)
{
	ck_assert(
	    pins_counts_are_right(rig.pins, rig.up->backends, rig.up->n_backends));
	chooser_fini(&rig.chooser);
	pins_free(rig.pins);
}

void
rig_forget(uint64_t seed)
{
	drop_pins();
	rig_begin(seed);
}

void
rig_end(void)
{
	drop_pins();
	for (size_t i = 0; i < rig.up->n_backends; i++) {
		const struct backend *b = rig.up->backends[i];

		ck_assert_uint_eq(atomic_load(&b->sessions), 0);
		ck_assert_uint_eq(atomic_load(&b->awaited), 0);
		ck_assert_uint_eq(atomic_load(&b->exchanges), 0);
		ck_assert_uint_eq(atomic_load(&b->opening), 0);
		ck_assert_uint_eq(atomic_load(&b->refs), 1);
	}
	snapshot_put(rig.snapshot);
	rig = (struct rig){.snapshot = NULL};
}

/* "b1 weight: 3" */
static void
write_backend(struct strbuf *text, const char *row, size_t n)
{
	size_t name = strcspn(row, " |"), rest = name;

	while (rest < n && row[rest] == ' ')
		rest++;
	strbuf_printf(text, "{name: %.*s, address: \"127.0.0.1:%lu\"%s%.*s},",
	    (int)name, row, 9000 + strtoul(row + 1, NULL, 10), rest < n ? ", " : "",
	    (int)(n - rest), row + rest);
}

static void
write_backends(struct strbuf *text, const char *backends)
{
	while (*backends) {
		size_t n = strcspn(backends, "|");

		write_backend(text, backends, n);
		backends += n;
		backends += strspn(backends, "| ");
	}
}

void
rig_configure(const char *settings, const char *backends)
{
	struct strbuf text = STRBUF_INIT, errors = STRBUF_INIT;
	struct snapshot *newer;
	struct config *config;

	strbuf_printf(&text,
	    "listeners: [{bind: \"127.0.0.1:0\"}]\n"
	    "upstreams: {chat: {%s backends: [",
	    settings);
	write_backends(&text, backends);
	strbuf_printf(&text, "]}}\n");
	config = config_parse("test", text.data, text.len, NULL, &errors);
	ck_assert_msg(config != NULL, "%s%s", strbuf_cstr(&text), strbuf_cstr(&errors));
	strbuf_fini(&text);
	strbuf_fini(&errors);
	newer = snapshot_new(config, rig.snapshot);
	ck_assert_ptr_nonnull(newer);
	snapshot_put(rig.snapshot);
	rig.snapshot = newer;
	rig.up = &newer->upstreams[0];
}

struct backend *
rig_backend(const char *name)
{
	for (size_t i = 0; i < rig.up->n_backends; i++)
		if (strcmp(rig.up->backends[i]->name, name) == 0)
			return rig.up->backends[i];
	return NULL;
}

unsigned
rig_sessions(const char *name)
{
	return atomic_load(&rig_backend(name)->sessions);
}

struct client_key
rig_client(uint64_t n)
{
	uint64_t stable = hash_stable(rig.up->id + rig.crowd, &n, sizeof(n));

	/* the same in each run of a seed, unlike hash_table_key */
	return (struct client_key){.found = true,
	    .hash = {hash_stable(stable, &n, sizeof(n)), stable},
	    .stable = stable};
}
