/* conf_select(): names, globs, tags, excludes; slips are errors with a suggestion. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/conf.h"
#include "lib/conf/suggest.h"

static char *eu_prod[] = { (char *)"eu", (char *)"prod", NULL };
static char *us_prod[] = { (char *)"us", (char *)"prod", NULL };
static char *eu_test[] = { (char *)"eu", (char *)"test", NULL };
static char *old[] = { (char *)"old", NULL };

static struct conf_org orgs[] = {
	{ .name = (char *)"acme", .tags = eu_prod, .n_tags = 2 },
	{ .name = (char *)"Acme-US", .tags = us_prod, .n_tags = 2 },
	{ .name = (char *)"globex", .tags = eu_test, .n_tags = 2 },
	{ .name = (char *)"initech" },
	{ .name = (char *)"gone", .tags = old, .n_tags = 1, .disabled = (char *)"contract ended" },
	{ .name = (char *)"acme-old", .tags = eu_prod, .n_tags = 2, .disabled = (char *)"disabled" },
};
static const struct conf conf = { .orgs = orgs, .n_orgs = 6 };

/* Splits "a,b" into words. */
static size_t
words(char *text, const char **ret)
{
	size_t n = 0;

	for (char *word = strtok(text, ","); word != NULL; word = strtok(NULL, ","))
		ret[n++] = word;
	return n;
}

static int
choose(const char *patterns, const char *tags, const char *excludes, char *ret_names, struct err *e)
{
	const struct conf_org *chosen[6];
	char copies[3][200];
	const char *lists[3][20];
	struct conf_selection s = { 0 };
	size_t n = 99;
	int result;

	snprintf(copies[0], 200, "%s", patterns);
	snprintf(copies[1], 200, "%s", tags);
	snprintf(copies[2], 200, "%s", excludes);
	s.patterns = lists[0];
	s.n_patterns = words(copies[0], lists[0]);
	s.tags = lists[1];
	s.n_tags = words(copies[1], lists[1]);
	s.excludes = lists[2];
	s.n_excludes = words(copies[2], lists[2]);
	err_clear(e);
	result = conf_select(&conf, &s, chosen, &n, e);
	ret_names[0] = '\0';
	if (result != 0) {
		ck_assert_uint_eq(n, 99);
		return result;
	}
	for (size_t i = 0; i < n; i++)
		sprintf(ret_names + strlen(ret_names), "%s%s", i == 0 ? "" : ",", chosen[i]->name);
	return 0;
}

START_TEST(test_chosen)
{
	static const struct { const char *patterns, *tags, *excludes, *names; } cases[] = {
		{ "", "", "", "acme,Acme-US,globex,initech" },
		{ "acme", "", "", "acme" },
		{ "ACME", "", "", "acme" },
		{ "acme*", "", "", "acme,Acme-US" },
		{ "globex,acme,globex", "", "", "acme,globex" },
		{ "[ag]*", "", "", "acme,Acme-US,globex" },
		{ "?????x", "", "", "globex" },
		{ "*", "", "", "acme,Acme-US,globex,initech" },
		{ "", "eu", "", "acme,globex" },
		{ "", "eu+prod", "", "acme" },
		{ "", "prod+eu", "", "acme" },
		{ "", "us,test", "", "Acme-US,globex" },
		{ "acme*", "prod", "*-us", "acme" },
		{ "", "", "acme*", "globex,initech" },
		{ "", "prod", "globex", "acme,Acme-US" },
		{ "", "", "gone", "acme,Acme-US,globex,initech" },
	};
	char names[300];
	struct err e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert_msg(choose(cases[i].patterns, cases[i].tags, cases[i].excludes, names, &e) == 0,
		              "%zu: %s", i, e.text);
		ck_assert_str_eq(names, cases[i].names);
	}
}
END_TEST

START_TEST(test_refused)
{
	static const struct { const char *patterns, *tags, *excludes, *text, *hint; } cases[] = {
		{ "acmee", "", "", "organization \"acmee\" matches no organization", "did you mean acme?" },
		{ "init", "", "", "organization \"init\" matches no organization", "did you mean initech?" },
		{ "acme,zzz*", "", "", "organization \"zzz*\" matches no organization", "" },
		{ "gone", "", "", "organization \"gone\" matches only disabled organizations",
		  "gone is disabled: contract ended" },
		{ "*old", "", "", "organization \"*old\" matches only disabled organizations",
		  "acme-old is disabled: disabled" },
		{ "", "prd", "", "tag \"prd\" matches no organization", "did you mean prod in place of prd?" },
		{ "", "eu+prrod", "", "tag \"eu+prrod\" matches no organization",
		  "did you mean prod in place of prrod?" },
		{ "", "nonsense", "", "tag \"nonsense\" matches no organization",
		  "no organization has the tag nonsense" },
		{ "", "us+test", "", "tag \"us+test\" matches no organization", "" },
		{ "", "EU", "", "tag \"EU\" matches no organization", "did you mean eu in place of EU?" },
		{ "", "old", "", "tag \"old\" matches only disabled organizations",
		  "gone is disabled: contract ended" },
		{ "", "eu+", "", "tag \"eu+\" is not tags joined by '+'", "" },
		{ "", "+", "", "tag \"+\" is not tags joined by '+'", "" },
		{ "", "eu++prod", "", "tag \"eu++prod\" is not tags joined by '+'", "" },
		{ "", "", "globix", "exclude \"globix\" matches no organization", "did you mean globex?" },
		{ "acme", "us", "", "names, tags and excludes together leave no organization", "" },
		{ "acme", "", "acme", "names, tags and excludes together leave no organization", "" },
	};
	char names[300];
	struct err e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		ck_assert_int_eq(choose(cases[i].patterns, cases[i].tags, cases[i].excludes, names, &e), -1);
		ck_assert_int_eq(e.code, ERR_USAGE);
		ck_assert_str_eq(e.text, cases[i].text);
		ck_assert_str_eq(e.hint, cases[i].hint);
	}
}
END_TEST

/* No name, no tag and nothing enabled is no mistake of the command line's. */
START_TEST(test_all_disabled)
{
	const struct conf disabled = { .orgs = orgs + 4, .n_orgs = 2 };
	const struct conf_selection all = { 0 };
	const struct conf_org *chosen[2];
	struct err e;
	size_t n = 99;

	err_clear(&e);
	ck_assert_int_eq(conf_select(&disabled, &all, chosen, &n, &e), 0);
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(test_suggestions)
{
	static const struct { const char *typed, *known; int distance; } cases[] = {
		{ "org_id", "org_id", 0 }, { "orgId", "org_id", 0 }, { "ORG-ID", "org_id", 0 },
		{ "naem", "name", 1 }, { "nam", "name", 1 }, { "nmae", "name", 1 }, { "mnea", "name", -1 },
		{ "directry", "directory", 1 }, { "dirctry", "directory", 2 }, { "compress", "compression", 3 },
		{ "co", "compression", -1 }, { "ab", "tags", -1 }, { "", "tags", -1 }, { "-", "tags", -1 },
		{ "a", "b", -1 }, { "settle", "overlap", -1 }, { "ac", "ab", 1 },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789", "tags", -1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		ck_assert_msg(suggest_distance(cases[i].typed, strlen(cases[i].typed), cases[i].known) ==
		              cases[i].distance, "%s: %d", cases[i].typed,
		              suggest_distance(cases[i].typed, strlen(cases[i].typed), cases[i].known));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_select");
	TCase *tc = tcase_create("select");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, test_chosen);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_all_disabled);
	tcase_add_test(tc, test_suggestions);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
