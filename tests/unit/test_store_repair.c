/* test_store_repair.c: a repair, and the sync after it, ended before each of their steps that change the disk.
 *
 * Whatever the end leaves, the same two done again (or the sync alone, where it may) make the archive what it was
 * before the damage; the damaged bytes stand in quarantine/damaged/, and what the server gave no more beside
 * them. Each step and each allocation fails once, too.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/isotime.h"
#include "lib/store/dayfile.h"
#include "tests/support/endings.h"
#include "tests/support/short_memory.h"

#define NAME "acme"
#define START_S (BASE_S - DAY_S)
#define NOW_S (BASE_S + 2 * DAY_S + 3000)
#define PER_DAY 7
#define N_GIVEN (3 * PER_DAY)
#define DAY_1 NAME "/events/2025/2025-08-11"

/* A process costs many times as much under the sanitizers; each step is ended before in the plain build. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 5
#else
#define STRIDE 1
#endif

/* What the server gives, and what is done ------------------------------------------------------------- */

static struct event given[N_GIVEN];

static void
make_given(void)
{
	for (unsigned i = 0; i < N_GIVEN; i++)
		given[i] = test_event(i + 1, START_S + (int64_t)(i / PER_DAY) * DAY_S + 100 + i, i % 3, 5 + i);
}

static void
free_given(void)
{
	for (unsigned i = 0; i < N_GIVEN; i++)
		test_event_free(&given[i]);
}

struct said { uint64_t gone, altered; };

static void
compared(void *ctx, const struct store_compared *c)
{
	struct said *said = ctx;

	said->gone += c->gone;
	said->altered += c->altered;
}

static int
read_all(struct store *s, struct err *e)
{
	struct question asked = { NULL, 0, true };
	struct gap *gaps = NULL;
	size_t n = 0;
	int rc = 0;

	if (ledger_missing(store_ledger(s), START_S, NOW_S, &asked, 0, &gaps, &n) != 0)
		return err_set_errno(e, ENOMEM, "gaps");
	for (size_t i = n; i > 0 && rc == 0; i--) {
		struct covered c = { gaps[i - 1].from_s, gaps[i - 1].to_s, NOW_S, INT64_MAX, asked };

		for (unsigned j = 0; j < N_GIVEN && rc == 0; j++)
			if (isotime_second(given[j].created_ns) >= c.from_s && isotime_second(given[j].created_ns) < c.to_s)
				rc = store_put(s, &given[j], 1, e);
		if (rc == 0)
			rc = store_commit(s, &c, 1, i == 1, e);
	}
	free(gaps);
	return rc != 0 ? rc : store_commit(s, NULL, 0, true, e);
}

static int
do_sync(const struct place *p, enum ledger_suffix suffix, struct said *said, struct err *e)
{
	struct store_options o = { .dirfd = p->fd, .name = NAME, .org_id = ORG_A, .suffix = suffix };
	struct store *s;
	int rc = -1;

	err_clear(e);
	s = store_open(&o, e);
	if (s != NULL && read_all(s, e) == 0)
		rc = store_compare(s, compared, said, e);
	store_close(s);
	return rc;
}

static unsigned findings, holes, aside;

static void
found(void *ctx, const struct store_finding *f)
{
	(void)ctx;
	findings++;
	holes += f->kind == STORE_HOLE;
}

static void
repaired(void *ctx, const struct store_repaired *r)
{
	(void)ctx;
	HOLDS(r->path != NULL, "no path");
	aside++;
}

/* The number of findings, or -1. */
static int
do_repair(const struct place *p, struct err *e)
{
	struct store_options o = { .dirfd = p->fd, .name = NAME, .org_id = ORG_A, .repair = true };
	struct store *s;
	int n = -1;

	err_clear(e);
	findings = holes = aside = 0;
	s = store_open(&o, e);
	if (s != NULL)
		n = store_repair(s, found, repaired, NULL, e);
	store_close(s);
	return n;
}

/* Damages --------------------------------------------------------------------------------------------- */

static const char extra[] = "{\"created\":\"2025-08-11T23:59:59Z\",\"id\":\"zz\"}";

static void
whole_file(const struct place *p, const char *path, struct buf *b)
{
	buf_reset(b);
	test_read(p, path, b);
}

/* With an event that the server does not give. */
static void
longer(const struct place *p, struct buf *b)
{
	whole_file(p, DAY_1 ".ndjson", b);
	HOLDS(buf_printf(b, "%s\n", extra) == 0, "memory");
	test_write(p, DAY_1 ".ndjson", b->data, b->len);
}

static void
missing(const struct place *p, struct buf *b)
{
	buf_reset(b);
	HOLDS(unlinkat(p->fd, DAY_1 ".ndjson", 0) == 0, "%s", strerror(errno));
}

/* A file of another suffix beside the right one, and names that say nothing. */
static void
strays(const struct place *p, struct buf *b)
{
	struct day_writer w;
	unsigned char sha256[32];
	struct err e;

	test_write(p, NAME "/events/2025/notes", "mine", 4);
	test_write(p, NAME "/events/notes", "mine", 4);
	err_clear(&e);
	day_writer_init(&w);
	HOLDS(day_writer_open(&w, p->fd, DAY_1 ".ndjson.gz", LEDGER_GZIP, 0, "x", &e) == 0 &&
	      day_writer_put(&w, extra, strlen(extra), &e) == 0 && day_writer_put(&w, "\n", 1, &e) == 0 &&
	      day_writer_finish(&w, sha256, &e) == 0, "%s", e.text);
	day_writer_free(&w);
	whole_file(p, DAY_1 ".ndjson.gz", b);
}

static void
no_gzip(const struct place *p, struct buf *b)
{
	buf_reset(b);
	HOLDS(buf_append_str(b, "no gzip at all") == 0, "memory");
	test_write(p, DAY_1 ".ndjson.gz", b->data, b->len);
}

static int
fail_renames_of_days(const char *kind, int fd, const char *what)
{
	(void)fd;
	return strcmp(kind, "rename") == 0 && strstr(what, "/events/") != NULL ? EIO : 0;
}

/* A run that ended while day files were about to be replaced, of which the staging and a day file are damaged. */
static void
unclean(const struct place *p, struct buf *b)
{
	struct covered c = { NOW_S, NOW_S + 10, NOW_S + 10, INT64_MAX, { NULL, 0, true } };
	struct event more[2] = { test_event(90, BASE_S + 5, 0, 9), test_event_of(extra) };
	struct store *s = test_open(p, NAME, LEDGER_PLAIN);
	struct err e;

	err_clear(&e);
	test_put(s, more, 2);
	HOLDS(store_commit(s, &c, 1, false, &e) == 0, "%s", e.text);
	file_step_hook = fail_renames_of_days;
	HOLDS(store_commit(s, NULL, 0, true, &e) == -1, "it did not fail");
	file_step_hook = NULL;
	store_close(s);
	test_event_free(&more[0]);
	test_event_free(&more[1]);
	buf_reset(b);
	test_read(p, NAME "/.staging/000001.ndjson", b);
	b->data[b->len / 3] ^= 1;
	test_write(p, NAME "/.staging/000001.ndjson", b->data, b->len);
	test_write(p, DAY_1 ".ndjson", "x", 1);
}

/* A run that ended just after it had put a day's file of another suffix in place, before the old one went; and the new
 * one is damaged: the old one is as good as ever. */
static int
fail_removal_of_days(const char *kind, int fd, const char *what)
{
	(void)fd;
	return strcmp(kind, "unlink") == 0 && strstr(what, "/events/") != NULL ? EIO : 0;
}

static void
both_suffixes(const struct place *p, struct buf *b)
{
	struct covered c = { NOW_S, NOW_S + 10, NOW_S + 10, INT64_MAX, { NULL, 0, true } };
	struct event more = test_event_of(extra);
	struct store *s = test_open(p, NAME, LEDGER_GZIP);
	struct err e;

	err_clear(&e);
	test_put(s, &more, 1);
	HOLDS(store_commit(s, &c, 1, false, &e) == 0, "%s", e.text);
	file_step_hook = fail_removal_of_days;
	HOLDS(store_commit(s, NULL, 0, true, &e) == -1, "it did not fail");
	file_step_hook = NULL;
	store_close(s);
	test_event_free(&more);
	whole_file(p, DAY_1 ".ndjson.gz", b);
	b->data[b->len / 2] ^= 1;
	test_write(p, DAY_1 ".ndjson.gz", b->data, b->len);
}

static const struct scenario {
	const char *name;
	void (*damage)(const struct place *p, struct buf *b); /* b: the bytes that must not be lost */
	enum ledger_suffix suffix;
	unsigned aside;        /* files that a repair has to deal with */
	unsigned gone;         /* events that are told */
	bool kept;             /* it is `extra`, which is kept by itself */
	bool staged;           /* `extra` was read, and waits in sound staging: it belongs into the archive */
} scenarios[] = {
	{ "longer", longer, LEDGER_PLAIN, 1, 1, true, false },
	{ "missing", missing, LEDGER_PLAIN, 1, 0, false, false },
	{ "strays", strays, LEDGER_PLAIN, 3, 1, true, false },
	{ "no gzip", no_gzip, LEDGER_GZIP, 1, 0, false, false },
	{ "both suffixes", both_suffixes, LEDGER_PLAIN, 1, 0, false, true },
	{ "unclean end", unclean, LEDGER_PLAIN, 2, 2, false, false },
};
#define N_SCENARIOS ((int)(sizeof(scenarios) / sizeof(scenarios[0])))

/* What must be true ------------------------------------------------------------------------------------ */

struct world {
	const struct scenario *sc;
	struct buf events;     /* acme/events as it was before the damage */
	struct buf damaged;    /* the bytes that must not be lost */
	struct said said;      /* by the run under way */
};

/* Does a file below path hold just these bytes? */
static bool
is_somewhere(const struct place *p, const char *path, const char *bytes, size_t len)
{
	struct dirent *entry;
	bool is = false;
	char below[400];
	struct stat st;
	struct buf b;
	int fd = openat(p->fd, path, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	buf_init(&b, 1 << 20);
	while (dir != NULL && !is && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		HOLDS(fstatat(p->fd, below, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s", below);
		if (S_ISDIR(st.st_mode)) {
			is = is_somewhere(p, below, bytes, len);
			continue;
		}
		whole_file(p, below, &b);
		is = b.len == len && (len == 0 || memcmp(b.data, bytes, len) == 0);
	}
	if (dir != NULL)
		closedir(dir);
	buf_free(&b);
	return is;
}

static void
expect_whole(const struct world *w, const struct place *p, const char *when)
{
	struct store_options o = { .dirfd = p->fd, .name = NAME, .org_id = ORG_A, .read_only = true };
	char line[200];
	struct store *s;
	struct buf b;
	struct err e;

	buf_init(&b, 1 << 20);
	test_tree(p, NAME "/events", &b);
	HOLDS(b.len == w->events.len && memcmp(b.data, w->events.data, b.len) == 0, "%s: %s: %.300s", w->sc->name, when,
	      buf_str(&b));
	err_clear(&e);
	findings = 0;
	s = store_open(&o, &e);
	HOLDS(s != NULL, "%s: %s: %s", w->sc->name, when, e.text);
	HOLDS(store_verify(s, found, NULL, &e) == 0, "%s: %s: %u findings", w->sc->name, when, findings);
	HOLDS(store_ledger(s)->n_repairs == 0 && store_ledger(s)->n_staging == 0 && store_ledger(s)->n_becoming == 0,
	      "%s: %s", w->sc->name, when);
	store_close(s);
	HOLDS(w->damaged.len == 0 || is_somewhere(p, NAME "/quarantine/damaged", w->damaged.data, w->damaged.len),
	      "%s: %s: the damaged bytes are lost", w->sc->name, when);
	snprintf(line, sizeof(line), "%s\n", extra);
	HOLDS(!w->sc->kept || is_somewhere(p, NAME "/quarantine/damaged", line, strlen(line)), "%s: %s: not kept",
	      w->sc->name, when);
	buf_free(&b);
}

/* Both, as the run that is ended does it. Runs nest: of what the outer one said before it ended the inner one does
 * not speak again. */
static int
repair_and_sync(void *ctx, const struct place *p)
{
	static unsigned depth;
	struct world *w = ctx;
	struct said before = w->said;
	struct err e;
	int rc;

	depth++;
	rc = do_repair(p, &e) < 0 ? -1 : do_sync(p, w->sc->suffix, &w->said, &e);
	if (--depth > 0)
		w->said = before;
	return rc;
}

static void
go_on(void *ctx, const struct place *left, const char *when)
{
	const struct world *w = ctx;
	struct said said = w->said;
	static unsigned calls;
	struct err e;

	HOLDS(w->damaged.len == 0 || is_somewhere(left, NAME, w->damaged.data, w->damaged.len),
	      "%s: %s: the damaged bytes are lost", w->sc->name, when);
	/* Who does not know of the repair: a sync. It goes on with what was begun, or says what is damaged. */
	if (calls++ % 2 == 0)
		HOLDS(do_sync(left, w->sc->suffix, &said, &e) == 0 || e.code == ERR_DAMAGE, "%s: %s: %s", w->sc->name, when,
		      e.text);
	HOLDS(do_repair(left, &e) >= 0, "%s: %s: %s", w->sc->name, when, e.text);
	HOLDS(do_sync(left, w->sc->suffix, &said, &e) == 0, "%s: %s: %s", w->sc->name, when, e.text);
	expect_whole(w, left, when);
	HOLDS(said.gone >= w->sc->gone, "%s: %s: it was not said what is gone", w->sc->name, when);
	HOLDS(do_repair(left, &e) == 0 && aside == 0, "%s: %s: %s", w->sc->name, when, e.text);
}

/* The last event of its day. */
static void
add_extra(struct buf *tree)
{
	char *next = strstr(buf_str(tree), "\n== " NAME "/events/2025/2025-08-12"), *rest;

	HOLDS(next != NULL, "%s", tree->data);
	rest = strdup(next);
	HOLDS(rest != NULL, "memory");
	tree->len = (size_t)(next - tree->data);
	HOLDS(buf_printf(tree, "%s\n%s", extra, rest) == 0, "memory");
	free(rest);
}

/* An archive, what it holds, and the damage to it. */
static void
make_world(struct world *w, const struct scenario *sc, const struct place *before)
{
	struct err e;

	*w = (struct world){ .sc = sc };
	buf_init(&w->events, 1 << 20);
	buf_init(&w->damaged, 1 << 20);
	make_given();
	HOLDS(do_sync(before, sc->suffix, &w->said, &e) == 0 && w->said.gone == 0, "%s", e.text);
	test_tree(before, NAME "/events", &w->events);
	if (sc->staged)
		add_extra(&w->events);
	sc->damage(before, &w->damaged);
}

static void
free_world(struct world *w)
{
	buf_free(&w->events);
	buf_free(&w->damaged);
	free_given();
}

START_TEST(undisturbed)
{
	struct place p = { "", -1 };
	struct said said = { 0, 0 };
	struct world w;
	struct err e;

	place_open(&p);
	make_world(&w, &scenarios[_i], &p);
	HOLDS(do_repair(&p, &e) >= 1, "%s: %s", w.sc->name, e.text);
	ck_assert_uint_eq(aside, w.sc->aside);
	HOLDS(do_repair(&p, &e) == (int)holes && aside == 0, "%s: repaired twice", w.sc->name);
	HOLDS(do_sync(&p, w.sc->suffix, &said, &e) == 0, "%s: %s", w.sc->name, e.text);
	expect_whole(&w, &p, "undisturbed");
	ck_assert_uint_eq(said.gone, w.sc->gone);
	said = (struct said){ 0, 0 };
	HOLDS(do_sync(&p, w.sc->suffix, &said, &e) == 0 && said.gone == 0, "%s: said twice", w.sc->name);
	free_world(&w);
	place_close(&p);
}
END_TEST

START_TEST(ended_before_each_step)
{
	struct place before = { "", -1 };
	struct world w;
	struct endings e = { .run = repair_and_sync, .judge = go_on, .ctx = &w, .seed = test_seed(),
		.times = getenv("ORGSYNC_TEST_LONG") != NULL ? 8 : 1, .stride = STRIDE };

	place_open(&before);
	make_world(&w, &scenarios[_i], &before);
	endings_play(&e, &before);
	printf("%s: %ld steps, ended %ld times\n", w.sc->name, e.steps, endings_played(&e));
	ck_assert_int_gt(e.steps, 10);
	free_world(&w);
	place_close(&before);
}
END_TEST

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

START_TEST(each_step_fails)
{
	struct place before = { "", -1 }, work = { "", -1 };
	struct world w;
	struct err e;
	char when[80];
	long k;
	int n;

	place_open(&before);
	place_open(&work);
	make_world(&w, &scenarios[_i], &before);
	for (k = 0;; k++) {
		place_empty(&work);
		tree_copy(&before, &work);
		fail_at = k;
		fail_with = k % 2 == 0 ? ENOSPC : EIO;
		file_step_hook = fail_here;
		n = do_repair(&work, &e);
		file_step_hook = NULL;
		if (fail_at >= 0)
			break;
		HOLDS(n == -1 && e.code == ERR_IO && strstr(e.text, strerror(fail_with)) != NULL,
		      "%s: step %ld failed, unnoticed: %s", w.sc->name, k, e.text);
		snprintf(when, sizeof(when), "failed in step %ld", k);
		w.said = (struct said){ 0, 0 };
		go_on(&w, &work, when);
	}
	ck_assert_int_gt(k, 5);
	free_world(&w);
	place_close(&before);
	place_close(&work);
}
END_TEST

START_TEST(each_allocation_fails)
{
	struct place before = { "", -1 }, work = { "", -1 };
	struct world w;
	struct err e;
	char when[80];
	int rc, failed = 0;

	place_open(&before);
	place_open(&work);
	make_world(&w, &scenarios[_i], &before);
	for (long k = 0;; k += STRIDE) {
		place_empty(&work);
		tree_copy(&before, &work);
		w.said = (struct said){ 0, 0 };
		short_memory_after = k;
		rc = do_repair(&work, &e);
		if (rc >= 0)
			rc = do_sync(&work, w.sc->suffix, &w.said, &e);
		if (short_memory_after >= 0)
			break;
		short_memory_after = -1;
		HOLDS((rc < 0) == err_is(&e), "%s, allocation %ld: %s", w.sc->name, k, e.text);
		failed += rc < 0;
		snprintf(when, sizeof(when), "without memory at %ld", k);
		go_on(&w, &work, when);
	}
	short_memory_after = -1;
	ck_assert_int_ge(failed, 10);
	free_world(&w);
	place_close(&before);
	place_close(&work);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("store, repaired");
	TCase *t = tcase_create("store, repaired");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 240);
	tcase_add_loop_test(t, undisturbed, 0, N_SCENARIOS);
	tcase_add_loop_test(t, ended_before_each_step, 0, N_SCENARIOS);
	tcase_add_loop_test(t, each_step_fails, 0, N_SCENARIOS);
	tcase_add_loop_test(t, each_allocation_fails, 0, N_SCENARIOS);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
