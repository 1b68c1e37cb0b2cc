/* fuzz.h: what the fuzz targets share. A target is one function, LLVMFuzzerTestOneInput(), in a file of its
 * own; libFuzzer calls it (./configure --enable-fuzz), and so does replay.c in every other build.
 * A property that does not hold ends the process by abort(), which both take for a crash of that input.
 */
#ifndef ORGSYNC_TESTS_FUZZ_H
#define ORGSYNC_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_ORG_ID "32b6e34b3d91647abb20e7b8"
#define FUZZ_NOW_S INT64_C(1795305600) /* 2026-11-22T00:00:00Z */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The property that is to hold for every input. */
#define MUST(condition) \
	((condition) ? (void)0 : fuzz_failed(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_failed(const char *file, int line, const char *condition);

/* A copy in memory of exactly that size, so that a sanitizer sees a byte read too much. The caller's. */
char *fuzz_copy(const void *bytes, size_t len);

/* True where the text is one line of sound UTF-8 without control characters. */
bool fuzz_is_line(const char *text);

/* A directory of this process's own, in memory where the machine has that, removed at its end. */
const char *fuzz_dir(void);
int fuzz_dirfd(void);
void fuzz_empty_dir(void);
/* Writes NAME in it, mode 0600; directories of NAME are made (0700). */
void fuzz_write(const char *name, const void *bytes, size_t len);
/* The bytes of NAME (to be freed), or NULL where there is no such file. */
char *fuzz_read(const char *name, size_t *ret_len);

#endif
