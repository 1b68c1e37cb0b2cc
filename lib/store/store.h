/* store.h: one organization's directory: lock, ledger, staging, day files, quarantine.
 *
 *   NAME/events/2025/2025-08-11.ndjson[.gz|.zst]   NAME/ledger.json
 *   NAME/quarantine/  NAME/.staging/  NAME/.lock
 *
 * Order of writing (store_commit): events that wait for their day durable in staging, new day files durable aside →
 * ledger that says what each day file is about to become → day files renamed → ledger that covers what was read and
 * names the staging → staging that is done removed. A merge is a union by id in which the first
 * durable copy wins, so doing it again changes nothing: stop it anywhere, open it again, and the day
 * files come out byte for byte the same. docs/ARCHIVE.md says why.
 *
 * One owner, one thread at a time; every function blocks on the disk. After a function returned -1 with
 * anything but ERR_LOCKED the store takes no more writes: close it; the next open repairs.
 */
#ifndef ORGSYNC_STORE_STORE_H
#define ORGSYNC_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/event.h"
#include "lib/store/ledger.h"

struct store;

struct store_options {
	int dirfd;                   /* of the output directory; borrowed until store_close() */
	const char *name;            /* the organization's directory; validated here again */
	const char *org_id;
	enum ledger_suffix suffix;   /* for day files that are written from now on */
	int64_t overlap_s;           /* see ledger_cover() */
	size_t pending_cap_bytes;    /* events kept in memory; past it a commit merges partial days */
	size_t memory_cap_bytes;     /* past it store_put() fails; 0: four times pending_cap_bytes */
	bool read_only;              /* no lock, no repair, no directory made: status, plan, verify */
	bool repair;                 /* locked, and left as it is: for store_repair() and for reading alone */
};

/* Opens (and, unless read_only, makes, locks and repairs) the organization's directory. ERR_LOCKED where
 * another process holds it; ERR_LEDGER where the ledger is damaged, newer, or of another org_id, or is not there
 * and day files are. A read_only store of an organization that was never run, and one to be repaired, has an
 * empty ledger. NULL on failure. */
struct store *store_open(const struct store_options *options, struct err *e);
/* Gives the lock back and forgets what was not committed. NULL is fine. */
void store_close(struct store *s);

const struct ledger *store_ledger(const struct store *s);

/* Makes `since` durable (ledger replaced). 0 or -1. */
int store_set_since(struct store *s, int64_t since_s, struct err *e) __attribute__((warn_unused_result));

/* Takes copies of n events into memory; nothing is durable yet. An id that the same day has already (in
 * memory) is dropped, counted as known or, with other bytes, as changed. 0 or -1: no memory, more than four
 * times the cap (but a single event is always taken where there is none yet), or an event with a line
 * feed in its bytes. */
int store_put(struct store *s, const struct event *events, size_t n, struct err *e)
	__attribute__((warn_unused_result));

/* Takes a copy of an event that cannot be filed into memory. The next store_commit() makes it durable, verbatim, under
 * a name made of its SHA-256 (so that keeping it twice is keeping it once). 0 or -1, as store_put(). */
int store_quarantine(struct store *s, const char *bytes, size_t len, struct err *e)
	__attribute__((warn_unused_result));

/* Makes all events put so far, and those for quarantine, durable and then records the n ranges as covered. Days whose
 * seconds are all covered, the first of them by one of these ranges (reading goes newest to oldest), are merged into
 * their files; all days are where `finish` is set or the memory cap asks for it. Events of other days
 * stay in staging that the ledger names. With no event and no range nothing is written, unless finish
 * finds staging left to merge. */
int store_commit(struct store *s, const struct covered *ranges, size_t n, bool finish, struct err *e)
	__attribute__((warn_unused_result));

/* Bytes of events put, or for quarantine, and not yet committed. */
size_t store_uncommitted_bytes(const struct store *s);

/* Bytes of memory that hold events: those put and not committed, and those that wait for the rest of their
 * day. After a store_commit() that finishes it is 0. */
size_t store_kept_bytes(const struct store *s);

struct store_counts {
	uint64_t events_new;      /* written for the first time */
	uint64_t events_known;    /* there already, with the same bytes */
	uint64_t events_changed;  /* there already, with other bytes: the first copy stays */
	uint64_t quarantined;     /* new in quarantine/ */
	uint64_t days_written, bytes_written;
};
const struct store_counts *store_counts(const struct store *s);

/* Events in all day files, by the ledger; quarantined files, by the directory. */
uint64_t store_events(const struct store *s);
int store_quarantine_count(const struct store *s, uint64_t *ret_n, struct err *e)
	__attribute__((warn_unused_result));

enum store_finding_kind {
	STORE_DAY_FILE,   /* a day file that is not what its ledger entry says, or is not there */
	STORE_STRAY,      /* something that the ledger does not know */
	STORE_STAGED,     /* a staging file that is not what the ledger says */
	STORE_DIRECTORY,  /* a directory that cannot be opened, or must not be trusted */
	STORE_HOLE        /* seconds between covered ranges */
};

/* One finding of store_verify(): about a file ("events/2025/2025-08-11.ndjson") or a range. */
struct store_finding {
	enum store_finding_kind kind;
	const char *path;            /* below the organization's directory; NULL for a range */
	int64_t from_s, to_s;        /* the seconds concerned; 0 and 0: no particular ones */
	const char *text;            /* what is wrong, and what to do */
};

/* Checks every day file against its ledger entry (present, SHA-256, counts, order, no id twice, each
 * event in its own day, first and last), names files that the ledger does not know, checks staging
 * that the ledger names, and names the holes between covered ranges (path NULL). Calls found() for each
 * finding. May run beside a process that writes (read_only): what that one is about to do is no finding.
 * Memory: 16 bytes for each event of the largest day. The number of findings, or -1. */
int store_verify(struct store *s, void (*found)(void *ctx, const struct store_finding *finding),
                 void *ctx, struct err *e);

/* What store_repair() did about a file. */
struct store_repaired {
	const char *path;            /* where it stood, below the organization's directory */
	const char *moved_to;        /* likewise; NULL: it was missing */
	int64_t from_s, to_s;        /* its seconds that are forgotten, and to be read again; 0 and 0: none */
	bool compared;               /* once they are, what was moved is compared with what came */
};

/* Sets aside what store_verify() finds wrong (below quarantine/damaged/, never over anything that is there), and
 * forgets just the seconds of it. found() is called as by store_verify(), repaired() for each file when all of it
 * is durable. Order of writing: the ledger that forgets them, and says what is to be moved; the moves; the ledger
 * that says they are done. Stopped anywhere, the next store_open() goes on with it. The store must have been
 * opened for it. The number of findings, or -1; where a directory is not to be trusted nothing is done. */
int store_repair(struct store *s, void (*found)(void *ctx, const struct store_finding *finding),
                 void (*repaired)(void *ctx, const struct store_repaired *repaired), void *ctx, struct err *e);

/* What came of comparing a file that was set aside with what was read of its seconds since. */
struct store_compared {
	const char *path;            /* its directory, below the organization's: missing.ndjson, altered.ndjson, result.json */
	uint64_t missing;            /* events that could be read in it, and that the server gave no more */
	uint64_t altered;            /* those that it gave with other bytes */
	uint64_t gone;               /* missing, or, where the ledger had counted more, that many */
};

/* Compares what store_repair() set aside and of which all seconds are covered again, and keeps what the archive
 * lacks beside it. compared() is called for each; each is told once, but for a stop just then. Nothing where
 * nothing waits. 0 or -1. */
int store_compare(struct store *s, void (*compared)(void *ctx, const struct store_compared *compared), void *ctx,
                  struct err *e) __attribute__((warn_unused_result));

#endif
