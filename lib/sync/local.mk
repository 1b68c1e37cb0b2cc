# lib/sync: how one organization's history is read.
noinst_LIBRARIES += lib/sync/libsync.a
lib_sync_libsync_a_SOURCES = \
	lib/sync/plan.c \
	lib/sync/private.h \
	lib/sync/read.c \
	lib/sync/real_store.c \
	lib/sync/seen.c lib/sync/seen.h \
	lib/sync/sync.c lib/sync/sync.h
EXTRA_DIST += lib/sync/README.md
