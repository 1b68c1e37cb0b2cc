# lib/http: libcurl's multi interface; the only room that includes curl.
noinst_LIBRARIES += lib/http/libhttp.a
lib_http_libhttp_a_SOURCES = \
	lib/http/answer.c \
	lib/http/engine.c \
	lib/http/failure.c \
	lib/http/http.h \
	lib/http/inflate.c \
	lib/http/loop.c \
	lib/http/private.h \
	lib/http/session.c
lib_http_libhttp_a_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS) $(DEFLATE_CFLAGS)
EXTRA_DIST += lib/http/README.md
