/* test_store_crash.c: a run is ended before each of its steps that change the disk, and gone on with.
 *
 * Ended: in all the ways of tests/support/endings.h. Failed: the step, or an allocation, returns an error. Then the
 * run is done again, and the archive must be what it is after an undisturbed run, byte for byte, and stay so
 * when it is done once more. The same through lib/sync: tests/crash/test_sync_crash.c.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/file.h"
#include "lib/base/isotime.h"
#include "lib/base/rng.h"
#include "tests/support/endings.h"
#include "tests/support/short_memory.h"
#include "tests/unit/store_support.h"

#define NAME "acme"
#define OVERLAP_S 3600
#define SETTLE_S 120
#define PAGE 13 /* events a question; a second that holds more is asked with more */
#define MAX_RUNS 3

/* Everything costs many times as much under the sanitizers; each step is ended before in the plain build. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 11
#else
#define STRIDE 1
#endif

/* What the server holds, and what is asked of it ------------------------------------------------------ */

struct held { int64_t created_s; unsigned ms, id, pad; unsigned from_run; };

struct scenario {
	const char *name;
	unsigned n_runs, from_run;   /* those before from_run only make what is there already */
	unsigned times;              /* that an ending which is left to chance is tried */
	struct {
		enum ledger_suffix suffix;
		int64_t start_s, now_s;
		unsigned pages_a_commit;
		size_t cap_bytes;
	} run[MAX_RUNS];
};

static const struct scenario scenarios[] = {
	{ "first run", 1, 0, 3, { { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 40000, 2, 0 } } },
	{ "next runs", 3, 1, 1, { { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 20000, 9, 0 },
	                          { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 22000, 1, 0 },
	                          { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + DAY_S + 9000, 3, 0 } } },
	{ "backfill", 2, 1, 1, { { LEDGER_ZSTD, BASE_S, BASE_S + 50000, 4, 0 },
	                         { LEDGER_ZSTD, BASE_S - 3 * DAY_S, BASE_S + 60000, 2, 0 } } },
	{ "compressed", 2, 1, 1, { { LEDGER_GZIP, BASE_S - DAY_S, BASE_S + 30000, 4, 0 },
	                           { LEDGER_GZIP, BASE_S - DAY_S, BASE_S + 45000, 1, 0 } } },
	{ "suffix change", 3, 1, 4, { { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 30000, 9, 0 },
	                              { LEDGER_GZIP, BASE_S - DAY_S, BASE_S + 45000, 1, 0 },
	                              { LEDGER_ZSTD, BASE_S - DAY_S - 9000, BASE_S + 75000, 2, 0 } } },
	{ "small memory", 2, 0, 1, { { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 30000, 2, 3000 },
	                             { LEDGER_PLAIN, BASE_S - DAY_S, BASE_S + 50000, 1, 3000 } } },
};
#define N_SCENARIOS ((int)(sizeof(scenarios) / sizeof(scenarios[0])))

#define N_HELD 80
static struct held held[N_HELD];
static struct event events[N_HELD];      /* of held, in the same order: newest first */
static unsigned from_run[N_HELD];

static int
newest_first(const void *a, const void *b)
{
	const struct held *x = a, *y = b;

	if (x->created_s != y->created_s)
		return x->created_s < y->created_s ? 1 : -1;
	return x->id % 7 < y->id % 7 ? -1 : x->id % 7 > y->id % 7; /* inside a second: no order of note */
}

static void
make_events(uint64_t seed)
{
	struct rng r;

	rng_seed(&r, seed);
	for (unsigned i = 0; i < N_HELD; i++) {
		struct held *h = &held[i];

		h->id = i + 1;
		h->created_s = BASE_S - 3 * DAY_S + (int64_t)rng_below(&r, 4 * DAY_S + 9000);
		if (i % 5 == 0) /* a second with many, next to midnight */
			h->created_s = BASE_S - 1 + (int64_t)rng_below(&r, 2);
		if (i % 7 == 0) /* the hour before the first run's end: some of them late */
			h->created_s = BASE_S + 20000 - (int64_t)rng_below(&r, 3000);
		h->from_run = i % 14 == 0 ? 1 + i % 2 : 0;
		h->ms = rng_below(&r, 3) == 0 ? (unsigned)rng_below(&r, 1000) : 0;
		h->pad = 1 + (unsigned)rng_below(&r, 60);
	}
	qsort(held, N_HELD, sizeof(held[0]), newest_first);
	for (unsigned i = 0; i < N_HELD; i++) {
		events[i] = test_event(held[i].id, held[i].created_s, held[i].ms, held[i].pad);
		from_run[i] = held[i].from_run;
	}
}

#define POISONED_S (BASE_S + 3)
static const char poisoned[] = "{\"id\":5,\"created\":\"soon\"}"; /* of that second, as the server knows */

/* Reads one gap newest to oldest, by time. 0, or -1 as soon as the store fails. */
static int
read_gap(struct store *s, const struct scenario *sc, unsigned run, const struct gap *gap,
         unsigned *pages, struct covered *ranges, size_t *n_ranges, struct err *e)
{
	int64_t end_s = gap->to_s, from_s = gap->from_s, oldest_s;
	unsigned want = PAGE, i, n;

	while (end_s > gap->from_s) {
		for (oldest_s = gap->from_s, i = n = 0; i < N_HELD && n <= want; i++)
			if (from_run[i] <= run && held[i].created_s < end_s && held[i].created_s >= gap->from_s) {
				oldest_s = held[i].created_s;
				n++;
			}
		if (n > want && oldest_s + 1 >= end_s) {
			want *= 2;
			continue;
		}
		from_s = n > want ? oldest_s + 1 : gap->from_s;
		for (i = 0; i < N_HELD; i++)
			if (from_run[i] <= run && held[i].created_s < end_s && held[i].created_s >= from_s &&
			    store_put(s, &events[i], 1, e) != 0)
				return -1;
		if (from_s <= POISONED_S && end_s > POISONED_S &&
		    store_quarantine(s, poisoned, strlen(poisoned), e) != 0)
			return -1;
		ranges[(*n_ranges)++] = (struct covered){ from_s, end_s, sc->run[run].now_s, INT64_MAX,
			{ NULL, 0, true } };
		end_s = from_s;
		if (++*pages % sc->run[run].pages_a_commit != 0)
			continue;
		if (store_commit(s, ranges, *n_ranges, false, e) != 0)
			return -1;
		*n_ranges = 0;
	}
	return 0;
}

/* One run, as lib/sync does it. 0 or -1. */
static int
do_run(const struct place *p, const struct scenario *sc, unsigned run, struct err *e)
{
	struct store_options o = { .dirfd = p->fd, .name = NAME, .org_id = ORG_A,
		.suffix = sc->run[run].suffix, .overlap_s = OVERLAP_S,
		.pending_cap_bytes = sc->run[run].cap_bytes };
	struct question asked = { NULL, 0, true };
	struct covered ranges[200];
	struct gap *gaps = NULL;
	size_t n_gaps = 0, n_ranges = 0;
	unsigned pages = 0;
	int rc = -1;
	struct store *s;

	err_clear(e);
	s = store_open(&o, e);
	if (s == NULL || store_set_since(s, BASE_S, e) != 0)
		goto out;
	if (ledger_missing(store_ledger(s), sc->run[run].start_s, sc->run[run].now_s - SETTLE_S, &asked,
	                   OVERLAP_S, &gaps, &n_gaps) != 0) {
		err_set_errno(e, ENOMEM, "gaps");
		goto out;
	}
	for (size_t i = n_gaps; i > 0; i--)
		if (read_gap(s, sc, run, &gaps[i - 1], &pages, ranges, &n_ranges, e) != 0)
			goto out;
	rc = store_commit(s, ranges, n_ranges, true, e);
out:
	if (rc != 0 && s != NULL && strcmp(e->text, "gaps: Cannot allocate memory") != 0)
		HOLDS( /* after a failure nothing more is written */
		      store_set_since(s, 5, NULL) == -1 && store_commit(s, NULL, 0, true, NULL) == -1, "it goes on");
	store_close(s);
	free(gaps);
	return rc;
}

/* Ending a run --------------------------------------------------------------------------------------- */

static struct place work;
static long *n_cases; /* shared with the processes in which libcheck runs the tests */

static const char *
tree_text(const struct place *p, const char *path, struct buf *b)
{
	buf_reset(b);
	if (test_exists(p, path))
		test_tree(p, path, b);
	HOLDS(buf_str(b) != NULL, "memory");
	return b->data;
}

static int findings;

static void
tell(void *ctx, const struct store_finding *f)
{
	(void)ctx;
	findings++;
	printf("%s: %s\n", f->path == NULL ? "(range)" : f->path, f->text);
}

/* Compares two texts; names the first line in which they differ. */
static void
same_text(const char *a, const char *b, const struct scenario *sc, unsigned run, const char *when)
{
	const char *line = a;
	size_t i;

	for (i = 0; a[i] != '\0' && a[i] == b[i]; i++)
		if (a[i] == '\n')
			line = a + i + 1;
	HOLDS(a[i] == b[i], "%s run %u, %s: \"%.150s\" became \"%.150s\"", sc->name, run, when, line,
	      b + (line - a));
}

/* What must be true of an archive after a run that came to its end. */
static void
expect_whole(const struct place *p, const struct scenario *sc, unsigned run, const char *expected,
             const char *when)
{
	struct store_options o = { .dirfd = p->fd, .name = NAME, .org_id = ORG_A, .overlap_s = OVERLAP_S,
		.read_only = true };
	struct question asked = { NULL, 0, true };
	struct gap *gaps = NULL;
	struct store *s;
	struct buf b;
	struct err e;
	size_t n = 0;

	buf_init(&b, 1 << 24);
	err_clear(&e);
	same_text(expected, tree_text(p, NAME "/events", &b), sc, run, when);
	s = store_open(&o, &e);
	HOLDS(s != NULL, "%s: %s: %s", sc->name, when, e.text);
	findings = 0;
	HOLDS(store_verify(s, tell, NULL, &e) == 0 && findings == 0, "%s: %s", sc->name, when);
	HOLDS(store_ledger(s)->n_staging == 0, "%s: %s", sc->name, when);
	HOLDS(store_ledger(s)->n_becoming == 0, "%s: %s", sc->name, when);
	ck_assert(store_ledger(s)->since_s == BASE_S);
	HOLDS(ledger_missing(store_ledger(s), sc->run[run].start_s, sc->run[run].now_s - SETTLE_S,
	                                &asked, OVERLAP_S, &gaps, &n) == 0, "%s: %s", sc->name, when);
	HOLDS(n == 1 && gaps[0].provisional && gaps[0].from_s == sc->run[run].now_s - OVERLAP_S + 1,
	      "%s: %s: %zu gaps", sc->name, when, n);
	free(gaps);
	store_close(s);
	ck_assert_str_eq(tree_text(p, NAME "/.staging", &b), "");
	HOLDS(strstr(tree_text(p, NAME "/quarantine", &b), "soon") != NULL, "%s: %s", sc->name, when);
	buf_free(&b);
}

/* Does the run again, on what its end left, and then twice more: the first of these may still join ranges of
 * the ledger, the second changes nothing. */
static void
go_on(const struct place *p, const struct scenario *sc, unsigned run, const char *expected, const char *when)
{
	static unsigned calls;
	struct buf once, again;
	struct err e;
	int times = calls++ % 4 == 0 ? 3 : 1; /* one in four: it is three times the work */

	buf_init(&once, 1 << 24);
	buf_init(&again, 1 << 24);
	for (int i = 0; i < times; i++) {
		HOLDS(do_run(p, sc, run, &e) == 0, "%s run %u, %s, %d: %s", sc->name, run, when, i, e.text);
		if (i < 2)
			expect_whole(p, sc, run, expected, when);
		tree_text(p, ".", i < 2 ? &once : &again);
	}
	if (times == 3)
		same_text(once.data, again.data, sc, run, when);
	buf_free(&once);
	buf_free(&again);
}

/* What endings_play() is about. */
struct played { const struct scenario *sc; unsigned run; const char *expected; };

static int
run_it(void *ctx, const struct place *p)
{
	const struct played *played = ctx;
	struct err e;

	return do_run(p, played->sc, played->run, &e);
}

static void
judge_it(void *ctx, const struct place *left, const char *when)
{
	const struct played *played = ctx;

	go_on(left, played->sc, played->run, played->expected, when);
}

static void
end_everywhere(const struct scenario *sc, unsigned run, const struct place *before, const char *expected)
{
	struct played played = { sc, run, expected };
	struct endings e = { .run = run_it, .judge = judge_it, .ctx = &played, .seed = test_seed() + run,
		.times = sc->times, .stride = STRIDE };

	endings_play(&e, before);
	printf("%s, run %u: %ld steps, ended %ld times\n", sc->name, run, e.steps, endings_played(&e));
	*n_cases += endings_played(&e);
	HOLDS(e.steps >= 8, "%s: %ld steps", sc->name, e.steps);
}

static long fail_at;
static int fail_with;

static int
fail_here(const char *kind, int fd, const char *what)
{
	(void)kind;
	(void)fd;
	(void)what;
	return fail_at-- == 0 ? fail_with : 0;
}

static void
fail_everywhere(const struct scenario *sc, unsigned run, const struct place *before, const char *expected)
{
	struct err e;
	char when[80];
	int rc;

	for (long k = 0;; k++) {
		place_empty(&work);
		tree_copy(before, &work);
		fail_at = k;
		fail_with = k % 2 == 0 ? ENOSPC : EIO;
		file_step_hook = fail_here;
		rc = do_run(&work, sc, run, &e);
		file_step_hook = NULL;
		if (fail_at >= 0)
			break;
		HOLDS(rc == -1 && e.code == ERR_IO, "%s run %u: step %ld failed, unnoticed", sc->name, run, k);
		HOLDS(strstr(e.text, strerror(fail_with)) != NULL, "%s", e.text);
		snprintf(when, sizeof(when), "failed in step %ld", k);
		go_on(&work, sc, run, expected, when);
	}
}

static void
starve_everywhere(const struct scenario *sc, unsigned run, const struct place *before, const char *expected)
{
	struct err e;
	char when[80];
	int rc, failed = 0;

	for (long k = 0;; k += 1 + k / 40) {
		place_empty(&work);
		tree_copy(before, &work);
		short_memory_after = k;
		rc = do_run(&work, sc, run, &e);
		if (short_memory_after >= 0)
			break;
		HOLDS((rc != 0) == err_is(&e), "%s run %u, allocation %ld: %s", sc->name, run, k, e.text);
		failed += rc != 0;
		snprintf(when, sizeof(when), "without memory at %ld", k);
		go_on(&work, sc, run, expected, when);
	}
	short_memory_after = -1;
	ck_assert_int_ge(failed, 10); /* a buffer that cannot be had in one size may be had in another */
}

static void
each_run(const struct scenario *sc,
         void (*test)(const struct scenario *sc, unsigned run, const struct place *before, const char *expected))
{
	struct place before = { "", -1 }, after = { "", -1 };
	struct buf expected;
	struct err e;

	place_open(&before);
	place_open(&after);
	place_open(&work);
	buf_init(&expected, 1 << 24);
	make_events(test_seed());
	for (unsigned run = 0; run < sc->n_runs; run++) {
		place_empty(&after);
		tree_copy(&before, &after);
		HOLDS(do_run(&after, sc, run, &e) == 0, "%s: %s", sc->name, e.text);
		tree_text(&after, NAME "/events", &expected);
		expect_whole(&after, sc, run, expected.data, "undisturbed");
		if (run >= sc->from_run)
			test(sc, run, &before, expected.data);
		place_empty(&before);
		tree_copy(&after, &before);
	}
	buf_free(&expected);
	for (unsigned i = 0; i < N_HELD; i++)
		test_event_free(&events[i]);
	place_close(&before);
	place_close(&after);
	place_close(&work);
}

START_TEST(ended_before_each_step)
{
	each_run(&scenarios[_i], end_everywhere);
}
END_TEST

START_TEST(each_step_fails)
{
	each_run(&scenarios[_i], fail_everywhere);
}
END_TEST

START_TEST(each_allocation_fails)
{
	each_run(&scenarios[_i], starve_everywhere);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("store, ended anywhere");
	TCase *t = tcase_create("store, ended anywhere");
	SRunner *runner;
	int failed;

	n_cases = mmap(NULL, sizeof(*n_cases), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (n_cases == MAP_FAILED)
		return 1;
	tcase_set_timeout(t, 240);
	tcase_add_loop_test(t, ended_before_each_step, 0, N_SCENARIOS);
	tcase_add_loop_test(t, each_step_fails, 0, N_SCENARIOS);
	tcase_add_loop_test(t, each_allocation_fails, 0, N_SCENARIOS);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	printf("%ld cases\n", *n_cases);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
