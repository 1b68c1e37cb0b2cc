/* test_store.c: what lands on disk, what is refused, and what a failing disk does. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/isotime.h"
#include "lib/base/rng.h"
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
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
