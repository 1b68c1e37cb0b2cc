# tests/fuzz: a target a parser. In every build replay_TARGET runs its corpus, in `make check`; with
# ./configure --enable-fuzz CC=clang, `make fuzzers` builds fuzz_TARGET, which run.sh runs.
FUZZ_TARGETS = page isotime header retry_after error_body token conf ledger dayfile store
FUZZ_SOURCES = tests/fuzz/support.c tests/fuzz/fuzz.h
FUZZ_STORE_LIBS = lib/store/libstore.a lib/base/libbase.a $(JANSSON_LIBS) $(CRYPTO_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS)
FUZZ_STORE_CFLAGS = $(CRYPTO_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
FUZZ_REPLAYS = \
	tests/fuzz/replay_page \
	tests/fuzz/replay_isotime \
	tests/fuzz/replay_header \
	tests/fuzz/replay_retry_after \
	tests/fuzz/replay_error_body \
	tests/fuzz/replay_token \
	tests/fuzz/replay_conf \
	tests/fuzz/replay_ledger \
	tests/fuzz/replay_dayfile \
	tests/fuzz/replay_store
check_PROGRAMS += $(FUZZ_REPLAYS)
TESTS += $(FUZZ_REPLAYS)
CLEANFILES += $(FUZZ_TARGETS:%=replay_%.input)
EXTRA_DIST += tests/fuzz/README.md tests/fuzz/run.sh tests/fuzz/corpus

tests_fuzz_replay_page_SOURCES = tests/fuzz/replay.c tests/fuzz/page.c $(FUZZ_SOURCES) tests/unit/event_plain.c tests/unit/event_plain.h
tests_fuzz_replay_page_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"page"'
tests_fuzz_replay_page_LDADD = lib/atlas/libatlas.a lib/base/libbase.a

tests_fuzz_replay_isotime_SOURCES = tests/fuzz/replay.c tests/fuzz/isotime.c $(FUZZ_SOURCES)
tests_fuzz_replay_isotime_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"isotime"'
tests_fuzz_replay_isotime_LDADD = lib/base/libbase.a

tests_fuzz_replay_header_SOURCES = tests/fuzz/replay.c tests/fuzz/header.c $(FUZZ_SOURCES) tests/fuzz/answer.c tests/fuzz/answer.h
tests_fuzz_replay_header_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"header"' $(CURL_CFLAGS)
tests_fuzz_replay_header_LDADD = lib/atlas/libatlas.a lib/http/libhttp.a lib/base/libbase.a $(JANSSON_LIBS) $(CURL_LIBS) $(DEFLATE_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)

tests_fuzz_replay_retry_after_SOURCES = tests/fuzz/replay.c tests/fuzz/retry_after.c $(FUZZ_SOURCES) tests/fuzz/answer.c tests/fuzz/answer.h
tests_fuzz_replay_retry_after_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"retry_after"' $(CURL_CFLAGS)
tests_fuzz_replay_retry_after_LDADD = lib/atlas/libatlas.a lib/http/libhttp.a lib/base/libbase.a $(JANSSON_LIBS) $(CURL_LIBS) $(DEFLATE_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)

tests_fuzz_replay_error_body_SOURCES = tests/fuzz/replay.c tests/fuzz/error_body.c $(FUZZ_SOURCES)
tests_fuzz_replay_error_body_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"error_body"'
tests_fuzz_replay_error_body_LDADD = lib/atlas/libatlas.a lib/base/libbase.a $(JANSSON_LIBS)

tests_fuzz_replay_token_SOURCES = tests/fuzz/replay.c tests/fuzz/token.c $(FUZZ_SOURCES)
tests_fuzz_replay_token_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"token"'
tests_fuzz_replay_token_LDADD = lib/atlas/libatlas.a lib/base/libbase.a $(JANSSON_LIBS) $(CRYPTO_LIBS)

tests_fuzz_replay_conf_SOURCES = tests/fuzz/replay.c tests/fuzz/conf.c $(FUZZ_SOURCES)
tests_fuzz_replay_conf_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"conf"'
tests_fuzz_replay_conf_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=open -Wl,--wrap=glob
tests_fuzz_replay_conf_LDADD = lib/conf/libconf.a lib/base/libbase.a $(YAML_LIBS) $(JANSSON_LIBS)

tests_fuzz_replay_ledger_SOURCES = tests/fuzz/replay.c tests/fuzz/ledger.c $(FUZZ_SOURCES)
tests_fuzz_replay_ledger_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"ledger"'
tests_fuzz_replay_ledger_LDADD = $(FUZZ_STORE_LIBS)

tests_fuzz_replay_dayfile_SOURCES = tests/fuzz/replay.c tests/fuzz/dayfile.c $(FUZZ_SOURCES)
tests_fuzz_replay_dayfile_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"dayfile"' $(FUZZ_STORE_CFLAGS)
tests_fuzz_replay_dayfile_LDADD = $(FUZZ_STORE_LIBS)

tests_fuzz_replay_store_SOURCES = tests/fuzz/replay.c tests/fuzz/store.c $(FUZZ_SOURCES)
tests_fuzz_replay_store_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"store"' $(FUZZ_STORE_CFLAGS)
tests_fuzz_replay_store_LDADD = $(FUZZ_STORE_LIBS)

if FUZZ
FUZZERS = \
	tests/fuzz/fuzz_page \
	tests/fuzz/fuzz_isotime \
	tests/fuzz/fuzz_header \
	tests/fuzz/fuzz_retry_after \
	tests/fuzz/fuzz_error_body \
	tests/fuzz/fuzz_token \
	tests/fuzz/fuzz_conf \
	tests/fuzz/fuzz_ledger \
	tests/fuzz/fuzz_dayfile \
	tests/fuzz/fuzz_store
EXTRA_PROGRAMS += $(FUZZERS)
fuzzers: $(FUZZERS)

tests_fuzz_fuzz_page_SOURCES = tests/fuzz/page.c $(FUZZ_SOURCES) tests/unit/event_plain.c tests/unit/event_plain.h
tests_fuzz_fuzz_page_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_page_LDADD = lib/atlas/libatlas.a lib/base/libbase.a

tests_fuzz_fuzz_isotime_SOURCES = tests/fuzz/isotime.c $(FUZZ_SOURCES)
tests_fuzz_fuzz_isotime_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_isotime_LDADD = lib/base/libbase.a

tests_fuzz_fuzz_header_SOURCES = tests/fuzz/header.c $(FUZZ_SOURCES) tests/fuzz/answer.c tests/fuzz/answer.h
tests_fuzz_fuzz_header_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS)
tests_fuzz_fuzz_header_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_header_LDADD = lib/atlas/libatlas.a lib/http/libhttp.a lib/base/libbase.a $(JANSSON_LIBS) $(CURL_LIBS) $(DEFLATE_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)

tests_fuzz_fuzz_retry_after_SOURCES = tests/fuzz/retry_after.c $(FUZZ_SOURCES) tests/fuzz/answer.c tests/fuzz/answer.h
tests_fuzz_fuzz_retry_after_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS)
tests_fuzz_fuzz_retry_after_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_retry_after_LDADD = lib/atlas/libatlas.a lib/http/libhttp.a lib/base/libbase.a $(JANSSON_LIBS) $(CURL_LIBS) $(DEFLATE_LIBS) $(SSL_LIBS) $(CRYPTO_LIBS)

tests_fuzz_fuzz_error_body_SOURCES = tests/fuzz/error_body.c $(FUZZ_SOURCES)
tests_fuzz_fuzz_error_body_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_error_body_LDADD = lib/atlas/libatlas.a lib/base/libbase.a $(JANSSON_LIBS)

tests_fuzz_fuzz_token_SOURCES = tests/fuzz/token.c $(FUZZ_SOURCES)
tests_fuzz_fuzz_token_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_token_LDADD = lib/atlas/libatlas.a lib/base/libbase.a $(JANSSON_LIBS) $(CRYPTO_LIBS)

tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/conf.c $(FUZZ_SOURCES)
tests_fuzz_fuzz_conf_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer -Wl,--wrap=open -Wl,--wrap=glob
tests_fuzz_fuzz_conf_LDADD = lib/conf/libconf.a lib/base/libbase.a $(YAML_LIBS) $(JANSSON_LIBS)

tests_fuzz_fuzz_ledger_SOURCES = tests/fuzz/ledger.c $(FUZZ_SOURCES)
tests_fuzz_fuzz_ledger_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_ledger_LDADD = $(FUZZ_STORE_LIBS)

tests_fuzz_fuzz_dayfile_SOURCES = tests/fuzz/dayfile.c $(FUZZ_SOURCES)
tests_fuzz_fuzz_dayfile_CPPFLAGS = $(AM_CPPFLAGS) $(FUZZ_STORE_CFLAGS)
tests_fuzz_fuzz_dayfile_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_dayfile_LDADD = $(FUZZ_STORE_LIBS)

tests_fuzz_fuzz_store_SOURCES = tests/fuzz/store.c $(FUZZ_SOURCES)
tests_fuzz_fuzz_store_CPPFLAGS = $(AM_CPPFLAGS) $(FUZZ_STORE_CFLAGS)
tests_fuzz_fuzz_store_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_store_LDADD = $(FUZZ_STORE_LIBS)
endif
