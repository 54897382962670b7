/* SPDX-License-Identifier: MIT
 *
 * systemd.h - what systemd gives to a service and wants to hear from it.
 *
 * Built without libsystemd, or not started by systemd, nothing is given and nobody
 * listens; no caller has to care. Thread: main and control.
 */
#ifndef ROOST_DAEMON_SYSTEMD_H
#define ROOST_DAEMON_SYSTEMD_H

#include <stdint.h>
#include <sys/types.h>

/* Sockets of socket activation: how many, from first_r on. They are the caller's. Once.
 */
int systemd_sockets(int *first_r);

/* The time between two systemd_alive that must not be exceeded; 0: none. */
uint64_t systemd_watchdog_ms(void);

void systemd_alive(void);
void systemd_ready(const char *status);
void systemd_status(const char *status);
void systemd_reloading(void); /* until systemd_ready */
void systemd_stopping(void);

/* The service's main process is that one now. */
void systemd_main_process(pid_t pid);

#endif
