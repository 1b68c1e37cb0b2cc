# Unit tests of lib/base and of lib/atlas/page.c.
EXTRA_DIST += tests/support/jsongen.h tests/support/require.h tests/support/seed.h \
	tests/support/page-recorded.json
if HAVE_CHECK
check_PROGRAMS += tests/unit/test_event tests/unit/test_event_diff tests/unit/test_page
TESTS += tests/unit/test_event tests/unit/test_event_diff tests/unit/test_page

tests_unit_test_event_SOURCES = tests/unit/test_event.c
tests_unit_test_event_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_event_LDADD = lib/base/libbase.a $(CHECK_LIBS)

tests_unit_test_event_diff_SOURCES = tests/unit/test_event_diff.c \
	tests/unit/event_plain.c tests/unit/event_plain.h tests/support/jsongen.c
tests_unit_test_event_diff_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_test_event_diff_LDADD = lib/base/libbase.a $(JANSSON_LIBS) $(CHECK_LIBS)

tests_unit_test_page_SOURCES = tests/unit/test_page.c tests/support/jsongen.c
tests_unit_test_page_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_page_LDADD = lib/atlas/libatlas.a lib/base/libbase.a $(CHECK_LIBS)
endif
