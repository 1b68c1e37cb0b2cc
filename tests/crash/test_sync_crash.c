/* test_sync_crash.c: whole runs through the real lib/sync and lib/store, ended before each of their steps.
 *
 * In all the ways of tests/support/endings.h. What each leaves is looked at first: a range may be in the ledger only
 * where its events are in day files, or in staging that the ledger names. Then the next run comes, the same one
 * again or the one that would have come after it, and the archive must be what it is where nothing was ever ended:
 * its day files byte for byte, and what its ledger means to a next run. Then the run is done once more, and nothing
 * changes on the disk.
 *
 *   ORGSYNC_TEST_SEED=N   of what the server holds and of what is left to chance
 *   ORGSYNC_TEST_LONG=1   many seeds
 *
 * Beside the scenarios that are written down there are some that the seed makes.
 */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/isotime.h"
#include "tests/crash/sync_world.h"
#include "tests/support/endings.h"

#define MAX_RUNS 3
#define LONG_SEEDS 12
#define RANDOM 2                 /* scenarios of chance */
#define LONG_RANDOM 60

/* Everything costs many times as much under the sanitizers; each step is ended before in the plain build. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 9
#else
#define STRIDE 1
#endif

struct scenario {
	char name[32];
	unsigned n_runs, from_run;   /* those before from_run only make what is there already */
	struct world_run run[MAX_RUNS];
};

#define A_DAY (BASE_S - DAY_S)
#define HOUR_S 3600

static const struct scenario scenarios[] = {
	{ "first run", 1, 0, { { .start_s = A_DAY, .now_s = BASE_S + 40000, .commit_bytes = 2000 } } },
	{ "first run, no start time", 2, 0, { { .start_s = WORLD_SINCE, .now_s = BASE_S - 50000 },
	                                      { .start_s = WORLD_SINCE, .now_s = BASE_S + 30000, .commit_bytes = 1 } } },
	{ "next run", 3, 1, { { .start_s = A_DAY, .now_s = BASE_S + 20000 },
	                      { .start_s = A_DAY, .now_s = BASE_S + 20000 + DAY_S, .commit_bytes = 1500 },
	                      { .start_s = A_DAY, .now_s = BASE_S + 20600 + DAY_S, .commit_bytes = 1500 } } },
	{ "backfill", 2, 1, { { .start_s = BASE_S, .now_s = BASE_S + 50000 },
	                      { .start_s = BASE_S - 3 * DAY_S, .now_s = BASE_S + 60000, .commit_bytes = 1500 } } },
	{ "gap fill", 2, 0, { { .start_s = BASE_S - 3 * DAY_S, .now_s = BASE_S + 10000, .commit_bytes = 1,
	                        .stop_after = 3 },
	                      { .start_s = BASE_S - 3 * DAY_S, .now_s = BASE_S + 50000, .commit_bytes = 2000 } } },
	{ "late events", 3, 1, { { .start_s = A_DAY, .now_s = BASE_S + 20000 },
	                         { .start_s = A_DAY, .now_s = BASE_S + 21000, .commit_bytes = 1 },
	                         { .start_s = A_DAY, .now_s = BASE_S + 24000, .commit_bytes = 1 } } },
	{ "merge into a day, gzip", 2, 1, { { LEDGER_GZIP, .start_s = BASE_S, .now_s = BASE_S + 30000 },
	                                    { LEDGER_GZIP, .start_s = BASE_S - 20000, .now_s = BASE_S + 45000,
	                                      .commit_bytes = 1000 } } },
	{ "another suffix, zstd", 3, 1, { { LEDGER_PLAIN, .start_s = A_DAY, .now_s = BASE_S + 30000 },
	                                  { LEDGER_ZSTD, .start_s = A_DAY - 9000, .now_s = BASE_S + 45000,
	                                    .commit_bytes = 3000 },
	                                  { LEDGER_GZIP, .start_s = A_DAY - 9000, .now_s = BASE_S + 75000 } } },
	{ "small memory", 2, 0, { { .start_s = A_DAY, .now_s = BASE_S + 30000, .commit_bytes = 1,
	                            .cap_bytes = 3000 },
	                          { .start_s = A_DAY, .now_s = BASE_S + 50000, .commit_bytes = 1,
	                            .cap_bytes = 3000 } } },
	{ "a wider question", 2, 0, { { .start_s = A_DAY, .now_s = BASE_S + 30000, .types = 5, .commit_bytes = 1500 },
	                              { .start_s = A_DAY, .now_s = BASE_S + 31000, .commit_bytes = 1500 } } },
	{ "the raw document too", 2, 1, { { LEDGER_ZSTD, .start_s = A_DAY, .now_s = BASE_S + 30000, .not_raw = true },
	                                  { LEDGER_ZSTD, .start_s = A_DAY, .now_s = BASE_S + 60000,
	                                    .commit_bytes = 2000 } } },
	{ "seconds of several pages", 1, 0, { { .start_s = BASE_S - 3, .now_s = BASE_S + 10000, .rows = 4,
	                                        .commit_bytes = 1 } } },
};
#define N_SCENARIOS ((int)(sizeof(scenarios) / sizeof(scenarios[0])))

static long *n_cases; /* shared with the processes in which libcheck runs the tests */

struct expected { struct buf days, meaning; };

struct playing {
	const struct scenario *sc;
	unsigned run;                /* the one that is ended */
	struct expected *expected;   /* after each run, where nothing was ended */
	unsigned long judged;
};

static const char *
tree_text(const struct place *p, const char *path, struct buf *b)
{
	buf_reset(b);
	if (test_exists(p, path))
		test_tree(p, path, b);
	HOLDS(buf_str(b) != NULL, "memory");
	return b->data;
}

/* Compares two texts; names the first line in which they differ. */
static void
same_text(const char *a, const char *b, const char *what, const char *when)
{
	const char *line = a;
	size_t i;

	for (i = 0; a[i] != '\0' && a[i] == b[i]; i++)
		if (a[i] == '\n')
			line = a + i + 1;
	HOLDS(a[i] == b[i], "%s: %s: \"%.150s\" became \"%.150s\"", when, what, line, b + (line - a));
}

static void
expect_same(const struct place *p, const struct world_run *run, const struct expected *expected, const char *when)
{
	struct buf b;

	buf_init(&b, 1 << 24);
	same_text(expected->days.data, tree_text(p, WORLD_NAME "/events", &b), "day files", when);
	buf_reset(&b);
	world_meaning(p, run, &b);
	HOLDS(buf_str(&b) != NULL, "memory");
	same_text(expected->meaning.data, b.data, "the ledger's meaning", when);
	ck_assert_str_eq(tree_text(p, WORLD_NAME "/.staging", &b), "");
	buf_free(&b);
}

/* The day files as they stand on the disk: one that is written again, be it the same, is another file. */
static void
add_inodes(const struct place *p, const struct buf *days, struct buf *b)
{
	const char *at = days->data;
	struct stat st;
	char path[200];

	while ((at = strstr(at, "\n== ")) != NULL) {
		HOLDS(sscanf(at, "\n== %199[^\n]", path) == 1 && fstatat(p->fd, path, &st, 0) == 0, "%s", path);
		if (S_ISREG(st.st_mode))
			HOLDS(buf_printf(b, "%s %ju\n", path, (uintmax_t)st.st_ino) == 0, "memory");
		at += 4;
	}
}

/* All that stands below the output directory; with_ledger: the text of the ledger too. */
static void
everything(const struct place *p, const struct world_run *run, bool with_ledger, struct buf *b)
{
	static const char ledger[] = "== ./" WORLD_NAME "/ledger.json\n";
	struct buf days;
	char *at, *end;

	buf_init(&days, 1 << 24);
	tree_text(p, WORLD_NAME "/events", &days);
	tree_text(p, ".", b);
	at = strstr(b->data, ledger);
	HOLDS(at != NULL, "no ledger");
	at += strlen(ledger);
	end = strstr(at, "\n== ");
	end = end == NULL ? b->data + b->len : end;
	if (!with_ledger) {
		memmove(at, end, (size_t)(b->data + b->len - end));
		b->len -= (size_t)(end - at);
	}
	add_inodes(p, &days, b);
	world_meaning(p, run, b);
	HOLDS(buf_str(b) != NULL, "memory");
	buf_free(&days);
}

/* Nothing changes any more. But that a ledger may be shorter the first time: where the end of what was read
 * became final, it is one range with what lies before it. */
static void
once_more(const struct place *p, const struct world_run *run, bool twice, const char *when)
{
	struct buf before, after;
	struct err e;

	buf_init(&before, 1 << 24);
	buf_init(&after, 1 << 24);
	for (int i = 0; i <= (int)twice; i++) {
		everything(p, run, i > 0, &before);
		HOLDS(world_run(p, run, &e) == 0, "%s, once more: %s", when, e.text);
		everything(p, run, i > 0, &after);
		same_text(before.data, after.data, "once more", when);
	}
	buf_free(&before);
	buf_free(&after);
}

/* Whether the archive must come out the same where of two runs the first was ended and only the second is whole. When
 * an organization without a start time begins is decided by the first run that could write it down; what a day
 * file's suffix is and whether its events have their raw documents, by the one that wrote it. */
static bool
may_stand_for(const struct world_run *ended, const struct world_run *whole, bool is_first)
{
	return !(is_first && ended->start_s == WORLD_SINCE) && ended->suffix == whole->suffix &&
	       ended->not_raw == whole->not_raw && whole->start_s <= ended->start_s &&
	       (whole->types == 0 || (ended->types != 0 && (ended->types & ~whole->types) == 0));
}

static int
run_it(void *ctx, const struct place *p)
{
	const struct playing *playing = ctx;
	struct err e;

	return world_run(p, &playing->sc->run[playing->run], &e);
}

static void
judge_it(void *ctx, const struct place *left, const char *how)
{
	struct playing *playing = ctx;
	const struct scenario *sc = playing->sc;
	unsigned next = playing->run;
	char when[300];
	struct err e;

	/* A run that stopped early would stop elsewhere now: the one after it completes. */
	if (next + 1 < sc->n_runs && (sc->run[next].stop_after > 0 || playing->judged % 3 == 2) &&
	    may_stand_for(&sc->run[next], &sc->run[next + 1], next == 0))
		next++;
	snprintf(when, sizeof(when), "%s, run %u, %s", sc->name, playing->run, how);
	world_check_claims(left, when);
	HOLDS(world_run(left, &sc->run[next], &e) == 0, "%s: the run after it: %s", when, e.text);
	expect_same(left, &sc->run[next], &playing->expected[next], when);
	once_more(left, &sc->run[next], playing->judged++ % 4 == 0, when);
}

static void
expect(const struct place *p, const struct world_run *run, struct expected *ret)
{
	buf_init(&ret->days, 1 << 24);
	buf_init(&ret->meaning, 1 << 16);
	tree_text(p, WORLD_NAME "/events", &ret->days);
	world_meaning(p, run, &ret->meaning);
	HOLDS(buf_str(&ret->meaning) != NULL, "memory");
	world_check_claims(p, "undisturbed");
	if (run->stop_after == 0)
		world_check_all(p, run, "undisturbed");
}

/* Plays one scenario with one seed. The number of endings. */
static long
play(const struct scenario *sc, uint64_t seed)
{
	struct expected expected[MAX_RUNS];
	struct place before[MAX_RUNS + 1];
	struct err e;
	long played = 0;

	world_make(seed);
	for (unsigned i = 0; i <= sc->n_runs; i++)
		place_open(&before[i]);
	for (unsigned i = 0; i < sc->n_runs; i++) {
		tree_copy(&before[i], &before[i + 1]);
		HOLDS(world_run(&before[i + 1], &sc->run[i], &e) == 0, "%s: %s", sc->name, e.text);
		expect(&before[i + 1], &sc->run[i], &expected[i]);
	}
	for (unsigned i = sc->from_run; i < sc->n_runs; i++) {
		struct playing playing = { sc, i, expected, 0 };
		struct endings endings = { .run = run_it, .judge = judge_it, .ctx = &playing, .seed = seed + i,
			.times = 1, .stride = STRIDE };

		endings_play(&endings, &before[i]);
		HOLDS(endings.steps >= 1, "%s, run %u: %ld steps", sc->name, i, endings.steps);
		printf("%s, run %u: %ld steps, ended %ld times\n", sc->name, i, endings.steps, endings_played(&endings));
		played += endings_played(&endings);
	}
	for (unsigned i = 0; i <= sc->n_runs; i++)
		place_close(&before[i]);
	for (unsigned i = 0; i < sc->n_runs; i++) {
		buf_free(&expected[i].days);
		buf_free(&expected[i].meaning);
	}
	world_free();
	return played;
}

static bool
is_long(void)
{
	const char *text = getenv("ORGSYNC_TEST_LONG");

	return text != NULL && strcmp(text, "1") == 0;
}

/* A first run, perhaps not whole, and one or two after it, in which anything may have changed. */
static void
make_scenario(struct scenario *sc, uint64_t seed)
{
	struct rng r;

	rng_seed(&r, seed);
	memset(sc, 0, sizeof(*sc));
	snprintf(sc->name, sizeof(sc->name), "seed %" PRIu64, seed);
	sc->n_runs = 2 + (unsigned)rng_below(&r, MAX_RUNS - 1);
	for (unsigned i = 0; i < sc->n_runs; i++) {
		struct world_run *run = &sc->run[i];

		*run = i > 0 ? sc->run[i - 1] : (struct world_run){ .start_s = A_DAY - (int64_t)rng_below(&r, DAY_S),
			.now_s = BASE_S - 30000 + (int64_t)rng_below(&r, 60000) };
		run->now_s += (int64_t)rng_below(&r, rng_below(&r, 2) == 0 ? 2 * HOUR_S : DAY_S);
		run->commit_bytes = (size_t)rng_below(&r, 4000);
		run->cap_bytes = rng_below(&r, 3) == 0 ? 1000 + (size_t)rng_below(&r, 8000) : 0;
		run->rows = 3 + (unsigned)rng_below(&r, 20);
		if (i == 0 || rng_below(&r, 3) == 0)
			run->suffix = (enum ledger_suffix)rng_below(&r, 3);
		if (rng_below(&r, 4) == 0)
			run->types = (unsigned)rng_below(&r, 16);
		if (rng_below(&r, 4) == 0)
			run->not_raw = !run->not_raw;
		if (i > 0 && rng_below(&r, 3) == 0)
			run->start_s = BASE_S - 3 * DAY_S + (int64_t)rng_below(&r, 3 * DAY_S);
	}
	for (unsigned i = 0; i + 1 < sc->n_runs; i++)
		if (rng_below(&r, 3) == 0 && may_stand_for(&sc->run[i], &sc->run[i + 1], i == 0))
			sc->run[i].stop_after = 1 + (unsigned)rng_below(&r, 6);
}

START_TEST(runs_of_chance)
{
	struct scenario sc;
	uint64_t seed = test_seed() + 1000 * (uint64_t)_i;
	long played;

	make_scenario(&sc, seed);
	played = play(&sc, seed);
	printf("%s: %ld endings\n", sc.name, played);
	*n_cases += played;
}
END_TEST

START_TEST(ended_before_each_step)
{
	unsigned seeds = is_long() ? LONG_SEEDS : 1;
	uint64_t seed = test_seed();
	long played = 0;

	for (unsigned i = 0; i < seeds; i++)
		played += play(&scenarios[_i], seed + i);
	printf("%s: %ld endings\n", scenarios[_i].name, played);
	*n_cases += played;
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("whole runs, ended anywhere");
	TCase *t = tcase_create("whole runs, ended anywhere");
	SRunner *runner;
	int failed;

	n_cases = mmap(NULL, sizeof(*n_cases), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (n_cases == MAP_FAILED)
		return 1;
	tcase_set_timeout(t, 600);
	tcase_add_loop_test(t, ended_before_each_step, 0, N_SCENARIOS);
	tcase_add_loop_test(t, runs_of_chance, 0, is_long() ? LONG_RANDOM : RANDOM);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	printf("%ld cases\n", *n_cases);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
