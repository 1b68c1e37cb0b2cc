/* sync.h: how one organization's history is read, exactly, whatever the server does.
 *
 * A state machine over three small interfaces: a client (questions out, answers in), a store (a vtable)
 * and a clock (times passed in). It owns the rules of docs/SYNC.md: which seconds are wanted, which are
 * missing, how a gap is read newest to oldest by time, and when a second is complete. It knows neither
 * HTTP nor files, so whole histories run in memory (tests/unit/test_sync_histories.c).
 * One owner, one thread at a time. Nothing here blocks but the store's own functions.
 */
#ifndef ORGSYNC_SYNC_SYNC_H
#define ORGSYNC_SYNC_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/atlas/client.h"
#include "lib/atlas/page.h"
#include "lib/base/err.h"
#include "lib/store/ledger.h"

/* The store, as sync needs it. lib/store is the real one (sync_store_of() below); the meaning of each
 * function is store.h's. */
struct sync_store {
	void *ctx;
	const struct ledger *(*ledger)(void *ctx);
	int (*set_since)(void *ctx, int64_t since_s, struct err *e);
	int (*put)(void *ctx, const struct event *events, size_t n, struct err *e);
	int (*quarantine)(void *ctx, const char *bytes, size_t len, struct err *e);
	int (*commit)(void *ctx, const struct covered *ranges, size_t n, bool finish, struct err *e);
	size_t (*uncommitted_bytes)(void *ctx);
};

struct store;
struct sync_store sync_store_of(struct store *s);

enum sync_start { SYNC_START_SINCE, SYNC_START_ALL, SYNC_START_AT };

struct sync_options {
	const char *name;            /* borrowed: for messages */
	enum sync_start start;
	int64_t start_s;             /* SYNC_START_AT */
	int64_t settle_s, overlap_s;
	struct question asked;       /* borrowed */
	unsigned rows;               /* itemsPerPage; 0: ATLAS_PAGE_ROWS_MAX */
	size_t commit_bytes;         /* commit when so much is uncommitted and a day or the range has just ended, or when
	                              * three times as much is; 0: 4 MiB */
	int64_t commit_ms;           /* or when so long has passed since the first uncommitted page */
};

struct sync;

/* The store must be open; options are copied but for what they borrow. NULL: no memory. */
struct sync *sync_new(const struct sync_options *options, const struct sync_store *store);
void sync_free(struct sync *s); /* NULL is fine */

enum sync_step {
	SYNC_ASK,    /* *ret_question is to be asked; the answer goes to one of the take functions */
	SYNC_STORE,  /* sync_store_step() is to be called: it blocks on the disk */
	SYNC_DONE    /* nothing more to do in this run: see sync_result() */
};

/* What comes next. now_wall_s is our own clock. */
enum sync_step sync_next(struct sync *s, int64_t now_wall_s, int64_t now_mono_ms,
                         struct atlas_question *ret_question);

/* The answer to the last question. date_s is the answer's Date (-1: it had none), asked_wall_s our own
 * clock when it was asked. The page is borrowed for the call. */
void sync_take_page(struct sync *s, const struct page *page, int64_t date_s, int64_t asked_wall_s,
                    int64_t now_mono_ms);

/* The question was asked often enough and no sound page came (ERR_PAGE, ERR_TOO_BIG): the range is
 * narrowed; a single second that stays unreadable is given up and reported. */
void sync_take_bad_page(struct sync *s, const struct err *why);

/* How often the current question is worth asking while its answers cannot be used: once where a bad answer is
 * being narrowed down, more often where nothing is known yet, most often where a second would be given up: a
 * server whose answers are bad by chance must not cost one. */
unsigned sync_page_tries(const struct sync *s);

/* Reading ends here (a failure, the deadline, a signal): what was read is committed, the rest stays
 * missing. why NULL: stopped without being a failure of this organization. */
void sync_stop(struct sync *s, const struct err *why);

/* What is in memory is written out, all of it, before the next question. For between two questions. */
void sync_flush(struct sync *s);

/* For a question that cannot go before at_mono_ms (a limit, a pause): would a commit be due by then? Then
 * sync_store_step() may be called now, and the question stays the same. */
bool sync_commit_before(const struct sync *s, int64_t at_mono_ms);

/* Runs the step that SYNC_STORE announced. A failure ends the organization. */
void sync_store_step(struct sync *s);

/* Fresh: the newest gap of an organization (what a nightly run is for); backfill: older history. */
bool sync_is_backfill(const struct sync *s);

struct sync_result {
	struct err err;              /* the organization's failure, or none */
	bool up_to_date;             /* everything wanted is covered, as far as it was wanted at the start */
	bool stopped;                /* sync_stop() without a failure ended it */
	int64_t wanted_from_s, wanted_to_s;
	uint64_t pages, rows;        /* answers taken, rows in them */
	uint64_t faults;             /* events sent to quarantine, seen in this run */
	uint64_t lost_seconds;       /* seconds given up: unreadable or unstable; they stay uncovered */
	int64_t lost_first_s;        /* the first of them to be given up */
	struct err lost_why;         /* why that one was */
	int64_t clock_difference_s;  /* ours minus the server's, of the largest size seen */
	uint64_t unordered_pages;
};
const struct sync_result *sync_result(const struct sync *s);

/* The ranges to be read for a ledger as it stands: what `plan` prints and what sync_new() starts from.
 * Newest last. *ret_gaps is the caller's to free(). *ret_from_s and *ret_to_s: the wanted range. 0 or -1. */
int sync_plan(const struct sync_options *options, const struct ledger *ledger, int64_t now_wall_s,
              struct gap **ret_gaps, size_t *ret_n, int64_t *ret_from_s, int64_t *ret_to_s)
	__attribute__((warn_unused_result));

#endif
