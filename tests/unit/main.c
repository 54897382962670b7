/* SPDX-License-Identifier: MIT
 *
 * main.c - runs all unit test suites. CK_RUN_SUITE=head runs one of them.
 */
#include <check.h>
#include <stdlib.h>

#define SUITE(name) Suite *suite_##name(void);
#include "suites.def"
#undef SUITE

int
main(void)
{
	SRunner *runner;
	int failed;

	/* for what hangs: a busy machine takes longer than Check's own four seconds */
	setenv("CK_DEFAULT_TIMEOUT", "60", 0);
	runner = srunner_create(NULL);
#define SUITE(name) srunner_add_suite(runner, suite_##name());
#include "suites.def"
#undef SUITE
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
