/* store_support.h: directories, events and whole trees for the tests of lib/store. Failures abort the test. */
#ifndef ORGSYNC_TESTS_STORE_SUPPORT_H
#define ORGSYNC_TESTS_STORE_SUPPORT_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/base/event.h"
#include "lib/store/store.h"

#define BASE_S INT64_C(1754870400) /* 2025-08-11T00:00:00Z, a Monday; the day before is in the same year */
#define DAY_S INT64_C(86400)
#define ORG_A "32b6e34b3d91647abb20e7b8"
#define ORG_B "32b6e34b3d91647abb20e7b9"

/* As ck_assert_msg(), without its system call for each success. */
#define HOLDS(what, ...) do { \
	if (!(what)) { \
		char holds_text_[1000]; \
		snprintf(holds_text_, sizeof(holds_text_), __VA_ARGS__); \
		ck_abort_msg("%s: %s", #what, holds_text_); \
	} \
} while (0)

uint64_t test_seed(void);               /* from ORGSYNC_TEST_SEED, printed */

/* A directory below $TMPDIR, or where memory serves as a disk, or below /tmp. */
struct place { char path[200]; int fd; };
void place_open(struct place *p);
void place_empty(struct place *p);      /* removes what is in it */
void place_close(struct place *p);      /* removes it */

/* An event of its own memory: {"id":"…","created":"…","n":…,"pad":"…"}. Scanned by event_scan(). */
struct event test_event(unsigned id, int64_t created_s, unsigned fraction_ms, unsigned pad);
struct event test_event_of(const char *json);
void test_event_free(struct event *e);

/* Opens, and fails the test where that fails. */
struct store *test_open(const struct place *p, const char *name, enum ledger_suffix suffix);
void test_put(struct store *s, const struct event *events, size_t n);
/* Commits [from_s, to_s) as of as_of_s, all event types. */
void test_commit(struct store *s, int64_t from_s, int64_t to_s, int64_t as_of_s, bool finish);

/* The uncompressed content of the day's file, whichever suffix it has; empty where there is none. Fails
 * where it has more than one. */
void test_read_day(const struct place *p, const char *name, int64_t day_s, struct buf *b);
/* The uncompressed content of one day file, appended to b. */
void test_read_file(const struct place *p, const char *path, enum ledger_suffix suffix, struct buf *b);
bool test_exists(const struct place *p, const char *path);
void test_read(const struct place *p, const char *path, struct buf *b);
void test_write(const struct place *p, const char *path, const void *bytes, size_t len);
/* Every file below path: its name and content (day files uncompressed), in order of names. */
void test_tree(const struct place *p, const char *path, struct buf *b);

#endif
