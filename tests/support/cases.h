/* cases.h: how many cases a test plays that could play any number. `make check` plays the usual number,
 * `make check-long` (ORGSYNC_TEST_LONG=1) the full one; ORGSYNC_TEST_PART=N plays an N-th of it, for valgrind and the
 * sanitizers, which are slow and find in a part what they look for. tests/tools/cases.py gathers what was played. */
#ifndef ORGSYNC_TESTS_CASES_H
#define ORGSYNC_TESTS_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline bool
test_is_long(void)
{
	const char *text = getenv("ORGSYNC_TEST_LONG");

	return text != NULL && strcmp(text, "1") == 0;
}

static inline size_t
test_cases(size_t usual, size_t full)
{
	const char *text = getenv("ORGSYNC_TEST_PART");
	size_t part = text == NULL ? 1 : strtoul(text, NULL, 10), n = test_is_long() ? full : usual;

	return part < 2 ? n : n / part > 0 ? n / part : 1;
}

static inline void
test_cases_played(const char *test, size_t n)
{
	printf("%s: %zu cases\n", test, n);
	fflush(stdout);
}

#endif
