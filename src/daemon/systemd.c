/* SPDX-License-Identifier: MIT
 *
 * systemd.c - with libsystemd; see systemd.h.
 */
#include "daemon/systemd.h"

#include <systemd/sd-daemon.h>
#include <time.h>

/* What cannot be sent is systemd's loss: it says so itself, by a timeout. */

int
systemd_sockets(int *first_r)
{
	int n = sd_listen_fds(1);

	*first_r = SD_LISTEN_FDS_START;
	return n > 0 ? n : 0;
}

uint64_t
systemd_watchdog_ms(void)
{
	uint64_t us;

	return sd_watchdog_enabled(0, &us) > 0 ? us / 1000 : 0;
}

void
systemd_alive(void)
{
	sd_notify(0, "WATCHDOG=1");
}

void
systemd_ready(const char *status)
{
	sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void
systemd_status(const char *status)
{
	sd_notifyf(0, "STATUS=%s", status);
}

void
systemd_reloading(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading",
	    (unsigned long long)t.tv_sec * 1000000 +
		(unsigned long long)t.tv_nsec / 1000);
}

void
systemd_stopping(void)
{
	sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

void
systemd_main_process(pid_t pid)
{
	sd_notifyf(0, "MAINPID=%ld", (long)pid);
}
