/* private.h: the state of one organization's reading, for the files of lib/sync alone. */
#ifndef ORGSYNC_SYNC_PRIVATE_H
#define ORGSYNC_SYNC_PRIVATE_H

#include "lib/sync/seen.h"
#include "lib/sync/sync.h"

enum phase {
	PHASE_SINCE,    /* `since` has to be made durable before the first question */
	PHASE_PROBE,    /* the first run of an organization without a start time asks once: see read.c */
	PHASE_LOWER,    /* the probe showed that our clock is fast: `since` is lowered */
	PHASE_READ,
	PHASE_CONTROL,  /* a bad answer, and no sound one before it: is the server able to give any? */
	PHASE_FINISH,   /* the last commit */
	PHASE_DONE
};

struct waiting {            /* a range that is still to be read */
	int64_t from_s, to_s;
	bool narrowed;          /* the older half of one whose answer was bad: read in one go with its like */
};

struct reading {            /* how the range [from_s, to_s) is being read */
	bool active;
	int64_t from_s, to_s;
	unsigned page;          /* pageNum of the next question */
	unsigned rows;          /* itemsPerPage: what the server really gives, once that is known */
	bool narrowed;          /* it is a part of a range whose answer was bad */
	unsigned margin;        /* which of the four narrow questions about one bad second; 0: the usual */
	unsigned empty;         /* empty pages in a row that still claim a next one */
	bool mixed;             /* a single second whose rows come among others', in no order */
	bool short_page;        /* a page of this pass, not the first, had fewer rows than asked */
	bool short_next;        /* and it claimed a next one */
	bool pass_broken;       /* pages of this pass were of different sizes: its count proves nothing */
	uint64_t pass_rows;     /* rows of all kinds on the pages of this pass so far */
	int64_t pass_total;     /* the largest totalCount of this pass; -1: there was none */
	int64_t pass_as_of_s;   /* the earliest moment a page of this pass was read at */
	int64_t last_s;         /* second of the last row of the page before; INT64_MAX on the first */
};

struct sync {
	struct sync_options options;
	struct sync_store store;
	struct sync_result result;
	enum phase phase;
	struct waiting *gaps;   /* ascending; the last one is next */
	size_t n_gaps, gaps_size;
	int64_t newest_gap_from_s; /* where the newest gap of the plan began; INT64_MIN: there was none */
	bool sound;             /* an answer could be used, since the last second that was given up */
	bool gave_up;           /* a bad second was found and given up; its neighbours may be bad too */
	unsigned lost_in_a_row; /* seconds given up since the last page that could be used */
	bool rejoin;            /* and what came next was sound: what waits behind is one range again */
	struct reading reading;
	struct err bad_why;     /* why the last bad page was bad */
	struct seen seen;       /* rows of the second before reading.to_s (mixed: of the whole answer) */
	struct covered *claims; /* read completely, not committed yet */
	size_t n_claims, claims_size;
	bool dirty;             /* something was put or claimed since the last commit */
	int64_t dirty_since_ms; /* monotonic */
	bool flush;             /* the next commit is due, and has to merge what waits for the rest of its day */
	int64_t since_s;        /* what PHASE_SINCE and PHASE_LOWER make durable */
	int64_t now_wall_s;     /* our clock when the run began */
	bool planned;
	struct event *keep;     /* of one page: the events that go to the store */
	size_t keep_size;
};

/* Ends the organization with a failure of the store or of memory: nothing more is written. */
void sync_fail(struct sync *s, const struct err *why);

/* Puts [from_s, to_s) back among the gaps, as the newest of them. 0, or -1 after sync_fail(). */
int sync_push_gap(struct sync *s, int64_t from_s, int64_t to_s, bool narrowed);

/* Begins to read [from_s, to_s) with its first page. */
void reading_begin(struct sync *s, int64_t from_s, int64_t to_s);

/* The question that the reading asks next. */
void reading_question(const struct sync *s, struct atlas_question *ret_question);

/* An answer to it, and the lack of one. */
void reading_take_page(struct sync *s, const struct page *page, int64_t as_of_s, int64_t limit_s);
void reading_take_bad_page(struct sync *s, const struct err *why);

#endif
