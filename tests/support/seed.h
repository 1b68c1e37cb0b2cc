/* seed.h: the seed of a randomized test: ORGSYNC_TEST_SEED, or a new one; printed, so that a failure
 * can be had again. */
#ifndef ORGSYNC_TESTS_SEED_H
#define ORGSYNC_TESTS_SEED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t
test_seed(const char *test)
{
	const char *text = getenv("ORGSYNC_TEST_SEED");
	struct timespec now;
	uint64_t seed;

	if (text != NULL && text[0] != '\0') {
		seed = strtoull(text, NULL, 0);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		seed = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	}
	printf("%s: ORGSYNC_TEST_SEED=%llu\n", test, (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

#endif
