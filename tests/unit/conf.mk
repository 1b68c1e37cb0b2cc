# The tests of lib/conf.
if HAVE_CHECK
CONF_TESTS = \
	tests/unit/test_conf_load \
	tests/unit/test_conf_memory \
	tests/unit/test_conf_mutate \
	tests/unit/test_conf_secret \
	tests/unit/test_conf_select \
	tests/unit/test_conf_show
check_PROGRAMS += $(CONF_TESTS)
TESTS += $(CONF_TESTS)
CONF_TEST_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
CONF_TEST_LIBS = lib/conf/libconf.a lib/base/libbase.a $(YAML_LIBS) $(JANSSON_LIBS) $(CHECK_LIBS)
CONF_TEST_SUPPORT = tests/unit/conf_support.c tests/unit/conf_support.h

tests_unit_test_conf_load_SOURCES = tests/unit/test_conf_load.c tests/unit/conf_cases.inc $(CONF_TEST_SUPPORT)
tests_unit_test_conf_load_CFLAGS = $(CONF_TEST_CFLAGS)
tests_unit_test_conf_load_LDADD = $(CONF_TEST_LIBS)

tests_unit_test_conf_memory_SOURCES = tests/unit/test_conf_memory.c $(CONF_TEST_SUPPORT) $(SHORT_MEMORY)
tests_unit_test_conf_memory_CFLAGS = $(CONF_TEST_CFLAGS)
tests_unit_test_conf_memory_LDADD = $(CONF_TEST_LIBS)
tests_unit_test_conf_memory_LDFLAGS = $(AM_LDFLAGS) $(SHORT_MEMORY_WRAPS)

tests_unit_test_conf_mutate_SOURCES = tests/unit/test_conf_mutate.c $(CONF_TEST_SUPPORT)
tests_unit_test_conf_mutate_CFLAGS = $(CONF_TEST_CFLAGS)
tests_unit_test_conf_mutate_LDADD = $(CONF_TEST_LIBS)

tests_unit_test_conf_secret_SOURCES = tests/unit/test_conf_secret.c $(CONF_TEST_SUPPORT)
tests_unit_test_conf_secret_CFLAGS = $(CONF_TEST_CFLAGS)
tests_unit_test_conf_secret_LDADD = $(CONF_TEST_LIBS)

tests_unit_test_conf_select_SOURCES = tests/unit/test_conf_select.c $(CONF_TEST_SUPPORT)
tests_unit_test_conf_select_CFLAGS = $(CONF_TEST_CFLAGS)
tests_unit_test_conf_select_LDADD = $(CONF_TEST_LIBS)

tests_unit_test_conf_show_SOURCES = tests/unit/test_conf_show.c $(CONF_TEST_SUPPORT)
tests_unit_test_conf_show_CFLAGS = $(CONF_TEST_CFLAGS)
tests_unit_test_conf_show_LDADD = $(CONF_TEST_LIBS)
endif
