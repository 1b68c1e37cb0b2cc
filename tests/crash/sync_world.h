/* sync_world.h: one organization as the real lib/sync and lib/store see it, with a server in memory.
 *
 * What the server answers is decided by the question and by the time alone, so that a run that is done again gets
 * the same answers: what differs at the end, the client lost or wrote twice. For tests alone; failures abort
 * the test.
 */
#ifndef ORGSYNC_TESTS_SYNC_WORLD_H
#define ORGSYNC_TESTS_SYNC_WORLD_H

#include "lib/sync/sync.h"
#include "tests/unit/store_support.h"

#define WORLD_NAME "acme"
#define WORLD_OVERLAP_S 3600
#define WORLD_SETTLE_S 120
#define WORLD_EVENTS 90
#define WORLD_POISON_S (BASE_S + 3)  /* at this second there is an event that cannot be filed */
#define WORLD_SINCE INT64_MIN        /* start_s of a run without a start time */

/* Makes what the server holds: seconds with more events than a page, a day's border with many, events that
 * appear late, four event types. */
void world_make(uint64_t seed);
void world_free(void);

struct world_run {
	enum ledger_suffix suffix;
	int64_t start_s, now_s;  /* configured start; the time, ours and the server's */
	unsigned types;          /* bits; 0: all */
	bool not_raw;
	unsigned rows;           /* a page's; 0: 13 */
	size_t commit_bytes;     /* 0: all in the last commit */
	size_t cap_bytes;        /* of memory; 0: enough */
	unsigned stop_after;     /* questions, as by a deadline; 0: never */
};

/* Does the run; 0, or -1 where the store failed. */
int world_run(const struct place *p, const struct world_run *run, struct err *e);

/* Whatever the last run left: all that the ledger claims can be had from day files and from staging that the ledger
 * names, and nothing else in them is wrong. `when` for messages. How many events are there. */
unsigned world_check_claims(const struct place *p, const char *when);

/* All that the run had to bring is in day files, and nothing is left to do. */
void world_check_all(const struct place *p, const struct world_run *run, const char *when);

/* What the ledger means to a next run: the seconds that it would read, and which of them again. Appended to b. */
void world_meaning(const struct place *p, const struct world_run *run, struct buf *b);

#endif
