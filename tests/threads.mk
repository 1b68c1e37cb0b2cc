# The tests in which threads meet: `make check-threads` runs these, for ThreadSanitizer.
THREADED_UNIT =
THREADED_FUNC =
