# cmd/atlas-sandbox: a simulated Atlas for rehearsals, the tests and load.
bin_PROGRAMS += atlas-sandbox
atlas_sandbox_SOURCES = \
	cmd/atlas-sandbox/admin.c cmd/atlas-sandbox/admin.h \
	cmd/atlas-sandbox/answer.c cmd/atlas-sandbox/answer.h \
	cmd/atlas-sandbox/auth.c cmd/atlas-sandbox/auth.h \
	cmd/atlas-sandbox/delays.c cmd/atlas-sandbox/delays.h \
	cmd/atlas-sandbox/faults.c cmd/atlas-sandbox/faults.h \
	cmd/atlas-sandbox/hash.h \
	cmd/atlas-sandbox/limits.c cmd/atlas-sandbox/limits.h \
	cmd/atlas-sandbox/listing.c cmd/atlas-sandbox/listing.h \
	cmd/atlas-sandbox/main.c \
	cmd/atlas-sandbox/model.c cmd/atlas-sandbox/model.h \
	cmd/atlas-sandbox/options.c cmd/atlas-sandbox/options.h \
	cmd/atlas-sandbox/org.c \
	cmd/atlas-sandbox/prepared.c cmd/atlas-sandbox/prepared.h \
	cmd/atlas-sandbox/print.c cmd/atlas-sandbox/print.h \
	cmd/atlas-sandbox/query.c cmd/atlas-sandbox/query.h \
	cmd/atlas-sandbox/render.c cmd/atlas-sandbox/render.h \
	cmd/atlas-sandbox/reply.c cmd/atlas-sandbox/reply.h \
	cmd/atlas-sandbox/response.c cmd/atlas-sandbox/response.h \
	cmd/atlas-sandbox/sandbox.c cmd/atlas-sandbox/sandbox.h \
	cmd/atlas-sandbox/server.c cmd/atlas-sandbox/server.h \
	cmd/atlas-sandbox/settings.c cmd/atlas-sandbox/settings.h \
	cmd/atlas-sandbox/tokens.c cmd/atlas-sandbox/tokens.h \
	cmd/atlas-sandbox/types.c cmd/atlas-sandbox/types.h
atlas_sandbox_CFLAGS = $(AM_CFLAGS) $(MHD_CFLAGS) $(CRYPTO_CFLAGS) $(ZLIB_CFLAGS) $(JANSSON_CFLAGS)
atlas_sandbox_LDADD = lib/base/libbase.a $(MHD_LIBS) $(CRYPTO_LIBS) $(ZLIB_LIBS) $(JANSSON_LIBS)
EXTRA_DIST += cmd/atlas-sandbox/README.md
