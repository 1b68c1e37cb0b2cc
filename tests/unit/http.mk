# Unit tests of lib/http and of lib/atlas's client.
HTTP_TEST_LIBS = lib/http/libhttp.a lib/base/libbase.a $(CHECK_LIBS) $(CURL_LIBS) $(SSL_LIBS) \
	$(CRYPTO_LIBS) $(ZLIB_LIBS)
HTTP_TEST_SERVER = tests/unit/http_world.c tests/unit/http_world.h \
	tests/unit/scripted_server.c tests/unit/scripted_server.h
if HAVE_CHECK
HTTP_TESTS = tests/unit/test_http
check_PROGRAMS += $(HTTP_TESTS)
TESTS += $(HTTP_TESTS)
tests_unit_test_http_SOURCES = tests/unit/test_http.c $(HTTP_TEST_SERVER)
tests_unit_test_http_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_http_LDADD = $(HTTP_TEST_LIBS)
endif
