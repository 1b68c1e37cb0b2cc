/* hash.h: the mixing that everything simulated is derived from. Pure functions, any thread. */
#ifndef ATLAS_SANDBOX_HASH_H
#define ATLAS_SANDBOX_HASH_H

#include <stdint.h>

/* A bijection of 64 bits (the finalizer of splitmix64): different inputs stay different. */
static inline uint64_t hash_mix(uint64_t z)
{
	z += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Two numbers into one; for a fixed key a bijection of value. */
static inline uint64_t hash_two(uint64_t key, uint64_t value)
{
	return hash_mix(key ^ hash_mix(value));
}

/* The low 4 * digits bits as lower-case hex digits, without a NUL. */
static inline void hash_hex(uint64_t value, int digits, char *out)
{
	static const char hex[] = "0123456789abcdef";

	while (digits-- > 0) {
		out[digits] = hex[value & 15];
		value >>= 4;
	}
}

#endif
