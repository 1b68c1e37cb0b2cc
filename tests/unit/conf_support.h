/* What the tests of lib/conf share: a directory of their own with files in it. */
#ifndef ORGSYNC_TESTS_CONF_SUPPORT_H
#define ORGSYNC_TESTS_CONF_SUPPORT_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/conf/conf.h"

#define NOW_S INT64_C(1795305600)  /* 2026-11-22T00:00:00Z */
#define HEAD "version: 1\noutput: {directory: out}\n"
#define ORG_A "  - {name: acme, org_id: 32b6e34b3d91647abb20e7b8, client_id: i, client_secret: s"

/* The directory of this test's files; made by the first call, removed with all in it by dir_remove(). */
const char *dir_path(void);
void dir_remove(void);
/* DIR/name; static, good until the fourth call after. */
const char *dir_file(const char *name);
/* Writes DIR/name (directories of it are made) with just this mode. Returns dir_file(name). */
const char *dir_write(const char *name, const char *text, size_t len, mode_t mode);
const char *dir_put(const char *name, const char *text);  /* mode 0600 */

/* Loads DIR/c.yaml, written with this text. Every finding, one a line, without "DIR/"; to be freed. */
char *findings_of(const char *text, struct conf **ret_conf);
char *findings_text(const struct conf_findings *f);

#endif
