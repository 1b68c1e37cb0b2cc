/* secret.h: what loading and reading of secrets share. Internal to lib/conf. */
#ifndef ORGSYNC_CONF_SECRET_H
#define ORGSYNC_CONF_SECRET_H

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/conf/conf.h"
#include "lib/conf/report.h"
#include "lib/conf/value.h"

/* Looks, as far as can be done without reading it, whether the secret can be had, and reports what is
 * in the way. Opens files; runs nothing. */
void secret_check(struct values *v, const char *name, struct place at, const struct conf_secret *secret);

/* Opens a secret's file and sees to its kind, owner and mode. A file descriptor, or -1 with e filled.
 * credential: systemd guards its directory itself, and shows group bits that stand for an access list. */
int secret_open(const char *path, bool credential, struct err *e) __attribute__((warn_unused_result));
/* The file `name` in $CREDENTIALS_DIRECTORY, as secret_open(). */
int secret_open_credential(const char *name, struct err *e) __attribute__((warn_unused_result));
/* The value of a variable (the environment's own), or NULL with e filled. */
const char *secret_get_env(const char *name, struct err *e);

/* Runs argv without a shell and appends what it writes to b, whose whole cap is allocated first (no
 * copy is left behind by growth). 0, or -1 with e filled and the group of processes killed. */
struct command { char *const *argv; const char *const *hidden; int timeout_ms; };
int command_read(const struct command *command, struct buf *b, struct err *e)
	__attribute__((warn_unused_result));

#endif
