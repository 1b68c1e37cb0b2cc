#include "cmd/orgsync/human.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/isotime.h"

char *
human_number(uint64_t number, char *out)
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, number), at = 0;

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

char *
human_count(uint64_t number, const char *noun, char *out)
{
	char digits[HUMAN_LEN];

	snprintf(out, HUMAN_LEN, "%s %s%s", human_number(number, digits), noun, number == 1 ? "" : "s");
	return out;
}

char *
human_duration(int64_t duration_s, char *out)
{
	uint64_t s = duration_s < 0 ? -(uint64_t)duration_s : (uint64_t)duration_s;
	const char *sign = duration_s < 0 ? "-" : "";

	if (s < 60)
		snprintf(out, HUMAN_LEN, "%s%" PRIu64 "s", sign, s);
	else if (s < 3600)
		snprintf(out, HUMAN_LEN, "%s%" PRIu64 "m%02" PRIu64 "s", sign, s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, HUMAN_LEN, "%s%" PRIu64 "h%02" PRIu64 "m", sign, s / 3600, s / 60 % 60);
	else if (s < 100 * UINT64_C(86400))
		snprintf(out, HUMAN_LEN, "%s%" PRIu64 "d%" PRIu64 "h", sign, s / 86400, s / 3600 % 24);
	else
		snprintf(out, HUMAN_LEN, "%s%" PRIu64 "d", sign, s / 86400);
	return out;
}

char *
human_elapsed(int64_t elapsed_ms, char *out)
{
	int64_t tenths = elapsed_ms < 0 ? 0 : (elapsed_ms + 50) / 100;

	if (tenths >= 100)
		return human_duration((tenths + 5) / 10, out);
	snprintf(out, HUMAN_LEN, "%d.%ds", (int)(tenths / 10), (int)(tenths % 10));
	return out;
}

char *
human_clock(int64_t duration_s, char *out)
{
	int64_t s = duration_s < 0 ? 0 : duration_s;

	if (s < 3600)
		snprintf(out, HUMAN_LEN, "%02d:%02d", (int)(s / 60), (int)(s % 60));
	else
		snprintf(out, HUMAN_LEN, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
	return out;
}

char *
human_second(int64_t epoch_s, char *out)
{
	isotime_format_s(epoch_s, out);
	out[10] = ' ';
	out[19] = '\0';
	return out;
}

char *
human_minute(int64_t epoch_s, char *out)
{
	human_second(epoch_s, out);
	out[16] = '\0';
	return out;
}

int
human_parse_duration(const char *text, int64_t *ret_duration_s)
{
	static const struct { char letter; int64_t seconds; } units[] = {
		{ 'w', 604800 }, { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 }
	};
	const size_t n = sizeof(units) / sizeof(units[0]);
	const int64_t most_s = INT64_C(100) * 366 * 86400;
	int64_t sum = 0, number;
	size_t unit = 0;

	if (*text == '\0')
		return -1;
	while (*text != '\0') {
		if (*text < '0' || *text > '9')
			return -1;
		for (number = 0; *text >= '0' && *text <= '9'; text++) {
			number = number * 10 + (*text - '0');
			if (number > most_s)
				return -1;
		}
		while (unit < n && units[unit].letter != *text)
			unit++;
		if (unit == n)
			return -1;
		sum += number * units[unit++].seconds;
		if (sum > most_s)
			return -1;
		text++;
	}
	*ret_duration_s = sum;
	return 0;
}
