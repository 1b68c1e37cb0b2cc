/* Ten thousand and more histories of one organization, each from a seed, against a hostile server and a
 * store that is cut off anywhere. Each ends with the store equal to the server's set, and at no moment did
 * the ledger claim anything untrue. A failing history is made shorter until nothing more can be left out,
 * and printed.
 *
 * ORGSYNC_TEST_SEED=N begins at seed N; tests/support/cases.h says how many.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/rng.h"
#include "tests/support/cases.h"
#include "tests/support/history.h"

static bool
chance(struct rng *r, unsigned percent)
{
	return rng_below(r, 100) < percent;
}

static void
make_groups(struct history *h, struct rng *r, bool big)
{
	int64_t span_ms = (int64_t)(1 + rng_below(r, 3)) * 3600 * 1000;

	h->n_groups = 1 + rng_below(r, HISTORY_GROUPS_MAX - 1);
	for (size_t i = 0; i < h->n_groups; i++) {
		struct history_group *g = &h->groups[i];

		g->seed = rng_next(r);
		g->at_ms = HISTORY_T0_S * 1000 + (int64_t)rng_below(r, (uint64_t)span_ms);
		if (chance(r, 30))
			g->at_ms -= g->at_ms % 1000;
		if (i > 0 && chance(r, 25)) /* next to another: neighbouring and shared seconds */
			g->at_ms = h->groups[i - 1].at_ms + (int64_t)rng_below(r, 2500);
		g->spread_ms = chance(r, 40) ? (unsigned)rng_below(r, 1000)
		             : chance(r, 10) ? 0 : (unsigned)rng_below(r, 600000);
		g->count = 1 + (unsigned)rng_below(r, h->rows * (chance(r, 20) ? 4 : 1));
		if (big && chance(r, 30))
			g->count = 1 + (unsigned)rng_below(r, 2000);
		if (chance(r, 25)) /* a second counts from its start, an event may stand at its end */
			g->late_ms = (unsigned)rng_below(r, (uint64_t)(h->overlap_s - 1) * 1000 + 1);
		g->type = (unsigned)rng_below(r, 4);
	}
}

static void
make_runs(struct history *h, struct rng *r)
{
	int64_t at_ms = HISTORY_T0_S * 1000 + (int64_t)rng_below(r, 3600000);

	h->n_runs = 1 + rng_below(r, HISTORY_RUNS_MAX - 1);
	for (size_t i = 0; i < h->n_runs; i++) {
		struct history_run *run = &h->runs[i];

		run->at_ms = at_ms;
		at_ms += (int64_t)rng_below(r, 3600000);
		run->types = chance(r, 70) ? 15 : 1 + (unsigned)rng_below(r, 15);
		run->start_s = HISTORY_T0_S - 100;
		if (chance(r, 25))
			run->start_s = HISTORY_T0_S + (int64_t)rng_below(r, 7200);
		if (chance(r, 15))
			run->clock_off_s = chance(r, 50) ? 86400 : -86400;
		else if (chance(r, 20))
			run->clock_off_s = (int64_t)rng_below(r, 20) - 10;
		if (h->no_date && run->clock_off_s > 0)
			run->clock_off_s = -run->clock_off_s; /* nothing could tell */
		if (chance(r, 40))
			run->cut_at = 1 + (unsigned)rng_below(r, 12);
		else if (chance(r, 20))
			run->fail_at = 1 + (unsigned)rng_below(r, 20);
	}
}

static void
make_history(uint64_t seed, struct history *h)
{
	struct rng rng, *r = &rng;
	bool big;

	memset(h, 0, sizeof(*h));
	rng_seed(r, seed);
	h->seed = rng_next(r);
	big = chance(r, 2);
	h->rows = big ? 500 : 3 + (unsigned)rng_below(r, chance(r, 80) ? 30 : 120);
	h->settle_s = chance(r, 20) ? 0 : (int64_t)rng_below(r, 300);
	h->overlap_s = chance(r, 10) ? 1 : 1 + (int64_t)rng_below(r, 3600);
	h->since = chance(r, 15);
	h->never_next = chance(r, 40);
	h->always_next = !h->never_next && chance(r, 15);
	if (chance(r, 35)) {
		h->silent_cap = 1 + (unsigned)rng_below(r, h->rows);
		h->skip_by_asked = chance(r, 30);
	}
	if (chance(r, 40))
		h->lie = (int)rng_below(r, 7) - (h->silent_cap > 0 && h->never_next ? 0 : 3);
	h->lies_of_none = h->lie > 0 && chance(r, 50);
	h->cap_wavers = h->silent_cap > 0 && !h->never_next && !h->always_next && chance(r, 30);
	if (chance(r, 5))
		h->lie = -1000000; /* always 0 */
	h->no_count = chance(r, 10);
	h->rounds = chance(r, 30);
	h->changes = chance(r, 40);
	h->no_date = chance(r, 10);
	if (chance(r, 15))
		h->unordered_pct = 1 + (unsigned)rng_below(r, 30);
	if (chance(r, 15))
		h->bad_pct = 1 + (unsigned)rng_below(r, 30);
	h->tick_ms = chance(r, 50) ? (unsigned)rng_below(r, 3000) : 0;
	make_groups(h, r, big);
	make_runs(h, r);
	if (chance(r, 5)) {
		h->poison_s = h->groups[0].at_ms / 1000;
		h->since = false;
	}
}

/* Tries to make the history shorter by one change; true where it still fails. */
static bool
still_fails(struct history *h, const struct history *shorter)
{
	if (memcmp(h, shorter, sizeof(*h)) == 0 || history_run(shorter) == NULL)
		return false;
	*h = *shorter;
	return true;
}

static bool
drop_parts(struct history *h)
{
	struct history t;
	bool any = false;

	for (size_t i = h->n_groups; i-- > 0;) {
		t = *h;
		memmove(&t.groups[i], &t.groups[i + 1], (t.n_groups - i - 1) * sizeof(t.groups[0]));
		memset(&t.groups[--t.n_groups], 0, sizeof(t.groups[0]));
		any |= still_fails(h, &t);
	}
	for (size_t i = h->n_runs; i-- > 0;) {
		t = *h;
		memmove(&t.runs[i], &t.runs[i + 1], (t.n_runs - i - 1) * sizeof(t.runs[0]));
		memset(&t.runs[--t.n_runs], 0, sizeof(t.runs[0]));
		any |= still_fails(h, &t);
	}
	return any;
}

#define TRY(change) do { t = *h; change; any |= still_fails(h, &t); } while (0)

static bool
simplify_parts(struct history *h)
{
	struct history t;
	bool any = false;

	for (size_t i = 0; i < h->n_groups; i++) {
		TRY(t.groups[i].count = t.groups[i].count / 2 + t.groups[i].count % 2);
		TRY(t.groups[i].count -= t.groups[i].count > 1);
		TRY(t.groups[i].late_ms = 0);
		TRY(t.groups[i].spread_ms = 0);
		TRY(t.groups[i].type = 0);
	}
	for (size_t i = 0; i < h->n_runs; i++) {
		TRY(t.runs[i].cut_at = 0);
		TRY(t.runs[i].fail_at = 0);
		TRY(t.runs[i].clock_off_s = 0);
		TRY(t.runs[i].types = 15);
		TRY(t.runs[i].start_s = HISTORY_T0_S - 100);
	}
	TRY(t.silent_cap = 0);
	TRY(t.skip_by_asked = false);
	TRY(t.cap_wavers = false);
	TRY(t.never_next = false);
	TRY(t.always_next = false);
	TRY(t.lies_of_none = false);
	TRY(t.lie = 0);
	TRY(t.no_count = false);
	TRY(t.rounds = false);
	TRY(t.changes = false);
	TRY(t.no_date = false);
	TRY(t.unordered_pct = 0);
	TRY(t.bad_pct = 0);
	TRY(t.tick_ms = 0);
	TRY(t.settle_s = 0);
	TRY(t.poison_s = 0);
	return any;
}

static void
print_history(const struct history *h, uint64_t seed)
{
	printf("history of seed %llu, at its shortest: rows=%u settle=%lld overlap=%lld since=%d cap=%u%s%s "
	       "next=%d%s lie=%d%s count=%d rounds=%d changes=%d date=%d unordered=%u%% bad=%u%% tick=%u poison=%lld\n",
	       (unsigned long long)seed, h->rows, (long long)h->settle_s, (long long)h->overlap_s, h->since,
	       h->silent_cap, h->skip_by_asked ? "(skips by asked)" : "",
	       h->cap_wavers ? "(wavers)" : "", !h->never_next, h->always_next ? "(always)" : "", h->lie,
	       h->lies_of_none ? "(of none)" : "", !h->no_count,
	       h->rounds, h->changes, !h->no_date, h->unordered_pct, h->bad_pct, h->tick_ms,
	       (long long)(h->poison_s == 0 ? 0 : h->poison_s - HISTORY_T0_S));
	for (size_t i = 0; i < h->n_groups; i++)
		printf("  %u event(s) at %lld ms + %u, late %u, type %u\n", h->groups[i].count,
		       (long long)(h->groups[i].at_ms - HISTORY_T0_S * 1000), h->groups[i].spread_ms,
		       h->groups[i].late_ms, h->groups[i].type);
	for (size_t i = 0; i < h->n_runs; i++)
		printf("  run at %lld ms, clock %+lld s, types %x, start %+lld s, cut at %u, fails at %u\n",
		       (long long)(h->runs[i].at_ms - HISTORY_T0_S * 1000), (long long)h->runs[i].clock_off_s,
		       h->runs[i].types, (long long)(h->runs[i].start_s - HISTORY_T0_S), h->runs[i].cut_at,
		       h->runs[i].fail_at);
}

START_TEST(histories_end_exact)
{
	const char *from = getenv("ORGSYNC_TEST_SEED");
	uint64_t first = from != NULL ? strtoull(from, NULL, 10) : (uint64_t)time(NULL) * 1000003;
	unsigned long n = test_cases(12000, 200000);
	struct history h;
	const char *what;

	printf("ORGSYNC_TEST_SEED=%llu\n", (unsigned long long)first);
	fflush(stdout);
	for (unsigned long i = 0; i < n; i++) {
		make_history(first + i, &h);
		if (history_run(&h) == NULL)
			continue;
		while (drop_parts(&h) || simplify_parts(&h))
			continue;
		what = history_run(&h);
		print_history(&h, first + i);
		fflush(stdout);
		ck_abort_msg("seed %llu: %s", (unsigned long long)(first + i), what);
	}
	printf("%llu runs, %llu questions, %llu events, %llu commits, %llu cuts, %llu bad pages, "
	       "%llu unordered\n", (unsigned long long)history_totals.runs,
	       (unsigned long long)history_totals.questions, (unsigned long long)history_totals.events,
	       (unsigned long long)history_totals.commits, (unsigned long long)history_totals.cuts,
	       (unsigned long long)history_totals.bad_pages, (unsigned long long)history_totals.unordered);
	test_cases_played("histories", n);
	/* The hostile things did happen. */
	ck_assert(n < 1000 || (history_totals.cuts > n / 10 && history_totals.bad_pages > n / 10 &&
	                       history_totals.unordered > n / 10));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sync histories");
	TCase *tc = tcase_create("histories");
	SRunner *runner;
	int failed;

	log_open(2, LOG_LEVEL_ERROR);
	if (getenv("ORGSYNC_TEST_VERBOSE") == NULL)
		log_open(-1, LOG_LEVEL_ERROR); /* the server's mischief is not news */
	tcase_set_timeout(tc, 3000);
	tcase_add_test(tc, histories_end_exact);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
