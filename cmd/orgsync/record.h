/* record.h: the record of a run, `.orgsync/runs/RUN/report.json` below the output directory, and what
 * status reads out of such records. Also the document of `sync --json`. See docs/OUTPUT.md.
 * One thread at a time; the file functions block on the disk. */
#ifndef ORGSYNC_CMD_RECORD_H
#define ORGSYNC_CMD_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "workers/run.h"

#define RECORD_FORMAT 1
#define RECORD_RUN_MAX 64      /* bytes of a run's name with its NUL */
#define RECORD_LOOK_BACK 50    /* records that record_last() reads at most */
#define RECORD_CLOCK_DIFFERENCE_S 300  /* a clock that is further off is told */

/* How the results of a run add up. */
struct record_totals {
	size_t selected, up_to_date, failed, credentials, reported, locked, deadline, stopped, not_begun;
	uint64_t events_new, events_changed, quarantined, lost_seconds, events_gone, events_altered;
	uint64_t pages, requests, retries, tokens_minted;
};
void record_count(const struct run_result *results, size_t n, struct record_totals *ret);

/* Done, but with something the operator has to look at: quarantined events, lost seconds, or events of a damaged
 * file that the server gave no more. It makes the exit code 3. */
bool record_is_reported(const struct run_result *r);

struct record_facts {
	const char *version, *command, *run, *directory;
	int64_t started_s, ended_s, elapsed_ms;
	int exit_code;
	size_t n_read, n_disabled;
	const struct run_result *results;
	const int64_t *ended_at_s;   /* per result: when it ended, 0: never */
	size_t n_results;
};

/* NULL: no memory. */
json_t *record_build(const struct record_facts *facts);

/* Makes the directory of a new run below runs_dirfd, named STARTED-PID (a number is added where that is
 * taken). *ret_dirfd is the caller's to close. 0 or -1. */
int record_make_dir(int runs_dirfd, int64_t started_s, long pid, char ret_run[RECORD_RUN_MAX], int *ret_dirfd,
                    struct err *e) __attribute__((warn_unused_result));
/* Writes report.json durably. 0 or -1. */
int record_write(int run_dirfd, const json_t *report, struct err *e) __attribute__((warn_unused_result));

/* What records say of one organization. Times are -1 where they say nothing. */
struct record_last {
	int64_t success_s;
	int64_t error_s;
	bool error_stands;           /* no success came after it; times are whole seconds and may be the same */
	char code[32];               /* of the error */
	char text[400], hint[240];
};

/* Fills ret[i] for orgs[i] out of the newest RECORD_LOOK_BACK records below dirfd (the output
 * directory). Records of runs that begin after now_s, made while the clock was wrong, are passed over: they would
 * stand before all later ones. One that cannot be read is too, and counted in *ret_unreadable. 0 or -1. */
int record_last(int dirfd, const struct conf_org *const *orgs, size_t n, int64_t now_s, struct record_last *ret,
                size_t *ret_unreadable, struct err *e) __attribute__((warn_unused_result));

#endif
