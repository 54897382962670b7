dnl SPDX-License-Identifier: MIT
dnl ROOST_SANITIZERS: --enable-sanitizers=address (with undefined behaviour) or thread
AC_DEFUN([ROOST_SANITIZERS], [
	AC_ARG_ENABLE([sanitizers],
		[AS_HELP_STRING([--enable-sanitizers=address|thread],
			[build with address and undefined, or thread sanitizer])],
		[], [enable_sanitizers=no])
	AS_CASE([$enable_sanitizers],
		[no], [],
		[yes|address], [sanitize="-fsanitize=address,undefined -fno-sanitize-recover=undefined"],
		[thread], [sanitize="-fsanitize=thread"],
		[AC_MSG_ERROR([--enable-sanitizers takes address or thread])])
	AS_IF([test "$enable_sanitizers" != no], [
		CFLAGS="$CFLAGS -O1 -g -fno-omit-frame-pointer $sanitize"
		LDFLAGS="$LDFLAGS $sanitize"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [],
			[AC_MSG_ERROR([the compiler cannot link with $sanitize])])
	])
])
