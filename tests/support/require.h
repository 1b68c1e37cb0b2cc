/* require.h: an assertion for loops. check's own ck_assert() writes a mark for each call, which takes
 * longer than what a randomized test looks at. */
#ifndef ORGSYNC_TESTS_REQUIRE_H
#define ORGSYNC_TESTS_REQUIRE_H

#include <check.h>

#define REQUIRE(condition)                                                                           \
	do {                                                                                         \
		if (!(condition))                                                                    \
			ck_abort_msg("not so: %s", #condition);                                      \
	} while (0)

#endif
