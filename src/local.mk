# SPDX-License-Identifier: MIT
# Everything but main() is one internal library; daemon, tests and fuzzers link it.

noinst_LIBRARIES += libroost.a
libroost_a_SOURCES =

# tools that know nothing of proxying
libroost_a_SOURCES += \
	src/base/addr.c src/base/addr.h \
	src/base/banned.h \
	src/base/clock.c src/base/clock.h \
	src/base/hash.c src/base/hash.h \
	src/base/log.c src/base/log.h \
	src/base/object.h \
	src/base/random.c src/base/random.h \
	src/base/reasons.c src/base/reasons.def src/base/reasons.h \
	src/base/str.h \
	src/base/strbuf.c src/base/strbuf.h
