# tests/crash: its part of the makefile.

# Memory that ends anywhere.
check_PROGRAMS += tests/crash/test_alloc
TESTS += tests/crash/test_alloc
tests_crash_test_alloc_SOURCES = tests/crash/test_alloc.c \
	tests/crash/alloc_hooks.c tests/crash/alloc_hooks.h \
	tests/crash/event_server.c tests/crash/event_server.h tests/crash/orgsync_main.c
tests_crash_test_alloc_CPPFLAGS = $(cmd_orgsync_libcmd_a_CPPFLAGS) $(CURL_CFLAGS)
tests_crash_test_alloc_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc \
	-Wl,--wrap=reallocarray -Wl,--wrap=strdup -Wl,--wrap=strndup -Wl,--wrap=asprintf -Wl,--wrap=vasprintf \
	-Wl,--wrap=free -Wl,--wrap=clock_gettime -Wl,--wrap=epoll_wait -Wl,--wrap=curl_multi_poll
tests_crash_test_alloc_LDADD = cmd/orgsync/libcmd.a $(LIBORGSYNC) $(LIBORGSYNC_LIBS)

# Whole runs, ended before each step that changes the disk.
if HAVE_CHECK
check_PROGRAMS += tests/crash/test_sync_crash
TESTS += tests/crash/test_sync_crash
tests_crash_test_sync_crash_SOURCES = tests/crash/test_sync_crash.c \
	tests/crash/sync_world.c tests/crash/sync_world.h $(STORE_SUPPORT) $(ENDINGS_SUPPORT)
tests_crash_test_sync_crash_CFLAGS = $(STORE_TEST_CFLAGS)
tests_crash_test_sync_crash_LDFLAGS = $(AM_LDFLAGS) $(ENDINGS_WRAPS)
tests_crash_test_sync_crash_LDADD = $(LIBORGSYNC) $(CHECK_LIBS) $(LIBORGSYNC_LIBS)
endif
