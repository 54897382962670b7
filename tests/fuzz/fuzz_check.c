/* SPDX-License-Identifier: MIT
 *
 * fuzz_check.c - any bytes as the answer to a health check, whole and in pieces.
 *
 * The first byte chooses what is checked, the second how the rest is cut, the third how
 * much of a body is looked at; the verdict must not depend on the cuts. Nor does the
 * reason, but for a head that breaks off: it is only looked at when all of it may be
 * there. A text is only found where it stands in what came.
 */
#include "fuzz.h"
#include "upstream/check.h"

static char path[] = "/health", status[] = "200-299,404", body[] = "ready";

/* As whoever connects: no more after a verdict, and an end where the bytes end. */
static enum check_verdict
judge(const struct config_health *conf, struct str input, uint64_t at_most,
    uint32_t seed, char why[CHECK_WHY])
{
	enum check_verdict verdict = CHECK_MORE;
	struct check check;

	check_init(&check, conf);
	check.at_most = at_most;
	while (verdict == CHECK_MORE && input.n) {
		size_t n = seed ? next_cut(&seed, 50) : input.n;
		char *piece;

		if (n > input.n)
			n = input.n;
		piece = malloc(n); /* ends where it ends */
		must(piece != NULL);
		memcpy(piece, input.p, n);
		verdict = check_take(&check, piece, n);
		free(piece);
		input.p += n;
		input.n -= n;
	}
	if (verdict == CHECK_MORE)
		verdict = check_end(&check);
	must(verdict == CHECK_GOOD || verdict == CHECK_BAD);
	must((verdict == CHECK_BAD) == (check.why[0] != '\0'));
	memcpy(why, check.why, CHECK_WHY);
	check_fini(&check);
	return verdict;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = {(const char *)data, size};
	unsigned how = cut_byte(&input);
	uint32_t seed = cut_byte(&input) + 1;
	uint64_t at_most = how & 4 ? cut_byte(&input) + 1 : CHECK_BODY_MAX;
	struct config_health conf = {.status = status, .body = how & 2 ? body : NULL};
	char why[CHECK_WHY] = "", why_cut[CHECK_WHY] = "";
	enum check_verdict whole;

	if (how & 1)
		conf.websocket = path;
	else
		conf.http = path;
	whole = judge(&conf, input, at_most, 0, why);
	must(whole == judge(&conf, input, at_most, seed, why_cut));
	must(strcmp(why, why_cut) == 0 ||
	     strcmp(why_cut, "closed without an answer") == 0);
	if (whole == CHECK_GOOD && conf.http && conf.body)
		must(memchr(input.p, 'r', input.n) && memchr(input.p, 'y', input.n));
	return 0;
}
