#include "lib/base/isotime.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define END_S INT64_C(9214646400) /* 2262-01-01: the last whole year of an int64_t of nanoseconds */

/* Days since 1970-01-01 of a proleptic Gregorian date (March-based years, so that the leap day
 * comes last). */
static int64_t
days_from_civil(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
	       719468;
}

static void
civil_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*ret_day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*ret_month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*ret_year = (int)(yoe + era * 400 + (*ret_month <= 2));
}

static bool
two_digits(const char *p, int max, int *ret)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*ret = (p[0] - '0') * 10 + (p[1] - '0');
	return *ret <= max;
}

static bool
read_date(const char *p, int *year, int *month, int *day)
{
	static const int days_in[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int century, rest;
	bool leap;

	if (!two_digits(p, 99, &century) || !two_digits(p + 2, 99, &rest) || p[4] != '-' ||
	    !two_digits(p + 5, 12, month) || p[7] != '-' || !two_digits(p + 8, 31, day))
		return false;
	*year = century * 100 + rest;
	if (*month < 1 || *day < 1 || *day > days_in[*month - 1])
		return false;
	leap = (*year % 4 == 0 && *year % 100 != 0) || *year % 400 == 0;
	return !(*month == 2 && *day == 29 && !leap);
}

/* Reads ".123" at *at; moves *at past it. */
static bool
read_fraction(const char *text, size_t len, size_t *at, int64_t *ret_ns)
{
	int64_t scale = NS_PER_S / 10;
	size_t i = *at + 1;

	for (*ret_ns = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++, scale /= 10)
		*ret_ns += (text[i] - '0') * scale;
	if (i == *at + 1)
		return false;
	*at = i;
	return true;
}

/* Reads "Z" or "+HH:MM" as the whole rest of the text. */
static bool
read_zone(const char *text, size_t len, int64_t *ret_offset_s)
{
	int hours, minutes;

	*ret_offset_s = 0;
	if (len == 1)
		return text[0] == 'Z' || text[0] == 'z';
	if (len != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' ||
	    !two_digits(text + 1, 23, &hours) || !two_digits(text + 4, 59, &minutes))
		return false;
	*ret_offset_s = (hours * 60 + minutes) * 60 * (text[0] == '-' ? -1 : 1);
	return true;
}

int
isotime_parse(const char *text, size_t len, int64_t *ret_ns)
{
	int year, month, day, hour, minute, second = 0;
	int64_t fraction_ns = 0, offset_s, epoch_s;
	size_t at = 16;

	if (len < 17 || !read_date(text, &year, &month, &day) ||
	    (text[10] != 'T' && text[10] != 't' && text[10] != ' ') ||
	    !two_digits(text + 11, 23, &hour) || text[13] != ':' ||
	    !two_digits(text + 14, 59, &minute))
		return -1;
	if (text[at] == ':') {
		if (len < 20 || !two_digits(text + 17, 60, &second))
			return -1;
		at = 19;
		if (text[at] == '.' && !read_fraction(text, len, &at, &fraction_ns))
			return -1;
	}
	if (!read_zone(text + at, len - at, &offset_s))
		return -1;
	if (second == 60)
		second = 59;
	epoch_s = days_from_civil(year, month, day) * S_PER_DAY + hour * 3600 + minute * 60 + second -
	          offset_s;
	if (epoch_s < 0 || epoch_s >= END_S)
		return -1;
	*ret_ns = epoch_s * NS_PER_S + fraction_ns;
	return 0;
}

int
isotime_parse_day(const char *text, size_t len, int64_t *ret_epoch_s)
{
	int year, month, day;

	if (len != 10 || !read_date(text, &year, &month, &day))
		return -1;
	*ret_epoch_s = days_from_civil(year, month, day) * S_PER_DAY;
	return 0;
}

/* Writes number as width decimal digits; the caller ends the text. */
static void
put_digits(char *out, int number, int width)
{
	while (width-- > 0) {
		out[width] = (char)('0' + number % 10);
		number /= 10;
	}
}

char *
isotime_format_day(int64_t epoch_s, char *out)
{
	const int64_t first_s = INT64_C(-62167219200), last_s = INT64_C(253402300799);
	int year, month, day;

	if (epoch_s < first_s)
		epoch_s = first_s;
	if (epoch_s > last_s)
		epoch_s = last_s;
	civil_from_days(isotime_day_start_s(epoch_s) / S_PER_DAY, &year, &month, &day);
	put_digits(out, year, 4);
	out[4] = '-';
	put_digits(out + 5, month, 2);
	out[7] = '-';
	put_digits(out + 8, day, 2);
	out[10] = '\0';
	return out;
}

char *
isotime_format_s(int64_t epoch_s, char *out)
{
	const int64_t first_s = INT64_C(-62167219200), last_s = INT64_C(253402300799);
	int in_day;

	if (epoch_s < first_s)
		epoch_s = first_s;
	if (epoch_s > last_s)
		epoch_s = last_s;
	in_day = (int)(epoch_s - isotime_day_start_s(epoch_s));
	isotime_format_day(epoch_s, out);
	out[10] = 'T';
	put_digits(out + 11, in_day / 3600, 2);
	out[13] = ':';
	put_digits(out + 14, in_day / 60 % 60, 2);
	out[16] = ':';
	put_digits(out + 17, in_day % 60, 2);
	out[19] = 'Z';
	out[20] = '\0';
	return out;
}
