/* SPDX-License-Identifier: MIT
 *
 * process.c - user, pid file, limits, background; see process.h.
 */
#include "daemon/process.h"

#include "base/append.h"
#include "base/log.h"
#include "base/strbuf.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OTHER_DESCRIPTORS = 64 }; /* for names, checks, the admin API */

static int ready_fd = -1; /* the waiting parent's pipe */
static char *pid_path;
static int pid_fd = -1;

/* ---- user ---- */

struct identity {
	uid_t uid;
	gid_t gid;
	char name[64];
};

static bool
find_group(const char *name, struct identity *id, struct strbuf *error)
{
	struct group *g = getgrnam(name);

	if (g)
		id->gid = g->gr_gid;
	else
		strbuf_printf(error, "no such group: %s", name);
	return g != NULL;
}

static bool
find_identity(const char *user, struct identity *id, struct strbuf *error)
{
	const char *colon = strchr(user, ':');
	size_t n = colon ? (size_t)(colon - user) : strlen(user);
	struct passwd *pw;

	if (n == 0 || n >= sizeof id->name) {
		strbuf_printf(error, "not a user: %s", user);
		return false;
	}
	memcpy(id->name, user, n);
	id->name[n] = '\0';
	pw = getpwnam(id->name);
	if (!pw) {
		strbuf_printf(error, "no such user: %s", id->name);
		return false;
	}
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	return !colon || find_group(colon + 1, id, error);
}

bool
process_user_check(const char *user, struct strbuf *error)
{
	struct identity id;

	return find_identity(user, &id, error);
}

void
process_give_logs(const char *user)
{
	struct strbuf ignored = STRBUF_INIT;
	struct identity id;

	if (geteuid() == 0 && find_identity(user, &id, &ignored))
		append_owner(id.uid, id.gid);
	strbuf_fini(&ignored);
}

/* The groups first, while we may; then nothing leads back: all three ids change, and
 * with the last of root the kernel takes the capabilities as well. */
static bool
become(const struct identity *id)
{
	if (geteuid() == 0 && initgroups(id->name, id->gid))
		return false;
	return setresgid(id->gid, id->gid, id->gid) == 0 &&
	       setresuid(id->uid, id->uid, id->uid) == 0;
}

bool
process_forbid_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

bool
process_drop_privileges(const char *user, struct strbuf *error)
{
	struct identity id;

	if (!find_identity(user, &id, error))
		return false;
	if (!become(&id)) {
		strbuf_printf(error, "cannot become %s: %s", user, strerror(errno));
		return false;
	}
	if (id.uid && (setuid(0) == 0 || seteuid(0) == 0)) {
		strbuf_printf(error, "cannot become %s for good", user);
		return false;
	}
	return true;
}

bool
process_allow_core_dumps(struct strbuf *error)
{
	struct rlimit limit;

	/* a change of the user took that away */
	if (getrlimit(RLIMIT_CORE, &limit) || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)) {
		strbuf_printf(error, "no core dumps: %s", strerror(errno));
		return false;
	}
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_CORE, &limit) || limit.rlim_cur == 0) {
		strbuf_printf(error, "no core dumps: their size is limited to 0");
		return false;
	}
	return true;
}

/* ---- background ---- */

/* The parent's part: waits for a word or the child's end. */
static void
wait_for_child(pid_t child, int fd)
{
	char word;
	int status;

	if (read(fd, &word, 1) == 1)
		_exit(EXIT_SUCCESS);
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	_exit(EXIT_FAILURE);
}

bool
process_detach(void)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC))
		return false;
	child = fork();
	if (child < 0) {
		close(fds[0]);
		close(fds[1]);
		return false;
	}
	close(fds[child ? 1 : 0]);
	if (child)
		wait_for_child(child, fds[0]);
	ready_fd = fds[1];
	setsid();
	return true;
}

/* Lets go of the terminal, or of whatever waits for the end of our output. */
static void
leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
}

void
process_ready(void)
{
	if (ready_fd < 0)
		return;
	leave_terminal();
	/* a parent that was killed meanwhile is no reason to stop */
	if (write(ready_fd, "", 1) < 0)
		errno = 0;
	close(ready_fd);
	ready_fd = -1;
}

/* ---- pid file ---- */

/* Who holds the lock says who it is. */
static void
complain_held(const char *path, int fd, struct strbuf *error)
{
	char text[32] = "";
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (pid > 0)
		strbuf_printf(error, "%s: roost is running already (process %ld)", path,
		    pid);
	else
		strbuf_printf(error, "%s: held by another process", path);
}

/* Is this still the file of that name? The one who held it may just have removed it. */
static bool
is_file_of(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* The locked file, or -1. */
static int
pid_file_lock(const char *path, struct strbuf *error)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

		if (fd < 0) {
			strbuf_printf(error, "%s: %s", path, strerror(errno));
			return -1;
		}
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			complain_held(path, fd, error);
			close(fd);
			return -1;
		}
		if (is_file_of(fd, path))
			return fd;
		close(fd);
	}
}

bool
process_pid_file(const char *path, struct strbuf *error)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	int fd = pid_file_lock(path, error);

	if (fd < 0)
		return false;
	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n) {
		strbuf_printf(error, "%s: %s", path, strerror(errno));
		close(fd);
		return false;
	}
	pid_fd = fd; /* stays open: it carries the lock */
	pid_path = strdup(path);
	return true;
}

void
process_pid_file_remove(void)
{
	/* where the folder is not ours any more, it says at least that nobody is there
	 */
	if (pid_path && unlink(pid_path) && ftruncate(pid_fd, 0))
		log_debug(TOPIC_DAEMON, "%s stays (%m)", pid_path);
	free(pid_path);
	pid_path = NULL;
	if (pid_fd >= 0)
		close(pid_fd);
	pid_fd = -1;
}

int
process_pid_file_fd(void)
{
	return pid_fd;
}

bool
process_pid_file_adopt(const char *path, int fd, struct strbuf *error)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

	pid_fd = fd;
	pid_path = strdup(path);
	if (pwrite(fd, text, (size_t)n, 0) == n && ftruncate(fd, n) == 0)
		return true;
	strbuf_printf(error, "%s: %s", path, strerror(errno));
	return false;
}

void
process_pid_file_leave(void)
{
	free(pid_path);
	pid_path = NULL;
}

/* ---- limits ---- */

unsigned long
process_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	return (unsigned long)limit.rlim_cur;
}

unsigned long
process_room_for_sessions(unsigned long descriptors)
{
	unsigned long used = OTHER_DESCRIPTORS;
	DIR *open_now = opendir("/proc/self/fd");

	while (open_now && readdir(open_now))
		used++;
	if (open_now)
		closedir(open_now);
	return descriptors > used ? (descriptors - used) / 2 : 0;
}

unsigned
process_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set))
		return 1;
	return CPU_COUNT(&set) > 0 ? (unsigned)CPU_COUNT(&set) : 1;
}
