/* plan.c: which seconds are wanted, and which of them are missing. */
#include <stdlib.h>

#include "lib/base/isotime.h"
#include "lib/sync/private.h"

static int64_t
start_of(const struct sync_options *options, const struct ledger *ledger, int64_t now_wall_s)
{
	switch (options->start) {
	case SYNC_START_ALL:
		return EVENT_CREATED_MIN_NS / NS_PER_S;
	case SYNC_START_AT:
		return options->start_s;
	case SYNC_START_SINCE:
		break;
	}
	if (ledger->since_s >= 0)
		return ledger->since_s;
	/* As sync.c will set it: where the archive ends, or now. */
	if (ledger->n_covered > 0 && ledger->covered[ledger->n_covered - 1].to_s < now_wall_s)
		return ledger->covered[ledger->n_covered - 1].to_s;
	return now_wall_s;
}

/* Joins neighbours, missing or provisional alike: they are read in one go. */
static size_t
join(struct gap *gaps, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && gaps[kept - 1].to_s == gaps[i].from_s) {
			gaps[kept - 1].to_s = gaps[i].to_s;
			gaps[kept - 1].provisional &= gaps[i].provisional;
		} else
			gaps[kept++] = gaps[i];
	}
	return kept;
}

int
sync_plan(const struct sync_options *options, const struct ledger *ledger, int64_t now_wall_s,
          struct gap **ret_gaps, size_t *ret_n, int64_t *ret_from_s, int64_t *ret_to_s)
{
	int64_t from_s = start_of(options, ledger, now_wall_s), to_s = now_wall_s - options->settle_s;
	struct gap *gaps = NULL;
	size_t n = 0;

	if (to_s < from_s)
		to_s = from_s;
	if (from_s < to_s &&
	    ledger_missing(ledger, from_s, to_s, &options->asked, options->overlap_s, &gaps, &n) != 0)
		return -1;
	*ret_gaps = gaps;
	*ret_n = join(gaps, n);
	*ret_from_s = from_s;
	*ret_to_s = to_s;
	return 0;
}
