/* ledger.h: what is known of one organization's archive: the only place that says so.
 *
 * A plain value with functions over it; reading and writing JSON, no files. One owner, one thread at a
 * time. See docs/ARCHIVE.md for the format on disk.
 */
#ifndef ORGSYNC_STORE_LEDGER_H
#define ORGSYNC_STORE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Format 1 had neither a checksum of its own, nor repairs, nor the seconds of a staging file. It is read; what is
 * written is format 2. */
#define LEDGER_FORMAT 2
#define LEDGER_TIME_MAX_S INT64_C(9214646399) /* 2261-12-31T23:59:59Z: what isotime.h reads */

/* What was asked: a wider question covers a narrower one. */
struct question {
	char **event_types;   /* sorted, without repeats */
	size_t n_event_types; /* 0: all */
	bool raw;             /* includeRaw */
};

/* True where every answer to `narrow` is contained in one to `wide`. */
bool question_covers(const struct question *wide, const struct question *narrow);

/* The seconds [from_s, to_s), read when the server's own clock, or ours where that is earlier, said as_of_s.
 * overlap_s says how ranges of different as_of were joined: each second t of the range was asked at
 * as_of_s or later, or at t + overlap_s or later. INT64_MAX: the range was never joined, all of it was
 * asked at as_of_s or later. */
struct covered {
	int64_t from_s, to_s, as_of_s, overlap_s;
	struct question asked;
};

enum ledger_suffix { LEDGER_PLAIN, LEDGER_GZIP, LEDGER_ZSTD };
const char *ledger_suffix_text(enum ledger_suffix s); /* ".ndjson", ".ndjson.gz", ".ndjson.zst" */

/* What a day file must be. Every figure is of the uncompressed bytes. */
struct day {
	int64_t day_s;              /* its first second */
	enum ledger_suffix suffix;
	uint64_t events, bytes;
	int64_t first_ns, last_ns;  /* created of the first and the last event */
	unsigned char sha256[32];
};

struct staged {                 /* a file below .staging/ whose events the day files may lack */
	char file[40];
	uint64_t bytes;
	int64_t from_s, to_s;       /* the seconds of its events; from format 1: all there are */
	unsigned char sha256[32];
};

/* What store_repair() has set aside, or will in a moment, and what is still to be done about it. */
struct repair {
	char aside[24];             /* the directory below quarantine/damaged/: "2025-08-11.1", "staging.2" */
	char file[40];              /* a day's or staging's file, under its own name; "": there was none to move */
	bool moving;                /* it may not be there yet, or not only there */
	int64_t from_s, to_s;       /* when these seconds are covered it can be compared with what was read anew */
	uint64_t events;            /* that it held, by the ledger; 0: not known */
};

struct ledger {
	char org_id[25];
	int64_t since_s;            /* -1: not set */
	struct covered *covered;    /* sorted, disjoint */
	size_t n_covered;
	struct day *days;           /* sorted by day_s */
	size_t n_days;
	struct staged *staging;
	size_t n_staging;
	struct day *becoming;       /* what day files are about to become, sorted; empty at rest */
	size_t n_becoming;
	struct repair *repairs;     /* in the order they were made */
	size_t n_repairs;
};

void ledger_init(struct ledger *l);
void ledger_free(struct ledger *l);

/* Records that [c->from_s, c->to_s) was read: replaces whatever was known of those seconds, and joins
 * neighbours of the same question where the joined range says nothing untrue and all of it is final
 * under overlap_s. c is copied. 0 or -1 (memory, or a time before 1970 or after LEDGER_TIME_MAX_S; l
 * unchanged). */
int ledger_cover(struct ledger *l, const struct covered *c, int64_t overlap_s)
	__attribute__((warn_unused_result));

/* Forgets [from_s, to_s). 0 or -1. */
int ledger_uncover(struct ledger *l, int64_t from_s, int64_t to_s) __attribute__((warn_unused_result));

struct gap { int64_t from_s, to_s; bool provisional; };

/* The seconds of [from_s, to_s) that are to be read for `asked`: those not covered by a question at
 * least as wide, and those covered but provisional under overlap_s (second t is final when it was
 * asked at t + overlap_s or later). Sorted ascending, neighbours of the same kind joined; *ret_gaps is
 * the caller's to free(). 0 or -1. */
int ledger_missing(const struct ledger *l, int64_t from_s, int64_t to_s, const struct question *asked,
                   int64_t overlap_s, struct gap **ret_gaps, size_t *ret_n)
	__attribute__((warn_unused_result));

/* The day's entry, or NULL. */
struct day *ledger_day(const struct ledger *l, int64_t day_s);
/* Inserts or replaces the entry of d->day_s. 0 or -1. */
int ledger_set_day(struct ledger *l, const struct day *d) __attribute__((warn_unused_result));
/* Takes the day out of days and becoming; nothing where it is in neither. */
void ledger_drop_day(struct ledger *l, int64_t day_s);
/* Adds an entry. 0 or -1. */
int ledger_add_repair(struct ledger *l, const struct repair *r) __attribute__((warn_unused_result));

/* The first and last covered second (half-open) of [from_s, to_s). False: none is covered. */
bool ledger_covered_hull(const struct ledger *l, int64_t from_s, int64_t to_s, int64_t *ret_from_s,
                         int64_t *ret_to_s);
/* True where every second of [from_s, to_s) is covered, by whatever question. */
bool ledger_covers(const struct ledger *l, int64_t from_s, int64_t to_s);
/* True where it would be once the n ranges, in any order, are recorded too. */
bool ledger_will_cover(const struct ledger *l, const struct covered *more, size_t n, int64_t from_s, int64_t to_s);

/* The ledger as JSON text, appended to b. 0 or -1. */
int ledger_write(const struct ledger *l, struct buf *b) __attribute__((warn_unused_result));
/* Reads the JSON text into l (made with ledger_init()). -1 with code ERR_LEDGER where it is damaged, not as it was
 * written (its checksum, from format 2 on), of a newer format, or says impossible things (unsorted, overlapping,
 * bad digits …); what: a name for the message, such as "acme/ledger.json". */
int ledger_read(struct ledger *l, const char *text, size_t len, const char *what, struct err *e)
	__attribute__((warn_unused_result));

#endif
