# Unit tests of lib/sync.
if HAVE_CHECK
check_PROGRAMS += tests/unit/test_sync tests/unit/test_sync_histories
TESTS += tests/unit/test_sync tests/unit/test_sync_histories
tests_unit_test_sync_SOURCES = tests/unit/test_sync.c
tests_unit_test_sync_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_sync_LDADD = $(LIBORGSYNC) $(CHECK_LIBS) $(LIBORGSYNC_LIBS)
tests_unit_test_sync_histories_SOURCES = tests/unit/test_sync_histories.c \
	tests/support/history.c tests/support/history.h
tests_unit_test_sync_histories_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_sync_histories_LDADD = $(LIBORGSYNC) $(CHECK_LIBS) $(LIBORGSYNC_LIBS)
endif
