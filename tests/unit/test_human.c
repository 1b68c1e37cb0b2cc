#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/orgsync/human.h"

START_TEST(numbers)
{
	static const struct { uint64_t number; const char *text; } table[] = {
		{ 0, "0" },          { 7, "7" },
		{ 999, "999" },      { 1000, "1,000" },
		{ 45120, "45,120" }, { 999999, "999,999" },
		{ 1000000, "1,000,000" }, { UINT64_MAX, "18,446,744,073,709,551,615" },
	};
	char out[HUMAN_LEN];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_str_eq(human_number(table[i].number, out), table[i].text);
	ck_assert_str_eq(human_count(1, "organization", out), "1 organization");
	ck_assert_str_eq(human_count(0, "event", out), "0 events");
	ck_assert_str_eq(human_count(UINT64_MAX, "organization", out), "18,446,744,073,709,551,615 organization");
}
END_TEST

START_TEST(durations)
{
	static const struct { int64_t s; const char *text; } table[] = {
		{ 0, "0s" },            { 59, "59s" },          { 60, "1m00s" },        { 750, "12m30s" },
		{ 3599, "59m59s" },     { 3600, "1h00m" },      { 12000, "3h20m" },     { 86399, "23h59m" },
		{ 86400, "1d0h" },      { 187200, "2d4h" },     { 8639999, "99d23h" },  { 8640000, "100d" },
		{ 35596800, "412d" },   { -1, "-1s" },          { -750, "-12m30s" },    { INT64_MIN, "-106751991167300d" },
		{ INT64_MAX, "106751991167300d" },
	};
	char out[HUMAN_LEN];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_str_eq(human_duration(table[i].s, out), table[i].text);
	ck_assert_str_eq(human_elapsed(-1, out), "0.0s");
	ck_assert_str_eq(human_elapsed(449, out), "0.4s");
	ck_assert_str_eq(human_elapsed(9949, out), "9.9s");
	ck_assert_str_eq(human_elapsed(9950, out), "10s");
	ck_assert_str_eq(human_elapsed(750400, out), "12m30s");
	ck_assert_str_eq(human_clock(12, out), "00:12");
	ck_assert_str_eq(human_clock(3599, out), "59:59");
	ck_assert_str_eq(human_clock(3723, out), "1:02:03");
	ck_assert_str_eq(human_clock(-5, out), "00:00");
}
END_TEST

START_TEST(times)
{
	char out[HUMAN_LEN];

	ck_assert_str_eq(human_second(1795312680, out), "2026-11-22 01:58:00");
	ck_assert_str_eq(human_minute(1795312739, out), "2026-11-22 01:58");
}
END_TEST

START_TEST(durations_read)
{
	static const struct { const char *text; int64_t s; } sound[] = {
		{ "0s", 0 },       { "90s", 90 },        { "15m", 900 },      { "26h", 93600 },
		{ "1d", 86400 },   { "2w", 1209600 },    { "1d12h", 129600 }, { "1w2d3h4m5s", 788645 },
	};
	static const char *const damaged[] = {
		"", "1", "h", "-1h", "+1h", "1.5h", "1 h", " 1h", "1h ", "1x", "1H", "12h1d", "1h1h", "1hh", "1h30",
		"99999999999999999999s", "18446744073709551617s", "101w1000000d", "9999999w", "1h\n", "∞",
	};
	int64_t s;

	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		s = -7;
		ck_assert_int_eq(human_parse_duration(sound[i].text, &s), 0);
		ck_assert_int_eq(s, sound[i].s);
	}
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		s = -7;
		ck_assert_msg(human_parse_duration(damaged[i], &s) == -1, "\"%s\" was taken", damaged[i]);
		ck_assert_int_eq(s, -7);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("human");
	TCase *tc = tcase_create("human");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, numbers);
	tcase_add_test(tc, durations);
	tcase_add_test(tc, times);
	tcase_add_test(tc, durations_read);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
