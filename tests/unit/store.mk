# Unit tests of lib/store.
STORE_TEST_LIBS = lib/store/libstore.a lib/base/libbase.a $(CHECK_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS) \
	$(ZLIB_LIBS) $(ZSTD_LIBS)
if HAVE_CHECK
STORE_TESTS = tests/unit/test_ledger
check_PROGRAMS += $(STORE_TESTS)
TESTS += $(STORE_TESTS)
tests_unit_test_ledger_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_ledger_LDADD = $(STORE_TEST_LIBS)
endif
