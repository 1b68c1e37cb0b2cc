# tests/bench: its part of the makefile. Measurements, run by hand: make bench (README.md says how).
bench_tools = tests/bench/took tests/bench/durable tests/bench/quick tests/bench/peers/floor/floor
EXTRA_PROGRAMS += $(bench_tools)
tests_bench_took_SOURCES = tests/bench/took.c
tests_bench_quick_SOURCES = tests/bench/quick.c
tests_bench_quick_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
tests_bench_quick_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=EVP_DigestUpdate -Wl,--wrap=EVP_Digest
tests_bench_quick_LDADD = lib/atlas/libatlas.a lib/store/libstore.a lib/base/libbase.a $(JANSSON_LIBS) $(CRYPTO_LIBS) \
	$(ZLIB_LIBS) $(ZSTD_LIBS)
tests_bench_durable_SOURCES = tests/bench/durable.c
tests_bench_durable_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=openat -Wl,--wrap=fstatat -Wl,--wrap=fstat \
	-Wl,--wrap=faccessat -Wl,--wrap=unlinkat -Wl,--wrap=mkdirat -Wl,--wrap=renameat -Wl,--wrap=fsync \
	-Wl,--wrap=write -Wl,--wrap=read -Wl,--wrap=flock -Wl,--wrap=close -Wl,--wrap=fdopendir
tests_bench_durable_LDADD = lib/store/libstore.a lib/base/libbase.a $(JANSSON_LIBS) $(CRYPTO_LIBS) $(ZLIB_LIBS) \
	$(ZSTD_LIBS)
tests_bench_peers_floor_floor_SOURCES = tests/bench/peers/floor/floor.c
tests_bench_peers_floor_floor_CFLAGS = $(AM_CFLAGS) $(CURL_CFLAGS)
tests_bench_peers_floor_floor_LDADD = $(CURL_LIBS)
CLEANFILES += $(bench_tools)
EXTRA_DIST += tests/bench/README.md tests/bench/isolation.py tests/bench/world.py tests/bench/bench.py tests/bench/quick.py \
	tests/bench/peers/curl-parallel tests/bench/peers/dlt tests/bench/peers/python-requests tests/bench/peers/shell

bench-quick: tests/bench/quick
	$(AM_TESTS_ENVIRONMENT) $(PYTHON) $(srcdir)/tests/bench/quick.py

bench: bench-programs bench-isolation
	$(AM_TESTS_ENVIRONMENT) $(PYTHON) $(srcdir)/tests/bench/bench.py $(BENCH_ROWS)

bench-programs: $(bench_tools) all

bench-isolation: all
	$(AM_TESTS_ENVIRONMENT) $(PYTHON) $(srcdir)/tests/bench/isolation.py

.PHONY: bench bench-isolation bench-programs bench-quick
