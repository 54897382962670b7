dnl SPDX-License-Identifier: MIT
dnl ROOST_COVERAGE: gcov
AC_DEFUN([ROOST_COVERAGE], [
	AC_ARG_ENABLE([coverage],
		[AS_HELP_STRING([--enable-coverage], [instrument for gcov])],
		[], [enable_coverage=no])
	AS_IF([test "$enable_coverage" = yes], [
		CFLAGS="$CFLAGS -O0 --coverage"
		LDFLAGS="$LDFLAGS --coverage"
	])
])
