# lib/atlas: the one room that knows the API.
noinst_LIBRARIES += lib/atlas/libatlas.a
lib_atlas_libatlas_a_SOURCES =
lib_atlas_libatlas_a_SOURCES += lib/atlas/page.c lib/atlas/page.h
