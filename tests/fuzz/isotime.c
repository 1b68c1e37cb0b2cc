/* Instants: lib/base/isotime.c. The input is the text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/isotime.h"
#include "tests/fuzz/fuzz.h"

/* The second, as libc's calendar has it, without the zone. The text was accepted. */
static int64_t
by_libc(const char *text)
{
	struct tm tm = { 0 };
	int n = 0;

	MUST(sscanf(text, "%4d-%2d-%2d%*1[Tt ]%2d:%2d%n:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
	            &tm.tm_min, &n, &tm.tm_sec) >= 5 && n == 16);
	tm.tm_year -= 1900;
	tm.tm_mon--;
	if (tm.tm_sec == 60)
		tm.tm_sec = 59;
	return (int64_t)timegm(&tm);
}

static int64_t
zone_of(const char *text, size_t len)
{
	int hours, minutes;

	if (len < 6 || (text[len - 6] != '+' && text[len - 6] != '-'))
		return 0;
	MUST(sscanf(text + len - 5, "%2d:%2d", &hours, &minutes) == 2);
	return (int64_t)(hours * 60 + minutes) * (text[len - 6] == '-' ? -60 : 60);
}

static int64_t
fraction_of(const char *text, size_t len)
{
	const char *dot = memchr(text, '.', len);
	int64_t ns = 0;
	int digits = 0;

	for (dot = dot == NULL ? text + len : dot + 1; *dot >= '0' && *dot <= '9' && digits < 9; dot++, digits++)
		ns = ns * 10 + (*dot - '0');
	for (; digits < 9; digits++)
		ns *= 10;
	return ns;
}

static void
check_instant(const char *bytes, size_t len)
{
	int64_t ns = 12345, again, second_s;
	char text[ISOTIME_LEN + 1], exact[48];
	char *z;

	if (isotime_parse(bytes, len, &ns) != 0) {
		MUST(ns == 12345);
		return;
	}
	z = malloc(len + 1);
	MUST(z != NULL);
	memcpy(z, bytes, len);
	z[len] = '\0';
	MUST(ns >= 0 && strlen(z) == len);
	second_s = isotime_second(ns);
	MUST(second_s == by_libc(z) - zone_of(z, len) && ns % NS_PER_S == fraction_of(z, len));
	MUST(strlen(isotime_format_s(second_s, text)) == ISOTIME_LEN);
	MUST(isotime_parse(text, ISOTIME_LEN, &again) == 0 && again == second_s * NS_PER_S);
	snprintf(exact, sizeof(exact), "%.19s.%09lldZ", text, (long long)(ns % NS_PER_S));
	MUST(isotime_parse(exact, strlen(exact), &again) == 0 && again == ns);
	free(z);
}

static void
check_day(const char *bytes, size_t len)
{
	int64_t day_s = 12345;
	char text[11];

	if (isotime_parse_day(bytes, len, &day_s) != 0) {
		MUST(day_s == 12345);
		return;
	}
	MUST(len == 10 && memcmp(isotime_format_day(day_s, text), bytes, 10) == 0);
	MUST(isotime_day_start_s(day_s) == day_s && isotime_day_start_s(day_s + S_PER_DAY - 1) == day_s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[ISOTIME_LEN + 1];
	int64_t number;

	check_instant((const char *)data, size);
	check_day((const char *)data, size);
	if (size >= sizeof(number)) {
		memcpy(&number, data, sizeof(number));
		MUST(strlen(isotime_format_s(number, text)) == ISOTIME_LEN);
		MUST(strlen(isotime_format_day(number, text)) == 10);
	}
	return 0;
}
