# lib/base: errors, log, buffers, clock, times, files, and the scanner of one event.
noinst_LIBRARIES += lib/base/libbase.a
lib_base_libbase_a_SOURCES = \
	lib/base/buf.c lib/base/buf.h \
	lib/base/clock.c lib/base/clock.h \
	lib/base/err.c lib/base/err.h \
	lib/base/event.c lib/base/event.h \
	lib/base/file.c lib/base/file.h \
	lib/base/isotime.c lib/base/isotime.h \
	lib/base/jsonscan.c lib/base/jsonscan.h \
	lib/base/jsonstrip.c \
	lib/base/log.c lib/base/log.h \
	lib/base/memory.c lib/base/memory.h \
	lib/base/rng.h \
	lib/base/utf8.h
EXTRA_DIST += lib/base/README.md
