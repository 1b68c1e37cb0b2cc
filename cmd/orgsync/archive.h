/* archive.h: the archives as the reading commands see them: opened without a lock, never changed, but for
 * what `verify --repair` does.
 * One thread at a time; everything blocks on the disk. */
#ifndef ORGSYNC_CMD_ARCHIVE_H
#define ORGSYNC_CMD_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/conf/conf.h"
#include "lib/store/store.h"
#include "lib/sync/sync.h"

/* Opens the output directory without making it. 0 and the file descriptor; 1 where there is none (no
 * run was made yet); -1. */
int archive_open(const struct conf *conf, int *ret_dirfd, struct err *e)
	__attribute__((warn_unused_result));

/* Opens one organization read-only; dirfd is of the output directory. NULL: e says why. */
struct store *archive_open_org(const struct conf *conf, const struct conf_org *org, int dirfd,
                               struct err *e);
/* As archive_open_org(), with its lock: for store_repair(). */
struct store *archive_open_damaged(const struct conf *conf, const struct conf_org *org, int dirfd,
                                   struct err *e);

/* What is to be read for the organization; the question's lists are borrowed from org. */
struct sync_options archive_sync_options(const struct conf_org *org);

struct archive_state {
	bool untouched;            /* nothing was ever read */
	bool empty;                /* nothing is covered by as wide a question as is asked now */
	int64_t from_s, to_s;      /* first and last covered second (half-open); 0 where nothing is covered */
	int64_t wanted_from_s, wanted_to_s;
	int64_t lag_s;             /* wanted_to − to (where nothing is covered: − wanted_from), at least 0 */
	size_t gaps;               /* ranges before to_s that are still to be read */
	uint64_t events;
	size_t days;
};

/* Sums a ledger up. Only what was asked at least as widely as the configuration asks now counts as
 * covered. 0, or -1 (memory). */
int archive_state(const struct ledger *ledger, const struct conf_org *org, int64_t now_s,
                  struct archive_state *ret) __attribute__((warn_unused_result));

#endif
