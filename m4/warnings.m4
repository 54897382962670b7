dnl SPDX-License-Identifier: MIT
dnl ROOST_WARNINGS: generous warnings; --enable-werror makes them errors (CI does)
AC_DEFUN([ROOST_WARNINGS], [
	AC_ARG_ENABLE([werror],
		[AS_HELP_STRING([--enable-werror], [make warnings errors])],
		[], [enable_werror=no])
	ROOST_CFLAGS="-std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes"
	ROOST_CFLAGS="$ROOST_CFLAGS -Wmissing-prototypes -Wpointer-arith -Wwrite-strings"
	ROOST_CFLAGS="$ROOST_CFLAGS -Wvla -Wundef -Wformat=2 -Wno-unused-parameter"
	AS_IF([test "$enable_werror" = yes], [ROOST_CFLAGS="$ROOST_CFLAGS -Werror"])
	ROOST_CFLAGS="$ROOST_CFLAGS -fno-strict-aliasing -fstack-protector-strong"
	AC_SUBST([ROOST_CFLAGS])
])
