/* The memory of a run stays below its cap, and nobody waits for ever. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"
#include "tests/support/cases.h"
#include "tests/support/seed.h"
#include "workers/memory.h"

#define MIB ((size_t)1 << 20)

/* Whatever the caps, the parts fit into the whole, and one question of each kind always has room. */
START_TEST(test_plan)
{
	static const size_t caps[] = { 0, 256, 257, 512, 1024, 2048, 65536, 1048576 };
	static const size_t parts[] = { 0, 16, 17, 64, 255, 256, 1024, 262144 };
	static const size_t counts[] = { 1, 2, 50, 1000, 100000 };

	for (size_t i = 0; i < 8; i++)
		for (size_t j = 0; j < 8; j++)
			for (size_t k = 0; k < 5; k++) {
				struct memory_share share = { 0 };
				struct memory m;
				size_t cap = caps[i] < 256 ? 256 * MIB : caps[i] * MIB;

				memory_plan(&m, caps[i] * MIB, parts[j] * MIB, counts[k], 64);
				ck_assert_uint_le(m.ordinary + m.large + 32 * MIB, cap);
				ck_assert_uint_ge(m.active_max, counts[k] < 300 ? counts[k] : 300);
				ck_assert_uint_le(m.active_max, counts[k]);
				ck_assert_uint_ge(m.answer_most, 4 * MIB);
				ck_assert_uint_le(m.answer_first, m.answer_most);
				ck_assert_uint_le(4 * m.answer_most, m.large);
				ck_assert_uint_le(m.commit + m.pending, m.answer_most);
				/* With half of the pool kept there is room for one more. */
				m.kept = m.ordinary / 2;
				ck_assert(!memory_pressed(&m));
				ck_assert(memory_has_room(&m));
				ck_assert(memory_take(&m, &share, m.answer_most));
				ck_assert_uint_le(m.large_used, m.large);
			}
}
END_TEST

START_TEST(test_defaults)
{
	struct memory m;

	memory_plan(&m, 1024 * MIB, 256 * MIB, 1000, 64);
	ck_assert_uint_eq(m.answer_first, 2 * MIB);
	ck_assert_uint_eq(m.answer_most, 64 * MIB);
	ck_assert_uint_eq(m.commit, 4 * MIB);
	ck_assert_uint_eq(m.active_max, 1000);
	/* The 64 questions at once that are the default. */
	for (int i = 0; i < 64; i++) {
		struct memory_share share = { 0 };

		ck_assert(memory_has_room(&m));
		ck_assert(memory_take(&m, &share, m.answer_first));
	}
	ck_assert(memory_has_room(&m));
}
END_TEST

/* More questions at once have smaller answers to begin with, and all of them have room (a test of 256 in flight had
 * no more than 114). */
START_TEST(test_many_in_flight)
{
	struct memory m;

	memory_plan(&m, 1024 * MIB, 256 * MIB, 1000, 256);
	ck_assert_uint_ge(m.answer_first, MIB);
	for (int i = 0; i < 256; i++) {
		struct memory_share share = { 0 };

		ck_assert(memory_has_room(&m));
		ck_assert(memory_take(&m, &share, m.answer_first));
	}
}
END_TEST

START_TEST(test_large)
{
	struct memory_share a = { 0 }, b = { 0 }, small = { 0 };
	struct memory m;

	memory_plan(&m, 256 * MIB, 64 * MIB, 3, 64);
	ck_assert(memory_take(&m, &a, 16 * MIB));
	ck_assert_uint_eq(m.large_used, 64 * MIB);
	ck_assert(memory_take(&m, &a, 16 * MIB)); /* it has that already */
	ck_assert_uint_eq(m.large_used, 64 * MIB);
	ck_assert(!memory_take(&m, &b, 16 * MIB));
	ck_assert_uint_eq(b.large, 0);
	ck_assert(memory_take(&m, &small, 1 * MIB));
	ck_assert_uint_eq(m.large_used, 64 * MIB);
	/* What it keeps is within its share until it settles. */
	memory_landed(&m, &a, 16 * MIB);
	ck_assert_uint_eq(m.kept, 0);
	memory_settled(&m, &a, 100);
	ck_assert_uint_eq(m.kept, 100);
	ck_assert_uint_eq(m.large_used, 0);
	ck_assert(memory_take(&m, &b, 16 * MIB));
	memory_landed(&m, &small, 5);
	ck_assert_uint_eq(m.kept, 105);
	ck_assert_uint_eq(m.asked, 0);
	memory_settled(&m, &small, 0);
	ck_assert_uint_eq(m.kept, 100);
}
END_TEST

/* ---- a run in small, with the rules of places.c and wire.c ---- */

enum place { QUEUE, LARGE_LIST, WIRE, DISK, ENDED };
struct org { enum place place; struct memory_share share; size_t cap, holds, answers; bool flush; };

static struct memory m;
static struct org orgs[64];
static size_t n, line[64], n_line; /* those that wait for a large share, in order */

static void
serve_line(void)
{
	while (n_line > 0 && memory_take(&m, &orgs[line[0]].share, orgs[line[0]].cap)) {
		orgs[line[0]].place = QUEUE;
		memmove(line, line + 1, --n_line * sizeof(*line));
	}
}

static void
move_on(struct org *o)
{
	if ((o->share.large > 0 || memory_pressed(&m)) && o->holds > 0)
		o->flush = true;
	if (o->flush || o->holds > m.commit + m.pending) {
		o->place = DISK;
		return;
	}
	o->place = o->answers == 0 ? ENDED : QUEUE;
	memory_settled(&m, &o->share, o->place == ENDED ? 0 : o->holds);
	serve_line();
}

/* One thing that can happen to the organization. False where it has to wait. */
static bool
step(struct org *o, struct rng *rng)
{
	switch (o->place) {
	case QUEUE:
		if (!memory_has_room(&m))
			return false;
		if ((n_line > 0 && o->share.large == 0 && o->cap > m.answer_first) ||
		    !memory_take(&m, &o->share, o->cap)) {
			o->place = LARGE_LIST;
			line[n_line++] = (size_t)(o - orgs);
		} else {
			o->place = WIRE;
		}
		return true;
	case WIRE:
		if (rng_below(rng, 5) == 0) { /* too small: more at once */
			o->cap = o->cap * 4 > m.answer_most ? m.answer_most : o->cap * 4;
		} else {
			o->holds += rng_below(rng, o->cap + 1);
			o->answers--;
			if (rng_below(rng, 3) == 0)
				o->cap = m.answer_first;
		}
		memory_landed(&m, &o->share, o->holds);
		move_on(o);
		return true;
	case DISK:
		o->holds = o->flush ? 0 : rng_below(rng, m.pending);
		o->flush = false;
		move_on(o);
		return true;
	default:
		return false;
	}
}

static size_t
really_held(void)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += orgs[i].holds + (orgs[i].place == WIRE ? orgs[i].cap : 0);
	return sum;
}

START_TEST(test_runs)
{
	uint64_t seed = test_seed("memory");
	size_t most = 0, steps = 0, rounds = test_cases(500, 20000);
	struct rng rng;

	rng_seed(&rng, seed);
	for (size_t round = 0; round < rounds; round++) {
		size_t left;

		memset(orgs, 0, sizeof(orgs));
		n = 1 + rng_below(&rng, 64);
		n_line = 0;
		memory_plan(&m, (256 + rng_below(&rng, 512)) * MIB, (16 + rng_below(&rng, 128)) * MIB, n, 1 + rng_below(&rng, 300));
		for (size_t i = 0; i < n; i++)
			orgs[i] = (struct org){ .place = QUEUE, .cap = m.answer_first, .answers = 1 + rng_below(&rng, 30) };
		for (left = n; left > 0;) {
			size_t first = rng_below(&rng, n), i = 0;

			while (i < n && !step(&orgs[(first + i) % n], &rng))
				i++;
			if (i == n)
				ck_abort_msg("round %zu: nobody can do anything, %zu have not ended", round, left);
			steps++;
			if (m.asked + m.kept > m.ordinary || m.large_used > m.large || really_held() > m.ordinary + m.large)
				ck_abort_msg("round %zu: over the cap", round);
			most = really_held() > most ? really_held() : most;
			left = 0;
			for (i = 0; i < n; i++)
				left += orgs[i].place != ENDED;
		}
		ck_assert_uint_eq(m.asked + m.kept + m.large_used, 0);
	}
	test_cases_played("runs", rounds);
	printf("%zu steps, at most %zu MiB held\n", steps, most / MIB);
	ck_assert_uint_gt(most, 200 * MIB);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("memory");
	TCase *tc = tcase_create("memory");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, test_plan);
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_many_in_flight);
	tcase_add_test(tc, test_large);
	tcase_add_test(tc, test_runs);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
