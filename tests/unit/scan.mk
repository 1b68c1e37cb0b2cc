# Unit tests of lib/base and of lib/atlas/page.c.
EXTRA_DIST += tests/support/jsongen.h tests/support/require.h tests/support/seed.h \
	tests/support/page-recorded.json
if HAVE_CHECK
check_PROGRAMS += tests/unit/test_event tests/unit/test_event_diff tests/unit/test_page \
	tests/unit/test_buf tests/unit/test_err tests/unit/test_file tests/unit/test_isotime \
	tests/unit/test_log
TESTS += tests/unit/test_event tests/unit/test_event_diff tests/unit/test_page \
	tests/unit/test_buf tests/unit/test_err tests/unit/test_file tests/unit/test_isotime \
	tests/unit/test_log

tests_unit_test_event_SOURCES = tests/unit/test_event.c
tests_unit_test_event_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_event_LDADD = lib/base/libbase.a $(CHECK_LIBS)

tests_unit_test_event_diff_SOURCES = tests/unit/test_event_diff.c \
	tests/unit/event_plain.c tests/unit/event_plain.h tests/support/jsongen.c
tests_unit_test_event_diff_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_event_diff_LDADD = lib/base/libbase.a $(JANSSON_LIBS) $(CHECK_LIBS)

tests_unit_test_page_SOURCES = tests/unit/test_page.c tests/support/jsongen.c $(SHORT_MEMORY)
tests_unit_test_page_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_page_LDFLAGS = $(AM_LDFLAGS) $(SHORT_MEMORY_WRAPS)
tests_unit_test_page_LDADD = lib/atlas/libatlas.a lib/base/libbase.a $(CHECK_LIBS)

tests_unit_test_buf_SOURCES = tests/unit/test_buf.c
tests_unit_test_buf_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_buf_LDADD = lib/base/libbase.a $(CHECK_LIBS)

tests_unit_test_err_SOURCES = tests/unit/test_err.c
tests_unit_test_err_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_err_LDADD = lib/base/libbase.a $(CHECK_LIBS)

tests_unit_test_file_SOURCES = tests/unit/test_file.c
tests_unit_test_file_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_file_LDADD = lib/base/libbase.a $(CHECK_LIBS)

tests_unit_test_isotime_SOURCES = tests/unit/test_isotime.c
tests_unit_test_isotime_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_isotime_LDADD = lib/base/libbase.a $(CHECK_LIBS)

tests_unit_test_log_SOURCES = tests/unit/test_log.c
tests_unit_test_log_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_log_LDADD = lib/base/libbase.a $(CHECK_LIBS)
endif
