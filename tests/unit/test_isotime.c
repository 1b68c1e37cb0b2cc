/* Instants: every day from 1970 to 2261 there and back, every precision, zones, and what is refused. */
#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/isotime.h"
#include "lib/base/rng.h"
#include "tests/support/cases.h"
#include "tests/support/require.h"
#include "tests/support/seed.h"

#define END_S INT64_C(9214646400) /* 2262-01-01 */

static uint64_t seed;

static int
parse(const char *text, int64_t *ret_ns)
{
	/* In a block of its size, so that a sanitizer sees a read past it. */
	size_t len = strlen(text);
	char *copy = malloc(len == 0 ? 1 : len);
	int status;

	REQUIRE(copy != NULL);
	memcpy(copy, text, len);
	status = isotime_parse(copy, len, ret_ns);
	free(copy);
	return status;
}

static int64_t
ns_of(const char *text)
{
	int64_t ns = -1;

	ck_assert_msg(parse(text, &ns) == 0, "%s", text);
	return ns;
}

/* Against the C library's calendar. */
START_TEST(test_every_day)
{
	char text[ISOTIME_LEN + 1], day[11], want[40];
	int64_t ns, start_s;
	size_t days = 0;
	struct tm tm;

	for (int64_t s = 0; s < END_S; s += S_PER_DAY, days++) {
		int64_t at_s = s + (int64_t)(days * 7919 % 86400); /* another time of day each day */
		time_t t = (time_t)at_s;

		REQUIRE(gmtime_r(&t, &tm) != NULL);
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &tm);
		REQUIRE(strcmp(isotime_format_s(at_s, text), want) == 0);
		REQUIRE(parse(text, &ns) == 0 && ns == at_s * NS_PER_S);
		REQUIRE(strncmp(isotime_format_day(at_s, day), want, 10) == 0 && strlen(day) == 10);
		REQUIRE(isotime_parse_day(day, 10, &start_s) == 0 && start_s == s);
		REQUIRE(isotime_day_start_s(at_s) == s);
	}
	printf("%zu days\n", days);
	ck_assert_uint_eq(days, 106651);
}
END_TEST

START_TEST(test_precisions)
{
	const int64_t s = INT64_C(1786331207) * NS_PER_S; /* 2026-08-10T03:06:47Z */

	ck_assert_int_eq(ns_of("2026-08-10T03:06:47Z"), s);
	ck_assert_int_eq(ns_of("2026-08-10T03:06Z"), s - 47 * NS_PER_S);
	ck_assert_int_eq(ns_of("2026-08-10T03:06:47.5Z"), s + 500000000);
	ck_assert_int_eq(ns_of("2026-08-10T03:06:47.574Z"), s + 574000000);
	ck_assert_int_eq(ns_of("2026-08-10T03:06:47.579302Z"), s + 579302000);
	ck_assert_int_eq(ns_of("2026-08-10T03:06:47.000000001Z"), s + 1);
	ck_assert_int_eq(ns_of("2026-08-10T03:06:47.123456789Z"), s + 123456789);
	ck_assert_int_eq(ns_of("2026-08-10T03:06:47.1234567899999999999999999999Z"), s + 123456789);
	ck_assert_int_eq(ns_of("2026-08-10t03:06:47z"), s);
	ck_assert_int_eq(ns_of("2026-08-10 03:06:47Z"), s);
	ck_assert_int_eq(ns_of("2016-12-31T23:59:60Z"), ns_of("2016-12-31T23:59:59Z"));
	ck_assert_int_eq(ns_of("2016-12-31T23:59:60.25Z"), ns_of("2016-12-31T23:59:59.25Z"));
}
END_TEST

START_TEST(test_zones)
{
	const int64_t s = INT64_C(1786331207) * NS_PER_S;

	ck_assert_int_eq(ns_of("2026-08-10T03:06:47+00:00"), s);
	ck_assert_int_eq(ns_of("2026-08-10T03:06:47-00:00"), s);
	ck_assert_int_eq(ns_of("2026-08-10T05:06:47+02:00"), s);
	ck_assert_int_eq(ns_of("2026-08-09T17:36:47-09:30"), s);
	ck_assert_int_eq(ns_of("2026-08-10T08:51:47.25+05:45"), s + 250000000);
	ck_assert_int_eq(ns_of("2026-08-11T03:05:47+23:59"), s);
	ck_assert_int_eq(ns_of("2026-08-10T03:06+00:00"), s - 47 * NS_PER_S);
	/* What counts is the year in UTC. */
	ck_assert_int_eq(ns_of("1969-12-31T23:30:00-00:30"), 0);
	ck_assert_int_eq(ns_of("2262-01-01T00:00:00+00:01"), (END_S - 60) * NS_PER_S);
	ck_assert_int_eq(ns_of("2261-12-31T23:59:59.999999999Z"), END_S * NS_PER_S - 1);
}
END_TEST

START_TEST(test_leap_days)
{
	static const struct { int year; bool leap; } years[] = {
		{ 1972, true }, { 1999, false }, { 2000, true }, { 2023, false }, { 2024, true },
		{ 2100, false },
		{ 2200, false },
	};
	char text[40];
	int64_t ns;

	for (size_t i = 0; i < sizeof(years) / sizeof(years[0]); i++) {
		snprintf(text, sizeof(text), "%d-02-29T12:00:00Z", years[i].year);
		ck_assert_msg((parse(text, &ns) == 0) == years[i].leap, "%s", text);
		snprintf(text, sizeof(text), "%d-02-30T12:00:00Z", years[i].year);
		ck_assert_msg(parse(text, &ns) != 0, "%s", text);
	}
	ck_assert_int_eq(ns_of("2024-03-01T00:00:00Z") - ns_of("2024-02-28T00:00:00Z"),
	                 2 * S_PER_DAY * NS_PER_S);
	ck_assert_int_eq(ns_of("2023-03-01T00:00:00Z") - ns_of("2023-02-28T00:00:00Z"), S_PER_DAY * NS_PER_S);
}
END_TEST

START_TEST(test_refused)
{
	static const char *const refused[] = {
		"", "Z", "2026", "2026-08-10", "2026-08-10T", "2026-08-10T03", "2026-08-10T03:06",
		"2026-08-10T03Z", "2026-08-10T03:06:47", "2026-08-10T03:06:47.5",
		"2026-08-10T03:06:47.", "2026-08-10T03:06:47.Z", "2026-08-10T03:06:Z",
		"2026-08-10T03:06:4Z", "2026-08-10T3:06:47Z", "2026-8-10T03:06:47Z",
		"26-08-10T03:06:47Z", "2026-08-10T03:06:47ZZ", "2026-08-10T03:06:47Z ",
		" 2026-08-10T03:06:47Z", "2026-00-10T03:06:47Z", "2026-13-10T03:06:47Z",
		"2026-08-00T03:06:47Z", "2026-08-32T03:06:47Z", "2026-04-31T03:06:47Z",
		"2026-08-10T24:00:00Z", "2026-08-10T03:60:47Z", "2026-08-10T03:06:61Z",
		"2026-08-10T03:06:47+0200", "2026-08-10T03:06:47+02", "2026-08-10T03:06:47+24:00",
		"2026-08-10T03:06:47+02:60", "2026-08-10T03:06:47+2:00", "2026-08-10T03:06:47+",
		"2026-08-10T03:06:47-02:0", "2026-08-10T03:06:47,5Z", "2026/08/10T03:06:47Z",
		"2026-08-10_03:06:47Z", "2026-08-10T03-06-47Z", "+026-08-10T03:06:47Z",
		"-001-08-10T03:06:47Z", "2026-08-10T03:06:47.5.5Z", "2026-08-10T03:06.5Z",
		"1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "2262-01-01T00:00:00Z",
		"9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "2261-12-31T23:59:59-00:01",
		"2026-08-10T03:06:47\xc2\xa0Z", "now", "1786331207",
	};
	int64_t ns = 42;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		ck_assert_msg(parse(refused[i], &ns) == -1, "%s", refused[i]);
	ck_assert_int_eq(isotime_parse("2026-08-10T03:06:47\0", 20, &ns), -1);
	ck_assert_int_eq(ns, 42); /* untouched */
}
END_TEST

/* Random instants with a random precision and zone; and damaged ones, which are refused or still mean
 * an instant in range. */
START_TEST(test_random)
{
	struct rng r;
	char text[80], clock[ISOTIME_LEN + 1];
	size_t refused = 0, cases = test_cases(200000, 5000000);

	rng_seed(&r, seed);
	for (size_t i = 0; i < cases; i++) {
		int64_t want_s = (int64_t)rng_below(&r, (uint64_t)END_S - 2 * S_PER_DAY) + S_PER_DAY;
		int digits = (int)rng_below(&r, 12), zone_min = (int)rng_below(&r, 2 * 1440 - 1) - 1439;
		int64_t fraction = (int64_t)rng_below(&r, (uint64_t)NS_PER_S), ns = -7, cut = 1;
		int len;

		isotime_format_s(want_s + zone_min * 60, clock);
		len = snprintf(text, sizeof(text), "%.19s.%09lld42", clock, (long long)fraction);
		len = digits == 0 ? 19 : len - 11 + digits;
		snprintf(text + len, sizeof(text) - (size_t)len, "%c%02d:%02d", zone_min < 0 ? '-' : '+',
		         abs(zone_min) / 60, abs(zone_min) % 60);
		for (int k = digits; k < 9; k++)
			cut *= 10;
		REQUIRE(parse(text, &ns) == 0);
		REQUIRE(ns == want_s * NS_PER_S + (digits == 0 ? 0 : fraction / cut * cut));
		REQUIRE(isotime_second(ns) == want_s);
		text[rng_below(&r, strlen(text))] = "0123456789-+:.TZ tz\xff"[rng_below(&r, 20)];
		ns = -7;
		if (parse(text, &ns) != 0) {
			REQUIRE(ns == -7);
			refused++;
		} else {
			REQUIRE(ns >= 0 && ns < END_S * NS_PER_S);
		}
	}
	test_cases_played("instants", cases);
	printf("%zu of the damaged ones refused\n", refused);
	ck_assert(refused > cases / 10 && refused < cases);
}
END_TEST

START_TEST(test_format_edges)
{
	char text[ISOTIME_LEN + 1];
	int64_t s;

	ck_assert_str_eq(isotime_format_s(-1, text), "1969-12-31T23:59:59Z");
	ck_assert_str_eq(isotime_format_s(INT64_MIN, text), "0000-01-01T00:00:00Z");
	ck_assert_str_eq(isotime_format_s(INT64_MAX, text), "9999-12-31T23:59:59Z");
	ck_assert_str_eq(isotime_format_day(INT64_MAX, text), "9999-12-31");
	ck_assert_str_eq(isotime_format_day(-1, text), "1969-12-31");
	ck_assert_int_eq(isotime_parse_day("1969-12-31", 10, &s), 0);
	ck_assert_int_eq(s, -S_PER_DAY);
	ck_assert_int_eq(isotime_parse_day("2026-02-29", 10, &s), -1);
	ck_assert_int_eq(isotime_parse_day("2026-02-2", 9, &s), -1);
	ck_assert_int_eq(isotime_parse_day("2026-02-28Z", 11, &s), -1);
	ck_assert_int_eq(s, -S_PER_DAY);
	ck_assert_int_eq(isotime_second(-1), -1);
	ck_assert_int_eq(isotime_second(-NS_PER_S), -1);
	ck_assert_int_eq(isotime_second(-NS_PER_S - 1), -2);
	ck_assert_int_eq(isotime_second(NS_PER_S - 1), 0);
	ck_assert_int_eq(isotime_day_start_s(-1), -S_PER_DAY);
	ck_assert_int_eq(isotime_day_start_s(-S_PER_DAY), -S_PER_DAY);
	ck_assert_int_eq(isotime_day_start_s(S_PER_DAY), S_PER_DAY);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("isotime");
	TCase *tc = tcase_create("isotime");
	SRunner *runner = srunner_create(suite);
	int failed;

	seed = test_seed("test_isotime");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_every_day);
	tcase_add_test(tc, test_precisions);
	tcase_add_test(tc, test_zones);
	tcase_add_test(tc, test_leap_days);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_random);
	tcase_add_test(tc, test_format_edges);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
