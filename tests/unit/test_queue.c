/* The ready queue against a plain list that is searched from end to end. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"
#include "tests/support/seed.h"
#include "workers/queue.h"

#define JOBS 400

struct job { int64_t ready_ms, order; enum lane lane; int priority; bool in; };

/* The job that must come next, by looking at every one. */
static int
expected(const struct job *jobs, int64_t now_ms, bool backfill_may)
{
	int best = -1;
	enum lane lane = LANE_FRESH;
	bool any[LANES] = { false, false };

	for (int i = 0; i < JOBS; i++)
		if (jobs[i].in && jobs[i].ready_ms <= now_ms)
			any[jobs[i].lane] = true;
	if (any[LANE_BACKFILL] && (!any[LANE_FRESH] || backfill_may))
		lane = LANE_BACKFILL;
	for (int i = 0; i < JOBS; i++) {
		if (!jobs[i].in || jobs[i].ready_ms > now_ms || jobs[i].lane != lane)
			continue;
		if (best < 0 || jobs[i].priority > jobs[best].priority ||
		    (jobs[i].priority == jobs[best].priority && jobs[i].order < jobs[best].order))
			best = i;
	}
	return best;
}

START_TEST(it_picks_as_a_search_would)
{
	static struct job jobs[JOBS];
	int64_t now_ms = 0, order = 0, next_ms;
	struct queue q;
	enum lane lane;
	struct rng r;

	rng_seed(&r, test_seed("queue"));
	queue_init(&q);
	ck_assert_int_eq(queue_reserve(&q, JOBS), 0);
	for (int step = 0; step < 60000; step++) {
		int i = (int)rng_below(&r, JOBS), want;
		struct job *got;
		bool may = rng_below(&r, 2) == 0;

		now_ms += (int64_t)rng_below(&r, 3);
		if (!jobs[i].in) {
			jobs[i] = (struct job){ now_ms + (int64_t)rng_below(&r, 200) - 20, order++,
				                rng_below(&r, 2) == 0 ? LANE_FRESH : LANE_BACKFILL,
				                (int)rng_below(&r, 5) - 2, true };
			queue_push(&q, &jobs[i], jobs[i].ready_ms, jobs[i].lane, jobs[i].priority);
		}
		if (rng_below(&r, 3) == 0)
			continue;
		want = expected(jobs, now_ms, may);
		next_ms = queue_next_ms(&q, now_ms);
		ck_assert(want < 0 ? next_ms > now_ms : next_ms == now_ms);
		got = queue_pick(&q, now_ms, may, &lane);
		ck_assert_ptr_eq(got, want < 0 ? NULL : &jobs[want]);
		if (got != NULL) {
			ck_assert_int_eq(lane, got->lane);
			got->in = false;
		}
	}
	for (struct job *got; (got = queue_pick_any(&q)) != NULL; got->in = false)
		ck_assert(got->in);
	for (int i = 0; i < JOBS; i++)
		ck_assert(!jobs[i].in);
	ck_assert_int_eq(queue_next_ms(&q, 5), INT64_MAX);
	queue_free(&q);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("queue");
	TCase *tc = tcase_create("queue");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, it_picks_as_a_search_would);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
