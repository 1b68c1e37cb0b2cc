# Unit tests of lib/http and of lib/atlas's client.
HTTP_TEST_LIBS = lib/http/libhttp.a lib/base/libbase.a $(CHECK_LIBS) $(CURL_LIBS) $(DEFLATE_LIBS) $(SSL_LIBS) \
	$(CRYPTO_LIBS) $(ZLIB_LIBS)
HTTP_TEST_SERVER = tests/unit/http_world.c tests/unit/http_world.h \
	tests/unit/scripted_server.c tests/unit/scripted_server.h
ATLAS_TEST_LIBS = lib/atlas/libatlas.a lib/base/libbase.a $(CHECK_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS)
if HAVE_CHECK
HTTP_TESTS = tests/unit/test_http tests/unit/test_http_coding tests/unit/test_http_tls \
	tests/unit/test_atlas_client tests/unit/test_classify
check_PROGRAMS += $(HTTP_TESTS)
TESTS += $(HTTP_TESTS)
tests_unit_test_http_SOURCES = tests/unit/test_http.c $(HTTP_TEST_SERVER)
tests_unit_test_http_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_http_LDADD = $(HTTP_TEST_LIBS)
tests_unit_test_http_coding_SOURCES = tests/unit/test_http_coding.c $(HTTP_TEST_SERVER)
tests_unit_test_http_coding_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_http_coding_LDADD = $(HTTP_TEST_LIBS)
tests_unit_test_http_tls_SOURCES = tests/unit/test_http_tls.c $(HTTP_TEST_SERVER)
tests_unit_test_http_tls_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_http_tls_LDADD = $(HTTP_TEST_LIBS)
tests_unit_test_atlas_client_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_atlas_client_LDADD = $(ATLAS_TEST_LIBS)
tests_unit_test_classify_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_unit_test_classify_LDADD = $(ATLAS_TEST_LIBS)
endif
