/* session.h: what every command that reads the configuration begins with: find it, load it, say what is
 * wrong with it, select the organizations. One thread. */
#ifndef ORGSYNC_CMD_SESSION_H
#define ORGSYNC_CMD_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "cmd/orgsync/options.h"
#include "lib/base/err.h"
#include "lib/conf/conf.h"

struct session {
	char *path;                    /* of the configuration */
	struct conf *conf;
	const struct conf_org **orgs;  /* the selected ones */
	size_t n_orgs;
	size_t n_disabled;
	int64_t now_s;                 /* wall clock at the start of the command */
};

enum session_use {
	SESSION_ASKS,     /* the command asks Atlas, or judges the configuration: secrets must be there */
	SESSION_OFFLINE   /* it looks at the archive alone */
};

/* Findings and other errors go to stderr. 0, or the exit code; on failure nothing is left to close. */
int session_open(const struct cli *cli, enum session_use use, struct session *ret) __attribute__((warn_unused_result));
/* As session_open(), without a selection: every organization stands in conf->orgs. */
int session_load(const struct cli *cli, enum session_use use, struct session *ret) __attribute__((warn_unused_result));
void session_close(struct session *s);

/* The line "12 organizations read, 1 disabled, 11 selected" on stderr, unless --quiet. */
void session_count(const struct session *s, const struct cli *cli);

/* "orgsync: TEXT" and, where there is one, the hint, on stderr. */
void say_err(const struct err *e);

/* Ends a command that printed results: flushes stdout; where that failed says so and turns a code of 0
 * into EXIT_CANNOT_GO_ON. */
int results_end(int code) __attribute__((warn_unused_result));

#endif
