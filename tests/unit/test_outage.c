/* An outage is told from organizations with trouble of their own; time is passed in. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/rng.h"
#include "tests/support/cases.h"
#include "tests/support/seed.h"
#include "workers/outage.h"

#define PAUSE_MS 1000
#define PATIENCE_MS 300000

static struct outage o;

static void
begin(size_t n)
{
	ck_assert_int_eq(outage_init(&o, n, PAUSE_MS, PATIENCE_MS), 0);
}

static enum outage_change
note(size_t org, enum outage_sign sign, int64_t now_ms)
{
	return outage_note(&o, org, sign, now_ms);
}

START_TEST(test_few_organizations)
{
	for (size_t n = 0; n <= 2; n++) {
		begin(n);
		for (int64_t at = 0; at < 1000; at++)
			for (size_t i = 0; i < n; i++)
				ck_assert_int_eq(note(i, OUTAGE_SILENT, at), OUTAGE_SAME);
		ck_assert(outage_next_ms(&o) == INT64_MIN);
		outage_free(&o);
	}
}
END_TEST

/* How many different organizations have to fail. */
START_TEST(test_enough)
{
	static const struct { size_t n, enough; } cases[] = {
		{ 3, 3 }, { 4, 3 }, { 5, 3 }, { 6, 3 }, { 7, 4 }, { 12, 6 }, { 15, 8 }, { 16, 8 }, { 5000, 8 },
	};

	for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
		begin(cases[c].n);
		/* One that fails a hundred times is one. */
		for (int64_t at = 0; at < 100; at++)
			ck_assert_int_eq(note(0, OUTAGE_SILENT, at), OUTAGE_SAME);
		for (size_t i = 1; i + 1 < cases[c].enough; i++)
			ck_assert_int_eq(note(i, OUTAGE_SILENT, 100), OUTAGE_SAME);
		ck_assert(outage_next_ms(&o) == INT64_MIN);
		ck_assert_int_eq(note(cases[c].enough - 1, OUTAGE_SILENT, 100), OUTAGE_BEGINS);
		ck_assert_int_eq(outage_next_ms(&o), 100 + PAUSE_MS);
		ck_assert_uint_eq(o.number, 1);
		outage_free(&o);
	}
}
END_TEST

/* Whoever failed already while others were answered has trouble of its own, and does not count. */
START_TEST(test_trouble_of_their_own)
{
	begin(100);
	for (size_t i = 0; i < 7; i++)
		ck_assert_int_eq(note(i, OUTAGE_SILENT, 1), OUTAGE_SAME);
	ck_assert_int_eq(note(50, OUTAGE_ANSWERED, 2), OUTAGE_SAME);
	for (int64_t at = 3; at < 100; at++)
		for (size_t i = 0; i < 7; i++)
			ck_assert_int_eq(note(i, OUTAGE_SILENT, at), OUTAGE_SAME);
	for (size_t i = 7; i < 14; i++)
		ck_assert_int_eq(note(i, OUTAGE_SILENT, 100), OUTAGE_SAME);
	/* Once it was answered itself it counts again. */
	ck_assert_int_eq(note(0, OUTAGE_ANSWERED, 101), OUTAGE_SAME);
	ck_assert_int_eq(note(0, OUTAGE_SILENT, 102), OUTAGE_SAME);
	for (size_t i = 20; i < 26; i++)
		ck_assert_int_eq(note(i, OUTAGE_SILENT, 103), OUTAGE_SAME);
	ck_assert_int_eq(note(26, OUTAGE_SILENT, 104), OUTAGE_BEGINS);
	outage_free(&o);
}
END_TEST

START_TEST(test_our_own_failures)
{
	begin(10);
	for (size_t i = 0; i < 10; i++)
		ck_assert_int_eq(note(i, OUTAGE_NOTHING, 1), OUTAGE_SAME);
	ck_assert(outage_next_ms(&o) == INT64_MIN);
	outage_free(&o);
}
END_TEST

static void
outage_of_ten(int64_t now_ms)
{
	begin(10);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(note(i, OUTAGE_SILENT, now_ms), OUTAGE_SAME);
	ck_assert_int_eq(note(4, OUTAGE_SILENT, now_ms), OUTAGE_BEGINS);
}

/* One probe at a time, after pauses that double up to a minute; the last when patience ends. */
START_TEST(test_probes)
{
	static const int64_t pauses_ms[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000 };
	int64_t now_ms = 0;

	outage_of_ten(0);
	for (size_t i = 0; i < sizeof(pauses_ms) / sizeof(*pauses_ms); i++) {
		ck_assert_int_eq(outage_next_ms(&o), now_ms + pauses_ms[i]);
		now_ms += pauses_ms[i];
		outage_asked(&o, 7);
		ck_assert(outage_next_ms(&o) == INT64_MAX);
		/* What was on its way when it began changes nothing. */
		ck_assert_int_eq(note(5, OUTAGE_SILENT, now_ms), OUTAGE_SAME);
		ck_assert(outage_next_ms(&o) == INT64_MAX);
		ck_assert_int_eq(note(7, OUTAGE_SILENT, now_ms), OUTAGE_SAME);
	}
	ck_assert_int_eq(outage_next_ms(&o), PATIENCE_MS);
	outage_asked(&o, 3);
	ck_assert_int_eq(note(3, OUTAGE_SILENT, PATIENCE_MS + 60000), OUTAGE_GIVEN_UP);
	ck_assert(outage_next_ms(&o) == INT64_MAX);
	ck_assert_int_eq(note(3, OUTAGE_ANSWERED, PATIENCE_MS + 60000), OUTAGE_SAME);
	ck_assert_int_eq(outage_tick(&o, INT64_MAX), OUTAGE_SAME);
	outage_free(&o);
}
END_TEST

START_TEST(test_it_ends)
{
	for (int probe = 0; probe <= 1; probe++) {
		outage_of_ten(0);
		if (probe)
			outage_asked(&o, 2);
		ck_assert_int_eq(note(2, OUTAGE_ANSWERED, 5000), OUTAGE_ENDS);
		ck_assert(outage_next_ms(&o) == INT64_MIN);
		/* The next one is a new one: those that were never answered since do not count. */
		for (size_t i = 5; i < 9; i++)
			ck_assert_int_eq(note(i, OUTAGE_SILENT, 6000), OUTAGE_SAME);
		ck_assert_int_eq(note(2, OUTAGE_SILENT, 6000), OUTAGE_BEGINS);
		ck_assert_uint_eq(o.number, 2);
		ck_assert_int_eq(outage_next_ms(&o), 6000 + PAUSE_MS);
		outage_free(&o);
	}
}
END_TEST

START_TEST(test_probe_dropped)
{
	outage_of_ten(0);
	outage_asked(&o, 2);
	outage_dropped(&o, 3);
	ck_assert(outage_next_ms(&o) == INT64_MAX);
	outage_dropped(&o, 2);
	ck_assert_int_eq(outage_next_ms(&o), PAUSE_MS);
	outage_asked(&o, 9);
	ck_assert_int_eq(note(9, OUTAGE_NOTHING, 1500), OUTAGE_SAME);
	ck_assert_int_eq(outage_next_ms(&o), PAUSE_MS);
	outage_free(&o);
}
END_TEST

/* A server that is not the one meant: waiting does not help. */
START_TEST(test_wrong_server)
{
	begin(10);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(note(i, OUTAGE_WRONG, 1), OUTAGE_SAME);
	ck_assert_int_eq(note(4, OUTAGE_WRONG, 1), OUTAGE_GIVEN_UP);
	ck_assert(outage_next_ms(&o) == INT64_MAX);
	outage_free(&o);

	/* One odd answer among silence is not the server's last word, whichever comes first. */
	for (size_t wrong = 0; wrong <= 4; wrong++) {
		begin(10);
		for (size_t i = 0; i <= 4; i++)
			ck_assert_int_eq(note(i, i == wrong ? OUTAGE_WRONG : OUTAGE_SILENT, 1),
			                 i < 4 ? OUTAGE_SAME : OUTAGE_BEGINS);
		outage_free(&o);
	}

	/* What was silent before an answer is no excuse after it. */
	begin(10);
	ck_assert_int_eq(note(9, OUTAGE_SILENT, 1), OUTAGE_SAME);
	ck_assert_int_eq(note(8, OUTAGE_ANSWERED, 1), OUTAGE_SAME);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(note(i, OUTAGE_WRONG, 2), OUTAGE_SAME);
	ck_assert_int_eq(note(4, OUTAGE_WRONG, 2), OUTAGE_GIVEN_UP);
	outage_free(&o);
}
END_TEST

/* Nobody was left to ask (all wait for their rate limits): it ends all the same. */
START_TEST(test_nobody_to_probe)
{
	outage_of_ten(0);
	ck_assert_int_eq(outage_tick(&o, PATIENCE_MS), OUTAGE_SAME);
	outage_asked(&o, 1);
	ck_assert_int_eq(outage_tick(&o, 10 * PATIENCE_MS), OUTAGE_SAME);
	outage_dropped(&o, 1);
	ck_assert_int_eq(outage_tick(&o, 10 * PATIENCE_MS), OUTAGE_GIVEN_UP);
	outage_free(&o);
}
END_TEST

/* As ck_assert(), which costs a write for each call. */
static void
must(bool holds)
{
	if (!holds)
		ck_abort_msg("see the seed");
}

/* Any sequence of events: never more than one probe, always a moment at which something happens next, and with
 * a server that stays silent an end within patience, a pause and a wire timeout. */
START_TEST(test_random)
{
	uint64_t seed = test_seed("outage");
	size_t rounds = test_cases(2000, 100000);
	struct rng rng;
	int over = 0;

	rng_seed(&rng, seed);
	for (size_t round = 0; round < rounds; round++) {
		size_t n = 3 + rng_below(&rng, 30), out = 0, asked[40];
		bool is_out[40] = { false };
		int64_t now_ms = 0, began_ms = -1, silent_from_ms = (int64_t)rng_below(&rng, 100000);
		enum outage_change change = OUTAGE_SAME;

		begin(n);
		while (o.state != OUTAGE_OVER && now_ms < silent_from_ms + PATIENCE_MS * 4) {
			int64_t next_ms = outage_next_ms(&o);
			size_t org = rng_below(&rng, n), i;

			must(next_ms != INT64_MAX || out > 0);
			if (next_ms <= now_ms && out < 8 && !is_out[org]) {
				outage_asked(&o, org);
				is_out[org] = true;
				asked[out++] = org;
				must(o.state != OUTAGE_ON || outage_next_ms(&o) == INT64_MAX);
			} else if (out > 0 && (next_ms > now_ms || rng_below(&rng, 2))) {
				i = rng_below(&rng, out);
				org = asked[i];
				asked[i] = asked[--out];
				is_out[org] = false;
				now_ms += (int64_t)rng_below(&rng, 1000);
				if (rng_below(&rng, 50) == 0) {
					outage_dropped(&o, org);
					continue;
				}
				change = note(org, now_ms < silent_from_ms && rng_below(&rng, 3) ? OUTAGE_ANSWERED
				              : OUTAGE_SILENT, now_ms);
				if (change == OUTAGE_BEGINS)
					began_ms = now_ms;
				if (change == OUTAGE_ENDS)
					began_ms = -1;
				must((began_ms >= 0) == (o.state != OUTAGE_NONE));
			} else {
				now_ms += 1 + (int64_t)rng_below(&rng, 2000);
				outage_tick(&o, now_ms);
			}
		}
		ck_assert_msg(o.state != OUTAGE_ON, "n %zu, silent from %lld: waits still at %lld", n,
		              (long long)silent_from_ms, (long long)now_ms);
		if (o.state == OUTAGE_OVER)
			ck_assert_int_le(now_ms - began_ms, PATIENCE_MS + 70000);
		else /* so many failed before the last answer that too few were left: their retries end it */
			ck_assert_uint_lt(o.failing, o.enough);
		over += o.state == OUTAGE_OVER;
		outage_free(&o);
	}
	test_cases_played("sequences", rounds);
	printf("%d of them ended by an outage\n", over);
	ck_assert_uint_ge((size_t)over, rounds / 2);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("outage");
	TCase *tc = tcase_create("outage");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, test_few_organizations);
	tcase_add_test(tc, test_enough);
	tcase_add_test(tc, test_trouble_of_their_own);
	tcase_add_test(tc, test_our_own_failures);
	tcase_add_test(tc, test_probes);
	tcase_add_test(tc, test_it_ends);
	tcase_add_test(tc, test_probe_dropped);
	tcase_add_test(tc, test_wrong_server);
	tcase_add_test(tc, test_nobody_to_probe);
	tcase_add_test(tc, test_random);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
