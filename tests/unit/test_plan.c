/* What the next sync would read and why, and how a ledger is summed up for status. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/orgsync/archive.h"
#include "cmd/orgsync/plan.h"

#define DAY INT64_C(86400)
#define T0 (20000 * DAY)      /* a midnight */
#define NOW (T0 + 100 * DAY)

static struct ledger ledger;
static struct conf_org org;
static char *few[] = { (char *)"USER_ADDED" };

static void
set_up(void)
{
	ledger_init(&ledger);
	memset(&org, 0, sizeof(org));
	org.name = (char *)"acme";
	org.org_id = (char *)"000000000000000000000001";
	org.start = CONF_START_AT;
	org.start_s = T0;
	org.settle_s = 120;
	org.overlap_s = 3600;
	org.include_raw = true;
}

static void
tear_down(void)
{
	ledger_free(&ledger);
}

static void
cover(int64_t from_s, int64_t to_s, int64_t as_of_s, bool narrow)
{
	struct covered c = { from_s, to_s, as_of_s, INT64_MAX, { narrow ? few : NULL, narrow ? 1 : 0, true } };

	ck_assert_int_eq(ledger_cover(&ledger, &c, org.overlap_s), 0);
}

static void
add_days(int64_t first_s, int n, uint64_t events)
{
	for (int i = 0; i < n; i++) {
		struct day d = { .day_s = first_s + i * DAY, .events = events };

		ck_assert_int_eq(ledger_set_day(&ledger, &d), 0);
	}
}

static void
is_range(const struct plan *p, size_t i, int64_t from_s, int64_t to_s, enum plan_why why)
{
	ck_assert_uint_lt(i, p->n_ranges);
	ck_assert_int_eq(p->ranges[i].from_s, from_s);
	ck_assert_int_eq(p->ranges[i].to_s, to_s);
	ck_assert_str_eq(plan_why_name(p->ranges[i].why), plan_why_name(why));
}

START_TEST(nothing_read_yet)
{
	struct plan p;

	ck_assert_int_eq(plan_make(&org, &ledger, NOW, &p), 0);
	ck_assert_uint_eq(p.n_ranges, 1);
	is_range(&p, 0, T0, NOW - 120, PLAN_NEW);
	ck_assert_int_eq(p.ranges[0].events_guess, -1);
	ck_assert(p.pages_at_least);
	ck_assert_uint_eq(p.pages_guess, 1);
	ck_assert(!p.first_sync);
	plan_free(&p);
}
END_TEST

START_TEST(begins_with_its_first_sync)
{
	struct plan p;

	org.start = CONF_START_NONE;
	ledger.since_s = -1;
	ck_assert_int_eq(plan_make(&org, &ledger, NOW, &p), 0);
	ck_assert_uint_eq(p.n_ranges, 0);
	ck_assert(p.first_sync);
	plan_free(&p);
	ledger.since_s = NOW - 1000;
	ck_assert_int_eq(plan_make(&org, &ledger, NOW, &p), 0);
	ck_assert_uint_eq(p.n_ranges, 1);
	is_range(&p, 0, NOW - 1000, NOW - 120, PLAN_NEW);
	ck_assert(!p.first_sync);
	plan_free(&p);
}
END_TEST

/* Last night's run, read again where it was provisional, and what came since: one reading. */
START_TEST(every_night)
{
	int64_t last_s = NOW - DAY;
	struct plan p;

	cover(T0, last_s - 120, last_s, false);
	add_days(T0, 99, 1000);
	ck_assert_int_eq(plan_make(&org, &ledger, NOW, &p), 0);
	ck_assert_uint_eq(p.n_ranges, 2);
	is_range(&p, 0, last_s - 3600 + 1, last_s - 120, PLAN_PROVISIONAL);
	is_range(&p, 1, last_s - 120, NOW - 120, PLAN_NEW);
	ck_assert(p.ranges[0].joined && !p.ranges[1].joined);
	ck_assert_uint_eq(p.ranges[0].pages_guess, 0);
	/* a day and an hour of about 1,000 events a day */
	ck_assert_int_ge(p.ranges[1].events_guess, 990);
	ck_assert_int_le(p.ranges[1].events_guess, 1010);
	ck_assert_uint_eq(p.pages_guess, 3);
	ck_assert(!p.pages_at_least);
	plan_free(&p);
}
END_TEST

START_TEST(every_reason)
{
	struct plan p;

	cover(T0 + 10 * DAY, T0 + 20 * DAY, NOW - DAY, false);
	cover(T0 + 30 * DAY, T0 + 40 * DAY, NOW - DAY, true);
	cover(T0 + 40 * DAY, T0 + 50 * DAY, NOW - DAY, false);
	add_days(T0 + 10 * DAY, 10, 7);
	ck_assert_int_eq(plan_make(&org, &ledger, NOW, &p), 0);
	ck_assert_uint_eq(p.n_ranges, 4);
	is_range(&p, 0, T0, T0 + 10 * DAY, PLAN_OLDER);
	is_range(&p, 1, T0 + 20 * DAY, T0 + 30 * DAY, PLAN_LEFT_OPEN);
	is_range(&p, 2, T0 + 30 * DAY, T0 + 40 * DAY, PLAN_NARROWER);
	is_range(&p, 3, T0 + 50 * DAY, NOW - 120, PLAN_NEW);
	ck_assert(!p.ranges[0].joined && p.ranges[1].joined && !p.ranges[2].joined);
	ck_assert_uint_eq(p.pages_guess, 3);
	plan_free(&p);
	/* the narrower question is now the one that is asked: nothing of it is missing */
	org.event_types = few;
	org.n_event_types = 1;
	ck_assert_int_eq(plan_make(&org, &ledger, NOW, &p), 0);
	ck_assert_uint_eq(p.n_ranges, 3);
	is_range(&p, 1, T0 + 20 * DAY, T0 + 30 * DAY, PLAN_LEFT_OPEN);
	plan_free(&p);
}
END_TEST

START_TEST(density)
{
	ck_assert(plan_density(&ledger, T0, NOW) < 0); /* nothing is known */
	cover(T0, T0 + 200 * DAY, NOW + 200 * DAY, false);
	ck_assert(plan_density(&ledger, T0, NOW) == 0); /* read, and there was nothing */
	add_days(T0, 30, 10);
	add_days(T0 + 100 * DAY, 30, 500);
	ck_assert(plan_density(&ledger, T0 + 5 * DAY, T0 + 6 * DAY) == 10);
	ck_assert(plan_density(&ledger, T0 + 115 * DAY, T0 + 116 * DAY) == 500);
	ck_assert(plan_density(&ledger, T0 - 500 * DAY, T0) == 10);
	ck_assert(plan_density(&ledger, T0 + 300 * DAY, T0 + 400 * DAY) == 500);
}
END_TEST

/* What was not read says nothing of how many events there are. */
START_TEST(density_beside_a_gap)
{
	cover(T0, T0 + 10 * DAY, NOW, false);
	cover(T0 + 90 * DAY, NOW, NOW + DAY, false);
	add_days(T0, 10, 100);
	add_days(T0 + 90 * DAY, 10, 100);
	ck_assert(plan_density(&ledger, T0 + 10 * DAY, T0 + 90 * DAY) == 100);
}
END_TEST

/* A start time that was taken away: sync goes on where the archive ends. */
START_TEST(without_start_time_but_with_an_archive)
{
	struct plan p;

	org.start = CONF_START_NONE;
	ledger.since_s = -1;
	cover(T0, NOW - DAY, NOW, false);
	ck_assert_int_eq(plan_make(&org, &ledger, NOW, &p), 0);
	ck_assert(!p.first_sync);
	ck_assert_uint_eq(p.n_ranges, 1);
	is_range(&p, 0, NOW - DAY, NOW - 120, PLAN_NEW);
	plan_free(&p);
}
END_TEST

/* How far back an organization goes is not known: no guess, and no million pages. */
START_TEST(all_of_it)
{
	struct plan p;

	org.start = CONF_START_ALL;
	cover(NOW - 10 * DAY, NOW - 200, NOW, false);
	add_days(NOW - 10 * DAY, 10, 1000);
	ck_assert_int_eq(plan_make(&org, &ledger, NOW, &p), 0);
	is_range(&p, 0, p.wanted_from_s, NOW - 10 * DAY, PLAN_OLDER);
	ck_assert_int_eq(p.ranges[0].events_guess, -1);
	ck_assert(p.ranges[0].pages_at_least);
	ck_assert_uint_eq(p.pages_guess, 2);
	plan_free(&p);
}
END_TEST

START_TEST(states)
{
	struct archive_state s;

	ck_assert_int_eq(archive_state(&ledger, &org, NOW, &s), 0);
	ck_assert(s.empty && s.untouched);
	ck_assert_uint_eq(s.gaps, 0);
	ck_assert_int_eq(s.lag_s, 100 * DAY - 120);
	cover(T0 + 10 * DAY, T0 + 20 * DAY, NOW - DAY, false);
	cover(T0 + 50 * DAY, NOW - 7200, NOW - 7000, false);
	cover(NOW - 7200, NOW - 300, NOW - 100, true); /* narrower than asked now: does not count */
	add_days(T0 + 10 * DAY, 3, 7);
	ck_assert_int_eq(archive_state(&ledger, &org, NOW, &s), 0);
	ck_assert(!s.empty && !s.untouched);
	ck_assert_int_eq(s.from_s, T0 + 10 * DAY);
	ck_assert_int_eq(s.to_s, NOW - 7200);
	ck_assert_uint_eq(s.gaps, 2); /* before and between; the provisional end is none */
	ck_assert_int_eq(s.lag_s, 7200 - 120);
	ck_assert_uint_eq(s.events, 21);
	ck_assert_uint_eq(s.days, 3);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("plan");
	TCase *tc = tcase_create("plan");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, nothing_read_yet);
	tcase_add_test(tc, begins_with_its_first_sync);
	tcase_add_test(tc, every_night);
	tcase_add_test(tc, every_reason);
	tcase_add_test(tc, density);
	tcase_add_test(tc, density_beside_a_gap);
	tcase_add_test(tc, without_start_time_but_with_an_archive);
	tcase_add_test(tc, all_of_it);
	tcase_add_test(tc, states);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
