# lib/atlas: the one room that knows the API.
noinst_LIBRARIES += lib/atlas/libatlas.a
lib_atlas_libatlas_a_SOURCES =
lib_atlas_libatlas_a_SOURCES += lib/atlas/page.c lib/atlas/page.h
lib_atlas_libatlas_a_SOURCES += lib/atlas/classify.c lib/atlas/client.c lib/atlas/client.h
lib_atlas_libatlas_a_SOURCES += lib/atlas/token.c lib/atlas/token.h
lib_atlas_libatlas_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(CRYPTO_CFLAGS)
EXTRA_DIST += lib/atlas/README.md
