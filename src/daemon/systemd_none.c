/* SPDX-License-Identifier: MIT
 *
 * systemd_none.c - without libsystemd; see systemd.h.
 */
#include "daemon/systemd.h"

int
systemd_sockets(int *first_r)
{
	*first_r = 0;
	return 0;
}

uint64_t
systemd_watchdog_ms(void)
{
	return 0;
}

void
systemd_alive(void)
{
}

void
systemd_ready(const char *status)
{
}

void
systemd_status(const char *status)
{
}

void
systemd_reloading(void)
{
}

void
systemd_stopping(void)
{
}

void
systemd_main_process(pid_t pid)
{
}
