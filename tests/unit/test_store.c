/* test_store.c: what lands on disk, what is refused, and what a failing disk does. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/isotime.h"
#include "lib/base/rng.h"
#include "lib/store/dayfile.h"
#include "tests/unit/store_support.h"

static struct place place;

static void
setup(void)
{
	place_open(&place);
}

static void
teardown(void)
{
	file_step_hook = NULL;
	place_close(&place);
}

static void
put_made(struct store *s, unsigned id, int64_t created_s, unsigned ms)
{
	struct event ev = test_event(id, created_s, ms, 1);

	test_put(s, &ev, 1);
	test_event_free(&ev);
}

static void
expect_day(const char *name, int64_t day_s, const char *text)
{
	struct buf b;

	buf_init(&b, 1 << 24);
	test_read_day(&place, name, day_s, &b);
	ck_assert_ptr_nonnull(buf_str(&b));
	ck_assert_str_eq(b.data, text);
	buf_free(&b);
}

static struct store *
try_open(const char *name, const char *org_id, bool read_only, struct err *e)
{
	struct store_options o = { .dirfd = place.fd, .name = name, .org_id = org_id, .overlap_s = 3600,
		.read_only = read_only };

	err_clear(e);
	return store_open(&o, e);
}

static void
expect_no_open(const char *name, const char *org_id, enum err_code code, const char *part)
{
	struct err e;
	struct store *s = try_open(name, org_id, false, &e);

	ck_assert_ptr_null(s);
	HOLDS(e.code == code, "%s, not %s: %s", err_code_name(e.code), err_code_name(code), e.text);
	HOLDS(strstr(e.text, part) != NULL, "%s", e.text);
}

START_TEST(a_first_run)
{
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);

	put_made(s, 2, BASE_S + 60, 0);
	put_made(s, 1, BASE_S + 60, 0);
	put_made(s, 3, BASE_S + 60, 5);
	put_made(s, 4, BASE_S - 1, 999);
	ck_assert_uint_gt(store_uncommitted_bytes(s), 200);
	test_commit(s, BASE_S - 100, BASE_S + 100, BASE_S + 200, true);
	ck_assert_uint_eq(store_uncommitted_bytes(s), 0);
	ck_assert_uint_eq(store_counts(s)->events_new, 4);
	ck_assert_uint_eq(store_counts(s)->days_written, 2);
	ck_assert_uint_eq(store_events(s), 4);
	store_close(s);
	expect_day("acme", BASE_S - DAY_S,
	           "{\"created\":\"2025-08-10T23:59:59.999Z\",\"id\":\"000000000000000000000004\",\"n\":4.50,\"pad\":\"0\"}\n");
	expect_day("acme", BASE_S,
	           "{\"created\":\"2025-08-11T00:01:00Z\",\"id\":\"000000000000000000000001\",\"n\":1.50,\"pad\":\"0\"}\n"
	           "{\"created\":\"2025-08-11T00:01:00Z\",\"id\":\"000000000000000000000002\",\"n\":2.50,\"pad\":\"0\"}\n"
	           "{\"created\":\"2025-08-11T00:01:00.005Z\",\"id\":\"000000000000000000000003\",\"n\":3.50,\"pad\":\"0\"}\n");
	ck_assert(!test_exists(&place, "acme/.staging/000001.ndjson"));
}
END_TEST

/* Ids and content of the counted kinds. */
START_TEST(the_first_copy_stays)
{
	struct event first = test_event_of("{\"id\":\"a\",\"created\":\"2025-08-11T01:00:00Z\",\"v\":1}"),
	             other = test_event_of("{\"id\":\"a\",\"created\":\"2025-08-11T01:00:00Z\",\"v\":2}"),
	             moved = test_event_of("{\"id\":\"a\",\"created\":\"2025-08-11T09:00:00Z\",\"v\":1}"),
	             elsewhere = test_event_of("{\"id\":\"a\",\"created\":\"2025-08-12T09:00:00Z\",\"v\":1}");
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);

	test_put(s, &first, 1);
	test_put(s, &first, 1);
	test_put(s, &other, 1);
	test_commit(s, BASE_S, BASE_S + 50000, BASE_S + 90000, true);
	ck_assert_uint_eq(store_counts(s)->events_new, 1);
	ck_assert_uint_eq(store_counts(s)->events_known, 1);
	ck_assert_uint_eq(store_counts(s)->events_changed, 1);
	test_put(s, &moved, 1);
	test_put(s, &elsewhere, 1);
	test_commit(s, BASE_S, BASE_S + 50000, BASE_S + 90000, true);
	ck_assert_uint_eq(store_counts(s)->events_new, 2);
	ck_assert_uint_eq(store_counts(s)->events_changed, 2);
	store_close(s);
	s = test_open(&place, "acme", LEDGER_PLAIN);
	test_put(s, &other, 1);
	test_commit(s, BASE_S, BASE_S + 50000, BASE_S + 90000, true);
	ck_assert_uint_eq(store_counts(s)->events_new, 0);
	ck_assert_uint_eq(store_counts(s)->events_changed, 1);
	ck_assert_uint_eq(store_counts(s)->days_written, 0);
	store_close(s);
	expect_day("acme", BASE_S, "{\"id\":\"a\",\"created\":\"2025-08-11T01:00:00Z\",\"v\":1}\n");
	expect_day("acme", BASE_S + DAY_S, "{\"id\":\"a\",\"created\":\"2025-08-12T09:00:00Z\",\"v\":1}\n");
	test_event_free(&first);
	test_event_free(&other);
	test_event_free(&moved);
	test_event_free(&elsewhere);
}
END_TEST

/* An id is its text, however it is written; the bytes stay as they came. */
START_TEST(an_id_with_escapes)
{
	struct event plain = test_event_of("{\"id\":\"ab\",\"created\":\"2025-08-11T01:00:00Z\"}"),
	             escaped = test_event_of("{\"id\":\"a\\u0062\",\"created\":\"2025-08-11T01:00:00Z\"}");
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);

	test_put(s, &escaped, 1);
	test_put(s, &plain, 1);
	ck_assert_uint_eq(store_counts(s)->events_changed, 1);
	test_commit(s, BASE_S, BASE_S + 50000, BASE_S + 90000, true);
	test_put(s, &plain, 1);
	test_commit(s, BASE_S, BASE_S + 50000, BASE_S + 90000, true);
	ck_assert_uint_eq(store_counts(s)->events_changed, 2);
	ck_assert_uint_eq(store_events(s), 1);
	store_close(s);
	expect_day("acme", BASE_S, "{\"id\":\"a\\u0062\",\"created\":\"2025-08-11T01:00:00Z\"}\n");
	test_event_free(&plain);
	test_event_free(&escaped);
}
END_TEST

static struct { unsigned mkdir, create, write, fsync, rename, unlink; } steps;

static int
count_step(const char *kind, int fd, const char *what)
{
	(void)fd;
	(void)what;
	steps.mkdir += strcmp(kind, "mkdir") == 0;
	steps.create += strcmp(kind, "create") == 0;
	steps.write += strcmp(kind, "write") == 0;
	steps.fsync += strcmp(kind, "fsync") == 0;
	steps.rename += strcmp(kind, "rename") == 0;
	steps.unlink += strcmp(kind, "unlink") == 0;
	return 0;
}

static void
count_from_here(void)
{
	memset(&steps, 0, sizeof(steps));
	file_step_hook = count_step;
}

/* What each kind of commit costs the disk; a change here is to be meant. */
START_TEST(no_needless_writing)
{
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);
	struct stat before, after;

	put_made(s, 1, BASE_S + 60, 0);
	test_commit(s, BASE_S, BASE_S + 100, BASE_S + 90000, true);
	ck_assert_int_eq(fstatat(place.fd, "acme/events/2025/2025-08-11.ndjson", &before, 0), 0);

	count_from_here(); /* nothing put, nothing read */
	test_commit(s, 0, 0, 0, true);
	ck_assert_uint_eq(steps.create + steps.write + steps.fsync + steps.rename + steps.unlink, 0);

	put_made(s, 1, BASE_S + 60, 0); /* nothing new: one ledger */
	test_commit(s, BASE_S, BASE_S + 200, BASE_S + 90000, true);
	ck_assert_uint_eq(steps.create, 1);
	ck_assert_uint_eq(steps.rename, 1);
	ck_assert_uint_eq(steps.fsync, 2);
	ck_assert_uint_eq(steps.unlink, 0);
	ck_assert_int_eq(fstatat(place.fd, "acme/events/2025/2025-08-11.ndjson", &after, 0), 0);
	ck_assert(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);

	count_from_here(); /* one new event: aside, ledger, rename, ledger */
	put_made(s, 2, BASE_S + 61, 0);
	test_commit(s, BASE_S, BASE_S + 200, BASE_S + 90000, true);
	ck_assert_uint_eq(steps.create, 3);
	ck_assert_uint_eq(steps.write, 3);
	ck_assert_uint_eq(steps.rename, 3);
	ck_assert_uint_eq(steps.fsync, 6);
	ck_assert_uint_eq(steps.unlink, 0);
	ck_assert_uint_eq(steps.mkdir, 0);

	count_from_here(); /* one that waits for its day: staging, ledger */
	put_made(s, 3, BASE_S + 62, 0);
	test_commit(s, BASE_S + 60, BASE_S + 300, BASE_S + 90000, false);
	ck_assert_uint_eq(steps.create, 2);
	ck_assert_uint_eq(steps.rename, 1);
	ck_assert_uint_eq(steps.fsync, 4);
	test_commit(s, 0, 0, 0, true);
	ck_assert_uint_eq(steps.unlink, 1);
	store_close(s);

	count_from_here(); /* opening after a clean end */
	s = test_open(&place, "acme", LEDGER_PLAIN);
	store_close(s);
	ck_assert_uint_eq(steps.create + steps.write + steps.fsync + steps.rename + steps.unlink, 0);
}
END_TEST

START_TEST(days_wait_until_they_are_read)
{
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);

	put_made(s, 1, BASE_S + DAY_S + 5, 0);
	put_made(s, 2, BASE_S + 40000, 0);
	test_commit(s, BASE_S + 40000, BASE_S + DAY_S + 10, BASE_S + 2 * DAY_S, false);
	ck_assert(!test_exists(&place, "acme/events"));
	ck_assert_uint_eq(store_ledger(s)->n_staging, 1);
	ck_assert_str_eq(store_ledger(s)->staging[0].file, "000001.ndjson");
	ck_assert(test_exists(&place, "acme/.staging/000001.ndjson"));
	ck_assert_uint_eq(store_uncommitted_bytes(s), 0);
	put_made(s, 3, BASE_S + 39999, 0);
	test_commit(s, BASE_S + 30000, BASE_S + 40000, BASE_S + 2 * DAY_S, false);
	ck_assert_uint_eq(store_ledger(s)->n_staging, 2);
	put_made(s, 4, BASE_S, 0);
	test_commit(s, BASE_S - 10, BASE_S + 30000, BASE_S + 2 * DAY_S, false);
	ck_assert_uint_eq(store_events(s), 3); /* the day is whole; the next one waits, and with it file 1 */
	ck_assert_uint_eq(store_ledger(s)->n_staging, 1);
	ck_assert(test_exists(&place, "acme/.staging/000001.ndjson"));
	ck_assert(!test_exists(&place, "acme/.staging/000002.ndjson"));
	ck_assert(!test_exists(&place, "acme/.staging/000003.ndjson"));
	store_close(s);
	s = test_open(&place, "acme", LEDGER_PLAIN); /* opening brings what waits to its end */
	ck_assert_uint_eq(store_events(s), 4);
	ck_assert_uint_eq(store_ledger(s)->n_staging, 0);
	ck_assert(!test_exists(&place, "acme/.staging/000001.ndjson"));
	store_close(s);
	expect_day("acme", BASE_S + DAY_S,
	           "{\"created\":\"2025-08-12T00:00:05Z\",\"id\":\"000000000000000000000001\",\"n\":1.50,\"pad\":\"0\"}\n");
}
END_TEST

START_TEST(memory_has_a_cap)
{
	struct store_options o = { .dirfd = place.fd, .name = "acme", .org_id = ORG_A,
		.pending_cap_bytes = 1500 };
	struct event ev;
	struct err e;
	struct store *s;
	int rc = 0;

	err_clear(&e);
	s = store_open(&o, &e);
	HOLDS(s != NULL, "%s", e.text);
	for (unsigned i = 0; i < 12; i++)
		put_made(s, i, BASE_S + 500 + i, 0);
	test_commit(s, BASE_S + 500, BASE_S + 600, BASE_S + 2 * DAY_S, false);
	ck_assert_uint_eq(store_events(s), 12); /* over the cap: merged, whole day or not */
	put_made(s, 12, BASE_S + 512, 0);
	test_commit(s, BASE_S + 500, BASE_S + 600, BASE_S + 2 * DAY_S, false);
	ck_assert_uint_eq(store_events(s), 12); /* under it: staged; the memory was given back */
	for (unsigned i = 0; i < 100 && rc == 0; i++) {
		ev = test_event(100 + i, BASE_S + 1000 + i, 0, 60);
		rc = store_put(s, &ev, 1, &e);
		test_event_free(&ev);
	}
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(e.code, ERR_NOMEM);
	store_close(s);

	/* What is told apart from it: from when on a commit merges, and from when on nothing more is taken. */
	o.memory_cap_bytes = 100000;
	err_clear(&e);
	s = store_open(&o, &e);
	HOLDS(s != NULL, "%s", e.text);
	rc = 0;
	for (unsigned i = 0; rc == 0; i++) {
		ck_assert_uint_lt(store_kept_bytes(s), 100000);
		ev = test_event(1000 + i, BASE_S + 5000 + i, 0, 60);
		rc = store_put(s, &ev, 1, &e);
		test_event_free(&ev);
	}
	ck_assert_uint_gt(store_kept_bytes(s), 90000);
	store_close(s);
	err_clear(&e);
	s = store_open(&o, &e);
	HOLDS(s != NULL, "%s", e.text);
	put_made(s, 3000, BASE_S + 7000, 0);
	ck_assert_uint_gt(store_kept_bytes(s), 50);
	test_commit(s, BASE_S + 7000, BASE_S + 7001, BASE_S + 2 * DAY_S, false);
	ck_assert_uint_gt(store_kept_bytes(s), 50); /* in staging, and waits for its day */
	test_commit(s, BASE_S + 7001, BASE_S + 7002, BASE_S + 2 * DAY_S, true);
	ck_assert_uint_eq(store_kept_bytes(s), 0);
	ck_assert_uint_eq(store_events(s), 14);
	store_close(s);

	o.memory_cap_bytes = 0;
	o.pending_cap_bytes = 10;
	err_clear(&e);
	s = store_open(&o, &e);
	HOLDS(s != NULL, "%s", e.text);
	ck_assert_uint_eq(store_events(s), 14);
	put_made(s, 500, BASE_S, 0); /* larger than the cap, and alone: taken */
	ev = test_event(501, BASE_S, 0, 1);
	ck_assert_int_eq(store_put(s, &ev, 1, &e), -1);
	test_event_free(&ev);
	store_close(s);
}
END_TEST

static void
expect_shell(const char *command, const char *day_file, const char *text)
{
	char line[400], got[2000];
	size_t len;
	FILE *f;

	snprintf(line, sizeof(line), "%s %s/acme/events/2025/%s", command, place.path, day_file);
	f = popen(line, "r");
	ck_assert_ptr_nonnull(f);
	len = fread(got, 1, sizeof(got) - 1, f);
	got[len] = '\0';
	ck_assert_int_eq(pclose(f), 0);
	ck_assert_str_eq(got, text);
}

#define LINE(n, second) "{\"created\":\"2025-08-11T00:00:0" second "Z\",\"id\":\"00000000000000000000000" n \
	"\",\"n\":" n ".50,\"pad\":\"0\"}\n"

START_TEST(suffixes_change)
{
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);
	struct buf b;

	buf_init(&b, 1 << 16);
	put_made(s, 1, BASE_S + 1, 0);
	test_commit(s, BASE_S, BASE_S + 100, BASE_S + 90000, true);
	store_close(s);
	s = test_open(&place, "acme", LEDGER_GZIP);
	test_commit(s, BASE_S, BASE_S + 200, BASE_S + 90000, true);
	ck_assert(test_exists(&place, "acme/events/2025/2025-08-11.ndjson")); /* until it must be written */
	put_made(s, 3, BASE_S + 3, 0);
	test_commit(s, BASE_S, BASE_S + 200, BASE_S + 90000, true);
	store_close(s);
	expect_shell("zcat", "2025-08-11.ndjson.gz", LINE("1", "1") LINE("3", "3"));
	test_read(&place, "acme/events/2025/2025-08-11.ndjson.gz", &b);
	ck_assert_int_eq(memcmp(b.data, "\x1f\x8b\x08\0\0\0\0\0", 8), 0); /* no time, no name */
	s = test_open(&place, "acme", LEDGER_ZSTD);
	put_made(s, 2, BASE_S + 2, 0);
	test_commit(s, BASE_S, BASE_S + 200, BASE_S + 90000, true);
	ck_assert_int_eq(store_ledger(s)->days[0].suffix, LEDGER_ZSTD);
	store_close(s);
	if (system("command -v zstdcat >/dev/null") == 0)
		expect_shell("zstdcat", "2025-08-11.ndjson.zst", LINE("1", "1") LINE("2", "2") LINE("3", "3"));
	expect_day("acme", BASE_S, LINE("1", "1") LINE("2", "2") LINE("3", "3")); /* and no other file */
	buf_free(&b);
}
END_TEST

/* Compressed members one after the other, as `cat a.gz b.gz` gives, read as their content does. */
START_TEST(many_members)
{
	static const char *const commands[] = { "gzip -c", "zstd -qc" };

	for (int i = 0; i < 2; i++) {
		enum ledger_suffix suffix = i == 0 ? LEDGER_GZIP : LEDGER_ZSTD;
		char line[900];
		struct buf b;

		if (i == 1 && system("command -v zstd >/dev/null") != 0)
			continue;
		snprintf(line, sizeof(line), "cd %s && mkdir -p m/events/2025 && for t in a bb ''; do echo \"$t\" | %s; "
		         "done > m/events/2025/2025-08-11%s", place.path, commands[i], ledger_suffix_text(suffix));
		ck_assert_int_eq(system(line), 0);
		buf_init(&b, 100);
		test_read_day(&place, "m", BASE_S, &b);
		ck_assert_ptr_nonnull(buf_str(&b));
		ck_assert_str_eq(b.data, "a\nbb\n\n");
		buf_free(&b);
		place_empty(&place);
	}
}
END_TEST

START_TEST(one_run_at_a_time)
{
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN), *reader;
	struct err e;
	int status;
	pid_t pid;

	expect_no_open("acme", ORG_A, ERR_LOCKED, "acme");
	reader = try_open("acme", ORG_A, true, &e);
	ck_assert_ptr_nonnull(reader);
	store_close(reader);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(try_open("acme", ORG_A, false, &e) == NULL && e.code == ERR_LOCKED ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	store_close(s);
	s = test_open(&place, "acme", LEDGER_PLAIN);
	store_close(s);
}
END_TEST

START_TEST(one_directory_an_organization)
{
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);
	struct err e;

	test_commit(s, BASE_S, BASE_S + 10, BASE_S + 90000, true);
	store_close(s);
	expect_no_open("acme", ORG_B, ERR_LEDGER, ORG_A);
	expect_no_open("globex", ORG_A, ERR_LEDGER, "kept in acme already");
	expect_no_open("globex", "32B6E34B3D91647ABB20E7B8", ERR_LEDGER, "kept in acme already");
	ck_assert(!test_exists(&place, "globex"));
	ck_assert_int_eq(renameat(place.fd, "acme", place.fd, "globex"), 0);
	s = try_open("globex", ORG_A, false, &e);
	HOLDS(s != NULL, "%s", e.text);
	ck_assert_uint_eq(store_ledger(s)->n_covered, 1);
	store_close(s);
	s = try_open("acme", ORG_B, false, &e); /* the old name is free for another */
	HOLDS(s != NULL, "%s", e.text);
	test_commit(s, BASE_S, BASE_S + 10, BASE_S + 90000, true);
	store_close(s);
	s = try_open("globex", ORG_A, false, &e);
	HOLDS(s != NULL, "%s", e.text);
	store_close(s);
	expect_no_open("initech", ORG_B, ERR_LEDGER, "kept in acme already");
	test_write(&place, ".orgsync/organizations/" ORG_B, "../../etc\n", 10); /* no name: as if it were not there */
	s = try_open("initech", ORG_B, false, &e);
	HOLDS(s != NULL, "%s", e.text);
	store_close(s);
}
END_TEST

START_TEST(names_that_are_none)
{
	static const char *const names[] = { "", ".", "..", ".x", "-x", "_x", "a/b", "a b", "a\n", "\xc3\xa4",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	static const char *const ids[] = { "", "32b6e34b3d91647abb20e7b", "32b6e34b3d91647abb20e7b88",
		"32b6e34b3d91647abb20e7bx", "../b6e34b3d91647abb20e7b8" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect_no_open(names[i], ORG_A, ERR_CONFIG, "name");
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		expect_no_open("acme", ids[i], ERR_CONFIG, "org_id");
	ck_assert(!test_exists(&place, "acme"));
}
END_TEST

/* Nothing of ours is followed out of the directory. */
START_TEST(links_are_not_followed)
{
	static const struct { const char *path, *target; } linked[] = {
		{ "acme", "aside" }, { "acme/.staging", "../aside" }, { "acme/events", "../aside" },
		{ "acme/events/2025", "../../aside" }, { "acme/quarantine", "../aside" },
		{ "acme/ledger.json", "../aside" }, { "acme/.lock", "../aside" }, { ".orgsync", "aside" },
		{ ".orgsync/organizations", "../aside" },
	};
	struct store_options o = { .dirfd = place.fd, .name = "acme", .org_id = ORG_A };

	for (size_t i = 0; i < sizeof(linked) / sizeof(linked[0]); i++) {
		struct event ev = test_event(1, BASE_S, 0, 1), next = test_event(2, BASE_S, 0, 1);
		struct covered c = { BASE_S, BASE_S + 9, BASE_S + 9, INT64_MAX, { NULL, 0, true } };
		struct store *s = test_open(&place, "acme", LEDGER_PLAIN);
		struct err e;
		int rc;

		test_put(s, &ev, 1);
		err_clear(&e);
		ck_assert_int_eq(store_quarantine(s, "x", 1, &e), 0);
		test_commit(s, BASE_S, BASE_S + 10, BASE_S + 90000, true);
		store_close(s);
		ck_assert_int_eq(renameat(place.fd, linked[i].path, place.fd, "aside"), 0);
		ck_assert_int_eq(symlinkat(linked[i].target, place.fd, linked[i].path), 0);
		s = store_open(&o, &e);
		rc = s == NULL || store_put(s, &next, 1, &e) != 0 || store_quarantine(s, "y", 1, &e) != 0 ||
		     store_commit(s, &c, 1, true, &e) != 0;
		HOLDS(rc == 1 && e.code == ERR_IO, "%s was followed (%s)", linked[i].path, e.text);
		store_close(s);
		test_event_free(&ev);
		test_event_free(&next);
		place_empty(&place);
	}
}
END_TEST

/* A day file that is not what its ledger says is neither believed nor overwritten. */
START_TEST(damaged_day_files)
{
	static const char *const how[] = { "byte", "cut", "gone", "longer", "unknown", "empty" };
	static const char knows_nothing[] = "{\"format\": 1, \"org_id\": \"" ORG_A "\", \"since\": null, \"covered\": [],"
		" \"staging\": [], \"becoming\": {}, \"days\": {}}";
	char path[80];
	struct buf b, after;

	buf_init(&b, 1 << 16);
	buf_init(&after, 1 << 16);
	for (int i = 0; i < 6 * 3; i++) {
		enum ledger_suffix suffix = (enum ledger_suffix)(i / 6);
		struct covered c = { BASE_S, BASE_S + 200, BASE_S + 90000, INT64_MAX, { NULL, 0, true } };
		struct store *s = test_open(&place, "acme", suffix);
		struct event ev = test_event(9, BASE_S + 9, 0, 1);
		struct err e;

		err_clear(&e);
		for (unsigned n = 1; n < 5; n++)
			put_made(s, n, BASE_S + n, 0);
		test_commit(s, BASE_S, BASE_S + 100, BASE_S + 90000, true);
		snprintf(path, sizeof(path), "acme/events/2025/2025-08-11%s", ledger_suffix_text(suffix));
		buf_reset(&b);
		test_read(&place, path, &b);
		if (i % 6 == 0)
			b.data[b.len / 2] ^= 4;
		else if (i % 6 == 1)
			b.len -= 9;
		else if (i % 6 == 3)
			ck_assert_int_eq(buf_append(&b, "{}\n", 3), 0);
		else if (i % 6 == 5)
			b.len = 0;
		ck_assert_int_eq(unlinkat(place.fd, path, 0), 0);
		if (i % 6 == 4)
			test_write(&place, "acme/ledger.json", knows_nothing, strlen(knows_nothing));
		if (i % 6 != 2)
			test_write(&place, path, b.data, b.len);
		store_close(s);
		s = test_open(&place, "acme", suffix);
		test_put(s, &ev, 1);
		HOLDS(store_commit(s, &c, 1, true, &e) == -1, "%s %s", how[i % 6], path);
		HOLDS(e.code == ERR_DAMAGE && strstr(e.text, path) != NULL && e.hint[0] != '\0', "%s %s: %s",
		      how[i % 6], path, e.text);
		store_close(s);
		ck_assert(test_exists(&place, path) == (i % 6 != 2));
		buf_reset(&after);
		if (i % 6 != 2)
			test_read(&place, path, &after);
		ck_assert(i % 6 == 2 || (after.len == b.len && memcmp(after.data, b.data, b.len) == 0));
		test_event_free(&ev);
		place_empty(&place);
	}
	buf_free(&b);
	buf_free(&after);
}
END_TEST

/* A file that is gone, or shorter, is noticed where its seconds are read again, even if nothing new came for it; not
 * where they are none of the run's. */
START_TEST(missing_day_files_are_noticed)
{
	static const char path[] = "acme/events/2025/2025-08-11.ndjson";
	struct covered here = { BASE_S + 50, BASE_S + 200, BASE_S + 90000, INT64_MAX, { NULL, 0, true } };
	struct covered later = { BASE_S + DAY_S, BASE_S + DAY_S + 9, BASE_S + 2 * DAY_S, INT64_MAX, { NULL, 0, true } };
	struct store *s;
	struct err e;

	for (int i = 0; i < 2; i++) {
		s = test_open(&place, "acme", LEDGER_PLAIN);
		put_made(s, 1, BASE_S, 0);
		test_commit(s, BASE_S, BASE_S + 100, BASE_S + 90000, true);
		if (i == 0)
			ck_assert_int_eq(unlinkat(place.fd, path, 0), 0);
		else
			test_write(&place, path, "x", 1);
		err_clear(&e);
		HOLDS(store_commit(s, &later, 1, true, &e) == 0, "%s", e.text);
		HOLDS(store_commit(s, &here, 1, true, &e) == -1 && e.code == ERR_DAMAGE, "%s", e.text);
		HOLDS(strstr(e.text, path) != NULL && strstr(e.hint, "--repair") != NULL, "%s; %s", e.text, e.hint);
		store_close(s);
		s = test_open(&place, "acme", LEDGER_PLAIN);
		ck_assert(!ledger_covers(store_ledger(s), BASE_S + 100, BASE_S + 101)); /* nothing was claimed */
		store_close(s);
		place_empty(&place);
	}
}
END_TEST

/* Day files with bytes changed, cut and moved: refused, or, where only the packing changed, read rightly. */
START_TEST(mangled_day_files)
{
	uint64_t seed = test_seed();
	unsigned refused = 0, n = 0;
	struct rng r;

	rng_seed(&r, seed);
	for (int i = 0; i < 900; i++) {
		enum ledger_suffix suffix = (enum ledger_suffix)(i % 3);
		struct covered c = { BASE_S, BASE_S + 100, BASE_S + 90000, INT64_MAX, { NULL, 0, true } };
		struct event ev = test_event(2, BASE_S + 2, 0, 1);
		struct store *s = test_open(&place, "acme", suffix);
		char path[80];
		struct buf b;
		struct err e;
		size_t at;

		err_clear(&e);
		buf_init(&b, 1 << 16);
		put_made(s, 1, BASE_S + 1, 0);
		put_made(s, 3, BASE_S + 3, 0);
		test_commit(s, BASE_S, BASE_S + 100, BASE_S + 90000, true);
		snprintf(path, sizeof(path), "acme/events/2025/2025-08-11%s", ledger_suffix_text(suffix));
		test_read(&place, path, &b);
		at = rng_below(&r, b.len);
		if (i % 5 == 0)
			b.len = at;
		else if (i % 5 == 1)
			memmove(b.data + at, b.data + at + 1, --b.len - at);
		else if (i % 5 == 2)
			b.data[at] ^= (char)(1 << rng_below(&r, 8));
		else
			b.data[at] = (char)rng_below(&r, 256);
		test_write(&place, path, b.data, b.len);
		test_put(s, &ev, 1);
		n++;
		if (store_commit(s, &c, 1, true, &e) == 0)
			expect_day("acme", BASE_S, LINE("1", "1") LINE("2", "2") LINE("3", "3"));
		else
			HOLDS(e.code == ERR_DAMAGE && ++refused, "%d: %s", i, e.text);
		store_close(s);
		test_event_free(&ev);
		buf_free(&b);
		place_empty(&place);
	}
	ck_assert_uint_gt(refused, n * 9 / 10);
}
END_TEST

static int
fail_first_rename_of_a_day(const char *kind, int fd, const char *what)
{
	(void)fd;
	return strcmp(kind, "rename") == 0 && strstr(what, "/events/") != NULL ? EIO : 0;
}

/* Leaves an archive whose ledger names staging and what a day file is about to become. */
static void
end_badly(void)
{
	struct covered c = { BASE_S, BASE_S + 100, BASE_S + 90000, INT64_MAX, { NULL, 0, true } };
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);
	struct err e;

	err_clear(&e);
	put_made(s, 1, BASE_S + 1, 0);
	ck_assert_int_eq(store_commit(s, &c, 1, false, &e), 0);
	file_step_hook = fail_first_rename_of_a_day;
	ck_assert_int_eq(store_commit(s, NULL, 0, true, &e), -1);
	file_step_hook = NULL;
	ck_assert_ptr_nonnull(strstr(e.text, "2025-08-11.ndjson"));
	store_close(s);
	ck_assert(test_exists(&place, "acme/.staging/000001.ndjson"));
	ck_assert(test_exists(&place, "acme/.staging/2025-08-11.ndjson.tmp"));
}

/* What is read and filed in one commit is never staged, so nothing is claimed before the day file stands. */
START_TEST(nothing_is_covered_before_its_day_stands)
{
	struct covered c = { BASE_S, BASE_S + 100, BASE_S + 90000, INT64_MAX, { NULL, 0, true } };
	struct store_options o = { .dirfd = place.fd, .name = "acme", .org_id = ORG_A, .read_only = true };
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);
	struct err e;

	err_clear(&e);
	put_made(s, 1, BASE_S + 1, 0);
	file_step_hook = fail_first_rename_of_a_day;
	ck_assert_int_eq(store_commit(s, &c, 1, true, &e), -1);
	file_step_hook = NULL;
	store_close(s);
	ck_assert(test_exists(&place, "acme/.staging/2025-08-11.ndjson.tmp"));
	err_clear(&e);
	s = store_open(&o, &e);
	HOLDS(s != NULL, "%s", e.text);
	ck_assert_uint_eq(store_ledger(s)->n_becoming, 1);
	ck_assert_uint_eq(store_ledger(s)->n_staging, 0);
	ck_assert(!ledger_covers(store_ledger(s), BASE_S + 1, BASE_S + 2));
	store_close(s);
	s = test_open(&place, "acme", LEDGER_PLAIN);
	ck_assert(!test_exists(&place, "acme/.staging/2025-08-11.ndjson.tmp"));
	ck_assert_uint_eq(store_events(s), 0);
	put_made(s, 1, BASE_S + 1, 0);
	ck_assert_int_eq(store_commit(s, &c, 1, true, &e), 0);
	ck_assert(ledger_covers(store_ledger(s), BASE_S, BASE_S + 100));
	store_close(s);
	expect_day("acme", BASE_S, LINE("1", "1"));
}
END_TEST

START_TEST(damaged_staging)
{
	struct buf b;
	struct store *s;

	buf_init(&b, 1 << 16);
	for (int i = 0; i < 4; i++) {
		end_badly();
		buf_reset(&b);
		test_read(&place, "acme/.staging/000001.ndjson", &b);
		if (i == 0)
			b.data[3] ^= 1;
		if (i == 1)
			b.len--;
		if (i == 3) /* what follows does not count */
			ck_assert_int_eq(buf_append(&b, "{\"x", 3), 0);
		test_write(&place, "acme/.staging/000001.ndjson", b.data, b.len);
		if (i == 2)
			ck_assert_int_eq(unlinkat(place.fd, "acme/.staging/000001.ndjson", 0), 0);
		if (i < 3) {
			expect_no_open("acme", ORG_A, ERR_DAMAGE, "acme/.staging/000001.ndjson");
			ck_assert(test_exists(&place, "acme/.staging/000001.ndjson") == (i != 2));
		} else {
			s = test_open(&place, "acme", LEDGER_PLAIN);
			ck_assert_uint_eq(store_events(s), 1);
			ck_assert_uint_eq(store_counts(s)->events_new, 1);
			store_close(s);
			expect_day("acme", BASE_S, LINE("1", "1"));
		}
		place_empty(&place);
	}
	buf_free(&b);
}
END_TEST

START_TEST(leftovers_go)
{
	struct store *s;

	end_badly();
	test_write(&place, "acme/events/2025/2025-08-10.ndjson.zst.tmp", "x", 1);
	test_write(&place, "acme/.staging/000007.ndjson", "{\"half", 6);
	test_write(&place, "acme/ledger.json.tmp", "{", 1);
	s = test_open(&place, "acme", LEDGER_GZIP); /* with another suffix than the one that ended badly */
	ck_assert(!test_exists(&place, "acme/events/2025/2025-08-10.ndjson.zst.tmp"));
	ck_assert(!test_exists(&place, "acme/.staging/2025-08-11.ndjson.tmp"));
	ck_assert(!test_exists(&place, "acme/.staging/000007.ndjson"));
	ck_assert(!test_exists(&place, "acme/ledger.json.tmp"));
	store_close(s);
	expect_day("acme", BASE_S, LINE("1", "1"));
	ck_assert(test_exists(&place, "acme/events/2025/2025-08-11.ndjson.gz"));
}
END_TEST

START_TEST(reading_changes_nothing)
{
	struct covered c = { BASE_S, BASE_S + 100, BASE_S + 90000, INT64_MAX, { NULL, 0, true } };
	uint64_t n = 5;
	struct err e;
	struct store *s = try_open("acme", ORG_A, true, &e);

	HOLDS(s != NULL, "%s", e.text);
	ck_assert(!test_exists(&place, "acme") && !test_exists(&place, ".orgsync"));
	ck_assert_str_eq(store_ledger(s)->org_id, ORG_A);
	ck_assert(store_ledger(s)->since_s == -1);
	ck_assert_int_eq(store_quarantine_count(s, &n, &e), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(store_verify(s, NULL, NULL, &e), 0);
	store_close(s);
	end_badly();
	count_from_here();
	s = try_open("acme", ORG_A, true, &e);
	HOLDS(s != NULL, "%s", e.text);
	ck_assert_uint_eq(store_ledger(s)->n_becoming, 1);
	ck_assert_int_eq(store_commit(s, &c, 1, true, &e), -1);
	err_clear(&e);
	ck_assert_int_eq(store_set_since(s, 5, &e), -1);
	err_clear(&e);
	ck_assert_int_eq(store_quarantine(s, "x", 1, &e), -1);
	ck_assert_uint_eq(steps.create + steps.mkdir + steps.unlink + steps.rename, 0);
	store_close(s);
	s = try_open("acme", ORG_B, true, &e);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(e.code, ERR_LEDGER);
}
END_TEST

/* What cannot be filed is taken without touching the disk, and is durable, once, when the commit is. */
START_TEST(quarantine_keeps_once)
{
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);
	struct buf b;
	struct err e;
	uint64_t n = 0;

	err_clear(&e);
	buf_init(&b, 100);
	count_from_here();
	ck_assert_int_eq(store_quarantine(s, "abc", 3, &e), 0);
	ck_assert_int_eq(store_quarantine(s, "abc", 3, &e), 0);
	ck_assert_int_eq(store_quarantine(s, "ab\xff\n", 4, &e), 0);
	ck_assert_uint_eq(steps.create + steps.fsync, 0);
	ck_assert_uint_ge(store_uncommitted_bytes(s), 10);
	ck_assert_uint_ge(store_kept_bytes(s), 10);
	ck_assert_int_eq(store_commit(s, NULL, 0, false, &e), 0);
	ck_assert_uint_eq(store_counts(s)->quarantined, 2);
	ck_assert_uint_eq(store_kept_bytes(s), 0);
	ck_assert_uint_eq(steps.create, 2);
	ck_assert_uint_eq(steps.fsync, 4); /* the two, their directory, and the one that it was made in */
	store_close(s);
	s = test_open(&place, "acme", LEDGER_PLAIN);
	ck_assert_int_eq(store_quarantine(s, "abc", 3, &e), 0);
	ck_assert_int_eq(store_commit(s, NULL, 0, false, &e), 0);
	ck_assert_uint_eq(store_counts(s)->quarantined, 0);
	test_write(&place, "acme/quarantine/readme", "x", 1);
	ck_assert_int_eq(store_quarantine_count(s, &n, &e), 0);
	ck_assert_uint_eq(n, 2);
	test_read(&place, "acme/quarantine/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.json", &b);
	ck_assert(b.len == 3 && memcmp(b.data, "abc", 3) == 0);
	store_close(s);
	buf_free(&b);
}
END_TEST

static void
check_modes(const char *path)
{
	struct buf tree;
	char line[500];

	buf_init(&tree, 1 << 16);
	snprintf(line, sizeof(line), "test -z \"$(find %s/%s -type f ! -perm 0600 -o -type d ! -perm 0700)\"",
	         place.path, path);
	ck_assert_int_eq(system(line), 0);
	buf_free(&tree);
}

START_TEST(nobody_else_reads)
{
	mode_t old = umask(0);
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);
	struct err e;

	err_clear(&e);
	put_made(s, 1, BASE_S, 0);
	test_commit(s, BASE_S, BASE_S + 10, BASE_S + 90000, true);
	put_made(s, 2, BASE_S + 20, 0);
	ck_assert_int_eq(store_quarantine(s, "x", 1, &e), 0);
	test_commit(s, BASE_S + 15, BASE_S + 30, BASE_S + 90000, false);
	check_modes("acme");
	check_modes(".orgsync");
	store_close(s);
	umask(old);
}
END_TEST

START_TEST(since_stays)
{
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);
	struct err e;

	err_clear(&e);
	ck_assert_int_eq(store_set_since(s, BASE_S + 7, &e), 0);
	store_close(s);
	s = test_open(&place, "acme", LEDGER_PLAIN);
	ck_assert(store_ledger(s)->since_s == BASE_S + 7);
	count_from_here();
	ck_assert_int_eq(store_set_since(s, BASE_S + 7, &e), 0);
	ck_assert_uint_eq(steps.create, 0);
	store_close(s);
}
END_TEST

START_TEST(ledgers_that_cannot_be_trusted)
{
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);
	struct event ev = { "{\n}", 3, "a", 1, BASE_S * NS_PER_S };
	struct err e;

	err_clear(&e);
	ck_assert_int_eq(store_put(s, &ev, 1, &e), -1); /* no line of NDJSON */
	store_close(s);
	test_write(&place, "acme/ledger.json", "", 0);
	expect_no_open("acme", ORG_A, ERR_LEDGER, "acme/ledger.json: damaged");
	test_write(&place, "acme/ledger.json", "{\"format\": 7}", 13);
	expect_no_open("acme", ORG_A, ERR_LEDGER, "newer");
	ck_assert_int_eq(unlinkat(place.fd, "acme/ledger.json", 0), 0);
	/* What a first run that was ended left aside nobody had to know; day files somebody had. */
	ck_assert_int_eq(mkdirat(place.fd, "acme/events", 0700), 0);
	ck_assert_int_eq(mkdirat(place.fd, "acme/events/2025", 0700), 0);
	test_write(&place, "acme/events/2025/2025-08-11.ndjson.tmp", "x", 1);
	store_close(test_open(&place, "acme", LEDGER_PLAIN));
	test_write(&place, "acme/events/2025/2025-08-11.ndjson", "x", 1);
	expect_no_open("acme", ORG_A, ERR_LEDGER, "it is not there, but day files are");
	ck_assert_int_eq(mkdirat(place.fd, "acme/ledger.json", 0700), 0);
	expect_no_open("acme", ORG_A, ERR_IO, "no regular file");
}
END_TEST

/* Verify ------------------------------------------------------------------------------------------- */

static struct buf findings;

static void
note(void *ctx, const struct store_finding *f)
{
	(void)ctx;
	ck_assert_int_eq(buf_printf(&findings, "%s: %s\n", f->path == NULL ? "(range)" : f->path, f->text), 0);
}

static const char *
verify(int expected)
{
	struct err e;
	struct store *s = try_open("acme", ORG_A, true, &e);
	int n;

	HOLDS(s != NULL, "%s", e.text);
	buf_free(&findings);
	buf_init(&findings, 1 << 20);
	n = store_verify(s, note, NULL, &e);
	store_close(s);
	HOLDS(n == expected, "%d findings: %s %s", n, buf_str(&findings), e.text);
	return buf_str(&findings);
}

/* An archive whose one day file holds `lines` and whose ledger says just that. */
static void
make_day(const char *lines, unsigned events)
{
	static const char head[] = "{\"format\": 1, \"org_id\": \"" ORG_A "\", \"since\": null, \"covered\": [],"
		" \"staging\": [], \"becoming\": {}, \"days\": {\"2025-08-11\": {\"suffix\": \".ndjson\", \"events\": %u,"
		" \"bytes\": %zu, \"first\": \"2025-08-11T00:00:01Z\", \"last\": \"2025-08-11T00:00:02Z\","
		" \"sha256\": \"";
	struct store *s;
	unsigned char sha256[32];
	char text[2000];
	size_t len;

	place_empty(&place);
	s = test_open(&place, "acme", LEDGER_PLAIN);
	put_made(s, 1, BASE_S, 0);
	test_commit(s, BASE_S, BASE_S + 10, BASE_S + 90000, true);
	store_close(s);
	ck_assert_int_eq(sha256_of(lines, strlen(lines), sha256), 0);
	len = (size_t)snprintf(text, sizeof(text), head, events, strlen(lines));
	for (int i = 0; i < 32; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%02x", sha256[i]);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "\"}}}");
	test_write(&place, "acme/ledger.json", text, len);
	test_write(&place, "acme/events/2025/2025-08-11.ndjson", lines, strlen(lines));
}

START_TEST(verify_reads_every_line)
{
	static const char day[] = "events/2025/2025-08-11.ndjson: ";

	make_day(LINE("1", "1") LINE("2", "2"), 2);
	verify(0);
	make_day(LINE("1", "1") LINE("2", "2"), 3);
	HOLDS(strstr(verify(1), "its 2 events in") != NULL, "%s", findings.data);
	make_day(LINE("2", "2") LINE("1", "1") , 2);
	HOLDS(strstr(verify(2), "line 2 is out of order") != NULL, "%s", findings.data);
	make_day(LINE("1", "1") LINE("1", "1") LINE("2", "2"), 3);
	HOLDS(strstr(verify(2), "an id stands twice") != NULL, "%s", findings.data);
	make_day(LINE("1", "1") LINE("1", "2"), 2);
	HOLDS(strstr(verify(1), "an id stands twice") != NULL, "%s", findings.data);
	make_day(LINE("1", "1") "{}\n" LINE("2", "2"), 3);
	HOLDS(strstr(verify(1), "line 2 is no event") != NULL, "%s", findings.data);
	make_day(LINE("1", "1") LINE("2", "3"), 2);
	HOLDS(strstr(verify(1), "its first or last event") != NULL, "%s", findings.data);
	make_day(LINE("1", "1") "{\"id\":\"x\",\"created\":\"2025-08-12T00:00:00Z\"}\n", 2);
	HOLDS(strstr(verify(2), "line 2 is of another day") != NULL, "%s", findings.data);
	make_day(LINE("1", "1") "{\"id\":\"x\"", 2);
	HOLDS(strstr(verify(1), "its last line has no end") != NULL, "%s", findings.data);
	HOLDS(strncmp(findings.data, day, strlen(day)) == 0, "%s", findings.data);
	buf_free(&findings);
}
END_TEST

START_TEST(verify_names_what_is_wrong)
{
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);

	put_made(s, 1, BASE_S + 1, 0);
	put_made(s, 2, BASE_S - DAY_S, 0);
	test_commit(s, BASE_S - DAY_S, BASE_S + 100, BASE_S + 90000, true);
	test_commit(s, BASE_S + 150, BASE_S + 200, BASE_S + 90000, true);
	store_close(s);
	HOLDS(strcmp(verify(1), "(range): not read, between ranges that were: the next sync reads it\n") == 0, "%s",
	      findings.data);
	s = test_open(&place, "acme", LEDGER_PLAIN);
	test_commit(s, BASE_S + 100, BASE_S + 150, BASE_S + 90000, true);
	store_close(s);
	verify(0);
	test_write(&place, "acme/events/2025/2025-08-11.ndjson.gz", "x", 1);
	test_write(&place, "acme/events/2025/2025-08-12.ndjson", "x", 1);
	test_write(&place, "acme/events/2025/2025-08-12.ndjson.tmp", "x", 1);
	test_write(&place, "acme/events/notes", "x", 1);
	HOLDS(strstr(verify(4), "events/2025/2025-08-11.ndjson.gz: the ledger does not know it") != NULL, "%s",
	      findings.data);
	HOLDS(strstr(findings.data, "events/2025/2025-08-12.ndjson: ") != NULL, "%s", findings.data);
	HOLDS(strstr(findings.data, "events/2025/2025-08-12.ndjson.tmp: ") != NULL, "%s", findings.data);
	HOLDS(strstr(findings.data, "events/notes: ") != NULL, "%s", findings.data);
	ck_assert_int_eq(unlinkat(place.fd, "acme/events/2025/2025-08-11.ndjson", 0), 0);
	HOLDS(strstr(verify(5), "events/2025/2025-08-11.ndjson: the ledger names it, and it is not there") != NULL,
	      "%s", findings.data);
	place_empty(&place);
	end_badly();
	verify(0); /* it can all be repaired */
	test_write(&place, "acme/.staging/000001.ndjson", "x", 1);
	HOLDS(strstr(verify(1), "staging/000001.ndjson: damaged: it is shorter") != NULL, "%s", findings.data);
	buf_free(&findings);
}
END_TEST

static unsigned verified;

static int
verify_here(const char *kind, int fd, const char *what)
{
	struct err e;
	struct store *s;
	int n;

	(void)kind;
	(void)fd;
	file_step_hook = NULL;
	s = try_open("acme", ORG_A, true, &e);
	HOLDS(s != NULL, "%s", e.text);
	n = store_verify(s, note, NULL, &e);
	HOLDS(n == 0, "before %s of %s: %d findings: %s", kind, what, n, buf_str(&findings));
	store_close(s);
	verified++;
	file_step_hook = verify_here;
	return 0;
}

/* Whoever looks while a run writes sees nothing wrong, whatever the moment. */
START_TEST(verify_beside_a_run)
{
	struct store *s = test_open(&place, "acme", LEDGER_PLAIN);

	buf_init(&findings, 1 << 20);
	for (unsigned i = 1; i < 4; i++) {
		put_made(s, i, BASE_S + i, 0);
		put_made(s, i + 10, BASE_S - i, 0);
		file_step_hook = verify_here;
		test_commit(s, BASE_S - DAY_S, BASE_S + 100, BASE_S + 90000, i == 3);
		file_step_hook = NULL;
		if (i == 1) {
			store_close(s);
			s = test_open(&place, "acme", LEDGER_ZSTD);
		}
	}
	ck_assert_uint_gt(verified, 40);
	store_close(s);
	buf_free(&findings);
}
END_TEST

/* Random commits against sorting all events at once ------------------------------------------------ */

#define POOL 60
#define CASES 250

static int
by_archive(const void *a, const void *b)
{
	return event_compare(a, b);
}

static void
random_case(struct rng *r, uint64_t which)
{
	struct event pool[POOL], filed[POOL];
	size_t n_filed = 0;
	struct store *s = NULL;
	struct buf expected, got;
	struct err e;

	buf_init(&expected, 1 << 20);
	buf_init(&got, 1 << 20);
	for (unsigned i = 0; i < POOL; i++)
		pool[i] = test_event((unsigned)rng_below(r, 1000) * 100 + i, BASE_S - 50 + (int64_t)rng_below(r, 100),
		                     rng_below(r, 2) ? 0 : (unsigned)rng_below(r, 1000), 1 + (unsigned)rng_below(r, 50));
	for (unsigned round = 0; round < 6; round++) {
		struct covered c = { BASE_S - DAY_S, BASE_S + DAY_S, BASE_S + DAY_S, INT64_MAX, { NULL, 0, true } };

		if (s == NULL)
			s = test_open(&place, "acme", (enum ledger_suffix)rng_below(r, 3));
		for (uint64_t k = rng_below(r, 30); k > 0; k--) {
			struct event ev = pool[rng_below(r, POOL)];
			size_t i = 0;

			test_put(s, &ev, 1);
			while (i < n_filed && filed[i].id != ev.id)
				i++;
			if (i == n_filed)
				filed[n_filed++] = ev;
		}
		if (rng_below(r, 3) == 0)
			c.from_s = BASE_S - 50;
		HOLDS(store_commit(s, &c, rng_below(r, 2), round == 5 || rng_below(r, 2) == 0, &e) == 0, "%s", e.text);
		if (rng_below(r, 3) == 0) {
			store_close(s);
			s = NULL;
		}
	}
	if (s == NULL)
		s = test_open(&place, "acme", LEDGER_PLAIN);
	HOLDS(store_events(s) == n_filed, "case %" PRIu64 ": %" PRIu64 " events of %zu", which,
	      store_events(s), n_filed);
	store_close(s);
	qsort(filed, n_filed, sizeof(filed[0]), by_archive);
	for (size_t i = 0; i < n_filed; i++)
		HOLDS(buf_append(&expected, filed[i].bytes, filed[i].len) == 0 &&
		      buf_append_str(&expected, "\n") == 0, "memory");
	test_read_day(&place, "acme", BASE_S - DAY_S, &got);
	test_read_day(&place, "acme", BASE_S, &got);
	HOLDS(got.len == expected.len && (got.len == 0 || memcmp(got.data, expected.data, got.len) == 0),
	      "case %" PRIu64, which);
	for (unsigned i = 0; i < POOL; i++)
		test_event_free(&pool[i]);
	buf_free(&expected);
	buf_free(&got);
	place_empty(&place);
}

START_TEST(random_commits)
{
	uint64_t seed = test_seed();
	struct rng r;

	for (uint64_t i = 0; i < CASES; i++) {
		rng_seed(&r, seed + i);
		random_case(&r, i);
	}
}
END_TEST

/* Lines and files around every buffer's size, in each suffix. */
START_TEST(large_days)
{
	static const unsigned pads[] = { 1, 4095, 65400, 131000, 131072, 200000, 400000 };
	struct event ev[40];
	char *json = malloc(500000);

	ck_assert_ptr_nonnull(json);
	for (int suffix = LEDGER_PLAIN; suffix <= LEDGER_ZSTD; suffix++) {
		struct store *s = test_open(&place, "acme", (enum ledger_suffix)suffix);
		struct buf expected, got;

		buf_init(&expected, 1 << 25);
		buf_init(&got, 1 << 25);
		for (unsigned i = 0; i < 40; i++) {
			snprintf(json, 500000, "{\"id\":\"%02u\",\"created\":\"2025-08-11T00:00:%02uZ\",\"p\":\"%0*x\"}", i, i,
			         (int)pads[i % 7], i * 7919);
			ev[i] = test_event_of(json);
			HOLDS(buf_append_str(&expected, json) == 0 && buf_append_str(&expected, "\n") == 0, "memory");
		}
		for (int part = 0; part < 3; part++) {
			for (int i = 39 - part; i >= 0; i -= 3)
				test_put(s, &ev[i], 1);
			test_commit(s, BASE_S, BASE_S + 100, BASE_S + 90000, true);
		}
		store_close(s);
		test_read_day(&place, "acme", BASE_S, &got);
		ck_assert_uint_eq(got.len, expected.len);
		ck_assert_int_eq(memcmp(got.data, expected.data, got.len), 0);
		verify(0);
		for (unsigned i = 0; i < 40; i++)
			test_event_free(&ev[i]);
		buf_free(&expected);
		buf_free(&got);
		place_empty(&place);
	}
	buf_free(&findings);
	free(json);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("store");
	TCase *t = tcase_create("store");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_first_run);
	tcase_add_test(t, the_first_copy_stays);
	tcase_add_test(t, an_id_with_escapes);
	tcase_add_test(t, no_needless_writing);
	tcase_add_test(t, days_wait_until_they_are_read);
	tcase_add_test(t, memory_has_a_cap);
	tcase_add_test(t, suffixes_change);
	tcase_add_test(t, many_members);
	tcase_add_test(t, one_run_at_a_time);
	tcase_add_test(t, one_directory_an_organization);
	tcase_add_test(t, names_that_are_none);
	tcase_add_test(t, links_are_not_followed);
	tcase_add_test(t, damaged_day_files);
	tcase_add_test(t, missing_day_files_are_noticed);
	tcase_add_test(t, mangled_day_files);
	tcase_add_test(t, nothing_is_covered_before_its_day_stands);
	tcase_add_test(t, damaged_staging);
	tcase_add_test(t, leftovers_go);
	tcase_add_test(t, reading_changes_nothing);
	tcase_add_test(t, quarantine_keeps_once);
	tcase_add_test(t, nobody_else_reads);
	tcase_add_test(t, since_stays);
	tcase_add_test(t, ledgers_that_cannot_be_trusted);
	tcase_add_test(t, verify_reads_every_line);
	tcase_add_test(t, verify_names_what_is_wrong);
	tcase_add_test(t, verify_beside_a_run);
	tcase_add_test(t, random_commits);
	tcase_add_test(t, large_days);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
