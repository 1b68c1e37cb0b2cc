/* ledger_text.h: the text of a ledger, for those who write and read it. Private to lib/store. */
#ifndef ORGSYNC_STORE_LEDGER_TEXT_H
#define ORGSYNC_STORE_LEDGER_TEXT_H

#include "lib/store/ledger.h"

/* The last line: the SHA-256 of everything before it. */
#define SUM_HEAD ",\n \"sha256\": \""
#define SUM_END "\"}\n"
#define SUM_LEN (sizeof(SUM_HEAD) - 1 + 64 + sizeof(SUM_END) - 1)

/* Reads the member `days` where each of its lines is written just as ledger_write() writes it: the days, which are the
 * caller's to free(), and the bytes [*ret_begin, *ret_end) between the member's braces. -1: it is not, or there are
 * none, or no memory; then it is another's to read. */
int ledger_days_read(const char *text, size_t len, struct day **ret_days, size_t *ret_n, const char **ret_begin,
                     const char **ret_end) __attribute__((warn_unused_result));

/* What every entry of days and becoming must be. */
bool ledger_day_is_possible(const struct day *d);
/* 64 lower case hexadecimal digits. 0 or -1. */
int ledger_read_sha(const char *text, unsigned char ret[32]) __attribute__((warn_unused_result));
/* Whole seconds, or all nine digits of a fraction that is not 0. 0 or -1. */
int ledger_read_time_ns(const char *text, size_t len, int64_t *ret_ns) __attribute__((warn_unused_result));

#endif
