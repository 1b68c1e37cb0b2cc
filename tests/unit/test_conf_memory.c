/* The n-th allocation fails, for every n: no description comes of it, nothing leaks, nothing crashes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cases.h"
#include "tests/support/short_memory.h"
#include "tests/unit/conf_support.h"

/* Loads, shows and reads a secret with the n-th allocation failing; true once n is past the last. */
static bool
survives(const char *path, bool sound, long n)
{
	struct conf_findings f;
	struct conf *conf;
	struct buf b;
	struct err e;
	bool all, blamed;

	short_memory_after = n;
	conf = conf_load(path, NOW_S, &f);
	blamed = f.n_errors > 0;
	if (short_memory_after == -1)
		ck_assert_ptr_null(conf);
	buf_init(&b, 1 << 20);
	if (conf != NULL && conf_show(conf, &b) != 0)
		ck_assert_int_eq(short_memory_after, -1);
	buf_wipe(&b);
	buf_init(&b, CONF_SECRET_MAX);
	err_clear(&e);
	if (conf != NULL && conf_secret_read(&conf->orgs[1].client_secret, &b, &e) != 0)
		ck_assert_int_eq(e.code, ERR_NOMEM);
	buf_wipe(&b);
	all = short_memory_after > 0;
	short_memory_after = -1; /* from here on check has memory to complain */
	ck_assert(!sound || !blamed); /* lack of memory is no mistake in the configuration */
	conf_free(conf);
	conf_findings_free(&f);
	return all;
}

START_TEST(test_every_allocation)
{
	static char orgs[20000];
	size_t len;
	long n = 0;

	len = (size_t)sprintf(orgs, "organizations:\n");
	for (int i = 0; i < 130; i++)
		len += (size_t)sprintf(orgs + len, "  - {name: o%d, org_id: %024d, public_key: k, private_key: s}\n",
		                       i, i);
	dir_put("more/a.yaml", orgs);
	dir_put("c.yaml", HEAD "include: [more/*.yaml]\ndefaults: {settle: 1m}\norganizations:\n" ORG_A "}\n"
	        "  - {name: b, org_id: 32b6e34b3d91647abb20e7b9, client_id: i, client_secret:\n"
	        "      {command: [echo, x]}, tags: [a, b], backfill_start_time: 2099-01-01T00:00:00Z}\n");
	while (!survives(dir_file("c.yaml"), true, n))
		n++;
	test_cases_played("an allocation fails", (size_t)n);
	ck_assert_int_gt(n, 30);
	/* The same where there are findings to be kept. */
	dir_put("c.yaml", HEAD "zzz: 1\norganizations:\n" ORG_A ", yyy: 1}\n" ORG_A "}\n");
	n = 0;
	while (!survives(dir_file("c.yaml"), false, n))
		n++;
	ck_assert_int_gt(n, 10);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_memory");
	TCase *tc = tcase_create("memory");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, NULL, dir_remove);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_every_allocation);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
