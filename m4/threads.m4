dnl SPDX-License-Identifier: MIT
dnl ROOST_THREADS: threads by the compiler's own flag
AC_DEFUN([ROOST_THREADS], [
	CFLAGS="$CFLAGS -pthread"
	AC_CHECK_FUNC([pthread_create], [], [AC_MSG_ERROR([no POSIX threads])])
])
