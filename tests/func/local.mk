# tests/func: the real programs over real sockets.
TESTS += tests/func/test_sandbox.py
EXTRA_DIST += tests/func/test_sandbox.py
