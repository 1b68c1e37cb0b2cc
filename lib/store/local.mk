# lib/store: one organization's directory on disk.
noinst_LIBRARIES += lib/store/libstore.a
lib_store_libstore_a_SOURCES = \
	lib/store/chunk.c lib/store/chunk.h \
	lib/store/commit.c \
	lib/store/compare.c \
	lib/store/dayfile.c lib/store/dayfile.h \
	lib/store/ledger.c lib/store/ledger.h \
	lib/store/ledger_read.c lib/store/ledger_days.c lib/store/ledger_write.c lib/store/ledger_text.h \
	lib/store/merge.c \
	lib/store/pending.c lib/store/pending.h \
	lib/store/quarantine.c \
	lib/store/recover.c \
	lib/store/repair.c \
	lib/store/staging.c \
	lib/store/store.c lib/store/store.h \
	lib/store/store_open.c \
	lib/store/store_private.h \
	lib/store/verify.c \
	lib/store/years.c
lib_store_libstore_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
EXTRA_DIST += lib/store/README.md
dist_doc_DATA +=
