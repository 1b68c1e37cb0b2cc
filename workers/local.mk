# workers: many organizations at once.
noinst_LIBRARIES += workers/libworkers.a
workers_libworkers_a_SOURCES = \
	workers/bucket.c workers/bucket.h \
	workers/lock.c workers/lock.h \
	workers/outage.c workers/outage.h \
	workers/places.c workers/private.h \
	workers/queue.c workers/queue.h \
	workers/run.c workers/run.h \
	workers/tenant.c workers/tenant.h \
	workers/wire.c
EXTRA_DIST += workers/README.md
