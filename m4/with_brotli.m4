dnl SPDX-License-Identifier: MIT
dnl ROOST_WITH_BROTLI: responses in brotli; the decoder is for the unit tests alone
AC_DEFUN([ROOST_WITH_BROTLI], [
	AC_ARG_WITH([brotli],
		[AS_HELP_STRING([--with-brotli=auto|yes|no],
			[compress responses with brotli, too (default: if found)])],
		[], [with_brotli=auto])
	have_brotli=no
	AS_CASE([$with_brotli],
		[no], [],
		[auto|yes], [PKG_CHECK_MODULES([BROTLI], [libbrotlienc >= 1.0],
			[have_brotli=yes], [have_brotli=no])],
		[AC_MSG_ERROR([--with-brotli takes auto, yes or no])])
	AS_IF([test "$with_brotli$have_brotli" = yesno],
		[AC_MSG_ERROR([libbrotlienc not found (Debian: libbrotli-dev)])])
	AS_IF([test "$have_brotli" = yes], [
		AC_DEFINE([HAVE_BROTLI], [1], [responses can be compressed with brotli])
		PKG_CHECK_MODULES([BROTLI_DECODER], [libbrotlidec >= 1.0],
			[AC_DEFINE([HAVE_BROTLI_DECODER], [1],
				[the unit tests can undo it])], [:])
	])
])
