/* human.h: numbers, durations and times as a person reads them, and durations as one writes them.
 *
 * Every function writes into a buffer of the caller's of HUMAN_LEN bytes, returns it, and may be called
 * from any thread. Times are UTC. */
#ifndef ORGSYNC_CMD_HUMAN_H
#define ORGSYNC_CMD_HUMAN_H

#include <stdint.h>

#define HUMAN_LEN 40

/* 45120 → "45,120". */
char *human_number(uint64_t number, char *out);

/* "1 organization", "2 organizations", "0 events": the plural is the noun and an s. */
char *human_count(uint64_t number, const char *noun, char *out);

/* The two largest units: "45s", "12m30s", "3h20m", "2d4h"; from 100 days on "412d". A negative
 * duration has a '-' before it. */
char *human_duration(int64_t duration_s, char *out);

/* As human_duration(), with tenths below ten seconds: "0.4s". A negative time is shown as 0. */
char *human_elapsed(int64_t elapsed_ms, char *out);

/* As a clock that runs: "00:12", "1:02:03". Below 0: "00:00". */
char *human_clock(int64_t duration_s, char *out);

/* "2026-11-22 01:58". */
char *human_minute(int64_t epoch_s, char *out);

/* "2026-11-22 01:58:00". */
char *human_second(int64_t epoch_s, char *out);

/* Reads "90s", "15m", "2h", "1d12h", "2w": whole numbers with units from the larger to the smaller, each
 * at most once. 0, or -1 with *ret_duration_s untouched. */
int human_parse_duration(const char *text, int64_t *ret_duration_s) __attribute__((warn_unused_result));

#endif
