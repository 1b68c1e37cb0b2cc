/* run.h: many organizations at once: a pool of worker threads, each with one http engine, fed from one
 * ready queue; disk steps on threads of their own, so that no fsync stalls a transfer.
 *
 * Knows jobs and time, not JSON. An organization is in the hands of one thread at a time. A waiting
 * organization (rate limit, backoff) is an entry in the queue with a time.
 * run_new(), run_go() and run_free() belong to one thread; run_stop() and run_progress() may be called
 * from any.
 */
#ifndef ORGSYNC_WORKERS_RUN_H
#define ORGSYNC_WORKERS_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/conf/conf.h"
#include "lib/http/http.h"

enum run_task {
	RUN_SYNC,   /* bring the archive up to date */
	RUN_TEST    /* one cheap call: does the credential work, for the right organization */
};

enum run_outcome {
	RUN_WAITING = 0,  /* not begun */
	RUN_DONE,         /* up to date; for RUN_TEST: the credential works */
	RUN_FAILED,       /* err says why; what was read before is kept */
	RUN_LOCKED,       /* another run holds it */
	RUN_DEADLINE,     /* the deadline came first; what was read is kept */
	RUN_STOPPED       /* run_stop() came first; what was read is kept */
};

struct run_result {
	const struct conf_org *org;
	enum run_outcome outcome;
	struct err err;
	uint64_t events_new, events_changed, quarantined;
	uint64_t pages;             /* answers with events */
	uint64_t requests;          /* on the wire: questions, challenges, token requests, retries */
	uint64_t retries;
	uint64_t tokens_minted;
	uint64_t faults;            /* events that cannot be filed, seen in this run (old and new ones) */
	uint64_t lost_seconds;      /* seconds given up: unreadable or unstable; they stay uncovered */
	int64_t lost_first_s;       /* the first of them to be given up */
	struct err lost_why;        /* why */
	uint64_t events_gone;       /* of damaged files that were set aside: not given by the server any more */
	uint64_t events_altered;    /* of those: given with other bytes than stood in the file */
	int64_t wanted_to_s;        /* up to where the archive should be; 0 where nothing was wanted */
	int64_t clock_difference_s; /* our clock minus the server's */
	int64_t elapsed_ms;         /* from first request to end */
};

struct run_options {
	const struct conf *conf;               /* borrowed, immutable */
	const struct conf_org *const *orgs;    /* the selected ones; borrowed */
	size_t n_orgs;
	enum run_task task;
	int output_dirfd;                      /* RUN_SYNC: the output directory; borrowed */
	int tokens_dirfd;                      /* private directory for access tokens, or -1; borrowed */
	const struct clock *clock;             /* borrowed */
	struct http_options http;
	uint64_t seed;                         /* of the jitter */
	int64_t deadline_ms;                   /* from run_go() on; 0: none */
	int64_t lock_wait_ms;                  /* how long one that another run holds is waited for; 0: not at all */
	int attempts;                          /* tries of one question before its failure counts; 0: 6 */
	int64_t backoff_ms;                    /* first pause; doubles, with jitter, to 60 s; 0: 1,000 */
	int64_t outage_wait_ms;                /* how long a server that answers nobody is waited for */
	/* Called once per organization when it has ended, one call at a time, from any worker thread; must
	 * not call back into the run. May be NULL. */
	void (*finished)(void *ctx, const struct run_result *result);
	void *finished_ctx;
};

struct run;

struct run *run_new(const struct run_options *options, struct err *e); /* NULL: e says why */
void run_free(struct run *r);                                          /* NULL is fine */

/* Works until every organization has ended. 0, or -1 where the run itself could not go on (no thread, no
 * engine); the results say how far each organization came. */
int run_go(struct run *r, struct err *e) __attribute__((warn_unused_result));

/* Drain: no new question is asked, answers on the way are taken (for at most 5 s), what was read is
 * committed, run_go() returns. */
void run_stop(struct run *r);

/* The results, in the order of options.orgs; valid until run_free(). */
const struct run_result *run_results(const struct run *r);

struct run_progress { size_t total, ended, failed; uint64_t events_new, pages, requests; size_t in_flight; };
void run_progress(struct run *r, struct run_progress *ret);

#endif
