/* SPDX-License-Identifier: MIT
 *
 * main.c - roostctl: asks a running roost, for people and scripts.
 */
#include "ctl/ctl.h"

int
main(int argc, char **argv)
{
	return ctl_run(argc, argv);
}
