# tests/func: its part of the makefile. The real programs, over real sockets.
FUNC_TESTS = \
	tests/func/test_cli.py \
	tests/func/test_exit_codes.py \
	tests/func/test_harness.py \
	tests/func/test_headers.py \
	tests/func/test_include_graph.py
TESTS += $(FUNC_TESTS)
EXTRA_DIST += $(FUNC_TESTS) tests/support/harness.py
