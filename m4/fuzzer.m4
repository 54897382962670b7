dnl SPDX-License-Identifier: MIT
dnl ROOST_FUZZER: build tests/fuzz/fuzz_* with clang's libFuzzer; without it the same
dnl sources are linked with replay.c, which runs the corpora in "make check"
AC_DEFUN([ROOST_FUZZER], [
	AC_ARG_ENABLE([fuzzer],
		[AS_HELP_STRING([--enable-fuzzer], [build fuzz targets with libFuzzer (clang)])],
		[], [enable_fuzzer=no])
	AS_IF([test "$enable_fuzzer" = yes], [
		CFLAGS="$CFLAGS -O1 -g -fsanitize=fuzzer-no-link,address,undefined"
		LDFLAGS="$LDFLAGS -fsanitize=address,undefined"
		FUZZER_LDFLAGS="-fsanitize=fuzzer"
	])
	AC_SUBST([FUZZER_LDFLAGS])
	AM_CONDITIONAL([FUZZER], [test "$enable_fuzzer" = yes])
])
