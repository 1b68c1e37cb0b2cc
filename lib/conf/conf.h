/* conf.h: the YAML configuration as one immutable description.
 *
 * conf_load() reads the file, everything it includes and checks it all in one pass: every mistake
 * becomes a line "FILE:LINE:COL: error: …" in the list of findings. After conf_load() nothing in a
 * struct conf changes, so any thread may read it. Loading blocks on files (and on nothing else:
 * secrets given by command are not run here).
 */
#ifndef ORGSYNC_CONF_CONF_H
#define ORGSYNC_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum conf_api { CONF_API_V2, CONF_API_V1_0, CONF_API_PUBLIC_V1_0 };
enum conf_compression { CONF_COMPRESSION_NONE, CONF_COMPRESSION_GZIP, CONF_COMPRESSION_ZSTD };
enum conf_start { CONF_START_NONE, CONF_START_ALL, CONF_START_AT };

/* Where something stands in the configuration. file is owned by the struct conf. */
struct conf_pos { const char *file; unsigned line, column; };

enum conf_secret_kind {
	CONF_SECRET_NONE = 0, CONF_SECRET_PLAIN, CONF_SECRET_ENV, CONF_SECRET_FILE,
	CONF_SECRET_COMMAND, CONF_SECRET_SYSTEMD
};

/* A reference to a secret; the secret itself is read by conf_secret_read() when it is needed. */
struct conf_secret {
	enum conf_secret_kind kind;
	char *value;        /* plain text, variable, path or credential name; NULL for a command */
	char **argv;        /* command: NULL-terminated */
	/* command: the variables that secrets of the configuration are read from, sorted, NULL-terminated;
	 * the command does not get them. NULL: none. Owned by the struct conf. */
	const char *const *hidden;
	struct conf_pos pos;
};

struct conf_org {
	char *name;                  /* [A-Za-z0-9][A-Za-z0-9._-]{0,63} */
	char *org_id;                /* 24 hex digits, lower case */
	char *client_id;             /* service account; NULL where there is none */
	struct conf_secret client_secret;
	char *public_key;            /* API key pair; NULL where there is none */
	struct conf_secret private_key;
	enum conf_start start;
	int64_t start_s;             /* where start is CONF_START_AT: epoch seconds */
	int64_t settle_s, overlap_s;
	bool include_raw;
	char **event_types;          /* sorted, without repeats; NULL: all */
	size_t n_event_types;
	char **tags;
	size_t n_tags;
	int priority;                /* higher first; 0 unless said otherwise */
	int requests_per_minute;     /* the user's own cap; 0: none */
	char *disabled;              /* the reason, or NULL where the organization is enabled */
	struct conf_pos pos;         /* of its name */
};

#define CONF_MEMORY_MIN (INT64_C(256) << 20)
#define CONF_MEMORY_PARTS 4

struct conf {
	char *base_url;              /* no trailing '/' */
	enum conf_api api;
	char *ca_file;               /* NULL: the system's */
	char *proxy;                 /* NULL: the usual environment variables */
	char *directory;             /* output */
	enum conf_compression compression;
	int workers;                 /* 1 .. 64; default 4 */
	int in_flight;               /* 1 .. 4096; default 64 */
	int requests_per_minute;     /* the whole process; 0: no cap */
	int64_t deadline_s;          /* 0: none */
	int64_t connect_timeout_ms;  /* the three timeouts: 100 ms or more */
	int64_t silence_timeout_ms;
	int64_t answer_timeout_ms;
	int retries;                 /* 0 .. 100; default 5 */
	int64_t backoff_ms;          /* the first pause; default 1,000 */
	int64_t outage_wait_ms;      /* default 60,000 */
	int64_t memory_bytes;        /* CONF_MEMORY_MIN or more */
	int64_t organization_memory_bytes; /* at most a quarter of it */
	int backfill_share;          /* per cent, 1 .. 100; default 50 */
	struct conf_org *orgs;       /* in the order of the files, disabled ones too */
	size_t n_orgs;
};

/* What loading had to say; the texts are whole lines without the newline, in the order of the files
 * and of the places in them, none twice. Past 10,000 one last line counts the rest. */
struct conf_findings {
	char **lines;
	size_t n;
	unsigned n_errors, n_warnings;
};

/* Reads `path`. Returns the description, or NULL where findings hold at least one error (and where
 * memory is short). Findings are filled in both cases; the caller frees them. now_s (epoch seconds)
 * is what a start time is called "in the future" against. */
struct conf *conf_load(const char *path, int64_t now_s, struct conf_findings *ret_findings);
/* The same for those who ask nothing of Atlas (status, plan, verify, list): whether the secrets can be had is
 * not looked at, so that a monitor needs none of them. How they are given must be right all the same. */
struct conf *conf_load_offline(const char *path, int64_t now_s, struct conf_findings *ret_findings);
void conf_free(struct conf *conf);               /* NULL is fine; plain secrets are wiped */
void conf_findings_free(struct conf_findings *f);

/* Reads the secret into b (empty; the caller made it with a cap of CONF_SECRET_MAX bytes, and wipes it).
 * One trailing newline is cut off; more lines, and control characters, are refused. A file must be a regular one that its owner alone can read and that
 * this user (or root) owns. A command runs without a shell, with no secret in its environment, at most
 * CONF_SECRET_TIMEOUT_MS and CONF_SECRET_MAX bytes; blocks until then. systemd: the file of that name
 * in $CREDENTIALS_DIRECTORY, whose group bits do not count. An empty secret is an error. 0, or -1 with code ERR_SECRET or
 * ERR_NOMEM; the text never holds a part of the secret. Any thread. */
#define CONF_SECRET_MAX 65536
#define CONF_SECRET_TIMEOUT_MS 30000
int conf_secret_read(const struct conf_secret *secret, struct buf *b, struct err *e)
	__attribute__((warn_unused_result));

/* The effective configuration as YAML that conf_load() takes again, secrets redacted: references are
 * shown as they stand, plain ones as "(redacted)". Appends to b. 0 or -1. */
int conf_show(const struct conf *conf, struct buf *b) __attribute__((warn_unused_result));

/* A commented example configuration that validates. Static text. */
const char *conf_example(void);

/* The draft-07 JSON Schema of the configuration, made from the parser's own list of keys. Appends. */
int conf_schema(struct buf *b) __attribute__((warn_unused_result));

/* Selection: which organizations a command works on. Each pattern is a name or a glob over names
 * (fnmatch, letter case ignored); each tag expression is tags joined by '+', all of which must be
 * there. No pattern and no tag: all. Several patterns or tags: an organization that matches one
 * pattern (where there are patterns) and one tag expression (where there are tags).
 * Disabled organizations are never selected. */
struct conf_selection {
	const char *const *patterns;
	size_t n_patterns;
	const char *const *tags;
	size_t n_tags;
	const char *const *excludes; /* names or globs to leave out */
	size_t n_excludes;
};

/* Fills ret_chosen (room for conf->n_orgs pointers, in the configuration's order) and *ret_n.
 * -1 with code ERR_USAGE where a pattern, a tag or an exclude matches nothing (a suggestion in the
 * hint, also where a pattern or a tag matches disabled organizations only), and where together they leave
 * nothing. Without any of them *ret_n may be 0: all are disabled. */
int conf_select(const struct conf *conf, const struct conf_selection *selection,
                const struct conf_org **ret_chosen, size_t *ret_n, struct err *e)
	__attribute__((warn_unused_result));

#endif
