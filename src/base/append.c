/* SPDX-License-Identifier: MIT
 *
 * append.c - opens files that lines are appended to; see append.h.
 */
#include "base/append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

enum {
	FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
	MODE = 0640
};

static struct {
	bool is_set;
	uid_t user;
	gid_t group;
} owner;

void
append_owner(uid_t user, gid_t group)
{
	owner.is_set = true;
	owner.user = user;
	owner.group = group;
}

int
append_open(const char *path)
{
	int fd = open(path, FLAGS | O_EXCL, MODE);

	if (fd < 0 && errno == EEXIST)
		return open(path, FLAGS, MODE);
	/* where that is not allowed the file is as good as one that was there */
	if (fd >= 0 && owner.is_set && fchown(fd, owner.user, owner.group))
		errno = 0;
	return fd;
}
