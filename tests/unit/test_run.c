/* Thousands of organizations in runs without network, disk or clock: nobody waits for ever, nothing is
 * leaked, no wake-up is lost. What is looked at, and when, stands in run_world.h. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/rng.h"
#include "tests/support/require.h"
#include "tests/support/seed.h"
#include "tests/unit/run_world.h"

#define MIB (INT64_C(1) << 20)

static void
add(struct world_counts *sum, const struct world_counts *one)
{
	sum->questions += one->questions;
	sum->waits_for_large += one->waits_for_large;
	sum->flushes += one->flushes;
	sum->jumps += one->jumps;
	sum->outages += one->outages;
	sum->no_room += one->no_room;
	sum->holds += one->holds;
	sum->done += one->done;
	sum->failed += one->failed;
	sum->stopped += one->stopped;
}

static struct world_options
random_world(struct rng *rng)
{
	struct world_options o = {
		.seed = rng_next(rng), .n_orgs = 1 + (size_t)rng_below(rng, 80),
		.workers = 1 + (int)rng_below(rng, 6), .in_flight = 1 + (int)rng_below(rng, 48),
		.memory_bytes = (256 + (int64_t)rng_below(rng, 256)) * MIB,
		.organization_memory_bytes = (16 + (int64_t)rng_below(rng, 64)) * MIB,
		.trouble = (unsigned)rng_below(rng, 3) * 30, .priorities = rng_below(rng, 2) == 0,
		.answer_bytes_max = (size_t)rng_below(rng, 3 * MIB), .outage_wait_ms = 60000,
	};

	if (rng_below(rng, 4) == 0) {
		o.down_from_ms = (int64_t)rng_below(rng, 3000);
		o.down_to_ms = o.down_from_ms + (int64_t)rng_below(rng, 120000);
		o.outage_wait_ms = (int64_t)rng_below(rng, 120000);
	}
	if (rng_below(rng, 3) == 0) {
		o.held = 1 + (unsigned)rng_below(rng, 4);
		o.lock_wait_ms = (int64_t)rng_below(rng, 30000);
	}
	if (rng_below(rng, 6) == 0)
		o.stop_ms = 1 + (int64_t)rng_below(rng, 20000);
	if (rng_below(rng, 6) == 0)
		o.deadline_ms = 1 + (int64_t)rng_below(rng, 20000);
	return o;
}

START_TEST(test_random)
{
	const char *text = getenv("ORGSYNC_TEST_LONG");
	int runs = text != NULL && strcmp(text, "0") != 0 ? 3000 : 80;
	struct world_counts sum = { 0 }, one;
	struct world_options o;
	struct rng rng;
	struct err e;

	rng_seed(&rng, test_seed("test_run"));
	for (int i = 0; i < runs; i++) {
		o = random_world(&rng);
		REQUIRE(world_play(&o, &one, &e) == 0);
		REQUIRE(one.done + one.failed + one.stopped == o.n_orgs);
		if (o.trouble == 0 && o.down_to_ms == 0 && o.stop_ms == 0 && o.deadline_ms == 0 && o.held == 0)
			REQUIRE(one.done == o.n_orgs);
		add(&sum, &one);
	}
	printf("test_run: %d runs, %zu organizations, %llu questions, %llu flushes, %llu outages; no room at %llu, "
	       "large shares waited for at %llu, other runs at %llu of %llu moments\n", runs, sum.done + sum.failed + sum.stopped,
	       (unsigned long long)sum.questions, (unsigned long long)sum.flushes, (unsigned long long)sum.outages,
	       (unsigned long long)sum.no_room, (unsigned long long)sum.waits_for_large,
	       (unsigned long long)sum.holds, (unsigned long long)sum.jumps);
	/* Otherwise nothing of this was looked at. */
	REQUIRE(sum.flushes > 0 && sum.no_room > 0 && sum.waits_for_large > 0 && sum.outages > 0 &&
	        sum.holds > 0);
	REQUIRE(sum.done > 0 && sum.failed > 0 && sum.stopped > 0);
}
END_TEST

/* Of the four workers and eight threads for the disk one each is enough; without, the run says that it cannot
 * begin, and ends. */
START_TEST(test_few_threads)
{
	struct world_options o = {
		.seed = 1, .n_orgs = 30, .workers = 4, .in_flight = 16, .memory_bytes = 256 * MIB,
		.organization_memory_bytes = 64 * MIB, .answer_bytes_max = MIB, .outage_wait_ms = 1000,
	};
	struct world_counts counts;
	struct err e;

	for (o.threads_max = 1; o.threads_max <= 12; o.threads_max++) {
		if (world_play(&o, &counts, &e) == 0) {
			ck_assert_int_ge(o.threads_max, 5);
			ck_assert_uint_eq(counts.done, 30);
			continue;
		}
		ck_assert_int_lt(o.threads_max, 5);
		ck_assert_int_eq(e.scope, ERR_SCOPE_RUN);
		ck_assert_ptr_nonnull(strstr(e.text, "cannot start the threads"));
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("run");
	TCase *tcase = tcase_create("run");
	SRunner *runner;
	int failed;

	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_LEVEL_ERROR);
	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, test_few_threads);
	tcase_add_test(tcase, test_random);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
