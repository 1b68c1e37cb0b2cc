# Unit tests of workers.
if HAVE_CHECK
WORKERS_TESTS = tests/unit/test_bucket tests/unit/test_memory tests/unit/test_outage tests/unit/test_queue \
	tests/unit/test_run
check_PROGRAMS += $(WORKERS_TESTS)
TESTS += $(WORKERS_TESTS)
tests_unit_test_bucket_SOURCES = tests/unit/test_bucket.c tests/support/seed.h
tests_unit_test_bucket_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_bucket_LDADD = workers/libworkers.a $(CHECK_LIBS)
tests_unit_test_memory_SOURCES = tests/unit/test_memory.c tests/support/seed.h
tests_unit_test_memory_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_memory_LDADD = workers/libworkers.a $(CHECK_LIBS)
tests_unit_test_outage_SOURCES = tests/unit/test_outage.c tests/support/seed.h
tests_unit_test_outage_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_outage_LDADD = workers/libworkers.a $(CHECK_LIBS)
tests_unit_test_queue_SOURCES = tests/unit/test_queue.c tests/support/seed.h
tests_unit_test_queue_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_queue_LDADD = workers/libworkers.a $(CHECK_LIBS)
tests_unit_test_run_SOURCES = tests/unit/test_run.c tests/unit/run_world.c tests/unit/run_world.h \
	tests/unit/run_tenant.c tests/support/seed.h tests/support/require.h
tests_unit_test_run_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_run_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pthread_create
tests_unit_test_run_LDADD = workers/libworkers.a lib/atlas/libatlas.a lib/base/libbase.a $(CHECK_LIBS)
endif
