/* store_private.h: what the files of lib/store share. Private to lib/store. */
#ifndef ORGSYNC_STORE_STORE_PRIVATE_H
#define ORGSYNC_STORE_STORE_PRIVATE_H

#include <dirent.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/store/dayfile.h"
#include "lib/store/ledger.h"
#include "lib/store/pending.h"
#include "lib/store/store.h"

#define STORE_NAME_MAX 64
#define STORE_WHAT_MAX 192
#define STORE_LEDGER_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define STORE_PENDING_CAP_BYTES ((size_t)64 * 1024 * 1024)
#define STAGING_DIR ".staging"
#define LEDGER_FILE "ledger.json"
#define QUARANTINE_DIR "quarantine"
#define DAMAGED_DIR "damaged"    /* below quarantine/ */

struct store {
	int out_dirfd;               /* borrowed */
	int dirfd;                   /* -1: read_only, and there is no such directory */
	int lock_fd;                 /* -1: read_only */
	char name[STORE_NAME_MAX + 1];
	char org_id[25];             /* lower case */
	enum ledger_suffix suffix;
	int64_t overlap_s;
	size_t cap_bytes;
	size_t memory_cap_bytes;
	bool read_only;
	bool repair;
	bool broken;                 /* a step failed: nothing more is written */
	struct ledger ledger;        /* as on disk, but for the commit under way */
	bool ledger_changed;         /* it says more than the one on disk */
	uint64_t next_staging;       /* the number of the next staging file */
	struct pending pending;
	struct unfiled *unfiled;     /* what the next commit puts into quarantine/ */
	size_t unfiled_bytes;
	struct store_counts counts;
	struct buf text;             /* of the ledger, kept for its memory */
};

/* "acme/ledger.json", "acme/events/2025/2025-08-11.ndjson" for messages. out holds STORE_WHAT_MAX.
 * They return out. */
char *store_what(const struct store *s, const char *rest, char *out);
char *store_what_day(const struct store *s, int64_t day_s, enum ledger_suffix suffix, char *out);
/* Replaces ledger.json by s->ledger. */
int store_write_ledger(struct store *s, struct err *e) __attribute__((warn_unused_result));
/* Reads ledger.json into l (made with ledger_init()); none: l stays empty but for its org_id. */
int store_read_ledger(struct store *s, struct ledger *l, struct err *e)
	__attribute__((warn_unused_result));

/* 0, or -1 where the store was opened for reading or an earlier step failed. */
int store_may_write(const struct store *s, struct err *e) __attribute__((warn_unused_result));

/* rc. After a failure nothing more is written. */
int store_outcome(struct store *s, int rc);
/* 0, or -1 where so many bytes more would be above the cap on memory. */
int store_has_room(struct store *s, size_t len, struct err *e) __attribute__((warn_unused_result));

/* The entries of the directory, by a descriptor of their own; the caller closes it. NULL: e is filled. */
DIR *store_list(int dirfd, const char *what, struct err *e);
bool store_is_dot(const char *name); /* "." or ".." */

/* store_open.c: the lock, and the list of organizations that keeps one org_id under one name. */
bool store_name_is_valid(const char *name);
int store_lock(struct store *s, struct err *e) __attribute__((warn_unused_result));
int store_index(struct store *s, struct err *e) __attribute__((warn_unused_result));
/* Refuses day files without a ledger: it was lost, and what it knew must not be begun anew beside them. */
int store_refuse_lost_ledger(const struct store *s, struct err *e) __attribute__((warn_unused_result));

/* staging.c. Writes those of the batch's events whose days are not ready to a new file of .staging/, durably, and
 * names it. Where there are none: nothing. */
int staging_write(struct store *s, int staging_fd, struct day_writer *w, struct batch *b, struct err *e)
	__attribute__((warn_unused_result));
/* Sets s->ledger.staging to the batches that still have waiting events. */
int staging_list(struct store *s, struct err *e) __attribute__((warn_unused_result));
/* Removes the files of batches that have none; not made durable: a file that comes back is one the
 * ledger does not name. */
int staging_remove_done(struct store *s, struct err *e) __attribute__((warn_unused_result));
/* Opens .staging/, making it where it is missing if make. -1, or -2 with e untouched where it
 * is missing and is not to be made. */
int staging_open_dir(const struct store *s, bool make, struct err *e) __attribute__((warn_unused_result));
/* Is there no file in it? 0 or -1. */
int staging_is_empty(const struct store *s, int staging_fd, bool *ret, struct err *e)
	__attribute__((warn_unused_result));
/* Reads one staging file that a ledger names. *ret_bytes is the caller's; 0 or -1 (ERR_DAMAGE …). */
int staging_read(const struct store *s, int staging_fd, const struct staged *staged, char **ret_bytes,
                 struct err *e) __attribute__((warn_unused_result));

/* Is each of its lines an event? */
bool staging_is_sound(const char *bytes, size_t len);

/* years.c: the directories below events/, each opened once. */
struct years {
	int events_fd;               /* -1: not opened */
	struct { char name[5]; int fd; bool changed; } *of;
	size_t n;
};
void years_init(struct years *y);
void years_free(struct years *y);
/* The directory of the day's year, made where it is missing if make; y's own. -1, or -2 with e untouched
 * where it is missing and is not to be made. */
int years_open(struct years *y, const struct store *s, int64_t day_s, bool make, struct err *e)
	__attribute__((warn_unused_result));
/* The day's directory will be made durable by years_sync(). */
void years_changed(struct years *y, int64_t day_s);
int years_sync(struct years *y, const struct store *s, struct err *e) __attribute__((warn_unused_result));

/* commit.c. Merges the days that are ready and makes everything else durable; then the n ranges are covered. */
int commit_run(struct store *s, const struct covered *ranges, size_t n, struct err *e)
	__attribute__((warn_unused_result));
/* recover.c. Brings what an earlier process left behind to an end. anyway: even where there is no sign that it
 * left anything. */
int store_recover(struct store *s, bool anyway, struct err *e) __attribute__((warn_unused_result));

/* quarantine.c. Makes what store_quarantine() took durable, and forgets it; forgets it. */
int quarantine_write(struct store *s, struct err *e) __attribute__((warn_unused_result));
void quarantine_forget(struct store *s);

/* repair.c. Moves what the ledger says is to be moved. */
int repair_finish_moves(struct store *s, struct err *e) __attribute__((warn_unused_result));
/* Opens quarantine/damaged/`aside`, making all of it if make. -1, or -2 with e untouched where it is missing. */
int repair_open_aside(const struct store *s, const char *aside, bool make, struct err *e)
	__attribute__((warn_unused_result));

/* merge.c: one day. */
struct merge {
	struct day_reader in;
	struct day_writer out;
	char what[STORE_WHAT_MAX];   /* the day file, for messages */
};
void merge_init(struct merge *m);
void merge_free(struct merge *m);
/* Reads the day's file as the ledger has it, checks it against old, and sets state and at of every event
 * of d, which it sorts. Neither file nor ledger is touched. 0 or -1: ERR_DAMAGE where the file is not
 * what old says. */
int merge_look(struct merge *m, int year_fd, const struct day *old, struct pend_day *d, struct err *e)
	__attribute__((warn_unused_result));
/* Writes old and d, which merge_look() prepared and from which what was known is taken out, to the new
 * file `aside` of aside_fd, and sets *ret_day (old NULL: there is no file yet). *ret_fd is the caller's, to be made
 * durable and closed. */
int merge_write(struct merge *m, int year_fd, const struct day *old, const struct pend_day *d,
                enum ledger_suffix suffix, int aside_fd, const char *aside, struct day *ret_day, int *ret_fd,
                struct err *e)
	__attribute__((warn_unused_result));

#endif
