# tests/func: its part of the makefile. The real programs, over real sockets. A line each, so that branches merge.
FUNC_TESTS =
FUNC_TESTS += tests/func/test_cli.py
FUNC_TESTS += tests/func/test_exit_codes.py
FUNC_TESTS += tests/func/test_harness.py
FUNC_TESTS += tests/func/test_headers.py
FUNC_TESTS += tests/func/test_include_graph.py
FUNC_TESTS += tests/func/test_install.py
FUNC_TESTS += tests/func/test_sandbox.py
FUNC_TESTS += tests/func/test_sync_exact.py
FUNC_TESTS += tests/func/test_sync_faults.py
FUNC_TESTS += tests/func/test_sync_refused.py
FUNC_TESTS += tests/func/test_sync_signals.py
FUNC_TESTS += tests/func/test_verify.py
TESTS += $(FUNC_TESTS)
EXTRA_DIST += $(FUNC_TESTS) tests/support/harness.py
