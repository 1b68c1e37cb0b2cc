/* The run record: what is written is what status reads, newest first, and damage is passed over. */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/orgsync/record.h"
#include "lib/base/file.h"

#define NOW_S (1795312800 + INT64_C(365) * 86400)

static char directory[200];
static int output = -1, runs = -1;

static struct conf_org orgs[] = {
	{ .name = (char *)"acme", .org_id = (char *)"000000000000000000000001" },
	{ .name = (char *)"zeta", .org_id = (char *)"000000000000000000000002" },
	{ .name = (char *)"globex", .org_id = (char *)"000000000000000000000003" },
};

static void
set_up(void)
{
	const char *tmp = getenv("TMPDIR");
	int own;

	snprintf(directory, sizeof(directory), "%s/orgsync-record-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	output = open(directory, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(output, 0);
	own = file_open_dir(output, ".orgsync", 1, ".orgsync", NULL);
	runs = file_open_dir(own, "runs", 1, "runs", NULL);
	ck_assert_int_ge(runs, 0);
	close(own);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
tear_down(void)
{
	close(output);
	close(runs);
	ck_assert_int_eq(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Writes a record of the three organizations with these outcomes; returns the run's name. */
static void
write_run_of(long pid, int64_t started_s, const enum run_outcome *outcomes, char *ret_run)
{
	struct run_result results[3] = { 0 };
	int64_t ended_at_s[3];
	struct record_facts facts = { .version = "0.1.0", .command = "sync", .run = ret_run,
		                      .directory = "/nowhere", .started_s = started_s, .ended_s = started_s + 60,
		                      .elapsed_ms = 60000, .exit_code = 3, .n_read = 4, .n_disabled = 1,
		                      .results = results, .ended_at_s = ended_at_s, .n_results = 3 };
	json_t *record;
	struct err e;
	int fd;

	for (size_t i = 0; i < 3; i++) {
		results[i].org = &orgs[i];
		results[i].outcome = outcomes[i];
		results[i].events_new = 10 * (i + 1);
		err_clear(&results[i].err);
		if (outcomes[i] == RUN_FAILED) {
			err_set(&results[i].err, ERR_CREDENTIAL, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
			        "the key of %s is refused", orgs[i].name);
			err_hint(&results[i].err, "look at it");
			results[i].err.http_status = 401;
		}
		ended_at_s[i] = outcomes[i] == RUN_WAITING ? 0 : started_s + (int64_t)i;
	}
	err_clear(&e);
	ck_assert_int_eq(record_make_dir(runs, started_s, pid, ret_run, &fd, &e), 0);
	record = record_build(&facts);
	ck_assert_ptr_nonnull(record);
	ck_assert_int_eq(record_write(fd, record, &e), 0);
	json_decref(record);
	close(fd);
}

static void
write_run(int64_t started_s, const enum run_outcome *outcomes, char *ret_run)
{
	write_run_of(4711, started_s, outcomes, ret_run);
}

static void
last_of(struct record_last *ret, size_t *ret_unreadable)
{
	const struct conf_org *wanted[] = { &orgs[0], &orgs[1], &orgs[2] };
	struct err e;

	err_clear(&e);
	ck_assert_int_eq(record_last(output, wanted, 3, NOW_S, ret, ret_unreadable, &e), 0);
}

/* Seconds are too coarse to tell which came last; the order of the records does. */
START_TEST(of_two_runs_in_one_second_the_later_counts)
{
	static const enum run_outcome good[] = { RUN_DONE, RUN_DONE, RUN_DONE };
	static const enum run_outcome bad[] = { RUN_FAILED, RUN_FAILED, RUN_DONE };
	char run[RECORD_RUN_MAX];
	struct record_last last[3];
	size_t unreadable;

	write_run_of(9998, 1795312800, bad, run);
	write_run_of(10000, 1795312800, good, run);
	last_of(last, &unreadable);
	ck_assert_int_eq(last[0].error_s, last[0].success_s);
	ck_assert(!last[0].error_stands);
	write_run_of(10001, 1795312800, bad, run);
	last_of(last, &unreadable);
	ck_assert(last[0].error_stands);
	ck_assert(last[1].error_stands);
	ck_assert(!last[2].error_stands);
}
END_TEST

START_TEST(round_trip)
{
	static const enum run_outcome older[] = { RUN_DONE, RUN_FAILED, RUN_WAITING };
	static const enum run_outcome newer[] = { RUN_FAILED, RUN_LOCKED, RUN_STOPPED };
	char run[RECORD_RUN_MAX], again[RECORD_RUN_MAX];
	struct record_last last[3];
	size_t unreadable;
	struct stat st;

	write_run(1795312800, older, run);
	ck_assert_str_eq(run, "20261122T020000Z-4711");
	write_run(1795312800 + 86400, newer, again);
	last_of(last, &unreadable);
	ck_assert_uint_eq(unreadable, 0);
	ck_assert_int_eq(last[0].success_s, 1795312800);
	ck_assert_int_eq(last[0].error_s, 1795312800 + 86400);
	ck_assert_str_eq(last[0].code, "credential");
	ck_assert_str_eq(last[0].text, "the key of acme is refused");
	ck_assert_str_eq(last[0].hint, "look at it");
	ck_assert_int_eq(last[1].success_s, -1);
	ck_assert_int_eq(last[1].error_s, 1795312800 + 1);
	ck_assert_int_eq(last[2].success_s, -1);
	ck_assert_int_eq(last[2].error_s, -1);
	ck_assert_int_eq(fstatat(runs, run, &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(fstatat(runs, "20261122T020000Z-4711/report.json", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(names_are_unique)
{
	char first[RECORD_RUN_MAX], second[RECORD_RUN_MAX], third[RECORD_RUN_MAX];
	int fd;

	ck_assert_int_eq(record_make_dir(runs, 1795312800, 1, first, &fd, NULL), 0);
	close(fd);
	ck_assert_int_eq(record_make_dir(runs, 1795312800, 1, second, &fd, NULL), 0);
	close(fd);
	ck_assert_int_eq(record_make_dir(runs, 1795312800, 1, third, &fd, NULL), 0);
	close(fd);
	ck_assert_str_eq(first, "20261122T020000Z-1");
	ck_assert_str_eq(second, "20261122T020000Z-1-2");
	ck_assert_str_eq(third, "20261122T020000Z-1-3");
}
END_TEST

/* Writes any bytes as a run's report. */
static void
write_raw(const char *run, const char *text)
{
	int fd = file_open_dir(runs, run, 1, run, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(file_replace(fd, "report.json", text, strlen(text), "report.json", NULL), 0);
	close(fd);
}

START_TEST(damage_is_passed_over)
{
	static const enum run_outcome done[] = { RUN_DONE, RUN_DONE, RUN_DONE };
	char run[RECORD_RUN_MAX];
	struct record_last last[3];
	size_t unreadable;
	int fd;

	write_run(1795312800, done, run);
	write_raw("20261123T020000Z-1", "{\"organizations\": [");
	write_raw("20261123T020000Z-2", "");
	write_raw("20261123T020000Z-3", "[1, 2]");
	write_raw("20261123T020000Z-4", "{\"organizations\": {\"name\": 1}}");
	write_raw("20261123T020000Z-5", "{\"organizations\": [7, null, {\"name\": \"acme\"}, {\"name\": 4, \"org_id\": []}]}");
	/* the name of one organization with the id of another: somebody else's history */
	write_raw("20261123T020000Z-6",
	          "{\"ended\": \"2026-11-23T02:00:00Z\", \"organizations\": [{\"name\": \"acme\", \"org_id\": "
	          "\"00000000000000000000000f\", \"outcome\": \"up_to_date\"}]}");
	/* a date that is none */
	write_raw("20261123T020000Z-7",
	          "{\"ended\": \"yesterday\", \"organizations\": [{\"name\": \"acme\", \"org_id\": "
	          "\"000000000000000000000001\", \"outcome\": \"up_to_date\", \"ended\": 7}]}");
	fd = file_open_dir(runs, "20261123T020000Z-8", 1, "a run that was cut off", NULL);
	close(fd);
	ck_assert_int_eq(symlinkat(directory, runs, "20261123T020000Z-9"), 0);
	last_of(last, &unreadable);
	ck_assert_uint_eq(unreadable, 3); /* the first two and the symbolic link */
	ck_assert_int_eq(last[0].success_s, 1795312800);
	ck_assert_int_eq(last[2].success_s, 1795312802);
}
END_TEST

START_TEST(looks_back_so_far_and_no_further)
{
	static const enum run_outcome done[] = { RUN_DONE, RUN_DONE, RUN_DONE };
	static const enum run_outcome waiting[] = { RUN_WAITING, RUN_WAITING, RUN_WAITING };
	char run[RECORD_RUN_MAX];
	struct record_last last[3];
	size_t unreadable;

	write_run(1795312800, done, run);
	for (int i = 1; i < RECORD_LOOK_BACK; i++)
		write_run(1795312800 + i * 3600, waiting, run);
	last_of(last, &unreadable);
	ck_assert_int_eq(last[0].success_s, 1795312800);
	write_run(1795312800 + RECORD_LOOK_BACK * 3600, waiting, run);
	last_of(last, &unreadable);
	ck_assert_int_eq(last[0].success_s, -1);
}
END_TEST

/* A clock that was a year ahead must not say for a year what came of the last run. */
START_TEST(the_future_is_passed_over)
{
	static const enum run_outcome done[] = { RUN_DONE, RUN_DONE, RUN_DONE };
	static const enum run_outcome failed[] = { RUN_FAILED, RUN_FAILED, RUN_FAILED };
	char run[RECORD_RUN_MAX];
	struct record_last last[3];
	size_t unreadable;

	write_run(1795312800, done, run);
	for (int i = 0; i < RECORD_LOOK_BACK; i++)
		write_run(NOW_S + 365 * 86400 + i * 60, failed, run);
	write_run(NOW_S + 200, failed, run); /* but not what runs a little ahead */
	last_of(last, &unreadable);
	ck_assert_int_eq(last[0].success_s, 1795312800);
	ck_assert_int_eq(last[0].error_s, NOW_S + 200);
}
END_TEST

START_TEST(nothing_there)
{
	struct record_last last[3];
	size_t unreadable;

	last_of(last, &unreadable);
	ck_assert_int_eq(last[0].success_s, -1);
	ck_assert_int_eq(unlinkat(output, ".orgsync/runs", AT_REMOVEDIR), 0);
	last_of(last, &unreadable);
	ck_assert_int_eq(unlinkat(output, ".orgsync", AT_REMOVEDIR), 0);
	last_of(last, &unreadable);
	ck_assert_uint_eq(unreadable, 0);
}
END_TEST

START_TEST(totals)
{
	struct run_result r[6] = {
		{ .org = &orgs[0], .outcome = RUN_DONE, .events_new = 5, .requests = 3 },
		{ .org = &orgs[0], .outcome = RUN_DONE, .quarantined = 1 },
		{ .org = &orgs[0], .outcome = RUN_FAILED, .lost_seconds = 4, .err = { .code = ERR_SECRET } },
		{ .org = &orgs[0], .outcome = RUN_FAILED, .err = { .code = ERR_NETWORK } },
		{ .org = &orgs[0], .outcome = RUN_DEADLINE, .lost_seconds = 2, .requests = 4 },
		{ .org = &orgs[0], .outcome = RUN_LOCKED },
	};
	struct record_totals t;

	record_count(r, 6, &t);
	ck_assert_uint_eq(t.selected, 6);
	ck_assert_uint_eq(t.up_to_date, 2);
	ck_assert_uint_eq(t.failed, 2);
	ck_assert_uint_eq(t.credentials, 1);
	ck_assert_uint_eq(t.reported, 2); /* not the failed one: it is named anyway */
	ck_assert_uint_eq(t.deadline, 1);
	ck_assert_uint_eq(t.locked, 1);
	ck_assert_uint_eq(t.events_new, 5);
	ck_assert_uint_eq(t.requests, 7);
	ck_assert_uint_eq(t.lost_seconds, 6);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("record");
	TCase *tc = tcase_create("record");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, round_trip);
	tcase_add_test(tc, of_two_runs_in_one_second_the_later_counts);
	tcase_add_test(tc, names_are_unique);
	tcase_add_test(tc, damage_is_passed_over);
	tcase_add_test(tc, looks_back_so_far_and_no_further);
	tcase_add_test(tc, the_future_is_passed_over);
	tcase_add_test(tc, nothing_there);
	tcase_add_test(tc, totals);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
