/* summary.h: the tables that sync and test end with. Pure but for the writing. */
#ifndef ORGSYNC_CMD_SUMMARY_H
#define ORGSYNC_CMD_SUMMARY_H

#include <stddef.h>
#include <stdint.h>

#include "cmd/orgsync/text.h"
#include "workers/run.h"

#define SUMMARY_ROWS_MAX 20  /* with more organizations only those with something to say get a row */

struct summary {
	const char *directory, *record;   /* record: path below directory, or NULL where there is none */
	const struct run_result *results;
	const int64_t *covered_to_s;      /* per result, 0 where not known; may be NULL */
	size_t n;
	int64_t elapsed_ms;
};

/* What came of a sync. 0, or -1 where memory was short. */
int summary_sync(const struct screen *screen, const struct summary *summary)
	__attribute__((warn_unused_result));

/* What came of a test: a row for each organization, and what to do where one does not work. */
int summary_test(const struct screen *screen, const struct summary *summary)
	__attribute__((warn_unused_result));

#endif
