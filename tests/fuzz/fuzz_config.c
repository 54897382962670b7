/* SPDX-License-Identifier: MIT
 *
 * fuzz_config.c - any bytes as a configuration file: either there are errors, or what
 * was read survives being dumped and read again.
 */
#include "base/strbuf.h"
#include "config/config.h"
#include "config/load.h"
#include "fuzz.h"

static void
check_round_trip(const struct config *config)
{
	struct strbuf text = STRBUF_INIT, errors = STRBUF_INIT;
	struct strbuf changes = STRBUF_INIT, restart = STRBUF_INIT;
	struct config *again;

	config_dump(config, &text);
	again = config_parse("dump", text.data, text.len, NULL, &errors);
	if (!again)
		abort();
	config_diff(config, again, &changes, &restart);
	if (changes.len || restart.len)
		abort();
	config_free(again);
	strbuf_fini(&text);
	strbuf_fini(&errors);
	strbuf_fini(&changes);
	strbuf_fini(&restart);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strbuf errors = STRBUF_INIT;
	struct config *config =
	    config_parse("fuzz", (const char *)data, size, NULL, &errors);

	if (config)
		check_round_trip(config);
	if (!config == !errors.len)
		abort();
	config_free(config);
	strbuf_fini(&errors);
	return 0;
}
