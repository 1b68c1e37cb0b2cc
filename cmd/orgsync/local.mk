# cmd/orgsync: the command. Everything but main.c is a library, so that unit tests can have it.
noinst_LIBRARIES += cmd/orgsync/libcmd.a
cmd_orgsync_libcmd_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) -DORGSYNC_VERSION='"$(PACKAGE_VERSION)"'
cmd_orgsync_libcmd_a_SOURCES = \
	cmd/orgsync/archive.c cmd/orgsync/archive.h \
	cmd/orgsync/cmd_config.c \
	cmd/orgsync/cmd_list.c \
	cmd/orgsync/cmd_plan.c \
	cmd/orgsync/cmd_status.c \
	cmd/orgsync/cmd_sync.c \
	cmd/orgsync/cmd_test.c \
	cmd/orgsync/cmd_verify.c \
	cmd/orgsync/commands.h \
	cmd/orgsync/exit_code.c cmd/orgsync/exit_code.h \
	cmd/orgsync/human.c cmd/orgsync/human.h \
	cmd/orgsync/json.c cmd/orgsync/json.h \
	cmd/orgsync/options.c cmd/orgsync/options.h \
	cmd/orgsync/plan.c cmd/orgsync/plan.h \
	cmd/orgsync/progress.c cmd/orgsync/progress.h \
	cmd/orgsync/record.c cmd/orgsync/record.h \
	cmd/orgsync/record_last.c \
	cmd/orgsync/runner.c cmd/orgsync/runner.h \
	cmd/orgsync/session.c cmd/orgsync/session.h \
	cmd/orgsync/signals.c cmd/orgsync/signals.h \
	cmd/orgsync/summary.c cmd/orgsync/summary.h \
	cmd/orgsync/table.c cmd/orgsync/table.h \
	cmd/orgsync/text.c cmd/orgsync/text.h

bin_PROGRAMS += cmd/orgsync/orgsync
cmd_orgsync_orgsync_SOURCES = cmd/orgsync/main.c
cmd_orgsync_orgsync_CPPFLAGS = $(cmd_orgsync_libcmd_a_CPPFLAGS)
cmd_orgsync_orgsync_LDADD = cmd/orgsync/libcmd.a $(LIBORGSYNC) $(LIBORGSYNC_LIBS)
EXTRA_DIST += cmd/orgsync/README.md
