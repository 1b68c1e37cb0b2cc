/* history.h: whole histories of one organization, run in memory: a hostile server, a store that can be cut
 * off anywhere, and clocks that are wrong. A history is plain data, so that a failing one can be made
 * shorter piece by piece (test_sync_histories.c). For tests alone.
 *
 * What the server does is guessed wherever docs/ATLAS.md says "unknown": silent caps, counts that lie a
 * little, rounding, order that changes, events that appear late.
 */
#ifndef ORGSYNC_TESTS_SUPPORT_HISTORY_H
#define ORGSYNC_TESTS_SUPPORT_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_GROUPS_MAX 24
#define HISTORY_RUNS_MAX 8
#define HISTORY_T0_S INT64_C(1700000000)

struct history_group {       /* events that happen together */
	int64_t at_ms;           /* first possible stored time */
	unsigned count, spread_ms;
	unsigned late_ms;        /* each becomes visible up to so long after its time */
	unsigned type;           /* 0 .. 3 */
	uint64_t seed;
};

struct history_run {
	int64_t at_ms;           /* server time at its start; ascending */
	int64_t clock_off_s;     /* our clock minus the server's */
	unsigned types;          /* bit set of event types asked for */
	unsigned cut_at;         /* the store is cut off at its k-th step (0: never) and the run dies */
	unsigned fail_at;        /* the k-th question fails for good (0: never) */
	int64_t start_s;         /* the start time configured for this run, where the history has one */
};

struct history {
	uint64_t seed;           /* of everything that is decided on the way */
	struct history_group groups[HISTORY_GROUPS_MAX];
	size_t n_groups;
	struct history_run runs[HISTORY_RUNS_MAX];
	size_t n_runs;
	bool since;              /* no start time: from the first run on */
	int64_t settle_s, overlap_s;
	unsigned rows;           /* itemsPerPage the client asks for */
	unsigned silent_cap;     /* 0: none */
	bool cap_wavers;         /* the cap is another one each time */
	bool skip_by_asked;      /* page numbers count in rows asked for, not in rows given */
	bool never_next;         /* no "next" links */
	bool always_next;        /* a "next" link on every page, the last and the empty ones too */
	int lie;                 /* added to totalCount where it is not 0 */
	bool lies_of_none;       /* and where it is */
	bool no_count;           /* totalCount is absent */
	bool rounds;             /* shown seconds are rounded, not cut */
	bool changes;            /* order inside a second changes from call to call */
	bool no_date;            /* answers have no Date */
	unsigned unordered_pct;  /* answers that come in no order */
	unsigned bad_pct;        /* answers that are no sound page */
	int64_t poison_s;        /* an answer that contains this stored second is never sound; 0: none */
	unsigned tick_ms;        /* time that passes with each question, at most */
};

/* Runs the history and then calm runs until it is up to date. NULL where it ended as it must; otherwise a
 * text (static storage) that says what went wrong. */
const char *history_run(const struct history *h);

/* What was done by all history_run() calls of this process. */
struct history_totals { uint64_t questions, events, cuts, runs, commits, bad_pages, unordered; };
extern struct history_totals history_totals;

#endif
