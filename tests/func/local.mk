# tests/func: its part of the makefile. The real programs, over real sockets.
FUNC_TESTS = \
	tests/func/test_cli.py \
	tests/func/test_harness.py \
	tests/func/test_headers.py \
	tests/func/test_include_graph.py \
	tests/func/test_install.py \
	tests/func/test_sandbox.py \
	tests/func/test_sync_exact.py \
	tests/func/test_sync_refused.py \
	tests/func/test_sync_signals.py
TESTS += $(FUNC_TESTS)
EXTRA_DIST += $(FUNC_TESTS) tests/support/harness.py
