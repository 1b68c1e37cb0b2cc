# tests/func: its part of the makefile. The real programs, over real sockets. A line each, so that branches merge.
FUNC_TESTS =
FUNC_TESTS += tests/func/test_cli.py
FUNC_TESTS += tests/func/test_disk.py
FUNC_TESTS += tests/func/test_exit_codes.py
FUNC_TESTS += tests/func/test_guarantees.py
FUNC_TESTS += tests/func/test_harness.py
FUNC_TESTS += tests/func/test_headers.py
FUNC_TESTS += tests/func/test_http2.py
FUNC_TESTS += tests/func/test_include_graph.py
FUNC_TESTS += tests/func/test_install.py
FUNC_TESTS += tests/func/test_isolation.py
FUNC_TESTS += tests/func/test_lock_wait.py
FUNC_TESTS += tests/func/test_repair.py
FUNC_TESTS += tests/func/test_kill.py
FUNC_TESTS += tests/func/test_paths.py
FUNC_TESTS += tests/func/test_sandbox.py
FUNC_TESTS += tests/func/test_secret_copies.py
FUNC_TESTS += tests/func/test_secrets.py
FUNC_TESTS += tests/func/test_sync_exact.py
FUNC_TESTS += tests/func/test_sync_faults.py
FUNC_TESTS += tests/func/test_sync_refused.py
FUNC_TESTS += tests/func/test_sync_settings.py
FUNC_TESTS += tests/func/test_sync_signals.py
FUNC_TESTS += tests/func/test_verify.py
FUNC_TESTS += tests/func/test_wire_chaos.py
FUNC_TESTS += tests/func/test_wire_faults.py
FUNC_TESTS += tests/func/test_wire_hosts.py
FUNC_TESTS += tests/func/test_wire_pages.py
TESTS += $(FUNC_TESTS)
EXTRA_DIST += $(FUNC_TESTS) tests/support/harness.py

# Preloaded by test_disk.py: a disk and a clock that fail. A library, and so without the sanitizers.
check_PROGRAMS += tests/support/disk_faults.so
tests_support_disk_faults_so_SOURCES = tests/support/disk_faults.c
tests_support_disk_faults_so_CFLAGS = -std=c11 $(WARN_CFLAGS) -fPIC -pthread
tests_support_disk_faults_so_LDFLAGS = -shared -pthread
tests_support_disk_faults_so_LDADD = -ldl
EXTRA_DIST += tests/support/hostile.py tests/support/fleet.py
