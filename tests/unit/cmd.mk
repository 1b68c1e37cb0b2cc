# Unit tests of cmd/orgsync.
if HAVE_CHECK
CMD_TESTS = \
	tests/unit/test_exit_code \
	tests/unit/test_human \
	tests/unit/test_plan \
	tests/unit/test_record \
	tests/unit/test_table
check_PROGRAMS += $(CMD_TESTS)
TESTS += $(CMD_TESTS)

CMD_TEST_LIBS = cmd/orgsync/libcmd.a $(LIBORGSYNC) $(CHECK_LIBS) $(LIBORGSYNC_LIBS)
tests_unit_test_exit_code_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_exit_code_LDADD = $(CMD_TEST_LIBS)
tests_unit_test_human_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_human_LDADD = $(CMD_TEST_LIBS)
tests_unit_test_plan_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_plan_LDADD = $(CMD_TEST_LIBS)
tests_unit_test_record_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_record_LDADD = $(CMD_TEST_LIBS)
tests_unit_test_table_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_table_LDADD = $(CMD_TEST_LIBS)
endif
