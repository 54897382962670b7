/* SPDX-License-Identifier: MIT
 *
 * yaml_rig.h - configurations that must be good, bad, or the same: for tests of
 * config/.
 */
#ifndef ROOST_TESTS_YAML_RIG_H
#define ROOST_TESTS_YAML_RIG_H

#include "config/load.h"

/* A configuration that must be good. */
struct config *good(const char *yaml);

/* All errors of a configuration that must be bad; yaml NULL: flags alone. */
void bad_with(const char *yaml, const struct config_flags *flags, const char *expected);
void bad(const char *yaml, const char *expected);

void check_same(const struct config *a, const struct config *b);

/* What it is dumped as is the same, and is dumped as the same. */
void check_round_trip(const char *yaml);

void check_diff(const char *a, const char *b, const char *changes, const char *restart);

#endif
