# Unit tests of lib/store.
STORE_TEST_LIBS = lib/store/libstore.a lib/base/libbase.a $(CHECK_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS) \
	$(ZLIB_LIBS) $(ZSTD_LIBS)
STORE_TEST_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(CRYPTO_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
STORE_SUPPORT = tests/unit/store_support.c tests/unit/store_support.h
# A run ended before each of its steps.
ENDINGS_SUPPORT = tests/support/endings.c tests/support/endings.h \
	tests/support/disk_model.c tests/support/disk_model.h
ENDINGS_WRAPS = -Wl,--wrap=write -Wl,--wrap=fsync
# The n-th allocation fails.
SHORT_MEMORY = tests/support/short_memory.c tests/support/short_memory.h
SHORT_MEMORY_WRAPS = -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
if HAVE_CHECK
STORE_TESTS = tests/unit/test_ledger tests/unit/test_ledger_days tests/unit/test_store tests/unit/test_store_crash tests/unit/test_store_repair
check_PROGRAMS += $(STORE_TESTS)
TESTS += $(STORE_TESTS)
tests_unit_test_ledger_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_ledger_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_ledger_days_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_ledger_days_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_SOURCES = tests/unit/test_store.c $(STORE_SUPPORT)
tests_unit_test_store_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_crash_SOURCES = tests/unit/test_store_crash.c $(STORE_SUPPORT) $(ENDINGS_SUPPORT) \
	$(SHORT_MEMORY)
tests_unit_test_store_crash_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_crash_LDFLAGS = $(AM_LDFLAGS) $(ENDINGS_WRAPS) $(SHORT_MEMORY_WRAPS)
tests_unit_test_store_crash_LDADD = $(STORE_TEST_LIBS)
tests_unit_test_store_repair_SOURCES = tests/unit/test_store_repair.c $(STORE_SUPPORT) $(ENDINGS_SUPPORT) \
	$(SHORT_MEMORY)
tests_unit_test_store_repair_CFLAGS = $(STORE_TEST_CFLAGS)
tests_unit_test_store_repair_LDFLAGS = $(tests_unit_test_store_crash_LDFLAGS)
tests_unit_test_store_repair_LDADD = $(STORE_TEST_LIBS)
endif
