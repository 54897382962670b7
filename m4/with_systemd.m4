dnl SPDX-License-Identifier: MIT
dnl ROOST_WITH_SYSTEMD: readiness, watchdog and socket activation; where the units go
AC_DEFUN([ROOST_WITH_SYSTEMD], [
	AC_ARG_WITH([systemd],
		[AS_HELP_STRING([--with-systemd=auto|yes|no],
			[speak with systemd and install units (default: if libsystemd is found)])],
		[], [with_systemd=auto])
	have_systemd=no
	AS_CASE([$with_systemd],
		[no], [],
		[auto|yes], [PKG_CHECK_MODULES([SYSTEMD], [libsystemd >= 246],
			[have_systemd=yes], [have_systemd=no])],
		[AC_MSG_ERROR([--with-systemd takes auto, yes or no])])
	AS_IF([test "$with_systemd$have_systemd" = yesno],
		[AC_MSG_ERROR([libsystemd not found (Debian: libsystemd-dev)])])
	AC_ARG_WITH([systemdsystemunitdir],
		[AS_HELP_STRING([--with-systemdsystemunitdir=DIR],
			[where units go (default: PREFIX/lib/systemd/system)])],
		[systemdunitdir=$withval], [systemdunitdir='$(prefix)/lib/systemd/system'])
	AC_SUBST([systemdunitdir])
	AM_CONDITIONAL([HAVE_SYSTEMD], [test "$have_systemd" = yes])
])
