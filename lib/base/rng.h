/* rng.h: a small seeded generator (splitmix64) for jitter and for tests. Not for secrets.
 * One owner, one thread at a time. */
#ifndef ORGSYNC_BASE_RNG_H
#define ORGSYNC_BASE_RNG_H

#include <stdint.h>

struct rng { uint64_t state; };

static inline void rng_seed(struct rng *r, uint64_t seed) { r->state = seed; }

/* The next 64 bits. */
static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A number in [0, below); 0 where below is 0. The bias is below 2^-32 for below < 2^32. */
static inline uint64_t rng_below(struct rng *r, uint64_t below)
{
	return below == 0 ? 0 : rng_next(r) % below;
}

#endif
