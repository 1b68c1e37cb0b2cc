/* report.h: the findings while they are collected, each with its place.
 * One thread. Texts never hold a part of a secret; the callers see to that. */
#ifndef ORGSYNC_CONF_REPORT_H
#define ORGSYNC_CONF_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/conf/conf.h"

/* One file of the configuration. Lives in the arena of the struct conf. */
struct source {
	const char *path;   /* as the user would write it: what findings show */
	const char *dir;    /* absolute, without a trailing '/' ("" for the root): relative paths start here */
	unsigned index;     /* 0 the main file, then in the order of inclusion */
	mode_t mode;
	uid_t uid;
	off_t size_bytes;   /* 0 for a pipe */
	dev_t dev;
	ino_t ino;
};

struct place { const struct source *source; unsigned line, column; };

#define REPORT_MAX 10000  /* findings kept; the rest is counted */

struct report_entry;
struct report {
	struct report_entry *entries;
	size_t n, size;
	size_t dropped_errors, dropped_warnings;
	bool no_memory;     /* something could not be allocated: the load has failed */
};

void report_init(struct report *r);
void report_free(struct report *r);
void report_error(struct report *r, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void report_warning(struct report *r, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Notes that memory is short. Always returns -1. */
int report_no_memory(struct report *r);

/* Sorts by file and place, drops what was said twice (a mistake in an anchored part is met at every
 * use) and hands the lines over. Afterwards r is empty. */
void report_finish(struct report *r, struct conf_findings *ret_findings);

/* True for texts of the form Atlas gives its secrets (a service account's, an API key's private part),
 * wherever they were pasted. */
bool looks_secret(const char *text, size_t len);
/* True where a service account's secret stands anywhere in the text. */
bool holds_client_secret(const char *text, size_t len);

/* A user's text inside a message: control characters as '?', cut where it is long, left out where
 * looks_secret(). */
struct quoted { char text[80]; };
const char *quote(struct quoted *q, const char *text, size_t len);

#endif
