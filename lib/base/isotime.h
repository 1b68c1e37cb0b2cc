/* isotime.h: ISO 8601 instants in UTC (RFC 3339 profile), as Atlas sends and takes them.
 *
 * An instant is nanoseconds since 1970-01-01T00:00:00Z in an int64_t, which holds 1678 to 2262.
 * Recorded replies show "2026-08-10T03:06:47Z" (organization events, Atlas v2) and
 * "2025-08-11T23:46:46.579302Z" (other flavours); both, and every precision between, are read.
 */
#ifndef ORGSYNC_BASE_ISOTIME_H
#define ORGSYNC_BASE_ISOTIME_H

#include <stddef.h>
#include <stdint.h>

#define ISOTIME_LEN 20          /* "2026-08-10T03:06:47Z" */
#define NS_PER_S INT64_C(1000000000)
#define S_PER_DAY INT64_C(86400)

/* Reads all len bytes of text as YYYY-MM-DDTHH:MM[:SS[.fraction]](Z|±HH:MM). 'T' may be 't' or one
 * space, 'Z' may be 'z'; digits of the fraction past the ninth are cut off; second 60 is read as 59.
 * A date without a zone is refused, and so is an instant whose UTC year is before 1970 or after 2261.
 * 0, or -1 with *ret_ns untouched. */
int isotime_parse(const char *text, size_t len, int64_t *ret_ns) __attribute__((warn_unused_result));

/* Writes whole seconds as "2026-08-10T03:06:47Z" and a NUL. out holds ISOTIME_LEN + 1 bytes.
 * Seconds outside years 0000 to 9999 are shown as the nearest of them. Returns out. */
char *isotime_format_s(int64_t epoch_s, char *out);

/* Writes the UTC day of an instant as "2026-08-10" and a NUL (11 bytes). Returns out. */
char *isotime_format_day(int64_t epoch_s, char *out);

/* Reads exactly "YYYY-MM-DD" as the first second of that day. 0 or -1. */
int isotime_parse_day(const char *text, size_t len, int64_t *ret_epoch_s)
	__attribute__((warn_unused_result));

/* Floor division: the second an instant lies in. */
static inline int64_t isotime_second(int64_t ns)
{
	return ns / NS_PER_S - (ns % NS_PER_S < 0);
}

/* The first second of the UTC day a second lies in. */
static inline int64_t isotime_day_start_s(int64_t epoch_s)
{
	int64_t r = epoch_s % S_PER_DAY;

	return epoch_s - (r < 0 ? r + S_PER_DAY : r);
}

#endif
