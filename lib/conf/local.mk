# lib/conf: the YAML configuration as one immutable description, and its secrets.
noinst_LIBRARIES += lib/conf/libconf.a
lib_conf_libconf_a_CPPFLAGS = $(AM_CPPFLAGS) $(YAML_CFLAGS) $(JANSSON_CFLAGS)
lib_conf_libconf_a_SOURCES = \
	lib/conf/arena.c lib/conf/arena.h \
	lib/conf/command.c \
	lib/conf/conf.h \
	lib/conf/example.c \
	lib/conf/internal.h \
	lib/conf/keys.c lib/conf/keys.h \
	lib/conf/load.c \
	lib/conf/org.c lib/conf/org.h \
	lib/conf/report.c lib/conf/report.h \
	lib/conf/schema.c \
	lib/conf/secret.c lib/conf/secret.h \
	lib/conf/secret_read.c \
	lib/conf/select.c \
	lib/conf/show.c \
	lib/conf/suggest.c lib/conf/suggest.h \
	lib/conf/text.c \
	lib/conf/url.c lib/conf/url.h \
	lib/conf/utf8.c lib/conf/utf8.h \
	lib/conf/value.c lib/conf/value.h \
	lib/conf/yaml.c lib/conf/yaml.h
EXTRA_DIST += lib/conf/README.md
