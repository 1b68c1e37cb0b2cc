# The tests in which threads meet: `make check-threads` runs these, for ThreadSanitizer. Programs of libcheck
# here, functional tests there.
THREADED_UNIT =
if HAVE_CHECK
THREADED_UNIT += tests/unit/test_http tests/unit/test_queue tests/unit/test_run
endif
THREADED_FUNC =
THREADED_FUNC += tests/func/test_exit_codes.py
THREADED_FUNC += tests/func/test_isolation.py
THREADED_FUNC += tests/func/test_sandbox.py
THREADED_FUNC += tests/func/test_sync_exact.py
THREADED_FUNC += tests/func/test_sync_refused.py
