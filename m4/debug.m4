dnl SPDX-License-Identifier: MIT
dnl ROOST_ENABLE_DEBUG: magic numbers, transition tables and asserts
AC_DEFUN([ROOST_ENABLE_DEBUG], [
	AC_ARG_ENABLE([debug],
		[AS_HELP_STRING([--enable-debug], [magic numbers, checked states, asserts])],
		[], [enable_debug=no])
	AS_IF([test "$enable_debug" = yes],
		[AC_DEFINE([ROOST_DEBUG], [1], [check magic numbers and states])],
		[AC_DEFINE([NDEBUG], [1], [no asserts])])
])
