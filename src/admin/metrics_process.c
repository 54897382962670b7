/* SPDX-License-Identifier: MIT
 *
 * metrics_process.c - what is known of roost as a whole and of its process, as samples.
 */
#include "admin/metrics_sources.h"

#include "admin/api_private.h"
#include "admin/metrics.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sink.h"
#include "config/config.h"
#include "route/pins.h"
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void
sample_seconds(struct exposition *e, const struct metric *m, int64_t ms)
{
	sample_begin(e, m, "", NULL, NULL);
	strbuf_printf(e->out, "%lld.%03lld\n", (long long)ms / 1000,
	    (long long)ms % 1000);
}

/* ---- roost ---- */

void
write_pins(struct exposition *e, const struct metric *m)
{
	struct pins_census census;

	pins_census(e->admin->host.pins, &census);
	sample(e, m, census.held, (const char *[]){"use"});
	sample(e, m, census.websocket, (const char *[]){"websocket_lock"});
	sample(e, m, census.http, (const char *[]){"http_lock"});
}

void
write_pins_evicted(struct exposition *e, const struct metric *m)
{
	struct pins_census census;

	pins_census(e->admin->host.pins, &census);
	sample(e, m, census.evicted, NULL);
}

void
write_pins_max(struct exposition *e, const struct metric *m)
{
	const struct admin_host *host = &e->admin->host;

	sample(e, m, host->snapshot(host->arg)->config->pins.max, NULL);
}

void
write_workers(struct exposition *e, const struct metric *m)
{
	const struct admin_host *host = &e->admin->host;

	sample(e, m, host->n_workers(host->arg), NULL);
}

void
write_reloads(struct exposition *e, const struct metric *m)
{
	sample(e, m, e->admin->reloads, (const char *[]){"good"});
	sample(e, m, e->admin->reloads_failed, (const char *[]){"bad"});
}

void
write_loaded(struct exposition *e, const struct metric *m)
{
	sample_seconds(e, m, e->admin->loaded_wall_ms);
}

void
write_lines_dropped(struct exposition *e, const struct metric *m)
{
	const struct sink *access = e->admin->host.access_log;

	sample(e, m, log_dropped(), (const char *[]){"log"});
	sample(e, m, access ? sink_dropped(access) : 0, (const char *[]){"access_log"});
}

void
write_held_back(struct exposition *e, const struct metric *m)
{
	sample(e, m, log_held_back(), NULL);
}

void
write_build(struct exposition *e, const struct metric *m)
{
	sample(e, m, 1, (const char *[]){PACKAGE_VERSION});
}

/* ---- the process ---- */

void
write_cpu(struct exposition *e, const struct metric *m)
{
	struct timespec ts = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	sample_begin(e, m, "", NULL, NULL);
	strbuf_printf(e->out, "%lld.%06ld\n", (long long)ts.tv_sec, ts.tv_nsec / 1000);
}

/* Of /proc/self/statm, in bytes: the whole, and what is in RAM. */
static void
read_memory(unsigned long long *virtual_r, unsigned long long *resident_r)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long page = (unsigned long long)sysconf(_SC_PAGESIZE);

	*virtual_r = *resident_r = 0;
	if (!file)
		return;
	if (fscanf(file, "%llu %llu", virtual_r, resident_r) != 2)
		*virtual_r = *resident_r = 0;
	*virtual_r *= page;
	*resident_r *= page;
	fclose(file);
}

void
write_resident(struct exposition *e, const struct metric *m)
{
	unsigned long long all, resident;

	read_memory(&all, &resident);
	sample(e, m, resident, NULL);
}

void
write_virtual(struct exposition *e, const struct metric *m)
{
	unsigned long long all, resident;

	read_memory(&all, &resident);
	sample(e, m, all, NULL);
}

/* Newer kernels tell their number as the size of the directory; else they are counted,
 * which takes a while where there are 100,000s. */
static uint64_t
count_descriptors(void)
{
	struct stat st;
	uint64_t n = 0;
	DIR *dir;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	dir = opendir("/proc/self/fd");
	if (!dir)
		return 0;
	for (const struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n - 1; /* the directory's own */
}

void
write_open_fds(struct exposition *e, const struct metric *m)
{
	sample(e, m, count_descriptors(), NULL);
}

void
write_max_fds(struct exposition *e, const struct metric *m)
{
	struct rlimit limit = {0};

	getrlimit(RLIMIT_NOFILE, &limit);
	sample(e, m, limit.rlim_cur, NULL);
}

void
write_start_time(struct exposition *e, const struct metric *m)
{
	sample_seconds(e, m, e->admin->started_wall_ms);
}
