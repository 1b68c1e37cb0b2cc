# lib/store: one organization's directory on disk.
noinst_LIBRARIES += lib/store/libstore.a
lib_store_libstore_a_SOURCES = \
	lib/store/ledger.c lib/store/ledger.h \
	lib/store/ledger_json.c \
	lib/store/store.h
lib_store_libstore_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
