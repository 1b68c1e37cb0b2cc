/* runner.h: a run with everything around it that a process owns: libraries begun before the first
 * thread, signals, progress, memory that no core dump shows. Used once per process, by the main thread. */
#ifndef ORGSYNC_CMD_RUNNER_H
#define ORGSYNC_CMD_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/orgsync/session.h"
#include "workers/run.h"

struct runner {
	struct run *run;                    /* NULL where nothing was selected or it could not begin */
	const struct run_result *results;   /* in the order of the session's organizations; owned by run */
	size_t n_results;
	int64_t *ended_at_s;                /* per result: wall clock when it ended; 0: it did not */
	int64_t started_s, ended_s, elapsed_ms;
	int signal;                         /* that asked to stop, or 0 */
	struct err err;                     /* the run could not go on */
};

/* Runs the task over the session's organizations. dirfds as in run.h (-1 where not used), borrowed.
 * Whatever happens *ret is to be given to runner_free(); ret->err says whether the run could not go
 * on. */
void runner_go(const struct session *s, const struct cli *cli, enum run_task task, int output_dirfd,
               int tokens_dirfd, struct runner *ret);
void runner_free(struct runner *r);

#endif
